//! How many instructions a small export takes on one thread: a slow-down is caught here without timing anything.
//!
//! callgrind shows every machine the same processor, so that the count depends on the program and on its input alone:
//! on the compiler therefore too, whose versions differ by a few per cent, but not on how busy the machine is. It does
//! not show waiting, nor what instructions save that the shown processor has not, such as those for SHA-256.

use std::io::Write as _;
use std::process::Command;

use tests::build::Build;
use tests::program::{Ran, requires, requires_optimised, requires_root};

/// Instructions of the export, by the programs of `make build`. Two runs differ by less than one in ten thousand.
const COMMITTED: u64 = 873_000_000;

/// A buildpack with a layer of a few members, which it makes out of files of the app.
const SCRIPT: &str = "#!/usr/bin/env bash
set -eu
mkdir -p \"$1/words\"
cp -r small large \"$1/words\"
printf '[types]\\nlaunch = true\\n' > \"$1/words.toml\"
";

/// Returns a build that is exported next: 600 small files and a large one, twice, whose bytes compress to about half.
fn built() -> Build {
    let build = Build::new();
    let mut state = 1_u32;
    let mut letters = |len: usize| -> String {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'a' + (state >> 28) as u8)
        };
        (0..len).map(|_| next()).collect()
    };
    for number in 0..600 {
        let name = format!("app/small/{}/{number}", number % 20);
        build.write(&name, &letters(number * 3));
    }
    build.write("app/large", &letters(2_500_000));
    build.buildpack("acme/hello", SCRIPT);
    build.until_export();
    build
}

/// Runs a command under callgrind, on one processor, and returns how many instructions it executed.
fn instructions(build: &Build, command: &Command) -> u64 {
    let mut valgrind = Command::new("taskset");
    valgrind
        .args(["-c", "0", "valgrind", "--vgdb=no", "--tool=callgrind"])
        // Only the sum is asked for; the exporter gives up root, and could not write most files.
        .arg("--callgrind-out-file=/dev/null")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(build.path(""));
    let text = Ran::of(&mut valgrind).ok();
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, number) = collected.unwrap_or_else(|| panic!("{text}"));
    number.trim().parse().unwrap()
}

// Another architecture has other instructions, and a number of its own to write down first.
#[cfg(target_arch = "x86_64")]
#[test]
fn foreign_callgrind_counts_no_more_instructions_than_before() {
    let programs = requires(&["valgrind", "taskset"]);
    if !(requires_root() && requires_optimised() && programs) {
        return;
    }
    let build = built();
    let counted = instructions(&build, &build.exporter());
    let percent = counted * 100 / COMMITTED;
    let text = format!("instructions of a small export: {counted}, {percent} % of {COMMITTED}");
    // Past the harness, which shows what a test prints only where it fails.
    writeln!(std::io::stderr(), "{text}").unwrap();
    assert!(
        counted <= COMMITTED / 10 * 11,
        "{text}\nif it is worth that, write the number into {}",
        file!()
    );
}
