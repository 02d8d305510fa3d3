//! What the build cache gets.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use ::cache::VolumeCache;
use fs_err as fs;
use layout::digest::sha256;

use crate::kit::{Build, metadata_of};

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

#[test]
fn a_cache_that_cannot_be_written_is_no_failure() {
    let build = build();
    for spoil in ["staging", "committed"] {
        let cache = VolumeCache::open(&build.path("cache")).unwrap();
        let dir = build.path("cache").join(spoil);
        fs::remove_dir_all(&dir).unwrap();
        fs::write(&dir, "a file in the way").unwrap();
        let image = build.export_with(Some(cache)).unwrap();
        assert!(
            metadata_of(&image).buildpacks[0]
                .layers
                .contains_key("both")
        );
        assert!(build.flags.report_path.exists());
        fs::remove_file(&dir).unwrap();
    }
}
