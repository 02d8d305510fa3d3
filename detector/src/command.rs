//! From flags to files: reads what a platform gave, detects, writes `group.toml` and `plan.toml`, generates
//! (DET-001 to DET-007, DET-031 to DET-038).

use std::path::Path;

use buildpack::descriptor::Modules;
use buildpack::env::BuildEnv;
use platform::entry::Invocation;
use platform::experimental::{self, Feature};
use platform::files::{self, Analyzed, System};
use platform::inputs::detector::{self, Inputs as Flags};
use platform::{ExitCode, Failure};
use tracing::debug;

use crate::{Detector, Inputs, Outputs, advice, generate};

/// Runs the phase as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = detector::parse(invocation)? else {
        return Ok(());
    };
    debug!("Ensuring privileges...");
    if platform::privileges::is_root() {
        return Err(Failure::new(
            ExitCode::Failed,
            "detect",
            anyhow::anyhow!("refusing to run as root"),
        ));
    }
    debug!("Executing command...");
    let analyzed =
        files::analyzed::read(&flags.analyzed_path).map_err(|failure| set_up(failure.error))?;
    let found = detect(invocation, &flags, &analyzed)?;
    if found.group.has_extensions() {
        generate(invocation, &flags, &analyzed, &found)?;
    }
    Ok(())
}

/// Runs the extensions of the group; `analyzed.toml` and `plan.toml` are then no longer what they were (DET-038).
fn generate(
    invocation: &Invocation,
    flags: &Flags,
    analyzed: &Analyzed,
    found: &Outputs,
) -> Result<(), Failure> {
    let run = files::run::read_run(&flags.run_path)
        .map_err(|failure| Failure::new(ExitCode::Failed, "initialize generator", failure.error))?;
    let inputs = generate::Inputs {
        api: invocation.api,
        extensions: &found.group.group_extensions,
        plan: &found.plan,
        analyzed,
        run: &run,
        modules: &modules(flags),
        app_dir: &flags.app_dir,
        platform_dir: &flags.platform_dir,
        build_config_dir: &flags.build_config_dir,
        generated_dir: &flags.generated_dir,
        env: &env(invocation),
        os_release: Path::new(platform::target::OS_RELEASE),
    };
    let generated = generate::run(&inputs, platform::log::relay().as_mut())?;
    files::analyzed::write(&flags.analyzed_path, &generated.analyzed)?;
    files::plan::write(&flags.plan_path, &generated.plan)
}

fn modules(flags: &Flags) -> Modules {
    Modules {
        buildpacks: flags.buildpacks_dir.clone(),
        extensions: flags.extensions_dir.clone(),
    }
}

fn env(invocation: &Invocation) -> BuildEnv {
    let outer = invocation.variables.iter();
    BuildEnv::from_outer(outer.map(|(name, value)| (name.clone(), value.clone())))
}

fn set_up(cause: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Failed, "initialize detector", cause)
}

/// Detects and writes `group.toml` and `plan.toml`: the way that the detector and the creator share.
pub fn detect(
    invocation: &Invocation,
    flags: &Flags,
    analyzed: &Analyzed,
) -> Result<Outputs, Failure> {
    let order = files::order::read(&flags.order_path).map_err(|cause| {
        advice::of_order_file(&flags.order_path, &cause).tell();
        set_up(cause.context("reading order"))
    })?;
    let system = if invocation.api.has_system_buildpacks() {
        files::system::read(&flags.system_path).map_err(|cause| {
            advice::of_system_file(&flags.system_path, &cause).tell();
            set_up(cause.context("reading system"))
        })?
    } else {
        System::default()
    };
    let (modules, env) = (modules(flags), env(invocation));
    let detector = Detector::new(Inputs {
        api: invocation.api,
        order: &order,
        order_path: &flags.order_path,
        system: &system,
        system_path: &flags.system_path,
        modules: &modules,
        app_dir: &flags.app_dir,
        platform_dir: &flags.platform_dir,
        build_config_dir: &flags.build_config_dir,
        env: &env,
        target: analyzed
            .run_image
            .as_ref()
            .and_then(|image| image.target.as_ref()),
        os_release: Path::new(platform::target::OS_RELEASE),
        exec_env: &flags.exec_env,
    })?;
    if !order.order_extensions.is_empty() && !invocation.api.has_stable_dockerfiles() {
        let mode = invocation.variables.get("CNB_EXPERIMENTAL_MODE");
        experimental::guard(Feature::Dockerfiles, mode)?;
    }
    let found = detector.detect()?;
    files::group::write(&flags.group_path, &found.group)?;
    files::plan::write(&flags.plan_path, &found.plan)?;
    Ok(found)
}
