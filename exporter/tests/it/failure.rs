//! What a failed export says, and what it leaves as it was.

use fs_err as fs;
use platform::{ExitCode, PlatformApi};

use crate::kit::{Build, Snapshot, blob_of, metadata_of, snapshot};

/// Exports, then makes every later export fail, late and early.
fn spoil(build: &mut Build, how: &str) {
    match how {
        "process type" => build.flags.process_type = Some("absent".to_owned()),
        "launcher" => fs::remove_file(build.path("launcher")).unwrap(),
        "layer" => build.write("layers/acme_one/bad.toml", "= ="),
        "app" => fs::remove_dir_all(build.path("app")).unwrap(),
        "metadata" => fs::remove_file(build.path("layers/config/metadata.toml")).unwrap(),
        "slices" => build.write(
            "layers/config/metadata.toml",
            "processes = []\n[[slices]]\npaths = [\"[\"]\n",
        ),
        "process name" => build.write(
            "layers/config/metadata.toml",
            "[[processes]]\ntype = \"a/b\"\ncommand = [\"x\"]\n",
        ),
        other => panic!("{other}"),
    }
}

#[test]
fn a_failed_export_leaves_layout_cache_and_report() {
    let ways = [
        "process type",
        "launcher",
        "layer",
        "app",
        "metadata",
        "slices",
        "process name",
    ];
    for how in ways {
        let mut build = Build::new();
        build.layer("both", "launch = true\ncache = true", &[("f", "1")]);
        fs::create_dir(build.path("cache")).unwrap();
        build.export().unwrap();
        let before = [
            snapshot(&build.path("images")),
            snapshot(&build.path("cache")),
        ];
        let report = fs::read(&build.flags.report_path).unwrap();

        build.write("layers/acme_one/both/f", "2");
        spoil(&mut build, how);
        let failure = build.export().unwrap_err();
        assert_eq!(failure.code, ExitCode::Export, "{how}");
        let text = format!("{:#}", failure.error);
        assert!(text.starts_with("failed to export: "), "{text}");
        let after = [snapshot(&build.path("images")), committed_only(&build)];
        assert_eq!(before, after, "{how}");
        assert_eq!(report, fs::read(&build.flags.report_path).unwrap());
    }
}

/// What was staged is cleared by whoever opens the cache next.
fn committed_only(build: &Build) -> Snapshot {
    let mut files = snapshot(&build.path("cache"));
    let staging = build.path("cache/staging");
    files.retain(|path, _| !path.starts_with(&staging));
    files
}

#[test]
fn a_first_export_that_fails_leaves_no_layout() {
    let mut build = Build::new();
    spoil(&mut build, "process type");
    build.export().unwrap_err();
    assert!(!build.output().exists());
    assert!(!build.flags.report_path.exists());
}

#[test]
fn a_reused_layer_whose_blob_is_gone_is_an_error_with_a_way_out() {
    for contents in [true, false] {
        let mut build = Build::new();
        let image = build.export().unwrap();
        let output = build.output();
        build.analyze(&output);
        let dep = &metadata_of(&image).buildpacks[0].layers["dep"].sha;
        fs::remove_file(blob_of(&output, &image, dep)).unwrap();
        if !contents {
            fs::remove_dir_all(build.path("layers/acme_one/dep")).unwrap();
        }
        let failure = build.export().unwrap_err();
        assert_eq!(failure.code, ExitCode::Export);
        let text = format!("{:#}", failure.error);
        assert!(
            text.contains(dep) && text.contains("previous image"),
            "{text}"
        );
    }
}

#[test]
fn a_layer_without_contents_needs_a_record_of_it() {
    let mut build = Build::new();
    let cases = [
        (
            "launch = true",
            "cannot reuse 'acme/one:ghost', previous image has no metadata for layer 'acme/one:ghost'",
        ),
        (
            "launch = true\ncache = true",
            "layer 'acme/one:ghost' is cache=true but has no contents",
        ),
    ];
    build.export().unwrap();
    let output = build.output();
    build.analyze(&output);
    for (types, expected) in cases {
        build.layer("ghost", types, &[]);
        let failure = build.export().unwrap_err();
        assert_eq!(failure.code, ExitCode::Export);
        assert_eq!(
            format!("{:#}", failure.error),
            format!("failed to export: {expected}")
        );
    }
}

#[test]
fn what_is_not_there_yet_is_said() {
    let build = Build::new();
    build.write("layers/extended/run/sha256/index.json", "{}");
    let failure = build.export().unwrap_err();
    assert_eq!(failure.code, ExitCode::Export);
    assert!(format!("{:#}", failure.error).contains("image extensions"));
}

/// From 0.12 on; before that the exporter knew nothing of extended run images.
#[test]
fn a_run_image_that_shall_be_extended_is_not_exported_as_it_is() {
    for (api, refused) in [("0.11", false), ("0.12", true), ("0.15", true)] {
        let mut build = Build::new();
        build.api = PlatformApi::negotiate(Some(api)).unwrap();
        build.analyzed.run_image.as_mut().unwrap().extend = true;
        let Err(failure) = build.export() else {
            assert!(!refused, "{api}");
            continue;
        };
        assert!(refused, "{api}: {:#}", failure.error);
        assert_eq!(failure.code, ExitCode::Export);
        let text = format!("{:#}", failure.error);
        let expected = "failed to export: an image extension wants the run image extended";
        assert!(text.starts_with(expected), "{text}");
        assert!(!build.output().exists());
    }
}

#[test]
fn a_run_image_that_is_gone_is_named() {
    let build = Build::new();
    fs::remove_dir_all(build.run_image()).unwrap();
    let failure = build.export().unwrap_err();
    assert_eq!(failure.code, ExitCode::Export);
    let path = build.run_image().display().to_string();
    assert!(format!("{:#}", failure.error).contains(&path));
}
