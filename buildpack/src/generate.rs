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
use crate::group::escape_id;
use crate::plan::BuildpackPlan;
use crate::program::{self, Program};
use crate::syscall_text;
use crate::target::Target;

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
/// comes, things to warn of to `warnings`, also where it fails.
pub fn generate(
    module: &Descriptor,
    api: BuildpackApi,
    plan: &BuildpackPlan,
    inputs: &GenerateInputs<'_>,
    output: &mut (dyn Write + Send),
    warnings: &mut Vec<String>,
) -> Result<GenerateOutputs, Error> {
    let dir = inputs.output_dir.join(escape_id(&module.id));
    let handed_over = plan.hand_over(&module.id).map_err(Error::other)?;
    syscall_text::make_dirs(&dir).map_err(Error::other)?;

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
        read(module, &dir, warnings)?
    } else {
        let prepared = module.dir.join("generate");
        let found = read(module, &prepared, warnings)?;
        prepared::copy(&prepared, &dir, &module.dir).map_err(Error::other)?;
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
    Extension(String),
    /// Everything else: exit code 92.
    #[error("{text}")]
    Outputs {
        /// What is wrong, in the reference's words.
        text: String,
        /// Where it is wrong and what to do, where the text does not say.
        advice: Option<Advice>,
    },
}

/// A place in an extension's output, and what is to be done there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// File or folder.
    pub path: PathBuf,
    /// Line of the file; 0 for the whole of it.
    pub line: usize,
    /// What to do; empty where the place says enough.
    pub text: String,
}

impl std::fmt::Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}

impl Error {
    fn other(text: impl std::fmt::Display) -> Self {
        Self::Outputs {
            text: text.to_string(),
            advice: None,
        }
    }

    fn advised(text: impl std::fmt::Display, path: PathBuf, line: usize, advice: String) -> Self {
        Self::Outputs {
            text: text.to_string(),
            advice: Some(Advice {
                path,
                line,
                text: advice,
            }),
        }
    }
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
        .map_err(Error::other)?;
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
    let status = Program {
        path: program,
        args: &[
            dir.as_os_str(),
            inputs.platform_dir.as_os_str(),
            plan_path.as_os_str(),
        ],
        env: &env,
        dir: inputs.app_dir,
    }
    .run(|bytes| {
        output.write_all(bytes)?;
        output.flush()
    })
    .map_err(|e| Error::Extension(e.to_string()))?;
    match program::ending(status) {
        Some(ending) => Err(Error::Extension(ending)),
        None => Ok(()),
    }
}

/// Reads and checks what lies in a folder; a missing folder holds nothing.
fn read(
    module: &Descriptor,
    dir: &Path,
    warnings: &mut Vec<String>,
) -> Result<GenerateOutputs, Error> {
    let config = dir.join(extend_config::FILE_NAME);
    extend_config::check(&config).map_err(|error| match &error {
        extend_config::Error::Reserved { list, name } => {
            let advice = format!("take {name} out of [[{list}]]; the lifecycle sets it");
            Error::advised(&error, config.clone(), 0, advice)
        }
        extend_config::Error::Read(_) => Error::advised(&error, config.clone(), 0, String::new()),
    })?;
    let mut outputs = GenerateOutputs::default();
    for kind in [Kind::Run, Kind::Build] {
        let path = dir.join(kind.file_name());
        if !exists(&path)? {
            continue;
        }
        let effect = dockerfile::read(&path, kind, warnings).map_err(|error| {
            let text = format!(
                "failed to parse {} for extension {}: {error}",
                kind.file_name(),
                module.id
            );
            Error::advised(text, path.clone(), error.line, error.advice)
        })?;
        outputs.dockerfiles.push(Dockerfile { kind, path, effect });
    }
    outputs.contexts = contexts(dir)?;
    Ok(outputs)
}

/// Returns the folders to copy from: one for both images, or one for each (IMX-018).
fn contexts(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for name in ["context", "context.build", "context.run"] {
        let path = dir.join(name);
        if is_dir(&path)? {
            found.push(path);
        }
    }
    match &found[..] {
        [shared, own, ..] if shared.ends_with("context") => Err(Error::advised(
            "image-specific context dir is provided together with a shared context",
            own.clone(),
            0,
            format!("keep either this folder or {}", shared.display()),
        )),
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
        Err(error) => Err(Error::other(syscall_text::Error::new("stat", path, error))),
    }
}

#[cfg(test)]
mod tests;
