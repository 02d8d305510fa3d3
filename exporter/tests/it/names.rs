//! Where the image goes, and what `report.toml` says of it.

use fs_err as fs;
use layout::manifest::Descriptor;

use crate::kit::{Build, image_at};

fn index_entry(path: &std::path::Path) -> Descriptor {
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(path.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
    serde_json::from_value(index["manifests"][0].clone()).unwrap()
}

#[test]
fn every_name_gets_a_path_of_its_own() {
    let mut build = Build::new();
    build.flags.additional_names = ["app:second", "other/app:1", "app:latest"]
        .map(str::to_owned)
        .to_vec();
    let image = build.export().unwrap();
    let hub = "images/index.docker.io";
    let places = [
        ("library/app/latest", "latest"),
        ("library/app/second", "second"),
        ("other/app/1", "1"),
    ];
    for (place, tag) in places {
        let path = build.path(&format!("{hub}/{place}"));
        assert_eq!(image_at(&path).digest(), image.digest(), "{place}");
        let entry = index_entry(&path);
        assert_eq!(entry.annotations["org.opencontainers.image.ref.name"], tag);
    }
    let report = build.report();
    let tags = report["image"]["tags"].as_array().unwrap();
    let tags: Vec<_> = tags.iter().filter_map(toml::Value::as_str).collect();
    let at = |place: &str| build.path(&format!("{hub}/{place}")).display().to_string();
    let first = at("library/app/latest");
    let expected = [
        first.clone(),
        at("library/app/second"),
        at("other/app/1"),
        first,
    ];
    assert_eq!(tags, expected);
    assert_eq!(
        report["image"]["digest"].as_str(),
        Some(&*image.digest().to_string())
    );
    let size = index_entry(&build.output()).size;
    assert_eq!(
        report["image"]["manifest-size"].as_integer(),
        i64::try_from(size).ok()
    );
}

#[test]
fn names_that_cannot_be_saved_leave_the_others() {
    let mut build = Build::new();
    build.flags.additional_names = ["app:bad", "app:good"].map(str::to_owned).to_vec();
    build.write(
        "images/index.docker.io/library/app/bad",
        "a file in the way",
    );
    let failure = build.export().unwrap_err();
    assert_eq!(failure.code, platform::ExitCode::Export);
    assert!(format!("{:#}", failure.error).contains("library/app/bad"));
    image_at(&build.output());
    image_at(&build.path("images/index.docker.io/library/app/good"));
    assert!(!build.flags.report_path.exists());
}
