//! What a change writes, and what it leaves when it fails.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use fs_err as fs;
use layout::editor::{CommitOptions, Committed};
use layout::layer::{Entry, EntryKind, Layer, WriteOptions, Written};
use layout::manifest::{MediaType, REF_NAME};
use layout::store::Error;
use layout::verify::{Options, verify};
use layout::{History, Image, ImageEditor, Layout, Selector, Update};

use crate::kit::{DOCKER_LAYER, DOCKER_MANIFEST, Fixture, files, gzip, tar};

fn latest() -> CommitOptions {
    CommitOptions {
        ref_name: "latest".to_owned(),
        ..CommitOptions::default()
    }
}

fn made_by(text: &str) -> History {
    History {
        created_by: text.to_owned(),
        ..History::default()
    }
}

/// A layer of one directory.
fn app_layer(update: &mut Update, name: &str) -> Written {
    let entry = Entry {
        name: Path::new(name).into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind: EntryKind::Directory,
    };
    let layer = Layer {
        entries: vec![entry],
    };
    let options = WriteOptions::default();
    update.write_layer(&layer, &options, None).unwrap()
}

/// Puts an app layer on the base.
fn build(base: &Image, output: &Layout) -> Committed {
    let mut update = output.update().unwrap();
    let layer = app_layer(&mut update, "/app");
    let mut editor = ImageEditor::from_base(base);
    editor.append(&layer, made_by("app"));
    editor.config_mut().set_env("NEW", "1");
    editor.commit(update, &latest()).unwrap()
}

fn open(layout: &Layout) -> Image {
    layout.image(&Selector::default()).unwrap().unwrap()
}

fn assert_whole(layout: &Layout) {
    let report = verify(layout, Options::default());
    assert!(report.problems.is_empty(), "{:?}", report.problems);
}

/// LAY-022, LAY-023, LAY-024.
#[test]
fn the_files_of_a_layout_have_their_exact_text() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("deep/er/output"));
    let committed = build(&base.open(), &output);
    let read = |name: &str| fs::read_to_string(output.path().join(name)).unwrap();
    assert_eq!(
        read("oci-layout"),
        "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}"
    );
    let index = format!(
        r#"{{
   "schemaVersion": 2,
   "mediaType": "application/vnd.oci.image.index.v1+json",
   "manifests": [
      {{
         "mediaType": "application/vnd.oci.image.manifest.v1+json",
         "size": {},
         "digest": "{}",
         "annotations": {{
            "org.opencontainers.image.ref.name": "latest"
         }}
      }}
   ]
}}"#,
        committed.manifest_size, committed.digest
    );
    assert_eq!(read("index.json"), index);
    let image = open(&output);
    assert_eq!(image.manifest().annotations["base"], "annotation");
    assert_eq!(image.manifest().annotations[REF_NAME], "latest");
    assert_eq!(image.manifest().config.digest, committed.config_digest);
    assert_whole(&output);
    // Three layers, config, manifest, and the two files above.
    assert_eq!(files(output.path()).len(), 7);
}

/// LAY-026, but blobs of layers are as readable as others: layouts pass between users.
#[test]
fn modes_follow_the_umask() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    build(&base.open(), &output);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let probe = base.path().join("probe");
    fs::write(&probe, "").unwrap();
    let (file, directory) = (mode(&probe), mode(&output.path().join("blobs")));
    for (path, _) in files(output.path()) {
        let is_blob = path.starts_with(output.path().join("blobs"));
        assert_eq!(
            mode(&path),
            if is_blob { file } else { directory },
            "{path:?}"
        );
    }
}

#[test]
fn a_docker_base_becomes_an_oci_image_with_the_same_layers() {
    let base = Fixture::docker();
    let output = Layout::at(base.path().join("output"));
    let before = base.open();
    assert_eq!(
        before.manifest().media_type,
        Some(MediaType::from(DOCKER_MANIFEST))
    );
    build(&before, &output);
    let after = open(&output);
    assert_eq!(after.manifest().media_type, Some(MediaType::ImageManifest));
    assert_eq!(after.manifest().config.media_type, MediaType::ImageConfig);
    assert_eq!(after.diff_ids()[..2], *before.diff_ids());
    for (new, old) in after
        .manifest()
        .layers
        .iter()
        .zip(&before.manifest().layers)
    {
        assert_eq!(old.media_type, MediaType::from(DOCKER_LAYER));
        assert_eq!(new.media_type, MediaType::ImageLayerGzip);
        assert_eq!((&new.digest, new.size), (&old.digest, old.size));
    }
    let config = after.config();
    assert_eq!(config.label("a"), Some("<1>"));
    assert_eq!(config.config.env, ["PATH=/bin", "NEW=1"]);
    assert_eq!(config.config.stop_signal, "SIGTERM");
    let history: Vec<_> = config
        .history
        .iter()
        .map(|it| it.created_by.as_str())
        .collect();
    assert_eq!(history, ["base", "two", "app"]);
    assert_whole(&output);
}

#[test]
fn blobs_are_linked_where_they_can_be_and_copied_else() {
    let base = Fixture::oci();
    let image = base.open();
    let [linked, copied] = [0, 1].map(|it: usize| image.manifest().layers[it].digest.to_string());
    // A symbolic link in place of a blob cannot be linked: the link would be, not the blob.
    let path = base.blob_path(&copied);
    let moved = base.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &path).unwrap();

    let output = Layout::at(base.path().join("output"));
    build(&image, &output);
    let blob = |digest: &str| output.path().join("blobs").join(digest.replace(':', "/"));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&blob(&linked)), inode(&base.blob_path(&linked)));
    assert!(fs::symlink_metadata(blob(&copied)).unwrap().is_file());
    assert_ne!(inode(&blob(&copied)), inode(&moved));
    assert_whole(&output);
}

#[test]
fn the_same_inputs_make_the_same_manifest() {
    let (one, two) = (Fixture::oci(), Fixture::oci());
    let outputs = [&one, &two].map(|it| Layout::at(it.path().join("output")));
    let first = build(&one.open(), &outputs[0]);
    assert_eq!(build(&two.open(), &outputs[1]), first);
    assert_eq!(
        build(&one.open(), &outputs[0]),
        first,
        "and again over itself"
    );
}

/// LAY-025: the previous image's layout is the output's; its blobs stay until they are collected.
#[test]
fn a_layout_can_be_rebuilt_in_place() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    build(&base.open(), &output);
    let previous = open(&output);
    let app = previous.top_layer().unwrap().clone();

    let update = output.update().unwrap();
    let mut editor = ImageEditor::from_base(&base.open());
    editor.reuse(&previous, &app, made_by("again")).unwrap();
    let options = CommitOptions {
        ref_name: "v2".to_owned(),
        ..latest()
    };
    editor.commit(update, &options).unwrap();
    let image = open(&output);
    assert_ne!(image.digest(), previous.digest());
    assert_eq!(image.diff_ids(), previous.diff_ids());
    assert_whole(&output);

    assert_eq!(files(output.path()).len(), 9, "manifest and config of both");
    let collected = layout::gc::collect(&output).unwrap();
    assert_eq!(collected.removed.len(), 2);
    assert_eq!(files(output.path()).len(), 7);
    assert_whole(&output);
}

/// LAY-025.
#[test]
fn a_change_removes_nothing_that_was_there() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    let mut opened = Vec::new();
    for number in 0..4 {
        let mut update = output.update().unwrap();
        let layer = app_layer(&mut update, &format!("/app-{number}"));
        let mut editor = ImageEditor::from_base(&base.open());
        editor.append(&layer, made_by("app"));
        editor.commit(update, &latest()).unwrap();
        assert_whole(&output);
        opened.push(open(&output));
        assert_eq!(files(output.path()).len(), 7 + 3 * number);
    }
    // Whoever opened an image reads on until blobs are collected, and is told afterwards.
    let top = |image: &Image| {
        let layer = image.open_layer(image.top_layer().unwrap());
        layer.unwrap().is_some()
    };
    assert!(opened.iter().all(top), "still readable");
    let stale = layout::gc::stale(&output).unwrap();
    assert!(opened.iter().all(top), "nothing was removed yet");
    let collected = layout::gc::collect(&output).unwrap();
    assert_eq!(collected, stale);
    assert_eq!(collected.removed.len(), 9);
    assert!(collected.bytes > 0);
    assert_eq!(
        opened.iter().map(top).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    assert_whole(&output);
}

#[test]
fn a_collection_waits_for_a_change_to_end() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    build(&base.open(), &output);
    let mut update = output.update().unwrap();
    let layer = app_layer(&mut update, "/other");
    let collecting = std::thread::spawn({
        let output = output.clone();
        move || layout::gc::collect(&output).unwrap()
    });
    // Without the lock it would be through by now, and the blob that no index names yet would be gone.
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!collecting.is_finished());
    let mut editor = ImageEditor::from_base(&base.open());
    editor.append(&layer, made_by("app"));
    editor.commit(update, &latest()).unwrap();
    assert_eq!(collecting.join().unwrap().removed.len(), 3);
    assert_whole(&output);
}

#[test]
fn images_are_added_by_name() {
    let base = Fixture::oci();
    let docker = Fixture::docker();
    let output = Layout::at(base.path().join("output"));
    let names = || {
        let images = output.images().unwrap().unwrap();
        images
            .into_iter()
            .map(|it| (it.ref_name.unwrap(), it.descriptor.digest))
            .collect::<Vec<_>>()
    };
    output.add_from(&base.open(), "one").unwrap();
    output.add_from(&base.open(), "two").unwrap();
    let digest = base.open().digest().clone();
    let expected = ["one", "two"].map(|name| (name.to_owned(), digest.clone()));
    assert_eq!(names(), expected);
    output.add_from(&docker.open(), "one").unwrap();
    let found = names();
    assert_eq!((found[0].0.as_str(), &found[0].1), ("two", &digest));
    assert_eq!(found[1].0, "one");
    assert_ne!(found[1].1, digest);
    assert_whole(&output);
    // Each is still needed.
    assert_eq!(
        layout::gc::collect(&output).unwrap().removed,
        [""; 0].map(std::path::PathBuf::from)
    );
}

#[test]
fn blobs_that_may_be_shared_are_never_removed() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    build(&base.open(), &output);
    let (blobs, shared) = (output.path().join("blobs"), base.path().join("shared"));
    fs::rename(&blobs, &shared).unwrap();
    std::os::unix::fs::symlink(&shared, &blobs).unwrap();
    fs::write(shared.join("sha256").join("0".repeat(64)), "another's").unwrap();
    layout::gc::collect(&output).unwrap();
    assert_eq!(files(&shared).len(), 6);
}

/// LAY-020.
#[test]
fn base_layers_may_be_absent_or_left_out() {
    let base = Fixture::oci();
    let image = base.open();
    let output = Layout::at(base.path().join("output"));
    let options = CommitOptions {
        sparse: true,
        ..latest()
    };
    let editor = ImageEditor::from_base(&image);
    let committed = editor.commit(output.update().unwrap(), &options).unwrap();
    assert_eq!(committed.missing, [], "left out is not absent");
    assert_eq!(verify(&output, Options { sparse: true }).absent_layers, 2);
    assert_eq!(open(&output).diff_ids(), image.diff_ids());

    base.forget_layer(0);
    let output = Layout::at(base.path().join("other"));
    let committed = build(&image, &output);
    assert_eq!(committed.missing, image.diff_ids()[..1]);
    let report = verify(&output, Options { sparse: true });
    assert_eq!((report.absent_layers, report.problems.len()), (1, 0));
}

#[test]
fn a_failed_commit_leaves_everything_as_it_was() {
    let base = Fixture::oci();
    let other = Fixture::oci();
    let reused = other.open();
    let lost = reused.diff_ids()[1].clone();
    other.forget_layer(1);
    let damaged = Fixture::oci();
    let path = damaged.blob_path(damaged.open().manifest().layers[1].digest.as_ref());
    fs::write(path, "short").unwrap();
    let unknown = tar("un", b"known");
    let unknown = layout::DiffId(layout::digest::sha256(&gzip(unknown).tar));

    for exists in [false, true] {
        let output = Layout::at(base.path().join(format!("output-{exists}")));
        if exists {
            build(&base.open(), &output);
        }
        let before = files(base.path());

        let mut update = output.update().unwrap();
        app_layer(&mut update, "/lost");
        let mut editor = ImageEditor::from_base(&base.open());
        let error = editor
            .reuse(&reused, &unknown, History::default())
            .unwrap_err();
        assert!(matches!(error, Error::UnknownLayer(..)));
        editor.reuse(&reused, &lost, made_by("lost")).unwrap();
        if exists {
            // It is here already, so nothing is missing.
            editor.commit(update, &latest()).unwrap();
            continue;
        }
        let error = editor.commit(update, &latest()).unwrap_err();
        assert!(matches!(error, Error::MissingBlob(..)), "{error}");
        assert!(error.to_string().contains(&lost.to_string()));
        assert_eq!(files(base.path()), before);

        let mut update = output.update().unwrap();
        app_layer(&mut update, "/lost");
        let editor = ImageEditor::from_base(&damaged.open());
        let error = editor.commit(update, &latest()).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        assert_eq!(files(base.path()), before);
        assert!(!output.path().exists());
    }
}

#[test]
fn a_dropped_change_leaves_nothing() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("a/b/output"));
    let mut update = output.update().unwrap();
    app_layer(&mut update, "/app");
    assert_eq!(update.layout().path(), output.path());
    drop(update);
    assert!(!base.path().join("a").exists());

    build(&base.open(), &output);
    let before = files(base.path());
    let mut update = output.update().unwrap();
    app_layer(&mut update, "/app");
    app_layer(&mut update, "/other");
    drop(update);
    assert_eq!(files(base.path()), before);
}

#[test]
fn what_a_killed_writer_left_is_cleared() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    build(&base.open(), &output);
    let before = files(base.path());
    fs::write(output.path().join(".slipway-a1"), "half an index").unwrap();
    fs::write(
        output.path().join("blobs/sha256/.slipway-b2"),
        "half a blob",
    )
    .unwrap();
    assert_whole(&output);
    drop(output.update().unwrap());
    assert_eq!(files(base.path()), before);
}

#[test]
fn a_damaged_blob_in_the_output_is_replaced() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    build(&base.open(), &output);
    for (path, _) in files(&output.path().join("blobs")) {
        fs::remove_file(&path).unwrap();
        fs::write(&path, "damaged").unwrap();
    }
    build(&base.open(), &output);
    assert_whole(&output);
}

#[test]
fn two_writers_take_turns() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    let image = base.open();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                build(&image, &output);
                drop(output.update().unwrap());
            });
        }
    });
    assert_whole(&output);
    assert_eq!(files(output.path()).len(), 7);
}

#[test]
fn rebase_keeps_the_layers_of_the_app() {
    let old = Fixture::oci();
    let output = Layout::at(old.path().join("output"));
    build(&old.open(), &output);
    let app = open(&output);
    let new = Fixture::empty();
    let layer = gzip(tar("etc/new", b"3"));
    new.image(
        &[layer],
        DOCKER_MANIFEST,
        crate::kit::DOCKER_CONFIG,
        DOCKER_LAYER,
    );
    let new_base = new.open();

    let mut editor = ImageEditor::from_base(&app);
    editor
        .rebase(old.open().top_layer().unwrap(), &new_base)
        .unwrap();
    editor.commit(output.update().unwrap(), &latest()).unwrap();
    let image = open(&output);
    assert_eq!(
        image.diff_ids(),
        [
            new_base.diff_ids()[0].clone(),
            app.top_layer().unwrap().clone()
        ]
    );
    assert_eq!(image.manifest().layers[1], app.manifest().layers[2]);
    assert_eq!(image.config().history.len(), 2);
    assert_eq!(image.config().history[1].created_by, "app");
    assert_eq!(image.config().env("NEW"), Some("1"));
    assert_whole(&output);

    let mut editor = ImageEditor::from_base(&app);
    let error = editor.rebase(image.top_layer().unwrap(), &new_base);
    assert!(
        error.is_ok(),
        "the top layer of the app is one of its layers"
    );
    let stranger = new_base.top_layer().unwrap();
    let error = ImageEditor::from_base(&app)
        .rebase(stranger, &new_base)
        .unwrap_err();
    assert!(matches!(error, Error::NoBaseLayer(..)));
}

#[test]
fn an_image_is_copied_with_its_digest() {
    let base = Fixture::oci();
    let output = Layout::at(base.path().join("output"));
    let committed = build(&base.open(), &output);
    let tag = Layout::at(base.path().join("tag"));
    tag.copy_from(&open(&output), "v2").unwrap();
    assert_eq!(*open(&tag).digest(), committed.digest);
    assert_eq!(
        tag.images().unwrap().unwrap()[0].ref_name.as_deref(),
        Some("v2")
    );
    assert_whole(&tag);
    tag.copy_from(&open(&tag), "v3").unwrap();
    assert_whole(&tag);

    let docker = Fixture::docker();
    tag.copy_from(&docker.open(), "docker").unwrap();
    let copy = open(&tag);
    assert_eq!(copy.manifest().media_type, Some(MediaType::ImageManifest));
    assert_eq!(
        copy.manifest().config.digest,
        docker.open().manifest().config.digest
    );
    assert_whole(&tag);

    docker.forget_layer(0);
    let sparse = Layout::at(base.path().join("sparse"));
    sparse.copy_from(&docker.open(), "sparse").unwrap();
    assert_eq!(verify(&sparse, Options { sparse: true }).absent_layers, 1);
}

#[test]
fn an_image_can_begin_with_nothing() {
    let base = Fixture::empty();
    let output = base.layout();
    let mut update = output.update().unwrap();
    let mut editor = ImageEditor::empty(&layout::manifest::Platform::host());
    let layer = app_layer(&mut update, "/app");
    editor.append(&layer, made_by("app"));
    let options = CommitOptions::default();
    editor.commit(update, &options).unwrap();
    assert_whole(&output);
    let image = open(&output);
    assert_eq!(image.config().os, "linux");
    assert!(image.manifest().annotations.is_empty(), "no name was given");
}
