//! Other people's readers unpack the layers that are written here: GNU gzip, Go's in three programs (crane, umoci,
//! containerd), and GNU tar; all must find the same files.
//!
//! Layers are gzip files of several members, and a reader that stops at the end of the first one finds a part only.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fs_err as fs;
use tests::build::{Build, GID, UID};
use tests::image;
use tests::program::{Ran, requires, requires_root, run};

/// Bytes that compress to about half; some members of them.
fn digits(len: usize) -> String {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 28) as u8)
    };
    (0..len).map(|_| next()).collect()
}

/// Returns a build whose app has what a tar tells in a way of its own: long names, others' letters, links, modes.
fn built() -> Build {
    let build = Build::new();
    build.write("app/long.txt", &digits(3_500_000));
    build.write("app/member.txt", &digits(1 << 20));
    build.write("app/empty.txt", "");
    for number in 0..300 {
        build.write(&format!("app/small/{number}.txt"), &digits(number * 5));
    }
    let (folder, name) = ("d".repeat(110), "n".repeat(120));
    build.write(&format!("app/{folder}/{folder}/{name}"), "long");
    build.write("app/été/日本", "letters");
    build.write("app/bin/tool", "#!/bin/sh\n");
    let mode = Permissions::from_mode(0o4755);
    fs::set_permissions(build.path("app/bin/tool"), mode).unwrap();
    symlink("../long.txt", build.path("app/bin/link")).unwrap();
    symlink("t".repeat(150), build.path("app/bin/nowhere")).unwrap();
    chown(build.path("app/small/7.txt"), Some(3_000_000), Some(7)).unwrap();
    build.create().ok();
    build
}

/// Fails unless two trees are the same: kinds, modes, owners, targets, contents.
fn assert_same(one: &Path, other: &Path) {
    let list = |root: &Path| {
        let mut find = Command::new("find");
        find.arg(root).args(["-mindepth", "1"]);
        find.args(["-printf", "%P %y %m %U %G %l\n"]);
        let mut lines: Vec<_> = Ran::of(&mut find).ok().lines().map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(list(one), list(other));
    let trees = [one.to_str().unwrap(), other.to_str().unwrap()];
    let difference = run("diff", &["-r", "--no-dereference", trees[0], trees[1]]);
    assert_eq!(difference, "");
}

/// Unpacks the app image by umoci, which checks every diffID, and returns the tree.
fn unpacked(build: &Build) -> PathBuf {
    let bundle = build.path("bundle");
    let image = format!("{}:latest", build.app_image().display());
    let to = bundle.to_str().unwrap();
    run("umoci", &["unpack", "--image", &image, to]);
    bundle.join("rootfs")
}

#[test]
fn foreign_gnu_gzip_and_umoci_unpack_layers() {
    if !(requires_root() && requires(&["umoci"])) {
        return;
    }
    let build = built();
    let image = image::read(&build.app_image());
    let diff_ids = image.config["rootfs"]["diff_ids"].as_array().unwrap();
    let layers = image.manifest["layers"].as_array().unwrap();
    assert_eq!(layers.len(), diff_ids.len());
    let mut longest = 0;
    for (layer, diff_id) in layers.iter().zip(diff_ids) {
        let digest = layer["digest"].as_str().unwrap();
        let blob = build
            .app_image()
            .join("blobs")
            .join(digest.replace(':', "/"));
        let blob = fs::File::open(blob).unwrap().into_file();
        let gzip = Command::new("gzip").arg("-dc").stdin(blob).output();
        let gzip = gzip.unwrap();
        assert!(gzip.status.success());
        assert_eq!(image::digest(&gzip.stdout), diff_id.as_str().unwrap());
        longest = longest.max(gzip.stdout.len());
    }
    assert!(longest > 4 << 20, "a layer of several members");
    // The app as it was packed, owned by its user.
    let tree = unpacked(&build);
    let app = tree.join(build.path("app").strip_prefix("/").unwrap());
    let owner = format!("{UID}:{GID}");
    run(
        "chown",
        &["-hR", &owner, build.path("app").to_str().unwrap()],
    );
    let tool = build.path("app/bin/tool");
    fs::set_permissions(tool, Permissions::from_mode(0o4755)).unwrap();
    assert_same(&build.path("app"), &app);
}

/// A server, which ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn foreign_crane_checks_and_unpacks_layers() {
    if !(requires_root() && requires(&["crane", "umoci"])) {
        return;
    }
    let build = built();
    // It reads registries alone, and is one: on a port that it chooses and prints.
    let mut registry = Command::new("crane");
    registry
        .args(["registry", "serve", "--address", "127.0.0.1:0"])
        .stderr(Stdio::piped());
    let mut registry = Server(registry.spawn().unwrap());
    let lines = BufReader::new(registry.0.stderr.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let port = lines.find_map(|line| Some(line.split_once("serving on port ")?.1.to_owned()));
    // Whoever stops reading stops it.
    let reader = std::thread::spawn(move || lines.count());
    let name = format!("127.0.0.1:{}/app:latest", port.unwrap());

    run(
        "crane",
        &["push", build.app_image().to_str().unwrap(), &name],
    );
    let digest = run("crane", &["digest", &name]);
    assert_eq!(digest.trim(), image::read(&build.app_image()).digest());
    // Digests, sizes and diffIDs of all layers.
    let verdict = run("crane", &["validate", "--remote", &name]);
    assert_eq!(verdict, format!("PASS: {name}\n"));
    let (flat, tree) = (build.path("flat.tar"), build.path("flat"));
    run("crane", &["export", &name, flat.to_str().unwrap()]);
    fs::create_dir(&tree).unwrap();
    let flat = ["-xpf", flat.to_str().unwrap(), "-C", tree.to_str().unwrap()];
    run("tar", &[&["--numeric-owner"], &flat[..]].concat());
    assert_same(&unpacked(&build), &tree);
    drop(registry);
    reader.join().unwrap();
}

/// Starts containerd with everything in one folder; returns it and where it listens.
fn containerd(dir: &Path) -> (Server, PathBuf) {
    let (config, socket) = (dir.join("config.toml"), dir.join("c.sock"));
    fs::create_dir_all(dir).unwrap();
    let text = format!(
        "version = 2\nroot = '{0}/root'\nstate = '{0}/state'\ndisabled_plugins = ['io.containerd.grpc.v1.cri']\n\
         [grpc]\naddress = '{1}'\n",
        dir.display(),
        socket.display()
    );
    fs::write(&config, text).unwrap();
    let log = fs::File::create(dir.join("log")).unwrap();
    let server = Command::new("containerd")
        .arg("--config")
        .arg(&config)
        // Go's decompressor, not that of another program which this machine may have.
        .env("CONTAINERD_DISABLE_PIGZ", "1")
        .stdout(Stdio::null())
        .stderr(log.into_file())
        .spawn();
    let server = Server(server.unwrap());
    let begin = Instant::now();
    while ctr(&socket, &["version"]).code != 0 {
        let log = fs::read_to_string(dir.join("log")).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(30), "{log}");
        std::thread::sleep(Duration::from_millis(50));
    }
    (server, socket)
}

fn ctr(socket: &Path, args: &[&str]) -> Ran {
    Ran::of(Command::new("ctr").arg("--address").arg(socket).args(args))
}

#[test]
fn foreign_containerd_imports_and_unpacks_layers() {
    if !(requires_root() && requires(&["containerd", "ctr", "umoci"])) {
        return;
    }
    let build = built();
    let (archive, layout) = (build.path("app.tar"), build.app_image());
    let parts = ["oci-layout", "index.json", "blobs"];
    let (to, from) = (archive.to_str().unwrap(), layout.to_str().unwrap());
    run("tar", &[&["-cf", to, "-C", from], &parts[..]].concat());

    let dir = build.path("ct");
    let (_server, socket) = containerd(&dir);
    // The snapshotter that keeps whole trees, and mounts nothing that stays.
    let native = ["--snapshotter", "native"];
    let import = ["images", "import", "--base-name", "slipway.test/app"];
    ctr(&socket, &[&import[..], &native, &[to]].concat()).ok();
    let check = ctr(&socket, &[&["images", "check"], &native[..]].concat()).ok();
    let line = check.lines().find(|line| line.contains("slipway.test/app"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[0], "slipway.test/app:latest");
    let manifest = image::read(&layout).manifest;
    let layers = manifest["layers"].as_array().unwrap().len();
    // With the config.
    let blobs = layers + 1;
    assert!(
        check.contains(&format!("complete ({blobs}/{blobs})")),
        "{check}"
    );
    assert_eq!(words.last(), Some(&"true"), "{check}");

    // A snapshot a layer, the last of which is the whole tree.
    let list = ctr(&socket, &[&["snapshots"], &native[..], &["list"]].concat()).ok();
    let rows = list.lines().skip(1).count();
    assert_eq!(rows, layers, "{list}");
    let snapshots = dir.join("root/io.containerd.snapshotter.v1.native/snapshots");
    let newest = fs::read_dir(snapshots)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let number =
        |path: &PathBuf| -> u32 { path.file_name().unwrap().to_str().unwrap().parse().unwrap() };
    let newest = newest.max_by_key(number).unwrap();
    assert_same(&unpacked(&build), &newest);
}
