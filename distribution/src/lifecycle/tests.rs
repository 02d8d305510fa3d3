use std::process::Command;

use layout::{Layout, Selector};
use serde_json::json;

use super::*;
use crate::fixtures::Workshop;

fn amd64() -> Platform {
    Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..Platform::default()
    }
}

fn opened(shop: &Workshop) -> Lifecycle {
    Lifecycle::open(&shop.lifecycle("programs"), &shop.scratch()).unwrap()
}

/// Names in a gzip tar, as they are written there, with their headers' facts.
fn entries(path: &Path) -> BTreeMap<String, tar::Header> {
    let file = flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap());
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|it| {
            let name = String::from_utf8(it.path_bytes().into_owned()).unwrap();
            (name, it.header().clone())
        })
        .collect()
}

#[test]
fn archives_are_called_as_the_reference_calls_them() {
    let cases = [
        ("amd64", "lifecycle-v0.21.17+linux.x86-64.tgz"),
        ("arm64", "lifecycle-v0.21.17+linux.arm64.tgz"),
        ("s390x", "lifecycle-v0.21.17+linux.s390x.tgz"),
    ];
    for (architecture, expected) in cases {
        let platform = Platform {
            architecture: architecture.to_owned(),
            ..amd64()
        };
        assert_eq!(archive_name("0.21.17", &platform), expected);
    }
}

#[test]
fn an_archive_is_what_pack_looks_for() {
    let shop = Workshop::new();
    let path = opened(&shop).write_archive(shop.dir(), &amd64()).unwrap();
    let entries = entries(&path);
    // DST-020, DST-023, DST-024: names exactly as pack's pattern wants them, one folder deep.
    assert!(entries.contains_key("lifecycle.toml"));
    for name in ["lifecycle", "launcher"] {
        let header = &entries[&format!("lifecycle/{name}")];
        assert_eq!(header.entry_type(), tar::EntryType::Regular, "{name}");
        assert_eq!(header.mode().unwrap(), 0o755);
    }
    for name in [
        "detector", "analyzer", "restorer", "builder", "exporter", "rebaser", "creator", "extender",
    ] {
        let header = &entries[&format!("lifecycle/{name}")];
        assert_eq!(header.entry_type(), tar::EntryType::Symlink, "{name}");
        assert_eq!(header.link_name().unwrap().unwrap(), Path::new("lifecycle"));
    }
    let sbom = &entries["lifecycle/launcher.sbom.cdx.json"];
    assert_eq!(sbom.mode().unwrap(), 0o644);
    assert!(!entries.keys().any(|it| it.contains("other")));
    for (name, header) in &entries {
        let ids = (header.uid().unwrap(), header.gid().unwrap());
        assert_eq!(ids, (0, 0), "{name}");
        assert_eq!(header.mtime().unwrap(), 315_532_801, "{name}");
    }
}

#[test]
fn an_archives_checksum_is_beside_it() {
    let shop = Workshop::new();
    let path = opened(&shop).write_archive(shop.dir(), &amd64()).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let check = Command::new("sha256sum")
        .current_dir(shop.dir())
        .args(["--check", "--strict", &format!("{name}.sha256")])
        .status();
    assert!(check.unwrap().success());
}

#[test]
fn an_archive_has_the_same_bytes_each_time() {
    let (first, second) = (Workshop::new(), Workshop::new());
    let paths = [&first, &second].map(|it| opened(it).write_archive(it.dir(), &amd64()).unwrap());
    assert!(fs::read(&paths[0]).unwrap() == fs::read(&paths[1]).unwrap());
}

#[test]
fn an_archive_is_read_back_packed_and_unpacked() {
    let shop = Workshop::new();
    let path = opened(&shop).write_archive(shop.dir(), &amd64()).unwrap();
    let packed = Lifecycle::open(&path, &shop.scratch()).unwrap();
    archive::unpack(&path, &shop.path("unpacked")).unwrap();
    let unpacked = Lifecycle::open(&shop.path("unpacked"), &shop.scratch()).unwrap();
    let names = |it: &Lifecycle| it.files.keys().cloned().collect::<Vec<_>>();
    for lifecycle in [packed, unpacked] {
        assert_eq!(lifecycle.descriptor, Descriptor::of_this());
        assert_eq!(names(&lifecycle), names(&opened(&shop)));
    }
}

#[test]
fn an_image_has_it_in_its_last_layer() {
    let shop = Workshop::new();
    let output = Layout::at(shop.path("image"));
    write_image(&opened(&shop), &amd64(), &output, "").unwrap();
    let image = output.image(&Selector::default()).unwrap().unwrap();
    let lifecycle = Lifecycle::from_image(&image, &shop.scratch()).unwrap();
    assert_eq!(lifecycle.descriptor, Descriptor::of_this());
    let names = |it: &Lifecycle| it.files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&lifecycle), names(&opened(&shop)));
}

#[test]
fn what_is_no_lifecycle_is_refused() {
    let shop = Workshop::new();
    shop.write("toml/lifecycle.toml", "");
    shop.write("some/lifecycle.toml", "");
    for name in REQUIRED.iter().filter(|it| **it != "creator") {
        shop.write(&format!("some/x/{name}"), "");
    }
    shop.write("link/lifecycle.toml", "");
    for name in REQUIRED.iter().filter(|it| **it != "builder") {
        shop.write(&format!("link/x/{name}"), "");
    }
    std::os::unix::fs::symlink("/bin/sh", shop.path("link/x/builder")).unwrap();
    shop.write("half/lifecycle", "");
    shop.write("empty/x", "");
    shop.write("file", "x");
    shop.write("bad/lifecycle.toml", "[");
    let cases = [
        ("toml", "did not find 'detector' in it"),
        ("some", "did not find 'creator' in it"),
        ("link", "did not find 'builder' in it"),
        ("half", "did not find 'launcher' in it"),
        ("empty", "there is no lifecycle.toml at its top"),
        ("file", "failed to unpack"),
        ("bad", "failed to read lifecycle file"),
        ("absent", "absent"),
    ];
    for (name, expected) in cases {
        let error = Lifecycle::open(&shop.path(name), &shop.scratch()).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

#[test]
fn the_image_says_what_platforms_ask() {
    let shop = Workshop::new();
    let output = Layout::at(shop.path("image"));
    write_image(&opened(&shop), &amd64(), &output, "latest").unwrap();
    let image = output.image(&Selector::default()).unwrap().unwrap();
    assert_eq!(
        image.label("io.buildpacks.lifecycle.version"),
        Some(platform::version::VERSION)
    );
    let label =
        |name| -> serde_json::Value { serde_json::from_str(image.label(name).unwrap()).unwrap() };
    let buildpack = json!({
        "deprecated": [],
        "supported": ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"],
    });
    let platform = json!({
        "deprecated": [],
        "supported": ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"],
    });
    assert_eq!(
        label("io.buildpacks.lifecycle.apis"),
        json!({"buildpack": buildpack, "platform": platform})
    );
    assert_eq!(
        label("io.buildpacks.builder.metadata"),
        json!({
            "lifecycle": {"version": platform::version::VERSION},
            "api": {"buildpack": "0.7", "platform": "0.7"},
        })
    );
    assert_eq!(image.config().config.working_dir, "/layers");

    let mut tar = image
        .open_layer(image.top_layer().unwrap())
        .unwrap()
        .unwrap();
    let mut archive = tar::Archive::new(&mut tar);
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 315_532_801);
        names.push((
            String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
            header.mode().unwrap(),
        ));
    }
    for expected in [
        ("/cnb", 0o755),
        ("/cnb/lifecycle.toml", 0o644),
        ("/cnb/lifecycle", 0o755),
        ("/cnb/lifecycle/lifecycle", 0o755),
        ("/cnb/lifecycle/launcher", 0o755),
        ("/cnb/lifecycle/exporter", 0o777),
    ] {
        let (name, mode) = expected;
        let found = names
            .iter()
            .find(|(it, _)| it.trim_end_matches('/') == name);
        assert_eq!(found.map(|it| it.1), Some(mode), "{name}");
    }
}
