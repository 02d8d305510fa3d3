//! What the build cache gets.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use ::cache::VolumeCache;
use fs_err as fs;
use layout::digest::sha256;

use crate::kit::{Build, lines_with, metadata_of};
use crate::log::logged;

fn build() -> Build {
    let build = Build::new();
    build.layer("both", "launch = true\ncache = true", &[("f", "both")]);
    build.layer("kept", "cache = true", &[("f", "kept")]);
    build.layer("ghost", "cache = true", &[]);
    build.write("layers/sbom/cache/acme_one/kept/sbom.cdx.json", "{}");
    fs::create_dir(build.path("cache")).unwrap();
    build
}

/// Returns the tar of a layer, after checking that it is what its name says.
fn tar(build: &Build, sha: &str) -> PathBuf {
    let path = build.path("cache/committed").join(format!("{sha}.tar"));
    assert_eq!(sha256(&fs::read(&path).unwrap()).to_string(), sha);
    path
}

fn metadata(build: &Build) -> ::cache::CacheMetadata {
    VolumeCache::open(&build.path("cache"))
        .unwrap()
        .metadata()
        .unwrap()
}

#[test]
fn image_and_cache_hold_the_same_layer() {
    let build = build();
    let image = build.export().unwrap();
    let cached = metadata(&build);
    let layers = &cached.buildpack("acme/one").unwrap().layers;
    assert_eq!(layers.keys().collect::<Vec<_>>(), ["both", "kept"]);
    let both = &layers["both"].sha;
    assert_eq!(*both, metadata_of(&image).buildpacks[0].layers["both"].sha);
    for sha in [both, &layers["kept"].sha, &cached.sbom] {
        tar(&build, sha);
    }
}

#[test]
fn unchanged_layers_are_taken_over_changed_and_damaged_ones_are_not() {
    let mut build = build();
    build.export().unwrap();
    let before = metadata(&build);
    let layers = &before.buildpack("acme/one").unwrap().layers;
    let inode = |sha: &str| fs::metadata(tar(&build, sha)).unwrap().ino();
    let (both, kept) = (layers["both"].sha.clone(), layers["kept"].sha.clone());
    let (inode_of_both, inode_of_sbom) = (inode(&both), inode(&before.sbom));

    let output = build.output();
    build.analyze(&output);
    build.write("layers/acme_one/kept/f", "changed");
    build.export().unwrap();
    let inode = |sha: &str| fs::metadata(tar(&build, sha)).unwrap().ino();
    assert_eq!(inode_of_both, inode(&both));
    assert_eq!(inode_of_sbom, inode(&before.sbom));
    assert!(
        !build
            .path("cache/committed")
            .join(format!("{kept}.tar"))
            .exists()
    );

    // The image reuses the layer, the cache cannot.
    fs::write(tar(&build, &both), "damaged").unwrap();
    build.export().unwrap();
    tar(&build, &both);
    fs::remove_file(tar(&build, &both)).unwrap();
    build.export().unwrap();
    tar(&build, &both);
}

/// The image is saved before the cache is written, and the archive of a layer that both get was made once.
#[test]
fn the_cache_is_written_after_the_image_and_says_what_it_keeps() {
    let mut build = build();
    build.buildpack("acme/zero");
    build.group.group.swap(0, 1);
    build.layer_of(
        "acme_zero",
        "z",
        "cache = true\nbuild = true",
        &[("f", "z")],
    );
    let (image, log) = logged(|| build.export().unwrap());
    let cached = metadata(&build);
    let ids = cached.buildpacks.iter().map(|it| it.id.as_str());
    assert_eq!(ids.collect::<Vec<_>>(), ["acme/zero", "acme/one"]);
    let sha = |id: &str, name: &str| cached.buildpack(id).unwrap().layers[name].sha.clone();
    let (z, both, kept) = (
        sha("acme/zero", "z"),
        sha("acme/one", "both"),
        sha("acme/one", "kept"),
    );
    let (_, after) = log.split_once("*** Manifest Size").unwrap();
    let said = [" cache layer", " SHA", "Failed"];
    assert_eq!(
        lines_with(after, &said),
        [
            "INFO Adding cache layer 'acme/zero:z'".to_owned(),
            format!("DEBUG Layer 'acme/zero:z' SHA: {z}"),
            format!("DEBUG Reusing tarball for layer \"acme/one:both\" with SHA: {both}"),
            "INFO Adding cache layer 'acme/one:both'".to_owned(),
            format!("DEBUG Layer 'acme/one:both' SHA: {both}"),
            "WARN Failed to cache layer 'acme/one:ghost' because it has no contents".to_owned(),
            "INFO Adding cache layer 'acme/one:kept'".to_owned(),
            format!("DEBUG Layer 'acme/one:kept' SHA: {kept}"),
            "INFO Adding cache layer 'buildpacksio/lifecycle:cache.sbom'".to_owned(),
            format!(
                "DEBUG Layer 'buildpacksio/lifecycle:cache.sbom' SHA: {}",
                cached.sbom
            ),
        ]
    );
    assert_eq!(both, metadata_of(&image).buildpacks[1].layers["both"].sha);

    // Unchanged: taken over, and then said to be added as well.
    let (_, log) = logged(|| build.export().unwrap());
    let ids = [
        "acme/zero:z",
        "acme/one:both",
        "acme/one:kept",
        "buildpacksio/lifecycle:cache.sbom",
    ];
    let expected: Vec<_> = ids
        .iter()
        .flat_map(|id| ["Reusing", "Adding"].map(|verb| format!("INFO {verb} cache layer '{id}'")))
        .collect();
    assert_eq!(lines_with(&log, &["ing cache layer"]), expected);
}

#[test]
fn damaged_layers_of_the_cache_are_said_and_replaced() {
    let build = build();
    build.export().unwrap();
    let layers = metadata(&build)
        .buildpack("acme/one")
        .unwrap()
        .layers
        .clone();
    let both = &layers["both"].sha;
    let path = tar(&build, both);
    for (damage, reason) in [
        (
            Some("damaged"),
            format!(
                "expected layer contents to have SHA '{both}'; found '{}'",
                sha256(b"damaged")
            ),
        ),
        (
            None,
            format!("failed to find cache layer with SHA '{both}'"),
        ),
    ] {
        match damage {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let (_, log) = logged(|| build.export().unwrap());
        let expected = [
            format!("WARN Skipping reuse for layer acme/one:both: {reason}"),
            "INFO Adding cache layer 'acme/one:both'".to_owned(),
        ];
        assert_eq!(
            lines_with(&log, &["Skipping", "cache layer 'acme/one:both'"]),
            expected
        );
        tar(&build, both);
    }
}

#[test]
fn a_layer_that_cannot_be_cached_is_skipped_with_a_warning() {
    let build = build();
    build.write("layers/acme_one/odd/f", "1");
    build.write(
        "layers/acme_one/odd.toml",
        "[types]\ncache = true\n[metadata]\nx = nan\n",
    );
    let (_, log) = logged(|| build.export().unwrap());
    assert!(
        log.contains("WARN Failed to cache layer 'acme/one:odd': "),
        "{log}"
    );
    let layers = metadata(&build)
        .buildpack("acme/one")
        .unwrap()
        .layers
        .clone();
    assert_eq!(layers.keys().collect::<Vec<_>>(), ["both", "kept"]);
}

#[test]
fn the_sbom_of_cache_layers_is_cached_from_0_8_on() {
    for minor in 7..=15 {
        let mut build = build();
        build.api = Build::at(minor).api;
        build.export().unwrap();
        assert_eq!(metadata(&build).sbom.is_empty(), minor < 8, "0.{minor}");
        fs::remove_dir_all(build.path("layers/sbom/cache")).unwrap();
        build.export().unwrap();
        assert_eq!(metadata(&build).sbom, "", "0.{minor}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_no_failure() {
    let build = build();
    for spoil in ["staging", "committed"] {
        let cache = VolumeCache::open(&build.path("cache")).unwrap();
        let dir = build.path("cache").join(spoil);
        fs::remove_dir_all(&dir).unwrap();
        fs::write(&dir, "a file in the way").unwrap();
        let (image, log) = logged(|| build.export_with(Some(cache)).unwrap());
        let saved = log.find("*** Images").expect("the image is saved");
        let warned = log.find("WARN Failed to export cache: ");
        assert!(warned.is_some_and(|warned| warned > saved), "{log}");
        assert!(
            metadata_of(&image).buildpacks[0]
                .layers
                .contains_key("both")
        );
        assert!(build.flags.report_path.exists());
        fs::remove_file(&dir).unwrap();
    }
}
