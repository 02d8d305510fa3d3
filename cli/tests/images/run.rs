use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, ImageConfig, ImageEditor, Layout};

use crate::kit::{Ran, Site, open, requires};

const SCRIPT: &str = r#"#!/bin/sh
case "$1" in
show) echo "$(id -u):$(id -g) $HOME $PWD [$*] A=$A B=$B C=${C-unset} PATH=$PATH" ;;
fail) exit 42 ;;
die) kill -KILL $$ ;;
write) echo text > "$2" ;;
read) cat ;;
wait) trap 'echo got INT; exit 7' INT; trap 'echo got TERM; exit 8' TERM; trap 'echo got USR1' USR1
    echo ready; while true; do sleep 0.05; done ;;
stay) trap '' INT TERM; echo ready; while true; do sleep 0.05; done ;;
esac
"#;

/// Writes an image with a shell, a user `cnb`, and a script `app`, which `change` may configure otherwise.
fn image(dir: &Path, change: &dyn Fn(&mut ImageConfig)) {
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        fs_err::write(&path, text).unwrap();
        file(path)
    };
    let link = |target: &str| EntryKind::Symlink {
        target: target.into(),
    };
    let passwd = "root:x:0:0::/root:/bin/sh\ncnb:x:1000:1001::/home/cnb:/bin/sh\n";
    let mut entries = vec![
        ("/bin", EntryKind::Directory),
        ("/bin/busybox", file("/bin/busybox".into())),
        ("/etc", EntryKind::Directory),
        ("/etc/passwd", write("passwd", passwd)),
        ("/tmp", EntryKind::Directory),
        ("/cnb", EntryKind::Directory),
        ("/cnb/process", EntryKind::Directory),
        ("/cnb/process/web", link("/cnb/app")),
        ("/cnb/app", write("app", SCRIPT)),
    ];
    let applets = ["sh", "id", "cat", "sleep", "ip", "wc"].map(|name| format!("/bin/{name}"));
    entries.extend(applets.iter().map(|name| (name.as_str(), link("busybox"))));
    let entries = entries.into_iter().map(|(name, kind)| Entry {
        name: Path::new(name).into(),
        mode: if name == "/tmp" { 0o1777 } else { 0o755 },
        uid: 0,
        gid: 0,
        kind,
    });
    let layer = Layer {
        entries: entries.collect(),
    };
    let mut update = Layout::at(dir).update().unwrap();
    let layer = update.write_layer(&layer, &WriteOptions::default(), None);
    let mut editor = ImageEditor::empty(&Platform::host());
    editor.append(&layer.unwrap(), History::default());
    let config = &mut editor.config_mut().config;
    config.entrypoint = vec!["/cnb/process/web".to_owned()];
    config.cmd = vec!["show".to_owned(), "cmd".to_owned()];
    config.env = ["A=image", "PATH=/cnb/process:/bin"]
        .map(str::to_owned)
        .into();
    "cnb".clone_into(&mut config.user);
    "/tmp/deep".clone_into(&mut config.working_dir);
    change(editor.config_mut());
    let options = CommitOptions {
        ref_name: "latest".to_owned(),
        ..CommitOptions::default()
    };
    editor.commit(update, &options).unwrap();
}

fn file(source: PathBuf) -> EntryKind {
    let size = fs_err::metadata(&source).unwrap().len();
    EntryKind::File {
        source: source.into(),
        size,
    }
}

/// A folder with the image `app`.
fn site() -> Option<Site> {
    if !requires(&["busybox"]) {
        return None;
    }
    let site = Site::new();
    image(&site.path("app"), &|_| {});
    Some(site)
}

fn run(site: &Site, args: &[&str]) -> Ran {
    site.slipway(&[&["run", "oci:app"], args].concat())
}

#[test]
fn an_app_finds_what_its_image_says() {
    let Some(site) = site() else { return };
    assert_eq!(
        run(&site, &[]).ok(),
        "1000:1001 /home/cnb /tmp/deep [show cmd] A=image B= C=unset PATH=/cnb/process:/bin\n"
    );
    // Arguments replace those of the image.
    let out = run(&site, &["--", "show", "a b", "--env"]).ok();
    assert!(out.contains(" [show a b --env] "), "{out}");
    let args = ["-e", "A=x=y", "--env", "B=", "--env", "C", "--", "show"];
    let out = run(&site, &args).ok();
    assert!(out.contains(" A=x=y B= C=unset "), "{out}");
    for (user, ids) in [
        ("0:0", "0:0 /root "),
        ("root", "0:0 /root "),
        ("7:8", "7:8 / "),
        ("1000", "1000:1001 /home/cnb "),
    ] {
        let out = run(&site, &["--user", user]).ok();
        assert!(out.starts_with(ids), "{user}: {out}");
    }
}

#[test]
fn an_entrypoint_is_a_process_or_a_program() {
    let Some(site) = site() else { return };
    let out = run(&site, &["--entrypoint", "web", "--", "show"]).ok();
    assert!(out.contains(" [show] "), "{out}");
    let out = run(&site, &["--entrypoint", "/bin/sh", "--", "-c", "echo hi"]).ok();
    assert_eq!(out, "hi\n");
    let out = run(&site, &["--entrypoint", "id", "--", "-u"]).ok();
    assert_eq!(out, "1000\n", "arguments of the image are the other's");
    run(&site, &["--entrypoint", "worker"])
        .fails_with(&["the image has no process and no program worker"]);
}

#[test]
fn its_end_is_the_app_s() {
    let Some(site) = site() else { return };
    for (word, status) in [("show", 0), ("fail", 42), ("die", 128 + 9)] {
        let ran = run(&site, &["--", word]);
        assert_eq!((ran.status, ran.err.as_str()), (status, ""), "{word}");
    }
    let state = site.path("home/layout-repo/.slipway/runs");
    assert_eq!(
        fs_err::read_dir(state).unwrap().count(),
        0,
        "nothing is left"
    );
}

#[test]
fn what_is_written_stays_in_volumes_alone() {
    let Some(site) = site() else { return };
    let data = site.path("data");
    fs_err::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(1000), Some(1001)).ok();
    let write = |volume: &str| run(&site, &["-v", volume, "--", "write", "/data/file"]);
    let volume = format!("{}:/data", data.display());
    write(&volume).ok();
    assert_eq!(fs_err::read_to_string(data.join("file")).unwrap(), "text\n");
    let ran = write(&format!("{volume}:ro"));
    assert_ne!(ran.status, 0);
    write("relative:x").fails_with(&["invalid --volume"]);
    write("/absent/here:/data").fails_with(&["there is no /absent/here"]);
    // Where nothing is mounted, it is gone with the container.
    run(&site, &["--", "write", "/tmp/file"]).ok();
    let args = ["--entrypoint", "cat", "--", "/tmp/file"];
    assert_ne!(run(&site, &args).status, 0);
}

#[test]
fn a_network_can_be_kept_away() {
    let Some(site) = site() else { return };
    let count = |network: &str| -> usize {
        let args = ["--network", network, "--entrypoint", "sh", "--", "-c"];
        let script = "cat /proc/net/dev | wc -l";
        let out = run(&site, &[&args[..], &[script]].concat()).ok();
        out.trim().parse().unwrap()
    };
    // Two lines of heading, and loopback.
    assert_eq!(count("none"), 3);
    let here = fs_err::read_to_string("/proc/net/dev").unwrap();
    assert_eq!(count("host"), here.lines().count());
}

/// Starts an app that says when it is ready.
fn start(site: &Site, word: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["run", "oci:app", "--", word])
        .current_dir(site.path(""))
        .env_clear()
        .env("SLIPWAY_HOME", site.path("home"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    (child, out)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-s", name, &id]).status();
    assert!(killed.unwrap().success());
}

#[test]
fn signals_reach_the_app() {
    let Some(site) = site() else { return };
    for (name, status) in [("INT", 7), ("TERM", 8)] {
        let (mut child, mut out) = start(&site, "wait");
        let mut said = String::new();
        signal(&child, "USR1");
        out.read_line(&mut said).unwrap();
        signal(&child, name);
        out.read_line(&mut said).unwrap();
        assert_eq!(said, format!("got USR1\ngot {name}\n"));
        assert_eq!(child.wait().unwrap().code(), Some(status));
    }
}

#[test]
fn who_does_not_want_to_wait_need_not() {
    let Some(site) = site() else { return };
    let (mut child, _out) = start(&site, "stay");
    signal(&child, "TERM");
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(child.try_wait().unwrap().is_none());
        signal(&child, "INT");
    }
    assert_eq!(child.wait().unwrap().code(), Some(128 + 9));
}

#[test]
fn input_is_the_app_s() {
    let Some(site) = site() else { return };
    let input = site.path("input");
    fs_err::write(&input, "typed").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_slipway"))
        .args(["run", "oci:app", "--", "read"])
        .current_dir(site.path(""))
        .env("SLIPWAY_HOME", site.path("home"))
        .stdin(fs_err::File::open(&input).unwrap().into_parts().0)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"typed");
}

#[test]
fn a_sparse_image_takes_layers_from_the_layout_repo() {
    let Some(site) = site() else { return };
    let whole = open(&site.path("app"));
    let sparse = Layout::at(site.path("sparse"));
    sparse.copy_without_layers_from(&whole, "latest").unwrap();
    let missing = whole.diff_ids()[0].to_string();
    site.slipway(&["run", "oci:sparse"]).fails_with(&[
        &format!("layer {missing} is not in sparse"),
        "home/layout-repo",
    ]);
    // A damaged one is not used, and neither is one of another size.
    let repo = site.repo("library/base/1");
    Layout::at(&repo).copy_from(&whole, "1").unwrap();
    let blob = open(&repo).manifest().layers[0].digest.to_string();
    let blob = repo.join("blobs").join(blob.replace(':', "/"));
    let bytes = fs_err::read(&blob).unwrap();
    fs_err::remove_file(&blob).unwrap();
    fs_err::write(&blob, vec![0; bytes.len()]).unwrap();
    site.slipway(&["run", "oci:sparse"])
        .fails_with(&["is damaged"]);
    fs_err::write(&blob, "short").unwrap();
    site.slipway(&["run", "oci:sparse"])
        .fails_with(&[&format!("layer {missing} is not in sparse")]);
    fs_err::write(&blob, bytes).unwrap();
    let out = site.slipway(&["run", "oci:sparse"]).ok();
    assert!(out.starts_with("1000:1001 "), "{out}");
}

type Change<'a> = &'a dyn Fn(&mut ImageConfig);

#[test]
fn what_cannot_be_started_is_told() {
    let Some(site) = site() else { return };
    let mut host = Platform::host();
    host.architecture = if host.architecture == "arm64" {
        "amd64"
    } else {
        "arm64"
    }
    .to_owned();
    let cases: [(Change<'_>, &str); 6] = [
        (
            &|it| it.config.user = "nobody".to_owned(),
            "no user nobody in /etc/passwd",
        ),
        (
            &|it| {
                it.config.entrypoint.clear();
                it.config.cmd.clear();
            },
            "does not say what to start",
        ),
        (
            &|it| it.config.entrypoint = vec!["absent".to_owned()],
            "no program absent",
        ),
        (
            &|it| it.config.entrypoint = vec!["/absent".to_owned()],
            "failed to start oci:odd",
        ),
        (
            &|it| it.architecture.clone_from(&host.architecture),
            "and this machine is linux/",
        ),
        (
            &|it| it.config.env.push("A\0B=1".to_owned()),
            "failed to start oci:odd",
        ),
    ];
    for (change, error) in cases {
        image(&site.path("odd"), change);
        site.slipway(&["run", "oci:odd"]).fails_with(&[error]);
    }
    run(&site, &["--env", "=x"]).fails_with(&["invalid --env"]);
    run(&site, &["--runtime", "/no/runc"]).fails_with(&["no runtime /no/runc"]);
    fs_err::remove_dir_all(site.path("home")).unwrap();
    fs_err::write(site.path("home"), "").unwrap();
    let ran = run(&site, &[]);
    assert_eq!(ran.status, 1, "{}", ran.out);
}
