//! Layouts as skopeo and crane write them, as run image and as previous image.

use std::process::Command;

use fs_err as fs;
use serde_json::Value;
use tests::build::Build;
use tests::image::{self, DOCKER_LIST, INDEX, Sample};
use tests::program::{Ran, requires, requires_root, run};

/// Writes the run image in one shape; the image for this machine is in each of them.
type Shape = fn(&std::path::Path);

fn other() -> Sample {
    let architecture = if image::this_architecture() == "amd64" {
        "arm64"
    } else {
        "amd64"
    };
    Sample {
        architecture,
        ..Sample::plain()
    }
}

fn without_media_type(mut manifest: Value) -> Value {
    manifest.as_object_mut().unwrap().remove("mediaType");
    manifest
}

const SHAPES: &[(&str, Shape)] = &[
    ("one manifest", |dir| image::plain(dir)),
    ("two manifests, ours last", |dir| {
        let manifests = [other().write(dir), Sample::plain().write(dir)];
        image::index(dir, INDEX, &manifests);
    }),
    ("flat Docker manifest list", |dir| {
        let docker = |sample: Sample| {
            Sample {
                docker: true,
                ..sample
            }
            .write(dir)
        };
        let manifests = [docker(other()), docker(Sample::plain())];
        image::index(dir, DOCKER_LIST, &manifests);
    }),
    // What `skopeo copy -a` and `crane pull --format=oci` write: the index itself is a blob.
    ("nested OCI index", |dir| nested(dir, INDEX, false)),
    ("nested Docker manifest list", |dir| {
        nested(dir, DOCKER_LIST, true);
    }),
    ("Docker media types", |dir| {
        let manifest = Sample {
            docker: true,
            ..Sample::plain()
        }
        .write(dir);
        image::index(dir, INDEX, &[manifest]);
    }),
    ("no media types in descriptors' manifests", |dir| {
        let manifest = Sample::plain().write(dir);
        let bytes = image::read_blob(dir, &without_platform(&manifest));
        let bare = without_media_type(serde_json::from_slice(&bytes).unwrap());
        let manifest = image::blob(dir, image::MANIFEST, bare.to_string().as_bytes());
        image::index(dir, INDEX, &[manifest]);
    }),
    ("one manifest for another machine", |dir| {
        let manifest = other().write(dir);
        image::index(dir, INDEX, &[manifest]);
    }),
];

fn without_platform(descriptor: &Value) -> Value {
    let mut descriptor = descriptor.clone();
    descriptor.as_object_mut().unwrap().remove("platform");
    descriptor
}

fn nested(dir: &std::path::Path, media_type: &str, docker: bool) {
    let write = |sample: Sample| Sample { docker, ..sample }.write(dir);
    let inner = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": [write(other()), write(Sample::plain())],
    });
    let descriptor = image::blob(dir, media_type, inner.to_string().as_bytes());
    image::index(dir, INDEX, &[descriptor]);
}

#[test]
fn root_every_shape_serves_as_run_image() {
    if !requires_root() {
        return;
    }
    for (name, write) in SHAPES {
        let build = Build::new();
        fs::remove_dir_all(build.run_image()).unwrap();
        write(&build.run_image());
        let ran = build.create();
        assert_eq!(ran.code, 0, "{name}: {}", ran.text);
        let image = image::read(&build.app_image());
        let wanted = if *name == "one manifest for another machine" {
            other().architecture
        } else {
            image::this_architecture()
        };
        assert_eq!(image.config["architecture"], wanted, "{name}");
        for layer in image.manifest["layers"].as_array().unwrap() {
            let media_type = layer["mediaType"].as_str().unwrap();
            assert!(
                media_type.starts_with("application/vnd.oci."),
                "{name}: {media_type}"
            );
            image::read_blob(&build.app_image(), layer);
        }
    }
}

/// What skopeo itself makes of an image for several platforms.
#[test]
fn foreign_what_skopeo_copies_serves_as_run_image() {
    if !(requires_root() && requires(&["skopeo"])) {
        return;
    }
    let build = Build::new();
    let source = build.path("source");
    nested(&source, INDEX, false);
    fs::remove_dir_all(build.run_image()).unwrap();
    let (from, to) = (
        format!("oci:{}", source.display()),
        format!("oci:{}:latest", build.run_image().display()),
    );
    run("skopeo", &["copy", "-q", "-a", &from, &to]);
    let chown = format!("{}:{}", tests::build::UID, tests::build::GID);
    Ran::of(
        Command::new("chown")
            .args(["-R", &chown])
            .arg(build.run_image()),
    )
    .ok();
    let index = fs::read_to_string(build.run_image().join("index.json")).unwrap();
    assert!(index.contains(INDEX), "the index is nested: {index}");
    build.create().ok();
    let image = image::read(&build.app_image());
    assert_eq!(image.config["architecture"], image::this_architecture());
}

/// Moves the app image into a nested index beside one for another machine.
fn nest(build: &Build, media_type: &str) {
    let dir = build.app_image();
    let mut manifest = image::read(&dir).descriptor;
    manifest["platform"] =
        serde_json::json!({"os": "linux", "architecture": image::this_architecture()});
    let inner = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type, "manifests": [other().write(&dir), manifest],
    });
    let descriptor = image::blob(&dir, media_type, inner.to_string().as_bytes());
    image::index(&dir, INDEX, &[descriptor]);
}

#[test]
fn root_every_shape_serves_as_previous_image() {
    if !requires_root() {
        return;
    }
    for media_type in [INDEX, DOCKER_LIST] {
        let build = Build::new();
        build.create().ok();
        nest(&build, media_type);
        build.forget_layers();
        let log = build.create().ok();
        assert!(
            log.contains("Reusing layer 'acme/hello:greeting'"),
            "{media_type}: {log}"
        );
    }
}

#[test]
fn root_every_shape_serves_as_new_run_image() {
    if !requires_root() {
        return;
    }
    for (name, write) in SHAPES {
        let build = Build::new();
        build.create().ok();
        fs::remove_dir_all(build.run_image()).unwrap();
        write(&build.run_image());
        let ran = Ran::of(build.rebaser().arg("app"));
        // What a single image is for is judged by the rebase itself.
        let foreign = *name == "one manifest for another machine";
        assert_eq!(
            ran.code,
            if foreign { 72 } else { 0 },
            "{name}: {}",
            ran.text
        );
        let image = image::read(&build.app_image());
        assert_eq!(image.config["architecture"], image::this_architecture());
        for layer in image.manifest["layers"].as_array().unwrap() {
            let media_type = layer["mediaType"].as_str().unwrap();
            assert!(
                media_type.starts_with("application/vnd.oci."),
                "{name}: {media_type}"
            );
            image::read_blob(&build.app_image(), layer);
        }
    }
}

#[test]
fn root_an_app_image_of_any_shape_can_be_rebased() {
    if !requires_root() {
        return;
    }
    for media_type in [INDEX, DOCKER_LIST] {
        let build = Build::new();
        build.create().ok();
        nest(&build, media_type);
        Ran::of(build.rebaser().arg("app")).ok();
        let image = image::read(&build.app_image());
        assert_eq!(
            image.descriptor["mediaType"],
            image::MANIFEST,
            "{media_type}"
        );
        assert_eq!(image.config["architecture"], image::this_architecture());
    }
}

#[test]
fn root_a_sparse_run_image_makes_a_sparse_image_and_says_so() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    fs::remove_dir_all(build.run_image()).unwrap();
    let manifest = Sample {
        sparse: true,
        ..Sample::plain()
    }
    .write(&build.run_image());
    image::index(&build.run_image(), INDEX, &[manifest]);
    let log = build.create().ok();
    assert!(log.contains("sparse"), "{log}");
    let image = image::read(&build.app_image());
    let layers = image.manifest["layers"].as_array().unwrap();
    let blob = layers[0]["digest"].as_str().unwrap().replace(':', "/");
    assert!(!build.app_image().join("blobs").join(blob).exists());
    image::read_blob(&build.app_image(), &layers[1]);
}

#[test]
fn root_without_a_match_the_error_lists_what_is_there() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    fs::remove_dir_all(build.run_image()).unwrap();
    let dir = build.run_image();
    let manifests: Vec<Value> = ["s390x", "ppc64le"]
        .into_iter()
        .map(|architecture| {
            Sample {
                architecture,
                ..Sample::plain()
            }
            .write(&dir)
        })
        .collect();
    image::index(&dir, INDEX, &manifests);
    let ran = build.create();
    assert_eq!(ran.code, 32, "{}", ran.text);
    assert!(
        ran.text.contains("s390x") && ran.text.contains("ppc64le"),
        "{}",
        ran.text
    );
}
