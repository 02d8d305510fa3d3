//! Other people's programs read what we wrote.

use std::path::Path;
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::{Value, json};
use tests::build::Build;
use tests::program::{self, Ran, requires, requires_root, run};

/// Returns the app image as a reference that skopeo reads.
fn reference(build: &Build) -> String {
    format!("oci:{}:latest", build.app_image().display())
}

#[test]
fn foreign_skopeo_inspects_and_copies() {
    if !(requires_root() && requires(&["skopeo"])) {
        return;
    }
    let build = Build::new();
    build.create().ok();
    let inspected: Value =
        serde_json::from_str(&run("skopeo", &["inspect", &reference(&build)])).unwrap();
    assert_eq!(
        inspected["Digest"],
        tests::image::read(&build.app_image()).digest()
    );
    // A copy reads every blob and checks it.
    let copy = build.path("copy");
    run(
        "skopeo",
        &[
            "copy",
            "-q",
            &reference(&build),
            &format!("dir:{}", copy.display()),
        ],
    );
    assert!(copy.join("manifest.json").is_file());
}

/// Returns a build on a base that has a shell, for images that are run.
fn runnable() -> Build {
    let build = Build::new();
    let base = build.path("base");
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    fs::create_dir_all(base.join("bin")).unwrap();
    fs::write(base.join("bin/busybox"), busybox).unwrap();
    Ran::of(
        Command::new("chmod")
            .arg("755")
            .arg(base.join("bin/busybox")),
    )
    .ok();
    for applet in ["sh", "echo", "id"] {
        std::os::unix::fs::symlink("busybox", base.join("bin").join(applet)).unwrap();
    }
    for folder in ["tmp", "etc", "proc", "dev", "sys"] {
        fs::create_dir(base.join(folder)).unwrap();
    }
    fs::write(base.join("etc/passwd"), "cnb:x:1000:1000::/tmp:/bin/sh\n").unwrap();
    let layout = build.run_image();
    fs::remove_dir_all(&layout).unwrap();
    let image = format!("{}:latest", layout.display());
    run("umoci", &["init", "--layout", layout.to_str().unwrap()]);
    run("umoci", &["new", "--image", &image]);
    run(
        "umoci",
        &["insert", "--image", &image, base.to_str().unwrap(), "/"],
    );
    run(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--config.user",
            "1000:1000",
            "--config.env",
            "PATH=/bin",
        ],
    );
    run("umoci", &["gc", "--layout", layout.to_str().unwrap()]);
    // umoci writes for its own user alone, and the phases read as another.
    Ran::of(Command::new("chmod").arg("-R").arg("a+rX").arg(&layout)).ok();
    fs::copy(program::ours("launcher"), build.path("launcher")).unwrap();
    build
}

/// Starts the bundle's process with runc; without a terminal, on the host's network.
fn runc(build: &Build, bundle: &Path, args: &[&str]) -> Ran {
    let path = bundle.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["process"]["terminal"] = json!(false);
    if !args.is_empty() {
        config["process"]["args"] = json!(args);
    }
    let namespaces = config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    fs::write(&path, config.to_string()).unwrap();
    let id = build
        .path("")
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let root = build.path("runc");
    let mut command = Command::new("runc");
    command
        .arg("--root")
        .arg(root)
        .args(["run", "-b"])
        .arg(bundle)
        .arg(id)
        .stdin(Stdio::null());
    Ran::of(&mut command)
}

#[test]
fn foreign_umoci_unpacks_and_runc_runs_the_process() {
    if !(requires_root() && requires(&["umoci", "runc", "skopeo"]) && requires_busybox()) {
        return;
    }
    let build = runnable();
    build.create().ok();
    let bundle = build.path("bundle");
    let image = format!("{}:latest", build.app_image().display());
    run(
        "umoci",
        &["unpack", "--image", &image, bundle.to_str().unwrap()],
    );
    // BUILD_HELLO: the default process prints the variable that a layer sets at launch.
    assert_eq!(runc(&build, &bundle, &[]).ok(), "hello\n");
    let user = runc(
        &build,
        &bundle,
        &["/cnb/lifecycle/launcher", "--", "/bin/id", "-u"],
    );
    assert_eq!(user.ok(), "1000\n");
}

fn requires_busybox() -> bool {
    Path::new("/bin/busybox").exists() || requires(&["busybox"])
}

#[test]
fn foreign_podman_loads_the_layout() {
    if !(requires_root() && requires(&["podman"])) {
        return;
    }
    let build = Build::new();
    build.create().ok();
    let archive = build.path("app.tar");
    let layout = build.app_image();
    Ran::of(
        Command::new("tar")
            .arg("-C")
            .arg(&layout)
            .arg("-cf")
            .arg(&archive)
            .args(["oci-layout", "index.json", "blobs"]),
    )
    .ok();
    let (root, runroot) = (build.path("pod"), build.path("podrun"));
    let podman = |args: &[&str]| {
        let mut command = Command::new("podman");
        command
            .arg("--root")
            .arg(&root)
            .arg("--runroot")
            .arg(&runroot);
        Ran::of(command.args(["--storage-driver", "vfs"]).args(args))
    };
    let loaded = podman(&["load", "-i", archive.to_str().unwrap()]);
    // What podman bind-mounts on itself must go before the folder does.
    let unmounted = Ran::of(Command::new("umount").arg(root.join("overlay")));
    assert!(
        loaded.code == 0 && loaded.text.contains("Loaded image"),
        "{}{}",
        loaded.text,
        unmounted.text
    );
}
