//! A folder with a home, a run image and an app image, and the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions, Written};
use layout::manifest::Platform;
use layout::{History, Image, ImageEditor, Layout, Selector, Update};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder for one test.
pub(crate) struct Site {
    dir: TempDir,
}

/// How a call of `slipway` ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Returns standard output of a call that must have succeeded, and said nothing else but how far layers are: on a busy
    /// machine any of them may take long.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        let is_progress = |line: &&str| {
            let of_layers = ["Pulled layer ", "Pushed layer "];
            of_layers.iter().any(|begin| line.starts_with(begin))
        };
        let mut said = self.err.lines().filter(|line| !is_progress(line));
        assert_eq!((self.status, said.next()), (0, None), "{}", self.err);
        self.out
    }

    /// Checks that it failed with 1, nothing on standard output, and an error that has these texts.
    #[track_caller]
    pub(crate) fn fails_with(self, texts: &[&str]) {
        assert_eq!((self.status, self.out.as_str()), (1, ""), "{}", self.err);
        assert!(self.err.starts_with("error: "), "{}", self.err);
        for text in texts {
            assert!(self.err.contains(text), "no {text:?} in: {}", self.err);
        }
    }
}

impl Site {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// A folder with the run image `run` in the layout repo, and the app image `app` on it as `./app`, named `v1`.
    pub(crate) fn with_app() -> Self {
        let site = Self::new();
        let run = site.repo("library/run/latest");
        run_image(&run, "1");
        app_image(&site.path("app"), "v1", &run, &|_| {});
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the path of an image of the default registry in the layout repo.
    pub(crate) fn repo(&self, name: &str) -> PathBuf {
        self.path("home/layout-repo/index.docker.io").join(name)
    }

    /// Calls `slipway`.
    pub(crate) fn slipway(&self, args: &[&str]) -> Ran {
        self.slipway_with(&[], args)
    }
}

/// Opens the only image of a layout.
pub(crate) fn open(dir: &Path) -> Image {
    let image = Layout::at(dir).image(&Selector::default());
    image.unwrap().unwrap()
}

/// Writes a layer of one file with its folders.
pub(crate) fn layer(update: &mut Update, path: &str, text: &str) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("file");
    fs_err::write(&source, text).unwrap();
    let entry = |name: &Path, mode, kind| Entry {
        name: name.into(),
        mode,
        uid: 0,
        gid: 0,
        kind,
    };
    let path = Path::new(path);
    let mut folders: Vec<_> = path.ancestors().skip(1).collect();
    folders.retain(|folder| *folder != Path::new("/"));
    let mut entries: Vec<_> = folders
        .iter()
        .rev()
        .map(|folder| entry(folder, 0o755, EntryKind::Directory))
        .collect();
    let size = text.len() as u64;
    entries.push(entry(
        path,
        0o644,
        EntryKind::File {
            source: source.into(),
            size,
        },
    ));
    update
        .write_layer(&Layer { entries }, &WriteOptions::default(), None)
        .unwrap()
}

fn named(ref_name: &str) -> CommitOptions {
    CommitOptions {
        ref_name: ref_name.to_owned(),
        ..CommitOptions::default()
    }
}

/// Writes a run image of one layer, whose contents are its version.
pub(crate) fn run_image(dir: &Path, version: &str) {
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..Platform::default()
    };
    let mut update = Layout::at(dir).update().unwrap();
    let base = layer(&mut update, "/etc/version", version);
    let mut editor = ImageEditor::empty(&platform);
    editor.append(&base, History::default());
    let config = &mut editor.config_mut().config;
    config.labels = [
        ("io.buildpacks.base.distro.name", "made"),
        ("io.buildpacks.base.distro.version", "1"),
        ("io.buildpacks.base.id", version),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    editor.commit(update, &named("latest")).unwrap();
}

/// Writes an app image on a run image, as the exporter would; `change` may spoil its labels, which are
/// lifecycle metadata and build metadata.
pub(crate) fn app_image(dir: &Path, ref_name: &str, run: &Path, change: &dyn Fn(&mut [Value; 2])) {
    let run = open(run);
    let mut update = Layout::at(dir).update().unwrap();
    let made = [
        layer(&mut update, "/layers/acme_java/jre/bin/java", "java"),
        layer(&mut update, "/workspace/app.jar", "app"),
        layer(
            &mut update,
            "/layers/sbom/launch/acme_java/jre/sbom.cdx.json",
            "{}",
        ),
        layer(&mut update, "/cnb/lifecycle/launcher", "launcher"),
    ];
    let mut editor = ImageEditor::from_base(&run);
    for layer in &made {
        editor.append(layer, History::default());
    }
    let [java, app, sbom, launcher] = made.map(|layer| layer.diff_id.to_string());
    let mut labels = [
        json!({
            "app": [{"sha": app}],
            "sbom": {"sha": sbom},
            "launcher": {"sha": launcher},
            "buildpacks": [{"key": "acme/java", "version": "1.2.3", "layers": {
                "jre": {"sha": java, "launch": true, "build": false, "cache": false},
            }}],
            "runImage": {
                "topLayer": run.top_layer().unwrap().to_string(),
                "reference": format!("run@{}", run.digest()),
                "image": "run",
                "mirrors": ["example.org/mirror/run"],
            },
        }),
        json!({
            "buildpacks": [{"id": "acme/java", "version": "1.2.3", "homepage": "https://example.org"}],
            "launcher": {"version": "0.21.17"},
            "processes": [
                {"type": "web", "command": ["java"], "args": ["-jar", "app.jar"], "direct": true,
                 "buildpackID": "acme/java", "working-dir": "/workspace/sub"},
                {"type": "task", "command": "run \"it\"", "args": null, "direct": false, "buildpackID": "acme/java"},
            ],
        }),
    ];
    change(&mut labels);
    let config = &mut editor.config_mut().config;
    let keys = [
        "io.buildpacks.lifecycle.metadata",
        "io.buildpacks.build.metadata",
    ];
    for (key, value) in keys.into_iter().zip(labels) {
        config.labels.insert(key.to_owned(), value.to_string());
    }
    config.entrypoint = vec!["/cnb/process/web".to_owned()];
    config.env = vec!["CNB_PLATFORM_API=0.13".to_owned(), "A=b c".to_owned()];
    "1000:1000".clone_into(&mut config.user);
    "/workspace".clone_into(&mut config.working_dir);
    editor.commit(update, &named(ref_name)).unwrap();
}

/// Returns false, and says so, where a program is missing; fails instead in CI, which must have it.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn requires(programs: &[&str]) -> bool {
    let dirs = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let is_there = |program: &str| {
        dirs.iter()
            .any(|dir| Path::new(dir).join(program).is_file())
    };
    let missing: Vec<_> = programs.iter().filter(|it| !is_there(it)).collect();
    if missing.is_empty() {
        return true;
    }
    #[expect(clippy::disallowed_methods, reason = "tests are told by CI")]
    let ci = std::env::var_os("CI").is_some();
    assert!(
        !ci,
        "in CI a test must not be skipped: it needs {missing:?}"
    );
    eprintln!("skipped: needs {missing:?}");
    false
}

impl Site {
    /// Makes the settings these.
    pub(crate) fn set(&self, config: &str) {
        fs_err::create_dir_all(self.path("home")).unwrap();
        fs_err::write(self.path("home/config.toml"), config).unwrap();
    }

    /// Starts `slipway`.
    pub(crate) fn start(&self, args: &[&str]) -> std::process::Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
        command.args(args).current_dir(self.dir.path()).env_clear();
        command.env("SLIPWAY_HOME", self.path("home"));
        command.spawn().unwrap()
    }

    /// Calls `slipway` with variables.
    pub(crate) fn slipway_with(&self, env: &[(&str, &str)], args: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_slipway"))
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("SLIPWAY_HOME", self.path("home"))
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            status: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Copies an image of this site to a name in a registry.
    pub(crate) fn push(&self, source: &str, name: &str) {
        let to = format!("docker://{name}");
        self.slipway(&["layout", "copy", source, &to]).ok();
    }
}

/// Writes an image of one layer that does not compress, so that its blob has about so many bytes; the same `seed` gives the
/// same image.
pub(crate) fn large_image(dir: &Path, size: usize, seed: u64) {
    let mut state = seed;
    let mut text = String::with_capacity(size);
    while text.len() < size {
        // Marsaglia's xorshift: every bit of the six that are used looks random.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push(char::from(b'0' + (state >> 32 & 63) as u8));
    }
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..Platform::default()
    };
    let mut update = Layout::at(dir).update().unwrap();
    let written = layer(&mut update, "/large", &text);
    let mut editor = ImageEditor::empty(&platform);
    editor.append(&written, History::default());
    editor.commit(update, &named("latest")).unwrap();
}
