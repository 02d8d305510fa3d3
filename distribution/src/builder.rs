//! Builder images: read from their labels, and made from a builder.toml (DST-009 to DST-018).

mod assembly;
mod checks;
pub mod config;
mod create;
mod metadata;

use buildpack::Version;
use layout::Image;
use platform::files::lifecycle::ApiVersions;
use platform::files::run::RunImageForExport;
use platform::labels::{MIXINS, STACK_ID};
use serde::de::DeserializeOwned;

use crate::labels::{self, Group, Layers, ModuleInfo, System};

pub use config::Config;
pub use create::{CreateError, Created, Creation, create, find_lifecycle};
pub use metadata::{CreatedBy, LifecycleMetadata, Metadata, RunImage, StackMetadata};

/// Variable of a builder that holds the id of its user.
const USER_ID: &str = "CNB_USER_ID";
/// Variable of a builder that holds the id of its user's group.
const GROUP_ID: &str = "CNB_GROUP_ID";

/// What a builder image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Builder {
    /// What it is for.
    pub description: String,
    /// Buildpacks in it, in the label's order.
    pub buildpacks: Vec<ModuleInfo>,
    /// Extensions in it, in the label's order.
    pub extensions: Vec<ModuleInfo>,
    /// `[[order]]`; a version may be missing where there is only one.
    pub order: Vec<Group>,
    /// `[[order-extensions]]`.
    pub order_extensions: Vec<Group>,
    /// Buildpacks around every group.
    pub system: System,
    /// The layers that its buildpacks are in.
    pub buildpack_layers: Layers,
    /// The layers that its extensions are in.
    pub extension_layers: Layers,
    /// Run images to choose from; the first is the usual one.
    pub run_images: Vec<RunImageForExport>,
    /// Version of the lifecycle in it; empty if the label does not say.
    pub lifecycle_version: String,
    /// Buildpack APIs of that lifecycle.
    pub buildpack_apis: ApiVersions,
    /// Platform APIs of that lifecycle.
    pub platform_apis: ApiVersions,
    /// Who made it.
    pub created_by: CreatedBy,
    /// Id of the stack, in old builders.
    pub stack_id: String,
    /// Mixins of the stack, in old builders.
    pub mixins: Vec<String>,
    /// User id that buildpacks run with.
    pub uid: u32,
    /// Group id that buildpacks run with.
    pub gid: u32,
}

impl Builder {
    /// Reads a builder's labels and variables; touches no layer.
    pub fn read(image: &Image) -> Result<Self, Error> {
        let metadata: Metadata = label(image, labels::BUILDER_METADATA)?.ok_or_else(|| {
            let location = image.blobs().location();
            Error::NoBuilder(location)
        })?;
        let lifecycle = metadata.lifecycle.with_old_keys();
        Ok(Self {
            order: optional_label(image, labels::ORDER)?,
            order_extensions: optional_label(image, labels::ORDER_EXTENSIONS)?,
            system: optional_label(image, labels::SYSTEM)?,
            buildpack_layers: optional_label(image, labels::BUILDPACK_LAYERS)?,
            extension_layers: optional_label(image, labels::EXTENSION_LAYERS)?,
            run_images: run_images(metadata.images, metadata.stack.run_image),
            description: metadata.description,
            buildpacks: metadata.buildpacks,
            extensions: metadata.extensions,
            lifecycle_version: lifecycle.version,
            buildpack_apis: lifecycle.apis.buildpack,
            platform_apis: lifecycle.apis.platform,
            created_by: metadata.created_by,
            stack_id: image.label(STACK_ID).unwrap_or_default().to_owned(),
            mixins: optional_label(image, MIXINS)?,
            uid: id(image, USER_ID)?,
            gid: id(image, GROUP_ID)?,
        })
    }
}

/// The stack's run image is that of old tools; new ones name it among the others.
fn run_images(images: Vec<RunImage>, of_stack: RunImage) -> Vec<RunImageForExport> {
    let mut all: Vec<RunImageForExport> = Vec::new();
    for RunImage { image, mirrors } in images.into_iter().chain([of_stack]) {
        if !image.is_empty() && !all.iter().any(|it| it.image == image) {
            all.push(RunImageForExport { image, mirrors });
        }
    }
    all
}

fn optional_label<T: DeserializeOwned + Default>(
    image: &Image,
    name: &'static str,
) -> Result<T, Error> {
    Ok(label(image, name)?.unwrap_or_default())
}

fn label<T: DeserializeOwned + Default>(
    image: &Image,
    name: &'static str,
) -> Result<Option<T>, Error> {
    // An empty label is a missing one, as in pack.
    let Some(text) = image.label(name).filter(|it| !it.is_empty()) else {
        return Ok(None);
    };
    let parsed = labels::parse(text).map_err(|source| Error::Label {
        label: name,
        location: image.blobs().location(),
        source,
    })?;
    Ok(Some(parsed))
}

/// DST-009
fn id(image: &Image, variable: &'static str) -> Result<u32, Error> {
    let value = image.config().env(variable).unwrap_or_default();
    if value.is_empty() {
        return Err(Error::NoId {
            variable,
            location: image.blobs().location(),
        });
    }
    value.parse().map_err(|_| Error::Id {
        variable,
        value: value.to_owned(),
        location: image.blobs().location(),
    })
}

/// Returns the lowest of some versions; text that is no version does not count.
fn lowest<'a>(versions: impl IntoIterator<Item = &'a String>) -> Option<&'a String> {
    let versions = versions.into_iter();
    let parsed = versions.filter_map(|it| Some((it.parse::<Version>().ok()?, it)));
    parsed.min_by_key(|(version, _)| *version).map(|(_, it)| it)
}

/// Why a builder could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A variable that should hold an id holds something else.
    #[error(
        "the image in {location} is no builder that can be used: its variable {variable} is {value:?}, not a number"
    )]
    Id {
        /// The variable.
        variable: &'static str,
        /// What it holds.
        value: String,
        /// Where the image is.
        location: String,
    },
    /// A label is not what it should be.
    #[error("failed to read label {label} of the builder in {location}")]
    Label {
        /// The label.
        label: &'static str,
        /// Where the image is.
        location: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The image is none.
    #[error(
        "the image in {0} has no label io.buildpacks.builder.metadata, so it is probably no builder\nbuilders are made by `builder create`; a build or run image is none"
    )]
    NoBuilder(String),
    /// A variable that every builder has is missing.
    #[error(
        "the image in {location} is no builder that can be used: it has no variable {variable}"
    )]
    NoId {
        /// The variable.
        variable: &'static str,
        /// Where the image is.
        location: String,
    },
}

#[cfg(test)]
mod tests;
