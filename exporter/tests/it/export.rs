//! What an image is made of, and what is reused.

use std::os::unix::fs::MetadataExt as _;

use fs_err as fs;
use oci_spec::image::MediaType;
use platform::PlatformApi;

use crate::kit::{Build, blob_of, metadata_of, snapshot};

fn history(image: &layout::Image) -> Vec<&str> {
    let entries = image.config().history.iter();
    entries.map(|entry| entry.created_by.as_str()).collect()
}

#[test]
fn layers_stand_in_their_order() {
    let build = Build::new();
    build.write("layers/sbom/launch/sbom.legacy.json", "null");
    build.layer("also", "launch = true\nbuild = true", &[("f", "1")]);
    build.layer("not", "build = true\ncache = true", &[("f", "1")]);
    let image = build.export().unwrap();
    assert_eq!(
        history(&image),
        [
            "",
            "Layer: 'also', Created by buildpack: acme/one@1.0.0",
            "Layer: 'dep', Created by buildpack: acme/one@1.0.0",
            "Software Bill-of-Materials",
            "Application Layer",
            "Buildpacks Application Launcher",
            "Buildpacks Launcher Config",
            "Buildpacks Process Types",
        ]
    );
    let layers = &image.manifest().layers;
    assert!(
        layers
            .iter()
            .all(|layer| layer.media_type == MediaType::ImageLayerGzip)
    );
    let record = metadata_of(&image);
    let shas = [
        &record.buildpacks[0].layers["also"].sha,
        &record.buildpacks[0].layers["dep"].sha,
        record.sbom.as_ref().unwrap(),
        &record.app[0],
        &record.launcher,
        &record.config,
        &record.process_types,
    ];
    let diff_ids: Vec<_> = image.diff_ids().iter().map(ToString::to_string).collect();
    assert_eq!(diff_ids[1..].iter().collect::<Vec<_>>(), shas);
    assert_eq!(record.run_image.top_layer, diff_ids[0]);
    let run_image = build.analyzed.run_image.as_ref().unwrap();
    assert_eq!(record.run_image.reference, run_image.reference);
}

#[test]
fn without_processes_there_is_no_layer_of_links() {
    let build = Build::new();
    for processes in ["", "processes = []\n"] {
        build.write("layers/config/metadata.toml", processes);
        let image = build.export().unwrap();
        assert_eq!(history(&image).last(), Some(&"Buildpacks Launcher Config"));
        assert_eq!(metadata_of(&image).process_types, "");
    }
}

#[test]
fn an_unchanged_build_changes_nothing() {
    let mut build = Build::new();
    let first = build.export().unwrap();
    let output = build.output();
    let inodes = || -> Vec<u64> {
        let blobs = first.diff_ids().iter().map(ToString::to_string);
        let blobs = blobs.map(|diff_id| blob_of(&output, &first, &diff_id));
        blobs
            .map(|blob| fs::metadata(blob).unwrap().ino())
            .collect()
    };
    let before = (snapshot(&build.path("images")), inodes());
    build.analyze(&output);
    let second = build.export().unwrap();
    assert_eq!(first.digest(), second.digest());
    // Layers are not even written again.
    assert_eq!(before, (snapshot(&build.path("images")), inodes()));
}

#[test]
fn the_same_files_in_another_order_give_the_same_digest() {
    let mut build = Build::new();
    let names = ["z", "a-b", "a/b", "ä", "m"];
    for name in names {
        build.write(&format!("app/{name}"), name);
    }
    let first = build.export().unwrap();
    for name in names {
        fs::remove_file(build.path(&format!("app/{name}"))).unwrap();
    }
    for name in names.iter().rev() {
        build.write(&format!("app/{name}"), name);
    }
    fs::remove_dir_all(build.output()).unwrap();
    build.flags.parallel = true;
    assert_eq!(first.digest(), build.export().unwrap().digest());
}

#[test]
fn only_what_changed_is_written() {
    let mut build = Build::new();
    let first = build.export().unwrap();
    let output = build.output();
    build.analyze(&output);
    build.write("app/main.sh", "echo changed");
    let second = build.export().unwrap();
    let (before, after) = (metadata_of(&first), metadata_of(&second));
    assert_ne!(before.app, after.app);
    assert_eq!(before.launcher, after.launcher);
    assert_eq!(before.buildpacks, after.buildpacks);
    let dep = &after.buildpacks[0].layers["dep"].sha;
    assert_eq!(
        blob_of(&output, &first, dep),
        blob_of(&output, &second, dep)
    );
}

#[test]
fn a_layer_without_contents_is_the_previous_image_s() {
    let mut build = Build::new();
    let first = build.export().unwrap();
    let output = build.output();
    build.analyze(&output);
    fs::remove_dir_all(build.path("layers/acme_one/dep")).unwrap();
    // Into another layout: the blob comes along.
    build.flags.output_image = "other:v2".to_owned();
    build.try_export(None).unwrap();
    let other = build.path("images/index.docker.io/library/other/v2");
    let second = crate::kit::image_at(&other);
    let dep = &metadata_of(&second).buildpacks[0].layers["dep"].sha;
    assert_eq!(*dep, metadata_of(&first).buildpacks[0].layers["dep"].sha);
    assert!(blob_of(&other, &second, dep).is_file());
}

#[test]
fn a_sparse_run_image_gives_a_sparse_image() {
    let build = Build::new();
    let run_image = crate::kit::image_at(&build.run_image());
    let base = run_image.diff_ids()[0].to_string();
    fs::remove_file(blob_of(&build.run_image(), &run_image, &base)).unwrap();
    let image = build.export().unwrap();
    assert_eq!(image.diff_ids()[0].to_string(), base);
    assert!(!blob_of(&build.output(), &image, &base).exists());
    let app = &metadata_of(&image).app[0];
    assert!(blob_of(&build.output(), &image, app).is_file());
}

#[test]
fn the_date_of_the_image_can_be_set_from_0_9_on() {
    for (api, expected) in [("0.8", "1980-01-01T00:00:01Z"), ("0.9", "2009-02-13T")] {
        let mut build = Build::new();
        build.api = PlatformApi::negotiate(Some(api)).unwrap();
        build.flags.source_date_epoch = Some("1234567890".to_owned());
        let image = build.export().unwrap();
        let created = image.config().created.clone().unwrap();
        assert!(created.starts_with(expected), "{api}: {created}");
        assert!(
            image
                .config()
                .history
                .iter()
                .all(|entry| entry.created.as_ref() == Some(&created))
        );
    }
}

#[test]
fn the_report_holds_the_build_bom_below_0_9() {
    let mut build = Build::new();
    build.write("layers/acme_one/build.toml", "[[bom]]\nname = \"gcc\"\n");
    for (api, expected) in [("0.8", true), ("0.9", false)] {
        build.api = PlatformApi::negotiate(Some(api)).unwrap();
        build.export().unwrap();
        let report = build.report();
        assert_eq!(report.contains_key("build"), expected, "{api}");
        if expected {
            let entry = &report["build"]["bom"][0];
            assert_eq!(entry["name"].as_str(), Some("gcc"));
            assert_eq!(entry["buildpack"]["id"].as_str(), Some("acme/one"));
        }
    }
}
