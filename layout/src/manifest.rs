//! Manifests, indexes and descriptors, of the OCI and the Docker family (manifest.md, image-index.md).
//!
//! Own types instead of `oci-spec`'s: key order is the reference's (EXP-060), maps are sorted, and
//! what Go tools write (null lists, no `mediaType`) is read. Read them with [`crate::json::from_slice`].

use std::collections::BTreeMap;
use std::fmt;

use oci_spec::image::Arch;
pub use oci_spec::image::MediaType;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::text::printable;

/// The annotation that names an image within a layout (OCI annotations.md).
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_FOREIGN_LAYER: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";

/// Points to a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is; empty where the descriptor does not say.
    #[serde(default = "unsaid")]
    pub media_type: MediaType,
    /// Bytes of the blob.
    pub size: u64,
    /// Digest of the blob.
    pub digest: Digest,
    /// Other places to get the blob from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free-form annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What the manifest runs on; in indexes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// Returns a descriptor without annotations and platform.
    pub fn new(media_type: MediaType, size: u64, digest: Digest) -> Self {
        Self {
            media_type,
            size,
            digest,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
        }
    }

    /// Returns the value of `org.opencontainers.image.ref.name`.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotations.get(REF_NAME).map(String::as_str)
    }
}

/// What an image runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture in Go's words, `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// Operating system in Go's words, `linux`.
    #[serde(default)]
    pub os: String,
    /// Version of the operating system.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// Variant of the CPU, `v8`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// Returns linux on the architecture that this program was built for, in Go's words.
    pub fn host() -> Self {
        Self {
            architecture: Arch::default().to_string(),
            os: "linux".to_owned(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Platform {
    /// `os/architecture[/variant][:os.version]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |text: &str| if text.is_empty() { "unknown" } else { text }.to_owned();
        write!(
            f,
            "{}/{}",
            or_unknown(&self.os),
            or_unknown(&self.architecture)
        )?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        if !self.os_version.is_empty() {
            write!(f, ":{}", self.os_version)?;
        }
        Ok(())
    }
}

/// An image manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    #[serde(default = "two")]
    pub schema_version: u32,
    /// May be missing in what others wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The image config.
    pub config: Descriptor,
    /// Layers, base first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// Free-form annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Returns the manifest with Docker's media types replaced by OCI's; digests of blobs stay.
    #[must_use]
    pub fn to_oci(mut self) -> Self {
        self.media_type = self.media_type.map(|it| to_oci(&it));
        self.config.media_type = match to_oci(&self.config.media_type) {
            it if it == unsaid() => MediaType::ImageConfig,
            it => it,
        };
        for layer in &mut self.layers {
            layer.media_type = to_oci(&layer.media_type);
        }
        self
    }

    /// Returns the manifest with OCI's media types replaced by Docker's; digests of blobs stay.
    #[must_use]
    pub fn to_docker(mut self) -> Self {
        self.media_type = Some(DOCKER_MANIFEST.into());
        self.config.media_type = DOCKER_CONFIG.into();
        for layer in &mut self.layers {
            layer.media_type = layer_to_docker(&layer.media_type);
        }
        self
    }

    /// Returns whether it says that it is a manifest of Docker's.
    pub fn is_docker(&self) -> bool {
        self.media_type == Some(DOCKER_MANIFEST.into())
    }
}

/// Returns the type that Docker has for a layer of OCI's; any other type stays as it is.
fn layer_to_docker(media_type: &MediaType) -> MediaType {
    let (name, compression) = match media_type {
        MediaType::ImageLayer => (DOCKER_LAYER, ""),
        MediaType::ImageLayerGzip => (DOCKER_LAYER, ".gzip"),
        MediaType::ImageLayerZstd => (DOCKER_LAYER, ".zstd"),
        MediaType::ImageLayerNonDistributable => (DOCKER_FOREIGN_LAYER, ""),
        MediaType::ImageLayerNonDistributableGzip => (DOCKER_FOREIGN_LAYER, ".gzip"),
        MediaType::ImageLayerNonDistributableZstd => (DOCKER_FOREIGN_LAYER, ".zstd"),
        other => return other.clone(),
    };
    format!("{name}{compression}").as_str().into()
}

/// An image index: `index.json`, or a blob that one names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    #[serde(default = "two")]
    pub schema_version: u32,
    /// May be missing in what others wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Images, and indexes of images.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Free-form annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// Returns an OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::ImageIndex),
            manifests,
            annotations: BTreeMap::new(),
        }
    }
}

/// Returns the OCI media type that means the same as Docker's; any other type as it is.
pub fn to_oci(media_type: &MediaType) -> MediaType {
    let MediaType::Other(text) = media_type else {
        return media_type.clone();
    };
    let layer = |name: &str, foreign: bool| match (name, foreign) {
        ("", false) => Some(MediaType::ImageLayer),
        (".gzip", false) => Some(MediaType::ImageLayerGzip),
        (".zstd", false) => Some(MediaType::ImageLayerZstd),
        ("", true) => Some(MediaType::ImageLayerNonDistributable),
        (".gzip", true) => Some(MediaType::ImageLayerNonDistributableGzip),
        (".zstd", true) => Some(MediaType::ImageLayerNonDistributableZstd),
        _ => None,
    };
    let oci = match text.as_str() {
        DOCKER_LIST => Some(MediaType::ImageIndex),
        DOCKER_MANIFEST => Some(MediaType::ImageManifest),
        DOCKER_CONFIG => Some(MediaType::ImageConfig),
        other => other
            .strip_prefix(DOCKER_LAYER)
            .and_then(|name| layer(name, false))
            .or_else(|| {
                let name = other.strip_prefix(DOCKER_FOREIGN_LAYER)?;
                layer(name, true)
            }),
    };
    oci.unwrap_or_else(|| media_type.clone())
}

/// What a document that an index names turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// An index of further documents.
    Index(Index),
    /// An image.
    Manifest(Box<Manifest>),
}

/// Characters of a media type that an error shows.
const MAX_SHOWN: usize = 100;

/// A document that is neither a manifest nor an index, or pretends to be both.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// No JSON, or keys of the wrong type.
    #[error("not a manifest or index")]
    Json(#[from] serde_json::Error),
    /// One reader would take it for an image, another for an index.
    #[error("both `manifests` and `layers` or `config`")]
    Ambiguous,
    /// The descriptor calls it something else than it is.
    #[error("unexpected media type {}", printable(.0.as_ref(), MAX_SHOWN))]
    MediaType(MediaType),
}

impl Document {
    /// Reads a blob whose descriptor calls it `declared`, which may be empty.
    ///
    /// What it is follows from its keys; a media type that says otherwise is refused, so that no
    /// two readers see different images in one document.
    pub fn parse(bytes: &[u8], declared: &MediaType) -> Result<Self, DocumentError> {
        let keys: Keys = crate::json::from_slice(bytes)?;
        let is_index = keys.manifests.is_some();
        if is_index && (keys.layers.is_some() || keys.config.is_some()) {
            return Err(DocumentError::Ambiguous);
        }
        let expected = if is_index {
            MediaType::ImageIndex
        } else {
            MediaType::ImageManifest
        };
        for said in std::iter::once(declared).chain(&keys.media_type) {
            if *said != unsaid() && to_oci(said) != expected {
                return Err(DocumentError::MediaType(said.clone()));
            }
        }
        Ok(if is_index {
            Self::Index(crate::json::from_slice(bytes)?)
        } else {
            Self::Manifest(Box::new(crate::json::from_slice(bytes)?))
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    media_type: Option<MediaType>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
}

fn unsaid() -> MediaType {
    MediaType::Other(String::new())
}

fn two() -> u32 {
    2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::json;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// EXP-060: key order and which keys are left out.
    #[test]
    fn keys_are_written_in_the_order_of_the_reference() {
        let mut layer = Descriptor::new(MediaType::ImageLayerGzip, 3, sha256(b""));
        layer.urls = vec!["u".to_owned()];
        layer.annotations.insert("z<".to_owned(), "1".to_owned());
        layer.annotations.insert("a".to_owned(), "2".to_owned());
        layer.platform = Some(Platform {
            architecture: "arm".to_owned(),
            os: "linux".to_owned(),
            os_version: "1".to_owned(),
            os_features: vec!["f".to_owned()],
            variant: "v7".to_owned(),
        });
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MediaType::ImageManifest),
            config: Descriptor::new(MediaType::ImageConfig, 2, sha256(b"")),
            layers: vec![layer],
            annotations: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        };
        let expected = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"EMPTY"},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","size":3,"digest":"EMPTY","urls":["u"],"annotations":{"a":"2","z\u003c":"1"},"platform":{"architecture":"arm","os":"linux","os.version":"1","os.features":["f"],"variant":"v7"}}],"annotations":{"k":"v"}}"#;
        assert_eq!(
            json::to_string(&manifest).unwrap(),
            expected.replace("EMPTY", EMPTY)
        );
    }

    #[test]
    fn null_lists_and_missing_media_types_are_read() {
        let text = r#"{"schemaVersion":2,"config":{"size":1,"digest":"EMPTY"},"layers":null,"annotations":null,"x":1}"#;
        let bytes = text.replace("EMPTY", EMPTY);
        let manifest: Manifest = json::from_slice(bytes.as_bytes()).unwrap();
        assert_eq!(manifest.media_type, None);
        assert_eq!(manifest.layers, vec![]);
        assert_eq!(manifest.config.media_type.to_string(), "");
        assert_eq!(
            manifest.to_oci().config.media_type,
            MediaType::ImageConfig,
            "a config needs a type in what we write"
        );
        let index: Index = json::from_slice(br#"{"schemaVersion":2,"manifests":null}"#).unwrap();
        assert_eq!(index.manifests, vec![]);
    }

    #[test]
    fn docker_types_become_oci_types() {
        let cases = [
            (
                "application/vnd.docker.distribution.manifest.list.v2+json",
                "application/vnd.oci.image.index.v1+json",
            ),
            (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.oci.image.manifest.v1+json",
            ),
            (
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.oci.image.config.v1+json",
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar",
                "application/vnd.oci.image.layer.v1.tar",
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.zstd",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.lz4",
                "application/vnd.docker.image.rootfs.diff.tar.lz4",
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
            ("text/plain", "text/plain"),
        ];
        for (docker, oci) in cases {
            assert_eq!(
                to_oci(&MediaType::from(docker)),
                MediaType::from(oci),
                "{docker}"
            );
        }
    }

    #[test]
    fn a_document_is_what_its_keys_say_unless_its_type_says_otherwise() {
        let index = r#"{"manifests":[]}"#;
        let manifest = r#"{"config":{"size":1,"digest":"EMPTY"}}"#.replace("EMPTY", EMPTY);
        let cases = [
            (index, "", "index"),
            (index, "application/vnd.oci.image.index.v1+json", "index"),
            (index, DOCKER_LIST, "index"),
            (index, DOCKER_MANIFEST, "unexpected media type"),
            (manifest.as_str(), "", "manifest"),
            (manifest.as_str(), DOCKER_MANIFEST, "manifest"),
            (manifest.as_str(), DOCKER_LIST, "unexpected media type"),
            (manifest.as_str(), "text/plain", "unexpected media type"),
            (
                r#"{"mediaType":"text/plain","manifests":[]}"#,
                "",
                "unexpected media type",
            ),
            (r#"{"manifests":[],"layers":[]}"#, "", "both"),
            (r#"{"manifests":[],"config":{}}"#, "", "both"),
            ("{}", "", "not a manifest"),
            ("[]", "", "not a manifest"),
            (
                r#"{"config":{"size":-1,"digest":"x"}}"#,
                "",
                "not a manifest",
            ),
        ];
        for (text, declared, expected) in cases {
            let found = match Document::parse(text.as_bytes(), &MediaType::from(declared)) {
                Ok(Document::Index(_)) => "index".to_owned(),
                Ok(Document::Manifest(_)) => "manifest".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(found.contains(expected), "{text} as {declared}: {found}");
        }
    }

    #[test]
    fn platforms_read_well() {
        let host = Platform::host();
        assert_eq!(host.os, "linux");
        assert_eq!(
            host.architecture,
            match std::env::consts::ARCH {
                "x86_64" => "amd64",
                "aarch64" => "arm64",
                other => other,
            }
        );
        assert_eq!(Platform::default().to_string(), "unknown/unknown");
    }
}
