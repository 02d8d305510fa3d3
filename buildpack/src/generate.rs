//! Running `bin/generate` of an image extension and checking what it left (IMX-009 to IMX-019, `image_extension.md`).
//!
//! ```text
//! <output>/<escaped id>/
//!   run.Dockerfile  build.Dockerfile      what to change in which image
//!   extend-config.toml                    arguments of the two
//!   context  or  context.run context.build   folders that they copy from
//! ```
//!
//! An extension without `bin/generate` brings those files along in its folder `generate`; they are copied to where a
//! program would have written them. Which Dockerfile counts is for the caller to say, who sees all extensions.

mod prepared;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::api::BuildpackApi;
use crate::descriptor::Descriptor;
use crate::dockerfile::{self, Effect, Kind};
use crate::env::BuildEnv;
use crate::extend_config;
use crate::fault::{Advice, Fault};
use crate::group::escape_id;
use crate::plan::BuildpackPlan;
use crate::program::Program;
use crate::syscall_text;
use crate::target::Target;

/// Files in an extension's output that mean something.
const FILES: [&str; 3] = [
    Kind::Run.file_name(),
    Kind::Build.file_name(),
    extend_config::FILE_NAME,
];

/// Folders in an extension's output that mean something: for both images, or for one.
const CONTEXTS: [&str; 3] = ["context", "context.build", "context.run"];

/// What every `bin/generate` of a run gets.
#[derive(Clone, Copy, Debug)]
pub struct GenerateInputs<'a> {
    /// Working directory.
    pub app_dir: &'a Path,
    /// Each extension gets a folder of its own in it.
    pub output_dir: &'a Path,
    /// `<platform>`.
    pub platform_dir: &'a Path,
    /// `<build-config>`.
    pub build_config_dir: &'a Path,
    /// Pass-through environment.
    pub env: &'a BuildEnv,
    /// What the image will run on.
    pub target: &'a Target,
}

/// What one extension left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenerateOutputs {
    /// `run.Dockerfile` in front of `build.Dockerfile`.
    pub dockerfiles: Vec<Dockerfile>,
    /// Folders that Dockerfiles copy from.
    pub contexts: Vec<PathBuf>,
    /// Names of plan entries: all that it was given, because an extension cannot leave any unmet (IMX-013).
    pub met: Vec<String>,
}

/// A Dockerfile that was found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Which image it is for.
    pub kind: Kind,
    /// Where it is.
    pub path: PathBuf,
    /// What it does.
    pub effect: Effect,
}

/// Runs one extension's `bin/generate`, if it has one, and checks its outputs. Its own output goes to `output` as it
/// comes, what to warn about to `warn`, also where the outputs are then refused.
pub fn generate(
    module: &Descriptor,
    api: BuildpackApi,
    plan: &BuildpackPlan,
    inputs: &GenerateInputs<'_>,
    output: &mut (dyn Write + Send),
    warn: &mut dyn FnMut(String),
) -> Result<GenerateOutputs, Error> {
    let dir = inputs.output_dir.join(escape_id(&module.id));
    let handed_over = plan.hand_over(&module.id)?;
    syscall_text::make_dirs(&dir).map_err(|e| no_output_dir(&dir, &e))?;

    let program = module.dir.join("bin").join("generate");
    let outputs = if exists(&program)? {
        run(
            &program,
            &dir,
            &handed_over.path,
            module,
            api,
            inputs,
            output,
        )?;
        read(module, &dir, warn)?
    } else {
        let prepared = module.dir.join("generate");
        let found = read(module, &prepared, warn)?;
        prepared::copy(&prepared, &dir, &module.dir)?;
        found.moved(&prepared, &dir)
    };
    Ok(GenerateOutputs {
        met: plan
            .entries
            .iter()
            .map(|entry| entry.name.clone())
            .collect(),
        ..outputs
    })
}

/// Why an extension generated nothing that can be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `bin/generate` could not run or ended badly: exit code 91 (IMX-014).
    #[error("{0}")]
    Extension(Fault),
    /// Everything else: exit code 92.
    #[error("{0}")]
    Outputs(Fault),
}

impl Error {
    /// Returns what the author of the extension should know.
    pub fn advice(&self) -> &Advice {
        match self {
            Self::Extension(fault) | Self::Outputs(fault) => &fault.advice,
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Outputs(fault)
    }
}

fn no_output_dir(dir: &Path, error: &syscall_text::Error) -> Fault {
    let reason = syscall_text::reason(&error.cause);
    let problem = format!("the folder for its output cannot be made: {reason}");
    let remedy = "remove what is in its place, or let the building user write there";
    Fault::new(error, Advice::new(dir, problem, remedy))
}

impl GenerateOutputs {
    /// Returns the same outputs in another folder.
    fn moved(mut self, from: &Path, to: &Path) -> Self {
        let dockerfiles = self.dockerfiles.iter_mut().map(|it| &mut it.path);
        for path in dockerfiles.chain(&mut self.contexts) {
            if let Ok(inside) = path.strip_prefix(from) {
                *path = to.join(inside);
            }
        }
        self
    }
}

fn run(
    program: &Path,
    dir: &Path,
    plan_path: &Path,
    module: &Descriptor,
    api: BuildpackApi,
    inputs: &GenerateInputs<'_>,
    output: &mut (dyn Write + Send),
) -> Result<(), Error> {
    let mut env = inputs
        .env
        .for_module(
            inputs.platform_dir,
            inputs.build_config_dir,
            module.clear_env,
        )
        .map_err(|e| e.fault())?;
    // Unlike those of detect and build, these do not depend on the API.
    for (name, path) in [
        ("CNB_BP_PLAN_PATH", plan_path),
        ("CNB_EXTENSION_DIR", &module.dir),
        ("CNB_OUTPUT_DIR", dir),
        ("CNB_PLATFORM_DIR", inputs.platform_dir),
    ] {
        env.insert(name.into(), path.into());
    }
    if api.has_target_variables() {
        let variables = inputs.target.variables().into_iter();
        env.extend(variables.map(|(name, value)| (name.into(), value.into())));
    }
    Program {
        path: program,
        args: &[
            dir.as_os_str(),
            inputs.platform_dir.as_os_str(),
            plan_path.as_os_str(),
        ],
        env: &env,
        dir: inputs.app_dir,
    }
    .succeed(output)
    .map_err(Error::Extension)
}

/// Reads and checks what lies in a folder; a missing folder holds nothing.
fn read(
    module: &Descriptor,
    dir: &Path,
    warn: &mut dyn FnMut(String),
) -> Result<GenerateOutputs, Error> {
    extend_config::check(&dir.join(extend_config::FILE_NAME))?;
    let mut outputs = GenerateOutputs::default();
    for kind in [Kind::Run, Kind::Build] {
        let path = dir.join(kind.file_name());
        if !exists(&path)? {
            continue;
        }
        let effect = dockerfile::read(&path, kind, warn).map_err(|error| {
            let text = format!(
                "failed to parse {} for extension {}: {error}",
                kind.file_name(),
                module.id
            );
            let advice = Advice::new(&path, error.problem, error.remedy).at(error.line);
            Fault::new(text, advice)
        })?;
        outputs.dockerfiles.push(Dockerfile { kind, path, effect });
    }
    outputs.contexts = contexts(dir)?;
    for advice in misnamed(dir) {
        let label = module.label();
        warn(format!("extension {label}: {advice}; {}", advice.remedy));
    }
    Ok(outputs)
}

/// Returns what an author may have meant to be an output, whose name nobody looks for.
fn misnamed(dir: &Path) -> Vec<Advice> {
    let entries = syscall_text::read_dir_if_present(dir).unwrap_or_default();
    let meant = |name: &str| {
        let mut known = FILES.iter().chain(&CONTEXTS);
        match known.find(|known| known.eq_ignore_ascii_case(name)) {
            Some(exact) if *exact == name => None,
            Some(near) => Some((*near).to_owned()),
            None => name
                .eq_ignore_ascii_case("Dockerfile")
                .then(|| format!("{} or {}", FILES[0], FILES[1])),
        }
    };
    let advice = |entry: &syscall_text::Entry| {
        let meant = meant(&entry.name.to_string_lossy())?;
        let remedy = format!("call it {meant}");
        Some(Advice::new(
            &entry.path,
            "is not looked at under this name",
            remedy,
        ))
    };
    entries.iter().filter_map(advice).collect()
}

/// Returns the folders to copy from: one for both images, or one for each (IMX-018).
fn contexts(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for name in CONTEXTS {
        let path = dir.join(name);
        if is_dir(&path)? {
            found.push(path);
        }
    }
    match &found[..] {
        [shared, own, ..] if shared.ends_with("context") => {
            let text = "image-specific context dir is provided together with a shared context";
            let problem = format!(
                "stands beside {}, which is for both images",
                shared.display()
            );
            let remedy = "keep one folder for both images, context, or one for each, context.build and context.run";
            Err(Fault::new(text, Advice::new(own, problem, remedy)).into())
        }
        _ => Ok(found),
    }
}

fn exists(path: &Path) -> Result<bool, Error> {
    metadata(path).map(|found| found.is_some())
}

fn is_dir(path: &Path) -> Result<bool, Error> {
    metadata(path).map(|found| found.is_some_and(|it| it.is_dir()))
}

fn metadata(path: &Path) -> Result<Option<std::fs::Metadata>, Error> {
    match fs_err::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let problem = format!("cannot be looked at: {}", syscall_text::reason(&error));
            let remedy = "let the building user look into its folder";
            let advice = Advice::new(path, problem, remedy);
            Err(Fault::new(syscall_text::Error::new("stat", path, error), advice).into())
        }
    }
}

#[cfg(test)]
mod tests;
