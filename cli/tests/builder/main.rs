//! `slipway builder` and `slipway buildpack` as people and scripts call them.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

mod registries;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fs_err as fs;
use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout, Selector};
use tempfile::TempDir;

/// A folder with a build image in the layout repo, a lifecycle, a buildpack and a builder.toml.
struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fs_err::create_dir_all(fixture.path("home")).unwrap();
        // No test speaks to the world.
        fs_err::write(
            fixture.path("home/config.toml"),
            "pull-policy = \"never\"\n",
        )
        .unwrap();
        let base = "home/layout-repo/index.docker.io/acme/base/latest";
        fixture.image(base);
        for name in ["lifecycle", "launcher"] {
            fixture.write(&format!("programs/{name}"), name);
        }
        fixture.buildpack("one", "");
        let text = "description = \"Small\"\n[[buildpacks]]\nuri = \"one\"\n[[order]]\n[[order.group]]\nid = \"acme/one\"\n\
            [build]\nimage = \"acme/base\"\n[[run.images]]\nimage = \"acme/run\"\nmirrors = [\"m.example/run\"]\n";
        fixture.write("builder.toml", text);
        fixture
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn buildpack(&self, name: &str, order: &str) {
        let text = format!(
            "api = \"0.10\"\n[buildpack]\nid = \"acme/{name}\"\nversion = \"1\"\nname = \"Number \\u001b[31m{name}\"\n{order}"
        );
        self.write(&format!("{name}/buildpack.toml"), &text);
    }

    fn image(&self, name: &str) {
        let place = Layout::at(self.path(name));
        let mut update = place.update().unwrap();
        let entry = Entry {
            name: Path::new("/etc").into(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            kind: EntryKind::Directory,
        };
        let layer = Layer {
            entries: vec![entry],
        };
        let layer = update.write_layer(&layer, &WriteOptions::default(), None);
        let mut editor = ImageEditor::empty(&Platform::host());
        editor.append(&layer.unwrap(), History::default());
        let config = editor.config_mut();
        config.set_env("CNB_USER_ID", "1001");
        config.set_env("CNB_GROUP_ID", "1002");
        "1001:1002".clone_into(&mut config.config.user);
        editor.commit(update, &CommitOptions::default()).unwrap();
    }

    fn run(&self, args: &[&str]) -> Output {
        self.run_with(&[], args)
    }

    fn run_with(&self, env: &[(&str, &str)], args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_slipway"))
            .args(args)
            .envs(env.iter().copied())
            .current_dir(self.0.path())
            .env("SLIPWAY_HOME", self.path("home"))
            .env("SLIPWAY_LIFECYCLE_DIR", self.path("programs"))
            .output()
            .unwrap()
    }

    fn succeeds(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, args: &[&str], expected: &str) {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert!(stderr.contains(expected), "{args:?}: {stderr}");
    }
}

const CREATE: [&str; 4] = ["builder", "create", "-c", "builder.toml"];

fn digest(layout: &Path) -> String {
    let image = Layout::at(layout).image(&Selector::default()).unwrap();
    image.unwrap().digest().to_string()
}

#[test]
fn a_builder_goes_where_its_name_says() {
    let fixture = Fixture::new();
    let out = fixture.succeeds(&[&CREATE[..], &["oci:made/builder:v1"]].concat());
    let made = digest(&fixture.path("made/builder"));
    assert!(out.contains(&made), "{out}");
    assert!(
        out.contains("slipway build oci:my-app --builder oci:made/builder:v1"),
        "{out}"
    );
    let image = Layout::at(fixture.path("made/builder"));
    let selector = Selector {
        ref_name: Some("v1".to_owned()),
        ..Selector::default()
    };
    let image = image.image(&selector).unwrap().unwrap();
    assert!(image.label("io.buildpacks.builder.metadata").is_some());

    fixture.succeeds(&[&CREATE[..], &["acme/builder"]].concat());
    let place = fixture.path("home/layout-repo/index.docker.io/acme/builder/latest");
    fixture.succeeds(&[&CREATE[..], &["acme/builder", "--lifecycle", "programs"]].concat());
    let first = digest(&place);
    fixture.succeeds(&[&CREATE[..], &["acme/builder", "--label", "a=b"]].concat());
    assert_ne!(digest(&place), first);
    // Manifest and config of the one before are gone, layers and what is new are there.
    let found = Layout::at(&place).image(&Selector::default()).unwrap();
    let blobs = fs::read_dir(place.join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs, found.unwrap().manifest().layers.len() + 2);
}

#[test]
fn a_builder_is_shown_as_pack_shows_it() {
    let fixture = Fixture::new();
    fixture.succeeds(&[&CREATE[..], &["oci:builder"]].concat());
    let text = fixture.succeeds(&["builder", "inspect", "oci:builder"]);
    for expected in [
        "Inspecting builder: oci:builder\n\nDescription: Small\n\nCreated By:\n  Name: slipway\n  Version: ",
        "\nUser: 1001:1002\n",
        "\nLifecycle:\n  Version: 0.21.17+slipway.",
        "  Buildpack APIs:\n    Deprecated: (none)\n    Supported: 0.7, ",
        "\nRun Images:\n  acme/run\n  m.example/run\n",
        "\nBuildpacks:\n  ID        NAME ",
        "\n  acme/one  Number \u{fffd}[31mone  1        -\n",
        "\nDetection Order:\n └ Group #1:\n    └ acme/one@1\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in {text}");
    }
    let json = fixture.succeeds(&["builder", "inspect", "oci:builder", "--output", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let info = &json["local_info"];
    assert_eq!(json["builder_name"], "oci:builder");
    assert_eq!(info["run_images"][1]["name"], "m.example/run");
    assert_eq!(
        info["detection_order"][0]["buildpacks"][0]["id"],
        "acme/one"
    );
    assert_eq!(info["lifecycle"]["platform_apis"]["supported"][0], "0.7");
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let fixture = Fixture::new();
    let create = |more: &[&'static str]| [&CREATE[..], &["oci:out"], more].concat();
    fixture.fails(
        &create(&["--publish"]),
        "--publish is for a name in a registry",
    );
    fixture.fails(&create(&["--flatten", "a@1"]), "--flatten is not supported");
    fixture.fails(&create(&["--label", "a"]), "invalid label 'a'");
    fixture.fails(
        &create(&["--target", "linux/riscv64"]),
        "none of the targets of the builder",
    );
    fixture.fails(
        &create(&["--lifecycle", "one"]),
        "no lifecycle.toml at its top",
    );
    fixture.fails(
        &["builder", "create", "oci:out", "-c", "none.toml"],
        "none.toml",
    );
    fixture.fails(&["builder", "create", "oci:out"], "--config");
    let base = "home/layout-repo/index.docker.io/acme/base/latest";
    let named = format!("oci:{base}");
    fixture.fails(
        &["builder", "inspect", &named],
        "so it is probably no builder",
    );
    fixture.fails(&["builder", "inspect"], "no builder is named");
    fixture.fails(
        &["buildpack", "package", "x.cnb", "-f", "file", "--publish"],
        "--publish is for images",
    );
    fixture.fails(
        &[
            "buildpack",
            "package",
            "x.cnb",
            "-f",
            "file",
            "-p",
            "nowhere",
        ],
        "nowhere",
    );
    fixture.fails(&["buildpack", "inspect", &named], "is no buildpackage");
    fixture.fails(
        &["buildpack", "inspect", "docker://acme/none"],
        "no image acme/none in the layout repo",
    );
    fixture.fails(
        &["buildpack", "new", "a/b", "--api", "0.8"],
        "cannot begin a buildpack",
    );
    fixture.fails(
        &["buildpack", "new", "..", "--path", "new"],
        "cannot be a folder's name",
    );
    assert!(!fixture.path("new/buildpack.toml").exists());
    assert!(!fixture.path("out/index.json").exists());
    fixture.write("typo.toml", "descripton = \"x\"\n");
    fixture.fails(
        &["builder", "create", "oci:out", "-c", "typo.toml"],
        "unknown field `descripton`",
    );
}

#[test]
fn a_package_is_made_shown_and_used() {
    let fixture = Fixture::new();
    let order = "[[order]]\n[[order.group]]\nid = \"acme/one\"\nversion = \"1\"\n";
    fixture.buildpack("all", order);
    fixture.write(
        "all/package.toml",
        "[buildpack]\nuri = \".\"\n[[dependencies]]\nuri = \"../one\"\n",
    );
    for args in [
        &["buildpack", "package", "oci:package", "--path", "all"][..],
        &[
            "buildpack",
            "package",
            "acme/package",
            "-c",
            "all/package.toml",
        ],
        &[
            "buildpack",
            "package",
            "package.cnb",
            "--format",
            "file",
            "-p",
            "all",
            "--flatten",
        ],
        &[
            "buildpack",
            "package",
            "bare",
            "--format",
            "file",
            "-p",
            "one",
        ],
    ] {
        let out = fixture.succeeds(args);
        assert!(out.contains("Successfully created package"), "{out}");
    }
    assert!(fixture.path("bare.cnb").is_file());
    for name in ["oci:package", "acme/package", "package.cnb"] {
        let text = fixture.succeeds(&["buildpack", "inspect", name]);
        for expected in [
            "Stacks:\n  ID: *\n    Mixins: (none)\n",
            "\n  acme/all  Number ",
            "\n  acme/one  Number ",
            "Detection Order:\n └ Group #1:\n    └ acme/all@1\n       └ Group #1:\n          └ acme/one@1\n",
        ] {
            assert!(
                text.contains(expected),
                "{name}: {expected:?} is not in {text}"
            );
        }
        let json = fixture.succeeds(&["buildpack", "inspect", name, "-o", "json", "-d", "0"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["entry"]["id"], "acme/all");
        let all = &json["detection_order"][0]["buildpacks"][0];
        assert_eq!(all.get("buildpacks"), None);
    }
    let toml = fs::read_to_string(fixture.path("builder.toml")).unwrap();
    fixture.write(
        "builder.toml",
        &toml.replace("uri = \"one\"", "uri = \"package.cnb\""),
    );
    fixture.succeeds(&[&CREATE[..], &["oci:builder"]].concat());
    let text = fixture.succeeds(&["builder", "inspect", "oci:builder"]);
    assert!(text.contains("\n  acme/all  Number "), "{text}");
}

#[test]
fn a_new_buildpack_can_be_packaged() {
    let fixture = Fixture::new();
    let out = fixture.succeeds(&["buildpack", "new", "acme/hello", "-t", "linux/arm/v7"]);
    assert!(out.contains("in hello"), "{out}");
    fixture.fails(&["buildpack", "new", "acme/hello"], "nothing was written");
    fixture.succeeds(&["buildpack", "package", "oci:package", "-p", "hello"]);
    let text = fixture.succeeds(&["buildpack", "inspect", "hello"]);
    assert!(text.contains("acme/hello  hello  1.0.0"), "{text}");
    let toml = fs::read_to_string(fixture.path("hello/buildpack.toml")).unwrap();
    assert!(toml.contains("arch-variant = \"v7\""), "{toml}");
}
