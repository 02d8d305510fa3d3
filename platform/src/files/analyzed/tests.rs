//! Texts come from the rules (COM-069, COM-070, EXP-076, EXP-077) in the shape that the recorded cases show.

use std::path::PathBuf;

use buildpack::target::Distro;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::log::captured;

fn record(sha: &str, data: serde_json::Value, [build, launch, cache]: [bool; 3]) -> LayerRecord {
    LayerRecord {
        sha: sha.to_owned(),
        data,
        build,
        launch,
        cache,
    }
}

fn metadata() -> LayersMetadata {
    let run = RunImageForExport {
        image: "run".to_owned(),
        mirrors: vec!["reg.example.org/run".to_owned()],
    };
    let one = BuildpackLayers {
        id: "acme/one".to_owned(),
        version: "1.0.0".to_owned(),
        layers: [
            (
                "dep",
                record(
                    "sha256:d",
                    json!({"version": "1", "deep": {"list": [1, 2]}}),
                    [false, true, false],
                ),
            ),
            ("both", record("sha256:b", json!(null), [true, true, true])),
        ]
        .map(|(name, record)| (name.to_owned(), record))
        .into(),
        store: Some(json!({"kept": "yes", "n": {"x": 1}})),
    };
    let bare = BuildpackLayers {
        id: "acme/bare".to_owned(),
        version: "2.0.0".to_owned(),
        ..BuildpackLayers::default()
    };
    LayersMetadata {
        app: vec!["sha256:a1".to_owned(), "sha256:a2".to_owned()],
        sbom: Some("sha256:s".to_owned()),
        buildpacks: vec![one, bare],
        config: "sha256:c".to_owned(),
        launcher: "sha256:l".to_owned(),
        process_types: String::new(),
        run_image: RunImageRecord {
            top_layer: "sha256:t".to_owned(),
            reference: "/layout/run@sha256:r".to_owned(),
            image: run.clone(),
        },
        stack: Some(run),
    }
}

const LABEL: &str = concat!(
    r#"{"app":[{"sha":"sha256:a1"},{"sha":"sha256:a2"}],"sbom":{"sha":"sha256:s"},"buildpacks":["#,
    r#"{"key":"acme/one","version":"1.0.0","layers":{"#,
    r#""both":{"sha":"sha256:b","data":null,"build":true,"launch":true,"cache":true},"#,
    r#""dep":{"sha":"sha256:d","data":{"deep":{"list":[1,2]},"version":"1"},"build":false,"launch":true,"cache":false}},"#,
    r#""store":{"metadata":{"kept":"yes","n":{"x":1}}}},"#,
    r#"{"key":"acme/bare","version":"2.0.0","layers":{}}],"#,
    r#""config":{"sha":"sha256:c"},"launcher":{"sha":"sha256:l"},"process-types":{"sha":""},"#,
    r#""runImage":{"topLayer":"sha256:t","reference":"/layout/run@sha256:r","image":"run","mirrors":["reg.example.org/run"]},"#,
    r#""stack":{"runImage":{"image":"run","mirrors":["reg.example.org/run"]}}}"#
);

#[test]
fn the_label_has_the_keys_of_the_reference() {
    assert_eq!(metadata().to_label(), LABEL);
    assert_eq!(LayersMetadata::from_label(LABEL).unwrap(), metadata());
}

#[test]
fn what_is_unknown_is_null_empty_or_left_out() {
    let unknown = concat!(
        r#"{"app":null,"buildpacks":null,"config":{"sha":""},"launcher":{"sha":""},"process-types":{"sha":""},"#,
        r#""runImage":{"topLayer":"","reference":""}}"#
    );
    assert_eq!(LayersMetadata::default().to_label(), unknown);
    // The exporter always records a stack, below 0.12 the run image's name is nowhere else.
    let exported = LayersMetadata {
        stack: Some(RunImageForExport::default()),
        ..LayersMetadata::default()
    };
    assert!(
        exported
            .to_label()
            .ends_with(r#","stack":{"runImage":{}}}"#)
    );
}

#[test]
fn numbers_in_the_label() {
    let data = json!({"whole": 1.0, "half": 1.5, "int": 9_007_199_254_740_993_i64});
    let buildpack = BuildpackLayers {
        layers: [("x".to_owned(), record("", data, [false; 3]))].into(),
        ..BuildpackLayers::default()
    };
    let label = LayersMetadata {
        buildpacks: vec![buildpack],
        ..LayersMetadata::default()
    }
    .to_label();
    let expected = r#""data":{"half":1.5,"int":9007199254740993,"whole":1}"#;
    assert!(label.contains(expected), "{label}");
}

#[test]
fn labels_of_old_lifecycles() {
    // What `app` was: one layer, a text, nothing. The rest counts all the same.
    for app in [r#"{"sha":"x"}"#, r#""x""#, "null", "3", "[3,{},null]"] {
        let label = format!(r#"{{"app":{app},"config":{{"sha":"c"}},"new":1}}"#);
        let found = LayersMetadata::from_label(&label).unwrap();
        assert_eq!(found.app, Vec::<String>::new(), "{app}");
        assert_eq!(found.config, "c");
    }
    let nulls =
        r#"{"config":null,"buildpacks":[{"key":"x","layers":null,"store":null}],"stack":null}"#;
    let found = LayersMetadata::from_label(nulls).unwrap();
    assert_eq!(found.buildpack("x").unwrap().store, None);
    assert_eq!(found.stack, None);
}

#[test]
fn labels_that_are_none() {
    let deep = format!(r#"{{"buildpacks":{}"#, "[".repeat(100_000));
    let table = [
        "",
        "{",
        "3",
        r#"{"config":"c"}"#,
        r#"{"buildpacks":{}}"#,
        r#"{"buildpacks":[{"layers":{"x":{"build":1}}}]}"#,
        r#"{"buildpacks":[{"layers":{"x":{"data":1e999}}}]}"#,
        &deep,
    ];
    for label in table {
        assert!(LayersMetadata::from_label(label).is_err(), "{label:.40}");
    }
}

fn analyzed() -> Analyzed {
    Analyzed {
        previous_image: Some("/layout/app@sha256:p".to_owned()),
        build_image: None,
        metadata: metadata(),
        run_image: Some(RunImage {
            reference: "/layout/run@sha256:r".to_owned(),
            image: "/layout/run".to_owned(),
            extend: false,
            target: Some(Target {
                os: "linux".to_owned(),
                arch: "amd64".to_owned(),
                distro: Some(Distro {
                    name: "ubuntu".to_owned(),
                    version: "22.04".to_owned(),
                }),
                ..Target::default()
            }),
        }),
    }
}

const FILE: &str = r#"[image]
  reference = "/layout/app@sha256:p"

[metadata]

  [[metadata.app]]
    sha = "sha256:a1"

  [[metadata.app]]
    sha = "sha256:a2"
  [metadata.sbom]
    sha = "sha256:s"

  [[metadata.buildpacks]]
    key = "acme/one"
    version = "1.0.0"
    [metadata.buildpacks.layers]
      [metadata.buildpacks.layers.both]
        sha = "sha256:b"
        build = true
        launch = true
        cache = true
      [metadata.buildpacks.layers.dep]
        sha = "sha256:d"
        build = false
        launch = true
        cache = false
        [metadata.buildpacks.layers.dep.metadata]
          version = "1"
          [metadata.buildpacks.layers.dep.metadata.deep]
            list = [1, 2]
    [metadata.buildpacks.store]
      [metadata.buildpacks.store.metadata]
        kept = "yes"
        [metadata.buildpacks.store.metadata.n]
          x = 1

  [[metadata.buildpacks]]
    key = "acme/bare"
    version = "2.0.0"
    [metadata.buildpacks.layers]
  [metadata.config]
    sha = "sha256:c"
  [metadata.launcher]
    sha = "sha256:l"
  [metadata.process-types]
    sha = ""
  [metadata.run-image]
    top-layer = "sha256:t"
    reference = "/layout/run@sha256:r"
    image = "run"
    mirrors = ["reg.example.org/run"]
  [metadata.stack]
    [metadata.stack.run-image]
      image = "run"
      mirrors = ["reg.example.org/run"]

[run-image]
  reference = "/layout/run@sha256:r"
  image = "/layout/run"
  [run-image.target]
    os = "linux"
    arch = "amd64"
    [run-image.target.distro]
      name = "ubuntu"
      version = "22.04"
"#;

/// COM-070: what the analyzer writes when it found neither image.
const NOTHING_FOUND: &str = r#"[image]
  reference = ""

[metadata]
  [metadata.config]
    sha = ""
  [metadata.launcher]
    sha = ""
  [metadata.process-types]
    sha = ""
  [metadata.run-image]
    top-layer = ""
    reference = ""

[run-image]
  reference = ""
"#;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("layers/analyzed.toml")
    }

    fn holding(text: &str) -> Self {
        let folder = Self::new();
        fs_err::create_dir(folder.0.path().join("layers")).unwrap();
        fs_err::write(folder.path(), text).unwrap();
        folder
    }
}

#[test]
fn the_file_has_the_keys_of_the_reference() {
    let nothing_found = Analyzed {
        previous_image: Some(String::new()),
        run_image: Some(RunImage::default()),
        ..Analyzed::default()
    };
    for (analyzed, text) in [(analyzed(), FILE), (nothing_found, NOTHING_FOUND)] {
        let folder = Folder::new();
        write(&folder.path(), &analyzed).unwrap();
        assert_eq!(fs_err::read_to_string(folder.path()).unwrap(), text);
        assert_eq!(read(&folder.path()).unwrap(), analyzed);
    }
}

#[test]
fn an_extended_run_image_and_a_build_image() {
    let text = concat!(
        "unknown = 1\n[build-image]\n  reference = \"b\"\n\n[run-image]\n  reference = \"r\"\n  extend = true\n",
        "  [run-image.target]\n    id = \"i\"\n    os = \"linux\"\n    arch = \"arm\"\n    arch-variant = \"v7\"\n",
    );
    let folder = Folder::holding(text);
    let found = read(&folder.path()).unwrap();
    assert_eq!(found.previous_image, None);
    assert_eq!(found.build_image.as_deref(), Some("b"));
    let run_image = found.run_image.clone().unwrap();
    assert!(run_image.extend);
    assert_eq!(run_image.target.unwrap().arch_variant, "v7");
    write(&folder.path(), &found).unwrap();
    assert_eq!(read(&folder.path()).unwrap(), found);
}

#[test]
fn a_missing_file_is_empty() {
    let path = Folder::new().path();
    let (found, log) = captured(|| read(&path).unwrap());
    assert_eq!(found, Analyzed::default());
    let expected = format!("WARN No analyzed metadata found at path {path:?}\n");
    assert_eq!(log, expected);
}

#[test]
fn errors_say_what_was_read() {
    let folder = Folder::holding("");
    let dir = folder.0.path();
    let failure = read(dir).unwrap_err();
    assert_eq!(failure.code, ExitCode::Failed);
    let expected = format!(
        "failed to read analyzed file: read {}: is a directory",
        dir.display()
    );
    assert_eq!(format!("{:#}", failure.error), expected);

    let hostile = [
        "= no".to_owned(),
        "image = 3".to_owned(),
        "[metadata]\nbuildpacks = \"x\"".to_owned(),
        "[run-image]\nextend = \"yes\"".to_owned(),
        "[metadata.config]\nsha = 99999999999999999999999999".to_owned(),
        format!("x = {}", "[".repeat(100_000)),
    ];
    for text in hostile {
        let failure = read(&Folder::holding(&text).path()).unwrap_err();
        let message = format!("{:#}", failure.error);
        assert!(
            message.starts_with("failed to read analyzed file: toml: "),
            "{message}"
        );
    }
}

#[test]
fn writing_fails_with_the_path() {
    let folder = Folder::holding("");
    let error = write(&folder.path().join("x"), &Analyzed::default()).unwrap_err();
    let path = folder.path();
    let message = format!("{error:#}");
    let expected = format!("failed to write analyzed file: mkdir {}", path.display());
    assert!(message.starts_with(&expected), "{message}");
}

/// The keys are names of Go's fields, because it logs a type that has no JSON names.
#[test]
fn the_logged_run_image() {
    let expected = concat!(
        r#"{"Reference":"/layout/run@sha256:r","Image":"/layout/run","Extend":false,"#,
        r#""target":{"os":"linux","arch":"amd64","distro":{"name":"ubuntu","version":"22.04"}}}"#
    );
    assert_eq!(run_image_line(analyzed().run_image.as_ref()), expected);
    assert_eq!(run_image_line(None), "null");
}

fn any_data() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        any::<i64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
        prop::collection::btree_map(".{0,6}", any::<i64>(), 0..4)
            .prop_map(|map| serde_json::to_value(map).unwrap()),
        Just(serde_json::Value::Null),
    ]
}

fn any_metadata() -> impl Strategy<Value = LayersMetadata> {
    let layer = (".*", any_data(), any::<[bool; 3]>())
        .prop_map(|(sha, data, flags)| record(&sha, data, flags));
    let layers = prop::collection::btree_map(".{0,6}", layer, 0..3);
    let buildpack = (".*", ".*", layers, prop::option::of(any_data())).prop_map(
        |(id, version, layers, store)| BuildpackLayers {
            id,
            version,
            layers,
            store,
        },
    );
    let run = (".*", prop::collection::vec(".*", 0..3))
        .prop_map(|(image, mirrors)| RunImageForExport { image, mirrors });
    let lists = (
        prop::collection::vec(".*", 0..3),
        prop::collection::vec(buildpack, 0..3),
    );
    let texts = (prop::option::of(".*"), ".*", ".*", ".*");
    (lists, texts, run.clone(), prop::option::of(run)).prop_map(
        |((app, buildpacks), (sbom, config, launcher, process_types), image, stack)| {
            LayersMetadata {
                app,
                sbom,
                buildpacks,
                config,
                launcher,
                process_types,
                stack,
                run_image: RunImageRecord {
                    image,
                    ..RunImageRecord::default()
                },
            }
        },
    )
}

proptest! {
    #[test]
    fn label_and_file_and_back_are_the_same(metadata in any_metadata()) {
        prop_assert_eq!(&LayersMetadata::from_label(&metadata.to_label()).unwrap(), &metadata);
        let folder = Folder::new();
        let analyzed = Analyzed { metadata, ..Analyzed::default() };
        write(&folder.path(), &analyzed).unwrap();
        prop_assert_eq!(read(&folder.path()).unwrap(), analyzed);
    }

    #[test]
    fn texts_never_panic(text in ".{0,200}") {
        LayersMetadata::from_label(&text).ok();
        read(&Folder::holding(&text).path()).ok();
    }
}
