//! Images written to a registry and read from it.

use std::io::Read as _;

use layout::editor::CommitOptions;
use layout::layer::WriteOptions;
use layout::manifest::Platform;
use layout::{Draft, History, ImageEditor, Layout, Selector};
use registry::Error;
use serde_json::{Value, json};
use tests::fault_proxy::{Fault, FaultProxy};
use tests::image::{DOCKER_LIST, DOCKER_MANIFEST, INDEX, Sample, plain};
use tests::program::{requires, run};
use tests::registry::Registry;

use crate::kit::{chain, client, layer, read_whole, reference, write};

fn skopeo(args: &[&str]) -> String {
    let mut all = vec!["--insecure-policy"];
    all.extend(args);
    run("skopeo", &all)
}

fn can_run() -> bool {
    Registry::is_possible() && requires(&["skopeo"])
}

#[test]
fn foreign_an_image_is_pushed_and_another_client_reads_it() {
    if !can_run() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let name = registry.name("some/app:v1");
    let layers = [layer(dir.path(), 1, 3 << 20), layer(dir.path(), 2, 10)];
    let draft = client().push(&reference(&name)).into();
    let committed = write(draft, &layers, "v1").unwrap();

    let copy = format!("oci:{}:v1", dir.path().join("copy").display());
    skopeo(&[
        "copy",
        "--src-tls-verify=false",
        &format!("docker://{name}"),
        &copy,
    ]);
    let copied = Layout::at(dir.path().join("copy"));
    let copied = copied.image(&Selector::default()).unwrap().unwrap();
    assert_eq!(copied.digest(), &committed.digest);

    let image = read_whole(&client(), &name).unwrap();
    assert_eq!(image.digest(), &committed.digest);
    assert_eq!(image.manifest_size(), committed.manifest_size);
    let by_digest = registry.name(&format!("some/app@{}", committed.digest));
    assert_eq!(
        read_whole(&client(), &by_digest).unwrap().digest(),
        &committed.digest
    );

    // The same image in a layout is the same image.
    let layout = Layout::at(dir.path().join("layout"));
    let in_layout = write(layout.update().unwrap().into(), &layers, "v1").unwrap();
    assert_eq!(in_layout.digest, committed.digest);
}

#[test]
fn foreign_images_of_both_families_and_their_indexes_are_read() {
    if !can_run() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    for (docker, list_type, family) in [(false, INDEX, "oci"), (true, DOCKER_LIST, "v2s2")] {
        let layout = dir.path().join(family);
        let images: Vec<_> = ["amd64", "arm64"]
            .map(|architecture| {
                let sample = Sample {
                    docker,
                    architecture,
                    ..Sample::plain()
                };
                sample.write(&layout)
            })
            .into();
        let name = format!("some/{family}");
        for image in &images {
            registry.take_image(&name, &layout, image);
        }
        let list = json!({"schemaVersion": 2, "mediaType": list_type, "manifests": images});
        let list = list.to_string();
        registry.take_manifest(&name, "latest", list_type, list.as_bytes());

        let tag = reference(&registry.name(&format!("{name}:latest")));
        let fetched = client().fetch(&tag).unwrap().unwrap();
        assert_eq!(fetched.bytes, list.as_bytes());
        assert_eq!(fetched.descriptor.media_type.to_string(), list_type);
        for (architecture, image) in ["amd64", "arm64"].iter().zip(&images) {
            let selector = Selector {
                platform: Some(Platform {
                    os: "linux".to_owned(),
                    architecture: (*architecture).to_owned(),
                    ..Platform::default()
                }),
                ..Selector::default()
            };
            let found = client().image(&tag, &selector).unwrap().unwrap();
            assert_eq!(json!(found.digest().to_string()), image["digest"]);
            let mut content = Vec::new();
            let layer = found.open_layer(&found.diff_ids()[0]).unwrap();
            layer.unwrap().read_to_end(&mut content).unwrap();
            assert!(content.len() > 512);
        }
        let selector = Selector {
            platform: Some(Platform {
                os: "plan9".to_owned(),
                ..Platform::default()
            }),
            ..Selector::default()
        };
        let error = client().image(&tag, &selector).unwrap_err();
        assert!(matches!(error, Error::Index(_)), "{error:?}");
        let text = skopeo(&[
            "inspect",
            "--raw",
            "--tls-verify=false",
            &format!("docker://{tag}"),
        ]);
        assert_eq!(text.trim(), list);
    }
}

/// A Docker base stays one, its layer is mounted and not sent, and the new layer is Docker's as well.
#[test]
fn foreign_a_base_of_the_same_registry_is_mounted() {
    if !can_run() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let sample = Sample {
        docker: true,
        ..Sample::plain()
    };
    let base_layout = dir.path().join("base");
    let image = sample.write(&base_layout);
    registry.take_image("bases/run", &base_layout, &image);
    let digest = image["digest"].as_str().unwrap();

    let proxy = FaultProxy::before(&registry.address());
    let client = client();
    let base = reference(&proxy.name(&format!("bases/run@{digest}")));
    let base = client.image(&base, &Selector::default()).unwrap().unwrap();
    let name = proxy.name("some/app:v1");
    let mut push: Box<dyn Draft> = client.push(&reference(&name)).into();
    let added = layer(dir.path(), 1, 100);
    let written = push
        .write_layer(&added, &WriteOptions::default(), None)
        .unwrap();
    let mut editor = ImageEditor::from_base(&base);
    editor.append(&written, History::default());
    let committed = editor.commit(push, &CommitOptions::default()).unwrap();

    assert_eq!(proxy.seen("POST", "mount=").len(), 1);
    let sent = |part| proxy.seen("PATCH", part).len() + proxy.seen("PUT", part).len();
    assert_eq!(
        sent("/blobs/uploads/"),
        3,
        "a layer in two steps, and the config"
    );
    let raw = skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{}", registry.name("some/app:v1")),
    ]);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(manifest["mediaType"], DOCKER_MANIFEST);
    let layers = manifest["layers"].as_array().unwrap();
    for layer in layers {
        let expected = "application/vnd.docker.image.rootfs.diff.tar.gzip";
        assert_eq!(layer["mediaType"], expected);
    }
    assert_eq!(layers.len(), 2);

    // Further names: in the same repository by a manifest alone, in another one by mounts.
    let image = client.image(&reference(&name), &Selector::default());
    let image = image.unwrap().unwrap();
    for (other, mounts) in [("some/app:v2", 1), ("some/other:v1", 3)] {
        let other = proxy.name(other);
        client.copy(&image, &reference(&other)).unwrap();
        assert_eq!(
            read_whole(&client, &other).unwrap().digest(),
            &committed.digest
        );
        assert_eq!(proxy.seen("POST", "mount=").len(), mounts, "{other}");
    }
    assert_eq!(
        sent("/blobs/uploads/"),
        4,
        "the config, to the other repository"
    );
}

#[test]
fn an_image_is_copied_from_a_layout_and_only_what_is_missing_is_sent() {
    if !can_run() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let layout = Layout::at(dir.path().join("layout"));
    let layers: Vec<_> = (0..6).map(|at| layer(dir.path(), at, 200_000)).collect();
    let committed = write(layout.update().unwrap().into(), &layers, "x").unwrap();
    let image = layout.image(&Selector::default()).unwrap().unwrap();

    let proxy = FaultProxy::before(&registry.address());
    let name = proxy.name("some/app");
    client().copy(&image, &reference(&name)).unwrap();
    assert_eq!(
        read_whole(&client(), &name).unwrap().digest(),
        &committed.digest
    );
    assert_eq!(proxy.seen("PATCH", "/blobs/uploads/").len(), 6);
    client().copy(&image, &reference(&name)).unwrap();
    assert_eq!(
        proxy.seen("PATCH", "/blobs/uploads/").len(),
        6,
        "nothing is sent twice"
    );

    // A layer that is nowhere.
    let blobs = layout.path().join("blobs/sha256");
    let other = image.manifest().layers[3].digest.digest().to_owned();
    fs_err::remove_file(blobs.join(&other)).unwrap();
    let name = registry.name("other/app");
    let error = client().copy(&image, &reference(&name)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(&other) && text.contains("other/app"),
        "{text}"
    );
    assert!(
        client().fetch(&reference(&name)).unwrap().is_none(),
        "{text}"
    );
}

#[test]
fn foreign_an_image_of_another_client_is_pulled_into_a_layout() {
    if !can_run() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let source = dir.path().join("source");
    plain(&source);
    let name = registry.name("some/app:v1");
    let place = format!("docker://{name}");
    let from = format!("oci:{}", source.display());
    skopeo(&["copy", "--dest-tls-verify=false", &from, &place]);

    let image = client().image(&reference(&name), &Selector::default());
    let image = image.unwrap().unwrap();
    let pulled = Layout::at(dir.path().join("pulled"));
    pulled.copy_from(&image, "v1").unwrap();
    let path = format!("oci:{}:v1", pulled.path().display());
    let digest = skopeo(&["inspect", "--format", "{{.Digest}}", &path]);
    assert_eq!(digest.trim(), image.digest().to_string());
    let copy = format!("dir:{}", dir.path().join("copy").display());
    skopeo(&["copy", &path, &copy]);
}

#[test]
fn an_image_goes_from_one_registry_to_another() {
    if !can_run() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (Registry::start(), Registry::start());
    let layers = [1, 2].map(|seed| layer(dir.path(), seed, 500_000));
    let name = reference(&first.name("some/app"));
    let committed = write(client().push(&name).into(), &layers, "latest").unwrap();
    let image = client().image(&name, &Selector::default());
    let image = image.unwrap().unwrap();

    let before = FaultProxy::before(&second.address());
    let other = before.name("other/app:v1");
    client().copy(&image, &reference(&other)).unwrap();
    let copied = read_whole(&client(), &other).unwrap();
    assert_eq!(copied.digest(), &committed.digest);
    assert!(before.seen("POST", "mount=").is_empty());

    // The blob is lost in the first one meanwhile.
    let digest = image.manifest().layers[0].digest.digest();
    let blob = first.storage().join("blobs/sha256").join(&digest[..2]);
    fs_err::remove_dir_all(blob.join(digest)).unwrap();
    let error = client().copy(&image, &reference(&second.name("third/app")));
    let text = error.unwrap_err().to_string();
    let expected = format!(
        "is neither in {} nor in {}",
        second.address(),
        first.address()
    );
    assert!(text.contains(&expected), "{text}");
}

/// COM-056.
#[test]
fn access_is_what_the_registry_does_not_refuse() {
    if !can_run() {
        return;
    }
    let registry = Registry::start();
    let name = reference(&registry.name("no/such:image"));
    client().can_read(&name).unwrap();
    client().can_read_and_write(&name).unwrap();
    assert!(
        client()
            .image(&name, &Selector::default())
            .unwrap()
            .is_none()
    );

    let proxy = FaultProxy::before(&registry.address());
    let name = reference(&proxy.name("some/app"));
    for (status, readable) in [(401, false), (403, false), (404, true), (500, true)] {
        let answer = Fault::Answer(status, Vec::new(), String::new());
        proxy.fail(
            "HEAD",
            "/manifests/",
            answer,
            if status == 500 { 4 } else { 1 },
        );
        assert_eq!(client().can_read(&name).is_ok(), readable, "{status}");
    }
    for status in [401, 403, 404, 405] {
        proxy.fail(
            "POST",
            "/uploads/",
            Fault::Answer(status, Vec::new(), String::new()),
            1,
        );
        let error = client().can_read_and_write(&name).unwrap_err();
        assert_eq!(error.status(), Some(status), "{error}");
    }
    let address = proxy.address();
    drop(proxy);
    let error = client()
        .can_read(&reference(&format!("{address}/app")))
        .unwrap_err();
    let text = chain(&error);
    assert!(
        text.contains(&address) && text.contains("onnection refused"),
        "{text}"
    );
}
