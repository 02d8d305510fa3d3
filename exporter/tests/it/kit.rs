//! A build as the builder leaves it: app, layers, run image, launcher.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ::cache::{Cache, VolumeCache};
use buildpack::group::{Group, GroupElement};
use exporter::command::{Images, Opened, export};
use fs_err as fs;
use layout::digest::sha256;
use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{DiffId, History, Image, ImageConfig, ImageEditor, Layout, Selector};
use platform::files::analyzed::RunImage;
use platform::files::{Analyzed, LayersMetadata};
use platform::images::ImageStore;
use platform::inputs::exporter::Inputs as Flags;
use platform::inputs::{ImageSource, User, Variables};
use platform::{Failure, PlatformApi, labels};
use tempfile::TempDir;

/// Metadata of a build with one process.
const METADATA: &str = r#"
[[buildpacks]]
id = "acme/one"
version = "1.0.0"
api = "0.10"

[[processes]]
type = "web"
command = ["serve"]
direct = true
buildpack-id = "acme/one"
"#;

/// A build in a directory of its own.
pub(crate) struct Build {
    dir: TempDir,
    pub(crate) api: PlatformApi,
    pub(crate) flags: Flags,
    pub(crate) group: Group,
    pub(crate) analyzed: Analyzed,
}

impl Build {
    /// A buildpack `acme/one` with one launch layer `dep`, and an app of two files.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let layers = root.join("layers");
        let user = User {
            uid: fs::metadata(root).unwrap().uid(),
            gid: fs::metadata(root).unwrap().gid(),
        };
        let flags = Flags {
            user,
            images: ImageSource {
                layout_dir: Some(root.join("images")),
                ..ImageSource::default()
            },
            app_dir: root.join("app"),
            report_path: layers.join("report.toml"),
            extended_dir: layers.join("extended"),
            project_metadata_path: layers.join("project-metadata.toml"),
            run_path: root.join("run.toml"),
            launcher_path: root.join("launcher"),
            launcher_sbom_dir: root.join("launcher-sbom"),
            output_image: "app".to_owned(),
            exec_env: "production".to_owned(),
            layers_dir: layers,
            ..Flags::default()
        };
        let module = GroupElement {
            id: "acme/one".to_owned(),
            version: "1.0.0".to_owned(),
            api: "0.10".to_owned(),
            ..GroupElement::default()
        };
        let mut build = Self {
            dir,
            api: PlatformApi::negotiate(Some("0.13")).unwrap(),
            flags,
            group: Group {
                group: vec![module],
                ..Group::default()
            },
            analyzed: Analyzed::default(),
        };
        build.write("launcher", "launch");
        build.write("layers/config/metadata.toml", METADATA);
        build.write("app/main.sh", "echo hello");
        build.write("app/data/readme.txt", "read me");
        fs::create_dir(build.path("launcher-sbom")).unwrap();
        build.layer("dep", "launch = true", &[("bin/tool", "tool")]);
        build.make_run_image();
        build
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The same build at another Platform API.
    pub(crate) fn at(minor: u32) -> Self {
        let mut build = Self::new();
        build.api = PlatformApi::negotiate(Some(&format!("0.{minor}"))).unwrap();
        build
    }

    /// Adds a layer of the buildpack.
    pub(crate) fn layer(&self, name: &str, types: &str, files: &[(&str, &str)]) {
        self.layer_of("acme_one", name, types, files);
    }

    /// Adds a layer of any buildpack.
    pub(crate) fn layer_of(&self, folder: &str, name: &str, types: &str, files: &[(&str, &str)]) {
        let types = format!("[types]\n{types}\n");
        self.write(&format!("layers/{folder}/{name}.toml"), &types);
        for (file, text) in files {
            self.write(&format!("layers/{folder}/{name}/{file}"), text);
        }
    }

    /// Adds a buildpack to the end of the group.
    pub(crate) fn buildpack(&mut self, id: &str) {
        let module = GroupElement {
            id: id.to_owned(),
            ..self.group.group[0].clone()
        };
        self.group.group.push(module);
    }

    /// Replaces `metadata.toml`.
    pub(crate) fn metadata(&self, text: &str) {
        self.write("layers/config/metadata.toml", text);
    }

    fn make_run_image(&mut self) {
        self.make_run_image_with(1, |_| {});
    }

    /// Replaces the run image by one of so many layers, whose config a test decides.
    pub(crate) fn make_run_image_with(
        &mut self,
        layers: usize,
        set: impl FnOnce(&mut ImageConfig),
    ) {
        let layout = Layout::at(self.path("images/index.docker.io/library/run/latest"));
        let mut update = layout.update().unwrap();
        let mut editor = ImageEditor::empty(&Platform {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..Platform::default()
        });
        for number in 0..layers {
            let layer = Layer {
                entries: vec![Entry {
                    name: PathBuf::from(format!("/etc-{number}")).into(),
                    mode: 0o755,
                    uid: 0,
                    gid: 0,
                    kind: EntryKind::Directory,
                }],
            };
            let written = update
                .write_layer(&layer, &WriteOptions::default(), None)
                .unwrap();
            editor.append(&written, History::default());
        }
        set(editor.config_mut());
        let options = CommitOptions {
            ref_name: "latest".to_owned(),
            sparse: false,
        };
        let committed = editor.commit(update, &options).unwrap();
        self.analyzed.run_image = Some(RunImage {
            reference: format!("{}@{}", layout.path().display(), committed.digest),
            ..RunImage::default()
        });
    }

    pub(crate) fn run_image(&self) -> PathBuf {
        self.path("images/index.docker.io/library/run/latest")
    }

    /// Where `app` goes.
    pub(crate) fn output(&self) -> PathBuf {
        self.path("images/index.docker.io/library/app/latest")
    }

    /// Exports, with the cache in `cache` if that directory is there.
    pub(crate) fn export(&self) -> Result<Image, Failure> {
        let dir = self.path("cache");
        let cache = dir.is_dir().then(|| VolumeCache::open(&dir).unwrap());
        self.export_with(cache)
    }

    pub(crate) fn export_with(&self, cache: Option<VolumeCache>) -> Result<Image, Failure> {
        self.try_export(cache)?;
        Ok(image_at(&self.output()))
    }

    /// Exports to wherever the flags say.
    pub(crate) fn try_export(&self, cache: Option<VolumeCache>) -> Result<(), Failure> {
        let store = ImageStore::new(&self.flags.images, &Variables::default())?;
        let images = Images {
            store: &store,
            opened: &Opened::default(),
            analyzed: &self.analyzed,
        };
        let cache = cache.map(Cache::from);
        export(self.api, &self.flags, &self.group, &images, cache)
    }

    /// Does what the analyzer does for the next build.
    pub(crate) fn analyze(&mut self, previous: &Path) {
        let image = image_at(previous);
        self.analyzed.metadata = metadata_of(&image);
        self.analyzed.previous_image = Some(format!("{}@{}", previous.display(), image.digest()));
    }

    pub(crate) fn report(&self) -> toml::Table {
        fs::read_to_string(&self.flags.report_path)
            .unwrap()
            .parse()
            .unwrap()
    }
}

pub(crate) fn image_at(path: &Path) -> Image {
    let image = Layout::at(path).image(&Selector::default()).unwrap();
    image.expect("an image")
}

pub(crate) fn metadata_of(image: &Image) -> LayersMetadata {
    LayersMetadata::from_label(image.label(labels::LIFECYCLE_METADATA).unwrap()).unwrap()
}

/// What is below a directory: the digest of every file.
pub(crate) type Snapshot = BTreeMap<PathBuf, String>;

pub(crate) fn snapshot(dir: &Path) -> Snapshot {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let digest = sha256(&fs::read(&path).unwrap()).to_string();
                files.insert(path, digest);
            }
        }
    }
    files
}

pub(crate) fn blob_of(layout: &Path, image: &Image, diff_id: &str) -> PathBuf {
    let diff_id = DiffId(diff_id.parse().unwrap());
    let digest = image.layer(&diff_id).unwrap().digest.to_string();
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Returns the config of the image in a layout, byte for byte.
pub(crate) fn config_text(layout: &Path) -> String {
    let digest = image_at(layout).manifest().config.digest.to_string();
    fs::read_to_string(layout.join("blobs").join(digest.replace(':', "/"))).unwrap()
}

/// An entry of a layer as the `tar` crate reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) name: String,
    /// Type flag.
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) owner: (u64, u64),
    /// Target of a link, contents of a file.
    pub(crate) text: String,
}

/// Reads a layer of an image.
pub(crate) fn entries(image: &Image, diff_id: &str) -> Vec<Seen> {
    let diff_id = DiffId(diff_id.parse().unwrap());
    let layer = image.open_layer(&diff_id).unwrap().expect("a blob");
    let mut archive = tar::Archive::new(layer);
    let seen = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let link = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
        let mut text = String::from_utf8(link.unwrap_or_default()).unwrap();
        entry.read_to_string(&mut text).unwrap();
        let header = entry.header();
        Seen {
            name: String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
            kind: header.entry_type().as_byte().into(),
            mode: header.mode().unwrap(),
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            text,
        }
    });
    seen.collect()
}

/// Returns the names among entries.
pub(crate) fn names(entries: &[Seen]) -> Vec<&str> {
    entries.iter().map(|entry| entry.name.as_str()).collect()
}

/// Returns the lines of a log that hold one of some texts.
pub(crate) fn lines_with<'l>(log: &'l str, texts: &[&str]) -> Vec<&'l str> {
    let lines = log.lines();
    let wanted = lines.filter(|line| texts.iter().any(|text| line.contains(text)));
    wanted.collect()
}
