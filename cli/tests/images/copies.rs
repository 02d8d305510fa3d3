//! `slipway layout copy` between layouts, registries, daemons and archives, with other people's programs as judges.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::engine::{Daemon, KINDS};
use tests::fault_proxy::{Fault, FaultProxy};
use tests::program::{requires, run};
use tests::registry::Registry;

use crate::kit::{Site, open};

#[test]
fn foreign_what_a_registry_gets_is_the_same_image() {
    if !Registry::is_possible() || !requires(&["skopeo", "crane"]) {
        return;
    }
    let (registry, site) = (Registry::start(), Site::with_app());
    let app = open(&site.path("app"));
    let to = format!("docker://{}", registry.name("some/app:v2"));
    let out = site.slipway(&["layout", "copy", "oci:app", &to]).ok();
    assert_eq!(out, format!("{to} {}\n", app.digest()));
    let seen = run("skopeo", &["inspect", "--tls-verify=false", &to]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["Digest"], app.digest().to_string());
    run(
        "crane",
        &[
            "validate",
            "--insecure",
            "--remote",
            &registry.name("some/app:v2"),
        ],
    );

    // To another repository, from one registry to another, and back.
    let other = Registry::start();
    let there = format!("docker://{}", other.name("app"));
    site.slipway(&["layout", "copy", &to, &there]).ok();
    site.slipway(&["layout", "copy", &there, "oci:back"]).ok();
    assert_eq!(open(&site.path("back")).digest(), app.digest());
    site.slipway(&["layout", "verify", "back"]).ok();
    // Nothing of it is a name in the layout repo now.
    let repo = site.path("home/layout-repo").join(other.address());
    assert!(!repo.exists());
}

#[test]
fn layers_that_an_image_lacks_are_looked_for_before_it_is_pushed() {
    if !Registry::is_possible() {
        return;
    }
    let (registry, site) = (Registry::start(), Site::with_app());
    let app = open(&site.path("app"));
    let base = &app.manifest().layers[0].digest;
    let blob = app.blobs().path(base).unwrap();
    fs_err::remove_file(&blob).unwrap();
    let to = format!("docker://{}", registry.name("app"));
    site.slipway(&["layout", "copy", "oci:app", &to]).ok();
    fs_err::remove_dir_all(site.path("home/layout-repo")).unwrap();
    let other = Registry::start();
    let to = format!("docker://{}", other.name("app"));
    site.slipway(&["layout", "copy", "oci:app", &to])
        .fails_with(&["failed to copy oci:app", base.as_ref()]);
    site.slipway(&["inspect", &to])
        .fails_with(&["there is no image"]);
}

#[test]
fn foreign_archives_are_written_for_everybody() {
    if !requires(&["skopeo"]) {
        return;
    }
    let site = Site::with_app();
    let app = open(&site.path("app"));
    site.slipway(&["layout", "copy", "oci:app", "oci-archive:app.tar:v3"])
        .ok();
    let archive = format!("oci-archive:{}:v3", site.path("app.tar").display());
    let seen: Value = serde_json::from_str(&run("skopeo", &["inspect", &archive])).unwrap();
    assert_eq!(seen["Digest"], app.digest().to_string());
    site.slipway(&["layout", "copy", "oci-archive:app.tar", "oci:back"])
        .ok();
    assert_eq!(open(&site.path("back")).digest(), app.digest());
    let first = fs_err::read(site.path("app.tar")).unwrap();
    site.slipway(&["layout", "copy", "oci:app", "oci-archive:app.tar:v3"])
        .ok();
    assert!(first == fs_err::read(site.path("app.tar")).unwrap());
    let names = fs_err::read_dir(site.path("")).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    assert!(
        !names.into_iter().any(|it| it.starts_with('.')),
        "nothing is left"
    );
}

#[test]
fn foreign_daemons_take_images_and_give_them_back() {
    for kind in KINDS {
        let Some(daemon) = Daemon::start(kind) else {
            return;
        };
        let (host, site) = (daemon.host(), Site::with_app());
        let env = [("DOCKER_HOST", host.as_str())];
        let copy = |from: &str, to: &str| site.slipway_with(&env, &["layout", "copy", from, to]);
        let out = copy("oci:app", "docker-daemon:some/app:v2").ok();
        let id = daemon.run(&["image", "inspect", "--format", "{{.Id}}", "some/app:v2"]);
        let id = id.trim().trim_start_matches("sha256:");
        assert!(out.trim_end().ends_with(id), "{kind:?}: {out}{id}");
        let config = open(&site.path("app")).manifest().config.digest.to_string();
        assert!(config.ends_with(id), "{kind:?}: {config} {id}");

        copy("docker-daemon:some/app:v2", "oci:back").ok();
        let (back, app) = (open(&site.path("back")), open(&site.path("app")));
        assert_eq!(back.diff_ids(), app.diff_ids());
        assert_eq!(back.manifest().config.digest, app.manifest().config.digest);
        site.slipway(&["layout", "verify", "back"]).ok();
        copy("docker-daemon:absent", "oci:none").fails_with(&["has no image absent", &host]);
    }
    let site = Site::with_app();
    let env = [("DOCKER_HOST", "unix:///nowhere.sock")];
    let args = ["layout", "copy", "oci:app", "docker-daemon:app"];
    site.slipway_with(&env, &args)
        .fails_with(&["unix:///nowhere.sock"]);
}

#[test]
fn who_waits_for_a_push_is_told_of_its_layers() {
    if !Registry::is_possible() {
        return;
    }
    let (registry, site) = (Registry::start(), Site::with_app());
    let proxy = FaultProxy::before(&registry.address());
    let push = |name: &str| {
        let to = format!("docker://{}", proxy.name(name));
        let ran = site.slipway(&["layout", "copy", "oci:app", &to]);
        assert_eq!(ran.status, 0, "{}", ran.err);
        ran.err
    };
    // A short wait needs no words (a busy machine may make it a long one), and neither does what is there.
    let begin = Instant::now();
    let said = push("some/app");
    if begin.elapsed() < Duration::from_secs(1) {
        assert_eq!(said, "");
    }
    let late = || Fault::Late(Duration::from_millis(1200));
    proxy.fail("HEAD", "/some/app/blobs/", late(), 9);
    assert_eq!(push("some/app:again"), "");
    proxy.forget();

    let layers = open(&site.path("app")).manifest().layers.clone();
    let of = layers.len();
    proxy.fail("PATCH", "/late/app/blobs/uploads/", late(), of);
    let said = push("late/app");
    assert_eq!(said.lines().count(), of, "{said}");
    for layer in &layers {
        let hex = &layer.digest.digest()[..12];
        let line = format!("Pushed layer {hex} of {}, ", proxy.name("late/app"));
        assert!(said.contains(&line), "{said}");
    }
    assert!(said.contains(&format!(" ({of} of {of})\n")), "{said}");
}
