//! Tekton's tasks, which fill every flag in: what their user did not say is empty or `=false`.

use fs_err as fs;
use serde_json::json;
use tests::container::USER;

use super::{Cluster, all_ok, assert_again, digest_of, login};
use crate::callers::grep_the_digest;
use crate::callers::kubernetes::{labels, read_labels};

/// Puts the credentials where a workspace has them: a secret, which its group alone may read.
fn credentials(cluster: &Cluster) {
    let config = fs::read_to_string(cluster.site.path("home/.docker/config.json")).unwrap();
    fs::remove_dir_all(cluster.site.path("home/.docker")).unwrap();
    cluster.volume("credentials");
    let (site, name) = (&cluster.site, "credentials/config.json");
    site.file(name, &config, 0, 0o440);
    std::os::unix::fs::chown(site.path(name), Some(0), Some(USER)).unwrap();
}

fn task(cluster: &Cluster, api: &str, lines: &[String]) -> String {
    cluster.fresh_volumes();
    credentials(cluster);
    cluster.site.folder("platform/env", USER);
    let variable = "platform/env/SOURCE_DATE_EPOCH";
    cluster.site.file(variable, "1700000000", USER, 0o644);
    all_ok(lines, |line| {
        let pod = cluster.pod(api).env(&[
            "DOCKER_CONFIG=/credentials",
            "HOME=/home/builder",
            "CNB_EXPERIMENTAL_MODE=silent",
        ]);
        pod.bind("credentials", "/credentials", "ro").line(line)
    })
}

/// The task `buildpacks` 0.6: one container, which finds the run image by itself.
fn create(cluster: &Cluster, cache: &str) -> String {
    let app = cluster.name("team/app:latest");
    let line = format!(
        "/cnb/lifecycle/creator -app=/workspace {cache} -uid=1000 -gid=1000 -layers=/layers -platform=/platform \
         -report=/layers/report.toml -process-type= -skip-restore=false -previous-image= -run-image= {app}"
    );
    let log = task(cluster, "0.9", &[line]);
    grep_the_digest(&cluster.site.path("layers/report.toml"), &digest_of(&app));
    log
}

fn creates_twice(cache: impl Fn(&Cluster) -> String) {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let (app, cache) = (cluster.name("team/app:latest"), cache(&cluster));
    let log = create(&cluster, &cache);
    assert!(log.contains("making a greeting"), "{log}");
    let image = cluster.check_app(&app);
    assert_eq!(
        image.config["config"]["Entrypoint"],
        json!(["/cnb/process/web"])
    );
    let digest = digest_of(&app);
    assert_again(&create(&cluster, &cache));
    assert_eq!(digest_of(&app), digest);
}

#[test]
fn root_tekton_creates() {
    creates_twice(|_| "-cache-dir=/cache -cache-image=".to_owned());
}

#[test]
fn root_tekton_creates_with_a_cache_image() {
    creates_twice(|it| format!("-cache-dir= -cache-image={}", it.name("team/cache:one")));
}

/// The lines of the task `buildpacks-phases` 0.3.
fn phases(cluster: &Cluster, cache_image: &str, tag: &str) -> [String; 5] {
    let app = cluster.name("team/app:latest");
    let cache = format!("-cache-dir=/cache -cache-image={cache_image}");
    let ids = "-uid=1000 -gid=1000 -insecure-registry=";
    [
        format!(
            "/cnb/lifecycle/analyzer -layers=/layers -run-image= -cache-image={cache_image} {ids} -tag={tag} \
             -skip-layers=false {app}"
        ),
        "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml"
            .to_owned(),
        format!(
            "/cnb/lifecycle/restorer -build-image= -layers=/layers -group=/layers/group.toml {cache} {ids} \
             -skip-layers=false"
        ),
        "/cnb/lifecycle/builder -app=/workspace -layers=/layers -group=/layers/group.toml -plan=/layers/plan.toml"
            .to_owned(),
        format!(
            "/cnb/lifecycle/exporter -app=/workspace -layers=/layers -group=/layers/group.toml {cache} \
             -report=/layers/report.toml -process-type= {ids} {app} {tag}"
        ),
    ]
}

fn phases_twice(cache_image: impl Fn(&Cluster) -> String, tag: &str) {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let tag = if tag.is_empty() {
        String::new()
    } else {
        cluster.name(tag)
    };
    let lines = phases(&cluster, &cache_image(&cluster), &tag);
    let app = cluster.name("team/app:latest");
    let mut digests = Vec::new();
    for round in 0..2 {
        let log = task(&cluster, "0.13", &lines);
        if round > 0 {
            assert_again(&log);
        }
        digests.push(digest_of(&app));
        grep_the_digest(&cluster.site.path("layers/report.toml"), &digests[round]);
    }
    assert_eq!(digests[0], digests[1]);
    if !tag.is_empty() {
        assert_eq!(digest_of(&tag), digests[0]);
    }
    cluster.check_app(&app);
    let (creds, image) = (format!("--creds={}", login()), format!("docker://{app}"));
    let config = cluster.site.path("config.json");
    let found = read_labels(&config, &["--tls-verify=false", &creds, &image]);
    assert_eq!(found, labels(&cluster.name("team/run:1.2")));
}

#[test]
fn root_tekton_phases() {
    phases_twice(|_| String::new(), "");
}

#[test]
fn root_tekton_phases_with_a_cache_image_and_a_tag() {
    phases_twice(|it| it.name("team/cache:one"), "team/app:two");
}
