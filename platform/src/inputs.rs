//! What platforms say to phases: flags, variables, defaults, in one place per phase (COM-012 to COM-024).
//!
//! Two steps: raw flags as typed, then `Inputs` resolved. Only `Inputs` travels.

use std::path::PathBuf;

pub mod analyzer;
pub mod builder;
pub mod creator;
pub mod detector;
pub mod exporter;
mod flags;
mod go_flags;
mod groups;
mod names;
pub mod rebaser;
mod resolve;
pub mod restorer;
mod usage;
pub mod variables;

pub use variables::Variables;

/// What every phase is told about its own behaviour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Log level as typed.
    pub log_level: String,
    /// No ANSI codes.
    pub no_color: bool,
}

/// Where images are: in layouts below `layout_dir`, else in a daemon, else in registries (LAY-004, EXP-007).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSource {
    /// `-layout-dir` in layout mode.
    pub layout_dir: Option<PathBuf>,
    /// `-daemon`.
    pub daemon: bool,
    /// `-insecure-registry`.
    pub insecure_registries: Vec<String>,
}

/// Who a phase runs as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `-uid`.
    pub uid: u32,
    /// `-gid`.
    pub gid: u32,
}
