//! The same inputs give the same manifest, whatever the machine does (invariant 2).

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use tests::build::{Build, GID, UID};
use tests::image;
use tests::program::{Ran, requires, requires_root};

const FILES: usize = 300;

/// Exports the app afresh and returns the manifest's digest.
fn export(build: &Build, limit: &[&str]) -> String {
    remove(&build.app_image());
    remove(&build.path("cache"));
    fs::create_dir(build.path("cache")).unwrap();
    chown(build.path("cache"), Some(UID), Some(GID)).unwrap();
    build.forget_layers();
    build.hand_over_report();
    let creator = build.creator();
    let mut command = match limit {
        [] => Command::new(creator.get_program()),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(creator.get_program());
            command
        }
    };
    command
        .args(creator.get_args())
        .arg("app")
        .env_clear()
        .current_dir(build.path(""));
    command.envs(
        creator
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    Ran::of(&mut command).ok();
    image::read(&build.app_image()).digest().to_owned()
}

fn remove(dir: &Path) {
    if dir.exists() {
        fs::remove_dir_all(dir).unwrap();
    }
}

/// Writes files in one order or the other: directory order on disk follows it on many file systems.
fn fill(build: &Build, backwards: bool) {
    remove(&build.path("app"));
    let mut numbers: Vec<usize> = (0..FILES).collect();
    if backwards {
        numbers.reverse();
    }
    for number in numbers {
        // Enough bytes for several members of compressed output.
        let text = format!("{number} ").repeat(4000);
        build.write(&format!("app/d{}/f{number}", number % 7), &text);
    }
    Ran::of(
        Command::new("chown")
            .arg("-R")
            .arg(format!("{UID}:{GID}"))
            .arg(build.path("app")),
    )
    .ok();
}

#[test]
fn root_same_inputs_same_manifest() {
    if !(requires_root() && requires(&["taskset"])) {
        return;
    }
    let build = Build::new();
    fill(&build, false);
    let first = export(&build, &[]);
    assert_eq!(export(&build, &[]), first, "a second time");
    assert_eq!(
        export(&build, &["taskset", "-c", "0"]),
        first,
        "on one core"
    );
    fill(&build, true);
    assert_eq!(export(&build, &[]), first, "files made in another order");
    build.write("app/d0/f0", "changed");
    assert_ne!(export(&build, &[]), first, "the comparison can fail");
}
