//! `analyzed.toml`, and the lifecycle metadata label, which has the same shape (COM-068 to COM-071, EXP-076, EXP-077).
//!
//! The same record is spelled in two ways, `runImage` in the label and `run-image` in the file: see `form`.

mod form;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use buildpack::target::Target;
use buildpack::{decode, encode};
use serde::{Deserialize, Serialize};
use tracing::{debug, warn};

use crate::exit::{ExitCode, Failure};
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

/// `[run-image]`. Key order is the file's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunImage {
    /// `<path>@<digest>` in a layout, `<name>@<digest>` in a registry.
    pub reference: String,
    /// The name as resolved; empty below 0.12.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// True: the extender shall extend it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub extend: bool,
    /// What it runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
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

/// One buildpack's layers. Its JSON is that of labels and of the cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "form::label::Buildpack", into = "form::label::Buildpack")]
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
    /// Parses the label's JSON. Entries of `app` that are of another shape than today's are left out.
    pub fn from_label(json: &str) -> serde_json::Result<Self> {
        let form: form::label::Layers = layout::json::from_slice(json.as_bytes())?;
        Ok(form.into())
    }

    /// Returns the label's JSON, byte for byte as the reference writes it.
    pub fn to_label(&self) -> String {
        layout::json::to_string(&form::label::Layers::from(self.clone()))
            .expect("texts and JSON values can be written as JSON")
    }

    /// Returns a buildpack's record, if it has one.
    pub fn buildpack(&self, id: &str) -> Option<&BuildpackLayers> {
        self.buildpacks.iter().find(|b| b.id == id)
    }
}

/// The label of an image that is rebased. Its `app` may have any shape and keeps it (REB-018).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RebaseMetadata {
    /// All but `app`, which is empty here.
    pub layers: LayersMetadata,
    app: serde_json::Value,
}

impl RebaseMetadata {
    /// Parses the label's JSON. Keys that this lifecycle does not know are left out.
    pub fn from_label(json: &str) -> serde_json::Result<Self> {
        let form: form::label::Layers<serde_json::Value> =
            layout::json::from_slice(json.as_bytes())?;
        let (app, form) = form.replace_app(form::App::default());
        let layers = form.into();
        Ok(Self { layers, app })
    }

    /// Returns the label's JSON.
    pub fn to_label(&self) -> String {
        let form = form::label::Layers::from(self.layers.clone());
        let (_, form) = form.replace_app(&self.app);
        layout::json::to_string(&form).expect("texts and JSON values can be written as JSON")
    }
}

impl RunImageRecord {
    /// Returns the record's JSON, as the label holds it.
    pub fn to_json(&self) -> String {
        layout::json::to_string(&form::label::RunImage::from(self.clone()))
            .expect("texts can be written as JSON")
    }
}

/// Parses the text of the file.
pub fn parse(text: &str) -> Result<Analyzed, decode::Error> {
    decode::from_str::<AnalyzedFile>(text).map(Analyzed::from)
}

/// Reads the file; a missing one is a warning and empty (COM-071).
pub fn read(path: &Path) -> Result<Analyzed, Failure> {
    match decode::from_file::<AnalyzedFile>(path) {
        Ok(file) => Ok(file.into()),
        Err(e) if e.is_not_found() => {
            warn!("No analyzed metadata found at path {path:?}");
            Ok(Analyzed::default())
        }
        Err(e) => Err(Failure::new(ExitCode::Failed, "read analyzed file", e)),
    }
}

/// Writes the file.
pub fn write(path: &Path, analyzed: &Analyzed) -> anyhow::Result<()> {
    debug!("Run image info in analyzed metadata is: ");
    debug!("{}", run_image_line(analyzed.run_image.as_ref()));
    encode::to_file(path, &AnalyzedFile::from(analyzed)).context("failed to write analyzed file")
}

/// Returns the run image as the reference logs it, with the names of Go's fields as keys.
fn run_image_line(run_image: Option<&RunImage>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Line<'a> {
        reference: &'a str,
        image: &'a str,
        extend: bool,
        #[serde(rename = "target", skip_serializing_if = "Option::is_none")]
        target: Option<&'a Target>,
    }
    let line = run_image.map(|run_image| Line {
        reference: &run_image.reference,
        image: &run_image.image,
        extend: run_image.extend,
        target: run_image.target.as_ref(),
    });
    layout::json::to_string(&line).expect("texts can be written as JSON")
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct AnalyzedFile {
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_image: Option<Identifier>,
    metadata: form::file::Layers,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_image: Option<RunImage>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Identifier {
    reference: String,
}

impl From<AnalyzedFile> for Analyzed {
    fn from(file: AnalyzedFile) -> Self {
        Self {
            previous_image: file.image.map(|image| image.reference),
            build_image: file.build_image.map(|image| image.reference),
            metadata: file.metadata.into(),
            run_image: file.run_image,
        }
    }
}

impl From<&Analyzed> for AnalyzedFile {
    fn from(analyzed: &Analyzed) -> Self {
        let identifier = |reference: &String| Identifier {
            reference: reference.clone(),
        };
        Self {
            image: analyzed.previous_image.as_ref().map(identifier),
            build_image: analyzed.build_image.as_ref().map(identifier),
            metadata: analyzed.metadata.clone().into(),
            run_image: analyzed.run_image.clone(),
        }
    }
}
