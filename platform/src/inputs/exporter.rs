//! Flags, variables and defaults of the exporter (EXP-001 to EXP-003).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::{Common, ImageSource, User};

/// What the exporter was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as, and who owns what it puts into layers.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-app`.
    pub app_dir: PathBuf,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-analyzed`.
    pub analyzed_path: PathBuf,
    /// `-group`.
    pub group_path: PathBuf,
    /// `-extended`.
    pub extended_dir: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-stack`.
    pub stack_path: PathBuf,
    /// `-report`.
    pub report_path: PathBuf,
    /// `-project-metadata`.
    pub project_metadata_path: PathBuf,
    /// `-launcher`.
    pub launcher_path: PathBuf,
    /// `-launcher-sbom`.
    pub launcher_sbom_dir: PathBuf,
    /// `-cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `-launch-cache`.
    pub launch_cache_dir: Option<PathBuf>,
    /// `-cache-image`.
    pub cache_image: Option<String>,
    /// `-process-type`.
    pub process_type: Option<String>,
    /// `-parallel`.
    pub parallel: bool,
    /// First image argument.
    pub output_image: String,
    /// Further image arguments.
    pub additional_names: Vec<String>,
    /// `CNB_EXEC_ENV`.
    pub exec_env: String,
    /// `SOURCE_DATE_EPOCH` as it stands.
    pub source_date_epoch: Option<String>,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let _ = invocation;
    todo!()
}
