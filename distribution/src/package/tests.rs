use std::collections::BTreeMap;
use std::process::Command;

use fs_err as fs;
use layout::editor::CommitOptions;
use layout::layer::{Entry as TarEntry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor};

use super::*;
use crate::fixtures::Workshop;
use crate::labels::PackageMetadata;

const NO_LABELS: &BTreeMap<String, String> = &BTreeMap::new();

fn creation<'a>(shop: &'a Workshop, config: &'a Config, scratch: &'a Path) -> Creation<'a> {
    Creation {
        config,
        sources: shop.sources(scratch),
        flatten: None,
        labels: NO_LABELS,
    }
}

fn names(package: &Package) -> Vec<String> {
    package.modules.iter().map(Module::label).collect()
}

fn open_in(shop: &Workshop, location: &str) -> Result<Package, Error> {
    open(location, shop.sources(&shop.scratch()))
}

fn create_in(creation: &Creation<'_>, output: &Layout) -> Result<(), CreateError> {
    create(creation, || Ok(output.update()?.into()), "latest").map(|_| ())
}

/// A layout of an image with these labels and one layer of files and links; `DIFF` in a label is its diffID.
fn image(shop: &Workshop, labels: &[(&str, &str)], entries: &[(&str, &str)]) -> String {
    let place = Layout::at(shop.path("image"));
    let mut update = place.update().unwrap();
    let entry = |(number, (name, text)): (usize, &(&str, &str))| TarEntry {
        name: Path::new(name).into(),
        mode: 0o644,
        uid: 0,
        gid: 0,
        kind: match text.strip_prefix("-> ") {
            Some(target) => EntryKind::Symlink {
                target: target.into(),
            },
            None => EntryKind::File {
                source: shop.write(&format!("files/{number}"), text).into(),
                size: text.len() as u64,
            },
        },
    };
    let layer = Layer {
        entries: entries.iter().enumerate().map(entry).collect(),
    };
    let layer = update
        .write_layer(&layer, &WriteOptions::default(), None)
        .unwrap();
    let mut editor = ImageEditor::empty(&Platform::host());
    editor.append(&layer, History::default());
    for (name, text) in labels {
        let text = text.replace("DIFF", &layer.diff_id.to_string());
        editor
            .config_mut()
            .config
            .labels
            .insert((*name).to_owned(), text);
    }
    editor.commit(update, &CommitOptions::default()).unwrap();
    "oci:image".to_owned()
}

#[test]
fn a_folder_is_a_package_of_one() {
    let shop = Workshop::new();
    let dir = shop.buildpack("bp", "acme/one", "1", "");
    let package = open_in(&shop, "bp").unwrap();
    assert_eq!(package.entry, Some(("acme/one".to_owned(), "1".to_owned())));
    assert_eq!(package.entry_module().unwrap().dir, dir);
    let uri = format!("file://{}", dir.display());
    assert_eq!(names(&open_in(&shop, &uri).unwrap()), ["acme/one@1"]);
}

#[test]
fn tars_of_a_folder_are_unpacked() {
    let shop = Workshop::new();
    shop.buildpack("bp", "acme/one", "1", "");
    for (name, flags) in [("a.tgz", "-czf"), ("a.tar", "-cf"), ("a.weird", "-czf")] {
        let tar = Command::new("tar")
            .current_dir(shop.path("bp"))
            .args([flags, &format!("../{name}"), "."])
            .status();
        assert!(tar.unwrap().success());
        let package = open_in(&shop, name).unwrap();
        assert_eq!(names(&package), ["acme/one@1"], "{name}");
        let dir = &package.modules[0].dir;
        assert!(dir.starts_with(shop.scratch()), "{}", dir.display());
        assert!(dir.join("bin/build").is_file());
    }
}

#[test]
fn a_package_comes_back_as_it_was_made() {
    let shop = Workshop::new();
    let (config, scratch) = (shop.composite(), shop.scratch());
    let creation = creation(&shop, &config, &scratch);
    create_in(&creation, &Layout::at(shop.path("image"))).unwrap();
    create_file(&creation, &shop.path("all.cnb")).unwrap();
    for location in ["oci:image", "oci:image:latest", "image", "all.cnb"] {
        let package = open_in(&shop, location).unwrap();
        assert_eq!(
            names(&package),
            ["acme/all@0.3", "acme/one@1", "acme/two@2"],
            "{location}"
        );
        let all = package.entry_module().unwrap();
        assert!(all.order[0].group[1].optional);
        let one = &package.modules[1].dir;
        assert!(
            one.ends_with("cnb/buildpacks/acme_one/1"),
            "{}",
            one.display()
        );
        let build = fs::read_to_string(one.join("bin/build")).unwrap();
        assert_eq!(build, "#!/bin/sh\necho acme/one\n");
    }
}

#[test]
fn an_image_is_opened_by_its_name() {
    let shop = Workshop::new();
    let (config, scratch) = (shop.composite(), shop.scratch());
    let output = Layout::at(shop.path("images/acme/all"));
    create_in(&creation(&shop, &config, &scratch), &output).unwrap();
    // Without a host it could be a name of a buildpack registry, but that it is here.
    for location in ["docker://acme/all", "acme/all"] {
        let package = open_in(&shop, location).unwrap();
        let expected = ["acme/all@0.3", "acme/one@1", "acme/two@2"];
        assert_eq!(names(&package), expected, "{location}");
    }
    let text = "[buildpack]\nuri = \"outer\"\n[[dependencies]]\nimage = \"acme/all\"\n";
    let order = "[[order]]\n[[order.group]]\nid = \"acme/all\"\nversion = \"0.3\"\n";
    shop.buildpack("outer", "acme/outer", "1", order);
    let config = Config::read(&shop.write("outer.toml", text)).unwrap();
    create_file(&creation(&shop, &config, &scratch), &shop.path("outer.cnb")).unwrap();
    let package = open_in(&shop, "outer.cnb").unwrap();
    assert_eq!(package.modules.len(), 4);
}

#[test]
fn labels_say_what_a_package_holds() {
    let shop = Workshop::new();
    let (config, scratch) = (shop.composite(), shop.scratch());
    let output = Layout::at(shop.path("image"));
    create_in(&creation(&shop, &config, &scratch), &output).unwrap();
    let image = output.image(&Selector::default()).unwrap().unwrap();
    let metadata = image.label("io.buildpacks.buildpackage.metadata").unwrap();
    assert_eq!(
        metadata,
        r#"{"id":"acme/all","name":"acme/all","version":"0.3","stacks":[{"id":"*"}]}"#
    );
    let layers: serde_json::Value =
        serde_json::from_str(image.label("io.buildpacks.buildpack.layers").unwrap()).unwrap();
    let diff_ids: Vec<_> = image.diff_ids().iter().map(ToString::to_string).collect();
    assert_eq!(
        layers,
        serde_json::json!({
            "acme/all": {"0.3": {
                "api": "0.10",
                "order": [{"group": [
                    {"id": "acme/one", "version": "1"},
                    {"id": "acme/two", "version": "2", "optional": true},
                ]}],
                "layerDiffID": diff_ids[0],
                "name": "acme/all",
            }},
            "acme/one": {"1": {"api": "0.10", "layerDiffID": diff_ids[1], "name": "acme/one"}},
            "acme/two": {"2": {
                "api": "0.10", "stacks": [{"id": "*"}], "layerDiffID": diff_ids[2], "name": "acme/two",
            }},
        })
    );
    assert_eq!(image.label("io.buildpacks.buildpack.metadata"), None);
    assert_eq!(image.label("io.buildpacks.distribution.api"), None);
    let platform = image.config().platform();
    assert_eq!((&*platform.os, &*platform.architecture), ("linux", "amd64"));
}

#[test]
fn a_flattened_package_has_its_modules_in_one_layer() {
    let shop = Workshop::new();
    let (config, scratch) = (shop.composite(), shop.scratch());
    let exclude = ["acme/all@0.3".to_owned()];
    for (exclude, layers) in [(&[][..], 1), (&exclude[..], 2)] {
        let output = Layout::at(shop.path(&format!("image-{layers}")));
        let creation = Creation {
            flatten: Some(exclude),
            ..creation(&shop, &config, &scratch)
        };
        create_in(&creation, &output).unwrap();
        let image = output.image(&Selector::default()).unwrap().unwrap();
        assert_eq!(image.diff_ids().len(), layers);
        let package = from_image(&image, &scratch).unwrap();
        assert_eq!(
            names(&package),
            ["acme/all@0.3", "acme/one@1", "acme/two@2"]
        );
        let of: Layers = labels::parse(image.label(labels::BUILDPACK_LAYERS).unwrap()).unwrap();
        let shared = &of["acme/one"]["1"].layer_diff_id;
        assert_eq!(shared, &of["acme/two"]["2"].layer_diff_id);
    }
}

#[test]
fn an_extension_is_a_package_with_labels_of_its_own() {
    let shop = Workshop::new();
    shop.extension("ext", "acme/ext", "1");
    let text = "[extension]\nuri = \"ext\"\n";
    let config = Config::read(&shop.write("package.toml", text)).unwrap();
    let scratch = shop.scratch();
    let output = Layout::at(shop.path("image"));
    create_in(&creation(&shop, &config, &scratch), &output).unwrap();
    let image = output.image(&Selector::default()).unwrap().unwrap();
    assert!(image.label("io.buildpacks.extension.layers").is_some());
    assert_eq!(image.label("io.buildpacks.buildpack.layers"), None);
    let package = from_image(&image, &scratch).unwrap();
    assert_eq!(package.modules[0].kind, Kind::Extension);
    assert_eq!(package.entry, Some(("acme/ext".to_owned(), "1".to_owned())));
}

#[test]
fn the_same_package_has_the_same_bytes() {
    let shop = Workshop::new();
    let (config, scratch) = (shop.composite(), shop.scratch());
    let creation = creation(&shop, &config, &scratch);
    create_file(&creation, &shop.path("first.cnb")).unwrap();
    let other = Workshop::new();
    let config = other.composite();
    let touched = other.path("one/bin/build");
    fs::set_permissions(touched, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let scratch = other.scratch();
    let creation = self::creation(&other, &config, &scratch);
    create_file(&creation, &other.path("second.cnb")).unwrap();
    let first = fs::read(shop.path("first.cnb")).unwrap();
    assert!(first == fs::read(other.path("second.cnb")).unwrap());

    // DST-001: a tar that is not compressed, of a layout.
    let mut tar = tar::Archive::new(first.as_slice());
    let entries = tar.entries().unwrap().map(Result::unwrap);
    let names: Vec<_> = entries
        .map(|it| it.path().unwrap().display().to_string())
        .filter(|it| !it.starts_with("blobs/"))
        .collect();
    assert_eq!(names, ["blobs", "index.json", "oci-layout"]);
}

#[test]
fn packages_that_do_not_fit_together_are_refused() {
    let order = "[[order]]\n[[order.group]]\nid = \"acme/one\"\n";
    let cases = [
        (
            "[[dependencies]]\nuri = \"one\"",
            "buildpack acme/one@1 is not used by buildpack acme/main@1",
        ),
        ("", ""),
        ("[extension]\nuri = \"main\"", "not both"),
        (
            "[[dependencies]]\nuri = \"ext\"",
            "extension acme/ext@1 cannot be in the package of a buildpack",
        ),
        (
            "[[dependencies]]\nuri = \"one\"\nimage = \"x\"",
            "both uri and image",
        ),
        ("[[dependencies]]\nimage = \"x\"", "nobody has an image x"),
        ("[[dependencies]]", "a dependency has no uri"),
        ("[[dependencys]]", "unknown field `dependencys`"),
        (
            "[platform]\nos = \"windows\"",
            "packages for windows cannot be made",
        ),
    ];
    let shop = Workshop::new();
    shop.buildpack("main", "acme/main", "1", "");
    shop.buildpack("one", "acme/one", "1", "");
    shop.buildpack("no-version", "acme/all", "1", order);
    shop.buildpack(
        "absent",
        "acme/all",
        "1",
        &format!("{order}version = \"7\"\n"),
    );
    shop.buildpack("a", "a", "1", "[[stacks]]\nid = \"a\"\n");
    shop.buildpack("b", "b", "1", "[[stacks]]\nid = \"b\"\n");
    shop.buildpack(
        "ab",
        "ab",
        "1",
        "[[order]]\ngroup = [{id = \"a\", version = \"1\"}, {id = \"b\", version = \"1\"}]",
    );
    shop.extension("ext", "acme/ext", "1");
    let cases =
        cases.map(|(text, expected)| (format!("[buildpack]\nuri = \"main\"\n{text}"), expected));
    let more = [
        (
            "[buildpack]\nuri = \"no-version\"",
            "acme/all@1 must specify a version when referencing buildpack acme/one",
        ),
        (
            "[buildpack]\nuri = \"absent\"",
            "acme/all@1 references buildpack acme/one@7 which is not present",
        ),
        (
            "[buildpack]\nuri = \"ext\"",
            "ext is the extension acme/ext@1, not a buildpack",
        ),
        (
            "[buildpack]\nuri = \"\"",
            "buildpack.uri or extension.uri is missing",
        ),
        (
            "[buildpack]\nuri = \"ab\"\n[[dependencies]]\nuri = \"a\"\n[[dependencies]]\nuri = \"b\"",
            "no compatible stacks",
        ),
    ];
    let more = more.map(|(text, expected)| (text.to_owned(), expected));
    let scratch = shop.scratch();
    for (text, expected) in cases.into_iter().chain(more) {
        let path = shop.write("package.toml", &text);
        let output = Layout::at(shop.path("out"));
        let result = Config::read(&path)
            .and_then(|config| create_in(&creation(&shop, &config, &scratch), &output));
        match result {
            Ok(()) => assert_eq!(expected, "", "{text}"),
            Err(error) => assert!(
                !expected.is_empty() && error.to_string().contains(expected),
                "{text}: {error}"
            ),
        }
    }
}

#[test]
fn what_cannot_be_fetched_says_what_to_do() {
    let shop = Workshop::new();
    shop.write("empty/readme", "");
    shop.write("no.tgz", "nothing");
    let cases = [
        ("from=builder:a@1", "it names what is in the builder"),
        (
            "urn:cnb:registry:a/b",
            "buildpack registries are not supported yet",
        ),
        ("docker://a/b", "nobody has an image a/b"),
        ("java", "nobody has an image java"),
        ("example.org/a/b:1", "nobody has an image example.org/a/b:1"),
        ("a/b", "buildpack registries, where pack looks"),
        ("a/b@1.0", "put docker:// in front of it"),
        ("java@1.0", "it is no name of an image"),
        ("https://example.com/a.tgz", "download it"),
        ("oci:nowhere", "is no image layout"),
        (
            "empty",
            "there is no buildpack.toml, extension.toml or index.json at its top",
        ),
        ("no.tgz", "failed to unpack"),
        ("./nowhere", "nowhere"),
    ];
    for (location, expected) in cases {
        let error = open_in(&shop, location).unwrap_err().to_string();
        assert!(error.contains(expected), "{location}: {error}");
    }
}

const ONE: &str = "api = \"0.10\"\n[buildpack]\nid = \"a\"\nversion = \"1\"\n";
const LAYERS: (&str, &str) = (
    labels::BUILDPACK_LAYERS,
    r#"{"a":{"1":{"api":"0.10","layerDiffID":"DIFF"}}}"#,
);

#[test]
fn the_drafts_label_is_read_where_the_released_one_is_missing() {
    for label in [
        labels::PACKAGE_METADATA,
        labels::DRAFT_BUILDPACK_METADATA,
        labels::DRAFT_EXTENSION_METADATA,
    ] {
        let shop = Workshop::new();
        let labels = [LAYERS, (label, r#"{"id":"a","version":"1","stacks":null}"#)];
        let location = image(
            &shop,
            &labels,
            &[("/cnb/buildpacks/a/1/buildpack.toml", ONE)],
        );
        let package = open_in(&shop, &location).unwrap();
        assert_eq!(
            package.entry,
            Some(("a".to_owned(), "1".to_owned())),
            "{label}"
        );
    }
}

#[test]
fn damaged_and_hostile_packages_are_refused() {
    let place = "/cnb/buildpacks/a/1/buildpack.toml";
    let good = [(place, ONE)];
    let entry = (labels::PACKAGE_METADATA, r#"{"id":"b","version":"1"}"#);
    let layers = |text| [(labels::BUILDPACK_LAYERS, text)];
    let absent = r#"{"a":{"1":{"layerDiffID":"sha256:37ab46923c181aa5fb27c9a23479a38aec2679237f35a0ea4115e5ae81a17bba"}}}"#;
    let cases: Vec<(Vec<_>, Vec<_>, &str)> = vec![
        (vec![], good.to_vec(), "is no buildpackage"),
        (
            vec![LAYERS, entry],
            good.to_vec(),
            "its entry b@1 is not among its modules",
        ),
        (
            layers("[1]").to_vec(),
            good.to_vec(),
            "failed to read label io.buildpacks.buildpack.layers",
        ),
        (
            layers(absent).to_vec(),
            good.to_vec(),
            "it has no layer sha256:37ab",
        ),
        (
            layers(r#"{"a":{"../../x":{"layerDiffID":"DIFF"}}}"#).to_vec(),
            good.to_vec(),
            "cannot be a folder's name",
        ),
        (
            layers(r#"{"..":{"1":{"layerDiffID":"DIFF"}}}"#).to_vec(),
            good.to_vec(),
            "cannot be a folder's name",
        ),
        (
            layers(r#"{"b":{"1":{"layerDiffID":"DIFF"}}}"#).to_vec(),
            good.to_vec(),
            "/cnb/buildpacks/b/1 is no folder",
        ),
        (
            vec![LAYERS],
            vec![("/cnb/buildpacks/a/1/other", "")],
            "buildpack.toml is no file of its layer",
        ),
        (
            vec![LAYERS],
            vec![("/cnb/buildpacks/a", "-> /etc")],
            "/cnb/buildpacks/a/1 is no folder",
        ),
        (
            vec![LAYERS],
            vec![("/cnb/buildpacks/a/1", "-> /etc")],
            "/cnb/buildpacks/a/1 is no folder",
        ),
        (
            vec![LAYERS],
            vec![(place, "-> /etc/passwd")],
            "is no file of its layer",
        ),
        (
            vec![LAYERS],
            vec![("/cnb/../../x", "")],
            "failed to unpack layer",
        ),
        (
            vec![LAYERS],
            vec![("/etc/passwd", "")],
            "failed to unpack layer",
        ),
        (
            vec![LAYERS],
            vec![(
                place,
                "api = \"0.10\"\n[buildpack]\nid = \"z\"\nversion = \"1\"",
            )],
            "a@1 in its layer is z@1",
        ),
    ];
    for (labels, entries, expected) in cases {
        let shop = Workshop::new();
        let location = image(&shop, &labels, &entries);
        let error = open_in(&shop, &location).unwrap_err().to_string();
        assert!(error.contains(expected), "{entries:?}: {error}");
    }
}

#[test]
fn a_package_whose_blobs_are_gone_is_refused() {
    let shop = Workshop::new();
    let location = image(
        &shop,
        &[LAYERS],
        &[("/cnb/buildpacks/a/1/buildpack.toml", ONE)],
    );
    let found = Layout::at(shop.path("image")).image(&Selector::default());
    let found = found.unwrap().unwrap();
    let blob = found
        .blobs()
        .path(&found.manifest().layers[0].digest)
        .unwrap();
    fs::remove_file(blob).unwrap();
    let error = open_in(&shop, &location).unwrap_err().to_string();
    assert!(error.contains("the blob of its layer"), "{error}");
}

#[test]
fn metadata_names_the_stacks_of_what_declares_them() {
    let shop = Workshop::new();
    shop.buildpack(
        "one",
        "acme/one",
        "1",
        "[[stacks]]\nid = \"x\"\nmixins = [\"m\"]\n",
    );
    let module = Module::find(&shop.path("one")).unwrap().unwrap();
    let metadata = PackageMetadata {
        info: module.info.clone(),
        stacks: stacks::common([&module]),
    };
    let text = layout::json::to_string(&metadata).unwrap();
    assert!(
        text.ends_with(r#""stacks":[{"id":"x","mixins":["m"]}]}"#),
        "{text}"
    );
}
