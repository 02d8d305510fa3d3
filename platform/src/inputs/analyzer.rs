//! Flags, variables and defaults of the analyzer (ANA-001 to ANA-010).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::{Common, ImageSource, User};

/// What the analyzer was told, resolved.
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
    /// `CNB_CACHE_DIR`, to hand over.
    pub cache_dir: Option<PathBuf>,
    /// `-launch-cache`.
    pub launch_cache_dir: Option<PathBuf>,
    /// `-cache-image`.
    pub cache_image: Option<String>,
    /// The image argument.
    pub output_image: String,
    /// `-previous-image`, else the output image.
    pub previous_image: String,
    /// `-run-image`, else from run.toml or stack.toml.
    pub run_image: String,
    /// `-tag`.
    pub tags: Vec<String>,
    /// `-skip-layers`.
    pub skip_layers: bool,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let _ = invocation;
    todo!()
}
