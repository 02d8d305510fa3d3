//! A build cache in a registry.

use tests::build::BUILD_HELLO;
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

/// Returns the descriptor of the layer that image and cache both get.
fn greeting(image: &(Value, Value), label: &Value) -> Value {
    let (manifest, config) = image;
    let sha = &label["buildpacks"][0]["layers"]["greeting"]["sha"];
    let diff_ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    let place = diff_ids.iter().position(|it| it == sha).expect("a layer");
    manifest["layers"][place].clone()
}

fn cache_label(cache: &(Value, Value)) -> Value {
    let label = cache.1["config"]["Labels"][LABEL].as_str().unwrap();
    serde_json::from_str(label).unwrap()
}

/// EXP-085: what the app image has is mounted; what the cache alone has is sent.
#[test]
fn root_a_cache_image_takes_layers_of_the_app_image_over() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.until_export(&CACHE);
    let log = export(&site, "0.13", &[]);
    assert!(
        log.contains("Adding cache layer 'acme/hello:greeting'\n"),
        "{log}"
    );
    let (app, cache) = (site.image("app:latest"), site.image("cache:latest"));
    let label = cache_label(&cache);
    let shared = greeting(&cache, &label);
    assert_eq!(shared["digest"], greeting(&app, &label)["digest"]);
    let mounted = proxy.seen("POST", "/v2/cache/blobs/uploads/?mount=");
    assert_eq!(mounted.len(), 1, "{mounted:?}");
    // `scratch`, which is no launch layer.
    assert_eq!(proxy.seen("PATCH", "/v2/cache/blobs/uploads/").len(), 1);

    // A registry that mounts nothing, and another one: the cache is the same.
    let elsewhere = Registry::start();
    let refused = "/v2/refusing/cache/blobs/uploads/?mount=";
    let denied = Fault::Answer(403, Vec::new(), "{}".to_owned());
    proxy.fail("POST", refused, denied, 9);
    let other = format!("{}/cache", elsewhere.address());
    for name in ["%/refusing/cache", &other] {
        let read = proxy.seen("GET", "/v2/app/blobs/").len();
        site.run("exporter", &["-cache-image", name, "%/app"]).ok();
        let read = &proxy.seen("GET", "/v2/app/blobs/")[read..];
        let layer = shared["digest"].as_str().unwrap();
        assert!(read.iter().all(|it| !it.target.contains(layer)), "{read:?}");
    }
    assert_eq!(proxy.seen("POST", refused).len(), 1);
    let sent = proxy.seen("PATCH", "/v2/refusing/cache/blobs/uploads/");
    assert_eq!(sent.len(), 2, "{sent:?}");
    let digest = site.digest("cache:latest");
    assert_eq!(site.digest("refusing/cache:latest"), digest);
    let there = elsewhere.tags();
    assert_eq!(there.len(), 1);
    assert_eq!(Some(&there[0].2), digest.as_ref());
}

/// EXP-085: the blob in the app image's layout is what the cache image gets, unless it is no gzip.
#[test]
fn root_a_cache_image_takes_blobs_of_a_layout_over() {
    let Some(site) = Site::open() else {
        return;
    };
    // Large enough for levels to differ.
    let large = BUILD_HELLO.replace("echo hello >", "seq 20000 >");
    site.build.buildpack("acme/hello", &large);
    let mut digests = Vec::new();
    for (asked, is_same) in [("gzip:12", true), ("gzip:1", true), ("zstd", false)] {
        if site.build.app_image().exists() {
            fs::remove_dir_all(site.build.app_image()).unwrap();
        }
        let cache = format!("cache/of-{}", asked.replace(':', "-"));
        let create = || {
            site.build.forget_layers();
            let name = format!("%/{cache}");
            let args = ["-cache-image", &name, "-run-image", "run", "app"];
            let mut command = site.phase("creator", &args);
            command.env("CNB_USE_LAYOUT", "true");
            Ran::of(command.env("CNB_LAYER_COMPRESSION", asked)).ok()
        };
        assert!(create().contains("making a greeting"));
        let image = site.image(&format!("{cache}:latest"));
        let layer = greeting(&image, &cache_label(&image));
        let gzip = "application/vnd.oci.image.layer.v1.tar+gzip";
        assert_eq!(layer["mediaType"], gzip);
        let digest = layer["digest"].as_str().unwrap().to_owned();
        let blob = format!("blobs/{}", digest.replace(':', "/"));
        assert_eq!(
            site.build.app_image().join(blob).exists(),
            is_same,
            "{asked}"
        );
        digests.push(digest);
        assert!(create().contains("reusing the greeting"));
    }
    assert_ne!(digests[0], digests[1]);
}
