use layout::editor::CommitOptions;
use layout::manifest::Platform;
use layout::{ImageEditor, Layout, Selector};

use super::*;

/// The label of a builder that pack 0.40 made, shortened.
const PACKS: &str = r#"{"description":"Small","buildpacks":[{"id":"samples/hello","version":"0.0.1","homepage":"https://example.com"}],"extensions":null,"stack":{"runImage":{"image":"run","mirrors":null}},"lifecycle":{"version":"0.20.1","api":{"buildpack":"0.7","platform":"0.7"},"apis":{"buildpack":{"deprecated":[],"supported":["0.7","0.11"]},"platform":{"deprecated":["0.6"],"supported":["0.7","0.14"]}}},"createdBy":{"name":"Pack CLI","version":"0.40.0"},"images":[{"image":"run","mirrors":["mirror/run"]},{"image":"other","mirrors":null}]}"#;

fn image(labels: &[(&str, &str)], env: &[&str]) -> Image {
    let dir = tempfile::tempdir().unwrap();
    let place = Layout::at(dir.path());
    let mut editor = ImageEditor::empty(&Platform::host());
    let config = &mut editor.config_mut().config;
    for (name, text) in labels {
        config.labels.insert((*name).to_owned(), (*text).to_owned());
    }
    config.env = env.iter().map(|&it| it.to_owned()).collect();
    editor
        .commit(place.update().unwrap(), &CommitOptions::default())
        .unwrap();
    place.image(&Selector::default()).unwrap().unwrap()
}

const IDS: &[&str] = &["CNB_USER_ID=1001", "CNB_GROUP_ID=1002"];

#[test]
fn a_builder_of_packs_is_understood() {
    let labels = [
        (labels::BUILDER_METADATA, PACKS),
        (
            labels::ORDER,
            r#"[{"group":[{"id":"samples/hello","optional":true}]}]"#,
        ),
        (labels::ORDER_EXTENSIONS, "null"),
        (
            labels::SYSTEM,
            r#"{"pre":{"buildpacks":[{"id":"a","version":"1"}]},"post":{}}"#,
        ),
        (STACK_ID, "stack"),
        (MIXINS, r#"["m"]"#),
        (
            labels::BUILDPACK_LAYERS,
            r#"{"samples/hello":{"0.0.1":{"api":"0.10","stacks":null,"layerDiffID":"sha256:37ab46923c181aa5fb27c9a23479a38aec2679237f35a0ea4115e5ae81a17bba"}}}"#,
        ),
    ];
    let builder = Builder::read(&image(&labels, IDS)).unwrap();
    assert_eq!((builder.uid, builder.gid), (1001, 1002));
    assert_eq!(builder.description, "Small");
    assert_eq!(builder.buildpacks[0].label(), "samples/hello@0.0.1");
    assert_eq!(builder.extensions, []);
    assert!(builder.order[0].group[0].optional);
    assert_eq!(builder.order_extensions, []);
    assert_eq!(builder.system.pre.buildpacks[0].label(), "a@1");
    assert_eq!(
        builder.buildpack_layers["samples/hello"]["0.0.1"].api,
        "0.10"
    );
    let images: Vec<_> = builder.run_images.iter().map(|it| &*it.image).collect();
    assert_eq!(images, ["run", "other"]);
    assert_eq!(builder.run_images[0].mirrors, ["mirror/run"]);
    assert_eq!(builder.lifecycle_version, "0.20.1");
    assert_eq!(builder.platform_apis.deprecated, ["0.6"]);
    assert_eq!(builder.buildpack_apis.supported, ["0.7", "0.11"]);
    assert_eq!(builder.created_by.name, "Pack CLI");
    assert_eq!(
        (&*builder.stack_id, &*builder.mixins),
        ("stack", &["m".to_owned()][..])
    );
}

#[test]
fn builders_of_old_name_one_run_image_and_one_api() {
    let text = r#"{"stack":{"runImage":{"image":"run","mirrors":["m"]}},"lifecycle":{"version":"0.5.0","api":{"buildpack":"0.2","platform":"0.1"}}}"#;
    let builder = Builder::read(&image(&[(labels::BUILDER_METADATA, text)], IDS)).unwrap();
    assert_eq!(builder.run_images[0].image, "run");
    assert_eq!(builder.run_images[0].mirrors, ["m"]);
    assert_eq!(builder.platform_apis.supported, ["0.1"]);
    assert_eq!(builder.buildpack_apis.supported, ["0.2"]);
}

#[test]
fn what_is_no_builder_says_so() {
    let good = (labels::BUILDER_METADATA, PACKS);
    let cases: [(&[_], &[_], &str); 8] = [
        (
            &[],
            IDS,
            "no label io.buildpacks.builder.metadata, so it is probably no builder",
        ),
        (
            &[(labels::BUILDER_METADATA, "")],
            IDS,
            "no label io.buildpacks.builder.metadata",
        ),
        (
            &[(labels::BUILDER_METADATA, "[")],
            IDS,
            "failed to read label io.buildpacks.builder.metadata",
        ),
        (
            &[good, (labels::ORDER, "{}")],
            IDS,
            "failed to read label io.buildpacks.buildpack.order",
        ),
        (
            &[good],
            &["CNB_USER_ID=1"],
            "it has no variable CNB_GROUP_ID",
        ),
        (
            &[good],
            &["CNB_GROUP_ID=1", "CNB_USER_ID="],
            "it has no variable CNB_USER_ID",
        ),
        (
            &[good],
            &["CNB_GROUP_ID=1", "CNB_USER_ID=cnb"],
            "its variable CNB_USER_ID is \"cnb\", not a number",
        ),
        (
            &[good],
            &["CNB_GROUP_ID=-1", "CNB_USER_ID=1"],
            "its variable CNB_GROUP_ID is \"-1\", not a number",
        ),
    ];
    for (labels, env, expected) in cases {
        let error = Builder::read(&image(labels, env)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
