//! A build cache in a registry.

use tests::fault_proxy::Fault;

use super::*;

const CACHE: [&str; 2] = ["-cache-image", "%/cache"];
const LABEL: &str = "io.buildpacks.lifecycle.cache.metadata";

fn export(site: &Site, api: &str, more: &[&str]) -> String {
    let args = [&CACHE[..], more, &["%/app"]].concat();
    Ran::of(&mut site.at(api, "exporter", &args)).ok()
}

/// COM-091, RES-029, EXP-085, EXP-087.
#[test]
fn root_layers_come_back_from_a_cache_image() {
    let Some(site) = Site::open() else {
        return;
    };
    let log = site.until_export(&CACHE);
    assert!(log.contains("Layer cache not found\n"), "{log}");
    let log = export(&site, "0.13", &[]);
    for line in [
        "Layer cache not found",
        "Adding cache layer 'acme/hello:greeting'",
        "Adding cache layer 'acme/hello:scratch'",
    ] {
        assert!(log.contains(&format!("{line}\n")), "{line}: {log}");
    }
    let (manifest, config) = site.image("cache:latest");
    assert_eq!(manifest["mediaType"], image::MANIFEST);
    assert_eq!(
        (&config["os"], &config["architecture"]),
        (&"linux".into(), &"".into())
    );
    assert_eq!(config["created"], "1980-01-01T00:00:01Z");
    for entry in config["history"].as_array().unwrap() {
        assert_eq!(entry["created"], "1980-01-01T00:00:01Z");
    }
    let label: Value =
        serde_json::from_str(config["config"]["Labels"][LABEL].as_str().unwrap()).unwrap();
    let layers = &label["buildpacks"][0]["layers"];
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    assert_eq!(diff_ids.len(), 2);
    for name in ["greeting", "scratch"] {
        assert!(diff_ids.contains(&layers[name]["sha"]), "{label}");
    }

    site.build.forget_layers();
    let log = site.until_export(&CACHE);
    assert!(
        log.contains("Restoring data for \"acme/hello:greeting\" from cache"),
        "{log}"
    );
    assert!(log.contains("reusing the greeting"), "{log}");
    let before = site.digest("cache:latest");
    let log = export(&site, "0.13", &[]);
    assert!(
        log.contains("Reusing cache layer 'acme/hello:greeting'\n"),
        "{log}"
    );
    assert_eq!(site.digest("cache:latest"), before);
}

/// COM-091: images may be in layouts.
#[test]
fn root_a_cache_image_is_in_a_registry_wherever_images_are() {
    let Some(site) = Site::open() else {
        return;
    };
    for expected in ["making a greeting", "reusing the greeting"] {
        site.build.forget_layers();
        let args = [&CACHE[..], &["-run-image", "run", "app"]].concat();
        let mut command = site.phase("creator", &args);
        let log = Ran::of(command.env("CNB_USE_LAYOUT", "true")).ok();
        assert!(log.contains(expected), "{log}");
    }
    assert_eq!(site.digest("app:latest"), None);
}

/// COM-091: an image without a layer would be refused by registries.
#[test]
fn root_a_cache_of_nothing_has_a_layer_of_zeros() {
    let Some(site) = Site::open() else {
        return;
    };
    site.build.buildpack("acme/hello", "#!/bin/sh\n");
    site.until_export(&CACHE);
    export(&site, "0.13", &[]);
    let (_, config) = site.image("cache:latest");
    assert_eq!(
        config["rootfs"]["diff_ids"],
        serde_json::json!([image::digest(&[0; 1024])])
    );
    // It is a cache like any other.
    let log = site.until_export(&CACHE);
    assert!(!log.contains("Layer cache not found"), "{log}");
}

/// COM-092.
#[test]
fn root_the_cache_image_before_is_deleted_below_0_13() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.until_export(&CACHE);
    export(&site, "0.12", &[]);
    for (api, number, deleted) in [("0.12", 1, true), ("0.13", 2, false)] {
        let before = site.digest("cache:latest").unwrap();
        site.build
            .write("layers/acme_hello/scratch/file", &number.to_string());
        export(&site, api, &[]);
        assert_ne!(site.digest("cache:latest").unwrap(), before);
        let there = site.registry.blob("cache", &before);
        assert_eq!(there.is_none(), deleted, "{api}");
    }
    // One that cannot be deleted is only a warning, and the same one is not.
    proxy.fail(
        "DELETE",
        "/cache/manifests/",
        Fault::Answer(405, Vec::new(), "{}".to_owned()),
        9,
    );
    let asked = proxy.seen("DELETE", "/cache/manifests/").len();
    assert!(!export(&site, "0.12", &[]).contains("Unable to delete"));
    assert_eq!(proxy.seen("DELETE", "/cache/manifests/").len(), asked);
    site.build.write("layers/acme_hello/scratch/file", "3");
    let log = export(&site, "0.12", &[]);
    assert!(
        log.contains("Warning: Unable to delete cache image: "),
        "{log}"
    );
}

/// COM-093.
#[test]
fn root_a_cache_image_that_lacks_a_layer_is_ignored() {
    let Some(site) = Site::open() else {
        return;
    };
    site.until_export(&CACHE);
    export(&site, "0.13", &[]);
    let (manifest, _) = site.image("cache:latest");
    let lost = manifest["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let link = format!("repositories/cache/_layers/{lost}/link");
    fs::remove_file(site.registry.storage().join(link)).unwrap();
    site.build.forget_layers();
    let log = site.until_export(&CACHE);
    let expected = format!(
        "Ignoring cache image \"{}\" because it was corrupt\n",
        site.name("cache")
    );
    assert!(log.contains(&expected), "{log}");
    assert!(log.contains("making a greeting"), "{log}");
    export(&site, "0.13", &[]);
    site.build.forget_layers();
    assert!(site.until_export(&CACHE).contains("reusing the greeting"));
}

/// EXP-085: the app image is there whatever becomes of the cache.
#[test]
fn root_a_cache_image_that_cannot_be_written_is_a_warning() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.until_export(&CACHE);
    for parallel in ["-parallel=false", "-parallel"] {
        proxy.fail(
            "PUT",
            "/cache/manifests/",
            Fault::Answer(403, Vec::new(), "{}".to_owned()),
            1,
        );
        let log = export(&site, "0.13", &[parallel]);
        assert!(
            log.contains("Warning: Failed to export cache: committing cache: saving image "),
            "{log}"
        );
        assert!(site.digest("app:latest").is_some());
        assert_eq!(site.digest("cache:latest"), None);
    }
}

/// EXP-086: at the same time, and the cache is not there before the image is.
#[test]
fn root_image_and_cache_image_are_exported_at_once() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.until_export(&CACHE);
    proxy.fail(
        "PUT",
        "/app/manifests/",
        Fault::Answer(403, Vec::new(), "{}".to_owned()),
        1,
    );
    let args = [&CACHE[..], &["-parallel", "%/app"]].concat();
    let ran = site.run("exporter", &args);
    assert_eq!(ran.code, 62, "{}", ran.text);
    assert_eq!(site.digest("cache:latest"), None);

    let log = export(&site, "0.13", &["-parallel"]);
    assert!(
        log.contains("Adding cache layer 'acme/hello:greeting'\n"),
        "{log}"
    );
    let (parallel, image) = (site.digest("cache:latest"), site.digest("app:latest"));
    site.run("exporter", &[&CACHE[..], &["%/app"]].concat())
        .ok();
    assert_eq!(
        (site.digest("cache:latest"), site.digest("app:latest")),
        (parallel, image)
    );
}
