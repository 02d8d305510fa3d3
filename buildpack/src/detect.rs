//! Running `bin/detect` (BPD-021 to BPD-039, IMX-004 to IMX-006).

mod review;

use std::io;
use std::path::Path;

use crate::api::BuildpackApi;
use crate::decode;
use crate::descriptor::Descriptor;
use crate::env::BuildEnv;
use crate::fault::Advice;
use crate::plan::BuildPlan;
use crate::program::{self, Program};
use crate::syscall_text;
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
    /// For the author of the module, where it neither passed nor failed.
    pub advice: Option<Advice>,
    /// Its build plan; empty unless it passed.
    pub plan: BuildPlan,
}

/// Exit status of a module that does not want to take part.
pub const FAIL: i32 = 100;

/// Runs `bin/detect` of one module. Never fails: what goes wrong is part of the result.
pub fn detect(module: &Descriptor, api: BuildpackApi, inputs: &DetectInputs<'_>) -> DetectRun {
    let program = module.dir.join("bin").join("detect");
    let run = if module.extension && is_absent(&program) {
        prepared_plan(module)
    } else {
        executed(&program, module, api, inputs)
    };
    match forbidden(module, &run.plan) {
        Some((error, advice)) => DetectRun {
            output: run.output,
            ..DetectRun::failed(&error, advice)
        },
        None => run,
    }
}

impl DetectRun {
    /// Returns a result without an exit status of its own: the reference's words, and ours for the author.
    pub fn failed(error: &dyn std::fmt::Display, advice: Advice) -> Self {
        Self {
            code: -1,
            error: Some(error.to_string()),
            advice: Some(advice),
            ..Self::default()
        }
    }
}

/// Takes the plan that an extension without a program brings along; none is fine.
fn prepared_plan(module: &Descriptor) -> DetectRun {
    let path = module.dir.join("detect").join("plan.toml");
    match decode::from_file(&path) {
        Ok(plan) => DetectRun {
            plan,
            ..DetectRun::default()
        },
        Err(error) if error.is_not_found() => DetectRun::default(),
        Err(error) => {
            let advice = review::of_prepared_plan(&path, &error);
            DetectRun::failed(&error, advice)
        }
    }
}

fn executed(
    program: &Path,
    module: &Descriptor,
    api: BuildpackApi,
    inputs: &DetectInputs<'_>,
) -> DetectRun {
    let plan_dir = match plan_folder() {
        Ok(dir) => dir,
        Err(error) => {
            let reason = syscall_text::reason(&error);
            return DetectRun::failed(&reason, review::of_plan_folder(&reason));
        }
    };
    let plan_path = plan_dir.path().join("plan.toml");
    let run = run(program, &plan_path, module, api, inputs);
    if run.code != 0 {
        return run;
    }
    match decode::from_file(&plan_path) {
        Ok(plan) => DetectRun { plan, ..run },
        Err(error) => DetectRun {
            output: run.output,
            ..DetectRun::failed(&error, review::of_plan(program, &error))
        },
    }
}

fn run(
    program: &Path,
    plan_path: &Path,
    module: &Descriptor,
    api: BuildpackApi,
    inputs: &DetectInputs<'_>,
) -> DetectRun {
    let env = inputs.env.for_module(
        inputs.platform_dir,
        inputs.build_config_dir,
        module.clear_env,
    );
    let mut env = match env {
        Ok(env) => env,
        Err(error) => return DetectRun::failed(&error, review::of_env(&error)),
    };
    let paths = [
        ("CNB_PLATFORM_DIR", inputs.platform_dir),
        ("CNB_BUILD_PLAN_PATH", plan_path),
    ];
    program::add_own_variables(
        &mut env,
        module,
        api,
        &paths,
        inputs.target,
        inputs.exec_env,
    );

    let mut output = Vec::new();
    let status = Program {
        path: program,
        args: &[inputs.platform_dir.as_os_str(), plan_path.as_os_str()],
        env: &env,
        dir: inputs.app_dir,
    }
    .run(|bytes| {
        output.extend_from_slice(bytes);
        Ok(())
    });
    match status {
        Ok(status) => DetectRun {
            code: status.code().unwrap_or(-1),
            advice: review::of_end(program, status),
            output,
            ..DetectRun::default()
        },
        Err(fault) => {
            let advice = review::of_start(module, program, &fault);
            DetectRun {
                output,
                ..DetectRun::failed(&fault, advice)
            }
        }
    }
}

/// Makes a folder of its own, with an empty `plan.toml` that only we can read (BPD-022).
fn plan_folder() -> io::Result<tempfile::TempDir> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;

    let dir = tempfile::Builder::new().prefix("plan.").tempdir()?;
    fs_err::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dir.path().join("plan.toml"))?;
    Ok(dir)
}

/// Returns what a plan says that it must not say.
fn forbidden(module: &Descriptor, plan: &BuildPlan) -> Option<(String, Advice)> {
    let requires = || plan.alternatives().flat_map(|sections| &sections.requires);
    if module.extension
        && let Some(require) = requires().next()
    {
        let error = format!(
            "extension {} outputs \"requires\" which is not allowed",
            module.id
        );
        return Some((error, review::of_requires(module, require)));
    }
    let versioned = requires().find(|require| !require.version.is_empty())?;
    let error = format!(
        "buildpack {} has a \"version\" key which is not supported. \"metadata.version\" should be used instead",
        module.id
    );
    Some((error, review::of_version(module, versioned)))
}

fn is_absent(path: &Path) -> bool {
    fs_err::metadata(path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests;
