//! Other people's programs judge what is written here, and write what is read here.

use std::path::Path;
use std::process::Command;

use layout::editor::CommitOptions;
use layout::{ImageEditor, Layout, Selector};
use serde_json::Value;

use crate::kit::Fixture;

/// True if `program` can be run; false, with a word about it, if the test is to be skipped.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "only CI must have every program; others are told"
)]
pub(crate) fn has(program: &str) -> bool {
    if Command::new(program).arg("--version").output().is_ok() {
        return true;
    }
    let must = std::env::var_os("CI").is_some_and(|it| it == "true");
    assert!(!must, "{program} is not installed");
    println!("skipped: {program} is not installed");
    false
}

fn run(program: &str, args: &[&str], dir: &Path) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes `output` below a fixture of Docker's types: the base that umoci itself refuses.
fn written() -> Fixture {
    let base = Fixture::docker();
    let editor = ImageEditor::from_base(&base.open());
    let options = CommitOptions {
        ref_name: "v1".to_owned(),
        ..CommitOptions::default()
    };
    let output = Layout::at(base.path().join("output"));
    editor.commit(output.update().unwrap(), &options).unwrap();
    base
}

#[test]
fn foreign_skopeo_reads_what_is_written() {
    if !has("skopeo") {
        return;
    }
    let fixture = written();
    let text = run("skopeo", &["inspect", "oci:output:v1"], fixture.path());
    let seen: Value = serde_json::from_str(&text).unwrap();
    let image = Layout::at(fixture.path().join("output"));
    let image = image.image(&Selector::default()).unwrap().unwrap();
    assert_eq!(seen["Digest"], image.digest().to_string());
    assert_eq!(seen["Labels"]["a"], "<1>");
    assert_eq!(
        seen["Layers"][1],
        image.manifest().layers[1].digest.to_string()
    );
    // Copying checks every digest and diffID.
    run(
        "skopeo",
        &["copy", "oci:output:v1", "dir:copy"],
        fixture.path(),
    );
}

#[test]
fn foreign_umoci_unpacks_what_is_written() {
    if !has("umoci") {
        return;
    }
    let fixture = written();
    let list = run("umoci", &["ls", "--layout", "output"], fixture.path());
    assert_eq!(list.trim(), "v1");
    let args = ["unpack", "--rootless", "--image", "output:v1", "bundle"];
    run("umoci", &args, fixture.path());
    let file = fixture.path().join("bundle/rootfs/etc/two");
    assert_eq!(fs_err::read(file).unwrap(), b"2");
}

#[test]
fn foreign_layouts_of_skopeo_and_umoci_are_read() {
    if !has("skopeo") || !has("umoci") {
        return;
    }
    let fixture = written();
    let image = Layout::at(fixture.path().join("output"));
    let image = image.image(&Selector::default()).unwrap().unwrap();
    run(
        "skopeo",
        &["copy", "--all", "oci:output:v1", "oci:copy:v2"],
        fixture.path(),
    );
    run(
        "umoci",
        &["tag", "--image", "copy:v2", "v3"],
        fixture.path(),
    );
    let named = |name: &str| Selector {
        ref_name: Some(name.to_owned()),
        ..Selector::default()
    };
    let copy = Layout::at(fixture.path().join("copy"));
    for name in ["v2", "v3"] {
        let found = copy.image(&named(name)).unwrap().unwrap();
        assert_eq!(found.diff_ids(), image.diff_ids());
    }
    assert!(copy.image(&named("v4")).is_err());
}
