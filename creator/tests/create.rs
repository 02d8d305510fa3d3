//! Whole builds in this process, as the user who runs the tests.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use layout::editor::CommitOptions;
use layout::layer::{Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout, Selector};
use platform::entry::Invocation;
use platform::inputs::Variables;
use platform::{ExitCode, Failure, PlatformApi};
use tempfile::TempDir;

/// Leaves a layer, a store and where its HOME is.
const BUILD: &str = r#"#!/bin/sh
set -e
mkdir -p "$1/dep"
[ -e "$1/store.toml" ] && echo back > "$1/dep/store" || echo new > "$1/dep/store"
echo "$HOME" > "$1/dep/home"
printf '[types]\nlaunch = true\n' > "$1/dep.toml"
printf '[metadata]\nkept = "yes"\n' > "$1/store.toml"
printf '[[processes]]\ntype = "web"\ncommand = ["run"]\ndefault = true\n' > "$1/launch.toml"
"#;

struct Build {
    dir: TempDir,
}

impl Build {
    fn new() -> Self {
        let build = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        build.write("app/main.sh", "echo hello");
        build.write("launcher", "launch");
        build.write("platform/env/NAME", "value");
        build.module(
            "buildpacks",
            "acme_one",
            "[buildpack]\nid = \"acme/one\"\nversion = \"1\"\n",
        );
        build.write(
            "order.toml",
            "[[order]]\n[[order.group]]\nid = \"acme/one\"\nversion = \"1\"\n",
        );
        build.make_run_image();
        build
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.dir.path().join(relative)
    }

    fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn module(&self, kind: &str, folder: &str, descriptor: &str) {
        let file = &kind[..kind.len() - 1];
        let folder = format!("{kind}/{folder}/1");
        let text = format!("api = \"0.10\"\n{descriptor}");
        self.write(&format!("{folder}/{file}.toml"), &text);
        for (program, script) in [("detect", "#!/bin/sh\n"), ("build", BUILD)] {
            let path = format!("{folder}/bin/{program}");
            self.write(&path, script);
            let mode = std::fs::Permissions::from_mode(0o755);
            fs::set_permissions(self.path(&path), mode).unwrap();
        }
    }

    fn make_run_image(&self) {
        let layout = Layout::at(self.path("images/index.docker.io/library/run/latest"));
        let mut update = layout.update().unwrap();
        let nothing = Layer::default();
        let written = update.write_layer(&nothing, &WriteOptions::default(), None);
        let mut editor = ImageEditor::empty(&Platform {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            ..Platform::default()
        });
        editor.append(&written.unwrap(), History::default());
        editor.commit(update, &CommitOptions::default()).unwrap();
    }

    fn create(&self, api: &str, flags: &[&str]) -> Result<(), Failure> {
        let owner = fs::metadata(self.dir.path()).unwrap();
        let at = |name: &str| self.path(name).display().to_string();
        let mut args = vec![
            ("-app", at("app")),
            ("-buildpacks", at("buildpacks")),
            ("-layers", at("layers")),
            ("-launcher", at("launcher")),
            ("-order", at("order.toml")),
            ("-platform", at("platform")),
            ("-run-image", "run".to_owned()),
            ("-uid", owner.uid().to_string()),
            ("-gid", owner.gid().to_string()),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .collect::<Vec<_>>();
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        args.push("app".to_owned());
        // Variables work at every API, the flags of layouts only from 0.12 on.
        let variables = [
            ("CNB_EXPERIMENTAL_MODE", "quiet".to_owned()),
            ("CNB_EXTENSIONS_DIR", at("extensions")),
            ("CNB_BUILD_CONFIG_DIR", at("build-config")),
            ("CNB_RUN_PATH", at("run.toml")),
            ("CNB_USE_LAYOUT", "true".to_owned()),
            ("CNB_LAYOUT_DIR", at("images")),
            ("PATH", "/usr/bin:/bin".to_owned()),
            ("HOME", "/nowhere".to_owned()),
        ];
        creator::command::command(&Invocation {
            name: "creator".to_owned(),
            api: PlatformApi::negotiate(Some(api)).unwrap(),
            args: args.into_iter().map(Into::into).collect(),
            variables: Variables::from_pairs(
                variables.map(|(name, value)| (name.into(), value.into())),
            ),
        })
    }

    fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }
}

fn entrypoint(path: &Path) -> Vec<String> {
    let image = Layout::at(path).image(&Selector::default()).unwrap();
    image.unwrap().config().config.entrypoint.clone()
}

#[test]
fn every_phase_leaves_its_files() {
    let build = Build::new();
    fs::create_dir(build.path("layers")).unwrap();
    build.create("0.13", &["-tag", "app:second"]).unwrap();
    let files = [
        "analyzed.toml",
        "group.toml",
        "plan.toml",
        "config/metadata.toml",
        "report.toml",
    ];
    for file in files {
        assert!(build.path("layers").join(file).is_file(), "{file}");
    }
    for tag in ["latest", "second"] {
        let path = build.path("images/index.docker.io/library/app").join(tag);
        assert_eq!(entrypoint(&path), ["/cnb/process/web"], "{tag}");
    }
    // Buildpacks get the target user's home, not the platform's.
    assert_ne!(build.read("layers/acme_one/dep/home").trim(), "/nowhere");
}

#[test]
fn a_store_comes_back_though_restoring_is_skipped_from_0_10_on() {
    for (api, expected) in [("0.9", "new"), ("0.10", "back")] {
        let build = Build::new();
        for _ in 0..2 {
            if build.path("layers").exists() {
                fs::remove_dir_all(build.path("layers")).unwrap();
            }
            fs::create_dir(build.path("layers")).unwrap();
            build.create(api, &["-skip-restore"]).unwrap();
        }
        assert_eq!(
            build.read("layers/acme_one/dep/store").trim(),
            expected,
            "{api}"
        );
    }
}

#[test]
fn a_group_with_extensions_is_refused_after_it_was_written() {
    let build = Build::new();
    fs::create_dir(build.path("layers")).unwrap();
    let extension = "[extension]\nid = \"acme/ext\"\nversion = \"1\"\n";
    build.module("extensions", "acme_ext", extension);
    let order = build.read("order.toml");
    build.write(
        "order.toml",
        &format!(
            "{order}[[order-extensions]]\n[[order-extensions.group]]\nid = \"acme/ext\"\nversion = \"1\"\n"
        ),
    );
    let failure = build.create("0.13", &[]).unwrap_err();
    assert_eq!(failure.code, ExitCode::Detect);
    let expected = "failed to detect: detected order contains extensions which is not supported by the creator";
    assert_eq!(format!("{:#}", failure.error), expected);
    assert!(build.read("layers/group.toml").contains("acme/ext"));
    assert!(build.path("layers/plan.toml").is_file());
    assert!(!build.path("layers/config/metadata.toml").exists());
}

#[test]
fn each_phase_keeps_its_exit_code() {
    for (flags, expected) in [
        (["-process-type", "absent"], ExitCode::Export),
        (["-order", "/dev/null"], ExitCode::NoGroup),
        (["-order", "/nonexistent"], ExitCode::Failed),
        (["-run-image", "absent"], ExitCode::Failed),
        (["-tag", "other.example.org/app"], ExitCode::InvalidArgs),
    ] {
        let build = Build::new();
        fs::create_dir(build.path("layers")).unwrap();
        let failure = build.create("0.13", &flags).unwrap_err();
        assert_eq!(failure.code, expected, "{flags:?}: {:#}", failure.error);
        assert!(!build.path("images/index.docker.io/library/app").exists());
    }
}
