//! Images by name come from registries into the layout repo: once, only what is missing, and as the settings say.

use serde_json::{Value, json};
use tests::fault_proxy::FaultProxy;
use tests::image::INDEX;
use tests::program::run;
use tests::registry::{PASSWORD, Registry, USER};

use crate::kit::{Site, app_image, open, run_image};

/// A registry that is watched, and a site of the run image `run` and the app image `app` that were pushed there.
fn watched() -> Option<(Registry, FaultProxy, Site)> {
    if !Registry::is_possible() {
        return None;
    }
    let (registry, site) = (Registry::start(), Site::new());
    let proxy = FaultProxy::before(&registry.address());
    run_image(&site.path("run"), "1");
    app_image(&site.path("app"), "v1", &site.path("run"), &|_| {});
    site.push("oci:run", &registry.name("run:1"));
    site.push("oci:app", &registry.name("app"));
    Some((registry, proxy, site))
}

#[test]
fn an_image_that_is_not_here_is_pulled_once() {
    let Some((_registry, proxy, site)) = watched() else {
        return;
    };
    let name = proxy.name("run:1");
    site.slipway(&["layout", "copy", &name, "oci:copy"]).ok();
    let place = site.path(&format!("home/layout-repo/{}/run/1", proxy.address()));
    let pulled = open(&place);
    assert_eq!(pulled.digest(), open(&site.path("run")).digest());
    site.slipway(&["layout", "verify", &place.display().to_string()])
        .ok();
    let left = fs_err::read_dir(site.path("home/layout-repo/.slipway/pulls"));
    assert_eq!(left.unwrap().count(), 0);

    let asked = proxy.seen("GET", "").len();
    site.slipway(&["layout", "copy", &name, "oci:copy2"]).ok();
    assert_eq!(proxy.seen("GET", "").len(), asked, "it is here now");
}

#[test]
fn a_policy_says_when_images_are_pulled() {
    let Some((_registry, proxy, site)) = watched() else {
        return;
    };
    let name = proxy.name("run:1");
    let copy = || site.slipway(&["layout", "copy", &name, "oci:copy"]);
    site.set("pull-policy = \"never\"\n");
    copy().fails_with(&[
        "no image ",
        "in the layout repo",
        "slipway layout copy oci:DIR",
    ]);
    assert!(proxy.seen("GET", "").is_empty());

    site.set("pull-policy = \"always\"\n");
    copy().ok();
    let layers = || proxy.seen("GET", "/blobs/").len();
    let before = layers();
    copy().ok();
    // Manifest and config are looked at, no layer.
    assert_eq!(layers(), before + 1);

    // What the registry has under that name now.
    run_image(&site.path("run"), "2");
    site.push("oci:run", &name);
    copy().ok();
    let place = site.path(&format!("home/layout-repo/{}/run/1", proxy.address()));
    assert_eq!(open(&site.path("run")).digest(), open(&place).digest());
}

#[test]
fn layers_that_are_here_already_are_not_fetched() {
    let Some((_registry, proxy, site)) = watched() else {
        return;
    };
    site.slipway(&["layout", "copy", &proxy.name("run:1"), "oci:a"])
        .ok();
    site.slipway(&["layout", "copy", &proxy.name("app"), "oci:b"])
        .ok();
    let app = open(&site.path("app"));
    for (at, (_, layer)) in app.layers().enumerate() {
        let asked: Vec<_> = proxy.seen("GET", "/blobs/");
        let asked = asked
            .iter()
            .filter(|it| it.target.contains(layer.digest.as_ref()));
        assert_eq!(asked.count(), 1, "layer {at}: the run image's came with it");
    }
}

#[test]
fn of_several_platforms_this_machine_s_is_pulled() {
    let Some((registry, proxy, site)) = watched() else {
        return;
    };
    let run = open(&site.path("run"));
    let manifest = |architecture: &str, digest: &str| {
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest, "size": run.manifest_size(),
            "platform": {"os": "linux", "architecture": architecture},
        })
    };
    let host = layout::manifest::Platform::host().architecture;
    let foreign = if host == "amd64" { "arm64" } else { "amd64" };
    let other = open(&site.path("app"));
    let mut list = [
        manifest(foreign, other.digest().as_ref()),
        manifest(&host, run.digest().as_ref()),
    ];
    list[0]["size"] = other.manifest_size().into();
    // Both have to be in the same repository.
    site.push("oci:app", &registry.name("run:app"));
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": list});
    registry.take_manifest("run", "multi", INDEX, index.to_string().as_bytes());

    let name = proxy.name("run:multi");
    site.slipway(&["layout", "copy", &name, "oci:multi"]).ok();
    assert_eq!(open(&site.path("multi")).digest(), run.digest());
}

#[test]
fn a_look_at_an_image_fetches_no_layer() {
    let Some((_registry, proxy, site)) = watched() else {
        return;
    };
    let name = proxy.name("app");
    let seen = site.slipway(&["inspect", &name, "--output", "json"]).ok();
    let seen: Value = serde_json::from_str(&seen).unwrap();
    let app = open(&site.path("app"));
    assert_eq!(seen["digest"], app.digest().to_string());
    assert_eq!(proxy.seen("GET", "/blobs/").len(), 1, "the config");
    assert!(!site.path("home/layout-repo").exists());
    site.slipway(&["sbom", "download", &name]).ok();
    assert_eq!(
        proxy.seen("GET", "/blobs/").len(),
        3,
        "config and one layer"
    );
    assert!(site.path("layers/sbom/launch/acme_java").is_dir());
}

#[test]
fn images_of_docker_s_types_become_oci_s_and_are_known_again() {
    if !Registry::is_possible() || !tests::program::requires(&["skopeo"]) {
        return;
    }
    let (registry, site) = (Registry::start(), Site::new());
    let proxy = FaultProxy::before(&registry.address());
    run_image(&site.path("run"), "1");
    let to = format!("docker://{}", registry.name("docker"));
    let from = format!("oci:{}:latest", site.path("run").display());
    run(
        "skopeo",
        &[
            "copy",
            "-q",
            "--format",
            "v2s2",
            "--dest-tls-verify=false",
            &from,
            &to,
        ],
    );
    site.set("pull-policy = \"always\"\n");
    let copy = || {
        site.slipway(&["layout", "copy", &proxy.name("docker"), "oci:copy"])
            .ok()
    };
    copy();
    let image = open(&site.path("copy"));
    assert!(!image.manifest().is_docker());
    let before = proxy.seen("GET", "/blobs/").len();
    copy();
    assert_eq!(proxy.seen("GET", "/blobs/").len(), before + 1, "the config");
}

#[test]
fn registries_are_shown_who_asks_and_checked_who_they_are() {
    if !Registry::is_possible() {
        return;
    }
    let (registry, site) = (Registry::with_password(), Site::with_app());
    let name = registry.name("run");
    let to = format!("docker://{name}");
    let copy = |env: &[(&str, &str)]| site.slipway_with(env, &["layout", "copy", "run", &to]);
    copy(&[]).fails_with(&["401", &registry.address()]);

    // A helper program knows it.
    let docker = site.path("docker");
    fs_err::create_dir(&docker).unwrap();
    let helper = site.path("docker-credential-test");
    let answer = json!({"Username": USER, "Secret": PASSWORD});
    fs_err::write(
        &helper,
        format!("#!/bin/sh\ncat >/dev/null\necho '{answer}'\n"),
    )
    .unwrap();
    run("chmod", &["+x", &helper.display().to_string()]);
    let helpers = json!({"credHelpers": {registry.address(): "test"}});
    fs_err::write(docker.join("config.json"), helpers.to_string()).unwrap();
    let path = format!("{}:/usr/bin:/bin", site.path("").display());
    let docker = docker.display().to_string();
    let env = [("DOCKER_CONFIG", docker.as_str()), ("PATH", path.as_str())];
    copy(&env).ok();
    site.slipway_with(&env, &["layout", "copy", &to, "oci:back"])
        .ok();
    let here = site.repo("library/run/latest");
    assert_eq!(open(&site.path("back")).digest(), open(&here).digest());

    let registry = Registry::with_tls();
    let to = format!("docker://{}", registry.name("run"));
    let copy = |env: &[(&str, &str)], more: &[&str]| {
        let args = ["layout", "copy", "run", &to];
        site.slipway_with(env, &[&args[..], more].concat())
    };
    copy(&[("SSL_CERT_DIR", "/nowhere")], &[]).fails_with(&[&registry.address()]);
    let ca = registry.ca().display().to_string();
    copy(&[("SSL_CERT_FILE", &ca)], &[]).ok();
    let address = registry.address();
    copy(&[], &["--insecure-registry", &address]).ok();
    site.slipway(&["config", "insecure-registries", "add", &address])
        .ok();
    copy(&[], &[]).ok();
    let listed = site.slipway(&["config", "insecure-registries"]).ok();
    assert_eq!(listed, format!("{address}\n"));
    site.slipway(&["config", "insecure-registries", "remove", &address])
        .ok();
    copy(&[], &[]).fails_with(&[&address]);
}

#[test]
fn a_mirror_is_asked_instead_and_names_stay() {
    let Some((_registry, proxy, site)) = watched() else {
        return;
    };
    site.set(&format!(
        "[registry-mirrors]\n\"registry.invalid\" = \"{}\"\n",
        proxy.address()
    ));
    site.slipway(&["layout", "copy", "registry.invalid/run:1", "oci:copy"])
        .ok();
    let place = site.path("home/layout-repo/registry.invalid/run/1");
    assert_eq!(open(&place).digest(), open(&site.path("run")).digest());
}

#[test]
fn a_registry_that_has_nothing_or_is_not_there_is_named_with_a_way_out() {
    let Some((mut registry, proxy, site)) = watched() else {
        return;
    };
    let copy = |name: &str| site.slipway(&["layout", "copy", name, "oci:copy"]);
    let absent = registry.name("absent:1");
    let hint = format!("slipway layout copy oci:DIR {absent}");
    copy(&absent).fails_with(&["there is no image", &absent, &registry.address(), &hint]);
    copy(&format!("docker://{absent}")).fails_with(&["there is no image", &absent]);
    registry.stop();
    let name = registry.name("run:1");
    let hint = format!("slipway layout copy oci:DIR {name}");
    copy(&name).fails_with(&["no answer from", &registry.address(), &name, &hint]);
    assert!(!site.path("copy").exists());
    drop(proxy);
}
