//! From an invocation to a phase's flags: variables behind flags, flags gated by API (COM-012 to COM-019).
//!
//! A phase declares its flags with clap, flag, variable, default and help text together. What clap cannot do is
//! done here: flags as Go reads them, variables from [`Variables`](crate::inputs::Variables) instead of the
//! process, empty variables as unset, malformed ones as false or 0, and flags that an API does not have.
//! The listing of the flags is [`usage`](crate::inputs::usage)'s.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, Resettable, TypedValueParser};

use crate::api::PlatformApi;
use crate::entry::Invocation;
use crate::exit::{ExitCode, Failure};
use crate::inputs::go_flags::{self, Kind, Refusal, Typed};
use crate::inputs::usage::usage;
use crate::inputs::{Variables, variables};
use crate::{log, version};

/// Which APIs have a flag. Its variable counts at every API (COM-016).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    flag: &'static str,
    first: u32,
    end: u32,
}

impl Gate {
    /// The flag came with Platform API 0.`minor`.
    pub(crate) const fn since(flag: &'static str, minor: u32) -> Self {
        Self {
            flag,
            first: minor,
            end: u32::MAX,
        }
    }

    /// The flag went with Platform API 0.`minor`.
    pub(crate) const fn before(flag: &'static str, minor: u32) -> Self {
        Self {
            flag,
            first: 0,
            end: minor,
        }
    }

    /// There is a variable but no flag.
    pub(crate) const fn never(flag: &'static str) -> Self {
        Self {
            flag,
            first: u32::MAX,
            end: u32::MAX,
        }
    }

    /// Returns whether the gate is a flag's.
    pub(crate) fn is_of(self, flag: &str) -> bool {
        self.flag == flag
    }

    /// Returns whether an API has the flag.
    pub(crate) fn is_open(self, api: PlatformApi) -> bool {
        (self.first..self.end).contains(&api.version().minor)
    }

    /// Returns the flag's APIs in words; `None` where there is no flag at any API.
    pub(crate) fn words(self) -> Option<String> {
        match (self.first, self.end) {
            (u32::MAX, _) => None,
            (0, end) => Some(format!("before 0.{end}")),
            (first, _) => Some(format!("since 0.{first}")),
        }
    }
}

/// What was typed: flags with their variables and defaults, and the rest.
#[derive(Debug)]
pub(crate) struct Given<T> {
    pub(crate) flags: T,
    pub(crate) positionals: Vec<String>,
}

/// Reads flags, then does what every phase does before it looks at them (COM-011, COM-013, COM-014, COM-031, COM-035).
/// `None` where the version or the usage was asked for and printed.
pub(crate) fn parse<T: clap::Args>(
    invocation: &Invocation,
    gates: &[Gate],
) -> Result<Option<Given<T>>, Failure> {
    let (given, matches) = match read::<T>(invocation, gates) {
        Ok(read) => read,
        Err(refusal) => {
            let usage = usage::<T>(invocation, gates);
            return refuse(refusal, &usage).map(|()| None);
        }
    };
    if matches.get_flag("version") {
        tracing::info!("{}", version::with_commit());
        return Ok(None);
    }
    let level = matches
        .get_one::<String>("log_level")
        .map_or("", String::as_str);
    log::init(level, matches.get_flag("no_color"))?;
    for argument in given
        .positionals
        .iter()
        .filter(|argument| argument.starts_with('-'))
    {
        tracing::warn!(
            "Warning: unconsumed flag-like positional arg: \n\t{argument}\n\t This will not be interpreted as a flag.\n\t Did you mean to put this before the first positional argument?"
        );
    }
    tracing::debug!("Starting {}...", invocation.name);
    tracing::debug!("Parsing inputs...");
    Ok(Some(given))
}

/// Returns a parser of paths that takes the empty one too, which clap's own does not.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Reads flags and nothing else.
fn read<T: clap::Args>(
    invocation: &Invocation,
    gates: &[Gate],
) -> Result<(Given<T>, clap::ArgMatches), Refusal> {
    let command = command::<T>();
    let typed = go_flags::split(&invocation.args, &|name| {
        let arg = flag(&command, name).ok_or_else(String::new)?;
        match closed(gates, name, invocation.api) {
            Some(gate) => Err(why_closed(gate, arg, invocation.api)),
            None => Ok(kind(arg)),
        }
    })?;
    let words = words(&command, &typed, &invocation.variables);
    refuse_bytes(&command, &typed, &words)?;
    let positionals = typed
        .positionals
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    // Nothing is left that clap could refuse, but it may know better.
    let wrong = |error: clap::Error| Refusal::Wrong(error.to_string().trim_end().to_owned());
    let matches = without_environment(command)
        .try_get_matches_from(words)
        .map_err(wrong)?;
    let flags = T::from_arg_matches(&matches).map_err(wrong)?;
    Ok((Given { flags, positionals }, matches))
}

/// Returns the phase's flags as clap sees them.
pub(crate) fn command<T: clap::Args>() -> clap::Command {
    T::augment_args(clap::Command::new("lifecycle"))
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
}

/// clap would read the process's variables by itself; ours are in the words already.
fn without_environment(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| arg.env(Resettable::<clap::builder::OsStr>::Reset))
}

pub(crate) fn flag<'a>(command: &'a clap::Command, name: &str) -> Option<&'a clap::Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name))
}

/// Returns the gate that an API does not get a flag through.
fn closed(gates: &[Gate], name: &str, api: PlatformApi) -> Option<Gate> {
    let mut gates = gates.iter().filter(|gate| gate.is_of(name));
    gates.find(|gate| !gate.is_open(api)).copied()
}

/// Says what to do instead of a flag that the API in force lacks.
fn why_closed(gate: Gate, arg: &clap::Arg, api: PlatformApi) -> String {
    let variable = arg.get_env().unwrap_or_default().display();
    let Some(apis) = gate.words() else {
        return format!("\n{variable} has no flag; set the variable");
    };
    let (name, variable_of_api) = (gate.flag, variables::PLATFORM_API);
    let why = format!(
        "\n-{name} is a flag {apis}, and {variable_of_api} is {}",
        api.version()
    );
    // COM-016. What an API has left behind is of no use as a variable either.
    if arg.get_env().is_some() && gate.first > api.version().minor {
        return format!("{why}; {variable} counts at every API");
    }
    why
}

pub(crate) fn kind(arg: &clap::Arg) -> Kind {
    if matches!(arg.get_action(), clap::ArgAction::Append) {
        return Kind::List;
    }
    let value = arg.get_value_parser().type_id();
    if value == TypeId::of::<bool>() {
        Kind::Bool
    } else if value == TypeId::of::<i64>() {
        Kind::Int
    } else {
        Kind::Text
    }
}

/// Returns words for clap: variables first, then what was typed, which replaces them or, in lists, follows them (COM-015, COM-054).
fn words(command: &clap::Command, typed: &Typed, variables: &Variables) -> Vec<OsString> {
    let mut words = Vec::new();
    for arg in command.get_arguments() {
        let Some(name) = arg.get_long() else { continue };
        let mut values = from_variable(arg, variables);
        if let Some(typed) = typed.values.get(name) {
            if kind(arg) != Kind::List {
                values.clear();
            }
            values.extend(typed.iter().cloned());
        }
        for value in values {
            let mut word = OsString::from(format!("--{name}="));
            word.push(value);
            words.push(word);
        }
    }
    words
}

/// Refuses what is not UTF-8 where only text makes sense. A variable's value is not shown.
fn refuse_bytes(command: &clap::Command, typed: &Typed, words: &[OsString]) -> Result<(), Refusal> {
    for arg in command.get_arguments() {
        let is_text = arg.get_value_parser().type_id() == TypeId::of::<String>();
        let Some(name) = arg.get_long().filter(|_| is_text) else {
            continue;
        };
        let start = format!("--{name}=");
        let is_bytes = |word: &&OsString| {
            word.to_str().is_none() && word.as_bytes().starts_with(start.as_bytes())
        };
        let Some(word) = words.iter().find(is_bytes) else {
            continue;
        };
        let value = OsStr::from_bytes(&word.as_bytes()[start.len()..]);
        let (value, whose) = match arg.get_env() {
            Some(variable) if !typed.values.contains_key(name) => {
                (String::new(), format!("of {}", variable.display()))
            }
            _ => (go_flags::quote(value) + " ", format!("for flag -{name}")),
        };
        let text = format!("invalid value {value}{whose}: not UTF-8");
        return Err(Refusal::Wrong(text));
    }
    Ok(())
}

/// Returns the values that a flag's variable gives it.
pub(crate) fn from_variable(arg: &clap::Arg, variables: &Variables) -> Vec<OsString> {
    let Some(name) = arg.get_env().and_then(OsStr::to_str) else {
        return Vec::new();
    };
    match kind(arg) {
        Kind::Bool => vec![is_on(name, variables).to_string().into()],
        Kind::Int => {
            let number = variables
                .get(name)
                .and_then(|text| text.parse::<i64>().ok());
            vec![number.unwrap_or(0).to_string().into()]
        }
        Kind::Text => variables
            .get_os(name)
            .map(OsStr::to_owned)
            .into_iter()
            .collect(),
        Kind::List => variables
            .get(name)
            .into_iter()
            .flat_map(|list| list.split(','))
            .map(OsString::from)
            .collect(),
    }
}

/// Returns a bool variable; two of them are one switch (COM-017, COM-019).
fn is_on(name: &str, variables: &Variables) -> bool {
    let one = |name| {
        variables
            .get(name)
            .and_then(go_flags::parse_bool)
            .unwrap_or(false)
    };
    match name {
        variables::SKIP_LAYERS | variables::SKIP_RESTORE => {
            one(variables::SKIP_LAYERS) || one(variables::SKIP_RESTORE)
        }
        _ => one(name),
    }
}

/// Prints why nothing is run. A failure of these has been said already, so nothing repeats it.
fn refuse(refusal: Refusal, usage: &str) -> Result<(), Failure> {
    let (message, result) = match refusal {
        Refusal::Help => (String::new(), Ok(())),
        Refusal::Wrong(text) => (
            format!("{text}\n"),
            Err(Failure::message(ExitCode::Flags, text)),
        ),
    };
    // There is nowhere to report that standard error is closed.
    drop(write!(std::io::stderr(), "{message}{usage}"));
    result
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;
