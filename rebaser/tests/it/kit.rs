//! An app image, the run image that it stands on and a new one: JSON by hand, read back as JSON.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use layout::digest::sha256;
use platform::entry::Invocation;
use platform::inputs::Variables;
use platform::{Failure, PlatformApi};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const METADATA: &str = "io.buildpacks.lifecycle.metadata";
pub(crate) const OCI: &str = "application/vnd.oci.image";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// One image to write. Its layers are texts, which are their own blobs.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) layers: Vec<&'static str>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Everything else of the config.
    pub(crate) config: Value,
    pub(crate) docker: bool,
    pub(crate) annotations: Value,
}

impl Sample {
    /// A run image.
    pub(crate) fn base(layers: &[&'static str]) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux", "created": "2024-09-09T00:00:00Z",
            "config": {"Env": ["PATH=/bin", "BASE=run"], "User": "base"},
            "history": layers.iter().map(|it| json!({"created_by": it})).collect::<Vec<_>>(),
        });
        Self {
            layers: layers.to_vec(),
            labels: BTreeMap::new(),
            config,
            docker: false,
            annotations: json!({}),
        }
    }

    /// An image of layers `app` and `launcher` on `base one` and `base two`, built with this Platform API.
    pub(crate) fn app(api: &str) -> Self {
        let mut app = Self::base(&["base one", "base two", "app", "launcher"]);
        app.config["config"] = json!({
            "Env": ["PATH=/cnb/process:/bin", format!("CNB_PLATFORM_API={api}")],
            "User": "1000:1000", "Entrypoint": ["/cnb/process/web"], "WorkingDir": "/workspace",
        });
        app.metadata(&json!({
            "runImage": {"topLayer": digest("base two"), "reference": "old", "image": "run"},
            "stack": {"runImage": {"image": "run"}},
        }))
    }

    pub(crate) fn metadata(self, metadata: &Value) -> Self {
        self.label(METADATA, &metadata.to_string())
    }

    pub(crate) fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn with(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }
}

/// A directory of layouts, `run` and `app` in it, and a place for the report.
pub(crate) struct Layouts {
    dir: TempDir,
}

impl Layouts {
    /// `run` has one layer, `new`; `app` is a sample's.
    pub(crate) fn with(app: &Sample) -> Self {
        let layouts = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        layouts.put(
            "index.docker.io/library/run/latest",
            &Sample::base(&["new"]),
        );
        layouts.put("index.docker.io/library/app/latest", app);
        layouts
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("oci")
    }

    pub(crate) fn path(&self, place: &str) -> PathBuf {
        self.root().join(place)
    }

    pub(crate) fn app(&self) -> PathBuf {
        self.path("index.docker.io/library/app/latest")
    }

    pub(crate) fn report(&self) -> PathBuf {
        self.dir.path().join("report.toml")
    }

    /// Writes a layout of one image.
    pub(crate) fn put(&self, place: &str, sample: &Sample) -> String {
        let descriptor = self.image(place, sample);
        self.index(place, std::slice::from_ref(&descriptor));
        descriptor["digest"].as_str().unwrap().to_owned()
    }

    /// Writes an image without the index that names it.
    pub(crate) fn image(&self, place: &str, sample: &Sample) -> Value {
        let (family, layer_type) = if sample.docker {
            ("application/vnd.docker", DOCKER_LAYER)
        } else {
            ("application/vnd.oci", OCI_LAYER)
        };
        let (manifest_type, config_type) = if sample.docker {
            (
                format!("{family}.distribution.manifest.v2+json"),
                format!("{family}.container.image.v1+json"),
            )
        } else {
            (
                format!("{family}.image.manifest.v1+json"),
                format!("{family}.image.config.v1+json"),
            )
        };
        let layers: Vec<_> = sample
            .layers
            .iter()
            .map(|it| self.blob(place, layer_type, it))
            .collect();
        let mut config = sample.config.clone();
        config["rootfs"] = json!({
            "type": "layers", "diff_ids": sample.layers.iter().map(|it| digest(it)).collect::<Vec<_>>(),
        });
        if !sample.labels.is_empty() {
            config["config"]["Labels"] = json!(sample.labels);
        }
        let config = self.blob(place, &config_type, &config.to_string());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers,
            "annotations": sample.annotations,
        });
        self.blob(place, &manifest_type, &manifest.to_string())
    }

    pub(crate) fn index(&self, place: &str, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.path(place).join("index.json"), index.to_string()).unwrap();
    }

    fn blob(&self, place: &str, media_type: &str, text: &str) -> Value {
        let path = blob_of(&self.path(place), &digest(text));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        json!({"mediaType": media_type, "size": text.len(), "digest": digest(text)})
    }

    /// Removes the blob of a layer.
    pub(crate) fn forget(&self, place: &str, layer: &str) {
        fs::remove_file(blob_of(&self.path(place), &digest(layer))).unwrap();
    }

    /// Rebases in this process.
    pub(crate) fn rebase(&self, api: &str, args: &[&str]) -> Result<(), Failure> {
        self.rebase_with(api, args, &[])
    }

    pub(crate) fn rebase_with(
        &self,
        api: &str,
        args: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let owner = fs::metadata(self.dir.path()).unwrap();
        let own = [
            ("CNB_USE_LAYOUT", "true".to_owned()),
            ("CNB_LAYOUT_DIR", self.root().display().to_string()),
            ("CNB_EXPERIMENTAL_MODE", "quiet".to_owned()),
            ("CNB_REPORT_PATH", self.report().display().to_string()),
            ("CNB_USER_ID", owner.uid().to_string()),
            ("CNB_GROUP_ID", owner.gid().to_string()),
        ];
        let own = own.map(|(name, value)| (name.into(), value.into()));
        let others = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        rebaser::command::command(&Invocation {
            name: "rebaser".to_owned(),
            api: PlatformApi::negotiate(Some(api)).unwrap(),
            args: args.iter().map(OsString::from).collect(),
            variables: Variables::from_pairs(own.into_iter().chain(others)),
        })
    }

    /// Rebases `app` as it is named.
    pub(crate) fn rebased(&self, api: &str, args: &[&str]) -> Written {
        let args: Vec<_> = args.iter().copied().chain(["app"]).collect();
        self.rebase(api, &args).map_err(|it| it.error).unwrap();
        read(&self.app())
    }
}

/// What a layout holds.
#[derive(Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) descriptor: Value,
    pub(crate) manifest: Value,
    pub(crate) config: Value,
}

impl Written {
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.config["config"]["Labels"][key].as_str()
    }

    pub(crate) fn metadata(&self) -> Value {
        serde_json::from_str(self.label(METADATA).unwrap()).unwrap()
    }

    pub(crate) fn diff_ids(&self) -> &Value {
        &self.config["rootfs"]["diff_ids"]
    }
}

/// Reads the only image of a layout.
pub(crate) fn read(layout: &Path) -> Written {
    let json = |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let blob = |it: &Value| json(&blob_of(layout, it["digest"].as_str().unwrap()));
    let index = json(&layout.join("index.json"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    let descriptor = index["manifests"][0].clone();
    let manifest = blob(&descriptor);
    let config = blob(&manifest["config"]);
    Written {
        descriptor,
        manifest,
        config,
    }
}

pub(crate) fn digest(text: &str) -> String {
    sha256(text.as_bytes()).to_string()
}

pub(crate) fn blob_of(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Returns path and content of every file below `dir`.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(snapshot(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Returns how a rebase failed: code and last line.
pub(crate) fn ending(result: Result<(), Failure>) -> (u8, String) {
    let failure = result.unwrap_err();
    (failure.code as u8, format!("{:#}", failure.error))
}

/// Returns the metadata label of an image that stands on `base two`; no stack for null.
pub(crate) fn metadata(run_image: &Value, stack: &Value) -> Value {
    let mut metadata = json!({"runImage": run_image});
    metadata["runImage"]["topLayer"] = json!(digest("base two"));
    if !stack.is_null() {
        metadata["stack"] = json!({"runImage": stack});
    }
    metadata
}
