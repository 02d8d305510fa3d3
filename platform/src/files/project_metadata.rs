//! `project-metadata.toml` (COM-077, EXP-081).

use std::path::Path;

use crate::exit::Failure;

/// Where the source came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProjectMetadata {
    /// The `source` table; `None` where there is none.
    pub source: Option<Source>,
}

/// The `source` table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// `git`.
    pub source_type: String,
    /// Free-form.
    pub version: Option<serde_json::Value>,
    /// Free-form.
    pub metadata: Option<serde_json::Value>,
}

impl ProjectMetadata {
    /// Returns the JSON of the label `io.buildpacks.project.metadata`.
    pub fn to_label(&self) -> String {
        todo!()
    }
}

/// Reads the file; a missing one is a debug line and empty.
pub fn read(path: &Path) -> Result<ProjectMetadata, Failure> {
    let _ = path;
    todo!()
}
