//! Running `bin/build` and reading what it left (BPB-001 to BPB-061).

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::api::BuildpackApi;
use crate::descriptor::Descriptor;
use crate::env::BuildEnv;
use crate::launch::{Label, Process, Slice};
use crate::plan::BuildpackPlan;
use crate::sbom::BomEntry;
use crate::target::Target;

/// What every `bin/build` of a run gets.
#[derive(Clone, Copy, Debug)]
pub struct BuildInputs<'a> {
    /// Working directory.
    pub app_dir: &'a Path,
    /// `<layers>`.
    pub layers_dir: &'a Path,
    /// `<platform>`.
    pub platform_dir: &'a Path,
    /// `<build-config>`.
    pub build_config_dir: &'a Path,
    /// What the image will run on.
    pub target: &'a Target,
    /// Value of `CNB_EXEC_ENV`.
    pub exec_env: &'a str,
}

/// An SBOM file that a buildpack wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbomFile {
    /// Who wrote it.
    pub buildpack_id: String,
    /// Its layer; `None` for `launch.sbom.*` and `build.sbom.*`.
    pub layer: Option<String>,
    /// Where it belongs: any of `launch`, `build`, `cache` (BPB-060, BPB-061).
    pub kinds: Vec<&'static str>,
    /// The file.
    pub path: PathBuf,
    /// `sbom.cdx.json` and its kin.
    pub file_name: &'static str,
}

/// What one buildpack left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildOutputs {
    /// Names of plan entries that it met (BPB-017).
    pub met: Vec<String>,
    /// `[[labels]]`.
    pub labels: Vec<Label>,
    /// `[[processes]]`, with the buildpack's id.
    pub processes: Vec<Process>,
    /// `[[slices]]`.
    pub slices: Vec<Slice>,
    /// `[[bom]]` of launch.toml.
    pub launch_bom: Vec<BomEntry>,
    /// `[[bom]]` of build.toml.
    pub build_bom: Vec<BomEntry>,
    /// SBOM files, validated.
    pub sboms: Vec<SbomFile>,
    /// Things to warn about, in order.
    pub warnings: Vec<String>,
}

/// Runs `bin/build` of one buildpack, renames ignored layers, adds its build layers to `env` and reads its files.
/// The buildpack's own output goes to `output` as it comes.
pub fn build(
    module: &Descriptor,
    api: BuildpackApi,
    plan: &BuildpackPlan,
    inputs: &BuildInputs<'_>,
    env: &mut BuildEnv,
    output: &mut (dyn Write + Send),
) -> Result<BuildOutputs, Error> {
    let _ = (module, api, plan, inputs, env, output);
    todo!()
}

/// Why a buildpack's build failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `bin/build` could not run or ended badly: exit code 51 (BPB-011).
    #[error("{0}")]
    Buildpack(String),
    /// Everything else: exit code 52 (BPB-012).
    #[error("{0}")]
    Outputs(String),
}
