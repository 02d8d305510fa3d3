//! Flags, variables and defaults of the restorer (RES-001 to RES-006).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::{Common, ImageSource, User};

/// What the restorer was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as after its volumes are handed over.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-analyzed`.
    pub analyzed_path: PathBuf,
    /// `-group`.
    pub group_path: PathBuf,
    /// `-generated`.
    pub generated_dir: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `-cache-image`.
    pub cache_image: Option<String>,
    /// `-build-image`.
    pub build_image: Option<String>,
    /// `-skip-layers`.
    pub skip_layers: bool,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let _ = invocation;
    todo!()
}
