//! Every kind of damage is found, with its file.

use fs_err as fs;
use layout::verify::{Options, Reason, verify};
use serde_json::json;

use crate::kit::{Blob, Fixture, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, gzip, tar};

fn reasons(fixture: &Fixture, options: Options) -> Vec<Reason> {
    let report = verify(&fixture.layout(), options);
    report.problems.into_iter().map(|it| it.reason).collect()
}

#[test]
fn a_whole_layout_has_no_problem() {
    for fixture in [Fixture::oci(), Fixture::docker()] {
        let report = verify(&fixture.layout(), Options::default());
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert_eq!((report.images, report.blobs), (1, 4));
    }
}

#[test]
fn layers_may_be_absent_where_that_is_said() {
    let fixture = Fixture::oci();
    fixture.forget_layer(0);
    assert_eq!(reasons(&fixture, Options::default()), [Reason::Absent]);
    assert_eq!(reasons(&fixture, Options { sparse: true }), []);
    let report = verify(&fixture.layout(), Options { sparse: true });
    assert_eq!(report.absent_layers, 1);
}

#[test]
fn damage_is_found() {
    let first_layer = |it: &Fixture| it.blob_path(it.open().manifest().layers[0].digest.as_ref());
    let cases: [(&str, &dyn Fn(&Fixture), fn(&Reason) -> bool); 7] = [
        (
            "a layer with other bytes",
            &|it| {
                let path = first_layer(it);
                let mut bytes = fs::read(&path).unwrap();
                bytes[4] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            |it| matches!(it, Reason::Digest { .. }),
        ),
        (
            "a layer damaged within",
            &|it| {
                let path = first_layer(it);
                let mut bytes = fs::read(&path).unwrap();
                bytes[12] ^= 0xff;
                fs::write(path, bytes).unwrap();
            },
            |it| matches!(it, Reason::Digest { .. }),
        ),
        (
            "an empty layer",
            &|it| fs::write(first_layer(it), "").unwrap(),
            |it| matches!(it, Reason::Size { .. }),
        ),
        (
            "no header",
            &|it| fs::remove_file(it.path().join("oci-layout")).unwrap(),
            |it| *it == Reason::Absent,
        ),
        (
            "another version",
            &|it| {
                let text = r#"{"imageLayoutVersion":"2.0.0"}"#;
                fs::write(it.path().join("oci-layout"), text).unwrap();
            },
            |it| matches!(it, Reason::Document(text) if text.contains("2.0.0")),
        ),
        (
            "a file that is no blob",
            &|it| fs::write(it.path().join("blobs/sha256/README"), "x").unwrap(),
            |it| *it == Reason::Name,
        ),
        (
            "a stale blob with other bytes",
            &|it| {
                let stale = it.blob("text/plain", b"stale");
                let path = it.blob_path(stale["digest"].as_str().unwrap());
                fs::write(path, "STALE").unwrap();
            },
            |it| matches!(it, Reason::Digest { .. }),
        ),
    ];
    for (name, damage, expected) in cases {
        let fixture = Fixture::oci();
        damage(&fixture);
        let found = reasons(&fixture, Options { sparse: true });
        assert!(found.len() == 1 && expected(&found[0]), "{name}: {found:?}");
    }
}

#[test]
fn a_layer_that_is_not_what_its_config_says_is_found() {
    let fixture = Fixture::empty();
    let lie = Blob {
        tar: tar("a", b"1"),
        ..gzip(tar("a", b"2"))
    };
    fixture.image(&[lie], OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
    let found = reasons(&fixture, Options::default());
    assert!(matches!(&found[..], [Reason::DiffId { .. }]), "{found:?}");

    let fixture = Fixture::empty();
    let garbage = Blob {
        tar: tar("a", b"1"),
        bytes: b"\x1f\x8b\x08 garbage".to_vec(),
    };
    fixture.image(&[garbage], OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
    let found = reasons(&fixture, Options::default());
    assert!(matches!(&found[..], [Reason::Unreadable(_)]), "{found:?}");
}

#[test]
fn nothing_at_all_is_two_problems() {
    let fixture = Fixture::empty();
    let found = reasons(&fixture, Options::default());
    assert_eq!(found, [Reason::Absent, Reason::Absent]);
}

#[test]
fn every_image_of_a_nested_index_is_looked_at() {
    let fixture = Fixture::oci();
    let image = fixture.open();
    let good = json!({"mediaType": OCI_MANIFEST, "size": image.manifest_size(), "digest": image.digest().to_string()});
    let digest = format!("sha256:{}", "0".repeat(64));
    let absent = json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest});
    let other = fixture.blob("application/vnd.other", b"anything");
    let list = json!({"manifests": [good, absent, other]});
    let inner = fixture.blob("", list.to_string().as_bytes());
    fixture.index(&json!({"manifests": [inner.clone(), inner]}));
    let report = verify(&fixture.layout(), Options::default());
    assert_eq!((report.images, report.blobs), (1, 6));
    assert_eq!(report.problems.len(), 1);
    assert_eq!(report.problems[0].path, fixture.blob_path(&digest));
}
