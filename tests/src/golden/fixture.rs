//! Run images and previous images that a case describes: small, and the same bytes as when the cases were recorded.

pub mod json;
pub mod layer;

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::Deserialize;
use serde_json::Value;

use self::json::Json;
use self::layer::Member;
use super::text::sha256;
use crate::image::{DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST};
use crate::registry::Registry;

/// OCI image config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// OCI layer in gzip.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Docker layer in gzip.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const PLAIN_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const TIME: &str = "2024-05-06T07:08:09Z";

/// An `[[image]]` of `case.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spec {
    /// Folder of the layout that it is written to.
    pub layout: Option<String>,
    /// Name that it gets in the registry.
    pub push: Option<String>,
    /// Which shape `index.json` or the registry's manifest has.
    pub kind: Kind,
    /// Goes into a file, to tell images apart.
    pub salt: String,
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub arch: String,
    /// Variant of the architecture.
    pub variant: String,
    /// Platforms of an index.
    pub platforms: Vec<Platform>,
    /// Say the platform in the descriptor of a single manifest too.
    pub index_platform: bool,
    /// Have the labels of a distribution.
    pub distro: bool,
    /// Name of the distribution.
    pub distro_name: String,
    /// Version of the distribution.
    pub distro_version: String,
    /// Further labels.
    pub labels: Option<Json>,
    /// Variables.
    pub env: Vec<String>,
    /// User; empty: none.
    pub user: String,
    /// Further members of the config.
    pub config: Option<Json>,
    /// When it was made.
    pub created: String,
    /// Have a history.
    pub history: bool,
    /// Leave out what the operating system is.
    pub drop_os: bool,
    /// How many layers it has on top of two.
    pub extra_layers: u32,
    /// Do not compress the layers.
    pub uncompressed_layers: bool,
    /// Leave out the blobs of the layers.
    pub drop_layers: bool,
    /// Annotations of the manifest.
    pub annotations: Option<Json>,
    /// `org.opencontainers.image.ref.name` of each descriptor in `index.json`.
    pub top_ref_name: Option<String>,
    /// Have a media type in `index.json`.
    pub index_media_type: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            layout: None,
            push: None,
            kind: Kind::Oci,
            salt: "base".to_owned(),
            os: "linux".to_owned(),
            arch: "amd64".to_owned(),
            variant: String::new(),
            platforms: [("amd64", ""), ("arm64", "v8"), ("arm", "v7")]
                .map(|(arch, variant)| Platform {
                    os: "linux".to_owned(),
                    architecture: arch.to_owned(),
                    variant: variant.to_owned(),
                })
                .to_vec(),
            index_platform: false,
            distro: true,
            distro_name: "ubuntu".to_owned(),
            distro_version: "22.04".to_owned(),
            labels: None,
            env: vec![
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
                "BASE=run".to_owned(),
            ],
            user: "1001:1000".to_owned(),
            config: None,
            created: TIME.to_owned(),
            history: true,
            drop_os: false,
            extra_layers: 0,
            uncompressed_layers: false,
            drop_layers: false,
            annotations: None,
            top_ref_name: None,
            index_media_type: true,
        }
    }
}

/// Shapes of an image.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One OCI manifest.
    Oci,
    /// One Docker manifest.
    Docker,
    /// An OCI index below `index.json`, with a manifest for each platform.
    NestedOciIndex,
    /// A Docker manifest list below `index.json`.
    NestedDockerList,
    /// `index.json` with a manifest for each platform.
    FlatOciIndex,
    /// `index.json` that is a Docker manifest list.
    FlatDockerList,
}

impl Kind {
    const fn is_docker(self) -> bool {
        matches!(
            self,
            Self::Docker | Self::NestedDockerList | Self::FlatDockerList
        )
    }
}

/// What an image of an index runs on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub architecture: String,
    /// Its variant.
    #[serde(default)]
    pub variant: String,
}

impl Platform {
    fn json(&self) -> Json {
        let mut platform = Json::object([
            ("os", Json::text(&self.os)),
            ("architecture", Json::text(&self.architecture)),
        ]);
        if !self.variant.is_empty() {
            platform.set("variant", Json::text(&self.variant));
        }
        platform
    }
}

/// An image and its blobs.
#[derive(Debug)]
pub struct Fixture<'a> {
    spec: &'a Spec,
    blobs: BTreeMap<String, Vec<u8>>,
    layers: Vec<String>,
    manifests: Vec<(String, String)>,
    index: Vec<Json>,
}

impl<'a> Fixture<'a> {
    /// Makes what is described.
    pub fn new(spec: &'a Spec) -> Self {
        let mut fixture = Self {
            spec,
            blobs: BTreeMap::new(),
            layers: Vec::new(),
            manifests: Vec::new(),
            index: Vec::new(),
        };
        let own = Platform {
            os: spec.os.clone(),
            architecture: spec.arch.clone(),
            variant: spec.variant.clone(),
        };
        match spec.kind {
            Kind::Oci | Kind::Docker => {
                let mut top = fixture.image(&own);
                if spec.index_platform {
                    top.set("platform", own.json());
                }
                fixture.index = vec![top];
            }
            kind => {
                for platform in &spec.platforms {
                    let mut manifest = fixture.image(platform);
                    manifest.set("platform", platform.json());
                    fixture.index.push(manifest);
                }
                if matches!(kind, Kind::NestedOciIndex | Kind::NestedDockerList) {
                    let media_type = if kind.is_docker() { DOCKER_LIST } else { INDEX };
                    let below = std::mem::take(&mut fixture.index);
                    let index = index_json(Some(media_type), below);
                    fixture.index = vec![fixture.blob(media_type, index.bytes())];
                }
            }
        }
        if let Some(name) = &spec.top_ref_name {
            for top in &mut fixture.index {
                let named = Json::object([("org.opencontainers.image.ref.name", Json::text(name))]);
                top.set("annotations", named);
            }
        }
        fixture
    }

    /// Returns the digests of all blobs, without `sha256:`.
    pub fn blobs(&self) -> impl Iterator<Item = &str> {
        self.blobs.keys().map(String::as_str)
    }

    /// Returns platform, as `os/architecture`, and digest of each manifest.
    pub fn manifests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.manifests
            .iter()
            .map(|(platform, digest)| (platform.as_str(), digest.as_str()))
    }

    /// Writes the image as an OCI layout.
    pub fn write(&self, layout: &Path) {
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs).unwrap();
        for (digest, bytes) in &self.blobs {
            if !(self.spec.drop_layers && self.layers.contains(digest)) {
                fs::write(blobs.join(digest), bytes).unwrap();
            }
        }
        let media_type = match self.spec.kind {
            Kind::FlatDockerList => Some(DOCKER_LIST),
            _ => self.spec.index_media_type.then_some(INDEX),
        };
        let index = index_json(media_type, self.index.clone());
        fs::write(layout.join("index.json"), index.bytes()).unwrap();
        let version = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(layout.join("oci-layout"), version).unwrap();
    }

    /// Has a registry take the image in, as `repository:tag`: blobs, manifests, and an index last.
    pub fn push(&self, registry: &Registry, name: &str) {
        let (repository, tag) = name.rsplit_once(':').expect("a name with a tag");
        let index: Value = serde_json::from_slice(&index_json(None, self.index.clone()).bytes())
            .expect("it is JSON");
        let top = index["manifests"][0]["digest"].as_str().expect("a digest");
        let mut documents = Vec::new();
        for (hex, bytes) in &self.blobs {
            let digest = format!("sha256:{hex}");
            let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
            if document["layers"].is_array() || document["manifests"].is_array() {
                documents.push((document["manifests"].is_array(), digest, document, bytes));
            } else {
                registry.take_bytes(repository, &digest, bytes);
            }
        }
        documents.sort_by_key(|(is_index, ..)| *is_index);
        for (_, digest, document, bytes) in documents {
            let media_type = document["mediaType"].as_str().expect("a media type");
            let name = if digest == top { tag } else { &digest };
            registry.take_manifest(repository, name, media_type, bytes);
        }
    }

    fn blob(&mut self, media_type: &str, bytes: Vec<u8>) -> Json {
        let digest = sha256(&bytes);
        let descriptor = Json::object([
            ("mediaType", Json::text(media_type)),
            ("size", Json::Number(bytes.len() as u64)),
            ("digest", Json::Text(format!("sha256:{digest}"))),
        ]);
        self.blobs.insert(digest, bytes);
        descriptor
    }

    fn image(&mut self, platform: &Platform) -> Json {
        let docker = self.spec.kind.is_docker();
        let (manifest_type, config_type, layer_type) = if docker {
            (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER)
        } else {
            (MANIFEST, CONFIG, LAYER)
        };
        let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
        for tar in self.spec.layers() {
            diff_ids.push(format!("sha256:{}", sha256(&tar)));
            let (media_type, bytes) = if self.spec.uncompressed_layers {
                (PLAIN_LAYER, tar)
            } else {
                (layer_type, layer::gzip(&tar))
            };
            self.layers.push(sha256(&bytes));
            layers.push(self.blob(media_type, bytes));
        }
        let config = self.spec.config(platform, &diff_ids).bytes();
        let config = self.blob(config_type, config);
        let mut manifest = Json::object([
            ("schemaVersion", Json::Number(2)),
            ("mediaType", Json::text(manifest_type)),
            ("config", config),
            ("layers", Json::List(layers)),
        ]);
        if let Some(annotations) = &self.spec.annotations {
            manifest.set("annotations", annotations.clone());
        }
        let bytes = manifest.bytes();
        let platform = format!("{}/{}", platform.os, platform.architecture);
        self.manifests
            .push((platform, format!("sha256:{}", sha256(&bytes))));
        self.blob(manifest_type, bytes)
    }
}

impl Spec {
    fn layers(&self) -> Vec<Vec<u8>> {
        let salt = &self.salt;
        let release = format!(
            "ID={}\nVERSION_ID=\"{}\"\n",
            self.distro_name, self.distro_version
        );
        let marker = format!("run image {salt}\n");
        let mut layers = vec![
            layer::tar(&[
                ("etc/", Member::Folder),
                ("etc/os-release", Member::File(release.as_bytes())),
                ("bin/", Member::Folder),
            ]),
            layer::tar(&[
                ("opt/", Member::Folder),
                ("opt/run-base", Member::File(marker.as_bytes())),
                ("opt/link", Member::Link("run-base")),
            ]),
        ];
        for at in 0..self.extra_layers {
            let (name, text) = (format!("opt/extra-{at}"), format!("{salt} extra {at}\n"));
            layers.push(layer::tar(&[(&name, Member::File(text.as_bytes()))]));
        }
        layers
    }

    fn config(&self, platform: &Platform, diff_ids: &[String]) -> Json {
        let mut labels = Json::Object(Vec::new());
        if self.distro {
            labels.set(
                "io.buildpacks.base.distro.name",
                Json::text(&self.distro_name),
            );
            labels.set(
                "io.buildpacks.base.distro.version",
                Json::text(&self.distro_version),
            );
        }
        merge(&mut labels, self.labels.as_ref());
        let mut inner = Json::object([("Env", Json::texts(&self.env))]);
        if !self.user.is_empty() {
            inner.set("User", Json::text(&self.user));
        }
        merge(&mut inner, self.config.as_ref());
        if labels != Json::Object(Vec::new()) {
            inner.set("Labels", labels);
        }
        let mut config = Json::object([("architecture", Json::text(&platform.architecture))]);
        if !self.drop_os {
            config.set("os", Json::text(&platform.os));
        }
        config.set("created", Json::text(&self.created));
        config.set("config", inner);
        let rootfs = Json::object([
            ("type", Json::text("layers")),
            ("diff_ids", Json::texts(diff_ids)),
        ]);
        config.set("rootfs", rootfs);
        if !platform.variant.is_empty() {
            config.set("variant", Json::text(&platform.variant));
        }
        if self.history {
            config.set("history", history(diff_ids.len()));
        }
        config
    }
}

fn history(layers: usize) -> Json {
    let entry = |by: &str| {
        Json::object([
            ("created", Json::text(TIME)),
            ("created_by", Json::text(by)),
        ])
    };
    let mut variable = entry("ENV X");
    variable.set("empty_layer", Json::Bool(true));
    let mut entries = vec![entry("base os"), variable];
    entries.extend((1..layers).map(|at| entry(&format!("run base {at}"))));
    Json::List(entries)
}

fn merge(into: &mut Json, from: Option<&Json>) {
    let Some(Json::Object(members)) = from else {
        return;
    };
    for (key, value) in members {
        into.set(key, value.clone());
    }
}

fn index_json(media_type: Option<&str>, manifests: Vec<Json>) -> Json {
    let mut index = Json::object([("schemaVersion", Json::Number(2))]);
    if let Some(media_type) = media_type {
        index.set("mediaType", Json::text(media_type));
    }
    index.set("manifests", Json::List(manifests));
    index
}
