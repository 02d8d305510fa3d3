//! A build from end to end: what is written, what a second build reuses.

use fs_err as fs;
use serde_json::json;
use tests::build::Build;
use tests::image::{self, MANIFEST};
use tests::program::{Ran, requires_root};

#[test]
fn root_creator_makes_an_image() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let log = build.create().ok();
    for line in [
        "===> ANALYZING",
        "===> EXPORTING",
        "Adding layer 'acme/hello:greeting'",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }

    let image = image::read(&build.app_image());
    assert_eq!(image.descriptor["mediaType"], MANIFEST);
    assert_eq!(
        image.descriptor["annotations"]["org.opencontainers.image.ref.name"],
        "latest"
    );
    for layer in image.manifest["layers"].as_array().unwrap() {
        assert_eq!(
            layer["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        image::read_blob(&build.app_image(), layer);
    }
    let config = &image.config["config"];
    assert_eq!(config["Entrypoint"], json!(["/cnb/process/web"]));
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["WorkingDir"], build.path("app").to_str().unwrap());
    assert!(
        config["Env"]
            .as_array()
            .unwrap()
            .contains(&json!("BASE=yes"))
    );
    assert_eq!(image.config["created"], "1980-01-01T00:00:01Z");

    let metadata = image.label("io.buildpacks.lifecycle.metadata");
    let greeting = &metadata["buildpacks"][0]["layers"]["greeting"];
    assert_eq!(
        greeting["data"],
        json!({"number": 3}),
        "integers stay integers"
    );
    let diff_ids = image.config["rootfs"]["diff_ids"].as_array().unwrap();
    assert!(diff_ids.contains(&greeting["sha"]));
    let reference = metadata["runImage"]["reference"].as_str().unwrap();
    assert!(
        reference.ends_with(image::read(&build.run_image()).digest()),
        "{reference}"
    );
}

#[test]
fn root_report_names_digest_and_tags_in_double_quotes() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.create().ok();
    let report = fs::read_to_string(build.path("report/report.toml")).unwrap();
    let digest = image::read(&build.app_image()).digest().to_owned();
    assert!(
        report.contains(&format!("digest = \"{digest}\"")),
        "{report}"
    );
    assert!(
        report.contains(&format!("\"{}\"", build.app_image().display())),
        "{report}"
    );
}

#[test]
fn root_second_build_reuses_layers_and_cache() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    assert!(build.create().ok().contains("making a greeting"));
    let first = image::read(&build.app_image()).digest().to_owned();
    build.forget_layers();
    let log = build.create().ok();
    for line in [
        "Restoring metadata for \"acme/hello:greeting\" from app image",
        "Restoring data for \"acme/hello:greeting\" from cache",
        "reusing the greeting",
        "Reusing layer 'acme/hello:greeting'",
        "Reused 1/1 app layer(s)",
        "Reusing cache layer 'acme/hello:greeting'",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert_eq!(
        image::read(&build.app_image()).digest(),
        first,
        "nothing changed"
    );
}

#[test]
fn root_phases_by_hand_make_what_the_creator_makes() {
    if !requires_root() {
        return;
    }
    let (by_creator, by_hand) = (Build::new(), Build::new());
    by_creator.create().ok();
    by_hand.until_export();
    Ran::of(&mut by_hand.exporter()).ok();
    let (one, other) = (
        image::read(&by_creator.app_image()),
        image::read(&by_hand.app_image()),
    );
    // Paths are part of layers and labels, so only what does not name them can be the same.
    let shape = |image: &image::Written| {
        let count = |value: &serde_json::Value| value.as_array().map(Vec::len);
        (
            count(&image.manifest["layers"]),
            image.config["history"].clone(),
            image.config["config"]["Entrypoint"].clone(),
        )
    };
    assert_eq!(shape(&one), shape(&other));
}

#[test]
fn root_extra_tags_get_layouts_of_their_own() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.hand_over_report();
    Ran::of(build.creator().args(["-tag", "app:two", "app"])).ok();
    let first = image::read(&build.app_image());
    let second = image::read(&build.path("layout/index.docker.io/library/app/two"));
    assert_eq!(first.digest(), second.digest());
    assert_eq!(
        second.descriptor["annotations"]["org.opencontainers.image.ref.name"],
        "two"
    );
}

/// No phase reads project.toml: what it says of files, variables and buildpacks is for who calls the phases.
#[test]
fn root_a_project_descriptor_is_a_file_like_any_other() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.write(
        "app/project.toml",
        "[_]\nschema-version = \"9.9\"\n[io.buildpacks]\nexclude = [\"hello.txt\"]\n[[io.buildpacks.group]]\nid = \"other\"\n",
    );
    build.create().ok();
    let written = image::read(&build.app_image());
    let mut files = Vec::new();
    for layer in written.manifest["layers"].as_array().unwrap() {
        let blob = image::read_blob(&build.app_image(), layer);
        let mut tar = tar::Archive::new(flate2::read::MultiGzDecoder::new(&blob[..]));
        for entry in tar.entries().unwrap() {
            files.push(entry.unwrap().path().unwrap().display().to_string());
        }
    }
    for name in ["app/hello.txt", "app/project.toml"] {
        assert!(files.iter().any(|file| file.ends_with(name)), "{files:?}");
    }
    let labels = written.config["config"]["Labels"].as_object().unwrap();
    assert_eq!(labels["io.buildpacks.project.metadata"], "{}");
}
