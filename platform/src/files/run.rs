//! `run.toml`, and `stack.toml` before 0.12 (COM-060, COM-061).

use std::path::Path;

use crate::api::PlatformApi;
use crate::exit::Failure;

/// An image and where else it can be had. Key order is the label's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunImageForExport {
    /// Its name.
    pub image: String,
    /// Other names.
    pub mirrors: Vec<String>,
}

/// Run images to choose from; one at most below 0.12.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunToml {
    /// In file order.
    pub images: Vec<RunImageForExport>,
}

/// Reads run.toml, or stack.toml below 0.12; a missing file is logged and empty.
pub fn read(api: PlatformApi, run_path: &Path, stack_path: &Path) -> Result<RunToml, Failure> {
    let _ = (api, run_path, stack_path);
    todo!()
}
