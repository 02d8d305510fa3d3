//! `slipway manifest`: images for several platforms, put together here and judged by other people's programs.

use serde_json::Value;
use tests::image::DOCKER_LIST;
use tests::program::{requires, run};
use tests::registry::Registry;

use crate::kit::{Site, open, run_image};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn foreign_a_list_is_put_together_and_pushed_with_its_images() {
    if !Registry::is_possible() || !requires(&["crane"]) {
        return;
    }
    let (registry, site) = (Registry::start(), Site::new());
    for version in ["1", "2", "3"] {
        run_image(&site.path(version), version);
    }
    let digests = ["1", "2", "3"].map(|it| open(&site.path(it)).digest().to_string());
    site.push("oci:1", &registry.name("other:one"));
    site.push("oci:2", &registry.name("other:two"));
    let (list, one, two) = (
        registry.name("list"),
        registry.name("other:one"),
        registry.name("other:two"),
    );
    let manifest = |args: &[&str]| site.slipway(&[&["manifest"], args].concat());
    manifest(&["create", &list, &one, "oci:3"]).ok();
    manifest(&["create", &list, &one]).fails_with(&["already", "slipway manifest remove"]);
    manifest(&["add", &list, &two]).ok();
    let arm = ["--arch", "arm64", "--variant", "v8", "--annotations", "a=b"];
    manifest(&[&["annotate", &list, &two], &arm[..]].concat()).ok();
    manifest(&["annotate", &list, &two]).fails_with(&["--arch"]);
    let third = format!("{}@{}", registry.name("other"), digests[2]);
    manifest(&["annotate", &list, &third, "--os", "plan9"]).ok();
    let here = parsed(&manifest(&["inspect", &list]).ok());

    let out = manifest(&["push", &list]).ok();
    let there = run("crane", &["manifest", "--insecure", &list]);
    assert_eq!(parsed(&there), here);
    let digest = run("crane", &["digest", "--insecure", &list]);
    assert!(out.contains(digest.trim()), "{out}");
    let platforms: Vec<_> = here["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["digest"].as_str().unwrap(), it["platform"].clone()))
        .collect();
    assert_eq!(platforms[0].0, digests[0]);
    assert_eq!(platforms[0].1["architecture"], "amd64");
    assert_eq!(platforms[1].1["os"], "plan9");
    assert_eq!(platforms[2].1["architecture"], "arm64");
    assert_eq!(platforms[2].1["variant"], "v8");
    assert_eq!(here["manifests"][2]["annotations"]["a"], "b");
    // Its images came along.
    let mine = format!("{}@{}", registry.name("list"), digests[2]);
    run("crane", &["manifest", "--insecure", &mine]);

    manifest(&["push", &list, "--format", "docker"]).fails_with(&["no annotations"]);
    manifest(&["rm", &list, &format!("{two}@{}", digests[1])]).ok();
    manifest(&["rm", &list, &digests[1]]).fails_with(&["has no image", &digests[1]]);
    manifest(&["push", &list, "--format", "docker", "--purge"]).ok();
    let there = parsed(&run("crane", &["manifest", "--insecure", &list]));
    assert_eq!(there["mediaType"], DOCKER_LIST);
    assert_eq!(there["manifests"].as_array().unwrap().len(), 2);
    // Nothing is here now: the registry's is shown.
    assert_eq!(parsed(&manifest(&["inspect", &list]).ok()), there);
    manifest(&["add", &list, &one]).fails_with(&["no manifest list", "slipway manifest create"]);
}

#[test]
fn foreign_a_list_can_be_published_at_once_and_taken_up_by_another() {
    if !Registry::is_possible() || !requires(&["crane"]) {
        return;
    }
    let (registry, site) = (Registry::start(), Site::new());
    run_image(&site.path("1"), "1");
    run_image(&site.path("2"), "2");
    let (list, all) = (registry.name("list"), registry.name("all"));
    let manifest = |args: &[&str]| site.slipway(&[&["manifest"], args].concat());
    let out = manifest(&["create", &list, "oci:1", "oci:2", "--publish"]).ok();
    assert!(out.contains("Successfully pushed manifest list"), "{out}");
    run("crane", &["validate", "--insecure", "--remote", &list]);
    manifest(&["remove", &list]).fails_with(&["no manifest list"]);
    manifest(&["create", &all, &list]).ok();
    let seen = parsed(&manifest(&["inspect", &all]).ok());
    assert_eq!(seen["manifests"].as_array().unwrap().len(), 2);
    manifest(&["remove", &all]).ok();
    manifest(&["create", &all, &registry.name("absent")]).fails_with(&["there is no image"]);
    manifest(&["inspect", &registry.name("absent")]).fails_with(&["there is no manifest list"]);
    manifest(&["create", &all, "docker-daemon:x"]).fails_with(&["slipway layout copy"]);
}
