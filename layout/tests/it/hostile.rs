//! Layouts made to do harm: an error that names the file, never a panic, never anything outside.

use fs_err as fs;
use layout::verify::{Options, verify};
use layout::{Layout, Selector};
use serde_json::{Value, json};

use crate::kit::{Fixture, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Opens the image as every phase does, and whatever else may be asked of a layout.
fn error_of(layout: &Layout) -> String {
    let report = verify(layout, Options::default());
    assert!(!report.problems.is_empty(), "verify finds it too");
    layout.images().ok();
    layout::gc::collect(layout).ok();
    let error = layout.image(&Selector::default()).unwrap_err();
    format!("{:#}", anyhow_chain(&error))
}

fn anyhow_chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", anyhow_chain(cause)),
        None => error.to_string(),
    }
}

#[test]
fn garbage_in_index_json() {
    let digest = format!("sha256:{HEX}");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let one = |descriptor: Value| json!({"manifests": [descriptor]}).to_string();
    let texts = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{\"manifests\":{}}".to_owned(),
        "{\"manifests\":[1]}".to_owned(),
        "\u{0}\u{1}\u{2}".to_owned(),
        deep,
        one(json!({"size": 1, "digest": "sha256:../../../etc/passwd"})),
        one(json!({"size": 1, "digest": format!("../x:{HEX}")})),
        one(json!({"size": 1, "digest": "/etc/passwd"})),
        one(json!({"size": 1, "digest": ""})),
        one(json!({"size": -1, "digest": digest})),
        one(json!({"size": 1.5, "digest": digest})),
        one(json!({"size": 1e30, "digest": digest})),
        one(json!({"digest": digest})),
        one(json!({"size": 1, "digest": digest, "mediaType": 1})),
        one(json!({"size": 1, "digest": digest, "platform": "linux"})),
        one(json!({"size": 1, "digest": digest, "annotations": {"a": 1}})),
    ];
    for text in texts {
        let fixture = Fixture::oci();
        fs::write(fixture.path().join("index.json"), &text).unwrap();
        let error = error_of(&fixture.layout());
        assert!(
            error.contains("index.json: not an image index"),
            "{text:.60}: {error}"
        );
    }
}

#[test]
fn index_json_that_is_no_file() {
    let fixture = Fixture::oci();
    let path = fixture.path().join("index.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(error_of(&fixture.layout()).contains("is not a file"));
    fs::remove_dir(&path).unwrap();
    let mode = rustix::fs::Mode::from(0o600);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    assert!(error_of(&fixture.layout()).contains("is not a file"));
    fs::remove_file(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(error_of(&fixture.layout()).contains("too large"));
}

#[test]
fn descriptors_that_lie() {
    let unlikely = u64::MAX;
    let cases: [(&str, &dyn Fn(&Fixture) -> Value, &str); 6] = [
        (
            "a manifest of many exabytes",
            &|_| json!({"mediaType": OCI_MANIFEST, "size": unlikely, "digest": format!("sha256:{HEX}")}),
            "too large",
        ),
        (
            "an absent manifest",
            &|_| json!({"mediaType": OCI_MANIFEST, "size": 2, "digest": format!("sha256:{HEX}")}),
            "is not in",
        ),
        (
            "a digest that nobody can check",
            &|it| {
                let path = it.blob_path("sha3:00");
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "{}").unwrap();
                json!({"mediaType": OCI_MANIFEST, "size": 2, "digest": "sha3:00"})
            },
            "unsupported digest algorithm",
        ),
        (
            "another size",
            &|it| {
                let mut descriptor = it.blob(OCI_MANIFEST, b"{}");
                descriptor["size"] = json!(3);
                descriptor
            },
            "its descriptor says 3",
        ),
        (
            "other content",
            &|it| {
                let descriptor = it.blob(OCI_MANIFEST, b"{}");
                fs::write(it.blob_path(descriptor["digest"].as_str().unwrap()), "[]").unwrap();
                descriptor
            },
            "its digest is",
        ),
        (
            "a layer as manifest",
            &|it| it.blob(OCI_MANIFEST, b"\x1f\x8b garbage"),
            "not a manifest or index",
        ),
    ];
    for (name, make, text) in cases {
        let fixture = Fixture::empty();
        let descriptor = make(&fixture);
        fixture.index(&json!({"schemaVersion": 2, "manifests": [descriptor]}));
        let error = error_of(&fixture.layout());
        assert!(error.contains(text), "{name}: {error}");
    }
}

#[test]
fn manifests_and_configs_that_do_not_fit() {
    let diff_id = format!("sha256:{HEX}");
    let cases: [(&str, Value, &str); 6] = [
        (
            "no diffIDs",
            json!({"rootfs": null}),
            "1 layers, its config 0 diffIDs",
        ),
        (
            "too many",
            json!({"rootfs": {"diff_ids": [diff_id, diff_id]}}),
            "1 layers, its config 2 diffIDs",
        ),
        (
            "no digest",
            json!({"rootfs": {"diff_ids": ["../../x"]}}),
            "failed to read config",
        ),
        ("a list", json!([]), "failed to read config"),
        ("other types", json!({"os": 1}), "failed to read config"),
        (
            "labels",
            json!({"config": {"Labels": ["a"]}}),
            "failed to read config",
        ),
    ];
    for (name, config, text) in cases {
        let fixture = Fixture::empty();
        let config = fixture.blob(OCI_CONFIG, config.to_string().as_bytes());
        let layer = fixture.blob(OCI_LAYER, b"");
        let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [layer]});
        fixture.manifest(&manifest);
        let error = error_of(&fixture.layout());
        assert!(error.contains(text), "{name}: {error}");
    }
    let fixture = Fixture::oci();
    let image = fixture.open();
    fs::remove_file(fixture.blob_path(image.manifest().config.digest.as_ref())).unwrap();
    assert!(error_of(&fixture.layout()).contains("is not in"));
}

/// Docker's first schema has no config at all.
#[test]
fn an_ancient_manifest() {
    let fixture = Fixture::empty();
    fixture.manifest(&json!({"schemaVersion": 1, "name": "x", "fsLayers": [], "history": []}));
    assert!(error_of(&fixture.layout()).contains("not a manifest or index"));
}
