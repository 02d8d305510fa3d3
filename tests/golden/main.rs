//! Runs the cases of the golden set and those of the project's own, each as a test of its name.
//!
//! The golden set lies beside the project, or where `GOLDEN_CASES` says. All need root, and are ignored without it.

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use tests::golden::case::Case;
use tests::golden::compare::{Closeness, Recorded, compare};
use tests::golden::run::run;
use tests::program;

fn main() -> ExitCode {
    // Modes are compared. Nothing else runs yet that could mind.
    umask(Mode::from_raw_mode(0o022));
    let arguments = Arguments::from_args();
    libtest_mimic::run(&arguments, golden()).exit_code()
}

fn golden() -> Vec<Trial> {
    let Some(cases) = program::golden_cases() else {
        let why = "the recorded cases are not beside the project, nor does GOLDEN_CASES say where";
        let in_ci = program::variable("CI").is_some();
        return vec![absent("golden::recorded-cases", why).with_ignored_flag(!in_ci)];
    };
    Case::folders(&cases)
        .into_iter()
        .map(|folder| trial("golden", &folder))
        .collect()
}

fn trial(kind: &str, folder: &Path) -> Trial {
    let name = folder.file_name().expect("a folder has a name");
    let name = format!("{kind}::{}", name.display());
    match Case::read(folder) {
        Err(why) => Trial::test(name, move || Err(why.into())),
        Ok(case) if case.needs_registry() => absent(&name, "registries are not supported yet"),
        Ok(case) => {
            let skipped = !geteuid().is_root() && program::variable("CI").is_none();
            Trial::test(name, move || check(&case)).with_ignored_flag(skipped)
        }
    }
}

fn check(case: &Case) -> Result<(), Failed> {
    if !geteuid().is_root() {
        return Err("it needs root, for owners and other users".into());
    }
    let recorded = Recorded::read(case);
    let outcome = run(case);
    let differences = compare(case, &recorded, &outcome, Closeness::Relaxed);
    if differences.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = differences.iter().map(ToString::to_string).collect();
    Err(lines.join("\n").into())
}

/// An entry for what cannot be run here, with its reason.
fn absent(name: &str, why: &str) -> Trial {
    let message = why.to_owned();
    Trial::test(name, move || Err(message.into()))
        .with_kind(why)
        .with_ignored_flag(true)
}
