use std::os::unix::fs::MetadataExt as _;

use layout::Layout;

use crate::kit::{Site, app_image, open, run_image};

fn blobs(site: &Site, dir: &str) -> usize {
    let blobs = fs_err::read_dir(site.path(dir).join("blobs/sha256"));
    blobs.unwrap().count()
}

#[test]
fn what_nothing_needs_goes_and_nothing_else() {
    let site = Site::with_app();
    let run = site.repo("library/run/latest");
    app_image(&site.path("app"), "v2", &run, &|[metadata, _]| {
        metadata["app"] = serde_json::json!([]);
    });
    assert_eq!(blobs(&site, "app"), 5 + 2 + 2);
    let would = site.slipway(&["layout", "gc", "app", "--dry-run"]).ok();
    assert!(
        would.ends_with(" B\n") || would.ends_with("kB\n"),
        "{would}"
    );
    assert!(would.contains("blobs would be removed: 2, "), "{would}");
    assert_eq!(blobs(&site, "app"), 9, "a dry run removes nothing");
    let did = site.slipway(&["layout", "gc", "app"]).ok();
    assert_eq!(did.replace(" removed", " would be removed"), would);
    assert_eq!(blobs(&site, "app"), 7);
    site.slipway(&["layout", "verify", "app"]).ok();
    let again = site.slipway(&["layout", "gc", "app"]).ok();
    assert_eq!(again, "blobs removed: 0, 0 B\n");
}

#[test]
fn nothing_is_removed_where_an_image_cannot_be_read() {
    let site = Site::with_app();
    let image = open(&site.path("app"));
    let config = &image.manifest().config.digest;
    let blob = image.blobs().path(config).unwrap();
    fs_err::write(&blob, "{}").unwrap();
    let before = blobs(&site, "app");
    site.slipway(&["layout", "gc", "app"])
        .fails_with(&["is damaged"]);
    assert_eq!(blobs(&site, "app"), before);
    site.slipway(&["layout", "gc", "absent"])
        .fails_with(&["no OCI image layout in absent"]);
    assert!(!site.path("absent").exists());
}

#[test]
fn images_are_copied_beside_others() {
    let site = Site::with_app();
    let run = site.repo("library/run/latest");
    site.slipway(&["layout", "copy", "run", "oci:all:run"]).ok();
    let out = site.slipway(&["layout", "copy", "oci:app", "oci:all"]).ok();
    let digest = open(&site.path("app")).digest().to_string();
    assert_eq!(out, format!("all latest {digest}\n"));
    let listed = site.slipway(&["layout", "ls", "all"]).ok();
    assert!(
        listed.contains("run  ") && listed.contains("latest  "),
        "{listed}"
    );
    site.slipway(&["layout", "verify", "all"]).ok();
    // The same blob, not a second one.
    let layer = open(&run).manifest().layers[0].digest.to_string();
    let path = format!("blobs/{}", layer.replace(':', "/"));
    let inode = |dir: std::path::PathBuf| fs_err::metadata(dir.join(&path)).unwrap().ino();
    assert_eq!(inode(site.path("all")), inode(run.clone()));

    // An image of that name is replaced, and only that one.
    run_image(&site.path("run2"), "2");
    site.slipway(&["layout", "copy", "oci:run2", "oci:all:run"])
        .ok();
    let seen = site
        .slipway(&["inspect", "oci:all:run", "--output", "json"])
        .ok();
    assert!(seen.contains(&open(&site.path("run2")).digest().to_string()));
    assert!(
        site.slipway(&["inspect", "oci:all:latest"])
            .ok()
            .contains(&digest)
    );
}

#[test]
fn a_name_is_a_place_in_the_layout_repo() {
    let site = Site::with_app();
    site.slipway(&["layout", "copy", "oci:app", "some/app:v2"])
        .ok();
    let copied = open(&site.repo("some/app/v2"));
    assert_eq!(copied.digest(), open(&site.path("app")).digest());
    // Whatever was there under another name.
    Layout::at(site.repo("some/app/v2"))
        .copy_from(&copied, "odd")
        .unwrap();
    site.slipway(&["layout", "copy", "run", "some/app:v2"]).ok();
    let images = Layout::at(site.repo("some/app/v2")).images().unwrap();
    assert_eq!(images.unwrap().len(), 1);
}

#[test]
fn copies_that_cannot_be_leave_all_as_it_was() {
    let site = Site::with_app();
    let copy =
        |source: &str, destination: &str| site.slipway(&["layout", "copy", source, destination]);
    copy("oci:app", "oci-archive:none/x.tar").fails_with(&["failed to make a folder in"]);
    copy("oci:app:v3", "oci:new").fails_with(&["no image named v3"]);
    let digest = format!("oci:new@sha256:{}", "0".repeat(64));
    copy("oci:app", &digest).fails_with(&["use a tag"]);
    assert!(!site.path("new").exists());
    fs_err::write(site.path("file"), "").unwrap();
    copy("oci:app", "oci:file").fails_with(&["failed to copy oci:app to oci:file"]);
    let image = open(&site.path("app"));
    let config = image.blobs().path(&image.manifest().config.digest).unwrap();
    fs_err::remove_file(config).unwrap();
    copy("oci:app", "oci:new").fails_with(&["is not in app"]);
    assert!(!site.path("new").exists());
}
