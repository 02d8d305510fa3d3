//! Builders, packages and the lifecycle's own, judged by other people's programs.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use distribution::lifecycle::Lifecycle;
use fs_err as fs;
use layout::editor::CommitOptions;
use layout::layer::{Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout};
use serde_json::Value;
use tempfile::TempDir;
use tests::program::{Ran, ours, requires, requires_root, run};

/// Ids of the builder's user; nobody has them here.
const UID: u32 = 4321;
const GID: u32 = 4322;

/// A folder with a build image, two buildpacks, a composite of them, an extension and a builder.toml.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        build_image(&site.path("base"));
        for name in ["one", "two"] {
            site.buildpack(name, "[[targets]]\nos = \"linux\"\n");
            site.write(&format!("{name}/bin/build"), "#!/bin/sh\n");
            site.write(&format!("{name}/bin/detect"), "#!/bin/sh\n");
        }
        site.buildpack(
            "all",
            "[[order]]\n[[order.group]]\nid = \"acme/one\"\nversion = \"1\"\n[[order.group]]\nid = \"acme/two\"\nversion = \"1\"\noptional = true\n",
        );
        site.write(
            "package.toml",
            "[buildpack]\nuri = \"all\"\n[[dependencies]]\nuri = \"one\"\n[[dependencies]]\nuri = \"two\"\n",
        );
        site.write(
            "ext/extension.toml",
            "api = \"0.10\"\n[extension]\nid = \"acme/ext\"\nversion = \"1\"\n",
        );
        site.write(
            "builder.toml",
            "[[buildpacks]]\nuri = \"all.cnb\"\n[[extensions]]\nuri = \"ext\"\n\
             [[order]]\n[[order.group]]\nid = \"acme/all\"\nversion = \"1\"\n\
             [[order-extensions]]\n[[order-extensions.group]]\nid = \"acme/ext\"\nversion = \"1\"\n\
             [build]\nimage = \"oci:base\"\n[[run.images]]\nimage = \"example.com/run\"\n",
        );
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn buildpack(&self, name: &str, more: &str) {
        let text =
            format!("api = \"0.10\"\n[buildpack]\nid = \"acme/{name}\"\nversion = \"1\"\n{more}");
        self.write(&format!("{name}/buildpack.toml"), &text);
    }

    fn slipway(&self, args: &[&str]) -> String {
        let mut slipway = Command::new(ours("slipway"));
        slipway.args(args).current_dir(self.0.path());
        slipway.env("SLIPWAY_HOME", self.path("home"));
        Ran::of(&mut slipway).ok()
    }

    fn package(&self) {
        self.slipway(&[
            "buildpack",
            "package",
            "all.cnb",
            "--format",
            "file",
            "-c",
            "package.toml",
        ]);
    }

    /// Makes the lifecycle's archive and returns its path.
    fn lifecycle(&self) -> PathBuf {
        let programs = ours("lifecycle");
        let programs = programs.parent().unwrap();
        let lifecycle = Lifecycle::open(programs, &self.path("scratch")).unwrap();
        lifecycle
            .write_archive(self.0.path(), &Platform::host())
            .unwrap()
    }
}

/// Writes the layout of an image that a builder can be made from.
fn build_image(place: &Path) {
    let mut update = Layout::at(place).update().unwrap();
    let layer = update.write_layer(&Layer::default(), &WriteOptions::default(), None);
    let mut editor = ImageEditor::empty(&Platform::host());
    editor.append(&layer.unwrap(), History::default());
    let config = &mut editor.config_mut().config;
    config.user = format!("{UID}:{GID}");
    config.env = vec![format!("CNB_USER_ID={UID}"), format!("CNB_GROUP_ID={GID}")];
    let stack = ("io.buildpacks.stack.id".to_owned(), "tests".to_owned());
    config.labels.extend([stack]);
    editor.commit(update, &CommitOptions::default()).unwrap();
}

/// Returns what a phase says that it is.
fn version_of(program: &Path) -> String {
    let mut program = Command::new(program);
    program.arg("-version").env("CNB_PLATFORM_API", "0.13");
    Ran::of(&mut program).ok()
}

/// Returns kind and owner of what is at a path, link or not.
fn facts(path: &Path) -> (bool, u32, u32, u32) {
    let found = fs::symlink_metadata(path).unwrap();
    let mode = found.permissions().mode() & 0o7777;
    (found.is_dir(), mode, found.uid(), found.gid())
}

#[test]
fn root_umoci_unpacks_a_builder_as_phases_want_it() {
    if !(requires_root() && requires(&["umoci"])) {
        return;
    }
    let site = Site::new();
    site.package();
    let archive = site.lifecycle();
    let archive = archive.to_str().unwrap();
    site.slipway(&[
        "builder",
        "create",
        "oci:builder",
        "-c",
        "builder.toml",
        "--lifecycle",
        archive,
    ]);
    let bundle = site.text("bundle");
    run(
        "umoci",
        &[
            "unpack",
            "--image",
            &format!("{}:latest", site.text("builder")),
            &bundle,
        ],
    );
    let root = Path::new(&bundle).join("rootfs");
    for name in ["workspace", "layers"] {
        assert_eq!(facts(&root.join(name)), (true, 0o755, UID, GID), "{name}");
    }
    for name in [
        "cnb",
        "cnb/buildpacks",
        "cnb/extensions",
        "cnb/build-config",
        "cnb/build-config/env",
        "cnb/lifecycle",
        "platform",
        "platform/env",
        "cnb/buildpacks/acme_one/1",
        "cnb/buildpacks/acme_all/1",
        "cnb/extensions/acme_ext/1",
    ] {
        assert_eq!(facts(&root.join(name)), (true, 0o755, 0, 0), "{name}");
    }
    let build = facts(&root.join("cnb/buildpacks/acme_one/1/bin/build"));
    assert_eq!(build, (false, 0o755, 0, 0));
    assert_eq!(
        fs::read_link(root.join("lifecycle")).unwrap(),
        Path::new("/cnb/lifecycle")
    );
    for name in ["order.toml", "run.toml", "stack.toml"] {
        assert_eq!(
            facts(&root.join("cnb").join(name)),
            (false, 0o644, 0, 0),
            "{name}"
        );
    }
    let version = version_of(&root.join("cnb/lifecycle/detector"));
    assert!(version.starts_with("0.21.17+slipway."), "{version}");
}

#[test]
fn foreign_skopeo_reads_builders_and_packages() {
    if !requires(&["skopeo"]) {
        return;
    }
    let site = Site::new();
    site.package();
    site.slipway(&["builder", "create", "oci:builder:v1", "-c", "builder.toml"]);
    site.slipway(&["buildpack", "package", "oci:package", "-c", "package.toml"]);
    let inspected = |name: &str| -> Value {
        let text = run("skopeo", &["inspect", name]);
        serde_json::from_str(&text).unwrap()
    };
    let label = |image: &Value, name: &str| -> Value {
        serde_json::from_str(image["Labels"][name].as_str().unwrap()).unwrap()
    };
    let builder = inspected(&format!("oci:{}:v1", site.text("builder")));
    let metadata = label(&builder, "io.buildpacks.builder.metadata");
    assert_eq!(metadata["images"][0]["image"], "example.com/run");
    assert_eq!(metadata["createdBy"]["name"], "slipway");
    let layers = label(&builder, "io.buildpacks.buildpack.layers");
    assert_eq!(
        layers["acme/all"]["1"]["order"][0]["group"][1]["optional"],
        true
    );

    let layout = inspected(&format!("oci:{}:latest", site.text("package")));
    let file = inspected(&format!("oci-archive:{}", site.text("all.cnb")));
    for package in [layout, file] {
        let metadata = label(&package, "io.buildpacks.buildpackage.metadata");
        assert_eq!(metadata["id"], "acme/all");
        assert_eq!(metadata["stacks"][0]["id"], "*");
        assert_eq!(package["Layers"].as_array().unwrap().len(), 3);
    }
    // Every digest and diffID is checked on the way.
    let copy = site.text("copy");
    run(
        "skopeo",
        &[
            "copy",
            &format!("oci:{}:v1", site.text("builder")),
            &format!("dir:{copy}"),
        ],
    );
}

#[test]
fn foreign_a_package_that_skopeo_wrote_is_opened() {
    if !requires(&["skopeo"]) {
        return;
    }
    let site = Site::new();
    site.package();
    let from = format!("oci-archive:{}", site.text("all.cnb"));
    run(
        "skopeo",
        &["copy", &from, &format!("oci:{}:v1", site.text("copied"))],
    );
    run(
        "skopeo",
        &[
            "copy",
            &from,
            &format!("oci-archive:{}", site.text("copied.cnb")),
        ],
    );
    for name in ["oci:copied:v1", "copied.cnb"] {
        let text = site.slipway(&["buildpack", "inspect", name]);
        for id in ["acme/all", "acme/one", "acme/two"] {
            assert!(text.contains(&format!("\n  {id}  ")), "{name}: {text}");
        }
    }
}

#[test]
fn programs_in_the_archive_are_called_by_their_names() {
    if !requires(&["tar", "sha256sum"]) {
        return;
    }
    let site = Site::new();
    let archive = site.lifecycle();
    let name = archive.file_name().unwrap().to_str().unwrap();
    let mut check = Command::new("sha256sum");
    check.args(["--check", &format!("{name}.sha256")]);
    Ran::of(check.current_dir(site.path(""))).ok();
    run(
        "tar",
        &["-xzf", archive.to_str().unwrap(), "-C", &site.text("")],
    );
    assert!(site.path("lifecycle.toml").is_file());
    for name in [
        "analyzer", "detector", "restorer", "builder", "exporter", "rebaser", "creator", "extender",
    ] {
        let program = site.path("lifecycle").join(name);
        assert_eq!(fs::read_link(&program).unwrap(), Path::new("lifecycle"));
        // An extender that does not extend yet has no flags either.
        if name != "extender" {
            let version = version_of(&program);
            assert!(version.starts_with("0.21.17+slipway."), "{name}: {version}");
        }
    }
}

#[test]
fn foreign_the_lifecycle_image_is_one() {
    if !requires(&["skopeo"]) {
        return;
    }
    let site = Site::new();
    let lifecycle = Lifecycle::open(&site.lifecycle(), &site.path("scratch")).unwrap();
    let output = Layout::at(site.path("image"));
    distribution::lifecycle::write_image(&lifecycle, &Platform::host(), &output, "v1").unwrap();
    let text = run(
        "skopeo",
        &[
            "inspect",
            "--config",
            &format!("oci:{}:v1", site.text("image")),
        ],
    );
    let config: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(config["config"]["WorkingDir"], "/layers");
    assert_eq!(config["created"], "1980-01-01T00:00:01Z");
    let labels = &config["config"]["Labels"];
    let version = labels["io.buildpacks.lifecycle.version"].as_str().unwrap();
    assert!(version.starts_with("0.21.17+slipway."), "{version}");
}
