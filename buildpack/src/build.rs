//! Running `bin/build` and reading what it left (BPB-001 to BPB-061).

mod layers;
mod outputs;
mod review;

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::api::BuildpackApi;
use crate::descriptor::Descriptor;
use crate::env::BuildEnv;
use crate::fault::{Advice, Fault};
use crate::group::escape_id;
use crate::launch::{Label, Process, Slice};
use crate::plan::BuildpackPlan;
use crate::program::{self, Program};
use crate::sbom::BomEntry;
use crate::syscall_text;
use crate::target::Target;
use outputs::Reader;

pub use crate::sbom::SbomFile;

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
}

/// Runs `bin/build` of one buildpack, renames ignored layers, adds its build layers to `env` and reads its files.
/// The buildpack's own output goes to `output` as it comes; what to warn about goes to `warn`, also where the build then fails.
pub fn build(
    module: &Descriptor,
    api: BuildpackApi,
    plan: &BuildpackPlan,
    inputs: &BuildInputs<'_>,
    env: &mut BuildEnv,
    output: &mut (dyn Write + Send),
    warn: &mut dyn FnMut(String),
) -> Result<BuildOutputs, Error> {
    let layers = inputs.layers_dir.join(escape_id(&module.id));
    let handed_over = plan.hand_over(&module.id)?;
    syscall_text::make_dirs(&layers).map_err(|e| no_layers_dir(&layers, &e))?;

    let paths = [&layers, &handed_over.path];
    run(module, api, inputs, env, paths, output)?;
    let types = layers::scan(&layers)?;
    // In the order of file names, in which "a-b.toml" precedes "a.toml" (BPL-019).
    for (name, metadata) in &types {
        if metadata.build {
            env.add_build_layer(&layers.join(name))
                .map_err(|e| e.fault())?;
        }
    }
    let types = types.into_iter().collect();
    let outputs = Reader {
        module,
        api,
        layers: &layers,
    }
    .outputs(plan, &types, warn)?;
    for advice in review::all(&layers, &types) {
        warn(format!(
            "buildpack {}: {advice}; {}",
            module.label(),
            advice.remedy
        ));
    }
    Ok(outputs)
}

fn no_layers_dir(layers: &Path, error: &syscall_text::Error) -> Fault {
    let reason = syscall_text::reason(&error.cause);
    let problem = format!("the folder for its layers cannot be made: {reason}");
    let remedy = "remove what is in its place, or let the building user write there";
    Fault::new(error, Advice::new(layers, problem, remedy))
}

/// Why a buildpack's build failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `bin/build` could not run or ended badly: exit code 51 (BPB-011).
    #[error("{0}")]
    Buildpack(Fault),
    /// Everything else: exit code 52 (BPB-012).
    #[error("{0}")]
    Outputs(Fault),
}

impl Error {
    /// Returns what the author of the buildpack should know.
    pub fn advice(&self) -> &Advice {
        match self {
            Self::Buildpack(fault) | Self::Outputs(fault) => &fault.advice,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Outputs(fault)
    }
}

fn run(
    module: &Descriptor,
    api: BuildpackApi,
    inputs: &BuildInputs<'_>,
    env: &BuildEnv,
    [layers, plan_path]: [&PathBuf; 2],
    output: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let mut env = env
        .for_module(
            inputs.platform_dir,
            inputs.build_config_dir,
            module.clear_env,
        )
        .map_err(|e| e.fault())?;
    let paths = [
        ("CNB_PLATFORM_DIR", inputs.platform_dir),
        ("CNB_BP_PLAN_PATH", plan_path.as_path()),
        ("CNB_LAYERS_DIR", layers.as_path()),
    ];
    program::add_own_variables(
        &mut env,
        module,
        api,
        &paths,
        inputs.target,
        inputs.exec_env,
    );
    let program = module.dir.join("bin").join("build");
    Program {
        path: &program,
        args: &[
            layers.as_os_str(),
            inputs.platform_dir.as_os_str(),
            plan_path.as_os_str(),
        ],
        env: &env,
        dir: inputs.app_dir,
    }
    .succeed(output)
    .map_err(Error::Buildpack)
}

#[cfg(test)]
mod tests;
