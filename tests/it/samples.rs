//! Whole builds of the samples, each as `make demo` does it: images, builder, phases in runc, other people's clients.

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

/// The demo asks for root only to install what is missing.
#[test]
fn slow_bash_hello_by_somebody_who_is_not_root() {
    if !(requires_root() && requires(&["setpriv", "skopeo", "umoci", "jq"])) {
        return;
    }
    let dir = tempfile::Builder::new()
        .prefix("slipway-demo-")
        .tempdir()
        .unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["slipway", "lifecycle", "launcher"] {
        ours_in(name, &path("bin"));
    }
    for name in ["demo", "samples"] {
        let from = project().join(name);
        run(
            "cp",
            &["-r", from.to_str().unwrap(), path(name).to_str().unwrap()],
        );
    }
    fs_err::create_dir(path("work")).unwrap();
    run(
        "chown",
        &["-R", "65534:65534", dir.path().to_str().unwrap()],
    );
    let mut demo = Command::new("setpriv");
    demo.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--inh-caps=-all",
    ]);
    demo.arg(path("demo/run.sh"))
        .arg("bash-hello")
        .current_dir(path("work"));
    demo.env("SLIPWAY_BIN", path("bin"))
        .env("HOME", path("work"));
    demo.env("XDG_CACHE_HOME", path("cache"));
    let said = Ran::of(&mut demo).ok();
    assert!(said.contains("Hello from Slipway, world!"), "{said}");
    assert!(said.contains("user 1000:1000, folder /workspace"), "{said}");
}
