//! The files that a buildpack wrote beside its layers: `build.toml`, SBOMs, `launch.toml` (BPB-017 to BPB-061).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::BuildOutputs;
use crate::api::BuildpackApi;
use crate::decode::{self, Document, FileError};
use crate::descriptor::Descriptor;
use crate::fault::{Advice, Fault};
use crate::launch::{self, Launch, Process};
use crate::layer::LayerMetadata;
use crate::plan::{BuildpackPlan, Require};
use crate::sbom::{self, BomEntry, RawBomEntry};
use crate::syscall_text;

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
pub(super) struct Reader<'a> {
    pub(super) module: &'a Descriptor,
    pub(super) api: BuildpackApi,
    pub(super) layers: &'a Path,
}

/// A file, parsed.
struct File {
    path: PathBuf,
    document: Document,
}

impl Reader<'_> {
    pub(super) fn outputs(
        &self,
        plan: &BuildpackPlan,
        types: &BTreeMap<String, LayerMetadata>,
        warn: &mut dyn FnMut(String),
    ) -> Result<BuildOutputs, super::Error> {
        let candidates = sbom::candidates(self.layers).map_err(|e| self.unreadable(&e))?;
        let mut result = BuildOutputs::default();
        let build_toml = self.open("build.toml")?;
        let file: BuildFile = build_toml.document.decode().map_err(|e| {
            build_toml.refused(
                &e,
                "build.toml has [[unmet]] with a name: correct the key's value".to_owned(),
            )
        })?;
        // The reference checks this table twice, and people see the warning twice.
        for _ in 0..2 {
            warn_of_bom(&file.bom, &candidates, warn);
            result.build_bom = self.bom(&file.bom, &build_toml)?;
        }
        result.met = met(plan, &file.unmet, &build_toml)?;
        result.sboms = sbom::files(&candidates, self.module, types)?;

        let launch_toml = self.open("launch.toml")?;
        let launch = Launch::decode(&launch_toml.document, self.api, &self.module.id)
            .map_err(|e| launch_toml.refused(&e, launch::remedy(&e, self.api)))?;
        warn_of_bom(&launch.bom, &candidates, warn);
        result.launch_bom = self.bom(&launch.bom, &launch_toml)?;
        result.processes = launch.processes;
        refuse_several_defaults(&result.processes, &launch_toml)?;
        if !self.api.has_process_working_dir() {
            drop_working_dirs(&mut result.processes, warn);
        }
        result.labels = launch.labels;
        result.slices = launch.slices;
        Ok(result)
    }

    /// Opens a file; a missing one is as good as an empty one.
    fn open(&self, name: &str) -> Result<File, Fault> {
        let path = self.layers.join(name);
        let document = match Document::open(&path) {
            Err(error) if error.is_not_found() => Document::parse("").map_err(FileError::from),
            other => other,
        };
        match document {
            Ok(document) => Ok(File { path, document }),
            Err(FileError::Syscall(error)) => Err(self.unreadable(&error)),
            Err(FileError::Decode(error)) => {
                let advice = Advice::new(&path, &*error.problem, "correct the TOML").at(error.line);
                Err(Fault::new(error, advice))
            }
        }
    }

    fn unreadable(&self, error: &syscall_text::Error) -> Fault {
        let problem = format!("cannot be read: {}", syscall_text::reason(&error.cause));
        let remedy = format!(
            "leave in {} what the building user may read",
            self.layers.display()
        );
        Fault::new(error, Advice::new(&error.path, problem, remedy))
    }

    fn bom(&self, raw: &[RawBomEntry], file: &File) -> Result<Vec<BomEntry>, Fault> {
        let Some((index, text)) = sbom::versioned(raw) else {
            return Ok(sbom::bom_entries(raw, self.module));
        };
        let remedy = "move it to [bom.metadata], or better write SBOM files: [[bom]] is deprecated";
        Err(file.fault(
            text,
            &format!("bom[{index}].version"),
            "\"version\" is no key of [[bom]]",
            remedy,
        ))
    }
}

impl File {
    /// Returns the failure of a text that could not be decoded.
    fn refused(&self, error: &decode::Error, remedy: String) -> Fault {
        Fault::new(
            error,
            Advice::new(&self.path, &*error.problem, remedy).at(error.line),
        )
    }

    /// Returns a failure at the line of a key.
    fn fault(
        &self,
        text: impl std::fmt::Display,
        place: &str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Fault {
        let line = self.document.line_of(place);
        Fault::new(text, Advice::new(&self.path, problem, remedy).at(line))
    }
}

/// Warns of a table of old that no SBOM file makes up for (BPB-053).
fn warn_of_bom(bom: &[RawBomEntry], candidates: &[PathBuf], warn: &mut dyn FnMut(String)) {
    if !bom.is_empty() && candidates.is_empty() {
        warn(sbom::BOM_IS_DEPRECATED.to_owned());
    }
}

/// Returns the names of the plan that are not listed as unmet (BPB-017 to BPB-019).
fn met(plan: &BuildpackPlan, unmet: &[Unmet], file: &File) -> Result<Vec<String>, Fault> {
    for (index, entry) in unmet.iter().enumerate() {
        let is_asked_for = |require: &Require| require.name == entry.name;
        if entry.name.is_empty() {
            return Err(file.fault(
                "unmet.name is required",
                &format!("unmet[{index}]"),
                "[[unmet]] has no name",
                choice(plan),
            ));
        }
        if !plan.entries.iter().any(is_asked_for) {
            return Err(file.fault(
                format!(
                    "unmet.name '{}' must match a requested dependency",
                    entry.name
                ),
                &format!("unmet[{index}].name"),
                format!(
                    "{:?} cannot be unmet: the plan of this buildpack does not ask for it",
                    entry.name
                ),
                choice(plan),
            ));
        }
    }
    let is_met = |require: &&Require| !unmet.iter().any(|entry| entry.name == require.name);
    let met = plan.entries.iter().filter(is_met);
    Ok(met.map(|require| require.name.clone()).collect())
}

/// Says what may be unmet.
fn choice(plan: &BuildpackPlan) -> String {
    let mut names: Vec<_> = plan
        .entries
        .iter()
        .map(|require| require.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return "remove the entry: the plan of this buildpack asks for nothing".to_owned();
    }
    format!(
        "name what the plan of this buildpack asks for: {}",
        names.join(", ")
    )
}

/// Refuses a default behind another one. The reference keeps the first one's type to tell, so a default of empty type
/// goes unnoticed there, and here.
fn refuse_several_defaults(processes: &[Process], file: &File) -> Result<(), Fault> {
    let mut defaults = processes
        .iter()
        .enumerate()
        .filter(|(_, process)| process.default);
    let Some((_, first)) = defaults.find(|(_, process)| !process.process_type.is_empty()) else {
        return Ok(());
    };
    let Some((index, second)) = defaults.next() else {
        return Ok(());
    };
    Err(file.fault(
        "multiple default process types aren't allowed",
        &format!("processes[{index}].default"),
        format!(
            "process {:?} is a second default, beside {:?}",
            second.process_type, first.process_type
        ),
        "leave default = true in one process alone",
    ))
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
