//! Flags, variables and defaults of the creator (CRE-001 to CRE-003).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::{Common, ImageSource, User};

/// What the creator was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as after its volumes are handed over.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-app`.
    pub app_dir: PathBuf,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-platform`.
    pub platform_dir: PathBuf,
    /// `-buildpacks`.
    pub buildpacks_dir: PathBuf,
    /// `CNB_EXTENSIONS_DIR`.
    pub extensions_dir: PathBuf,
    /// `-build-config`.
    pub build_config_dir: PathBuf,
    /// `CNB_GENERATED_DIR`.
    pub generated_dir: PathBuf,
    /// `CNB_EXTENDED_DIR`.
    pub extended_dir: PathBuf,
    /// `-order`.
    pub order_path: PathBuf,
    /// `-system`.
    pub system_path: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-stack`.
    pub stack_path: PathBuf,
    /// `CNB_ANALYZED_PATH`.
    pub analyzed_path: PathBuf,
    /// `CNB_GROUP_PATH`.
    pub group_path: PathBuf,
    /// `CNB_PLAN_PATH`.
    pub plan_path: PathBuf,
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
    /// `-skip-restore`.
    pub skip_restore: bool,
    /// The image argument.
    pub output_image: String,
    /// `-previous-image`, else the output image.
    pub previous_image: String,
    /// `-run-image`, else from run.toml or stack.toml.
    pub run_image: String,
    /// `-tag`.
    pub tags: Vec<String>,
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
