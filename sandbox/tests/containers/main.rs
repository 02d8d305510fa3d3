//! Containers of every way and every runtime, looked at from inside.
//!
//! A test's name is `WAY::RUNTIME::test`. As root, this program runs those of the way `root` by itself, and starts itself
//! anew as a plain user for each of the others: as `nobody` for one id, as a user made for the purpose for many.

#![allow(
    clippy::panic_in_result_fn,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "clippy takes only those for tests that have no main of their own"
)]

mod calls;
mod cases;
mod escapes;
mod kit;
mod layers;
mod lives;
mod users;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    sandbox::engine::serve();
    if let Some(code) = lives::caller() {
        return code;
    }
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let tests = [cases::ALL, calls::ALL, escapes::ALL, lives::ALL].concat();
    for way in users::ways() {
        for runtime in kit::RUNTIMES {
            // Others cannot do with one id, which is a test of its own.
            let poor = way == "one id" && runtime != "own";
            let tests = if poor { cases::POOR } else { &tests };
            for (test, run) in tests {
                trials.push(trial(way, runtime, test, *run));
            }
        }
    }
    // What unpacks them is the same for every runtime.
    for way in users::ways() {
        for (test, run) in layers::ALL {
            trials.push(trial(way, "own", test, *run));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    kit::clear();
    users::remove();
    conclusion.exit_code()
}

fn trial(
    way: &'static str,
    runtime: &'static str,
    test: &'static str,
    run: fn(&mut kit::World),
) -> Trial {
    let name = format!("{}::{runtime}::{test}", way.replace(' ', "_"));
    let own = name.clone();
    Trial::test(name, move || {
        if !kit::requires_runtime(runtime) || !users::requires(way) {
            return Ok(());
        }
        if users::is_for(way) {
            run(&mut kit::World::get(way, runtime));
            return Ok(());
        }
        users::run_as(way, &own).map_err(Into::into)
    })
}
