//! Running `bin/build` and reading what it left (BPB-001 to BPB-061).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::api::BuildpackApi;
use crate::decode::Document;
use crate::descriptor::Descriptor;
use crate::env::BuildEnv;
use crate::group::escape_id;
use crate::launch::{Label, Launch, Process, Slice};
use crate::layer::LayerMetadata;
use crate::plan::{BuildpackPlan, Require};
use crate::program::{self, Program};
use crate::sbom::{self, BomEntry, RawBomEntry};
use crate::syscall_text;
use crate::target::Target;

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
    let handed_over = plan.hand_over(&module.id).map_err(Error::Outputs)?;
    syscall_text::make_dirs(&layers).map_err(|e| outputs(&e))?;

    let paths = [&layers, &handed_over.path];
    run(module, api, inputs, env, paths, output)?;
    let types = process_layers(&layers)?;
    // In the order of file names, in which "a-b.toml" precedes "a.toml" (BPL-019).
    for (name, metadata) in &types {
        if metadata.build {
            env.add_build_layer(&layers.join(name))
                .map_err(|e| outputs(&e))?;
        }
    }
    let types = types.into_iter().collect();
    Reader {
        module,
        api,
        layers: &layers,
    }
    .outputs(plan, &types, warn)
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

/// Returns any failure but the program's own.
fn outputs(error: &dyn std::fmt::Display) -> Error {
    Error::Outputs(error.to_string())
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
        .map_err(|e| outputs(&e))?;
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
    let status = Program {
        path: &module.dir.join("bin").join("build"),
        args: &[
            layers.as_os_str(),
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
    .map_err(|e| Error::Buildpack(e.to_string()))?;
    match program::ending(status) {
        Some(ending) => Err(Error::Buildpack(ending)),
        None => Ok(()),
    }
}

/// Scans every `*.toml` as layer metadata and renames the folders of ignored layers (BPB-021 to BPB-023).
/// Returns name and metadata in the order of the file names.
fn process_layers(layers: &Path) -> Result<Vec<(String, LayerMetadata)>, Error> {
    scan_layers(layers)
        .map_err(|cause| Error::Outputs(format!("failed to process buildpack layer: {cause}")))
}

fn scan_layers(layers: &Path) -> Result<Vec<(String, LayerMetadata)>, String> {
    let mut found = Vec::new();
    let entries = syscall_text::read_dir_if_present(layers).map_err(|e| e.to_string())?;
    for entry in entries.iter().filter(|entry| !entry.kind.is_dir()) {
        let name = entry.name.to_string_lossy();
        // A file called ".toml" would make a layer of the whole folder.
        let Some(layer) = name.strip_suffix(".toml").filter(|layer| !layer.is_empty()) else {
            continue;
        };
        let metadata = LayerMetadata::read(&entry.path)
            .map_err(|e| format!("failed to decode layer metadata file: {e}"))?;
        if metadata.is_ignored() {
            set_aside(&layers.join(layer))
                .map_err(|e| format!("failed to rename layer directory: {e}"))?;
        }
        found.push((layer.to_owned(), metadata));
    }
    Ok(found)
}

/// Renames `<layer>` to `<layer>.ignore`; a missing one is fine.
fn set_aside(dir: &Path) -> Result<(), String> {
    let mut target = dir.as_os_str().to_owned();
    target.push(".ignore");
    match fs_err::rename(dir, &target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!(
            "rename {} {}: {}",
            dir.display(),
            target.display(),
            syscall_text::reason(&error)
        )),
        _ => Ok(()),
    }
}

/// `build.toml`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct BuildFile {
    bom: Vec<RawBomEntry>,
    unmet: Vec<Unmet>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Unmet {
    name: String,
}

/// Reads the files that a buildpack wrote beside its layers.
struct Reader<'a> {
    module: &'a Descriptor,
    api: BuildpackApi,
    layers: &'a Path,
}

impl Reader<'_> {
    fn outputs(
        &self,
        plan: &BuildpackPlan,
        types: &BTreeMap<String, LayerMetadata>,
        warn: &mut dyn FnMut(String),
    ) -> Result<BuildOutputs, Error> {
        let candidates = sbom::candidates(self.layers).map_err(|e| outputs(&e))?;
        let mut result = BuildOutputs::default();
        let file: BuildFile = self.open("build.toml")?.decode().map_err(|e| outputs(&e))?;
        // The reference checks this table twice, and people see the warning twice.
        for _ in 0..2 {
            warn_of_bom(&file.bom, &candidates, warn);
            result.build_bom = sbom::bom_entries(&file.bom, self.module).map_err(Error::Outputs)?;
        }
        result.met = met(plan, &file.unmet).map_err(Error::Outputs)?;
        result.sboms = sbom::files(&candidates, self.module, types).map_err(Error::Outputs)?;

        let document = self.open("launch.toml")?;
        let launch =
            Launch::decode(&document, self.api, &self.module.id).map_err(|e| outputs(&e))?;
        warn_of_bom(&launch.bom, &candidates, warn);
        result.launch_bom = sbom::bom_entries(&launch.bom, self.module).map_err(Error::Outputs)?;
        result.processes = launch.processes;
        if has_several_defaults(&result.processes) {
            return Err(outputs(&"multiple default process types aren't allowed"));
        }
        if !self.api.has_process_working_dir() {
            drop_working_dirs(&mut result.processes, warn);
        }
        result.labels = launch.labels;
        result.slices = launch.slices;
        Ok(result)
    }

    /// Opens a file; a missing one is as good as an empty one.
    fn open(&self, name: &str) -> Result<Document, Error> {
        match Document::open(&self.layers.join(name)) {
            Err(error) if error.is_not_found() => Document::parse("").map_err(|e| outputs(&e)),
            other => other.map_err(|e| outputs(&e)),
        }
    }
}

/// Warns of a table of old that no SBOM file makes up for (BPB-053).
fn warn_of_bom(bom: &[RawBomEntry], candidates: &[PathBuf], warn: &mut dyn FnMut(String)) {
    if !bom.is_empty() && candidates.is_empty() {
        warn(sbom::BOM_IS_DEPRECATED.to_owned());
    }
}

/// Returns the names of the plan that are not listed as unmet (BPB-017 to BPB-019).
fn met(plan: &BuildpackPlan, unmet: &[Unmet]) -> Result<Vec<String>, String> {
    for entry in unmet {
        if entry.name.is_empty() {
            return Err("unmet.name is required".to_owned());
        }
        if !plan
            .entries
            .iter()
            .any(|require| require.name == entry.name)
        {
            return Err(format!(
                "unmet.name '{}' must match a requested dependency",
                entry.name
            ));
        }
    }
    let is_met = |require: &&Require| !unmet.iter().any(|entry| entry.name == require.name);
    let met = plan.entries.iter().filter(is_met);
    Ok(met.map(|require| require.name.clone()).collect())
}

/// Returns whether a default follows another one. The reference keeps the first one's type to tell,
/// so a default of empty type goes unnoticed there, and here.
fn has_several_defaults(processes: &[Process]) -> bool {
    let mut defaults = processes.iter().filter(|p| p.default);
    defaults.any(|p| !p.process_type.is_empty()) && defaults.next().is_some()
}

/// Drops working directories, which the oldest API does not have (BPB-036).
fn drop_working_dirs(processes: &mut [Process], warn: &mut dyn FnMut(String)) {
    for process in processes {
        if !process.working_dir.is_empty() {
            warn(format!(
                "Warning: process working directory isn't supported in this buildpack api version. Ignoring working directory for process '{}'",
                process.process_type
            ));
            process.working_dir.clear();
        }
    }
}

#[cfg(test)]
mod tests;
