//! kpack, Tekton and Shipwright: their lines, with layouts in place of their registries.

use std::path::Path;
use std::process::Command;

use fs_err as fs;
use serde_json::json;
use tests::build::BUILD_HELLO;
use tests::container::{Site, USER};
use tests::image;
use tests::program::{Ran, requires};

use super::{LAYOUT, RUN, assert_alone, can_run, grep_the_digest, pod, pod_site, whole};

/// What one shell step of Shipwright does for `$APP`: it says which process is the default where no buildpack does, and reads the
/// digest of what it exported.
pub(crate) const ONE_STEP: &str = r#"set -euo pipefail
/cnb/lifecycle/analyzer -layers=/layers -run-image="$RUN" "$APP"
/cnb/lifecycle/detector -app=/workspace -layers=/layers
/cnb/lifecycle/restorer -cache-dir=/cache -layers=/layers
/cnb/lifecycle/builder -app=/workspace -layers=/layers
exporter_args=( -layers=/layers -report=/tmp/report.toml -cache-dir=/cache -app=/workspace )
grep -q "buildpack-default-process-type" /layers/config/metadata.toml || exporter_args+=( -process-type web )
echo "exporting with ${#exporter_args[@]} words"
/cnb/lifecycle/exporter "${exporter_args[@]}" "$APP"
grep digest /tmp/report.toml | tr -d ' \"\n' | sed s/digest=// >/var/report/digest
"#;

#[test]
fn foreign_one_step_runs_all_phases_and_greps() {
    if !can_run() {
        return;
    }
    for (script, words) in [
        (BUILD_HELLO.to_owned(), 4),
        (BUILD_HELLO.replace("default = true", ""), 6),
    ] {
        let site = pod_site(&script);
        site.file("workspace/.step.sh", ONE_STEP, USER, 0o644);
        let log = pod(&site, "0.13")
            .env(LAYOUT)
            .env(&[
                "CNB_INSECURE_REGISTRIES=registry.example:5000,",
                &format!("RUN={RUN}"),
                "APP=sample",
            ])
            .line("bash /workspace/.step.sh")
            .ok();
        assert!(
            log.contains(&format!("exporting with {words} words")),
            "{log}"
        );
        let image = whole(&site.path("output"));
        assert_eq!(
            image.config["config"]["Entrypoint"],
            json!(["/cnb/process/web"])
        );
        let digest = fs::read_to_string(site.path("report/digest")).unwrap();
        assert_eq!(digest, image.digest());
    }
}

/// Runs a line as it is meant, with a registry, and then with layouts in its place.
fn understood(site: &Site, api: &str, env: &[&str], line: &str) {
    assert_alone(&pod(site, api).env(env).line(line), line);
    let text = pod(site, api).env(env).env(LAYOUT).line(line).ok();
    assert!(!text.contains("flag"), "{line}: {text}");
}

/// Tekton's task fills every flag in, with nothing where its user said nothing.
#[test]
fn foreign_tekton_passes_empty_values() {
    if !can_run() {
        return;
    }
    let site = pod_site(BUILD_HELLO);
    understood(
        &site,
        "0.9",
        &["DOCKER_CONFIG=/nowhere"],
        "/cnb/lifecycle/creator -app=/workspace -cache-dir=/cache -cache-image= -uid=1000 -gid=1000 -layers=/layers \
         -platform=/platform -report=/layers/report.toml -process-type= -skip-restore=false -previous-image= \
         -run-image= sample",
    );
    let image = whole(&site.path("output"));
    assert_eq!(
        image.config["config"]["Entrypoint"],
        json!(["/cnb/process/web"])
    );
    grep_the_digest(&site.path("layers/report.toml"), image.digest());
}

/// The same in phases of their own.
#[test]
fn foreign_tekton_passes_empty_values_to_each_phase() {
    if !can_run() {
        return;
    }
    let site = pod_site(BUILD_HELLO);
    let env = ["CNB_INSECURE_REGISTRIES=", "CNB_EXPERIMENTAL_MODE=silent"];
    let free = |line: &str| pod(&site, "0.13").env(&env).env(LAYOUT).line(line).ok();
    understood(
        &site,
        "0.13",
        &env,
        "/cnb/lifecycle/analyzer -layers=/layers -run-image= -cache-image= -uid=1000 -gid=1000 -insecure-registry= \
         -tag= -skip-layers=false sample",
    );
    free(
        "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
    );
    free(
        "/cnb/lifecycle/restorer -build-image= -layers=/layers -group=/layers/group.toml -cache-dir=/cache \
         -cache-image= -uid=1000 -gid=1000 -insecure-registry= -skip-layers=false",
    );
    free(
        "/cnb/lifecycle/builder -app=/workspace -layers=/layers -group=/layers/group.toml -plan=/layers/plan.toml",
    );
    understood(
        &site,
        "0.13",
        &env,
        "/cnb/lifecycle/exporter -app=/workspace -layers=/layers -group=/layers/group.toml -cache-dir=/cache \
         -cache-image= -report=/var/report/report.toml -process-type= -uid=1000 -gid=1000 -insecure-registry= sample",
    );
    whole(&site.path("output"));
}

/// kpack's lines, with every flag that it adds; a tag in a registry comes first.
#[test]
fn foreign_kpack_lines_are_understood() {
    if !can_run() {
        return;
    }
    for api in ["0.7", "0.8", "0.9"] {
        let site = pod_site(BUILD_HELLO);
        let env = [
            "SOURCE_DATE_EPOCH=1700000000",
            "SERVICE_BINDING_ROOT=/platform/bindings",
            "HOME=/tmp",
        ];
        let alone = |line: &str| assert_alone(&pod(&site, api).env(&env).line(line), line);
        let free = |line: &str| pod(&site, api).env(&env).line(line).ok();
        alone(&format!(
            "/cnb/lifecycle/analyzer -layers=/layers -analyzed=/layers/analyzed.toml -run-image={RUN} \
             -cache-image=registry.example/cache -tag=sample:b1 -tag=sample:b2 -previous-image=sample sample:latest"
        ));
        free(
            "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
        );
        alone(
            "/cnb/lifecycle/restorer -group=/layers/group.toml -layers=/layers -cache-image=registry.example/cache \
             -analyzed=/layers/analyzed.toml",
        );
        free(
            "/cnb/lifecycle/restorer -group=/layers/group.toml -layers=/layers -cache-dir=/cache -analyzed=/layers/analyzed.toml",
        );
        free(
            "/cnb/lifecycle/builder -layers=/layers -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
        );
        // What the analyzer finds in a registry.
        let digest = image::digest(b"run");
        let analyzed = format!("[run-image]\nreference = \"registry.example/team/run@{digest}\"\n");
        site.file("layers/analyzed.toml", &analyzed, USER, 0o644);
        alone(
            "/cnb/lifecycle/exporter -layers=/layers -app=/workspace -group=/layers/group.toml \
             -analyzed=/layers/analyzed.toml -project-metadata=/layers/project-metadata.toml -cache-dir=/cache \
             -process-type=web -report=/var/report/report.toml sample:latest sample:b1 sample:b2",
        );
    }
}

/// What a task does with the labels of an image, which skopeo finds by the arguments, with a file to put its config into.
const READ_LABELS: &str = r#"set -euo pipefail
skopeo inspect --config "$@" >"$0"
label() { jq -r --arg key "$1" ".config.Labels[\$key] | fromjson | $2" "$3"; }
label io.buildpacks.build.metadata '.buildpacks[].id' "$0"
label io.buildpacks.build.metadata '.processes[] | "\(.type) \(.command[0]) \(.direct) \(.buildpackID)"' "$0"
label io.buildpacks.build.metadata '.launcher.version | split("+")[0]' "$0"
label io.buildpacks.lifecycle.metadata '.buildpacks[0].layers.greeting | "\(.launch) \(.cache) \(.data.number)"' "$0"
label io.buildpacks.lifecycle.metadata '.runImage.image' "$0"
"#;

/// Returns what a task reads out of the labels of [`BUILD_HELLO`]'s image.
pub(crate) fn read_labels(config: &Path, image: &[&str]) -> String {
    let mut bash = Command::new("bash");
    bash.args(["-c", READ_LABELS]).arg(config).args(image);
    Ran::of(&mut bash).ok()
}

/// Returns what is to be read there.
pub(crate) fn labels(run: &str) -> String {
    format!("acme/hello\nweb /bin/sh true acme/hello\n0.21.17\ntrue true 3\n{run}\n")
}

#[test]
fn foreign_labels_are_read_with_skopeo_and_jq() {
    if !(can_run() && requires(&["skopeo", "jq"])) {
        return;
    }
    let site = pod_site(BUILD_HELLO);
    let line = format!(
        "/cnb/lifecycle/creator -app=/workspace -cache-dir=/cache -report=/var/report/report.toml -run-image={RUN} sample"
    );
    pod(&site, "0.13").env(LAYOUT).line(&line).ok();
    let image = format!("oci:{}:latest", site.path("output").display());
    let found = read_labels(&site.path("config.json"), &[&image]);
    assert_eq!(found, labels(RUN));
}
