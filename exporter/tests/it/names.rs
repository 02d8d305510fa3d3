//! Where the image goes, and what `report.toml` says of it.

use fs_err as fs;
use layout::manifest::Descriptor;

use crate::kit::{Build, image_at};
use crate::log::logged;

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
    build.flags.additional_names = ["app:bad", "app:good", "app:worse"]
        .map(str::to_owned)
        .to_vec();
    let at = |tag: &str| build.path(&format!("images/index.docker.io/library/app/{tag}"));
    for tag in ["bad", "worse"] {
        fs::write(at(tag), "a file in the way").unwrap_or_else(|_| {
            fs::create_dir_all(at(tag).parent().unwrap()).unwrap();
            fs::write(at(tag), "a file in the way").unwrap();
        });
    }
    let (result, log) = logged(|| build.export());
    let failure = result.unwrap_err();
    assert_eq!(failure.code, platform::ExitCode::Export);
    let text = format!("{:#}", failure.error);
    let begin = format!(
        "failed to export: failed to write image to the following tags: [{}: ",
        at("bad").display()
    );
    assert!(text.starts_with(&begin), "{text}");
    assert!(text.contains(&format!(",[{}: ", at("worse").display())));
    assert!(!text.contains("app/good"), "{text}");
    image_at(&build.output());
    image_at(&at("good"));
    assert!(!build.flags.report_path.exists());

    let (latest, good) = (build.output(), at("good"));
    assert!(log.contains(&format!("INFO       {}\n", latest.display())));
    assert!(log.contains(&format!("INFO       {}\n", good.display())));
    for tag in ["bad", "worse"] {
        let line = format!("INFO       {} - ", at(tag).display());
        assert!(log.contains(&line), "{log}");
    }
}

#[test]
fn saving_says_what_becomes_of_each_name() {
    let mut build = Build::new();
    build.flags.additional_names = vec!["app:second".to_owned()];
    let (image, log) = logged(|| build.export().unwrap());
    let first = build.output().display().to_string();
    let second = first.replace("latest", "second");
    let (digest, size) = (image.digest(), image.manifest_size());
    let expected = format!(
        "INFO Saving {first}...\nINFO *** Images ({first}@{digest}):\nINFO       {first}\nINFO       {second}\nDEBUG \n*** Manifest Size: {size}\n"
    );
    assert!(log.contains(&expected), "{expected}\n{log}");
    assert!(log.contains(&format!("INFO Using app image: {first}\n")));
}

#[test]
fn a_report_that_cannot_be_written_is_an_error() {
    let mut build = Build::new();
    build.flags.report_path = build.path("launcher/report.toml");
    let failure = build.export().unwrap_err();
    assert_eq!(failure.code, platform::ExitCode::Export);
    let text = format!("{:#}", failure.error);
    let expected = "failed to write export report: failed to write report file: ";
    assert!(text.starts_with(expected), "{text}");
}
