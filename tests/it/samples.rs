//! Whole builds of the samples, each as `make demo` does it: images, builder, phases in runc, other people's clients.

use std::process::Command;

use tests::program::{Ran, project, requires, requires_root};

/// Runs the demo for one app in a directory of its own, twice.
fn demo(app: &str, answer: &str) {
    if !(requires_root() && requires(&["skopeo", "umoci", "runc", "jq"])) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let run = || {
        let mut command = Command::new(project().join("demo/run.sh"));
        Ran::of(command.arg(app).current_dir(dir.path())).ok()
    };
    let first = run();
    assert!(first.contains(answer), "{first}");
    let second = run();
    assert!(second.contains(answer), "{second}");
    assert!(second.contains("Reusing layer"), "{second}");
}

#[test]
fn slow_bash_hello() {
    demo("bash-hello", "Hello");
}
