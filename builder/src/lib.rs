//! The builder phase: buildpacks turn the app into layers (platform.md, builder).
//!
//! Running one `bin/build` is `buildpack::build`'s; here is the order of things, what passes from one buildpack to
//! the next, and what is collected for the exporter (BPB-013 to BPB-018, BPB-040 to BPB-043, BLD-003 to BLD-019).

pub mod command;
mod processes;
mod sbom;

use std::io::Write;
use std::path::Path;

use buildpack::build::{self, BuildInputs, BuildOutputs};
use buildpack::descriptor::{self, Modules};
use buildpack::env::BuildEnv;
use buildpack::fault::Advice;
use buildpack::group::{Group, GroupElement};
use buildpack::plan::Plan;
use buildpack::target::Target;
use platform::files::BuildMetadata;
use platform::{ExitCode, Failure, PlatformApi};
use tracing::{debug, error, warn};

use crate::processes::Processes;

/// What a build works on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// Buildpacks to run, in order.
    pub group: &'a Group,
    /// What they shall bring.
    pub plan: &'a Plan,
    /// Where they are.
    pub modules: &'a Modules,
    /// The app, working directory of every `bin/build`.
    pub app_dir: &'a Path,
    /// `<layers>`.
    pub layers_dir: &'a Path,
    /// `<platform>`.
    pub platform_dir: &'a Path,
    /// `<build-config>`.
    pub build_config_dir: &'a Path,
    /// Variables that may pass to buildpacks.
    pub env: &'a BuildEnv,
    /// Target of the run image as the analyzer wrote it.
    pub target: Option<&'a Target>,
    /// `/etc/os-release`, read where the target has no distribution.
    pub os_release: &'a Path,
    /// Value of `CNB_EXEC_ENV`.
    pub exec_env: &'a str,
}

/// Builds; what buildpacks print goes to `output` as it comes.
pub fn run(inputs: Inputs<'_>, output: &mut (dyn Write + Send)) -> Result<BuildMetadata, Failure> {
    verify_apis(inputs.group)?;
    let _timer = platform::log::timer("Builder");
    sbom::clear(inputs.layers_dir).map_err(failed)?;
    let mut collected = Collected::default();
    run_buildpacks(&inputs, &mut collected, output)?;
    if inputs.api.has_sbom() {
        debug!("Copying SBOM files");
        sbom::copy(inputs.layers_dir, &collected.sboms).map_err(failed)?;
    }
    if inputs.api.has_legacy_bom_files() {
        debug!("Creating SBOM files for legacy BOM");
        sbom::write_legacy(inputs.layers_dir, "launch", &collected.launch_bom).map_err(failed)?;
        sbom::write_legacy(inputs.layers_dir, "build", &collected.build_bom).map_err(failed)?;
        collected.launch_bom.clear();
    }
    Ok(collected.into_metadata(inputs.group))
}

/// Checks that every buildpack speaks an API that can be run; exit 12 (BLD-004).
fn verify_apis(group: &Group) -> Result<(), Failure> {
    let verify = |element| platform::api::verify_module("Buildpack", element).map(drop);
    group.group.iter().try_for_each(verify)
}

fn run_buildpacks(
    inputs: &Inputs<'_>,
    collected: &mut Collected,
    output: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let target = platform::target::for_buildpacks(inputs.target, inputs.os_release);
    let build_inputs = BuildInputs {
        app_dir: inputs.app_dir,
        layers_dir: inputs.layers_dir,
        platform_dir: inputs.platform_dir,
        build_config_dir: inputs.build_config_dir,
        target: &target,
        exec_env: inputs.exec_env,
    };
    let (mut env, mut plan) = (inputs.env.clone(), inputs.plan.clone());
    for element in &inputs.group.group {
        let label = element.label();
        debug!("Running build for buildpack {label}");
        let api = platform::api::verify_module("Buildpack", element)?;
        debug!("Looking up buildpack");
        let module = inputs
            .modules
            .buildpack(&element.id, &element.version)
            .map_err(|error| {
                explain(&label, &not_found(inputs.modules, element, &error));
                failed(error)
            })?;
        debug!("Finding plan");
        let offered = plan.find(&element.id, false);
        let outputs = build::build(
            &module,
            api,
            &offered,
            &build_inputs,
            &mut env,
            output,
            &mut |warning| warn!("{warning}"),
        );
        let outputs = outputs.map_err(|error| {
            explain(&label, error.advice());
            match error {
                build::Error::Buildpack(_) => Failure::new(ExitCode::Buildpack, "build", error),
                error => failed(error),
            }
        })?;
        plan = plan.without(&outputs.met);
        collected.add(outputs);
        debug!("Finished running build for buildpack {label}");
    }
    Ok(())
}

/// Tells the author of a buildpack what is wrong with it, and what to do; the last line of the log is the reference's.
fn explain(buildpack: &str, advice: &Advice) {
    error!("buildpack {buildpack}: {advice}");
    error!("to fix it: {}", advice.remedy);
}

fn not_found(modules: &Modules, element: &GroupElement, error: &descriptor::Error) -> Advice {
    let path = modules.buildpack_path(&element.id, &element.version);
    let unreadable = |reason: &dyn std::fmt::Display| {
        Advice::new(
            &path,
            format!("cannot be read: {reason}"),
            "add the buildpack to the builder, or detect again: group.toml lists it",
        )
    };
    match error {
        descriptor::Error::Decode(error) => {
            Advice::new(&path, &*error.problem, "correct the buildpack's descriptor").at(error.line)
        }
        descriptor::Error::Open { reason, .. } => unreadable(reason),
        error => unreadable(error),
    }
}

fn failed(cause: impl Into<anyhow::Error>) -> Failure {
    Failure::new(ExitCode::Build, "build", cause)
}

/// What buildpacks left, in build order.
#[derive(Debug, Default)]
struct Collected {
    labels: Vec<buildpack::launch::Label>,
    slices: Vec<buildpack::launch::Slice>,
    launch_bom: Vec<buildpack::sbom::BomEntry>,
    build_bom: Vec<buildpack::sbom::BomEntry>,
    sboms: Vec<build::SbomFile>,
    processes: Processes,
}

impl Collected {
    fn add(&mut self, outputs: BuildOutputs) {
        self.labels.extend(outputs.labels);
        self.slices.extend(outputs.slices);
        self.launch_bom.extend(outputs.launch_bom);
        self.build_bom.extend(outputs.build_bom);
        self.sboms.extend(outputs.sboms);
        if let Some(warning) = self.processes.add(outputs.processes) {
            warn!("{warning}");
        }
    }

    fn into_metadata(self, group: &Group) -> BuildMetadata {
        let (processes, default_process_type) = self.processes.finish();
        BuildMetadata {
            bom: self.launch_bom,
            buildpacks: group.group.clone(),
            extensions: group.group_extensions.clone(),
            labels: self.labels,
            processes: Some(processes),
            slices: self.slices,
            default_process_type,
        }
    }
}

#[cfg(test)]
mod tests;
