//! Images written by hand, in every shape that other people's programs give a layout.

use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// Returns `sha256:<hex>` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold("sha256:".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            text
        })
}

/// Writes a blob and returns its descriptor.
pub fn blob(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    let path = layout.join("blobs").join(digest.replace(':', "/"));
    fs::create_dir_all(path.parent().expect("blobs have a folder")).unwrap();
    fs::write(path, bytes).unwrap();
    json!({"mediaType": media_type, "size": bytes.len(), "digest": digest})
}

/// Writes `oci-layout` and `index.json` around descriptors of manifests.
pub fn index(layout: &Path, media_type: &str, manifests: &[Value]) {
    fs::create_dir_all(layout).unwrap();
    fs::write(
        layout.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .unwrap();
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
}

/// One image to write.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Media types of the Docker family instead of OCI's.
    pub docker: bool,
    /// Architecture in Go's words.
    pub architecture: &'static str,
    /// Leave the blob of the layer out.
    pub sparse: bool,
    /// What the one file of its layer holds; the architecture if `None`.
    pub content: Option<&'static str>,
}

impl Sample {
    /// A plain OCI image for this machine.
    pub const fn plain() -> Self {
        Self {
            docker: false,
            architecture: this_architecture(),
            sparse: false,
            content: None,
        }
    }

    /// Writes manifest, config and one layer; returns the manifest's descriptor, with platform.
    pub fn write(self, layout: &Path) -> Value {
        let (manifest_type, config_type, layer_type) = if self.docker {
            (
                DOCKER_MANIFEST,
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
            )
        } else {
            (
                MANIFEST,
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            )
        };
        let tar = layer_tar(self.content.unwrap_or(self.architecture));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        std::io::Write::write_all(&mut gzip, &tar).unwrap();
        let layer = blob(layout, layer_type, &gzip.finish().unwrap());
        if self.sparse {
            let digest = layer["digest"].as_str().unwrap().replace(':', "/");
            fs::remove_file(layout.join("blobs").join(digest)).unwrap();
        }
        let config = json!({
            "architecture": self.architecture,
            "os": "linux",
            "created": "2020-01-01T00:00:00Z",
            "config": {
                "Env": ["PATH=/usr/bin:/bin", "BASE=yes"],
                "User": "1000:1000",
                "Labels": {"io.buildpacks.base.distro.name": "debian", "io.buildpacks.base.distro.version": "12"},
            },
            "rootfs": {"type": "layers", "diff_ids": [digest(&tar)]},
            "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "base"}],
        });
        let config = blob(layout, config_type, config.to_string().as_bytes());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [layer],
        });
        let mut descriptor = blob(layout, manifest_type, manifest.to_string().as_bytes());
        descriptor["platform"] = json!({"os": "linux", "architecture": self.architecture});
        descriptor
    }
}

/// Writes a layout of one plain image.
pub fn plain(layout: &Path) {
    let manifest = Sample::plain().write(layout);
    index(layout, INDEX, &[manifest]);
}

/// Returns this machine's architecture in Go's words.
pub const fn this_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}

fn layer_tar(content: &str) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "etc/marker", content.as_bytes())
        .unwrap();
    tar.into_inner().unwrap()
}

/// An image as it lies in a layout: read without our libraries.
#[derive(Debug)]
pub struct Written {
    /// `index.json`.
    pub index: Value,
    /// Descriptor of the only manifest.
    pub descriptor: Value,
    /// The manifest.
    pub manifest: Value,
    /// The config.
    pub config: Value,
}

/// Reads the only image of a layout.
pub fn read(layout: &Path) -> Written {
    let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).expect("JSON") };
    let index = json(&fs::read(layout.join("index.json")).unwrap());
    let manifests = index["manifests"].as_array().expect("manifests");
    assert_eq!(manifests.len(), 1, "{index}");
    let descriptor = manifests[0].clone();
    let manifest = json(&read_blob(layout, &descriptor));
    let config = json(&read_blob(layout, &manifest["config"]));
    Written {
        index,
        descriptor,
        manifest,
        config,
    }
}

/// Reads a blob and checks it against its descriptor.
pub fn read_blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let expected = descriptor["digest"].as_str().expect("a digest");
    let bytes = fs::read(layout.join("blobs").join(expected.replace(':', "/"))).unwrap();
    assert_eq!(digest(&bytes), expected);
    assert_eq!(json!(bytes.len()), descriptor["size"]);
    bytes
}

impl Written {
    /// Returns the manifest's digest.
    pub fn digest(&self) -> &str {
        self.descriptor["digest"].as_str().expect("a digest")
    }

    /// Returns a label that holds JSON.
    pub fn label(&self, key: &str) -> Value {
        let text = self.config["config"]["Labels"][key]
            .as_str()
            .unwrap_or_else(|| panic!("no label {key}"));
        serde_json::from_str(text).expect("a label of JSON")
    }
}
