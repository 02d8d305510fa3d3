//! What can be seen of an image, in the shape that programs get: its keys stay.

use std::collections::HashMap;
use std::fmt;

use anyhow::Context as _;
use buildpack::group::GroupElement;
use layout::manifest::Platform;
use layout::{Descriptor, DiffId, Image};
use platform::files::analyzed::LayersMetadata;
use platform::files::metadata::BuildMetadata;
use platform::labels;
use serde::Serialize;

/// Where the launcher finds a process by its type; the entrypoint of the default one.
const PROCESS_DIR: &str = "/cnb/process/";

/// The default process below Platform API 0.4.
const PROCESS_TYPE: &str = "CNB_PROCESS_TYPE";

/// An image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Seen {
    /// As it was named.
    pub(super) image: String,
    pub(super) digest: String,
    pub(super) platform: Platform,
    /// RFC 3339; empty where the image does not say.
    pub(super) created: String,
    /// Bytes of all layers' blobs.
    pub(super) size: u64,
    pub(super) built_by_buildpacks: bool,
    pub(super) rebasable: bool,
    pub(super) sbom: bool,
    pub(super) stack: String,
    pub(super) exec_env: String,
    pub(super) user: String,
    pub(super) working_dir: String,
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    /// `NAME=value`.
    pub(super) env: Vec<String>,
    pub(super) exposed_ports: Vec<String>,
    pub(super) run_image: RunImage,
    pub(super) buildpacks: Vec<Module>,
    pub(super) extensions: Vec<Module>,
    pub(super) launcher_version: String,
    pub(super) processes: Vec<Process>,
    pub(super) layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RunImage {
    /// Its name; empty where the image does not say.
    pub(super) image: String,
    pub(super) mirrors: Vec<String>,
    /// Its name or path and digest when the app was built or rebased.
    pub(super) reference: String,
    /// The digest of the reference.
    pub(super) digest: String,
    /// diffID of its last layer.
    pub(super) top_layer: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Module {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) homepage: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    pub(super) r#type: String,
    /// True: it starts when nothing else is asked for.
    pub(super) default: bool,
    /// True: without a shell.
    pub(super) direct: bool,
    pub(super) command: Vec<String>,
    pub(super) args: Vec<String>,
    pub(super) working_dir: String,
    pub(super) buildpack: String,
    pub(super) exec_env: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Layer {
    pub(super) diff_id: String,
    pub(super) digest: String,
    pub(super) size: u64,
    /// False: the image is sparse.
    pub(super) present: bool,
    pub(super) kind: Kind,
    /// Who made it; empty where no buildpack did.
    pub(super) buildpack: String,
    /// Its name among the buildpack's layers.
    pub(super) name: String,
}

/// What a layer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Kind {
    RunImage,
    Buildpack,
    App,
    Sbom,
    Launcher,
    Config,
    ProcessTypes,
    /// Nothing says.
    Other,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RunImage => "run image",
            Self::Buildpack => "buildpack",
            Self::App => "app",
            Self::Sbom => "SBOM",
            Self::Launcher => "launcher",
            Self::Config => "config",
            Self::ProcessTypes => "process types",
            Self::Other => "other",
        })
    }
}

impl Seen {
    /// Reads the labels of an image; `name` is what it was called.
    pub(super) fn of(
        name: &str,
        image: &Image,
        present: &dyn Fn(&Descriptor) -> bool,
    ) -> anyhow::Result<Self> {
        let config = &image.config().config;
        let label = |key: &str| image.label(key).unwrap_or_default().to_owned();
        let metadata = label_of(
            image,
            labels::LIFECYCLE_METADATA,
            LayersMetadata::from_label,
        )?;
        let build = label_of(image, labels::BUILD_METADATA, BuildMetadata::from_label)?;
        let built_by_buildpacks = metadata.is_some() || build.is_some();
        let metadata = metadata.unwrap_or_default();
        let (build, launcher) = build.unwrap_or_default();
        Ok(Self {
            image: name.to_owned(),
            digest: image.digest().to_string(),
            platform: image.config().platform(),
            created: image.config().created.clone().unwrap_or_default(),
            size: image.layers().map(|(_, layer)| layer.size).sum(),
            built_by_buildpacks,
            // Images of lifecycles that did not write the label can be rebased.
            rebasable: built_by_buildpacks && label(labels::REBASABLE) != "false",
            sbom: metadata.sbom.as_ref().is_some_and(|sha| !sha.is_empty()),
            stack: label(labels::STACK_ID),
            exec_env: label(labels::EXEC_ENV),
            user: config.user.clone(),
            working_dir: config.working_dir.clone(),
            entrypoint: config.entrypoint.clone(),
            cmd: config.cmd.clone(),
            env: config.env.clone(),
            exposed_ports: config.exposed_ports.iter().cloned().collect(),
            run_image: RunImage::of(&metadata),
            buildpacks: build.buildpacks.iter().map(Module::of).collect(),
            extensions: build.extensions.iter().map(Module::of).collect(),
            launcher_version: launcher.version,
            processes: processes(image, &build),
            layers: layers(image, &metadata, present),
        })
    }
}

fn label_of<T>(
    image: &Image,
    key: &str,
    read: fn(&str) -> serde_json::Result<T>,
) -> anyhow::Result<Option<T>> {
    let label = image.label(key).filter(|label| !label.is_empty());
    label
        .map(read)
        .transpose()
        .with_context(|| format!("failed to read label {key} of the image"))
}

impl RunImage {
    fn of(metadata: &LayersMetadata) -> Self {
        let record = &metadata.run_image;
        // Below Platform API 0.12 the stack names it.
        let named = match &metadata.stack {
            Some(stack) if record.image.image.is_empty() => stack,
            _ => &record.image,
        };
        let digest = record.reference.rsplit_once('@').map(|(_, it)| it);
        Self {
            image: named.image.clone(),
            mirrors: named.mirrors.clone(),
            reference: record.reference.clone(),
            digest: digest.unwrap_or_default().to_owned(),
            top_layer: record.top_layer.clone(),
        }
    }
}

impl Module {
    fn of(element: &GroupElement) -> Self {
        Self {
            id: element.id.clone(),
            version: element.version.clone(),
            homepage: element.homepage.clone(),
        }
    }
}

fn processes(image: &Image, build: &BuildMetadata) -> Vec<Process> {
    let default = match image.config().config.entrypoint.as_slice() {
        [entrypoint] => entrypoint.strip_prefix(PROCESS_DIR),
        _ => None,
    };
    let default = default.or_else(|| image.config().env(PROCESS_TYPE));
    let process = |process: &buildpack::launch::Process| Process {
        r#type: process.process_type.clone(),
        default: default == Some(&process.process_type),
        direct: process.direct,
        command: process.command.clone(),
        args: process.args.clone().unwrap_or_default(),
        working_dir: process.working_dir.clone(),
        buildpack: process.buildpack_id.clone(),
        exec_env: process.exec_env.clone(),
    };
    build.processes.iter().flatten().map(process).collect()
}

fn layers(
    image: &Image,
    metadata: &LayersMetadata,
    present: &dyn Fn(&Descriptor) -> bool,
) -> Vec<Layer> {
    let made = made(metadata);
    let top = &metadata.run_image.top_layer;
    // Layers of the app may have the contents of one of the run image's: place counts before contents.
    let of_base = image
        .diff_ids()
        .iter()
        .position(|it| it.to_string() == *top);
    let layer = |(number, (diff_id, layer)): (usize, (&DiffId, &Descriptor))| {
        let id = diff_id.to_string();
        let unknown = (Kind::Other, "", "");
        let (kind, buildpack, name) = if of_base.is_some_and(|top| number <= top) {
            (Kind::RunImage, "", "")
        } else {
            made.get(id.as_str()).copied().unwrap_or(unknown)
        };
        Layer {
            diff_id: id,
            digest: layer.digest.to_string(),
            size: layer.size,
            present: present(layer),
            kind,
            buildpack: buildpack.to_owned(),
            name: name.to_owned(),
        }
    };
    image.layers().enumerate().map(layer).collect()
}

/// Returns what the label says of layers, by diffID: what it is, its buildpack, its name there.
fn made(metadata: &LayersMetadata) -> HashMap<&str, (Kind, &str, &str)> {
    let of_lifecycle = [
        (Kind::Launcher, &metadata.launcher),
        (Kind::Config, &metadata.config),
        (Kind::ProcessTypes, &metadata.process_types),
    ];
    let of_lifecycle = of_lifecycle.map(|(kind, sha)| (sha.as_str(), (kind, "", "")));
    let sbom = metadata.sbom.iter();
    let sbom = sbom.map(|sha| (sha.as_str(), (Kind::Sbom, "", "")));
    let app = metadata.app.iter();
    let app = app.map(|sha| (sha.as_str(), (Kind::App, "", "")));
    let of_buildpacks = metadata.buildpacks.iter().flat_map(|buildpack| {
        let layers = buildpack.layers.iter();
        layers.map(|(name, layer)| {
            let made = (Kind::Buildpack, buildpack.id.as_str(), name.as_str());
            (layer.sha.as_str(), made)
        })
    });
    // Of equal contents the last is taken: a buildpack's name says most.
    of_lifecycle
        .into_iter()
        .chain(sbom)
        .chain(app)
        .chain(of_buildpacks)
        .collect()
}
