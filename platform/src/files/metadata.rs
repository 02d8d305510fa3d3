//! `<layers>/config/metadata.toml` and the build metadata label (BLD-011 to BLD-018, EXP-046 to EXP-049, EXP-079, EXP-080).
//!
//! The file is part of a layer, so its bytes matter; its shape is in `file`, that of the label in `label`.

mod command;
mod file;
mod label;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use buildpack::group::GroupElement;
use buildpack::launch::{Label, Process, Slice};
use buildpack::sbom::BomEntry;
use buildpack::{decode, encode};

use crate::api::PlatformApi;
use crate::exit::{ExitCode, Failure};

/// What a build made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildMetadata {
    /// `[[bom]]`, below 0.9 only.
    pub bom: Vec<BomEntry>,
    /// Buildpacks that ran.
    pub buildpacks: Vec<GroupElement>,
    /// Extensions of the group.
    pub extensions: Vec<GroupElement>,
    /// Labels, in build order.
    pub labels: Vec<Label>,
    /// Processes, sorted by type; `None` where the file has no such key.
    pub processes: Option<Vec<Process>>,
    /// Slices, in build order.
    pub slices: Vec<Slice>,
    /// Type of the default process; empty where there is none.
    pub default_process_type: String,
}

/// What the label says of the launcher.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LauncherRecord {
    /// Version of the lifecycle.
    pub version: String,
    /// Source repository.
    pub repository: String,
    /// Source commit.
    pub commit: String,
}

impl BuildMetadata {
    /// Returns the JSON of the label `io.buildpacks.build.metadata`.
    pub fn to_label(&self, api: PlatformApi, launcher: &LauncherRecord) -> String {
        label::to_string(self, api, launcher)
    }

    /// Reads the JSON of the label, whatever lifecycle wrote it. BOM, labels and slices are left out.
    pub fn from_label(json: &str) -> serde_json::Result<(Self, LauncherRecord)> {
        label::from_str(json)
    }
}

/// Reads `<layers>/config/metadata.toml`.
pub fn read(layers_dir: &Path) -> Result<BuildMetadata, Failure> {
    decode::from_file::<file::MetadataFile>(&path(layers_dir))
        .map(Into::into)
        .map_err(|e| Failure::new(ExitCode::Failed, "read build metadata file", e))
}

/// Writes `<layers>/config/metadata.toml`; a process without a command fails the build below 0.10, where a command is one text (BPB-046).
pub fn write(layers_dir: &Path, metadata: &BuildMetadata, api: PlatformApi) -> Result<(), Failure> {
    let file = file::MetadataFile::new(metadata, api)
        .map_err(|e| Failure::new(ExitCode::Build, "build", e))?;
    encode::to_file(&path(layers_dir), &file)
        .map_err(|e| Failure::new(ExitCode::Failed, "write build metadata file", e))
}

fn path(layers_dir: &Path) -> PathBuf {
    layers_dir.join("config").join("metadata.toml")
}
