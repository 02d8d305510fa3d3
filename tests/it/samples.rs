//! Whole builds of the samples, each as `make demo` does it: images, builder, phases in runc, other people's clients.

use std::process::Command;

use tests::program::{Ran, ours, project, requires, requires_root};

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
