//! The way into a phase program: API check, flags, the phase, exit code (COM-003, COM-004, COM-009 to COM-011, COM-035).
//!
//! A phase's [`Command`] begins with `inputs::<phase>::parse`, which reads flags and sets the log level, hands over
//! its rights ([`crate::privileges`]) and runs. Only here does a result become a last line and an exit code.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::api::{self, PlatformApi};
use crate::exit::{ExitCode, Failure};
use crate::inputs::{Variables, variables};
use crate::{log, version};

/// How a phase was called.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Name that it was called by, `exporter`.
    pub name: String,
    /// Platform API in force.
    pub api: PlatformApi,
    /// Arguments as typed, without the program's name.
    pub args: Vec<OsString>,
    /// Variables of the process.
    pub variables: Variables,
}

/// A phase, from its arguments to its files.
pub type Command = fn(&Invocation) -> Result<(), Failure>;

/// Runs one phase as a program: the whole of a phase crate's `main`.
pub fn main(name: &'static str, command: Command) -> std::process::ExitCode {
    log::start();
    let args = std::env::args_os().skip(1).collect();
    end(&run(name, command, args, Variables::of_process()))
}

/// Runs the phase that argv\[0\], or the subcommand in argv\[1\], names: the whole of `lifecycle`'s `main` (COM-009, COM-010).
/// A phase is its program's name, its subcommand's and its command.
pub fn multicall(phases: &[(&'static str, &'static str, Command)]) -> std::process::ExitCode {
    log::start();
    let args = std::env::args_os().collect();
    end(&dispatch(phases, args, Variables::of_process()))
}

fn run(
    name: &str,
    command: Command,
    args: Vec<OsString>,
    variables: Variables,
) -> Result<(), Failure> {
    let api = negotiate(&variables)?;
    command(&Invocation {
        name: name.to_owned(),
        api,
        args,
        variables,
    })
}

fn negotiate(variables: &Variables) -> Result<PlatformApi, Failure> {
    api::set_deprecation_mode(variables.get(variables::DEPRECATION_MODE));
    PlatformApi::negotiate(variables.get(variables::PLATFORM_API))
}

fn dispatch(
    phases: &[(&'static str, &'static str, Command)],
    args: Vec<OsString>,
    variables: Variables,
) -> Result<(), Failure> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let program = Path::new(&program).file_stem();
    if let Some((name, _, command)) = phases
        .iter()
        .find(|phase| program == Some(OsStr::new(phase.0)))
    {
        return run(name, *command, args.collect(), variables);
    }
    let Some(subcommand) = args.next() else {
        return Err(Failure::message(
            ExitCode::InvalidArgs,
            "failed to parse arguments",
        ));
    };
    if subcommand == "-version" {
        tracing::info!("{}", version::with_commit());
        return Ok(());
    }
    negotiate(&variables)?;
    let asked = Path::new(&subcommand).file_name().unwrap_or(&subcommand);
    let Some((_, name, command)) = phases.iter().find(|phase| asked == phase.1) else {
        let known: Vec<_> = phases.iter().map(|phase| phase.1).collect();
        return Err(Failure::message(
            ExitCode::InvalidArgs,
            format!(
                "failed to recognize phase: {} \nValid phases: {}",
                asked.display(),
                known.join(", ")
            ),
        ));
    };
    run(name, *command, args.collect(), variables)
}

/// Says why a phase failed, in its last line (COM-027), and returns what the process ends with.
fn end(result: &Result<(), Failure>) -> std::process::ExitCode {
    let Err(failure) = result else {
        return std::process::ExitCode::SUCCESS;
    };
    // What is wrong with flags has been said on standard error, with the usage.
    if failure.code != ExitCode::Flags {
        tracing::error!("{failure}");
    }
    std::process::ExitCode::from(failure.code as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(invocation: &Invocation) -> Result<(), Failure> {
        said("build", invocation)
    }

    fn export(invocation: &Invocation) -> Result<(), Failure> {
        said("export", invocation)
    }

    /// Says in a failure which phase ran, by which name and with which arguments.
    fn said(phase: &str, invocation: &Invocation) -> Result<(), Failure> {
        let (name, args) = (&invocation.name, &invocation.args);
        Err(Failure::message(
            ExitCode::Build,
            format!("{phase} as {name} with {args:?}"),
        ))
    }

    fn call(line: &[&str], api: Option<&str>) -> Result<(), (u8, String)> {
        let args = line.iter().map(OsString::from).collect();
        let mut variables = Variables::default();
        if let Some(api) = api {
            variables = variables.with("CNB_PLATFORM_API", api);
        }
        let phases: &[(&'static str, &'static str, Command)] =
            &[("builder", "build", build), ("exporter", "export", export)];
        dispatch(phases, args, variables)
            .map_err(|failure| (failure.code as u8, failure.to_string()))
    }

    #[test]
    fn phase_is_chosen_by_name_or_subcommand() {
        for (line, expected) in [
            (
                &["/cnb/lifecycle/builder", "-x"][..],
                "build as builder with [\"-x\"]",
            ),
            (&["exporter.exe"], "export as exporter with []"),
            (&["lifecycle", "build", "a"], "build as build with [\"a\"]"),
            (
                &["lifecycle", "/x/export", "-b"],
                "export as export with [\"-b\"]",
            ),
        ] {
            assert_eq!(call(line, Some("0.12")), Err((52, expected.to_owned())));
        }
    }

    #[test]
    fn phase_cannot_be_chosen() {
        let unknown = "failed to recognize phase: frobnicate \nValid phases: build, export";
        let unset = "failed to get platform API version; please set 'CNB_PLATFORM_API' to specify the desired platform API version";
        for (line, api, expected) in [
            (
                &["lifecycle"][..],
                Some("0.12"),
                Err((3, "failed to parse arguments")),
            ),
            (&["lifecycle"], None, Err((3, "failed to parse arguments"))),
            (&["lifecycle", "-version"], None, Ok(())),
            (
                &["lifecycle", "frobnicate"],
                Some("0.12"),
                Err((3, unknown)),
            ),
            (&["lifecycle", "frobnicate"], None, Err((11, unset))),
            (&["builder", "-version"], None, Err((11, unset))),
        ] {
            let expected = expected.map_err(|(code, text): (u8, &str)| (code, text.to_owned()));
            assert_eq!(call(line, api), expected, "{line:?}");
        }
    }
}
