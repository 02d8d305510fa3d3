//! kpack: five init containers and one that reads the report.

use fs_err as fs;
use serde_json::json;

use super::{Cluster, all_ok, assert_again, digest_of};

/// The lines of kpack's init containers, for the image `app`, tagged `app:b1` as well.
pub(super) fn lines(cluster: &Cluster, cache: &str, previous: Option<&str>) -> [String; 5] {
    let (tag, more, run) = (
        cluster.name("team/app"),
        cluster.name("team/app:b1"),
        &cluster.run,
    );
    let previous = previous.map(|it| format!("-previous-image={it} "));
    let previous = previous.unwrap_or_default();
    // The analyzer is told of a cache only where that is an image.
    let image = if cache.starts_with("-cache-image") {
        cache
    } else {
        ""
    };
    [
        format!(
            "/cnb/lifecycle/analyzer -layers=/layers -analyzed=/layers/analyzed.toml -run-image={run} {image} -tag={more} \
             {previous}{tag}"
        ),
        "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml"
            .to_owned(),
        format!(
            "/cnb/lifecycle/restorer -group=/layers/group.toml -layers=/layers {cache} -analyzed=/layers/analyzed.toml"
        ),
        "/cnb/lifecycle/builder -layers=/layers -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml"
            .to_owned(),
        format!(
            "/cnb/lifecycle/exporter -layers=/layers -app=/workspace -group=/layers/group.toml \
             -analyzed=/layers/analyzed.toml -project-metadata=/layers/project-metadata.toml {cache} -process-type=web \
             -report=/var/report/report.toml {tag} {more}"
        ),
    ]
}

/// What every container of kpack has in its environment beside the builder's own.
pub(super) fn env(cluster: &Cluster) -> [String; 4] {
    [
        format!("CNB_RUN_IMAGE={}", cluster.run),
        "SOURCE_DATE_EPOCH=1700000000".to_owned(),
        "SERVICE_BINDING_ROOT=/platform/bindings".to_owned(),
        "HOME=/home/builder".to_owned(),
    ]
}

fn builds_twice(api: &str, cache_image: bool) {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let cache = if cache_image {
        format!("-cache-image={}", cluster.name("team/cache:one"))
    } else {
        "-cache-dir=/cache".to_owned()
    };
    let env = env(&cluster);
    let build = |previous: Option<&str>| {
        all_ok(&lines(&cluster, &cache, previous), |line| {
            let env: Vec<_> = env.iter().map(String::as_str).collect();
            cluster.pod(api).env(&env).line(line)
        })
    };
    let app = cluster.name("team/app");
    let check = || {
        let report = fs::read_to_string(cluster.site.path("report/report.toml")).unwrap();
        let report: toml::Table = report.parse().unwrap();
        let digest = report["image"]["digest"].as_str().unwrap().to_owned();
        let tags = [app.clone(), cluster.name("team/app:b1")];
        let named = report["image"]["tags"].as_array().unwrap();
        assert!(named.iter().filter_map(toml::Value::as_str).eq(&tags));
        for tag in tags {
            assert_eq!(digest_of(&tag), digest, "{tag}");
        }
        digest
    };
    let log = build(None);
    assert!(log.contains("making a greeting"), "{log}");
    let digest = check();
    let image = cluster.check_app(&app);
    // Images have a time of their own from Platform API 0.9 on.
    let created = if api == "0.9" {
        "2023-11-14T22:13:20Z"
    } else {
        "1980-01-01T00:00:01Z"
    };
    assert_eq!(image.config["created"], created);
    assert_eq!(
        image.config["config"]["Entrypoint"],
        json!(["/cnb/process/web"])
    );

    // The next pod has new volumes, but for the cache, and is told of the image that the last one made.
    cluster.fresh_volumes();
    assert_again(&build(Some(&format!("{app}@{digest}"))));
    assert_eq!(check(), digest);
}

macro_rules! kpack {
    ($($test:ident: $api:literal, $cache_image:literal;)*) => {
        $(#[test] fn $test() { builds_twice($api, $cache_image); })*
    };
}

kpack! {
    root_kpack_at_0_7: "0.7", false;
    root_kpack_at_0_7_with_a_cache_image: "0.7", true;
    root_kpack_at_0_8: "0.8", false;
    root_kpack_at_0_8_with_a_cache_image: "0.8", true;
    root_kpack_at_0_9: "0.9", false;
    root_kpack_at_0_9_with_a_cache_image: "0.9", true;
}
