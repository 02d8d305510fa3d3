//! `plan.toml` (COM-074).

use std::path::Path;

use buildpack::plan::Plan;

use crate::exit::Failure;

/// Reads the file; `failed to read plan file: ...`, exit 1.
pub fn read(path: &Path) -> Result<Plan, Failure> {
    let _ = path;
    todo!()
}

/// Writes the file.
pub fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    let _ = (path, plan);
    todo!()
}
