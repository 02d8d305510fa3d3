//! Runs the cases of the golden set and those of the project's own, each as a test of its name.
//!
//! The golden set lies beside the project, or where `GOLDEN_CASES` says. All need root, and are ignored without it.
//! What only a strict comparison finds is counted at the end, and `docs/decisions.md` justifies it; with `GOLDEN_STRICT`
//! set it is shown, and fails.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use fs_err as fs;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use tests::golden::case::Case;
use tests::golden::compare::{Closeness, Recorded, compare};
use tests::golden::expect::Expect;
use tests::golden::grounds::ROOT;
use tests::golden::run::run;
use tests::golden::strict::Count;
use tests::program;

fn main() -> ExitCode {
    // Modes are compared. Nothing else runs yet that could mind.
    umask(Mode::from_raw_mode(0o022));
    let arguments = Arguments::from_args();
    let trials = golden().into_iter().chain(own()).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if arguments.list || strict_differences_are_justified(&conclusion) {
        conclusion.exit_code()
    } else {
        ExitCode::FAILURE
    }
}

/// Cases that were recorded from the reference.
fn golden() -> Vec<Trial> {
    let Some(cases) = program::golden_cases() else {
        let why = "the recorded cases are not beside the project, nor does GOLDEN_CASES say where";
        let in_ci = program::variable("CI").is_some();
        return vec![absent("golden::recorded-cases", why).with_ignored_flag(!in_ci)];
    };
    Case::folders(&cases)
        .into_iter()
        .map(|folder| trial("golden", &folder, Path::new(ROOT), as_recorded))
        .collect()
}

/// The project's own cases.
fn own() -> Vec<Trial> {
    Case::folders(&program::project().join("tests/cases"))
        .into_iter()
        .map(|folder| trial("cases", &folder, &Path::new(ROOT).join("own"), as_expected))
        .collect()
}

type Check = fn(&Case) -> Result<(), Failed>;

fn trial(kind: &str, folder: &Path, below: &Path, check: Check) -> Trial {
    let name = folder.file_name().expect("a folder has a name");
    let name = format!("{kind}::{}", name.display());
    match Case::read(folder, below) {
        Err(why) => Trial::test(name, move || Err(why.into())),
        Ok(case) => {
            let can_run = geteuid().is_root() && (!case.needs_registry() || has_registry());
            let skipped = !can_run && program::variable("CI").is_none();
            Trial::test(name, move || {
                if can_run {
                    check(&case)
                } else {
                    Err(
                        "it needs root, for owners and other users, and maybe docker-registry"
                            .into(),
                    )
                }
            })
            .with_ignored_flag(skipped)
        }
    }
}

fn has_registry() -> bool {
    program::are_there(&["docker-registry", "htpasswd", "curl"])
}

fn as_recorded(case: &Case) -> Result<(), Failed> {
    let recorded = Recorded::read(case);
    let outcome = run(case);
    let strict = compare(case, &recorded, &outcome, Closeness::Strict);
    STRICT
        .lock()
        .expect("nobody counts and panics")
        .add(&strict);
    let relaxed = compare(case, &recorded, &outcome, Closeness::Relaxed);
    let is_strict = program::variable("GOLDEN_STRICT").is_some();
    end(if is_strict { &strict } else { &relaxed })
}

fn as_expected(case: &Case) -> Result<(), Failed> {
    let expect = Expect::read(case)?;
    end(&expect.differences(&run(case)))
}

fn end<T: ToString>(differences: &[T]) -> Result<(), Failed> {
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

static STRICT: Mutex<Count> = Mutex::new(Count::new());

/// Prints the numbers; returns whether they are those that are justified, once every case has run.
#[expect(clippy::print_stdout, reason = "the numbers belong to the test run")]
fn strict_differences_are_justified(conclusion: &Conclusion) -> bool {
    let count = STRICT.lock().expect("nobody counts and panics");
    if *count == Count::new() {
        return true;
    }
    println!("{count}");
    let decisions = program::project().join("docs/decisions.md");
    let justified = Count::documented(&fs::read_to_string(decisions).expect("it is there"));
    let all_ran = conclusion.num_filtered_out == 0;
    if all_ran && !conclusion.has_failed() && !count.is_justified_by(&justified) {
        println!("but docs/decisions.md justifies these {justified}");
        return false;
    }
    true
}
