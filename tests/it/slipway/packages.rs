//! Builds with buildpacks and builders that lie in registries.

use serde_json::Value;
use tests::desk::{Desk, Person};
use tests::engine::{Daemon, KINDS};
use tests::fault_proxy::FaultProxy;
use tests::program::{Ran, requires, requires_root, run};
use tests::registry::Registry;

/// A registry that is watched, and a desk with a buildpack `greet`.
fn desk() -> Option<(Registry, FaultProxy, Desk)> {
    let there = requires_root() && requires(&["umoci", "jq", "skopeo", "crane"]);
    if !(there && Registry::is_possible()) {
        return None;
    }
    let (registry, desk) = (Registry::start(), Desk::of(Person::Root));
    desk.buildpack("greet", "echo \"Greetings from $CNB_BUILDPACK_DIR\"");
    let proxy = FaultProxy::before(&registry.address());
    Some((registry, proxy, desk))
}

const GREETING: &str = "[builder] Greetings from /cnb/buildpacks/test_greet/1.0.0";
const PULL: [&str; 2] = ["--pull-policy", "if-not-present"];

fn layers_of(name: &str) -> Vec<String> {
    let manifest = run("crane", &["manifest", "--insecure", name]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap().iter();
    let digests = layers.map(|it| it["digest"].as_str().unwrap().to_owned());
    digests.collect()
}

#[test]
fn root_foreign_a_package_of_a_registry_takes_part_in_a_build() {
    let Some((mut registry, proxy, desk)) = desk() else {
        return;
    };
    let name = proxy.name("team/greet:1");
    let package = ["buildpack", "package", "--path", "../greet", "--publish"];
    desk.run(&[&package[..], &[&name]].concat()).ok();
    let uri = format!("docker://{name}");

    let asked = proxy.seen("GET", "").len();
    let ran = desk.build("app", &["--buildpack", &uri]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    for needle in [
        "in the layout repo",
        "slipway layout copy oci:DIR",
        "pull-policy",
    ] {
        assert!(ran.text.contains(needle), "no {needle:?} in {}", ran.text);
    }
    assert!(!ran.text.contains("DETECTING"), "{}", ran.text);
    assert_eq!(proxy.seen("GET", "").len(), asked);

    let said = desk.build("app", &[&["--buildpack", &uri][..], &PULL].concat());
    let said = said.ok();
    assert!(said.contains(GREETING), "{said}");
    // It is here now, by that name.
    let asked = proxy.seen("GET", "").len();
    let said = desk.build("app", &[&["--pre-buildpack", &name][..], &PULL].concat());
    let said = said.ok();
    assert!(said.contains(GREETING), "{said}");
    assert_eq!(proxy.seen("GET", "").len(), asked);
    registry.stop();
    desk.write(
        "app/project.toml",
        &format!("[_]\nschema-version = \"0.2\"\n[[io.buildpacks.group]]\nuri = \"{uri}\"\n"),
    );
    let said = desk.build("app", &[]).ok();
    assert!(said.contains(GREETING), "{said}");
    assert!(desk.remains().is_empty());
}

#[test]
fn root_foreign_a_package_of_a_daemon_takes_part_in_a_build() {
    for kind in KINDS {
        let (Some((_registry, _, desk)), Some(daemon)) = (desk(), Daemon::start(kind)) else {
            return;
        };
        let slipway = |args: &[&str]| {
            let mut slipway = desk.slipway(args);
            Ran::of(slipway.env("DOCKER_HOST", daemon.host())).ok()
        };
        let name = "docker-daemon:team/greet:1";
        slipway(&["buildpack", "package", "oci:greet", "--path", "../greet"]);
        slipway(&["layout", "copy", "oci:greet", name]);
        let build = [
            "build",
            "oci:app",
            "--path",
            "../app",
            "--builder",
            "sample-builder",
        ];
        let said = slipway(&[&build[..], &["--buildpack", name]].concat());
        assert!(said.contains(GREETING), "{kind:?}: {said}");
    }
}

#[test]
fn root_foreign_an_extension_of_a_registry_takes_part_in_detection() {
    let Some((_registry, proxy, desk)) = desk() else {
        return;
    };
    desk.write(
        "ext/extension.toml",
        "api = \"0.10\"\n[extension]\nid = \"test/ext\"\nversion = \"1\"\n",
    );
    desk.write(
        "ext/bin/detect",
        "#!/usr/bin/env bash\necho LOOKING\nexit 100\n",
    );
    desk.write("ext/bin/generate", "#!/usr/bin/env bash\n");
    for program in ["detect", "generate"] {
        let path = desk.path("ext/bin").join(program);
        run("chmod", &["0755", path.to_str().unwrap()]);
    }
    desk.write("ext/package.toml", "[extension]\nuri = \".\"\n");
    let name = proxy.name("ext");
    let package = ["buildpack", "package", "--path", "../ext", "--publish"];
    desk.run(&[&package[..], &[&name]].concat()).ok();
    let args = ["--extension", &name, "--verbose"];
    let said = desk.build("app", &[&args[..], &PULL].concat()).ok();
    assert!(said.contains("LOOKING"), "{said}");
}

#[test]
fn root_foreign_a_published_builder_builds_once_it_is_pulled() {
    let Some((registry, proxy, desk)) = desk() else {
        return;
    };
    let greet = proxy.name("greet");
    let package = ["buildpack", "package", "--path", "../greet", "--publish"];
    desk.run(&[&package[..], &[&greet]].concat()).ok();
    desk.write(
        "builder.toml",
        &format!(
            "[[buildpacks]]\nuri = \"docker://{greet}\"\n[[order]]\n[[order.group]]\nid = \"test/greet\"\n\
             [build]\nimage = \"sample-builder\"\n[[run.images]]\nimage = \"slipway/bash-run\"\n"
        ),
    );
    let (name, there) = (proxy.name("builder:1"), registry.name("builder:1"));
    let create = [
        "builder",
        "create",
        &name,
        "-c",
        "../builder.toml",
        "--publish",
    ];
    desk.run(&[&create[..], &PULL].concat()).ok();
    run("crane", &["validate", "--insecure", "--remote", &there]);
    let sent = proxy.seen("PATCH", "").len();
    let never = ["--pull-policy", "never"];
    desk.run(&[&create[..], &never].concat()).ok();
    assert_eq!(proxy.seen("PATCH", "").len(), sent, "nothing changed");
    assert!(
        !desk
            .path("repo")
            .join(proxy.address())
            .join("builder")
            .exists()
    );

    let app = registry.name("app");
    let build = [
        "build",
        &app,
        "--publish",
        "--path",
        "../app",
        "--builder",
        &name,
    ];
    let said = desk.run(&[&build[..], &PULL].concat()).ok();
    assert!(said.contains(GREETING), "{said}");
    run("crane", &["validate", "--insecure", "--remote", &app]);
    for layer in layers_of(&there) {
        assert!(proxy.seen("GET", &layer).len() <= 1, "{layer} came twice");
    }
    assert!(desk.remains().is_empty());
}
