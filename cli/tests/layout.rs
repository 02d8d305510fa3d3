//! `slipway layout` as people and scripts call it.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

use std::path::Path;
use std::process::Command;

use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout};
use tempfile::TempDir;

/// A layout of an image named `v1` with one layer.
fn fixture() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut update = Layout::at(dir.path()).update().unwrap();
    let entry = Entry {
        name: Path::new("/app").into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind: EntryKind::Directory,
    };
    let layer = Layer {
        entries: vec![entry],
    };
    let options = WriteOptions::default();
    let layer = update.write_layer(&layer, &options, None).unwrap();
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        ..Platform::default()
    };
    let mut editor = ImageEditor::empty(&platform);
    let history = History {
        created_by: "made by hand".to_owned(),
        ..History::default()
    };
    editor.append(&layer, history);
    let options = CommitOptions {
        ref_name: "v1".to_owned(),
        ..CommitOptions::default()
    };
    editor.commit(update, &options).unwrap();
    dir
}

/// Returns exit status, stdout and stderr.
fn slipway(args: &[&str], dir: &Path) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipway"));
    let output = command.args(args).current_dir(dir).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap();
    (status, text(output.stdout), text(output.stderr))
}

#[test]
fn ls_shows_images_and_layers() {
    let dir = fixture();
    let (status, out, err) = slipway(&["layout", "ls", "."], dir.path());
    assert_eq!((status, err.as_str()), (0, ""));
    let image = Layout::at(dir.path()).image(&layout::Selector::default());
    let image = image.unwrap().unwrap();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], format!("v1  {}  linux/arm64", image.digest()));
    assert!(lines[1].contains(&image.diff_ids()[0].to_string()), "{out}");
    assert!(lines[1].ends_with("made by hand"), "{out}");
}

#[test]
fn ls_speaks_json() {
    let dir = fixture();
    let args = ["layout", "ls", "--output", "json", "."];
    let (status, out, _) = slipway(&args, dir.path());
    assert_eq!(status, 0);
    let images: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(images[0]["refName"], "v1");
    assert_eq!(images[0]["platform"]["architecture"], "arm64");
    assert_eq!(images[0]["layers"][0]["createdBy"], "made by hand");
    assert_eq!(images[0]["layers"][0]["present"], true);
}

#[test]
fn verify_says_what_is_wrong() {
    let dir = fixture();
    let args = ["layout", "verify", "."];
    let (status, out, err) = slipway(&args, dir.path());
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains("problems: 0"), "{out}");

    let image = Layout::at(dir.path()).image(&layout::Selector::default());
    let layer = image.unwrap().unwrap().manifest().layers[0]
        .digest
        .to_string();
    let blob = dir.path().join("blobs").join(layer.replace(':', "/"));
    fs_err::remove_file(&blob).unwrap();
    let (status, out, _) = slipway(&args, dir.path());
    assert_eq!(status, 1);
    assert!(
        out.contains(&layer[7..]) && out.contains("is not there"),
        "{out}"
    );
    let (status, ..) = slipway(&["layout", "verify", "--sparse", "."], dir.path());
    assert_eq!(status, 0);
}

#[test]
fn failures_exit_with_1_and_wrong_usage_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let (status, out, err) = slipway(&["layout", "ls", "."], dir.path());
    assert_eq!((status, out.as_str()), (1, ""));
    assert!(err.starts_with("error: no OCI image layout in ."), "{err}");
    for args in [
        vec![],
        vec!["layout"],
        vec!["layout", "ls"],
        vec!["nothing"],
    ] {
        let (status, out, err) = slipway(&args, dir.path());
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains("Usage:"), "{err}");
    }
}
