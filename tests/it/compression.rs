//! Layers of layouts that are not compressed by gzip.

use std::path::Path;

use fs_err as fs;
use layout::{Layout, Selector};
use tests::build::Build;
use tests::desk::Desk;
use tests::program::{Ran, requires, requires_root, run};

const VARIABLE: &str = "CNB_LAYER_COMPRESSION";

/// Returns what the media types of a layout's layers end with, run image's layers first.
fn kinds(layout: &Path) -> Vec<String> {
    let image = Layout::at(layout).image(&Selector::default());
    let image = image.unwrap().expect("an image was exported");
    let kind = |media_type: String| media_type.rsplit("layer.v1.").next().unwrap().to_owned();
    let layers = image.manifest().layers.iter();
    layers.map(|it| kind(it.media_type.to_string())).collect()
}

/// The diffIDs are the same, zstd's own program finds its frames whole, and skopeo copies what is written.
#[test]
fn root_layers_are_compressed_as_the_platform_asks() {
    if !requires_root() || !requires(&["skopeo", "zstd"]) {
        return;
    }
    let build = Build::new();
    build.until_export();
    let mut diff_ids = Vec::new();
    for (asked, kind) in [
        ("gzip:6", "tar+gzip"),
        ("zstd:9", "tar+zstd"),
        ("none", "tar"),
    ] {
        if build.app_image().exists() {
            fs::remove_dir_all(build.app_image()).unwrap();
        }
        Ran::of(build.exporter().env(VARIABLE, asked)).ok();
        let kinds = kinds(&build.app_image());
        let of_base = kinds_of_base(&build);
        assert!(
            kinds.len() > of_base.len() && kinds.starts_with(&of_base),
            "{kinds:?}"
        );
        assert!(
            kinds[of_base.len()..].iter().all(|it| it == kind),
            "{asked}: {kinds:?}"
        );

        let image = Layout::at(build.app_image()).image(&Selector::default());
        let image = image.unwrap().unwrap();
        diff_ids.push(image.diff_ids().to_vec());
        let top = image.manifest().layers.last().unwrap();
        let blob = image.blobs().path(&top.digest).unwrap();
        if kind == "tar+zstd" {
            run("zstd", &["-t", "-q", blob.to_str().unwrap()]);
        }
        let from = format!("oci:{}", build.app_image().display());
        let to = format!("oci:{}", build.path(&format!("copy-{kind}")).display());
        run("skopeo", &["copy", "-q", &from, &to]);
    }
    assert!(diff_ids.windows(2).all(|two| two[0] == two[1]));
}

fn kinds_of_base(build: &Build) -> Vec<String> {
    kinds(&build.run_image())
}

#[test]
fn root_a_compression_that_cannot_be_is_refused() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.until_export();
    for (asked, says) in [
        ("gzip:13", "gzip:1 to gzip:12"),
        ("lz4", "there is no compression"),
    ] {
        let ran = Ran::of(build.exporter().env(VARIABLE, asked));
        assert_eq!(ran.code, 3, "{}", ran.text);
        assert!(
            ran.text.contains(VARIABLE) && ran.text.contains(says),
            "{}",
            ran.text
        );
    }
    assert!(!build.app_image().exists());
}

#[test]
fn root_slipway_passes_method_and_level_on() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    desk.build(
        "zstd",
        &["--compression", "zstd", "--compression-level", "9"],
    )
    .ok();
    let kinds = kinds(&desk.path("work/zstd"));
    assert_eq!(
        kinds.last().map(String::as_str),
        Some("tar+zstd"),
        "{kinds:?}"
    );
    let ran = desk.build("refused", &["--compression-level", "13"]);
    assert_ne!(ran.code, 0);
    assert!(ran.text.contains("gzip:1 to gzip:12"), "{}", ran.text);
}
