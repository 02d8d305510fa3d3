//! The order of a launch (BPX-026, BPX-027): checks, choice of the process, app directory, environment, exec.d,
//! then the process itself, directly or through a shell.

use std::convert::Infallible;
use std::path::{Path, PathBuf};

use crate::api::{PlatformApi, Version};
use crate::env::Env;
use crate::error::{Context as _, Error, Exit, Failure, Result};
use crate::exec::{self, Program};
use crate::inputs::Inputs;
use crate::layers::Layers;
use crate::log::Log;
use crate::metadata::{Buildpack, DeclaredBuildpack, Metadata};
use crate::process::{Offer, Start};
use crate::{execd, lookup, profile, shell};

/// Becomes the process that the inputs ask for; returns only why it could not.
pub(crate) fn run(inputs: Inputs, log: Log) -> std::result::Result<Infallible, Failure> {
    let platform_api = platform_api(&inputs).map_err(Exit::IncompatiblePlatformApi.of())?;
    let Metadata {
        processes,
        buildpacks,
    } = Metadata::read(&inputs.layers_dir)
        .context("failed to read metadata")
        .map_err(Exit::Failed.of())?;
    let buildpacks = buildpacks
        .into_iter()
        .map(DeclaredBuildpack::check)
        .collect::<Result<Vec<_>>>()
        .map_err(Exit::IncompatibleBuildpackApi.of())?;
    warn_of_process_type(&inputs, platform_api, log);
    let offer = Offer {
        processes: &processes,
        buildpacks: &buildpacks,
        platform_api,
        exec_env: &inputs.exec_env,
    };
    offer
        .select(&inputs.argv0, &inputs.user_args)
        .context("determine start command")
        .and_then(|start| launch(inputs, &buildpacks, start))
        .context("failed to launch")
        .map_err(Exit::LaunchError.of())
}

fn platform_api(inputs: &Inputs) -> Result<PlatformApi> {
    let value = inputs.platform_api.to_string_lossy();
    if value.trim().is_empty() {
        return Err(Error::new(
            "failed to get platform API version; \
             please set 'CNB_PLATFORM_API' to specify the desired platform API version",
        ));
    }
    let version = Version::parse(&value)
        .ok_or_else(|| Error::new(format!("failed to parse platform API '{value}'")))?;
    PlatformApi::supported(version)
        .ok_or_else(|| {
            Error::new(format!(
                "platform API version '{value}' is incompatible with the lifecycle"
            ))
        })
        .context("failed to set platform API")
}

/// Tells users of an old way to choose a process what to do now (BPX-010).
fn warn_of_process_type(inputs: &Inputs, platform_api: PlatformApi, log: Log) {
    if let Some(process_type) = &inputs.unsupported_process_type {
        let process_type = process_type.display();
        log.warning(format_args!(
            "CNB_PROCESS_TYPE is not supported in Platform API {platform_api}"
        ));
        log.warning(format_args!(
            "Run with ENTRYPOINT '{process_type}' to invoke the '{process_type}' process type"
        ));
    }
}

fn launch(inputs: Inputs, buildpacks: &[Buildpack], start: Start) -> Result<Infallible> {
    change_directory(&inputs.app_dir).context("change to app directory")?;
    let layers = Layers::new(
        &inputs.layers_dir,
        buildpacks,
        start.process_type.as_deref(),
    );
    let mut env = Env::at_launch(inputs.environment);
    env.apply_layers(layers).context("modify env")?;
    execd::run_all(layers, &mut env).context("exec.d")?;
    let working_dir = if start.working_dir.is_empty() {
        inputs.app_dir.clone()
    } else {
        PathBuf::from(&start.working_dir)
    };
    if start.direct {
        launch_direct(start, &working_dir, &env)
    } else {
        let profiles = profile::scripts(layers, &inputs.app_dir).context("find profiles")?;
        shell::check_provider(&start, buildpacks)?;
        let program = shell::program(start, &inputs.argv0, &profiles, &working_dir, &env);
        program
            .and_then(exec::replace_launcher)
            .context("bash exec")
    }
}

fn launch_direct(start: Start, working_dir: &Path, env: &Env) -> Result<Infallible> {
    let Some(command) = start.command.first() else {
        let process_type = start.process_type.unwrap_or_default();
        return Err(Error::new(format!(
            "no command provided for process type {process_type:?}"
        )));
    };
    // The look-up happens in the app directory, the start in the working directory (BPX-030).
    let path = lookup::executable(command, env.get("PATH")).context("path lookup")?;
    change_directory(working_dir).context("change directory")?;
    let argv = start.command.into_iter().chain(start.args);
    let program = Program::new(path, argv, env);
    program
        .and_then(exec::replace_launcher)
        .context("direct exec")
}

fn change_directory(dir: &Path) -> Result<()> {
    std::env::set_current_dir(dir).context(format_args!("chdir {}", dir.display()))
}
