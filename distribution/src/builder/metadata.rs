//! The label `io.buildpacks.builder.metadata` (DST-010, DST-011). Key order is pack's.

use platform::files::lifecycle::{Apis, Descriptor, LowestApis};
use serde::{Deserialize, Serialize};

use super::lowest;
use crate::labels::ModuleInfo;

/// What a builder is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// What it is for.
    pub description: String,
    /// Buildpacks in it.
    pub buildpacks: Vec<ModuleInfo>,
    /// Extensions in it.
    pub extensions: Vec<ModuleInfo>,
    /// The first run image, for old tools.
    pub stack: StackMetadata,
    /// Its lifecycle.
    pub lifecycle: LifecycleMetadata,
    /// Who made it.
    #[serde(rename = "createdBy")]
    pub created_by: CreatedBy,
    /// Run images to choose from.
    pub images: Vec<RunImage>,
}

/// The first run image, for old tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StackMetadata {
    /// The image.
    #[serde(rename = "runImage")]
    pub run_image: RunImage,
}

/// A run image and where else it can be had; an empty list of mirrors is written, as pack writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunImage {
    /// Its name.
    pub image: String,
    /// Other names.
    pub mirrors: Vec<String>,
}

/// A lifecycle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleMetadata {
    /// Its version.
    pub version: String,
    /// Lowest APIs, for tools from before `apis`.
    pub api: LowestApis,
    /// All APIs.
    pub apis: Apis,
}

/// Who made a builder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CreatedBy {
    /// Name of the program.
    pub name: String,
    /// Its version.
    pub version: String,
}

impl LifecycleMetadata {
    /// Returns what a lifecycle.toml says, in the label's form.
    pub fn of(descriptor: &Descriptor) -> Self {
        let Descriptor {
            apis, lifecycle, ..
        } = descriptor;
        let mut api = descriptor.api.clone();
        let all = |of: &platform::files::lifecycle::ApiVersions| {
            let versions = of.deprecated.iter().chain(&of.supported);
            lowest(versions).cloned()
        };
        if let Some(version) = all(&apis.buildpack) {
            api.buildpack = version;
        }
        if let Some(version) = all(&apis.platform) {
            api.platform = version;
        }
        let metadata = Self {
            version: lifecycle.version.clone(),
            api,
            apis: apis.clone(),
        };
        metadata.with_old_keys()
    }

    /// Returns the same with the APIs that very old labels name only once.
    pub(super) fn with_old_keys(mut self) -> Self {
        let (platform, buildpack) = (&mut self.apis.platform, &mut self.apis.buildpack);
        let names_all = !platform.supported.is_empty() || !buildpack.supported.is_empty();
        let names_lowest = !self.api.platform.is_empty() && !self.api.buildpack.is_empty();
        if !names_all && names_lowest {
            platform.supported.push(self.api.platform.clone());
            buildpack.supported.push(self.api.buildpack.clone());
        }
        self
    }
}
