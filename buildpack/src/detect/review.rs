//! What a module did wrong in detection, for its author. The reference's own words are in [`super`].

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use super::FAIL;
use crate::decode::FileError;
use crate::descriptor::Descriptor;
use crate::env;
use crate::fault::{Advice, Fault};
use crate::plan::Require;
use crate::program::diagnosis;

/// What a build plan looks like.
const PLAN: &str = "to the file that $CNB_BUILD_PLAN_PATH names, write nothing, or [[provides]] and [[requires]] \
                    with a name each, and [[or]] with the same two";

/// Returns advice where the exit status is no answer.
pub(super) fn of_end(program: &Path, status: ExitStatus) -> Option<Advice> {
    if matches!(status.code(), Some(0 | FAIL)) {
        return None;
    }
    let advice = diagnosis::of_end(program, status);
    let problem = format!(
        "{}; expected is 0 where it takes part, {FAIL} where it does not",
        advice.problem
    );
    Some(Advice { problem, ..advice })
}

/// A program that is missing may be the lesser mistake.
pub(super) fn of_start(module: &Descriptor, program: &Path, fault: &Fault) -> Advice {
    let advice = Advice::clone(&fault.advice);
    if program.exists() || module.extension || advice.path != program {
        return advice;
    }
    let file = module.dir.join("buildpack.toml");
    let remedy = format!(
        "{}; or, if it shall stand for others, list them under [[order]] in {}",
        advice.remedy,
        file.display()
    );
    Advice { remedy, ..advice }
}

/// Returns advice about a plan that a program wrote. The file is gone by the time that somebody reads this.
pub(super) fn of_plan(program: &Path, error: &FileError) -> Advice {
    let problem = match error {
        FileError::Decode(error) if error.line > 0 => {
            format!("line {} of its build plan: {}", error.line, error.problem)
        }
        FileError::Decode(error) => format!("its build plan: {}", error.problem),
        FileError::Syscall(_) => "removed its build plan, or made it unreadable".to_owned(),
    };
    Advice::new(program, problem, PLAN)
}

/// Returns advice about a plan that an extension brings along.
pub(super) fn of_prepared_plan(path: &Path, error: &FileError) -> Advice {
    let remedy = "write [[provides]] with a name each, and [[or]] with the same";
    match error {
        FileError::Decode(error) => Advice::new(path, &*error.problem, remedy).at(error.line),
        FileError::Syscall(error) => Advice::new(path, format!("cannot be read: {error}"), remedy),
    }
}

/// Returns advice about a version where none may stand.
pub(super) fn of_version(module: &Descriptor, require: &Require) -> Advice {
    let problem = format!(
        "its build plan requires {:?} with a version beside the name",
        require.name
    );
    let remedy = "write the version one level below: [requires.metadata] version = \"...\"";
    Advice::new(&plan_source(module), problem, remedy)
}

/// Returns advice about requirements of an extension.
pub(super) fn of_requires(module: &Descriptor, require: &Require) -> Advice {
    let problem = format!(
        "its build plan requires {:?}; extensions only provide",
        require.name
    );
    let remedy = "leave [[requires]] out; a buildpack may require it";
    Advice::new(&plan_source(module), problem, remedy)
}

/// Returns advice about an env folder.
pub(super) fn of_env(error: &env::Error) -> Advice {
    let cause = error.cause();
    let problem = format!("is no variable that can be read: {cause}");
    let remedy =
        "this is no fault of the buildpack: let each entry here be a file that its user may read";
    Advice::new(&cause.path, problem, remedy)
}

/// Returns advice where there is no room for a plan.
pub(super) fn of_plan_folder(reason: &str) -> Advice {
    let problem = format!("no folder for a build plan can be made here: {reason}");
    let remedy = "this is no fault of the buildpack: look at the machine that builds";
    Advice::new(&std::env::temp_dir(), problem, remedy)
}

/// Returns the file that the plan came from: the program, or the extension's own file.
fn plan_source(module: &Descriptor) -> PathBuf {
    let program = module.dir.join("bin").join("detect");
    if program.exists() {
        program
    } else {
        module.dir.join("detect").join("plan.toml")
    }
}
