use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;

use super::*;

fn folder(kind: Kind, text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(kind.file()), text).unwrap();
    dir
}

#[test]
fn what_labels_need_is_read() {
    let text = r#"
        api = "0.10"
        [buildpack]
        id = "acme/java"
        version = "1.0"
        name = "Java"
        description = "For Java"
        homepage = "https://example.com"
        keywords = ["java"]
        exec-env = ["production"]
        clear-env = true
        sbom-formats = ["application/spdx+json"]
        [[buildpack.licenses]]
        type = "Apache-2.0"
        uri = "https://example.com/license"
        [[targets]]
        os = "linux"
        arch = "arm"
        arch-variant = "v7"
        [[targets]]
        os = "linux"
        variant = "v6"
        [[targets.distros]]
        name = "ubuntu"
        version = "24.04"
        [metadata]
        anything = 1
    "#;
    let dir = folder(Kind::Buildpack, text);
    let module = Module::find(dir.path()).unwrap().unwrap();
    assert_eq!(module.kind, Kind::Buildpack);
    assert_eq!(module.label(), "acme/java@1.0");
    assert_eq!(module.info.name, "Java");
    assert_eq!(module.info.licenses[0].kind, "Apache-2.0");
    assert!(module.info.clear_env);
    assert_eq!(module.info.exec_env, ["production"]);
    let variants: Vec<_> = module
        .targets
        .iter()
        .map(|it| it.variant.as_str())
        .collect();
    assert_eq!(variants, ["v7", "v6"]);
    assert_eq!(module.targets[1].distros[0].name, "ubuntu");
    assert_eq!(
        module.path_in_image(),
        Path::new("/cnb/buildpacks/acme_java/1.0")
    );
}

#[test]
fn extensions_have_a_place_of_their_own() {
    let dir = folder(
        Kind::Extension,
        "api = \"0.10\"\n[extension]\nid = \"a/b\"\nversion = \"2\"",
    );
    let module = Module::find(dir.path()).unwrap().unwrap();
    assert_eq!(module.kind, Kind::Extension);
    assert_eq!(module.path_in_image(), Path::new("/cnb/extensions/a_b/2"));
    let none = tempfile::tempdir().unwrap();
    assert_eq!(Module::find(none.path()).unwrap(), None);
}

#[test]
fn what_cannot_be_packaged_is_refused() {
    let cases = [
        ("[buildpack]\nversion = \"1\"", "buildpack.id is required"),
        ("[buildpack]\nid = \"a\"", "buildpack.version is required"),
        (
            "[buildpack]\nid = \"..\"\nversion = \"1\"",
            "cannot be a folder's name",
        ),
        (
            "[buildpack]\nid = \"a\"\nversion = \"..\"",
            "cannot be a folder's name",
        ),
        (
            "[buildpack]\nid = \"a\"\nversion = \"1/2\"",
            "cannot be a folder's name",
        ),
        (
            "[buildpack]\nid = \"a\\nb\"\nversion = \"1\"",
            "cannot be a folder's name",
        ),
        (
            "api = \"x\"\n[buildpack]\nid = \"a\"\nversion = \"1\"",
            "api: could not parse 'x'",
        ),
        (
            "[buildpack]\nid = \"a\"\nversion = \"1\"\n[[order]]\n[[order.group]]\nid = \"b\"\n[[targets]]\nos = \"linux\"",
            "an order, and stacks or targets",
        ),
        ("[buildpack", "failed to read"),
    ];
    for (text, expected) in cases {
        let dir = folder(Kind::Buildpack, text);
        let error = Module::find(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(error.contains("buildpack.toml"), "{error}");
    }
}

#[test]
fn a_layer_does_not_depend_on_modes_and_owners_of_the_folder() {
    let dir = folder(
        Kind::Buildpack,
        "[buildpack]\nid = \"a/b\"\nversion = \"1\"",
    );
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, mode) in [
        ("build", 0o600),
        ("detect", 0o4755),
        ("tool", 0o700),
        ("text", 0o666),
    ] {
        fs::write(bin.join(name), name).unwrap();
        fs::set_permissions(bin.join(name), Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(&bin, Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::symlink("build", bin.join("link")).unwrap();

    let module = Module::find(dir.path()).unwrap().unwrap();
    let entries = module.entries().unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|it| (it.name.to_str().unwrap(), it.mode, it.uid, it.gid))
        .collect();
    let expected = [
        ("/cnb/buildpacks/a_b", 0o755),
        ("/cnb/buildpacks/a_b/1", 0o755),
        ("/cnb/buildpacks/a_b/1/bin", 0o755),
        ("/cnb/buildpacks/a_b/1/bin/build", 0o755),
        ("/cnb/buildpacks/a_b/1/bin/detect", 0o755),
        ("/cnb/buildpacks/a_b/1/bin/link", 0o777),
        ("/cnb/buildpacks/a_b/1/bin/text", 0o644),
        ("/cnb/buildpacks/a_b/1/bin/tool", 0o755),
        ("/cnb/buildpacks/a_b/1/buildpack.toml", 0o644),
    ];
    assert_eq!(seen, expected.map(|(name, mode)| (name, mode, 0, 0)));
}

#[test]
fn a_folder_may_be_named_by_a_link_or_from_below() {
    let dir = folder(Kind::Buildpack, "[buildpack]\nid = \"a\"\nversion = \"1\"");
    let link = tempfile::tempdir().unwrap();
    let link = link.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    for path in [link, dir.path().join("bin/..")] {
        let module = Module::find(&path).unwrap().unwrap();
        let entries = module.entries().unwrap();
        let names: Vec<_> = entries.iter().filter_map(|it| it.name.to_str()).collect();
        let expected = ["", "/1", "/1/bin", "/1/buildpack.toml"];
        assert_eq!(names, expected.map(|it| format!("/cnb/buildpacks/a{it}")));
    }
}
