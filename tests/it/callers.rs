//! Platforms of today call our programs with the command lines, the environment, the mounts and the users that they use.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use tests::container::{Container, From, Site, USER};
use tests::image;
use tests::program::{Ran, requires, requires_root};

mod by_hand;
pub(crate) mod kubernetes;
pub(crate) mod pack;

/// Whom the files of the run image belong to: neither the container's root nor the builder's user.
const SOMEBODY: u32 = 4242;

pub(crate) const RUN: &str = "registry.example/team/run:1.2";
const RUN_PLACE: &str = "/layout-repo/registry.example/team/run/1.2";
const APP_PLACE: &str = "/layout-repo/index.docker.io/library/sample/latest";

fn can_run() -> bool {
    requires_root() && requires(&["runc", "umoci"])
}

fn site(script: &str) -> Site {
    site_of(script, RUN)
}

/// A builder that knows the run image, the app and empty volumes.
pub(crate) fn site_of(script: &str, run: &str) -> Site {
    let site = Site::new(script);
    let cnb = |name: &str, text: String| {
        fs::write(site.path("builder/rootfs/cnb").join(name), text).unwrap();
    };
    cnb("run.toml", format!("[[images]]\nimage = \"{run}\"\n"));
    // What took its place before Platform API 0.12.
    cnb("stack.toml", format!("[run-image]\nimage = \"{run}\"\n"));
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
pub(crate) fn whole(layout: &Path) -> image::Written {
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

/// What a phase says that has nobody to talk to: these containers have no network, and no daemon's socket.
const ALONE: [&str; 2] = ["no answer from ", "no connection to the daemon at "];

/// Fails unless the phase understood its flags, and only then found that no registry or daemon can be reached.
#[track_caller]
fn assert_alone(ran: &Ran, line: &str) {
    let is_alone = ALONE.iter().any(|text| ran.text.contains(text));
    // 2 means the flags.
    assert!(is_alone && ![0, 2].contains(&ran.code), "{line}: {ran:?}");
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

/// Platforms read the digest out of report.toml with tools of the shell, each in its own way.
pub(crate) fn grep_the_digest(report: &Path, digest: &str) {
    for pipeline in [
        "grep digest \"$0\" | cut -d'\"' -f2",
        "grep digest \"$0\" | cut -d'\"' -f2 | cut -d'\"' -f2 | tr -d '\\n'",
        "grep digest \"$0\" | tr -d ' \"\\n' | sed s/digest=//",
    ] {
        let found = Ran::of(Command::new("sh").args(["-c", pipeline]).arg(report)).ok();
        assert_eq!(found.trim_end(), digest, "{pipeline}");
    }
}
