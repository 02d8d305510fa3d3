//! Layouts made by hand, without the code under test but for its SHA-256.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use layout::digest::sha256;
use layout::{Image, Layout, Selector};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
pub(crate) const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A layout in a directory of its own.
pub(crate) struct Fixture {
    dir: TempDir,
}

/// A layer: what is in its blob, and what it unpacks to.
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tar: Vec<u8>,
}

impl Fixture {
    /// An empty directory.
    pub(crate) fn empty() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// An image of two gzip layers, named `latest`.
    pub(crate) fn oci() -> Self {
        let fixture = Self::empty();
        let layers = [gzip(tar("etc/one", b"1")), gzip(tar("etc/two", b"2"))];
        fixture.image(&layers, OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
        fixture
    }

    /// The same with Docker's media types.
    pub(crate) fn docker() -> Self {
        let fixture = Self::empty();
        let layers = [gzip(tar("etc/one", b"1")), gzip(tar("etc/two", b"2"))];
        fixture.image(&layers, DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER);
        fixture
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn layout(&self) -> Layout {
        Layout::at(self.path())
    }

    pub(crate) fn open(&self) -> Image {
        let image = self.layout().image(&Selector::default()).unwrap();
        image.expect("the layout holds an image")
    }

    pub(crate) fn blob_path(&self, digest: &str) -> PathBuf {
        self.path().join("blobs").join(digest.replace(':', "/"))
    }

    /// Writes a blob and returns its descriptor.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = sha256(bytes).to_string();
        let path = self.blob_path(&digest);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        json!({"mediaType": media_type, "size": bytes.len(), "digest": digest})
    }

    /// Writes an image and the files around it.
    pub(crate) fn image(&self, layers: &[Blob], manifest: &str, config: &str, layer: &str) {
        let diff_ids: Vec<_> = layers
            .iter()
            .map(|it| sha256(&it.tar).to_string())
            .collect();
        let layers: Vec<_> = layers
            .iter()
            .map(|it| self.blob(layer, &it.bytes))
            .collect();
        let document = json!({
            "architecture": "amd64", "os": "linux", "created": "2024-05-06T07:08:09Z",
            "config": {"Labels": {"a": "<1>"}, "Env": ["PATH=/bin"], "StopSignal": "SIGTERM"},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": [
                {"created_by": "base"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "two"},
            ],
        });
        let config = self.blob(config, document.to_string().as_bytes());
        self.manifest(&json!({
            "schemaVersion": 2, "mediaType": manifest, "config": config, "layers": layers,
            "annotations": {"base": "annotation"},
        }));
    }

    /// Writes a manifest and the files around it.
    pub(crate) fn manifest(&self, manifest: &Value) {
        let media_type = manifest["mediaType"].as_str().unwrap_or_default();
        let descriptor = self.blob(media_type, manifest.to_string().as_bytes());
        self.index(&json!({"schemaVersion": 2, "manifests": [descriptor]}));
    }

    /// Writes `index.json` and `oci-layout`.
    pub(crate) fn index(&self, index: &Value) {
        fs::write(self.path().join("index.json"), index.to_string()).unwrap();
        let header = r#"{"imageLayoutVersion":"1.0.0"}"#;
        fs::write(self.path().join("oci-layout"), header).unwrap();
    }

    /// Removes the blob of a layer.
    pub(crate) fn forget_layer(&self, number: usize) {
        let layer = self.open().manifest().layers[number].clone();
        fs::remove_file(self.blob_path(layer.digest.as_ref())).unwrap();
    }
}

/// Returns path and content of every file below `dir`, by path.
pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Returns the tar of one file.
pub(crate) fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(tar: Vec<u8>) -> Blob {
    Blob {
        bytes: gzip_member(&tar),
        tar,
    }
}

pub(crate) fn gzip_member(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
