//! The Platform API: how a platform and the lifecycle talk (platform.md).
//!
//! ```text
//! argv + variables ─► entry ─► api ─► inputs::<phase> ─► privileges ─► the phase's run ─► files ─► exit
//! ```
//!
//! Only [`inputs`] reads variables and only [`entry`] turns an error into an exit code. Uses `layout` for images, their
//! names and JSON as Go writes it, and `buildpack` for the API's own types and its TOML.

pub mod api;
pub mod entry;
pub mod exit;
pub mod experimental;
pub mod files;
pub mod images;
pub mod inputs;
pub mod labels;
pub mod log;
pub mod output;
pub mod passwd;
pub mod privileges;
pub mod run_image;
pub mod target;
pub mod version;

pub use api::PlatformApi;
pub use exit::{ExitCode, Failure};
