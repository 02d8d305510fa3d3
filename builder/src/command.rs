//! From flags to `metadata.toml` (BLD-001 to BLD-005, BLD-011).

use std::path::{Path, PathBuf};

use buildpack::descriptor::Modules;
use buildpack::env::BuildEnv;
use buildpack::group::Group;
use buildpack::plan::Plan;
use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::inputs::builder::{self, Inputs as Flags};
use platform::{ExitCode, Failure, files};
use tracing::debug;

use crate::Inputs;

/// Runs the phase as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = builder::parse(invocation)? else {
        return Ok(());
    };
    debug!("Ensuring privileges...");
    if platform::privileges::is_root() {
        return Err(Failure::new(
            ExitCode::Failed,
            "build",
            anyhow::anyhow!("refusing to run as root"),
        ));
    }
    debug!("Executing command...");
    let group = files::group::read(&flags.group_path)?;
    let plan = files::plan::read(&flags.plan_path)?;
    crate::verify_apis(&group)?;
    let analyzed = files::analyzed::read(&flags.analyzed_path).map_err(|failure| {
        Failure::new(ExitCode::Failed, "reading analyzed.toml", failure.error)
    })?;
    build(invocation, &flags, &group, &plan, &analyzed)
}

/// Builds and writes `metadata.toml`: the way that the builder and the creator share.
pub fn build(
    invocation: &Invocation,
    flags: &Flags,
    group: &Group,
    plan: &Plan,
    analyzed: &Analyzed,
) -> Result<(), Failure> {
    // Composite buildpacks are resolved by now and extensions do not build: no other folder is looked at.
    let modules = Modules {
        buildpacks: flags.buildpacks_dir.clone(),
        extensions: PathBuf::new(),
    };
    let outer = invocation
        .variables
        .iter()
        .map(|(name, value)| (name.clone(), value.clone()));
    let env = BuildEnv::from_outer(outer);
    let inputs = Inputs {
        api: invocation.api,
        group,
        plan,
        modules: &modules,
        app_dir: &flags.app_dir,
        layers_dir: &flags.layers_dir,
        platform_dir: &flags.platform_dir,
        build_config_dir: &flags.build_config_dir,
        env: &env,
        target: analyzed
            .run_image
            .as_ref()
            .and_then(|image| image.target.as_ref()),
        os_release: Path::new("/etc/os-release"),
        exec_env: &flags.exec_env,
    };
    let metadata = crate::run(inputs, &mut platform::log::relay())?;
    files::metadata::write(&flags.layers_dir, &metadata, invocation.api)
}
