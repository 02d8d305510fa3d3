//! `group.toml` (COM-073).

use std::path::Path;

use buildpack::group::Group;

use crate::exit::Failure;

/// Reads the file; `failed to read group file: ...`, exit 1.
pub fn read(path: &Path) -> Result<Group, Failure> {
    let _ = path;
    todo!()
}

/// Writes the file.
pub fn write(path: &Path, group: &Group) -> Result<(), Failure> {
    let _ = (path, group);
    todo!()
}
