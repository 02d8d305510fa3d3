//! What platforms say to phases: flags, variables, defaults, in one place per phase (COM-012 to COM-024).
//!
//! Two steps: raw flags as typed, then `Inputs` resolved. Only `Inputs` travels.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

pub mod analyzer;
pub mod builder;
pub mod creator;
pub mod detector;
pub mod exporter;
pub mod restorer;

/// The variables of the process, read once. An empty one counts as unset (COM-015).
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<OsString, OsString>);

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Variables([redacted])")
    }
}

impl Variables {
    /// Reads this process's variables: the only place that does.
    pub fn of_process() -> Self {
        todo!()
    }

    /// Returns a set of variables, for tests and for phases inside phases.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Returns a variable's value as text; `None` if unset, empty or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        let _ = name;
        todo!()
    }

    /// Returns all of them, for the environment of buildpacks.
    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

/// What every phase is told about its own behaviour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Common {
    /// Log level as typed.
    pub log_level: String,
    /// No ANSI codes.
    pub no_color: bool,
}

/// Where images are: `Some(dir)` in layout mode. Daemons and registries come with their crates.
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
