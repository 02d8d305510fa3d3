//! Images as views: labels and diffIDs without layers, layers verified while they are read.

use std::io::Read as _;

use fs_err as fs;
use layout::digest::sha256;
use layout::manifest::MediaType;
use layout::{Layout, Selector};

use crate::kit::{Blob, Fixture, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, gzip, gzip_member, tar};

#[test]
fn a_layout_that_is_not_there_has_no_image() {
    let fixture = Fixture::empty();
    let missing = fixture.path().join("no/such");
    for path in [fixture.path().to_owned(), missing] {
        let image = Layout::at(path).image(&Selector::default()).unwrap();
        assert!(image.is_none());
    }
}

/// LAY-008: the oci-layout file is not looked at; neither are blobs of layers.
#[test]
fn a_view_needs_only_index_manifest_and_config() {
    let fixture = Fixture::docker();
    fs::remove_file(fixture.path().join("oci-layout")).unwrap();
    fixture.forget_layer(0);
    fixture.forget_layer(1);
    let image = fixture.open();
    assert_eq!(image.label("a"), Some("<1>"));
    assert_eq!(image.config().env("PATH"), Some("/bin"));
    assert_eq!(image.diff_ids().len(), 2);
    let top = image.top_layer().unwrap();
    assert_eq!(*top, image.diff_ids()[1]);
    assert_eq!(image.layer(top), Some(&image.manifest().layers[1]));
    assert!(image.open_layer(top).unwrap().is_none());
}

#[test]
fn layers_are_unpacked_whatever_their_media_type_says() {
    let content = tar("a/file", &b"0123456789".repeat(20_000));
    let (first, second) = content.split_at(70_000);
    let members = [gzip_member(first), gzip_member(second)].concat();
    let frames = [
        zstd::encode_all(first, 1).unwrap(),
        zstd::encode_all(second, 1).unwrap(),
    ];
    for bytes in [
        gzip_member(&content),
        members,
        frames.concat(),
        content.clone(),
    ] {
        let fixture = Fixture::empty();
        let layer = Blob {
            bytes,
            tar: content.clone(),
        };
        fixture.image(&[layer], OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
        let image = fixture.open();
        let mut found = Vec::new();
        let reader = image.open_layer(&image.diff_ids()[0]).unwrap();
        reader.unwrap().read_to_end(&mut found).unwrap();
        assert!(found == content);
    }
}

#[test]
fn a_damaged_layer_is_never_read_to_its_end() {
    let good = tar("a/file", b"content");
    let other = tar("a/file", b"CONTENT");
    let cases: [(&str, fn(&[u8]) -> Vec<u8>); 4] = [
        ("cut", |blob| blob[..blob.len() - 1].to_vec()),
        ("longer", |blob| [blob, b"x"].concat()),
        ("empty", |_| Vec::new()),
        ("changed", |blob| {
            let mut blob = blob.to_vec();
            // In the header, where gzip does not look.
            blob[4] ^= 1;
            blob
        }),
    ];
    for (name, damage) in cases {
        let fixture = Fixture::empty();
        fixture.image(&[gzip(good.clone())], OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
        let image = fixture.open();
        let path = fixture.blob_path(image.manifest().layers[0].digest.as_ref());
        let blob = fs::read(&path).unwrap();
        fs::write(&path, damage(&blob)).unwrap();
        let error = match image.open_layer(&image.diff_ids()[0]) {
            Ok(reader) => reader
                .unwrap()
                .read_to_end(&mut Vec::new())
                .unwrap_err()
                .to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("is damaged"), "{name}: {error}");
        assert!(error.contains(path.to_str().unwrap()), "{name}: {error}");
    }
    // What gzip itself makes no sense of, before the blob's end.
    let fixture = Fixture::empty();
    fixture.image(&[gzip(good.clone())], OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
    let image = fixture.open();
    let digest = image.manifest().layers[0].digest.to_string();
    let path = fixture.blob_path(&digest);
    let mut blob = fs::read(&path).unwrap();
    *blob.last_mut().unwrap() ^= 1;
    fs::write(&path, blob).unwrap();
    let reader = image.open_layer(&image.diff_ids()[0]).unwrap();
    let error = reader.unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    let expected = format!("layer {digest} in ");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let fixture = Fixture::empty();
    let lie = Blob {
        tar: good,
        ..gzip(other)
    };
    fixture.image(&[lie], OCI_MANIFEST, OCI_CONFIG, OCI_LAYER);
    let image = fixture.open();
    let reader = image.open_layer(&image.diff_ids()[0]).unwrap();
    let error = reader.unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("its digest is"), "{error}");
}

#[test]
fn an_image_keeps_what_docker_wrote_until_it_is_written() {
    let fixture = Fixture::docker();
    let image = fixture.open();
    let media_type = image.manifest().layers[0].media_type.to_string();
    assert!(media_type.contains("docker"));
    assert_eq!(
        image.manifest().clone().to_oci().layers[0].media_type,
        MediaType::ImageLayerGzip
    );
    assert_eq!(
        image.digest(),
        &sha256(&fs::read(fixture.blob_path(image.digest().as_ref())).unwrap())
    );
    assert_eq!(fixture.layout().images().unwrap().unwrap().len(), 1);
}
