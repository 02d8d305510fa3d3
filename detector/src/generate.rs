//! Generation: the extensions of a group say how build image and run image shall change (platform.md, detector).
//!
//! ```text
//! group-extensions ─► bin/generate of each, in order ─► Dockerfiles ─► run image ─► analyzed.toml
//!        plan.toml ──────┘  └─► plan.toml without what was met            └─► <generated>
//! ```
//!
//! One extension alone is `buildpack::generate`'s; here is what they come to together (IMX-008 to IMX-016,
//! IMX-026 to IMX-032, DET-033 to DET-038). Nothing is applied here: that is the extender's work.

mod placement;
mod run_image;

use std::io::Write;
use std::path::Path;

use buildpack::descriptor::Modules;
use buildpack::dockerfile::Kind;
use buildpack::env::BuildEnv;
use buildpack::generate::{self, Dockerfile, GenerateInputs};
use buildpack::group::GroupElement;
use buildpack::plan::Plan;
use platform::files::{Analyzed, RunToml};
use platform::{ExitCode, Failure, PlatformApi};
use tracing::{debug, warn};

use crate::advice::Explanation;

/// What generation works on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// Extensions of the group, in order.
    pub extensions: &'a [GroupElement],
    /// The plan that detection made.
    pub plan: &'a Plan,
    /// What the analyzer found.
    pub analyzed: &'a Analyzed,
    /// Run images that the platform knows.
    pub run: &'a RunToml,
    /// Where modules are.
    pub modules: &'a Modules,
    /// The app, working directory of every `bin/generate`.
    pub app_dir: &'a Path,
    /// `<platform>`.
    pub platform_dir: &'a Path,
    /// `<build-config>`.
    pub build_config_dir: &'a Path,
    /// `<generated>`.
    pub generated_dir: &'a Path,
    /// Variables that may pass to extensions.
    pub env: &'a BuildEnv,
    /// `/etc/os-release`, read where the target has no distribution.
    pub os_release: &'a Path,
}

/// What extensions came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// What the analyzer found, with the run image that extensions chose.
    pub analyzed: Analyzed,
    /// The plan without the entries that extensions met.
    pub plan: Plan,
}

/// A Dockerfile, and whose it is.
#[derive(Clone, Debug)]
struct Generated {
    extension: GroupElement,
    dockerfile: Dockerfile,
    /// A later extension switches the run image, so that this one has no effect (IMX-026).
    ignored: bool,
}

impl Generated {
    fn is_for_run_image(&self) -> bool {
        self.dockerfile.kind == Kind::Run
    }
}

/// Runs every extension. What `bin/generate` prints goes to `output` as it comes.
pub fn run(inputs: &Inputs<'_>, output: &mut (dyn Write + Send)) -> Result<Outputs, Failure> {
    let _timer = platform::log::timer("Generator");
    // Below 0.13 the folder goes when this function is left.
    let folder = placement::OutputFolder::new(inputs).map_err(failed)?;
    let (mut dockerfiles, plan) = run_extensions(inputs, folder.path(), output)?;
    debug!("Checking run image");
    let choice = run_image::choose(&mut dockerfiles);
    let analyzed = run_image::record(inputs, &choice);
    debug!("Copying Dockerfiles");
    placement::place(inputs, &dockerfiles).map_err(failed)?;
    Ok(Outputs { analyzed, plan })
}

fn run_extensions(
    inputs: &Inputs<'_>,
    output_dir: &Path,
    output: &mut (dyn Write + Send),
) -> Result<(Vec<Generated>, Plan), Failure> {
    let target = inputs.analyzed.run_image.as_ref();
    let target = target.and_then(|image| image.target.as_ref());
    let target = platform::target::for_buildpacks(target, inputs.os_release);
    let generate_inputs = GenerateInputs {
        app_dir: inputs.app_dir,
        output_dir,
        platform_dir: inputs.platform_dir,
        build_config_dir: inputs.build_config_dir,
        env: inputs.env,
        target: &target,
    };
    let (mut dockerfiles, mut plan) = (Vec::new(), inputs.plan.clone());
    for extension in inputs.extensions {
        let label = extension.label();
        debug!("Running generate for extension {label}");
        let api = platform::api::verify_module("Extension", extension)?;
        debug!("Looking up extension");
        let module = inputs
            .modules
            .extension(&extension.id, &extension.version)
            .map_err(|cause| failed(cause.into()))?;
        debug!("Finding plan");
        let offered = plan.find(&extension.id, true);
        debug!("Invoking command");
        let outputs = generate::generate(
            &module,
            api,
            &offered,
            &generate_inputs,
            output,
            &mut |warning| warn!("{warning}"),
        );
        let outputs = outputs.map_err(|error| {
            Explanation::of(extension, error.advice()).tell();
            let code = match error {
                generate::Error::Extension(_) => ExitCode::Extension,
                _ => ExitCode::Generate,
            };
            Failure::new(code, "build", error)
        })?;
        for dockerfile in outputs.dockerfiles {
            debug!("Found {} for processing", dockerfile.kind.file_name());
            dockerfiles.push(Generated {
                extension: extension.clone(),
                dockerfile,
                ignored: false,
            });
        }
        let contexts = outputs.contexts.len();
        debug!("Found '{contexts}' Build Contexts for processing");
        plan = plan.without(&outputs.met);
        debug!("Finished running generate for extension {label}");
    }
    Ok((dockerfiles, plan))
}

fn failed(cause: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Generate, "build", cause)
}

#[cfg(test)]
mod tests;
