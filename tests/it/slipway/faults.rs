//! What goes wrong in a build is said in words that help, and leaves everything as it was.

use std::process::Stdio;
use std::time::{Duration, Instant};

use fs_err as fs;
use serde_json::json;
use tests::desk::Desk;
use tests::image;
use tests::program::{Ran, requires};

/// Changes the config of the builder at a desk, as somebody would who made it badly.
fn change_builder(desk: &Desk, name: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let builder = desk.path("repo/index.docker.io/library/sample-builder/latest");
    let changed = desk.path(name);
    fs::create_dir_all(changed.join("blobs")).unwrap();
    tests::program::run(
        "cp",
        &[
            "-r",
            builder.join("blobs/sha256").to_str().unwrap(),
            changed.join("blobs").to_str().unwrap(),
        ],
    );
    let mut written = image::read(&builder);
    change(&mut written.config);
    let text = serde_json::to_vec(&written.config).unwrap();
    written.manifest["config"] =
        image::blob(&changed, "application/vnd.oci.image.config.v1+json", &text);
    let text = serde_json::to_vec(&written.manifest).unwrap();
    let manifest = image::blob(
        &changed,
        "application/vnd.oci.image.manifest.v1+json",
        &text,
    );
    image::index(
        &changed,
        "application/vnd.oci.image.index.v1+json",
        &[manifest],
    );
}

fn fails(ran: &Ran, needles: &[&str]) {
    assert_eq!(ran.code, 1, "{}", ran.text);
    for needle in needles {
        assert!(
            ran.text.contains(needle),
            "{needle:?} is not in: {}",
            ran.text
        );
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn root_what_is_asked_wrongly_is_said_before_anything_runs() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["build", "oci:app"],
            &["no builder is named", "default-builder"],
        ),
        (
            &["build", "app", "--builder", "sample-builder"],
            &["oci:app"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--path",
                "nowhere",
            ],
            &["there is no app at nowhere"],
        ),
        (
            &["build", "oci:app", "--builder", "absent-builder"],
            &[
                "failed to open the builder absent-builder",
                "index.docker.io/library/absent-builder/latest",
            ],
        ),
        (
            &["build", "oci:app", "--builder", "slipway/bash-run"],
            &[
                "slipway/bash-run is no builder",
                "io.buildpacks.builder.metadata",
            ],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--run-image",
                "absent/run",
            ],
            &["failed to open the run image absent/run"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--publish",
            ],
            &["--publish is for a name in a registry"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--cache",
                "format=disk",
            ],
            &["invalid --cache", "there is no format"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "-b",
                "absent/buildpack@1",
            ],
            &["absent/buildpack"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--runtime",
                "absent-runtime",
            ],
            &["absent-runtime"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--workspace",
                "../x",
            ],
            &["no place for the app"],
        ),
        (
            &[
                "build",
                "oci:app",
                "--builder",
                "sample-builder",
                "--descriptor",
                "absent.toml",
            ],
            &["absent.toml"],
        ),
    ];
    for (args, needles) in cases {
        fails(&desk.run(args), needles);
        assert!(!desk.path("work/app").exists(), "{args:?}");
        assert_eq!(desk.remains(), [""; 0], "{args:?}");
    }
}

#[test]
fn root_builders_that_cannot_be_used() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    change_builder(&desk, "unlabelled", |config| {
        config["config"]["Labels"] = json!({});
    });
    change_builder(&desk, "foreign", |config| {
        config["architecture"] = json!("s390x");
    });
    change_builder(&desk, "old", |config| {
        let labels = &mut config["config"]["Labels"];
        let text = labels["io.buildpacks.builder.metadata"].as_str().unwrap();
        let mut metadata: serde_json::Value = serde_json::from_str(text).unwrap();
        metadata["lifecycle"]["apis"]["platform"] =
            json!({"supported": ["0.3", "0.4"], "deprecated": []});
        metadata["lifecycle"]["version"] = json!("0.9.0");
        labels["io.buildpacks.builder.metadata"] = json!(metadata.to_string());
    });
    change_builder(&desk, "nobody", |config| {
        config["config"]["Env"] = json!(["PATH=/bin"]);
    });
    let build = |builder: &str, more: &[&str]| {
        let usual = ["build", "oci:app", "--path", "../app", "--builder", builder];
        desk.run(&[&usual, more].concat())
    };
    fails(
        &build("oci:../unlabelled", &[]),
        &["is no builder", "io.buildpacks.builder.metadata"],
    );
    let foreign = build("oci:../foreign", &["--platform", "linux/s390x"]);
    fails(&foreign, &["is for linux/s390x"]);
    fails(&build("oci:../nobody", &[]), &["CNB_USER_ID"]);
    let old = build("oci:../old", &["--lifecycle", "builder"]);
    fails(
        &old,
        &["lifecycle 0.9.0 is too old", "leave out --lifecycle"],
    );
    // With ours, what is in the builder does not matter.
    build("oci:../old", &[]).ok();
}

#[test]
fn root_a_failing_buildpack_leaves_the_image_before() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    desk.build("app", &[]).ok();
    let before = image::read(&desk.path("work/app")).digest().to_owned();
    let broken = desk.buildpack("broken", "echo 'no luck'; exit 7");
    let ran = desk.build("app", &["-b", broken.to_str().unwrap()]);
    fails(
        &ran,
        &[
            "[builder] no luck",
            "error: the builder failed: a buildpack failed (exit code 51)",
        ],
    );
    assert_eq!(image::read(&desk.path("work/app")).digest(), before);
    let ran = desk.build("fresh", &["-b", broken.to_str().unwrap()]);
    assert_eq!(ran.code, 1);
    assert!(!desk.path("work/fresh").exists(), "no half image");
    assert_eq!(desk.remains(), [""; 0]);
}

#[test]
fn root_an_app_that_no_buildpack_wants() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    fs::remove_file(desk.path("app/hello.sh")).unwrap();
    desk.write("app/other", "");
    fails(
        &desk.build("app", &[]),
        &[
            "the detector failed",
            "no group of buildpacks takes this app (exit code 20)",
        ],
    );
}

#[test]
fn root_a_layout_repo_that_cannot_be_written_is_named() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    // For root, too, nothing can be made below a file.
    desk.write("file", "");
    let repo = desk.path("file/repo");
    desk.write(
        "home/config.toml",
        &format!("layout-repo-dir = \"{}\"\n", repo.display()),
    );
    let builder = format!(
        "oci:{}",
        desk.path("repo/index.docker.io/library/sample-builder/latest")
            .display()
    );
    let run = format!(
        "oci:{}",
        desk.path("repo/index.docker.io/slipway/bash-run/latest")
            .display()
    );
    let ran = desk.run(&[
        "build",
        "oci:app",
        "--path",
        "../app",
        "--builder",
        &builder,
        "--run-image",
        &run,
    ]);
    fails(
        &ran,
        &[
            "failed to write to the layout repo",
            "file/repo",
            "layout-repo-dir",
        ],
    );
}

#[test]
fn root_a_full_disk_leaves_the_image_before() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    if !requires(&["unshare", "mount"]) {
        return;
    }
    desk.buildpack("big", "mkdir \"$CNB_LAYERS_DIR/big\"; printf '[types]\\nlaunch=true\\n' >\"$CNB_LAYERS_DIR/big.toml\"; head -c 9000000 /dev/urandom >\"$CNB_LAYERS_DIR/big/file\"");
    fs::create_dir(desk.path("work/small")).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=8m tmpfs {small} && {slipway} build oci:small/app --path ../app --builder sample-builder && echo BUILT && \
         cp {small}/app/index.json before.json && \
         {{ {slipway} build oci:small/app --path ../app --builder sample-builder -b ../big; test $? = 1; }} && \
         cmp before.json {small}/app/index.json && {slipway} layout verify small/app && echo SAME",
        small = desk.path("work/small").display(),
        slipway = desk.path("bin/slipway").display(),
    );
    let model = desk.slipway(&[]);
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    command.current_dir(desk.path("work")).stdin(Stdio::null());
    for (name, value) in model.get_envs() {
        command.env(name, value.unwrap());
    }
    let ran = Ran::of(&mut command);
    assert!(
        ran.text.contains("BUILT") && ran.text.contains("SAME"),
        "{}",
        ran.text
    );
    assert!(
        ran.text.contains("No space left on device")
            || ran.text.contains("no space left on device"),
        "{}",
        ran.text
    );
}

#[test]
fn root_two_builds_at_once_both_succeed() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let slow = desk.buildpack("slow", "sleep 1");
    let args = [
        "build",
        "oci:app",
        "--path",
        "../app",
        "--builder",
        "sample-builder",
        "-b",
        slow.to_str().unwrap(),
    ];
    let start = || {
        desk.slipway(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let (one, two) = (start(), start());
    let ended: Vec<Ran> = [one, two]
        .into_iter()
        .map(|it| it.wait_with_output().unwrap().into())
        .collect();
    assert!(ended.iter().all(|it| it.code == 0), "{ended:?}");
    assert!(
        ended
            .iter()
            .any(|it| it.text.contains("Waiting for another build")),
        "{ended:?}"
    );
    desk.run(&["layout", "verify", "app"]).ok();
    assert_eq!(desk.remains(), [""; 0]);
}

/// Starts a build that would take a minute, sends the signal once the buildpack runs, and returns how it ended.
fn interrupted(desk: &Desk, signal: &str) -> (Ran, Duration) {
    let slow = desk.buildpack("endless", "touch /out/begun; sleep 60");
    fs::create_dir_all(desk.path("out")).unwrap();
    tests::program::run("chmod", &["0777", desk.path("out").to_str().unwrap()]);
    let volume = format!("{}:/out:rw", desk.path("out").display());
    let args = [
        "build",
        "oci:app",
        "--path",
        "../app",
        "--builder",
        "sample-builder",
        "-b",
        slow.to_str().unwrap(),
        "--volume",
        &volume,
    ];
    let child = desk
        .slipway(&args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = desk.path("out/begun");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !begun.exists() {
        assert!(Instant::now() < deadline, "the build does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    let sent = Instant::now();
    tests::program::run("kill", &["-s", signal, &child.id().to_string()]);
    let ran = child.wait_with_output().unwrap().into();
    (ran, sent.elapsed())
}

/// Returns whether any process of a build at this desk is left.
fn is_anything_left(desk: &Desk) -> bool {
    let here = desk.path("out");
    let here = here.to_str().unwrap();
    let mounts =
        |pid: &str| fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    let pids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|it| it.unwrap().file_name().into_string().ok());
    pids.filter(|pid| pid.parse::<u32>().is_ok())
        .any(|pid| mounts(&pid).contains(here))
}

#[test]
fn root_ctrl_c_ends_the_build_and_leaves_nothing() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let (ran, took) = interrupted(&desk, "INT");
    assert_eq!(ran.code, 130, "{}", ran.text);
    assert!(ran.text.contains("error: interrupted"), "{}", ran.text);
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert!(!desk.path("work/app").exists());
    assert_eq!(desk.remains(), [""; 0]);
    assert!(!is_anything_left(&desk));
}

#[test]
fn root_what_a_killed_build_leaves_goes_with_the_next() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let (ran, _) = interrupted(&desk, "KILL");
    assert_eq!(ran.code, -1, "{}", ran.text);
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_anything_left(&desk) {
        assert!(Instant::now() < deadline, "its processes go on");
        std::thread::sleep(Duration::from_millis(20));
    }
    desk.build("app", &[]).ok();
    assert_eq!(desk.remains(), [""; 0]);
    desk.run(&["layout", "verify", "app"]).ok();
}
