//! Hostile and broken inputs: an error that names the file, the code of the ledger, nothing half written.

use fs_err as fs;
use tests::build::{Build, snapshot};
use tests::program::{Ran, requires_root};

/// What is broken before the exporter runs, its exit code, and what its last line must name.
type Row = (&'static str, fn(&Build), i32, &'static str);

const EXPORTER: &[Row] = &[
    (
        "no group",
        |build| remove(build, "layers/group.toml"),
        1,
        "group.toml",
    ),
    (
        "group is no TOML",
        |build| build.write("layers/group.toml", "[[group"),
        1,
        "group file",
    ),
    (
        "unsupported API",
        |build| replace(build, "layers/group.toml", "0.10", "9.9"),
        12,
        "9.9",
    ),
    (
        // EXP-006: run.toml lists no such image as this path, so the file is read before the export begins.
        "no metadata",
        |build| remove(build, "layers/config/metadata.toml"),
        1,
        "metadata.toml",
    ),
    (
        "bad layer toml",
        |build| build.write("layers/acme_hello/greeting.toml", "launch = true"),
        62,
        "greeting",
    ),
    (
        // EXP-008: an unusable run image exits 1.
        "config of run image gone",
        |build| remove_run_config(build),
        1,
        "sha256",
    ),
    (
        "run image index is garbage",
        |build| break_index(build, "garbage"),
        1,
        "index.json",
    ),
    (
        "run image index is empty",
        |build| break_index(build, "{}"),
        1,
        "index.json",
    ),
    (
        "launcher is missing",
        |build| remove(build, "launcher"),
        62,
        "launcher",
    ),
];

fn remove(build: &Build, name: &str) {
    fs::remove_file(build.path(name)).unwrap();
}

fn replace(build: &Build, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(build.path(name)).unwrap();
    assert!(text.contains(from), "{name}: {text}");
    build.write(name, &text.replace(from, to));
}

fn break_index(build: &Build, text: &str) {
    fs::write(build.run_image().join("index.json"), text).unwrap();
}

fn remove_run_config(build: &Build) {
    let image = tests::image::read(&build.run_image());
    let digest = image.manifest["config"]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    fs::remove_file(build.run_image().join("blobs").join(digest)).unwrap();
}

#[test]
fn root_a_failing_export_says_why_and_changes_nothing() {
    if !requires_root() {
        return;
    }
    for (name, break_it, code, named) in EXPORTER {
        let build = Build::new();
        build.create().ok();
        build.write("app/hello.txt", "changed\n");
        build.forget_layers();
        build.until_export();
        break_it(&build);
        let results = [
            "layout/index.docker.io/library/app",
            "cache/committed",
            "report",
        ];
        let before = results.map(|folder| snapshot(&build.path(folder)));
        assert!(
            before.iter().all(|files| !files.is_empty()),
            "{name}: nothing to compare"
        );

        let ran = Ran::of(&mut build.exporter());
        assert_eq!(ran.code, *code, "{name}: {}", ran.text);
        let last = ran
            .text
            .lines()
            .rev()
            .find(|line| line.contains("ERROR: "))
            .unwrap_or_default();
        assert!(
            last.contains(named),
            "{name}: {named} is not named in {:?}",
            ran.text
        );
        let after = results.map(|folder| snapshot(&build.path(folder)));
        assert!(before == after, "{name}: something was left half written");
    }
}

#[test]
fn root_no_phase_panics_on_garbage() {
    if !requires_root() {
        return;
    }
    let garbage = [
        "\u{0}",
        "[[[",
        "a = ",
        "{\"a\":",
        "group = 3",
        "[metadata]\napp = 7",
        "\u{feff}[[group]]",
        "= = =",
    ];
    for text in garbage {
        for file in [
            "group.toml",
            "plan.toml",
            "analyzed.toml",
            "config/metadata.toml",
            "acme_hello/greeting.toml",
        ] {
            let build = Build::new();
            build.until_export();
            build.write(&format!("layers/{file}"), text);
            for mut command in build.all_phases() {
                let ran = Ran::of(&mut command);
                assert!(
                    !ran.text.contains("panicked") && ran.code >= 0,
                    "{command:?}: {}",
                    ran.text
                );
                assert_ne!(ran.code, 101, "{command:?}: {}", ran.text);
            }
        }
    }
}

#[test]
fn root_a_previous_image_without_its_blob_is_named_with_a_hint() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.create().ok();
    build.forget_layers();
    let image = tests::image::read(&build.app_image());
    // The layer of the buildpack: the first above the run image's only one.
    let digest = image.manifest["layers"][1]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    fs::remove_file(
        build
            .app_image()
            .join("blobs")
            .join(digest.replace(':', "/")),
    )
    .unwrap();
    let ran = build.create();
    assert_eq!(ran.code, 62, "{}", ran.text);
    assert!(ran.text.contains("blob"), "{}", ran.text);
}

#[test]
fn root_a_previous_image_without_its_sbom_blob_is_a_warning() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.create().ok();
    build.forget_layers();
    let image = tests::image::read(&build.app_image());
    let sbom = image.label("io.buildpacks.lifecycle.metadata")["sbom"]["sha"].clone();
    let diff_ids = image.config["rootfs"]["diff_ids"].as_array().unwrap();
    let layer = diff_ids
        .iter()
        .position(|diff_id| *diff_id == sbom)
        .unwrap();
    let digest = image.manifest["layers"][layer]["digest"].as_str().unwrap();
    fs::remove_file(
        build
            .app_image()
            .join("blobs")
            .join(digest.replace(':', "/")),
    )
    .unwrap();
    // Only the analyzer: the exporter needs the blob, where the SBOM did not change.
    let [mut analyzer, ..] = build.all_phases();
    let log = Ran::of(&mut analyzer).ok();
    assert!(
        log.contains("Warning: Not restoring SBOM of previous image"),
        "{log}"
    );
}

#[test]
fn root_a_damaged_cache_is_a_miss() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.create().ok();
    for entry in fs::read_dir(build.path("cache/committed")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tar") {
            fs::write(path, "damaged").unwrap();
        }
    }
    build.forget_layers();
    let log = build.create().ok();
    assert!(
        log.contains("Warning: Skipping restore for layer acme/hello:greeting"),
        "{log}"
    );
    assert!(log.contains("making a greeting"), "{log}");
    build.forget_layers();
    let log = build.create().ok();
    assert!(
        log.contains("reusing the greeting"),
        "the cache was replaced: {log}"
    );
}
