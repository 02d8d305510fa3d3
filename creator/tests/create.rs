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
[ -e "$1/dep.toml" ] && echo back > "$1/dep/layer" || echo new > "$1/dep/layer"
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
            self.script(&format!("{folder}/bin/{program}"), script);
        }
    }

    fn script(&self, path: &str, text: &str) {
        self.write(path, text);
        let mode = std::fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(path), mode).unwrap();
    }

    /// Lists an extension that passes if `detect` does.
    fn extension(&self, detect: &str) {
        let extension = "[extension]\nid = \"acme/ext\"\nversion = \"1\"\n";
        self.module("extensions", "acme_ext", extension);
        self.script("extensions/acme_ext/1/bin/detect", detect);
        let order = self.read("order.toml");
        let extensions = "[[order-extensions]]\n[[order-extensions.group]]\nid = \"acme/ext\"\nversion = \"1\"\n";
        self.write("order.toml", &(order + extensions));
    }

    fn make_run_image(&self) {
        self.make_image("images/index.docker.io/library/run/latest", "linux");
    }

    /// Makes a base image, and returns where it is.
    fn make_image(&self, place: &str, os: &str) -> PathBuf {
        let layout = Layout::at(self.path(place));
        let mut update = layout.update().unwrap();
        let nothing = Layer::default();
        let written = update.write_layer(&nothing, &WriteOptions::default(), None);
        let mut editor = ImageEditor::empty(&Platform {
            os: os.to_owned(),
            architecture: "amd64".to_owned(),
            ..Platform::default()
        });
        editor.append(&written.unwrap(), History::default());
        let label = ("place".to_owned(), place.to_owned());
        editor.config_mut().config.labels.extend([label]);
        editor.commit(update, &CommitOptions::default()).unwrap();
        layout.path().to_owned()
    }

    fn create(&self, api: &str, flags: &[&str]) -> Result<(), Failure> {
        self.create_with(api, flags, &[])
    }

    fn create_with(
        &self,
        api: &str,
        flags: &[&str],
        others: &[(&str, &str)],
    ) -> Result<(), Failure> {
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
        let own = [
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
                own.iter()
                    .map(|(name, value)| (name.into(), value.into()))
                    .chain(
                        others
                            .iter()
                            .map(|(name, value)| (name.into(), value.into())),
                    ),
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
    // Without the flag the layer's file comes back too.
    for (api, flags, store, layer) in [
        ("0.9", &["-skip-restore"][..], "new", "new"),
        ("0.10", &["-skip-restore"], "back", "new"),
        ("0.15", &["-skip-restore"], "back", "new"),
        ("0.9", &[], "back", "back"),
        ("0.15", &[], "back", "back"),
    ] {
        let build = Build::new();
        for _ in 0..2 {
            if build.path("layers").exists() {
                fs::remove_dir_all(build.path("layers")).unwrap();
            }
            fs::create_dir(build.path("layers")).unwrap();
            build.create(api, flags).unwrap();
        }
        for (file, expected) in [("store", store), ("layer", layer)] {
            let found = build.read(&format!("layers/acme_one/dep/{file}"));
            assert_eq!(found.trim(), expected, "{api} {flags:?} {file}");
        }
    }
}

/// CRE-007.
#[test]
fn a_group_with_extensions_is_refused_after_it_was_written() {
    let build = Build::new();
    fs::create_dir(build.path("layers")).unwrap();
    build.extension("#!/bin/sh\n");
    let failure = build.create("0.13", &[]).unwrap_err();
    assert_eq!(failure.code, ExitCode::Detect);
    let text = "failed to detect: detected order contains extensions which is not supported by the creator";
    assert_eq!(format!("{:#}", failure.error), text);
    assert!(build.read("layers/group.toml").contains("acme/ext"));
    assert!(build.path("layers/plan.toml").is_file());
    assert!(!build.path("layers/config/metadata.toml").exists());

    // One that is listed and does not pass is no matter.
    let build = Build::new();
    fs::create_dir(build.path("layers")).unwrap();
    build.extension("#!/bin/sh\nexit 100\n");
    build.create("0.13", &[]).unwrap();
}

/// CRE-013: what is spoiled before the second of two builds, and what it ends with.
#[test]
fn each_phase_keeps_its_exit_code() {
    type Spoil = fn(&Build);
    let nothing: Spoil = |_| {};
    let table: &[(&[&str], Spoil, ExitCode)] = &[
        (
            &["-tag", "other.example.org/app"],
            nothing,
            ExitCode::InvalidArgs,
        ),
        (&["-order", "/nonexistent"], nothing, ExitCode::Failed),
        (&["-run-image", "absent"], nothing, ExitCode::Failed),
        (&["-order", "/dev/null"], nothing, ExitCode::NoGroup),
        (
            &[],
            |build| build.script("buildpacks/acme_one/1/bin/detect", "#!/bin/sh\nexit 100\n"),
            ExitCode::NoGroup,
        ),
        (
            &[],
            |build| build.script("buildpacks/acme_one/1/bin/detect", "#!/bin/sh\nexit 3\n"),
            ExitCode::NoGroupWithErrors,
        ),
        (
            &[],
            |build| build.extension("#!/bin/sh\n"),
            ExitCode::Detect,
        ),
        (
            &["-run-image", "no-os"],
            |build| drop(build.make_image("images/index.docker.io/library/no-os/latest", "")),
            ExitCode::Analyze,
        ),
        // The store of the last build has no place.
        (
            &[],
            |build| build.write("layers/acme_one", "in the way"),
            ExitCode::Restore,
        ),
        (
            &[],
            |build| build.script("buildpacks/acme_one/1/bin/build", "#!/bin/sh\nexit 3\n"),
            ExitCode::Buildpack,
        ),
        (
            &[],
            |build| {
                let script = "#!/bin/sh\necho '= =' > \"$1/launch.toml\"\n";
                build.script("buildpacks/acme_one/1/bin/build", script);
            },
            ExitCode::Build,
        ),
        (&["-process-type", "absent"], nothing, ExitCode::Export),
    ];
    for (flags, spoil, expected) in table {
        let build = Build::new();
        fs::create_dir(build.path("layers")).unwrap();
        build.create("0.13", &[]).unwrap();
        let app = build.path("images/index.docker.io/library/app/latest/index.json");
        let before = fs::read(&app).unwrap();
        fs::remove_dir_all(build.path("layers")).unwrap();
        fs::create_dir(build.path("layers")).unwrap();
        spoil(&build);
        let failure = build.create("0.13", flags).unwrap_err();
        assert_eq!(failure.code, *expected, "{flags:?}: {:#}", failure.error);
        assert_eq!(fs::read(&app).unwrap(), before, "{flags:?}");
    }
}

/// CRE-005.
#[test]
fn the_cache_is_opened_before_anything_else() {
    let build = Build::new();
    fs::create_dir(build.path("layers")).unwrap();
    let absent = build.path("absent").display().to_string();
    let failure = build.create("0.13", &["-cache-dir", &absent]).unwrap_err();
    assert_eq!(failure.code, ExitCode::Failed);
    let text = format!("{:#}", failure.error);
    assert!(
        text.starts_with("failed to create volume cache: "),
        "{text}"
    );
    assert!(!build.path("layers/analyzed.toml").exists());
}

/// CRE-010: the restorer's part for images would pull the build image, and would write analyzed.toml anew.
#[test]
fn restoring_leaves_images_alone() {
    for api in ["0.12", "0.15"] {
        let build = Build::new();
        fs::create_dir(build.path("layers")).unwrap();
        let remark = "#!/bin/sh\necho '# remark' >> \"$CNB_ANALYZED_PATH\"\n";
        build.script(
            "buildpacks/acme_one/1/bin/detect",
            &remark.replace(
                "$CNB_ANALYZED_PATH",
                build.path("layers/analyzed.toml").to_str().unwrap(),
            ),
        );
        build
            .create_with(api, &[], &[("CNB_BUILD_IMAGE", "builder")])
            .unwrap();
        let analyzed = build.read("layers/analyzed.toml");
        assert!(analyzed.ends_with("# remark\n"), "{analyzed}");
    }
}

/// CRE-011, and better: not on another that the path may hold by then, which nobody looked at.
#[test]
fn the_app_stands_on_the_run_image_that_was_analyzed() {
    let build = Build::new();
    fs::create_dir(build.path("layers")).unwrap();
    let other = build.make_image("images/index.docker.io/library/other/latest", "linux");
    let run = build.path("images/index.docker.io/library/run/latest");
    let (other, run) = (other.display(), run.display());
    let script = format!("{BUILD}rm -r {run}/index.json {run}/blobs\ncp -r {other}/. {run}\n");
    build.script("buildpacks/acme_one/1/bin/build", &script);
    build.create("0.13", &[]).unwrap();
    let app = build.path("images/index.docker.io/library/app/latest");
    let app = Layout::at(app)
        .image(&Selector::default())
        .unwrap()
        .unwrap();
    let place = app.label("place");
    assert_eq!(place, Some("images/index.docker.io/library/run/latest"));
}

/// A previous image of another name is what layers are taken from.
#[test]
fn the_previous_image_may_have_another_name() {
    let build = Build::new();
    for (flags, expected) in [
        (&[][..], "new"),
        (&["-previous-image", "absent"], "new"),
        (&["-previous-image", "before"], "back"),
    ] {
        if build.path("layers").exists() {
            fs::remove_dir_all(build.path("layers")).unwrap();
            let images = build.path("images/index.docker.io/library");
            if !images.join("before").exists() {
                fs::rename(images.join("app"), images.join("before")).unwrap();
            }
        }
        fs::create_dir(build.path("layers")).unwrap();
        build.create("0.13", flags).unwrap();
        assert_eq!(
            build.read("layers/acme_one/dep/store").trim(),
            expected,
            "{flags:?}"
        );
    }
}
