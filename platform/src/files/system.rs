//! `system.toml` (COM-076).

use std::path::Path;

use buildpack::group::GroupElement;

/// Buildpacks around every group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// In front.
    pub pre: Vec<GroupElement>,
    /// Behind.
    pub post: Vec<GroupElement>,
}

/// Reads the file; a missing one is a debug line and empty.
pub fn read(path: &Path) -> anyhow::Result<System> {
    let _ = path;
    todo!()
}
