//! Files that phases hand to each other and to the platform (COM-060 to COM-078). One module a file.

pub mod analyzed;
pub mod group;
pub mod metadata;
pub mod order;
pub mod plan;
pub mod project_metadata;
pub mod report;
pub mod run;
pub mod system;

pub use analyzed::{Analyzed, LayersMetadata};
pub use metadata::BuildMetadata;
pub use project_metadata::ProjectMetadata;
pub use report::Report;
pub use run::{RunImageForExport, RunToml};
pub use system::System;
