//! What a rebased image is made of.

use std::os::unix::fs::MetadataExt as _;

use fs_err as fs;
use serde_json::{Value, json};

use crate::kit::{Layouts, OCI, Sample, blob_of, digest, read, snapshot};

/// REB-017.
#[test]
fn the_layers_of_the_old_run_image_give_way_to_those_of_the_new() {
    for (new, expected) in [
        (&["new"][..], &["new", "app", "launcher"][..]),
        (
            &["base one", "base two", "three"],
            &["base one", "base two", "three", "app", "launcher"],
        ),
        (&["base two"], &["base two", "app", "launcher"]),
    ] {
        let layouts = Layouts::with(&Sample::app("0.12"));
        layouts.put("index.docker.io/library/run/latest", &Sample::base(new));
        let image = layouts.rebased("0.12", &[]);
        let expected: Vec<_> = expected.iter().map(|it| digest(it)).collect();
        assert_eq!(*image.diff_ids(), json!(expected));
        let layers = image.manifest["layers"].as_array().unwrap();
        let digests: Vec<_> = layers
            .iter()
            .map(|it| it["digest"].as_str().unwrap())
            .collect();
        assert_eq!(digests, expected, "these layers are their own blobs");
        for layer in &expected {
            assert!(blob_of(&layouts.app(), layer).is_file());
        }
    }
}

/// App layers are linked, so not a byte of them is written.
#[test]
fn app_layers_are_kept_byte_for_byte() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let blob = blob_of(&layouts.app(), &digest("app"));
    let before = fs::metadata(&blob).unwrap().ino();
    layouts.rebased("0.12", &[]);
    assert_eq!(fs::metadata(&blob).unwrap().ino(), before);

    layouts
        .rebase("0.12", &["-previous-image=app", "other"])
        .map_err(|it| it.error)
        .unwrap();
    let other = layouts.path("index.docker.io/library/other/latest");
    let linked = fs::metadata(blob_of(&other, &digest("app"))).unwrap();
    assert_eq!(linked.ino(), before);
    assert_eq!(fs::read(blob).unwrap(), b"app");
}

/// REB-021.
#[test]
fn what_the_app_needs_stays() {
    let app = Sample::app("0.13")
        .label("io.buildpacks.rebasable", "true")
        .label("io.buildpacks.exec-env", "test")
        .label("mine", "1");
    let layouts = Layouts::with(&app);
    let mut new = Sample::base(&["new"])
        .label("io.buildpacks.rebasable", "false")
        .label("io.buildpacks.exec-env", "other")
        .label("theirs", "1");
    new.config["config"]["Entrypoint"] = json!(["/base"]);
    new.config["config"]["WorkingDir"] = json!("/base");
    layouts.put("index.docker.io/library/run/latest", &new);
    let image = layouts.rebased("0.15", &[]);
    let config = &image.config["config"];
    assert_eq!(
        config["Env"],
        json!(["PATH=/cnb/process:/bin", "CNB_PLATFORM_API=0.13"])
    );
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["Entrypoint"], json!(["/cnb/process/web"]));
    assert_eq!(config["WorkingDir"], "/workspace");
    for (key, value) in [
        ("io.buildpacks.rebasable", Some("true")),
        ("io.buildpacks.exec-env", Some("test")),
        ("mine", Some("1")),
        ("theirs", None),
    ] {
        assert_eq!(image.label(key), value, "{key}");
    }
}

/// REB-022: variant and features are the new run image's, as the specification wants it.
#[test]
fn the_platform_is_the_new_run_image_s() {
    let platform = ["architecture", "os", "os.version", "variant", "os.features"];
    let said = |it: &Value| platform.map(|key| it[key].clone());
    let old = json!({
        "architecture": "arm64", "os": "linux", "os.version": "1", "variant": "v8", "os.features": ["old"],
        "author": "somebody", "docker_version": "20",
    });
    for new in [
        json!({"architecture": "arm64", "os": "linux", "os.version": "2", "variant": "v8", "os.features": ["new"]}),
        json!({"architecture": "arm64", "os": "linux"}),
    ] {
        let (mut app, mut run) = (Sample::app("0.12"), Sample::base(&["new"]));
        for (sample, values) in [(&mut app, &old), (&mut run, &new)] {
            for (key, value) in values.as_object().unwrap() {
                sample.config[key] = value.clone();
            }
        }
        let layouts = Layouts::with(&app);
        layouts.put("index.docker.io/library/run/latest", &run);
        let image = layouts.rebased("0.12", &[]);
        assert_eq!(said(&image.config), said(&new));
        assert_eq!(image.config.get("author"), None);
        assert_eq!(image.config.get("docker_version"), None);
    }
}

/// REB-023.
#[test]
fn history_holds_dates_alone() {
    for api in ["0.7", "0.12", "0.15"] {
        let app = Sample::app("0.12").with("history", json!([{"created_by": "x", "comment": "y"}]));
        let layouts = Layouts::with(&app);
        let variables = [
            ("SOURCE_DATE_EPOCH", "1234567890"),
            ("TZ", "America/New_York"),
        ];
        layouts
            .rebase_with(api, &["app"], &variables)
            .map_err(|it| it.error)
            .unwrap();
        let image = read(&layouts.app());
        let created = "1980-01-01T00:00:01Z";
        assert_eq!(image.config["created"], created, "{api}");
        let entry = json!({"created": created});
        assert_eq!(
            image.config["history"],
            json!([entry, entry, entry]),
            "{api}"
        );
    }
}

/// REB-024, and better: OCI whatever the images were.
#[test]
fn the_image_is_oci_s_throughout() {
    for (docker_app, docker_run) in [(false, false), (false, true), (true, false), (true, true)] {
        let (mut app, mut run) = (Sample::app("0.12"), Sample::base(&["new"]));
        (app.docker, run.docker) = (docker_app, docker_run);
        app.annotations = json!({"app": "a"});
        run.annotations = json!({"run": "r"});
        let layouts = Layouts::with(&app);
        layouts.put("index.docker.io/library/run/latest", &run);
        let image = layouts.rebased("0.12", &[]);
        let manifest = format!("{OCI}.manifest.v1+json");
        assert_eq!(image.descriptor["mediaType"], manifest);
        assert_eq!(image.manifest["mediaType"], manifest);
        assert_eq!(
            image.manifest["config"]["mediaType"],
            format!("{OCI}.config.v1+json")
        );
        for layer in image.manifest["layers"].as_array().unwrap() {
            assert_eq!(layer["mediaType"], format!("{OCI}.layer.v1.tar"));
        }
        let name = json!({"org.opencontainers.image.ref.name": "latest"});
        assert_eq!(image.manifest["annotations"], name, "old ones are dropped");
        assert_eq!(image.descriptor["annotations"], name);
    }
}

/// REB-025.
#[test]
fn the_report_names_what_was_written() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    layouts
        .rebase("0.12", &["app", "app:two"])
        .map_err(|it| it.error)
        .unwrap();
    let image = read(&layouts.app());
    let report: toml::Table =
        toml::from_str(&fs::read_to_string(layouts.report()).unwrap()).unwrap();
    assert_eq!(report.len(), 1);
    let report = report["image"].as_table().unwrap();
    let two = layouts.path("index.docker.io/library/app/two");
    let tags = [layouts.app(), two].map(|it| toml::Value::from(it.to_str().unwrap()));
    assert_eq!(report["tags"].as_array().unwrap()[..], tags);
    assert_eq!(
        report["digest"].as_str(),
        image.descriptor["digest"].as_str()
    );
    assert_eq!(
        report["manifest-size"].as_integer(),
        image.descriptor["size"].as_i64()
    );
    assert_eq!(report.len(), 3);
}

#[test]
fn rebasing_again_changes_nothing() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let first = layouts.rebased("0.12", &[]);
    let before = snapshot(&layouts.root());
    assert_eq!(layouts.rebased("0.12", &[]), first);
    let after = snapshot(&layouts.root());
    // The image before the first rebase is no longer kept for its readers.
    assert!(
        after
            .iter()
            .all(|(path, bytes)| before.get(path) == Some(bytes))
    );
}

/// The run image for what the app was built for, where a layout holds several.
#[test]
fn the_new_run_image_is_one_for_the_app_s_platform() {
    for architecture in ["amd64", "arm64", "s390x"] {
        let app = Sample::app("0.12").with("architecture", json!(architecture));
        let layouts = Layouts::with(&app);
        let place = "index.docker.io/library/run/latest";
        let manifests = ["s390x", "arm64", "amd64"].map(|architecture| {
            let layer = if architecture == "amd64" {
                "one"
            } else {
                "another"
            };
            let run = Sample::base(&[layer]).with("architecture", json!(architecture));
            let mut descriptor = layouts.image(place, &run);
            descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
            descriptor
        });
        layouts.index(place, &manifests);
        let image = layouts.rebased("0.12", &[]);
        assert_eq!(image.config["architecture"], architecture);
    }
}

/// Of several for one platform it is the one on the app's distribution, which a rebase would ask for anyway.
#[test]
fn the_new_run_image_is_one_for_the_app_s_distribution() {
    let on = |sample: Sample, version: &str| {
        let name = "io.buildpacks.base.distro.name";
        let sample = sample.label(name, "ubuntu");
        sample.label("io.buildpacks.base.distro.version", version)
    };
    for version in ["22.04", "24.04"] {
        let layouts = Layouts::with(&on(Sample::app("0.12"), version));
        let place = "index.docker.io/library/run/latest";
        let manifests = ["24.04", "22.04"].map(|version| {
            let run = on(Sample::base(&["new"]), version);
            layouts.image(place, &run)
        });
        layouts.index(place, &manifests);
        let image = layouts.rebased("0.12", &[]);
        let label = image.label("io.buildpacks.base.distro.version");
        assert_eq!(label, Some(version));
    }
}
