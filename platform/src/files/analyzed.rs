//! `analyzed.toml`, and the lifecycle metadata label, which has the same shape (COM-068 to COM-071, EXP-076, EXP-077).

use std::collections::BTreeMap;
use std::path::Path;

use buildpack::target::Target;

use crate::exit::Failure;
use crate::files::run::RunImageForExport;

/// What the analyzer found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analyzed {
    /// Reference of the previous image; `Some("")` where none was found, `None` where nobody looked.
    pub previous_image: Option<String>,
    /// Reference of the build image, for the extender.
    pub build_image: Option<String>,
    /// Metadata of the previous image.
    pub metadata: LayersMetadata,
    /// The run image.
    pub run_image: Option<RunImage>,
}

/// `[run-image]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunImage {
    /// `<path>@<digest>` in a layout, `<name>@<digest>` in a registry.
    pub reference: String,
    /// The name as resolved; empty below 0.12.
    pub image: String,
    /// True: the extender shall extend it.
    pub extend: bool,
    /// What it runs on.
    pub target: Option<Target>,
}

/// The label `io.buildpacks.lifecycle.metadata`, and `[metadata]` of analyzed.toml.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayersMetadata {
    /// diffIDs of the app layers, as texts; empty text where unknown.
    pub app: Vec<String>,
    /// diffID of the SBOM layer.
    pub sbom: Option<String>,
    /// What each buildpack left.
    pub buildpacks: Vec<BuildpackLayers>,
    /// diffID of the config layer.
    pub config: String,
    /// diffID of the launcher layer.
    pub launcher: String,
    /// diffID of the process types layer.
    pub process_types: String,
    /// The run image.
    pub run_image: RunImageRecord,
    /// `stack.runImage`; `None` where the label has no stack.
    pub stack: Option<RunImageForExport>,
}

/// `runImage` of the label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunImageRecord {
    /// diffID of its last layer.
    pub top_layer: String,
    /// Its reference with digest.
    pub reference: String,
    /// Its name and mirrors.
    pub image: RunImageForExport,
}

/// One buildpack's layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BuildpackLayers {
    /// Buildpack id.
    pub id: String,
    /// Buildpack version.
    pub version: String,
    /// By layer name.
    pub layers: BTreeMap<String, LayerRecord>,
    /// `store.metadata`; `None` where there is no store.
    pub store: Option<serde_json::Value>,
}

/// One layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerRecord {
    /// diffID.
    pub sha: String,
    /// `[metadata]` of the layer toml; null where there was none.
    pub data: serde_json::Value,
    /// For later buildpacks.
    pub build: bool,
    /// In the image.
    pub launch: bool,
    /// In the cache.
    pub cache: bool,
}

impl LayersMetadata {
    /// Parses the label's JSON.
    pub fn from_label(json: &str) -> serde_json::Result<Self> {
        let _ = json;
        todo!()
    }

    /// Returns the label's JSON, byte for byte as the reference writes it.
    pub fn to_label(&self) -> String {
        todo!()
    }

    /// Returns a buildpack's record, if it has one.
    pub fn buildpack(&self, id: &str) -> Option<&BuildpackLayers> {
        self.buildpacks.iter().find(|b| b.id == id)
    }
}

/// Reads the file; a missing one is a warning and empty (COM-071).
pub fn read(path: &Path) -> Result<Analyzed, Failure> {
    let _ = path;
    todo!()
}

/// Writes the file.
pub fn write(path: &Path, analyzed: &Analyzed) -> anyhow::Result<()> {
    let _ = (path, analyzed);
    todo!()
}
