//! Modules, an app and an order in a temporary directory, and what comes of detecting there.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use buildpack::decode;
use buildpack::descriptor::Modules;
use buildpack::env::BuildEnv;
use buildpack::group::GroupElement;
use buildpack::order::Order;
use buildpack::target::Target;
use fs_err as fs;
use platform::PlatformApi;
use platform::files::System;
use tempfile::TempDir;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::transcript::Transcript;
use crate::{Detector, Inputs, Outputs};

/// A builder with modules, and an app.
pub(super) struct Bench {
    root: TempDir,
    /// `CNB_PLATFORM_API`.
    pub(super) api: &'static str,
    /// `CNB_EXEC_ENV`.
    pub(super) exec_env: &'static str,
    /// Target of the run image.
    pub(super) target: Option<Target>,
    /// system.toml.
    pub(super) system: System,
    order: Order,
}

/// What came of it.
pub(super) struct Detected {
    /// The group, or the exit code and the last line.
    pub(super) end: Result<Outputs, (u8, String)>,
    /// What was kept back: `debug <line>`, `info <line>`.
    pub(super) lines: Vec<String>,
    /// Modules whose `bin/detect` ran, sorted; twice where it ran twice.
    pub(super) ran: Vec<String>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["app", "platform", "buildpacks", "extensions"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("ran"), "").unwrap();
        Self {
            root,
            api: "0.13",
            exec_env: "production",
            target: Some(ubuntu()),
            system: System::default(),
            order: Order::default(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes buildpacks `id` or `id@version` that pass.
    pub(super) fn passing(&self, labels: &[&str]) {
        for label in labels {
            self.buildpack(label, "", ":");
        }
    }

    /// Writes a buildpack of API 0.10, with more of its descriptor and the script that its `bin/detect` is.
    pub(super) fn buildpack(&self, label: &str, descriptor: &str, script: &str) {
        self.buildpack_of("0.10", label, descriptor, script);
    }

    pub(super) fn buildpack_of(&self, api: &str, label: &str, descriptor: &str, script: &str) {
        let (id, version) = id_and_version(label);
        let text =
            format!("api = '{api}'\n[buildpack]\nid = '{id}'\nversion = '{version}'\n{descriptor}");
        let dir = self.module("buildpacks", label);
        fs::write(dir.join("buildpack.toml"), text).unwrap();
        program(&dir, script);
    }

    /// Writes an extension of API 0.10.
    pub(super) fn extension(&self, label: &str, descriptor: &str, script: &str) {
        let (id, version) = id_and_version(label);
        let text =
            format!("api = '0.10'\n[extension]\nid = '{id}'\nversion = '{version}'\n{descriptor}");
        let dir = self.module("extensions", label);
        fs::write(dir.join("extension.toml"), text).unwrap();
        program(&dir, script);
    }

    /// Writes a composite buildpack; each text is one of its groups. It has a program, which would fail.
    pub(super) fn composite(&self, label: &str, groups: &[&str]) {
        self.buildpack(label, &order_toml("order", groups), "exit 9");
    }

    fn module(&self, folder: &str, label: &str) -> PathBuf {
        let (id, version) = id_and_version(label);
        let dir = self.path(folder).join(id.replace('/', "_")).join(version);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Sets the order: each text is a group, `a b@2 c?` with `c` optional.
    pub(super) fn order(&mut self, groups: &[&str]) {
        self.order.order = read_order(&order_toml("order", groups)).order;
    }

    /// Sets the order as a file says it.
    pub(super) fn order_text(&mut self, text: &str) {
        self.order = read_order(text);
    }

    /// Sets the extensions in front of each group.
    pub(super) fn extensions(&mut self, groups: &[&str]) {
        let text = order_toml("order-extensions", groups);
        self.order.order_extensions = read_order(&text).order_extensions;
    }

    pub(super) fn detect(&self) -> Detected {
        let modules = Modules {
            buildpacks: self.path("buildpacks"),
            extensions: self.path("extensions"),
        };
        let outer = [("PATH", "/usr/bin:/bin"), ("USER", "somebody")];
        let (app, platform) = (self.path("app"), self.path("platform"));
        let os_release = self.path("os-release");
        let inputs = Inputs {
            api: PlatformApi::negotiate(Some(self.api)).unwrap(),
            order: &self.order,
            order_path: Path::new("/cnb/order.toml"),
            system: &self.system,
            system_path: Path::new("/cnb/system.toml"),
            modules: &modules,
            app_dir: &app,
            platform_dir: &platform,
            build_config_dir: &self.path("build-config"),
            env: &BuildEnv::from_outer(outer.map(|(name, value)| (name.into(), value.into()))),
            target: self.target.as_ref(),
            os_release: &os_release,
            exec_env: self.exec_env,
        };
        let mut transcript = Transcript::default();
        let end = Detector::new(inputs)
            .and_then(|detector| detector.decide(&mut transcript))
            .map_err(|failure| (failure.code as u8, format!("{:#}", failure.error)));
        let ran = fs::read_to_string(self.path("ran")).unwrap();
        let mut ran: Vec<_> = ran.lines().map(str::to_owned).collect();
        ran.sort();
        fs::write(self.path("ran"), "").unwrap();
        Detected {
            end,
            lines: transcript.levelled(),
            ran,
        }
    }

    /// Detects, and returns who takes part: `x | a b`, extensions in front of the bar; else `exit 20`.
    pub(super) fn participants(&self) -> String {
        match self.detect().end {
            Ok(outputs) => {
                let ids = |elements: &[GroupElement]| {
                    let ids: Vec<_> = elements.iter().map(short).collect();
                    ids.join(" ")
                };
                let extensions = ids(&outputs.group.group_extensions);
                let bar = if extensions.is_empty() { "" } else { " | " };
                format!("{extensions}{bar}{}", ids(&outputs.group.group))
            }
            Err((code, _)) => format!("exit {code}"),
        }
    }
}

impl Detected {
    pub(super) fn failure(self) -> (u8, String) {
        self.end.unwrap_err()
    }

    /// Returns the groups that were decided on, first to last, each as the modules in it: `a b`.
    pub(super) fn groups(&self) -> Vec<String> {
        let results = "debug ======== Results ========".to_owned();
        let groups = self.lines.split(|line| *line == results).skip(1);
        let ids = |lines: &[String]| {
            let labels = lines.iter().map_while(|line| {
                let (_, line) = line.split_once(' ')?;
                let (verdict, label) = line.split_once(": ")?;
                let (id, _) = label.trim().split_once('@')?;
                (verdict.len() <= 4 && !label.contains(" requires ")).then(|| id.to_owned())
            });
            labels.collect::<Vec<_>>().join(" ")
        };
        groups.map(ids).collect()
    }
}

/// Runs a function and returns, beside its result, what it logged: `LEVEL message`, a line each.
pub(super) fn log_of<T>(run: impl FnOnce() -> T) -> (T, String) {
    let log = Arc::new(Mutex::new(String::new()));
    let capture = tracing_subscriber::registry().with(Capture(Arc::clone(&log)));
    let result = tracing::subscriber::with_default(capture, run);
    let text = log.lock().unwrap().clone();
    (result, text)
}

struct Capture(Arc<Mutex<String>>);

impl<S: Subscriber> Layer<S> for Capture {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Message(format!("{} ", event.metadata().level()));
        event.record(&mut text);
        self.0.lock().unwrap().push_str(&(text.0 + "\n"));
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").unwrap();
        }
    }
}

/// A run image that says what it is.
pub(super) fn ubuntu() -> Target {
    Target {
        os: "linux".into(),
        arch: "amd64".into(),
        distro: Some(buildpack::target::Distro {
            name: "ubuntu".into(),
            version: "22.04".into(),
        }),
        ..Target::default()
    }
}

/// Returns a script that writes a plan: `+x` provides, `-x` requires, `|` begins the next alternative.
pub(super) fn plan(text: &str) -> String {
    let mut toml = String::new();
    for (at, alternative) in text.split('|').enumerate() {
        let or = if at == 0 { "" } else { "or." };
        toml += if at == 0 { "" } else { "[[or]]\n" };
        for word in alternative.split_whitespace() {
            let (kind, name) = word.split_at(1);
            let kind = if kind == "+" { "provides" } else { "requires" };
            writeln!(toml, "[[{or}{kind}]]\nname = \"{name}\"").unwrap();
        }
    }
    format!("cat >$2 <<EOF\n{toml}EOF\n")
}

fn program(dir: &Path, script: &str) {
    fs::create_dir_all(dir.join("bin")).unwrap();
    fs::write(dir.join("script"), script).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/bin-detect");
    if !dir.join("bin/detect").exists() {
        std::os::unix::fs::symlink(source, dir.join("bin/detect")).unwrap();
        fs::write(dir.join("bin/build"), "").unwrap();
    }
}

fn read_order(text: &str) -> Order {
    decode::from_str(text).unwrap()
}

fn order_toml(name: &str, groups: &[&str]) -> String {
    let mut text = String::new();
    for group in groups {
        writeln!(text, "[[{name}]]").unwrap();
        for word in group.split_whitespace() {
            let (id, version) = id_and_version(word.trim_end_matches('?'));
            let optional = word.ends_with('?');
            writeln!(
                text,
                "[[{name}.group]]\nid = '{id}'\nversion = '{version}'\noptional = {optional}"
            )
            .unwrap();
        }
    }
    text
}

fn id_and_version(label: &str) -> (&str, &str) {
    label.split_once('@').unwrap_or((label, "1"))
}

/// Version 1 goes without saying.
fn short(element: &GroupElement) -> String {
    match element.version.as_str() {
        "1" => element.id.clone(),
        _ => element.label(),
    }
}
