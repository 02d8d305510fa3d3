use std::io::Read as _;

use fs_err as fs;
use layout::layer::{Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout, Selector};
use serde_json::{Value, json};

use super::super::Builder;
use super::*;
use crate::fixtures::Workshop;
use crate::module::directory;

const NO_LABELS: &BTreeMap<String, String> = &BTreeMap::new();

const IMAGES: &str = "[build]\nimage = \"b\"\n[[run.images]]\nimage = \"r\"\nmirrors = [\"m/r\"]\n[[run.images]]\nimage = \"s\"\n";
const ONE: &str = "[[buildpacks]]\nid = \"acme/one\"\nversion = \"1\"\nuri = \"one\"\n";
const ORDER: &str = "[[order]]\n[[order.group]]\nid = \"acme/one\"\n";

/// Makes a build image; `change` has the last word.
fn base(shop: &Workshop, change: impl FnOnce(&mut layout::ImageConfig)) -> Image {
    let place = Layout::at(shop.path("base"));
    let mut update = place.update().unwrap();
    let layer = Layer {
        entries: vec![directory(Path::new("/etc"))],
    };
    let written = update.write_layer(&layer, &WriteOptions::default(), None);
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        ..Platform::default()
    };
    let mut editor = ImageEditor::empty(&platform);
    editor.append(&written.unwrap(), History::default());
    let config = editor.config_mut();
    config.set_env("CNB_USER_ID", "1001");
    config.set_env("CNB_GROUP_ID", "1002");
    "1001:1002".clone_into(&mut config.config.user);
    let labels = &mut config.config.labels;
    labels.insert("io.buildpacks.stack.id".to_owned(), "stack".to_owned());
    labels.insert(
        "io.buildpacks.stack.mixins".to_owned(),
        r#"["m"]"#.to_owned(),
    );
    labels.insert(
        "io.buildpacks.base.distro.name".to_owned(),
        "ubuntu".to_owned(),
    );
    labels.insert(
        "io.buildpacks.base.distro.version".to_owned(),
        "24.04".to_owned(),
    );
    change(config);
    editor.commit(update, &CommitOptions::default()).unwrap();
    place.image(&Selector::default()).unwrap().unwrap()
}

/// Makes a builder of a builder.toml on a base.
fn made_on(shop: &Workshop, base: &Image, text: &str) -> Result<(Image, Created), CreateError> {
    let config = Config::read(&shop.write("builder.toml", text))?;
    let scratch = shop.scratch();
    let lifecycle = find_lifecycle(
        &config.lifecycle,
        shop.sources(&scratch),
        &shop.lifecycle("programs"),
    )?;
    let created_by = CreatedBy {
        name: "tests".to_owned(),
        version: "1".to_owned(),
    };
    let creation = Creation {
        config: &config,
        sources: shop.sources(&scratch),
        base,
        lifecycle: &lifecycle,
        labels: NO_LABELS,
        created_by: &created_by,
    };
    let output = Layout::at(shop.path("builder"));
    let created = create(&creation, || Ok(output.update()?.into()), "latest")?;
    Ok((
        output.image(&Selector::default()).unwrap().unwrap(),
        created,
    ))
}

fn made(shop: &Workshop, text: &str) -> Result<(Image, Created), CreateError> {
    let base = base(shop, |_| {});
    made_on(shop, &base, text)
}

/// What an image's layers hold: name in the tar, with kind, mode, owner and content or target.
type Files = BTreeMap<String, (tar::EntryType, u32, (u64, u64), String)>;

fn files_of(layer: &layout::DiffId, image: &Image) -> Files {
    let mut tar = image.open_layer(layer).unwrap().unwrap();
    let mut archive = tar::Archive::new(&mut tar);
    let mut files = Files::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!(header.mtime().unwrap(), 315_532_801);
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        let name = name.trim_end_matches('/').to_owned();
        let mut content = String::new();
        match entry.link_name().unwrap() {
            Some(target) => content = target.display().to_string(),
            None => {
                entry.read_to_string(&mut content).unwrap();
            }
        }
        let ids = (header.uid().unwrap(), header.gid().unwrap());
        let fact = (header.entry_type(), header.mode().unwrap(), ids, content);
        files.insert(name, fact);
    }
    files
}

fn files(image: &Image) -> Files {
    image
        .diff_ids()
        .iter()
        .flat_map(|it| files_of(it, image))
        .collect()
}

fn label(image: &Image, name: &str) -> Value {
    serde_json::from_str(image.label(name).unwrap()).unwrap()
}

#[test]
fn a_builder_says_what_it_is() {
    let shop = Workshop::new();
    shop.buildpack(
        "one",
        "acme/one",
        "1",
        "homepage = \"https://example.com\"\n",
    );
    shop.extension("ext", "acme/ext", "2");
    let text = format!(
        "description = \"Small\"\n{ONE}{ORDER}{IMAGES}[[extensions]]\nuri = \"ext\"\n\
         [[order-extensions]]\n[[order-extensions.group]]\nid = \"acme/ext\"\noptional = true\n"
    );
    let (image, created) = made(&shop, &text).unwrap();
    assert_eq!(created.warnings, [""; 0]);
    let version = platform::version::VERSION;
    let apis = serde_json::to_value(Descriptor::of_this().apis).unwrap();
    assert_eq!(
        label(&image, "io.buildpacks.builder.metadata"),
        json!({
            "description": "Small",
            "buildpacks": [{"id": "acme/one", "name": "acme/one", "version": "1", "homepage": "https://example.com"}],
            "extensions": [{"id": "acme/ext", "version": "2"}],
            "stack": {"runImage": {"image": "r", "mirrors": ["m/r"]}},
            "images": [{"image": "r", "mirrors": ["m/r"]}, {"image": "s", "mirrors": []}],
            "lifecycle": {
                "version": version,
                "api": {"buildpack": "0.7", "platform": "0.7"},
                "apis": apis,
            },
            "createdBy": {"name": "tests", "version": "1"},
        })
    );
    let order = json!([{"group": [{"id": "acme/one", "version": "1"}]}]);
    assert_eq!(label(&image, "io.buildpacks.buildpack.order"), order);
    let order = json!([{"group": [{"id": "acme/ext", "version": "2"}]}]);
    assert_eq!(
        label(&image, "io.buildpacks.buildpack.order-extensions"),
        order
    );
    assert_eq!(label(&image, "io.buildpacks.stack.mixins"), json!(["m"]));
    assert_eq!(image.label("io.buildpacks.stack.id"), Some("stack"));
    assert_eq!(image.label("io.buildpacks.buildpack.system"), None);
    let layers = label(&image, "io.buildpacks.buildpack.layers");
    let one = &layers["acme/one"]["1"];
    assert_eq!(one["api"], "0.10");
    let diff_id = one["layerDiffID"].as_str().unwrap().parse().unwrap();
    assert!(files_of(&diff_id, &image).contains_key("/cnb/buildpacks/acme_one/1/buildpack.toml"));
    let layers = label(&image, "io.buildpacks.extension.layers");
    let diff_id = layers["acme/ext"]["2"]["layerDiffID"].as_str().unwrap();
    let files = files_of(&diff_id.parse().unwrap(), &image);
    assert!(files.contains_key("/cnb/extensions/acme_ext/2/extension.toml"));

    let builder = Builder::read(&image).unwrap();
    assert_eq!((builder.uid, builder.gid), (1001, 1002));
    assert_eq!(builder.run_images.len(), 2);
    assert_eq!(image.config().config.user, "1001:1002");
    assert_eq!(image.config().config.working_dir, "/layers");
}

#[test]
fn a_builder_holds_what_phases_look_for() {
    let shop = Workshop::new();
    shop.buildpack("one", "acme/one", "1", "");
    let text = format!(
        "{ONE}{ORDER}{IMAGES}[system]\n[[system.pre.buildpacks]]\nid = \"acme/one\"\n\
         [[build.env]]\nname = \"A\"\nvalue = \"1\"\nsuffix = \"default\"\n"
    );
    let (image, _) = made(&shop, &text).unwrap();
    let files = files(&image);
    let content = |name: &str| files[name].3.as_str();
    assert_eq!(
        content("/cnb/order.toml"),
        "[[order]]\n\n  [[order.group]]\n    id = \"acme/one\"\n    version = \"1\"\n"
    );
    let run: toml::Value = toml::from_str(content("/cnb/run.toml")).unwrap();
    assert_eq!(run["images"][0]["mirrors"][0].as_str(), Some("m/r"));
    assert_eq!(run["images"][1]["image"].as_str(), Some("s"));
    let stack: toml::Value = toml::from_str(content("/cnb/stack.toml")).unwrap();
    assert_eq!(stack["run-image"]["image"].as_str(), Some("r"));
    let system: toml::Value = toml::from_str(content("/cnb/system.toml")).unwrap();
    let pre = &system["system"]["pre"]["buildpacks"][0];
    assert_eq!(
        (pre["id"].as_str(), pre["version"].as_str()),
        (Some("acme/one"), Some("1"))
    );
    assert_eq!(
        label(&image, "io.buildpacks.buildpack.system"),
        json!({"pre": {"buildpacks": [{"id": "acme/one", "version": "1"}]}, "post": {}})
    );
    assert_eq!(content("/cnb/build-config/env/A.default"), "1");

    let folder = |name: &str| (files[name].0, files[name].1, files[name].2);
    for name in ["/workspace", "/layers"] {
        assert_eq!(
            folder(name),
            (tar::EntryType::Directory, 0o755, (1001, 1002)),
            "{name}"
        );
    }
    for name in [
        "/cnb",
        "/cnb/buildpacks",
        "/cnb/extensions",
        "/platform",
        "/platform/env",
        "/cnb/build-config",
        "/cnb/build-config/env",
        "/cnb/lifecycle",
    ] {
        assert_eq!(
            folder(name),
            (tar::EntryType::Directory, 0o755, (0, 0)),
            "{name}"
        );
    }
    assert_eq!(files["/lifecycle"].0, tar::EntryType::Symlink);
    assert_eq!(content("/lifecycle"), "/cnb/lifecycle");
    assert_eq!(content("/cnb/lifecycle/lifecycle"), "a lifecycle");
    assert_eq!(content("/cnb/lifecycle/detector"), "lifecycle");
}

#[test]
fn layers_are_in_packs_order() {
    let shop = Workshop::new();
    shop.buildpack("one", "acme/one", "1", "");
    shop.buildpack("two", "acme/an", "1", "");
    let text = format!("{ONE}[[buildpacks]]\nuri = \"two\"\n{ORDER}{IMAGES}");
    let (image, _) = made(&shop, &text).unwrap();
    let what: Vec<_> = image
        .config()
        .history
        .iter()
        .map(|it| it.created_by.as_str())
        .collect();
    let lifecycle = format!("builder: lifecycle {}", platform::version::VERSION);
    let expected = [
        "",
        "builder: folders",
        &lifecycle,
        "builder: buildpack acme/an@1",
        "builder: buildpack acme/one@1",
        "builder: /cnb/order.toml",
        "builder: /cnb/stack.toml",
        "builder: /cnb/run.toml",
    ];
    assert_eq!(what, expected);
}

#[test]
fn the_same_inputs_give_the_same_digest() {
    let digest = |mode| {
        let shop = Workshop::new();
        let dir = shop.buildpack("one", "acme/one", "1", "");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(dir.join("bin/build"), mode).unwrap();
        let (image, _) = made(&shop, &format!("{ONE}{ORDER}{IMAGES}")).unwrap();
        image.digest().to_string()
    };
    assert_eq!(digest(0o644), digest(0o700));
}

#[test]
fn packages_bring_all_their_modules() {
    let shop = Workshop::new();
    let (config, scratch) = (shop.composite(), shop.scratch());
    let package = package::Creation {
        config: &config,
        sources: shop.sources(&scratch),
        flatten: Some(&[]),
        labels: NO_LABELS,
    };
    package::create_file(&package, &shop.path("all.cnb")).unwrap();
    let order = "[[order]]\n[[order.group]]\nid = \"acme/all\"\n";
    let text = format!("[[buildpacks]]\nuri = \"all.cnb\"\nid = \"acme/all\"\n{order}{IMAGES}");
    let (image, _) = made(&shop, &text).unwrap();
    let builder = Builder::read(&image).unwrap();
    let names: Vec<_> = builder.buildpacks.iter().map(ModuleInfo::label).collect();
    assert_eq!(names, ["acme/all@0.3", "acme/one@1", "acme/two@2"]);
    let all = &builder.buildpack_layers["acme/all"]["0.3"];
    assert_eq!(all.order[0].group.len(), 2);
    // Taken apart, though they came in one layer.
    let one = &builder.buildpack_layers["acme/one"]["1"];
    assert_ne!(all.layer_diff_id, one.layer_diff_id);
}

#[test]
fn a_builder_can_be_the_base_of_another() {
    let shop = Workshop::new();
    shop.buildpack("one", "acme/one", "1", "");
    shop.buildpack("two", "acme/two", "1", "");
    let two = "[[buildpacks]]\nuri = \"two\"\n";
    let (_, _) = made(&shop, &format!("{ONE}{two}{ORDER}{IMAGES}")).unwrap();
    fs::rename(shop.path("builder"), shop.path("first")).unwrap();
    let first = Layout::at(shop.path("first"));
    let first = first.image(&Selector::default()).unwrap().unwrap();
    shop.write("one/bin/build", "#!/bin/sh\necho changed\n");
    let (image, _) = made_on(&shop, &first, &format!("{ONE}{two}{ORDER}{IMAGES}")).unwrap();
    let builder = Builder::read(&image).unwrap();
    assert_eq!(builder.buildpacks.len(), 2);
    let before = Builder::read(&first).unwrap();
    assert_eq!(
        builder.buildpack_layers["acme/two"],
        before.buildpack_layers["acme/two"]
    );
    assert_ne!(
        builder.buildpack_layers["acme/one"],
        before.buildpack_layers["acme/one"]
    );
    let new = &image.diff_ids()[first.diff_ids().len()..];
    let names: Vec<Vec<_>> = new
        .iter()
        .map(|it| files_of(it, &image).into_keys().collect())
        .collect();
    assert_eq!(names[2], ["/cnb/buildpacks/acme_one/.wh.1"]);
    assert_eq!(names[3][0], "/cnb/buildpacks/acme_one");
    assert!(!names.concat().iter().any(|it| it.contains("acme_two")));
}

/// Makes modules that do not fit.
fn misfits() -> Workshop {
    let shop = Workshop::new();
    shop.buildpack("one", "acme/one", "1", "");
    shop.buildpack("one-2", "acme/one", "2", "");
    shop.buildpack(
        "arm",
        "acme/arm",
        "1",
        "[[targets]]\nos = \"linux\"\narch = \"arm64\"\n",
    );
    shop.buildpack("distro", "acme/distro", "1", "[[targets]]\nos = \"linux\"\n[[targets.distros]]\nname = \"ubuntu\"\nversion = \"22.04\"\n");
    shop.buildpack("stack", "acme/stack", "1", "[[stacks]]\nid = \"other\"\n");
    shop.buildpack(
        "mixin",
        "acme/mixin",
        "1",
        "[[stacks]]\nid = \"*\"\nmixins = [\"m\", \"run:x\", \"build:y\"]\n",
    );
    shop.buildpack(
        "all",
        "acme/all",
        "1",
        "[[order]]\n[[order.group]]\nid = \"acme/none\"\nversion = \"1\"\n",
    );
    shop.write(
        "old/buildpack.toml",
        "api = \"0.2\"\n[buildpack]\nid = \"old\"\nversion = \"1\"",
    );
    shop.extension("ext", "acme/ext", "1");
    shop
}

#[test]
fn builders_that_would_not_work_are_refused() {
    let shop = misfits();
    let system = "[[system.post.buildpacks]]\nid = \"acme/three\"\n";
    let both = format!("{ONE}[[buildpacks]]\nuri = \"one-2\"\n");
    let cases = [
        (
            ORDER.to_owned(),
            "no versions of buildpack acme/one were found on the builder",
        ),
        (
            format!("{both}{ORDER}"),
            "multiple versions of acme/one - must specify an explicit version",
        ),
        (
            format!("{both}{ORDER}version = \"3\"\n"),
            "buildpack acme/one with version 3 was not found on the builder",
        ),
        (
            format!("{ONE}{ORDER}{system}"),
            "no versions of buildpack acme/three",
        ),
        (
            "[[buildpacks]]\nuri = \"one\"\nid = \"x\"".to_owned(),
            "buildpack from URI one has ID acme/one which does not match ID x from builder config",
        ),
        (
            "[[buildpacks]]\nuri = \"one\"\nversion = \"x\"".to_owned(),
            "has version 1 which does not match version x",
        ),
        (
            "[[buildpacks]]\nuri = \"ext\"".to_owned(),
            "ext is the extension acme/ext@1, not a buildpack",
        ),
        (
            "[[extensions]]\nuri = \"one\"".to_owned(),
            "one is the buildpack acme/one@1, not an extension",
        ),
        (
            "[[buildpacks]]\nuri = \"arm\"".to_owned(),
            "the build image is linux/amd64 ubuntu@24.04, buildpack acme/arm@1 is for linux/arm64",
        ),
        (
            "[[buildpacks]]\nuri = \"distro\"".to_owned(),
            "buildpack acme/distro@1 is for linux ubuntu@22.04",
        ),
        (
            "[[buildpacks]]\nuri = \"stack\"".to_owned(),
            "buildpack acme/stack@1 does not support stack \"stack\"",
        ),
        (
            "[[buildpacks]]\nuri = \"mixin\"".to_owned(),
            "buildpack acme/mixin@1 requires missing mixin(s): build:y",
        ),
        (
            "[[buildpacks]]\nuri = \"all\"".to_owned(),
            "buildpack acme/none@1 not found on the builder",
        ),
        (
            "[[buildpacks]]\nuri = \"old\"".to_owned(),
            "buildpack old@1 (Buildpack API 0.2) is incompatible with lifecycle 0.21.17",
        ),
        (
            "[[buildpacks]]\nimage = \"x\"".to_owned(),
            "nobody has an image x",
        ),
        (
            "[stack]\nid = \"x\"".to_owned(),
            "stack \"x\" from builder config is incompatible with stack \"stack\" from build image b",
        ),
        (
            "[[targets]]\narch = \"arm64\"".to_owned(),
            "build image b is for linux/amd64, which is none of the targets",
        ),
        (
            "[lifecycle]\nversion = \"0.1.0\"".to_owned(),
            "lifecycle 0.1.0 is not here, only 0.21.17",
        ),
        (
            "[lifecycle]\nuri = \"https://example.com\"".to_owned(),
            "cannot get lifecycle https://example.com",
        ),
        (
            "[lifecycle]\nuri = \"one\"".to_owned(),
            "no lifecycle.toml at its top",
        ),
    ];
    for (text, expected) in cases {
        let error = made(&shop, &format!("{IMAGES}{text}"))
            .map(|_| ())
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(!shop.path("builder/index.json").exists(), "{text}");
    }
}

type Change = fn(&mut layout::ImageConfig);

#[test]
fn build_images_that_would_not_work_are_refused() {
    let cases: [(&str, Change); 6] = [
        ("it has no variable CNB_USER_ID", |it| {
            it.config.env.retain(|it| !it.starts_with("CNB_USER"));
        }),
        ("its variable CNB_GROUP_ID is \"x\"", |it| {
            it.set_env("CNB_GROUP_ID", "x");
        }),
        ("build image b runs as root", |it| {
            it.set_env("CNB_USER_ID", "0");
        }),
        ("build image b runs as root", |it| {
            "root:root".clone_into(&mut it.config.user);
        }),
        ("build image b runs as root", |it| it.config.user.clear()),
        ("build image b is for \"windows\", not linux", |it| {
            "windows".clone_into(&mut it.os);
        }),
    ];
    for (expected, change) in cases {
        let shop = Workshop::new();
        let base = base(&shop, change);
        let error = made_on(&shop, &base, IMAGES).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let shop = Workshop::new();
    let base = base(&shop, |_| {});
    let blob = base
        .blobs()
        .path(&base.manifest().layers[0].digest)
        .unwrap();
    fs::remove_file(blob).unwrap();
    let error = made_on(&shop, &base, IMAGES).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("it is sparse"), "{error}");
}

#[test]
fn extensions_need_a_lifecycle_that_knows_them() {
    let shop = Workshop::new();
    shop.extension("ext", "acme/ext", "1");
    let text = "[apis.buildpack]\nsupported = [\"0.10\"]\n[apis.platform]\nsupported = [\"0.9\", \"0.12\"]\n[lifecycle]\nversion = \"0.1.0\"\n";
    shop.write("programs/lifecycle.toml", text);
    let error = made(&shop, &format!("{IMAGES}[[extensions]]\nuri = \"ext\"")).map(|_| ());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("Platform APIs (0.9, 0.12) are all older than 0.13"),
        "{error}"
    );
}

#[test]
fn a_lifecycle_is_taken_by_its_version() {
    for version in ["0.21.17", platform::version::VERSION] {
        let shop = Workshop::new();
        let text = format!("{IMAGES}[lifecycle]\nversion = \"{version}\"\n");
        let (image, created) = made(&shop, &text).unwrap();
        let builder = Builder::read(&image).unwrap();
        assert_eq!(builder.lifecycle_version, platform::version::VERSION);
        assert!(created.warnings[0].contains("the order of the builder is empty"));
    }
}

#[test]
fn the_last_of_two_modules_with_one_name_counts() {
    let shop = Workshop::new();
    shop.buildpack("one", "acme/one", "1", "");
    let copy = shop.buildpack("copy", "acme/one", "1", "");
    let text = format!("{ONE}[[buildpacks]]\nuri = \"copy\"\n{ORDER}{IMAGES}");
    let (_, created) = made(&shop, &text).unwrap();
    assert_eq!(created.warnings, [""; 0]);
    shop.write("copy/bin/build", "other");
    let (image, created) = made(&shop, &text).unwrap();
    assert!(created.warnings[0].contains("there twice with different contents"));
    assert!(created.warnings[0].contains(copy.to_str().unwrap()));
    let files = files(&image);
    assert_eq!(files["/cnb/buildpacks/acme_one/1/bin/build"].3, "other");
    assert_eq!(Builder::read(&image).unwrap().buildpacks.len(), 1);
}
