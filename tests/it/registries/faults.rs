//! Registries that fail: nothing is published that is not whole, and a second try is as good as the first.

use tests::fault_proxy::Fault;

use super::*;

/// The manifest comes last.
#[test]
fn root_nothing_is_published_when_an_upload_fails() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.until_export(&[]);
    let no_space = || {
        Fault::Answer(
            507,
            Vec::new(),
            r#"{"errors":[{"code":"UNKNOWN","message":"disk full"}]}"#.to_owned(),
        )
    };
    for (method, part, fault) in [
        ("PATCH", "/app/blobs/uploads/", no_space()),
        (
            "POST",
            "/app/blobs/uploads/",
            Fault::Answer(403, Vec::new(), "{}".to_owned()),
        ),
        ("PUT", "/app/blobs/uploads/", no_space()),
        (
            "PUT",
            "/app/manifests/",
            Fault::Answer(400, Vec::new(), "{}".to_owned()),
        ),
    ] {
        proxy.fail(method, part, fault, 100);
        let ran = site.run("exporter", &["%/app", "%/app:two"]);
        proxy.forget();
        assert_eq!(ran.code, 62, "{method} {part}: {}", ran.text);
        assert!(
            ran.text.contains("ERROR: failed to export: "),
            "{}",
            ran.text
        );
        assert!(
            ran.text.contains(&site.host),
            "{method} {part}: {}",
            ran.text
        );
        assert_eq!(site.digest("app:latest"), None, "{method} {part}");
        assert_eq!(site.digest("app:two"), None, "{method} {part}");
        assert!(
            !site.build.path("report/report.toml").exists(),
            "{method} {part}"
        );
    }
    site.run("exporter", &["%/app"]).ok();
    assert!(site.digest("app:latest").is_some());
}

/// EXP-083: one of several names that cannot be written.
#[test]
fn root_names_that_cannot_be_written_leave_the_others() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.until_export(&[]);
    proxy.fail(
        "PUT",
        "/manifests/two",
        Fault::Answer(403, Vec::new(), "{}".to_owned()),
        1,
    );
    let ran = site.run("exporter", &["%/app", "%/app:two", "%/app:three"]);
    assert_eq!(ran.code, 62, "{}", ran.text);
    let name = site.name("app:two");
    assert!(
        ran.text.contains(&format!("\n      {name} - ")),
        "{}",
        ran.text
    );
    let expected =
        format!("ERROR: failed to export: failed to write image to the following tags: [{name}: ");
    assert!(ran.text.contains(&expected), "{}", ran.text);
    assert!(site.digest("app:latest").is_some());
    assert_eq!(site.digest("app:two"), None);
    assert_eq!(site.digest("app:three"), site.digest("app:latest"));
    assert!(!site.build.path("report/report.toml").exists());
}

/// COM-057, COM-059: what may go well at another try is tried again, what is refused is not.
#[test]
fn root_what_passes_is_waited_for() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    proxy.fail(
        "GET",
        "/run/manifests/",
        Fault::Answer(503, Vec::new(), String::new()),
        1,
    );
    proxy.fail("GET", "/run/manifests/", Fault::ResetAnswer(20), 1);
    site.until_export(&[]);
    proxy.fail("PATCH", "/app/blobs/uploads/", Fault::ResetRequest(10), 1);
    site.run("exporter", &["%/app"]).ok();
    let asked = proxy.seen("GET", "/run/manifests/").len();
    proxy.fail(
        "GET",
        "/run/manifests/",
        Fault::Answer(403, Vec::new(), "{}".to_owned()),
        9,
    );
    let ran = site.run("exporter", &["%/app"]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert_eq!(proxy.seen("GET", "/run/manifests/").len(), asked + 1);
}

/// EXP-008: it was there when it was analyzed.
#[test]
fn root_a_run_image_that_is_gone_is_named() {
    let Some(site) = Site::open() else {
        return;
    };
    site.until_export(&[]);
    let path = site.build.path("layers/analyzed.toml");
    let digest = site.digest("run:latest").unwrap();
    let other = image::digest(b"gone");
    let text = fs::read_to_string(&path).unwrap().replace(&digest, &other);
    fs::write(&path, text).unwrap();
    let ran = site.run("exporter", &["%/app"]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    let expected = format!(
        "ERROR: failed to create new app image: there is no image in {}@{other}\n",
        site.name("run")
    );
    assert!(ran.text.ends_with(&expected), "{}", ran.text);
}

/// ANA-015: a blob of the previous image is lost.
#[test]
fn root_a_previous_image_that_lacks_a_layer_is_ignored() {
    let Some(site) = Site::open() else {
        return;
    };
    site.until_export(&[]);
    site.run("exporter", &["%/app"]).ok();
    let (manifest, _) = site.image("app:latest");
    let layers = manifest["layers"].as_array().unwrap();
    let lost = layers.last().unwrap()["digest"].as_str().unwrap();
    let lost = lost.replace(':', "/");
    let link = format!("repositories/app/_layers/{lost}/link");
    fs::remove_file(site.registry.storage().join(link)).unwrap();
    let log = site.run("analyzer", &["-run-image", "%/run", "%/app"]).ok();
    let expected = format!(
        "Ignoring image \"{}\" because it was corrupt\n",
        site.name("app")
    );
    assert!(log.contains(&expected), "{log}");
    assert!(!log.contains("Restoring data for SBOM"), "{log}");
    let analyzed = site.toml("layers/analyzed.toml");
    assert_eq!(text(&analyzed, &["image", "reference"]), "");
    assert_eq!(text(&analyzed, &["metadata", "launcher", "sha"]), "");
    // So the next build makes it whole again.
    let log = site.run("exporter", &["%/app"]).ok();
    assert!(!log.contains("Reusing"), "{log}");
    site.run("analyzer", &["-run-image", "%/run", "%/app"]).ok();
    assert_ne!(
        text(&site.toml("layers/analyzed.toml"), &["image", "reference"]),
        ""
    );
}
