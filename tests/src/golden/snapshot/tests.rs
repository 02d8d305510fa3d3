use std::collections::{BTreeSet, HashSet};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::golden::case::Case;
use crate::golden::fixture::{Fixture, Spec};

fn case(more: &str) -> Case {
    toml::from_str(&format!("description = \"x\"\nsteps = []\n{more}")).unwrap()
}

/// A file of each kind, and a layout.
fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir(root.join("layers")).unwrap();
    fs::write(root.join("layers/a.toml"), "a = 1\n").unwrap();
    fs::write(root.join("layers/text"), "one\n").unwrap();
    symlink("text", root.join("layers/link")).unwrap();
    Fixture::new(&Spec::default()).write(&root.join("repo/app"));
    dir
}

fn changes(case: &Case, change: impl FnOnce(&Path)) -> Value {
    let dir = tree();
    let place = Place {
        case,
        root: dir.path().to_owned(),
        fixed: HashSet::new(),
        registry: None,
    };
    let before = Before::of(&place);
    change(dir.path());
    before.changes(&place, &Symbols::new(HashSet::new()))
}

fn names(changes: &Value) -> BTreeSet<String> {
    let keys = |part: &str| changes[part].as_object().into_iter().flatten();
    let deleted = changes["deleted"].as_array().into_iter().flatten();
    let deleted = deleted.map(|name| format!("-{}", name.as_str().unwrap()));
    keys("tree")
        .chain(keys("images"))
        .map(|(name, _)| name.clone())
        .chain(deleted)
        .collect()
}

#[test]
fn nothing_changes_by_itself() {
    let none = json!({"tree": {}, "images": {}});
    assert_eq!(changes(&case(""), |_| {}), none);
}

#[test]
fn each_change_is_seen() {
    type Change = fn(&Path);
    let table: [(&[&str], Change); 8] = [
        (&["layers/text"], |root| {
            fs::write(root.join("layers/text"), "two\n").unwrap();
        }),
        (&["layers/text"], |root| {
            fs::set_permissions(root.join("layers/text"), Permissions::from_mode(0o640)).unwrap();
        }),
        (&["layers"], |root| {
            fs::set_permissions(root.join("layers"), Permissions::from_mode(0o700)).unwrap();
        }),
        (&["layers/link"], |root| {
            fs::remove_file(root.join("layers/link")).unwrap();
            symlink("other", root.join("layers/link")).unwrap();
        }),
        (&["layers/new"], |root| {
            fs::create_dir(root.join("layers/new")).unwrap();
        }),
        (&["-layers/text"], |root| {
            fs::remove_file(root.join("layers/text")).unwrap();
        }),
        (&["repo/app"], |root| {
            fs::write(root.join("repo/app/index.json"), "{}").unwrap();
        }),
        (&["repo/app"], |root| {
            fs::write(root.join("repo/app/blobs/sha256/0"), "").unwrap();
        }),
    ];
    for (number, (expected, change)) in table.into_iter().enumerate() {
        let seen = names(&changes(&case(""), change));
        let expected = expected.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(seen, expected, "{number}");
    }
}

#[test]
fn files_are_shown_by_what_they_are() {
    let shown = changes(&case("ignore_mode = ['^layers/bytes$']"), |root| {
        let layers = root.join("layers");
        fs::write(layers.join("a.toml"), "b = 2024-01-02T03:04:05Z\n").unwrap();
        fs::write(layers.join("bad.toml"), "b = \n").unwrap();
        fs::write(layers.join("x.json"), r#"{"n":1.5}"#).unwrap();
        fs::write(layers.join("open"), "no end").unwrap();
        fs::write(layers.join("bytes"), b"\xff\0").unwrap();
        fs::write(layers.join("report.toml"), "[image]\nmanifest-size = 12\n").unwrap();
        fs::create_dir(root.join("process")).unwrap();
        for name in [
            "a.toml",
            "bad.toml",
            "x.json",
            "open",
            "bytes",
            "report.toml",
        ] {
            fs::set_permissions(layers.join(name), Permissions::from_mode(0o644)).unwrap();
        }
    });
    let tree = shown["tree"].as_object().unwrap();
    let what = |name: &str| {
        let mut file = tree[&format!("layers/{name}")].clone();
        assert_eq!(file["type"], "file");
        let members = file.as_object_mut().unwrap();
        for key in ["type", "owner"] {
            members.remove(key).unwrap();
        }
        let mode = members.remove("mode").unwrap();
        assert_eq!(
            mode,
            if name == "bytes" {
                "(not compared)"
            } else {
                "0644"
            }
        );
        file
    };
    assert_eq!(
        what("a.toml"),
        json!({"toml": {"b": "2024-01-02 03:04:05+00:00"}, "raw": ["b = 2024-01-02T03:04:05Z"]})
    );
    assert_eq!(what("bad.toml"), json!({"text": ["b = "]}));
    assert_eq!(
        what("x.json"),
        json!({"json": {"n": 1.5}, "raw": [r#"{"n":1.5}"#]})
    );
    assert_eq!(
        what("open"),
        json!({"text": ["no end", "(no newline at the end)"]})
    );
    assert_eq!(
        what("bytes"),
        json!({"size": 2, "sha256": sha256(b"\xff\0")})
    );
    assert_eq!(
        what("report.toml"),
        json!({"toml": {"image": {"manifest-size": "<n>"}}, "raw": ["[image]", "manifest-size = <n>"]})
    );
    assert!(!tree.contains_key("process"), "{tree:?}");
}
