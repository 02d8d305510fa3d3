//! Whose rights a phase has: volumes handed over, the user switched, root refused (COM-040 to COM-044).

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use tests::build::{Build, GID, UID};
use tests::program::{Ran, ours_in, requires, requires_root};

use crate::logs::rebaser;

/// Volumes that a phase may be given, all of root's.
const VOLUMES: [&str; 5] = ["layers", "cache", "launch-cache", "app", "platform"];

/// Gives the volumes, each with a file and a link inside, back to root.
fn take_back(build: &Build) {
    for volume in VOLUMES {
        let dir = build.path(volume);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        chown(&dir, Some(0), Some(0)).unwrap();
        fs::write(dir.join("inside"), "").unwrap();
        chown(dir.join("inside"), Some(0), Some(0)).unwrap();
    }
}

/// Returns the volumes that belong to the user, with what is inside; half a volume is an error.
fn handed_over(build: &Build) -> Vec<&'static str> {
    let owner = |path: &Path| {
        let metadata = fs::symlink_metadata(path).unwrap();
        (metadata.uid(), metadata.gid())
    };
    let mut volumes = VOLUMES.to_vec();
    volumes.retain(|volume| {
        let dir = build.path(volume);
        let owners = [owner(&dir), owner(&dir.join("inside"))];
        assert_eq!(owners[0], owners[1], "{volume}");
        owners[0] == (UID, GID)
    });
    volumes
}

/// COM-040: which volumes each phase hands over, and no other.
#[test]
fn root_volumes_are_handed_over() {
    if !requires_root() {
        return;
    }
    for (phase, expected) in [
        ("analyzer", &["layers", "cache", "launch-cache"][..]),
        ("restorer", &["layers", "cache"]),
        ("exporter", &["cache", "launch-cache"]),
        ("creator", &["layers", "cache", "launch-cache"]),
        ("rebaser", &[]),
    ] {
        let build = Build::new();
        if phase == "exporter" {
            build.until_export();
        } else if phase == "restorer" {
            for mut command in build.all_phases().into_iter().take(2) {
                Ran::of(&mut command).ok();
            }
        }
        take_back(&build);
        let mut command = match phase {
            "creator" => build.creator(),
            "rebaser" => rebaser(&build),
            _ => build.by_hand(phase),
        };
        // The restorer has no flag for it, but it has the variable's name in common with the others.
        command.env("CNB_LAUNCH_CACHE_DIR", build.path("launch-cache"));
        command.env("CNB_CACHE_DIR", build.path("cache"));
        command.env("CNB_LAYERS_DIR", build.path("layers"));
        if phase == "creator" {
            command.arg("app");
        }
        let ran = Ran::of(&mut command);
        // What comes after may fail: the exporter cannot write to layers of root's.
        assert!(!ran.text.contains("chown"), "{phase}: {}", ran.text);
        assert_eq!(handed_over(&build), expected, "{phase}: {}", ran.text);
    }
}

/// COM-040: `/kaniko` is handed over by the restorer alone; here it lies in a root of its own.
#[test]
fn root_the_restorer_hands_over_kaniko() {
    if !requires_root() || !requires(&["unshare", "chroot", "mount", "bash"]) {
        return;
    }
    let build = Build::new();
    for mut command in build.all_phases().into_iter().take(2) {
        Ran::of(&mut command).ok();
    }
    fs::create_dir(build.path("root")).unwrap();
    let restorer = build.by_hand("restorer");
    let mut command = Command::new("unshare");
    command
        .args(["-m", "bash", "-euc", IN_A_ROOT_OF_ITS_OWN, "bash"])
        .arg(build.path("root"))
        .arg(ours_in("restorer", &build.path("bin")))
        .args(restorer.get_args());
    for (name, value) in restorer.get_envs() {
        command.env(name, value.unwrap());
    }
    let ran = Ran::of(&mut command);
    let expected = format!("{UID}:{GID}\n{UID}:{GID}\n");
    assert!(ran.text.ends_with(&expected), "{}", ran.text);
}

const IN_A_ROOT_OF_ITS_OWN: &str = r#"
root=$1; shift
mount -t tmpfs tmpfs "$root"
for dir in bin lib lib64 usr etc dev proc tmp; do
  [ -e /$dir ] || continue
  if [ -L /$dir ]; then cp -a /$dir "$root/"; continue; fi
  mkdir "$root/$dir"; mount --rbind /$dir "$root/$dir"
done
mkdir "$root/kaniko"; touch "$root/kaniko/inside"
chroot "$root" "$@" >&2
stat -c %u:%g "$root/kaniko" "$root/kaniko/inside"
"#;

/// COM-040: what is not there is passed over; what cannot be handed over ends the phase.
#[test]
fn root_volumes_that_are_none() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let mut command = build.by_hand("analyzer");
    command.env("CNB_CACHE_DIR", build.path("no/cache"));
    Ran::of(&mut command).ok();
    assert!(!build.path("no").exists());

    build.write("file", "");
    let mut command = build.by_hand("analyzer");
    let ran = Ran::of(command.env("CNB_CACHE_DIR", build.path("file")));
    assert_eq!(ran.code, 1, "{}", ran.text);
    let expected = "ERROR: failed to chown volumes: ";
    let last = ran.text.lines().last().unwrap();
    assert!(
        last.starts_with(expected) && last.contains("/file"),
        "{last}"
    );
}

/// COM-042, COM-043: every id of the process, and no supplementary group, is another one; HOME is the user's.
#[test]
fn root_the_user_is_switched_for_good() {
    if !requires_root() || !requires(&["setpriv"]) {
        return;
    }
    let build = Build::new();
    let script =
        "#!/bin/sh\ngrep -E '^(Uid|Gid|Groups):' /proc/$PPID/status\necho \"home is $HOME\"\n";
    build.buildpack("acme/hello", script);
    build.hand_over_report();
    let creator = build.creator();
    let mut command = Command::new("setpriv");
    command
        .args(["--groups", "4321,4322"])
        .arg(creator.get_program())
        .args(creator.get_args())
        .arg("app")
        .env_clear()
        .env("HOME", "/root");
    for (name, value) in creator.get_envs() {
        command.env(name, value.unwrap());
    }
    let log = Ran::of(&mut command).ok();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let mut users = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>());
    let nobody = users.find(|fields| fields[2] == UID.to_string()).unwrap();
    for line in [
        format!("Uid:\t{UID}\t{UID}\t{UID}\t{UID}\n"),
        format!("Gid:\t{GID}\t{GID}\t{GID}\t{GID}\n"),
        "Groups:\t4321 4322 \n".to_owned(),
        format!("home is {}\n", nobody[5]),
    ] {
        assert!(log.contains(&line), "{line:?} in {log}");
    }
}

/// COM-042: those who may not switch say so, unless there is nothing to switch.
#[test]
fn root_users_without_rights_cannot_switch() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.until_export();
    // Nothing to hand over.
    fs::set_permissions(build.path("layers"), Permissions::from_mode(0o777)).unwrap();
    build.write("analyzed.toml", "[run-image]\nreference = \"run\"\n");
    // The rebaser opens its images first, so they must be there.
    Ran::of(&mut build.exporter()).ok();
    let image = |phase| {
        if phase == "restorer" {
            &[][..]
        } else {
            &["app"]
        }
    };
    for phase in ["analyzer", "restorer", "exporter", "creator", "rebaser"] {
        let program = ours_in(phase, &build.path("bin"));
        let run = |uid: u32, gid: u32| {
            let mut command = Command::new(&program);
            command
                .env_clear()
                .env("CNB_PLATFORM_API", "0.12")
                .env("CNB_NO_COLOR", "true")
                .env("CNB_LAYERS_DIR", build.path("layers"))
                .env("CNB_RUN_IMAGE", "run")
                .args(["-uid", &uid.to_string(), "-gid", &gid.to_string()])
                .args(image(phase))
                .current_dir(build.path("app"))
                .uid(UID)
                .gid(GID);
            if phase == "rebaser" {
                command
                    .env("CNB_USE_LAYOUT", "true")
                    .env("CNB_LAYOUT_DIR", build.path("layout"))
                    .env("CNB_EXPERIMENTAL_MODE", "quiet");
            }
            Ran::of(command.env("CNB_ANALYZED_PATH", build.path("analyzed.toml")))
        };
        let ran = run(0, 0);
        let expected = "ERROR: failed to exec as user 0:0: operation not permitted\n";
        assert_eq!(ran.code, 1, "{phase}: {}", ran.text);
        assert!(ran.text.ends_with(expected), "{phase}: {}", ran.text);
        // Another group is another user.
        let ran = run(UID, GID + 1);
        assert!(
            ran.text.contains("failed to exec as user"),
            "{phase}: {}",
            ran.text
        );
        let ran = run(UID, GID);
        assert!(
            !ran.text.contains("failed to exec"),
            "{phase}: {}",
            ran.text
        );
    }
}

/// COM-043.
#[test]
fn root_the_creator_needs_a_user_with_a_home() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let ran = Ran::of(build.creator().args(["-uid", "4200000", "app"]));
    assert_eq!(ran.code, 1, "{}", ran.text);
    let expected =
        "ERROR: failed to set environment for user 4200000: user: unknown userid 4200000\n";
    assert!(ran.text.ends_with(expected), "{}", ran.text);
}

/// COM-044: those that run buildpacks do not run as root, but inside the creator they may.
#[test]
fn root_is_refused_where_buildpacks_run() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    for (phase, action) in [("detector", "detect"), ("builder", "build")] {
        let mut command = build.by_hand(phase);
        let ran = Ran::of(command.uid(0).gid(0));
        assert_eq!(ran.code, 1, "{}", ran.text);
        let expected = format!("ERROR: failed to {action}: refusing to run as root\n");
        assert_eq!(ran.text, expected);
    }
    build.hand_over_report();
    Ran::of(build.creator().args(["-uid", "0", "-gid", "0", "app"])).ok();
}
