//! pack, for an `oci:` target.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use fs_err as fs;
use serde_json::json;
use tests::build::{BUILD_HELLO, Build};
use tests::container::{Container, DOCKER, From, Site, USER};
use tests::image;
use tests::program::{Ran, requires_root};

use super::{
    APP_PLACE, RUN, RUN_PLACE, SOMEBODY, assert_alone, can_run, fresh_volumes, site, state, whole,
};

/// What pack prepares for an `oci:` target beside the builder.
fn pack_site() -> Site {
    let site = site(BUILD_HELLO);
    // A volume that nobody used yet.
    site.folder("cache", 0);
    pack_volumes(&site);
    site.run_image("run", SOMEBODY);
    site
}

/// What pack puts into the volumes of one build.
pub(crate) fn pack_volumes(site: &Site) {
    fresh_volumes(site);
    site.file("layers/project-metadata.toml", "", 0, 0o755);
}

/// A container as pack makes each of them.
pub(crate) fn pack(site: &Site, from: From) -> Container<'_> {
    site.container(from)
        .workdir("/layers")
        .env(&["CNB_PLATFORM_API=0.15", "CNB_EXEC_ENV=production"])
        .bind("layers", "/layers", "rw")
        .bind("workspace", "/workspace", "rw")
}

/// The same for a phase that reads or writes images; what is exported goes to `place`.
fn pack_with_images<'a>(site: &'a Site, from: From, place: &str) -> Container<'a> {
    pack(site, from)
        .bind("cache", "/cache", "rw")
        .env(&[
            "CNB_USE_LAYOUT=true",
            "CNB_LAYOUT_DIR=/layout-repo",
            "CNB_EXPERIMENTAL_MODE=warn",
            "CNB_REGISTRY_AUTH={}",
        ])
        .bind("run", RUN_PLACE, "ro")
        .bind("output", place, "rw")
}

#[test]
fn foreign_pack_builds_in_one_container() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    let create = || {
        let line = format!(
            "/cnb/lifecycle/creator -app /workspace -cache-dir /cache -run-image {RUN} sample"
        );
        pack_with_images(&site, From::Builder, APP_PLACE)
            .line(&line)
            .ok()
    };
    let output = site.path("output");
    let run_image = state(&site.path("run"));
    let mounted = fs::metadata(&output).unwrap().ino();

    let log = create();
    assert!(log.contains("making a greeting"), "{log}");
    assert_eq!(state(&site.path("run")), run_image);
    assert_eq!(fs::metadata(&output).unwrap().ino(), mounted);
    let image = whole(&output);
    assert_eq!(
        image.descriptor["annotations"],
        json!({"org.opencontainers.image.ref.name": "latest"})
    );
    let run = image::read(&site.path("run"));
    assert_eq!(image.manifest["layers"][0], run.manifest["layers"][0]);
    let config = &image.config["config"];
    assert_eq!(config["Entrypoint"], json!(["/cnb/process/web"]));
    assert_eq!(config["WorkingDir"], "/workspace");
    assert_eq!(site.start(&output, "latest", &[]).ok(), "hello\n");
    let own = ["/cnb/lifecycle/launcher", "cat", "hello.txt"];
    assert_eq!(site.start(&output, "latest", &own).ok(), "hello\n");

    // The next build has new volumes, but for the cache.
    let first = image.digest().to_owned();
    pack_volumes(&site);
    let log = create();
    for line in [
        "Restoring data for \"acme/hello:greeting\" from cache",
        "reusing the greeting",
        "Reusing layer 'acme/hello:greeting'",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert_eq!(whole(&output).digest(), first);
}

/// pack runs as whoever called it, so the folder that it makes may belong to somebody else.
#[test]
fn foreign_pack_exports_to_a_folder_of_another_user() {
    if !can_run() {
        return;
    }
    for owner in [0, SOMEBODY] {
        let site = pack_site();
        site.folder("output", owner);
        let line = format!(
            "/cnb/lifecycle/creator -app /workspace -cache-dir /cache -run-image {RUN} sample"
        );
        pack_with_images(&site, From::Builder, APP_PLACE)
            .line(&line)
            .ok();
        whole(&site.path("output"));
    }
}

#[test]
fn foreign_pack_passes_its_options_in_one_order() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    let line =
        format!("/cnb/lifecycle/creator -app /workspace -cache-dir /cache -run-image {RUN} before");
    let before = "/layout-repo/index.docker.io/library/before/latest";
    pack_with_images(&site, From::Builder, before)
        .line(&line)
        .ok();
    fs::rename(site.path("output"), site.path("before")).unwrap();

    pack_volumes(&site);
    site.folder("output", USER);
    let line = format!(
        "/cnb/lifecycle/creator -log-level debug -app /workspace -cache-dir /cache -run-image {RUN} \
         -tag sample:two -skip-restore -gid 1234 -uid {USER} -previous-image before -process-type web sample:tag1"
    );
    let log = pack_with_images(&site, From::Builder, &APP_PLACE.replace("latest", "tag1"))
        .env(&["SOURCE_DATE_EPOCH=1700000000"])
        .bind("before", before, "ro")
        .line(&line)
        .ok();
    assert!(log.contains("making a greeting"), "-skip-restore: {log}");
    assert!(log.contains("Setting default process type 'web'"), "{log}");
    // What is in the image before does not depend on the group.
    let reused = "Reusing layer 'buildpacksio/lifecycle:launcher'";
    assert!(log.contains(reused), "{log}");
    let image = whole(&site.path("output"));
    assert_eq!(
        image.descriptor["annotations"]["org.opencontainers.image.ref.name"],
        "tag1"
    );
    assert_eq!(image.config["created"], "2023-11-14T22:13:20Z");
    let repository = site.path("builder/rootfs/layout-repo/index.docker.io/library/sample");
    assert_eq!(whole(&repository.join("two")).digest(), image.digest());
    let ls = [
        "/cnb/lifecycle/launcher",
        "--",
        "stat",
        "-c",
        "%u:%g",
        "hello.txt",
    ];
    assert_eq!(
        site.start(&site.path("output"), "tag1", &ls).ok(),
        "1000:1234\n"
    );
}

/// A builder that nobody trusts: only what the lifecycle image holds runs as root.
#[test]
fn foreign_pack_builds_in_a_container_for_each_phase() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    // pack makes the volumes and puts its files into them; the first phase hands them over.
    for volume in ["layers", "workspace"] {
        chown(site.path(volume), Some(0), Some(0)).unwrap();
    }
    let run = format!("[[images]]\nimage = \"{RUN}\"\n");
    site.file("layers/run.toml", &run, 0, 0o755);
    let run_image = state(&site.path("run"));
    let ids = [
        format!("CNB_USER_ID={USER}"),
        format!("CNB_GROUP_ID={USER}"),
    ];
    let as_root = |line: &str| {
        let container = pack_with_images(&site, From::Lifecycle, APP_PLACE);
        container.env(&[&ids[0], &ids[1]]).line(line).ok()
    };
    let as_user = |line: &str| {
        pack(&site, From::Builder)
            .user(USER, DOCKER)
            .line(line)
            .ok()
    };

    as_root(&format!(
        "/cnb/lifecycle/analyzer -run /layers/run.toml -run-image {RUN} -launch-cache /launch-cache sample"
    ));
    chown(site.path("workspace"), Some(USER), Some(USER)).unwrap();
    as_user("/cnb/lifecycle/detector -app /workspace");
    as_root("/cnb/lifecycle/restorer -cache-dir /cache");
    as_user("/cnb/lifecycle/builder -app /workspace");
    let log = as_root(
        "/cnb/lifecycle/exporter -app /workspace -cache-dir /cache -run /layers/run.toml sample",
    );
    assert!(log.contains("Adding layer 'acme/hello:greeting'"), "{log}");
    assert_eq!(state(&site.path("run")), run_image);
    whole(&site.path("output"));
    assert_eq!(
        site.start(&site.path("output"), "latest", &[]).ok(),
        "hello\n"
    );
}

/// The lines for other targets, with every option.
#[test]
fn foreign_pack_lines_for_daemons_and_registries_are_understood() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    let analyzed = format!(
        "[run-image]\nreference = \"{RUN}@{}\"\n",
        image::digest(b"run")
    );
    let analyzed = || site.file("layers/analyzed.toml", &analyzed, USER, 0o644);
    let run = format!("[[images]]\nimage = \"{RUN}\"\n");
    site.file("layers/run.toml", &run, 0, 0o755);
    let ids = [
        format!("CNB_USER_ID={USER}"),
        format!("CNB_GROUP_ID={USER}"),
    ];
    let ran = |line: &str| {
        pack(&site, From::Builder)
            .bind("cache", "/cache", "rw")
            .env(&["CNB_REGISTRY_AUTH={}", &ids[0], &ids[1]])
            .line(line)
    };
    let options = format!(
        "-tag sample:two -skip-restore -gid 1000 -uid {USER} -insecure-registry registry.example:5000 \
         -previous-image before -process-type web"
    );
    for line in [
        format!(
            "creator -daemon -launch-cache /launch-cache -app /workspace -cache-dir /cache -run-image {RUN} {options} sample"
        ),
        format!("creator -app /workspace -cache-dir /cache -run-image {RUN} sample"),
        format!(
            "creator -log-level debug -app /workspace -run-image {RUN} {options} -cache-image cache:latest sample"
        ),
        format!(
            "analyzer -daemon -run /layers/run.toml -run-image {RUN} -launch-cache /launch-cache sample"
        ),
        format!("analyzer -run /layers/run.toml -run-image {RUN} sample"),
    ] {
        let line = format!("/cnb/lifecycle/{line}");
        assert_alone(&ran(&line), &line);
    }
    let as_user = |line: &str| {
        let container = pack(&site, From::Builder).user(USER, DOCKER);
        container.line(line).ok()
    };
    as_user("/cnb/lifecycle/detector -app /workspace");
    let line = "/cnb/lifecycle/restorer -cache-dir /cache -daemon";
    assert_alone(&ran(line), line);
    ran("/cnb/lifecycle/restorer -cache-dir /cache").ok();
    as_user("/cnb/lifecycle/builder -app /workspace");
    for line in [
        "exporter -daemon -launch-cache /launch-cache -app /workspace -cache-dir /cache -run /layers/run.toml sample",
        "exporter -app /workspace -cache-dir /cache -run /layers/run.toml -process-type web sample sample:two",
    ] {
        analyzed();
        let line = format!("/cnb/lifecycle/{line}");
        assert_alone(&ran(&line), &line);
    }
}

/// The phase that exports begins as root and reads what a build may have written.
#[test]
fn root_builds_cannot_make_root_read_elsewhere() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.until_export();
    let own = build.path("layers/own/run");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::rename(build.run_image(), &own).unwrap();
    let blobs = own.join("blobs/sha256");
    fs::set_permissions(&blobs, Permissions::from_mode(0o700)).unwrap();
    let analyzed = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
    let layout = build.path("layout");
    for path in [own.clone(), layout.join("../layers/own/run")] {
        let (place, path) = (build.run_image(), path.display().to_string());
        let changed = analyzed.replace(&place.display().to_string(), &path);
        assert_ne!(changed, analyzed);
        build.write("layers/analyzed.toml", &changed);
        let ran = Ran::of(&mut build.exporter());
        assert!(
            ran.text.contains("permission denied"),
            "{path}: {}",
            ran.text
        );
        assert!(!build.app_image().exists());
    }
    // In its own place it is what the platform put there.
    fs::rename(&own, build.run_image()).unwrap();
    build.write("layers/analyzed.toml", &analyzed);
    Ran::of(&mut build.exporter()).ok();
    whole(&build.app_image());
}
