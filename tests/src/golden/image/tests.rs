use std::collections::HashSet;

use super::*;
use crate::golden::fixture::{Fixture, Spec};
use crate::image::blob;

fn spec() -> Spec {
    Spec::default()
}

#[test]
fn the_images_of_cases_are_those_of_the_recordings() {
    // As analyzed.toml of recorded cases has it.
    let recorded = "sha256:89e090d467631ad9aa82b8230076cb5dd7b93ae12a4480ee05d3e9ff72c8bafc";
    let spec = spec();
    let fixture = Fixture::new(&spec);
    let manifests: Vec<_> = fixture.manifests().collect();
    assert_eq!(manifests, [("linux/amd64", recorded)]);
}

#[test]
fn a_whole_image_has_no_problems() {
    let dir = tempfile::tempdir().unwrap();
    let spec = spec();
    Fixture::new(&spec).write(dir.path());
    let shown = show_layout(dir.path(), &Symbols::new(HashSet::new()));
    let image = &shown["manifests"][0]["image"];
    assert_eq!(image["problems"], Value::Null, "{image}");
    assert_eq!(image["config"]["config"]["Env"][1], "BASE=run");
    assert_eq!(
        image["layers"][1]["listing"],
        json!([
            "5 0755 0:0 0 946684800 opt/",
            "0 0644 0:0 15 946684800 opt/run-base sha=b0de235c9f3d6baf",
            "2 0777 0:0 0 946684800 opt/link -> run-base",
            "end-of-archive bytes: 1024",
        ])
    );
}

#[test]
fn what_is_wrong_with_an_image_is_said() {
    type Spoil = fn(&mut Value, &mut Value);
    let cases: [(&str, Spoil); 4] = [
        ("layer 0: size or digest is wrong", |manifest, _| {
            manifest["layers"][0]["size"] = 1.into();
        }),
        (
            "layer 0: compression does not fit its media type",
            |manifest, _| {
                manifest["layers"][0]["mediaType"] =
                    "application/vnd.oci.image.layer.v1.tar".into();
            },
        ),
        ("1 diff_ids but 2 layers", |_, config| {
            config["rootfs"]["diff_ids"].as_array_mut().unwrap().pop();
        }),
        ("3 non-empty history entries but 2 layers", |_, config| {
            config["history"][1]["empty_layer"] = false.into();
        }),
    ];
    for (problem, spoil) in cases {
        let dir = tempfile::tempdir().unwrap();
        let spec = spec();
        Fixture::new(&spec).write(dir.path());
        let index = read_json(&dir.path().join("index.json")).unwrap();
        let mut blobs = blobs_of(dir.path());
        let mut read = |digest: &Value| parsed(&blobs(text(digest)).unwrap()).unwrap();
        let mut manifest = read(&index["manifests"][0]["digest"]);
        let mut config = read(&manifest["config"]["digest"]);
        spoil(&mut manifest, &mut config);
        manifest["config"] = blob(dir.path(), "x", config.to_string().as_bytes());
        let spoilt = blob(dir.path(), "x", manifest.to_string().as_bytes());
        let symbols = Symbols::new(HashSet::new());
        let shown = show(text(&spoilt["digest"]), &mut blobs_of(dir.path()), &symbols);
        let problems = shown["problems"].to_string();
        assert!(problems.contains(problem), "{problem}: {problems}");
    }
}

#[test]
fn labels_of_json_are_parsed_and_versions_hidden() {
    let label =
        r#"{"launcher":{"version":"1","source":{"git":{"repository":"r","commit":"c"}}},"n":1}"#;
    let config = json!({"config": {"Labels": {BUILD_METADATA: label, "a": "{no", "b": ""}}});
    let shown = show_config(config, &Symbols::new(HashSet::new()));
    let git = json!({"repository": "<repository>", "commit": "<commit>"});
    let launcher = json!({"version": "<version>", "source": {"git": git}});
    assert_eq!(
        shown["config"]["Labels"],
        json!({
            BUILD_METADATA: {"is": "JSON", "json": {"launcher": launcher, "n": 1}},
            "a": "{no",
            "b": "(empty)",
        })
    );
    assert_eq!(
        shown["labels_raw"],
        json!({BUILD_METADATA: r#"{"launcher":"<launcher>","n":1}"#})
    );
}
