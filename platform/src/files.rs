//! Files that phases hand to each other and to the platform (COM-060 to COM-078). One module a file.
//!
//! [`value`] turns the free-form parts from TOML to JSON and back. Where a file and its public type differ in shape,
//! the file's shape is a private type beside it. Texts of read errors begin with `failed to read <what> file: ` (COM-067).

pub mod analyzed;
pub mod group;
pub mod lifecycle;
pub mod metadata;
pub mod order;
pub mod plan;
pub mod project_metadata;
pub mod replace;
pub mod report;
pub mod run;
pub mod system;
pub mod value;

pub use analyzed::{Analyzed, LayersMetadata};
pub use metadata::BuildMetadata;
pub use project_metadata::ProjectMetadata;
pub use report::Report;
pub use run::{RunImageForExport, RunToml};
pub use system::System;
