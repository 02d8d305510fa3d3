//! Builds whose image goes to a registry or to a daemon.

use fs_err as fs;
use serde_json::Value;
use tests::desk::Desk;
use tests::engine::{Daemon, KINDS, Relay};
use tests::fault_proxy::{Fault, FaultProxy};
use tests::program::{Ran, run};
use tests::registry::Registry;

const TOOLS: [&str; 2] = ["skopeo", "crane"];

const BUILD: [&str; 5] = ["build", "--path", "../app", "--builder", "sample-builder"];

/// Builds to a name, with these further arguments and a daemon.
fn build(desk: &Desk, name: &str, more: &[&str], host: &str) -> Ran {
    let args = [&BUILD[..], &[name], more].concat();
    Ran::of(desk.slipway(&args).env("DOCKER_HOST", host))
}

fn inspect(name: &str) -> Value {
    let text = run("skopeo", &["inspect", "--tls-verify=false", "--raw", name]);
    serde_json::from_str(&text).unwrap()
}

fn digest(said: &str) -> &str {
    let (_, rest) = said.split_once(" (sha256:").expect("a digest");
    &rest[..64]
}

#[test]
fn root_foreign_an_image_is_published_and_a_second_build_sends_nothing_again() {
    let (Some(desk), true) = (Desk::of_root(&TOOLS), Registry::is_possible()) else {
        return;
    };
    let registry = Registry::start();
    let proxy = FaultProxy::before(&registry.address());
    let (name, more) = (proxy.name("some/app"), proxy.name("some/app:more"));
    let args = ["--publish", "--tag", &more, "--report-output-dir", "report"];
    let said = build(&desk, &name, &args, "").ok();
    let there = run(
        "crane",
        &["digest", "--insecure", &registry.name("some/app")],
    );
    assert_eq!(there.trim().trim_start_matches("sha256:"), digest(&said));
    let other = run(
        "crane",
        &["digest", "--insecure", &registry.name("some/app:more")],
    );
    assert_eq!(other, there);
    run(
        "crane",
        &[
            "validate",
            "--insecure",
            "--remote",
            &registry.name("some/app"),
        ],
    );
    let report = fs::read_to_string(desk.path("work/report/report.toml")).unwrap();
    let report: toml::Table = toml::from_str(&report).unwrap();
    assert_eq!(report["image"]["digest"].as_str(), Some(there.trim()));
    assert_eq!(
        report["image"]["tags"].as_array().unwrap(),
        &[format!("{name}:latest").into(), more.into()]
    );

    // The same layers and config as in a folder.
    desk.build("app", &[]).ok();
    let folder = tests::image::read(&desk.path("work/app"));
    let manifest = inspect(&format!("docker://{}", registry.name("some/app")));
    assert_eq!(
        manifest["config"]["digest"],
        folder.manifest["config"]["digest"]
    );
    assert_eq!(manifest["layers"], folder.manifest["layers"]);
    assert_eq!(
        manifest.get("annotations"),
        None,
        "a tag is none of the image's"
    );

    let sent = || proxy.seen("PATCH", "").len();
    let before = sent();
    let said = build(&desk, &name, &["--publish"], "").ok();
    assert!(
        said.contains(digest(&there.replace("sha256:", " (sha256:"))),
        "{said}"
    );
    assert!(said.contains("Reusing layer"), "{said}");
    assert_eq!(sent(), before, "every layer is there");
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().collect();
    let fetched = layers.iter().filter(|layer| {
        let digest = layer["digest"].as_str().unwrap();
        !proxy.seen("GET", digest).is_empty()
    });
    assert!(fetched.count() <= 1, "but for the SBOM none came here");
    assert!(desk.remains().is_empty());
}

#[test]
fn root_foreign_a_run_image_of_a_registry_needs_not_come_here() {
    let (Some(desk), true) = (Desk::of_root(&TOOLS), Registry::is_possible()) else {
        return;
    };
    let registry = Registry::start();
    let proxy = FaultProxy::before(&registry.address());
    let place = desk.path("repo/index.docker.io/slipway/bash-run/latest");
    let from = format!("oci:{}", place.display());
    let to = format!("docker://{}", registry.name("run"));
    desk.run(&["layout", "copy", &from, &to]).ok();
    let run_name = proxy.name("run");
    let args = [
        "--publish",
        "--run-image",
        &run_name,
        "--pull-policy",
        "if-not-present",
    ];
    build(&desk, &proxy.name("app"), &args, "").ok();
    run(
        "crane",
        &["validate", "--insecure", "--remote", &registry.name("app")],
    );
    let run_image = inspect(&to);
    for layer in run_image["layers"].as_array().unwrap() {
        let digest = layer["digest"].as_str().unwrap();
        assert!(proxy.seen("GET", digest).is_empty(), "it is mounted");
    }
    assert!(!desk.path("repo").join(proxy.address()).exists());
}

#[test]
fn root_what_cannot_be_written_is_said_before_anything_is_built() {
    let (Some(desk), true) = (Desk::of_root(&TOOLS), Registry::is_possible()) else {
        return;
    };
    let registry = Registry::with_password();
    let name = registry.name("app");
    let fails = |ran: Ran, needles: &[&str]| {
        assert_eq!(ran.code, 1, "{}", ran.text);
        for needle in needles {
            assert!(ran.text.contains(needle), "no {needle:?} in: {}", ran.text);
        }
        assert!(!ran.text.contains("DETECTING"), "{}", ran.text);
    };
    fails(build(&desk, &name, &["--publish"], ""), &["401", &name]);
    let nowhere = "unix:///nowhere.sock";
    fails(
        build(&desk, "app", &[], nowhere),
        &[nowhere, "oci:app", "--publish"],
    );
    fails(
        build(&desk, "oci:app", &["--publish"], ""),
        &["--publish is for"],
    );
    fails(
        build(&desk, &name, &["--publish", "--sparse"], ""),
        &["--sparse"],
    );
    fails(
        build(
            &desk,
            "oci:app",
            &["--tag", &format!("docker://{name}")],
            "",
        ),
        &["another kind of place"],
    );
}

#[test]
fn root_foreign_a_push_that_fails_leaves_the_image_before() {
    let (Some(desk), true) = (Desk::of_root(&TOOLS), Registry::is_possible()) else {
        return;
    };
    let registry = Registry::start();
    let proxy = FaultProxy::before(&registry.address());
    let name = proxy.name("app");
    build(&desk, &name, &["--publish"], "").ok();
    let digest = || run("crane", &["digest", "--insecure", &registry.name("app")]);
    let before = digest();
    desk.write("app/new-file", "new");
    let refusal = Fault::Answer(403, Vec::new(), String::new());
    proxy.fail("PUT", "/manifests/", refusal, 1);
    let ran = build(&desk, &name, &["--publish"], "");
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(ran.text.contains("failed to write image"), "{}", ran.text);
    assert_eq!(digest(), before);
    build(&desk, &name, &["--publish"], "").ok();
    assert_ne!(digest(), before);
    assert!(desk.remains().is_empty());
}

#[test]
fn root_foreign_a_cache_in_a_registry_serves_the_next_build() {
    let (Some(desk), true) = (Desk::of_root(&TOOLS), Registry::is_possible()) else {
        return;
    };
    let registry = Registry::start();
    let proxy = FaultProxy::before(&registry.address());
    let (name, cache) = (registry.name("app"), proxy.name("cache"));
    let keep = "mkdir -p \"$1/kept\"; printf '[types]\\ncache = true\\n' > \"$1/kept.toml\"; \
        if [ -e \"$1/kept/it\" ]; then echo KEPT; else echo new > \"$1/kept/it\"; fi";
    let keep = desk.buildpack("keep", keep);
    let args = [
        "--publish",
        "--cache-image",
        &cache,
        "--buildpack",
        keep.to_str().unwrap(),
    ];
    let said = build(&desk, &name, &args, "").ok();
    assert!(!said.contains("KEPT"), "{said}");
    run(
        "crane",
        &[
            "validate",
            "--insecure",
            "--remote",
            &registry.name("cache"),
        ],
    );
    let config = run("crane", &["config", "--insecure", &registry.name("cache")]);
    assert!(
        config.contains("io.buildpacks.lifecycle.cache.metadata"),
        "{config}"
    );
    // What was kept here is no help: it comes from the registry.
    let sent = proxy.seen("PATCH", "").len();
    let in_pack_s_words = format!("type=build;format=image;name={cache}");
    let same = [
        "--publish",
        "--cache",
        &in_pack_s_words,
        "--buildpack",
        keep.to_str().unwrap(),
    ];
    let said = build(&desk, &name, &same, "").ok();
    assert!(said.contains("KEPT"), "{said}");
    assert_eq!(proxy.seen("PATCH", "").len(), sent, "nothing changed");
    let said = build(&desk, &name, &[&args[..], &["--clear-cache"]].concat(), "").ok();
    assert!(!said.contains("KEPT"), "{said}");
    assert!(desk.remains().is_empty());
    let refused = build(&desk, "oci:app", &["--cache-image", &cache], "");
    assert!(refused.text.contains("--publish"), "{}", refused.text);
}

#[test]
fn root_foreign_a_daemon_gets_the_image_and_gives_the_one_before() {
    for kind in KINDS {
        let (Some(desk), Some(daemon)) = (Desk::of_root(&TOOLS), Daemon::start(kind)) else {
            return;
        };
        let relay = Relay::to(&daemon, u64::MAX);
        let said = build(
            &desk,
            "some/app",
            &["--report-output-dir", "report"],
            &relay.host(),
        )
        .ok();
        let id = || daemon.run(&["image", "inspect", "--format", "{{.Id}}", "some/app"]);
        let first = id();
        let hex = first.trim().trim_start_matches("sha256:");
        assert_eq!(digest(&said), hex, "{kind:?}");
        let report = fs::read_to_string(desk.path("work/report/report.toml")).unwrap();
        assert!(
            report.contains(&format!("image-id = \"sha256:{hex}\"")),
            "{report}"
        );

        let all = relay.sent();
        let said = build(
            &desk,
            "docker-daemon:some/app",
            &["--tag", "some/app:2"],
            &relay.host(),
        )
        .ok();
        assert!(said.contains("Reusing layer"), "{kind:?}: {said}");
        assert_eq!(id(), first, "{kind:?}");
        let again = relay.sent();
        assert!(again < all / 4, "{kind:?}: {again} of {all} bytes again");
        daemon.run(&["image", "inspect", "some/app:2"]);
        assert!(desk.remains().is_empty());
    }
}
