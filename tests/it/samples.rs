//! Whole builds of the samples, each as `make demo` does it: images, builder, phases in runc, other people's clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::program::{Ran, ours, ours_in, project, requires, requires_root, run};

/// Runs the demo for one app twice, in a directory of its own.
fn demo(app: &str, builder: Option<&str>, answer: &str) {
    if !(requires_root() && requires(&["skopeo", "umoci", "runc", "jq", "curl"])) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let mut demo = Command::new(project().join("demo/run.sh"));
        // The programs under test lie where the kit has them.
        demo.env("SLIPWAY_BIN", ours("lifecycle").parent().unwrap());
        demo.arg(app).args(builder).current_dir(dir.path());
        Ran::of(&mut demo).ok()
    };
    let first = run();
    assert!(first.contains(answer), "{first}");
    let second = run();
    assert!(second.contains(answer), "{second}");
    assert!(second.contains("Reusing layer"), "{second}");
    assert!(second.contains("Restoring data for"), "{second}");
}

#[test]
fn slow_bash_hello() {
    demo("bash-hello", None, "Hello from Slipway");
}

/// The HTTP server with a dependency from npm.
#[test]
fn slow_nodejs() {
    demo("nodejs", None, "GET http://127.0.0.1:8080/");
}

/// A buildpack written in Rust with libcnb.
#[test]
fn slow_rust_buildpack() {
    demo("bash-hello", Some("builder-rust.toml"), "Hello");
}

/// A folder with demo, samples and programs that belongs to nobody in particular, who has one id and no root.
struct Stranger(tempfile::TempDir);

impl Stranger {
    fn new() -> Self {
        let stranger = Self(
            tempfile::Builder::new()
                .prefix("slipway-demo-")
                .tempdir()
                .unwrap(),
        );
        for name in ["slipway", "lifecycle", "launcher"] {
            ours_in(name, &stranger.path("bin"));
        }
        for name in ["demo", "samples"] {
            stranger.copy(&project().join(name), name);
        }
        fs_err::create_dir(stranger.path("work")).unwrap();
        stranger
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn copy(&self, from: &Path, name: &str) {
        run(
            "cp",
            &[
                "-r",
                from.to_str().unwrap(),
                self.path(name).to_str().unwrap(),
            ],
        );
    }

    /// Returns a command that the stranger gives in a folder of their own.
    fn command(&self, program: &str) -> Command {
        run(
            "chown",
            &["-R", "65534:65534", self.0.path().to_str().unwrap()],
        );
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
        ]);
        command
            .arg(self.path(program))
            .current_dir(self.path("work"));
        command
            .env("SLIPWAY_BIN", self.path("bin"))
            .env("HOME", self.path("work"));
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command
    }
}

/// The demo asks for root only to install what is missing.
#[test]
fn slow_bash_hello_by_somebody_who_is_not_root() {
    if !(requires_root() && requires(&["setpriv", "skopeo", "umoci", "jq"])) {
        return;
    }
    let stranger = Stranger::new();
    let said = Ran::of(stranger.command("demo/run.sh").arg("bash-hello")).ok();
    assert!(said.contains("Hello from Slipway, world!"), "{said}");
    assert!(said.contains("user 1000:1000, folder /workspace"), "{said}");
}

/// A real Maven build without root; what it has downloaded it does not need a network for again.
#[test]
fn slow_java_maven_by_somebody_who_is_not_root_and_then_offline() {
    if !(requires_root() && requires(&["setpriv", "umoci", "jq", "mmdebstrap"])) {
        return;
    }
    let stranger = Stranger::new();
    let script = |name: &str, args: &[&str]| {
        let mut script = Command::new(project().join("samples").join(name));
        script.args(args).stderr(std::process::Stdio::null());
        PathBuf::from(Ran::of(&mut script).ok().trim_end())
    };
    let bin = ours("lifecycle");
    let builder = project().join("samples/builder.toml");
    let bin = bin.parent().unwrap().to_str().unwrap();
    let builder = script("make-builder.sh", &[builder.to_str().unwrap(), bin]);
    stranger.copy(&script("make-base.sh", &["java"]).join("run"), "run");
    stranger.copy(&builder.join("image"), "builder");
    let bindings = stranger.path("bindings");
    Ran::of(Command::new(project().join("demo/bindings.sh")).arg(&bindings)).ok();
    let volume = format!("{}:/platform/bindings", bindings.display());
    let build = |more: &[&str]| {
        let mut slipway = stranger.command("bin/slipway");
        slipway.args(["build", "oci:app", "--path", "../samples/apps/java-maven"]);
        slipway.args(["--builder", "oci:../builder", "--run-image", "oci:../run"]);
        Ran::of(slipway.args(["--volume", &volume]).args(more)).ok()
    };
    let first = build(&["--verbose"]);
    assert!(first.contains("the way of one id"), "{first}");
    assert!(first.contains("BUILD SUCCESS"), "{first}");
    let again = build(&["--network", "none"]);
    assert!(again.contains("working offline"), "{again}");
    assert!(
        again.contains("Reusing layer 'slipway/maven:runtime'"),
        "{again}"
    );
}
