//! Platforms of today call our programs with the command lines, the environment, the mounts and the users that they use.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use serde_json::json;
use tests::build::{BUILD_HELLO, Build};
use tests::container::{Container, DOCKER, From, Site, USER};
use tests::image;
use tests::program::{Ran, requires, requires_root};

/// Whom the files of the run image belong to: neither the container's root nor the builder's user.
const SOMEBODY: u32 = 4242;

const RUN: &str = "registry.example/team/run:1.2";
const RUN_PLACE: &str = "/layout-repo/registry.example/team/run/1.2";
const APP_PLACE: &str = "/layout-repo/index.docker.io/library/sample/latest";

fn can_run() -> bool {
    requires_root() && requires(&["runc", "umoci"])
}

/// A builder that knows the run image, the app and empty volumes.
fn site(script: &str) -> Site {
    let site = Site::new(script);
    let cnb = |name: &str, text: String| {
        fs::write(site.path("builder/rootfs/cnb").join(name), text).unwrap();
    };
    cnb("run.toml", format!("[[images]]\nimage = \"{RUN}\"\n"));
    // What took its place before Platform API 0.12.
    cnb("stack.toml", format!("[run-image]\nimage = \"{RUN}\"\n"));
    fresh_volumes(&site);
    site.folder("output", USER);
    site
}

/// Makes the volumes that live as long as one build.
fn fresh_volumes(site: &Site) {
    for volume in ["workspace", "layers"] {
        fs::remove_dir_all(site.path(volume)).ok();
        site.folder(volume, USER);
    }
    site.file("workspace/hello.txt", "hello\n", USER, 0o644);
}

/// Returns the image, after reading all of it: every blob is there and is what its digest says.
#[track_caller]
fn whole(layout: &Path) -> image::Written {
    let written = image::read(layout);
    for layer in written.manifest["layers"].as_array().unwrap() {
        image::read_blob(layout, layer);
    }
    written
}

/// What nobody may change: mode, owner, time and content of every file.
fn state(dir: &Path) -> Vec<(PathBuf, u32, u32, i64, Vec<u8>)> {
    let files = tests::build::snapshot(dir);
    let with_metadata = files.into_iter().map(|(path, content)| {
        let found = fs::metadata(&path).unwrap();
        (path, found.mode(), found.uid(), found.mtime(), content)
    });
    with_metadata.collect()
}

/// What pack prepares for an `oci:` target beside the builder.
fn pack_site() -> Site {
    let site = site(BUILD_HELLO);
    // A volume that nobody used yet.
    site.folder("cache", 0);
    pack_volumes(&site);
    site.run_image("run", SOMEBODY);
    site
}

fn pack_volumes(site: &Site) {
    fresh_volumes(site);
    site.file("layers/project-metadata.toml", "", 0, 0o755);
}

/// A container as pack makes each of them.
fn pack(site: &Site, from: From) -> Container<'_> {
    site.container(from)
        .workdir("/layers")
        .env(&["CNB_PLATFORM_API=0.15", "CNB_EXEC_ENV=production"])
        .bind("layers", "/layers", "rw")
        .bind("workspace", "/workspace", "rw")
}

/// The same for a phase that reads or writes images; what is exported goes to `place`.
fn pack_with_images<'a>(site: &'a Site, from: From, place: &str) -> Container<'a> {
    pack(site, from)
        .bind("cache", "/cache", "rw")
        .env(&[
            "CNB_USE_LAYOUT=true",
            "CNB_LAYOUT_DIR=/layout-repo",
            "CNB_EXPERIMENTAL_MODE=warn",
            "CNB_REGISTRY_AUTH={}",
        ])
        .bind("run", RUN_PLACE, "ro")
        .bind("output", place, "rw")
}

#[test]
fn foreign_pack_builds_in_one_container() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    let create = || {
        let line = format!(
            "/cnb/lifecycle/creator -app /workspace -cache-dir /cache -run-image {RUN} sample"
        );
        pack_with_images(&site, From::Builder, APP_PLACE)
            .line(&line)
            .ok()
    };
    let output = site.path("output");
    let run_image = state(&site.path("run"));
    let mounted = fs::metadata(&output).unwrap().ino();

    let log = create();
    assert!(log.contains("making a greeting"), "{log}");
    assert_eq!(state(&site.path("run")), run_image);
    assert_eq!(fs::metadata(&output).unwrap().ino(), mounted);
    let image = whole(&output);
    assert_eq!(
        image.descriptor["annotations"],
        json!({"org.opencontainers.image.ref.name": "latest"})
    );
    let run = image::read(&site.path("run"));
    assert_eq!(image.manifest["layers"][0], run.manifest["layers"][0]);
    let config = &image.config["config"];
    assert_eq!(config["Entrypoint"], json!(["/cnb/process/web"]));
    assert_eq!(config["WorkingDir"], "/workspace");
    assert_eq!(site.start(&output, "latest", &[]).ok(), "hello\n");
    let own = ["/cnb/lifecycle/launcher", "cat", "hello.txt"];
    assert_eq!(site.start(&output, "latest", &own).ok(), "hello\n");

    // The next build has new volumes, but for the cache.
    let first = image.digest().to_owned();
    pack_volumes(&site);
    let log = create();
    for line in [
        "Restoring data for \"acme/hello:greeting\" from cache",
        "reusing the greeting",
        "Reusing layer 'acme/hello:greeting'",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert_eq!(whole(&output).digest(), first);
}

/// pack runs as whoever called it, so the folder that it makes may belong to somebody else.
#[test]
fn foreign_pack_exports_to_a_folder_of_another_user() {
    if !can_run() {
        return;
    }
    for owner in [0, SOMEBODY] {
        let site = pack_site();
        site.folder("output", owner);
        let line = format!(
            "/cnb/lifecycle/creator -app /workspace -cache-dir /cache -run-image {RUN} sample"
        );
        pack_with_images(&site, From::Builder, APP_PLACE)
            .line(&line)
            .ok();
        whole(&site.path("output"));
    }
}

#[test]
fn foreign_pack_passes_its_options_in_one_order() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    let line =
        format!("/cnb/lifecycle/creator -app /workspace -cache-dir /cache -run-image {RUN} before");
    let before = "/layout-repo/index.docker.io/library/before/latest";
    pack_with_images(&site, From::Builder, before)
        .line(&line)
        .ok();
    fs::rename(site.path("output"), site.path("before")).unwrap();

    pack_volumes(&site);
    site.folder("output", USER);
    let line = format!(
        "/cnb/lifecycle/creator -log-level debug -app /workspace -cache-dir /cache -run-image {RUN} \
         -tag sample:two -skip-restore -gid 1234 -uid {USER} -previous-image before -process-type web sample:tag1"
    );
    let log = pack_with_images(&site, From::Builder, &APP_PLACE.replace("latest", "tag1"))
        .env(&["SOURCE_DATE_EPOCH=1700000000"])
        .bind("before", before, "ro")
        .line(&line)
        .ok();
    assert!(log.contains("making a greeting"), "-skip-restore: {log}");
    assert!(log.contains("Setting default process type 'web'"), "{log}");
    // What is in the image before does not depend on the group.
    let reused = "Reusing layer 'buildpacksio/lifecycle:launcher'";
    assert!(log.contains(reused), "{log}");
    let image = whole(&site.path("output"));
    assert_eq!(
        image.descriptor["annotations"]["org.opencontainers.image.ref.name"],
        "tag1"
    );
    assert_eq!(image.config["created"], "2023-11-14T22:13:20Z");
    let repository = site.path("builder/rootfs/layout-repo/index.docker.io/library/sample");
    assert_eq!(whole(&repository.join("two")).digest(), image.digest());
    let ls = [
        "/cnb/lifecycle/launcher",
        "--",
        "stat",
        "-c",
        "%u:%g",
        "hello.txt",
    ];
    assert_eq!(
        site.start(&site.path("output"), "tag1", &ls).ok(),
        "1000:1234\n"
    );
}

/// A builder that nobody trusts: only what the lifecycle image holds runs as root.
#[test]
fn foreign_pack_builds_in_a_container_for_each_phase() {
    if !can_run() {
        return;
    }
    let site = pack_site();
    // pack makes the volumes and puts its files into them; the first phase hands them over.
    for volume in ["layers", "workspace"] {
        chown(site.path(volume), Some(0), Some(0)).unwrap();
    }
    let run = format!("[[images]]\nimage = \"{RUN}\"\n");
    site.file("layers/run.toml", &run, 0, 0o755);
    let run_image = state(&site.path("run"));
    let ids = [
        format!("CNB_USER_ID={USER}"),
        format!("CNB_GROUP_ID={USER}"),
    ];
    let as_root = |line: &str| {
        let container = pack_with_images(&site, From::Lifecycle, APP_PLACE);
        container.env(&[&ids[0], &ids[1]]).line(line).ok()
    };
    let as_user = |line: &str| {
        pack(&site, From::Builder)
            .user(USER, DOCKER)
            .line(line)
            .ok()
    };

    as_root(&format!(
        "/cnb/lifecycle/analyzer -run /layers/run.toml -run-image {RUN} -launch-cache /launch-cache sample"
    ));
    chown(site.path("workspace"), Some(USER), Some(USER)).unwrap();
    as_user("/cnb/lifecycle/detector -app /workspace");
    as_root("/cnb/lifecycle/restorer -cache-dir /cache");
    as_user("/cnb/lifecycle/builder -app /workspace");
    let log = as_root(
        "/cnb/lifecycle/exporter -app /workspace -cache-dir /cache -run /layers/run.toml sample",
    );
    assert!(log.contains("Adding layer 'acme/hello:greeting'"), "{log}");
    assert_eq!(state(&site.path("run")), run_image);
    whole(&site.path("output"));
    assert_eq!(
        site.start(&site.path("output"), "latest", &[]).ok(),
        "hello\n"
    );
}

/// The phase that exports begins as root and reads what a build may have written.
#[test]
fn root_builds_cannot_make_root_read_elsewhere() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.until_export();
    let own = build.path("layers/own/run");
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::rename(build.run_image(), &own).unwrap();
    let blobs = own.join("blobs/sha256");
    fs::set_permissions(&blobs, Permissions::from_mode(0o700)).unwrap();
    let analyzed = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
    let layout = build.path("layout");
    for path in [own.clone(), layout.join("../layers/own/run")] {
        let (place, path) = (build.run_image(), path.display().to_string());
        let changed = analyzed.replace(&place.display().to_string(), &path);
        assert_ne!(changed, analyzed);
        build.write("layers/analyzed.toml", &changed);
        let ran = Ran::of(&mut build.exporter());
        assert!(
            ran.text.contains("Permission denied"),
            "{path}: {}",
            ran.text
        );
        assert!(!build.app_image().exists());
    }
    // In its own place it is what the platform put there.
    fs::rename(&own, build.run_image()).unwrap();
    build.write("layers/analyzed.toml", &analyzed);
    Ran::of(&mut build.exporter()).ok();
    whole(&build.app_image());
}

/// A container of a pod: not root, no capabilities, a root file system that cannot be written.
fn pod<'a>(site: &'a Site, api: &str) -> Container<'a> {
    site.container(From::Builder)
        .user(USER, &[])
        .read_only()
        .workdir("/workspace")
        .env(&[&format!("CNB_PLATFORM_API={api}")])
        .bind("layers", "/layers", "rw")
        .bind("workspace", "/workspace", "rw")
        .bind("cache", "/cache", "rw")
        .bind("report", "/var/report", "rw")
        .bind("run", RUN_PLACE, "ro")
        .bind("output", APP_PLACE, "rw")
}

const LAYOUT: &[&str] = &[
    "CNB_USE_LAYOUT=true",
    "CNB_LAYOUT_DIR=/layout-repo",
    "CNB_EXPERIMENTAL_MODE=silent",
];

fn pod_site(script: &str) -> Site {
    let site = site(script);
    for volume in ["cache", "report"] {
        site.folder(volume, USER);
    }
    site.run_image("run", USER);
    site
}

/// The phases one by one, as kpack calls them, with layouts in place of its registry.
fn by_hand(api: &str) {
    if !can_run() {
        return;
    }
    let site = pod_site(BUILD_HELLO);
    let phase = |line: &str| pod(&site, api).env(LAYOUT).line(line).ok();
    phase(&format!(
        "/cnb/lifecycle/analyzer -layers=/layers -analyzed=/layers/analyzed.toml -run-image={RUN} sample"
    ));
    phase(
        "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
    );
    phase(
        "/cnb/lifecycle/restorer -group=/layers/group.toml -layers=/layers -cache-dir=/cache -analyzed=/layers/analyzed.toml",
    );
    phase(
        "/cnb/lifecycle/builder -layers=/layers -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
    );
    phase(
        "/cnb/lifecycle/exporter -layers=/layers -app=/workspace -group=/layers/group.toml \
         -analyzed=/layers/analyzed.toml -project-metadata=/layers/project-metadata.toml -cache-dir=/cache \
         -report=/var/report/report.toml sample",
    );
    let output = site.path("output");
    let image = whole(&output);
    let env = image.config["config"]["Env"].as_array().unwrap();
    assert!(
        env.contains(&json!(format!("CNB_PLATFORM_API={api}"))),
        "{env:?}"
    );
    assert_eq!(site.start(&output, "latest", &[]).ok(), "hello\n");
    grep_the_digest(&site.path("report/report.toml"), image.digest());

    // The flags came later than the variables.
    let flags =
        format!("/cnb/lifecycle/analyzer -layout -layout-dir=/layout-repo -run-image={RUN} sample");
    let with_flags = pod(&site, api).env(&LAYOUT[2..]).line(&flags);
    let has_flags = !["0.7", "0.8", "0.9", "0.10", "0.11"].contains(&api);
    assert_eq!(with_flags.code == 0, has_flags, "{}", with_flags.text);
    let refused = with_flags
        .text
        .contains("flag provided but not defined: -layout");
    assert_eq!(refused, !has_flags, "{}", with_flags.text);
}

macro_rules! phases_by_hand {
    ($($test:ident: $api:literal,)*) => {
        $(#[test] fn $test() { by_hand($api); })*
    };
}

phases_by_hand! {
    foreign_phases_by_hand_at_0_7: "0.7",
    foreign_phases_by_hand_at_0_8: "0.8",
    foreign_phases_by_hand_at_0_9: "0.9",
    foreign_phases_by_hand_at_0_10: "0.10",
    foreign_phases_by_hand_at_0_11: "0.11",
    foreign_phases_by_hand_at_0_12: "0.12",
    foreign_phases_by_hand_at_0_13: "0.13",
    foreign_phases_by_hand_at_0_14: "0.14",
    foreign_phases_by_hand_at_0_15: "0.15",
}

/// Platforms read the digest out of report.toml with tools of the shell, each in its own way.
fn grep_the_digest(report: &Path, digest: &str) {
    for pipeline in [
        "grep digest \"$0\" | cut -d'\"' -f2",
        "grep digest \"$0\" | cut -d'\"' -f2 | cut -d'\"' -f2 | tr -d '\\n'",
        "grep digest \"$0\" | tr -d ' \"\\n' | sed s/digest=//",
    ] {
        let found = Ran::of(Command::new("sh").args(["-c", pipeline]).arg(report)).ok();
        assert_eq!(found.trim_end(), digest, "{pipeline}");
    }
}

/// What one shell step of Shipwright does: it says which process is the default where no buildpack does, and reads the
/// digest of what it exported.
const ONE_STEP: &str = r#"set -euo pipefail
/cnb/lifecycle/analyzer -layers=/layers -run-image="$RUN" sample
/cnb/lifecycle/detector -app=/workspace -layers=/layers
/cnb/lifecycle/restorer -cache-dir=/cache -layers=/layers
/cnb/lifecycle/builder -app=/workspace -layers=/layers
exporter_args=( -layers=/layers -report=/tmp/report.toml -cache-dir=/cache -app=/workspace )
grep -q "buildpack-default-process-type" /layers/config/metadata.toml || exporter_args+=( -process-type web )
echo "exporting with ${#exporter_args[@]} words"
/cnb/lifecycle/exporter "${exporter_args[@]}" sample
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

/// What a phase says that would have to reach a registry, for which it is too early: it understood its flags.
const REFUSALS: [&str; 2] = ["cannot look up", "cannot export to a registry"];

/// Runs a line as it is meant, with a registry, and then with layouts in its place.
fn understood(site: &Site, api: &str, env: &[&str], line: &str) {
    let refused = pod(site, api).env(env).line(line);
    let is_refusal = REFUSALS.iter().any(|text| refused.text.contains(text));
    assert!(is_refusal && refused.code > 3, "{line}: {refused:?}");
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
        let refused = |line: &str| {
            let ran = pod(&site, api).env(&env).line(line);
            let is_refusal = REFUSALS.iter().any(|text| ran.text.contains(text));
            assert!(is_refusal && ran.code > 3, "{line}: {ran:?}");
        };
        let free = |line: &str| pod(&site, api).env(&env).line(line).ok();
        refused(&format!(
            "/cnb/lifecycle/analyzer -layers=/layers -analyzed=/layers/analyzed.toml -run-image={RUN} \
             -tag=sample:b1 -tag=sample:b2 -previous-image=sample sample:latest"
        ));
        free(
            "/cnb/lifecycle/detector -app=/workspace -group=/layers/group.toml -plan=/layers/plan.toml",
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
        refused(
            "/cnb/lifecycle/exporter -layers=/layers -app=/workspace -group=/layers/group.toml \
             -analyzed=/layers/analyzed.toml -project-metadata=/layers/project-metadata.toml -cache-dir=/cache \
             -process-type=web -report=/var/report/report.toml sample:latest sample:b1 sample:b2",
        );
    }
}
