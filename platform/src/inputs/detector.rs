//! Flags, variables and defaults of the detector (DET-001 to DET-006).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::Common;

/// What the detector was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// `-app`.
    pub app_dir: PathBuf,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-platform`.
    pub platform_dir: PathBuf,
    /// `-buildpacks`.
    pub buildpacks_dir: PathBuf,
    /// `-extensions`.
    pub extensions_dir: PathBuf,
    /// `-build-config`.
    pub build_config_dir: PathBuf,
    /// `-generated`.
    pub generated_dir: PathBuf,
    /// `-order`.
    pub order_path: PathBuf,
    /// `-system`.
    pub system_path: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-analyzed`.
    pub analyzed_path: PathBuf,
    /// `-group`.
    pub group_path: PathBuf,
    /// `-plan`.
    pub plan_path: PathBuf,
    /// `CNB_EXEC_ENV`.
    pub exec_env: String,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let _ = invocation;
    todo!()
}
