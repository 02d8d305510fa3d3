//! Running `bin/detect` (BPD-021 to BPD-039).

use std::path::Path;

use crate::api::BuildpackApi;
use crate::descriptor::Descriptor;
use crate::env::BuildEnv;
use crate::plan::BuildPlan;
use crate::target::Target;

/// What every `bin/detect` of a run gets.
#[derive(Clone, Copy, Debug)]
pub struct DetectInputs<'a> {
    /// Working directory.
    pub app_dir: &'a Path,
    /// `<platform>`.
    pub platform_dir: &'a Path,
    /// `<build-config>`.
    pub build_config_dir: &'a Path,
    /// Pass-through environment.
    pub env: &'a BuildEnv,
    /// What the image will run on.
    pub target: &'a Target,
    /// Value of `CNB_EXEC_ENV`.
    pub exec_env: &'a str,
}

/// What one `bin/detect` said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectRun {
    /// Exit status; -1 where there is none (BPD-036).
    pub code: i32,
    /// Standard output and error, as they came.
    pub output: Vec<u8>,
    /// What went wrong, where the exit status does not say it.
    pub error: Option<String>,
    /// Its build plan; empty unless it passed.
    pub plan: BuildPlan,
}

/// Runs `bin/detect` of one module. Never fails: what goes wrong is part of the result.
pub fn detect(module: &Descriptor, api: BuildpackApi, inputs: &DetectInputs<'_>) -> DetectRun {
    let _ = (module, api, inputs);
    todo!()
}
