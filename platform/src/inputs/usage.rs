//! The listing of a phase's flags: what `-help` and a flag that is wrong print (COM-013), and `docs/flags.md`.
//!
//! Made from the same definitions that the flags are read by, so there is no second list to keep.

use std::ffi::OsString;
use std::fmt::Write as _;

use crate::entry::Invocation;
use crate::inputs::Variables;
use crate::inputs::flags::{self, Gate};
use crate::inputs::go_flags::{self, Kind};

/// Returns the listing: flags of the API in force with the defaults that hold in this environment, variables that have
/// no flag, flags of other APIs.
pub(crate) fn usage<T: clap::Args>(invocation: &Invocation, gates: &[Gate]) -> String {
    let command = flags::command::<T>();
    let mut args: Vec<_> = command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some())
        .collect();
    args.sort_by_key(|arg| arg.get_long());
    let (mut here, mut alone, mut elsewhere) = (String::new(), String::new(), String::new());
    for arg in args {
        let name = arg.get_long().unwrap_or_default();
        let gate = gates.iter().find(|gate| gate.is_of(name)).copied();
        let section = match gate {
            Some(gate) if gate.words().is_none() => &mut alone,
            Some(gate) if !gate.is_open(invocation.api) => &mut elsewhere,
            _ => &mut here,
        };
        entry(section, arg, gate, &invocation.variables);
    }
    let api = invocation.api.version();
    let mut usage = String::from("Usage of lifecycle:\n");
    let arguments = command.get_before_help().map(ToString::to_string);
    let arguments = arguments.unwrap_or_default();
    // Writing into a String cannot fail.
    let _ = writeln!(usage, "  {} [flags]{arguments}", invocation.name);
    if let Some(about) = command.get_about() {
        let _ = writeln!(usage, "  {about}");
    }
    for (title, section) in [
        (format!("Flags at Platform API {api}:"), here),
        ("Variables without a flag:".to_owned(), alone),
        ("Flags of other Platform APIs:".to_owned(), elsewhere),
    ] {
        if !section.is_empty() {
            let _ = write!(usage, "\n{title}\n{section}");
        }
    }
    usage
}

/// Adds one flag: what it takes, its variable, its APIs, its default.
fn entry(out: &mut String, arg: &clap::Arg, gate: Option<Gate>, variables: &Variables) {
    let variable = arg
        .get_env()
        .map(|name| name.to_string_lossy().into_owned());
    let apis = gate.and_then(Gate::words);
    let has_flag = gate.is_none() || apis.is_some();
    let head = match (&variable, arg.get_long()) {
        (Some(variable), _) if !has_flag => variable.clone(),
        (_, name) => format!("-{}{}", name.unwrap_or_default(), value_name(arg)),
    };
    let notes: Vec<_> = variable
        .filter(|_| has_flag)
        .into_iter()
        .chain(apis)
        .collect();
    let notes = match notes.join(", ") {
        notes if notes.is_empty() => notes,
        notes => format!(" [{notes}]"),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default = default(arg, variables);
    let _ = writeln!(out, "  {head}\n    \t{help}{notes}{default}");
}

/// Returns what a flag takes, as Go's listing has it.
fn value_name(arg: &clap::Arg) -> &'static str {
    match flags::kind(arg) {
        Kind::Bool => "",
        Kind::Int => " int",
        Kind::Text => " string",
        Kind::List => " value",
    }
}

/// Returns ` (default …)`, nothing for a default that is empty, false or 0.
fn default(arg: &clap::Arg, variables: &Variables) -> String {
    let values = flags::from_variable(arg, variables);
    let value = values.first().map(OsString::as_os_str).or_else(|| {
        arg.get_default_values()
            .first()
            .map(clap::builder::OsStr::as_os_str)
    });
    match (flags::kind(arg), value) {
        (_, None) => String::new(),
        (Kind::Bool | Kind::Int, Some(value)) if value == "false" || value == "0" => String::new(),
        (Kind::Bool | Kind::Int, Some(value)) => format!(" (default {})", value.display()),
        (Kind::Text, Some(value)) if value.is_empty() => String::new(),
        (Kind::Text, Some(value)) => format!(" (default {})", go_flags::quote(value)),
        (Kind::List, Some(_)) => {
            let all: Vec<_> = values.iter().map(|value| value.to_string_lossy()).collect();
            format!(" (default [{}])", all.join(" "))
        }
    }
}

#[cfg(test)]
mod reference;

#[cfg(test)]
mod tests;
