//! Who may not read or write, and what each phase ends with then.

use tests::fault_proxy::Fault;

use super::*;

fn denial() -> Fault {
    let body = r#"{"errors":[{"code":"DENIED","message":"not for you"}]}"#;
    Fault::Answer(403, Vec::new(), body.to_owned())
}

/// ANA-011, COM-056: before anything is written.
#[test]
fn root_the_analyzer_asks_before_anything_is_built() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    let args = [
        "-run-image",
        "%/run",
        "-previous-image",
        "%/before",
        "-cache-image",
        "%/cache",
        "-tag",
        "%/tag",
        "%/app",
    ];
    for (method, target, kind, name) in [
        ("HEAD", "/before/manifests/", "read", "before"),
        ("HEAD", "/run/manifests/", "read", "run"),
        ("HEAD", "/cache/manifests/", "write", "cache"),
        ("POST", "/cache/blobs/uploads/", "write", "cache"),
        ("POST", "/app/blobs/uploads/", "write", "app"),
        ("POST", "/tag/blobs/uploads/", "write", "tag"),
    ] {
        proxy.fail(method, target, denial(), 1);
        let ran = site.run("analyzer", &args);
        assert_eq!(ran.code, 32, "{target}: {}", ran.text);
        let how = if kind == "read" { "read" } else { "read/write" };
        let expected = format!(
            "ERROR: failed to initialize analyzer: validating registry {kind} access: failed to ensure registry {how} access to {}: ",
            site.name(name)
        );
        assert!(ran.text.contains(&expected), "{target}: {}", ran.text);
        assert!(!site.build.path("layers/analyzed.toml").exists());
    }
    // What is not there could be read, and an upload that was begun to see whether it may be is given up.
    site.run("analyzer", &args).ok();
    let begun = proxy.seen("POST", "/blobs/uploads/").len();
    assert_eq!(proxy.seen("DELETE", "/blobs/uploads/").len(), begun - 3);
}

/// ANA-011: the image that is replaced is the previous one too.
#[test]
fn root_the_analyzer_asks_once_whether_an_image_can_be_read() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    site.run("analyzer", &["-run-image", "%/run", "%/app"]).ok();
    assert_eq!(proxy.seen("HEAD", "/app/manifests/").len(), 1);
    assert_eq!(proxy.seen("POST", "/app/blobs/uploads/").len(), 1);
}

/// ANA-012: images in layouts, and the cache in a registry nevertheless.
#[test]
fn root_with_layouts_the_cache_image_alone_is_asked_for() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    let args = ["-run-image", "run", "-cache-image", "%/cache", "app"];
    let mut command = site.phase("analyzer", &args);
    Ran::of(command.env("CNB_USE_LAYOUT", "true")).ok();
    assert_eq!(proxy.seen("POST", "/cache/blobs/uploads/").len(), 1);
    for method in ["GET", "HEAD", "POST"] {
        let others = proxy.seen(method, "/manifests/");
        assert!(
            others.iter().all(|it| it.target.contains("/cache/")),
            "{others:?}"
        );
    }
    proxy.fail("POST", "/cache/", denial(), 1);
    let mut command = site.phase("analyzer", &args);
    let ran = Ran::of(command.env("CNB_USE_LAYOUT", "true"));
    assert_eq!(ran.code, 32, "{}", ran.text);
    assert!(
        ran.text.contains("validating registry write access"),
        "{}",
        ran.text
    );
}

/// COM-025: each phase has its own code for what it cannot reach; none shows a password.
#[test]
fn root_a_wrong_password_ends_each_phase_with_its_code() {
    if !(requires_root() && Registry::is_possible()) {
        return;
    }
    let mut site = Site::with(Registry::with_password());
    let right = format!(r#"{{"{}":"{}"}}"#, site.host, basic_header());
    site.env = vec![("CNB_REGISTRY_AUTH", right)];
    site.until_export(&[]);
    site.run("exporter", &["%/app"]).ok();
    let wrong = format!(r#"{{"{}":"Basic c29tZW9uZTpoYWNrZXI="}}"#, site.host);
    site.env = vec![("CNB_REGISTRY_AUTH", wrong)];
    let cache = ["-cache-image", "%/cache"];
    for (phase, args, code, expected) in [
        (
            "analyzer",
            vec!["-run-image", "%/run", "%/app"],
            32,
            "failed to initialize analyzer: ",
        ),
        (
            "restorer",
            cache.to_vec(),
            1,
            "failed to create image cache: accessing cache image ",
        ),
        (
            "exporter",
            vec!["%/app"],
            1,
            "failed to create new app image: connect to repo store ",
        ),
        (
            "exporter",
            [&cache[..], &["%/app"]].concat(),
            1,
            "failed to create image cache: ",
        ),
        (
            "rebaser",
            vec!["%/app"],
            72,
            "failed to set app image: failed to access image to rebase: ",
        ),
        (
            "creator",
            vec!["-run-image", "%/run", "%/app"],
            32,
            "failed to initialize analyzer: ",
        ),
    ] {
        let ran = site.run(phase, &args);
        assert_eq!(ran.code, code, "{phase}: {}", ran.text);
        assert!(
            ran.text.contains(&format!("ERROR: {expected}")),
            "{phase}: {}",
            ran.text
        );
        assert!(ran.text.contains(&site.host), "{phase}: {}", ran.text);
        assert!(
            !ran.text.contains("hacker") && !ran.text.contains("c29tZ"),
            "{}",
            ran.text
        );
    }
}

/// COM-039, COM-046, COM-047: headers that are none.
#[test]
fn root_headers_that_make_no_sense_are_refused() {
    let Some(mut site) = Site::open() else {
        return;
    };
    for phase in ["analyzer", "restorer", "creator", "rebaser"] {
        site.env = vec![("CNB_REGISTRY_AUTH", "[1]".to_owned())];
        let args: &[&str] = match phase {
            "restorer" => &[],
            "rebaser" => &["%/app"],
            _ => &["-run-image", "%/run", "%/app"],
        };
        let ran = site.run(phase, args);
        assert_eq!(ran.code, 1, "{phase}: {}", ran.text);
        let expected = "ERROR: failed to resolve keychain: reading auth env var: failed to parse CNB_REGISTRY_AUTH value: ";
        assert!(ran.text.contains(expected), "{phase}: {}", ran.text);
    }
}

/// RES-010.
#[test]
fn root_the_restorer_checks_the_chosen_run_image_from_0_14_on() {
    let Some((site, proxy)) = Site::behind_a_proxy() else {
        return;
    };
    let name = site.name("run");
    site.build
        .write("run.toml", &format!("[[images]]\nimage = \"{name}\"\n"));
    site.run("analyzer", &["%/app"]).ok();
    site.run("detector", &[]).ok();
    for (api, code) in [("0.13", 0), ("0.14", 1)] {
        let asked = proxy.seen("HEAD", "/run/manifests/").len();
        proxy.fail("HEAD", "/run/manifests/", denial(), usize::from(code != 0));
        let ran = Ran::of(&mut site.at(api, "restorer", &[]));
        assert_eq!(ran.code, code, "{api}: {}", ran.text);
        let expected = format!("ERROR: selected run image '{name}' is not accessible\n");
        assert_eq!(
            ran.text.ends_with(&expected),
            code != 0,
            "{api}: {}",
            ran.text
        );
        assert_eq!(
            proxy.seen("HEAD", "/run/manifests/").len() - asked,
            usize::from(code != 0)
        );
    }
    // A run image that run.toml does not know is taken as it is.
    site.build
        .write("run.toml", "[[images]]\nimage = \"other\"\n");
    Ran::of(&mut site.at("0.14", "restorer", &[])).ok();
}
