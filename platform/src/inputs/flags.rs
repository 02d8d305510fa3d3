//! From an invocation to a phase's flags: variables behind flags, flags gated by API, usage (COM-012 to COM-019).
//!
//! A phase declares its flags with clap, flag, variable, default and help text together. What clap cannot do is
//! done here: flags as Go reads them, variables from [`Variables`](crate::inputs::Variables) instead of the
//! process, empty variables as unset, malformed ones as false or 0, flags that an API does not have, and the
//! usage listing.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, Resettable, TypedValueParser};

use crate::api::PlatformApi;
use crate::entry::Invocation;
use crate::exit::{ExitCode, Failure};
use crate::inputs::go_flags::{self, Kind, Refusal, Typed};
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

    fn is_open(self, api: PlatformApi) -> bool {
        (self.first..self.end).contains(&api.version().minor)
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
        flag(&command, name)
            .filter(|_| is_open(gates, name, invocation.api))
            .map(kind)
    })?;
    let words = words(&command, &typed, &invocation.variables);
    let positionals = typed
        .positionals
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    // What clap can still refuse is text that is not UTF-8 where only text makes sense.
    let wrong = |error: clap::Error| Refusal::Wrong(error.to_string().trim_end().to_owned());
    let matches = without_environment(command)
        .try_get_matches_from(words)
        .map_err(wrong)?;
    let flags = T::from_arg_matches(&matches).map_err(wrong)?;
    Ok((Given { flags, positionals }, matches))
}

/// Returns the phase's flags as clap sees them.
fn command<T: clap::Args>() -> clap::Command {
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

fn flag<'a>(command: &'a clap::Command, name: &str) -> Option<&'a clap::Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name))
}

fn is_open(gates: &[Gate], name: &str, api: PlatformApi) -> bool {
    gates
        .iter()
        .filter(|gate| gate.flag == name)
        .all(|gate| gate.is_open(api))
}

fn kind(arg: &clap::Arg) -> Kind {
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

/// Returns the values that a flag's variable gives it.
fn from_variable(arg: &clap::Arg, variables: &Variables) -> Vec<OsString> {
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

/// Returns the listing of the flags that there are, with the defaults that hold in this environment.
fn usage<T: clap::Args>(invocation: &Invocation, gates: &[Gate]) -> String {
    let command = command::<T>();
    let mut flags: Vec<_> = command
        .get_arguments()
        .filter_map(|arg| Some((arg.get_long()?, arg)))
        .filter(|(name, _)| is_open(gates, name, invocation.api))
        .collect();
    flags.sort_by_key(|(name, _)| *name);
    let mut usage = String::from("Usage of lifecycle:\n");
    for (name, arg) in flags {
        let value = match kind(arg) {
            Kind::Bool => "",
            Kind::Int => " int",
            Kind::Text => " string",
            Kind::List => " value",
        };
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let variable = arg
            .get_env()
            .map(|name| format!(" [{}]", name.display()))
            .unwrap_or_default();
        let default = default(arg, &invocation.variables);
        // Writing into a String cannot fail.
        let _ = writeln!(usage, "  -{name}{value}\n    \t{help}{variable}{default}");
    }
    usage
}

/// Returns ` (default …)`, nothing for a default that is empty, false or 0.
fn default(arg: &clap::Arg, variables: &Variables) -> String {
    let values = from_variable(arg, variables);
    let value = values.first().map(OsString::as_os_str).or_else(|| {
        arg.get_default_values()
            .first()
            .map(clap::builder::OsStr::as_os_str)
    });
    match (kind(arg), value) {
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

/// What tests of phases' inputs begin with.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// Returns a call with variables.
    pub(crate) fn call(minor: u32, args: &[&str], pairs: &[(&str, &str)]) -> Invocation {
        Invocation {
            name: "tester".to_owned(),
            api: PlatformApi::at(minor),
            args: args.iter().map(OsString::from).collect(),
            variables: Variables::from_pairs(pairs.iter().map(|(k, v)| (k.into(), v.into()))),
        }
    }

    /// Checks which flags there are at every API: `always`, and others from one API on, before another.
    pub(crate) fn check_flags<T: clap::Args>(
        gates: &[Gate],
        always: &str,
        others: &[(&str, u32, u32)],
    ) {
        let command = command::<T>();
        for gate in gates {
            assert!(flag(&command, gate.flag).is_some(), "{}", gate.flag);
        }
        for minor in 7..=15 {
            let mut expected: Vec<_> = always.split(' ').collect();
            expected.extend(
                others
                    .iter()
                    .filter(|(_, first, end)| (*first..*end).contains(&minor))
                    .flat_map(|(flags, ..)| flags.split(' ')),
            );
            expected.sort_unstable();
            let usage = usage::<T>(&call(minor, &[], &[]), gates);
            let listed: Vec<_> = usage
                .lines()
                .filter_map(|line| line.strip_prefix("  -")?.split(' ').next())
                .collect();
            assert_eq!(listed, expected, "0.{minor}");
        }
    }

    /// Returns how a failure ends: code and last line.
    pub(crate) fn ending<T: std::fmt::Debug>(result: Result<T, Failure>) -> (u8, String) {
        let failure = result.unwrap_err();
        (failure.code as u8, format!("{:#}", failure.error))
    }
}

#[cfg(test)]
mod tests {
    use super::testing::call;
    use super::*;
    use crate::inputs::groups::{CommonFlags, ImageFlags, UserFlags};

    #[derive(Debug, clap::Args)]
    struct Flags {
        #[command(flatten)]
        common: CommonFlags,
        #[command(flatten)]
        user: UserFlags,
        #[command(flatten)]
        images: ImageFlags,
        /// where the app is
        #[arg(long, env = variables::APP_DIR, default_value = "/workspace", value_parser = path())]
        app: PathBuf,
        /// old file
        #[arg(long, env = variables::STACK_PATH, value_parser = path())]
        stack: Option<PathBuf>,
        /// leave layers out
        #[arg(long, env = variables::SKIP_LAYERS, action = clap::ArgAction::Set, default_value = "false")]
        skip_layers: bool,
    }

    const GATES: &[Gate] = &[
        Gate::since("insecure-registry", 13),
        Gate::before("stack", 12),
        Gate::never("skip-layers"),
    ];

    fn flags(args: &[&str], pairs: &[(&str, &str)]) -> Flags {
        read::<Flags>(&call(13, args, pairs), GATES)
            .unwrap()
            .0
            .flags
    }

    #[test]
    fn flag_beats_variable_beats_default() {
        for (args, pairs, expected) in [
            (&[][..], &[][..], "/workspace"),
            (&[], &[("CNB_APP_DIR", "/variable")], "/variable"),
            (&[], &[("CNB_APP_DIR", "")], "/workspace"),
            (&["-app", "/flag"], &[("CNB_APP_DIR", "/variable")], "/flag"),
            (&["-app", "/one", "-app=/two"], &[], "/two"),
            (&["-app="], &[("CNB_APP_DIR", "/variable")], ""),
        ] {
            assert_eq!(
                flags(args, pairs).app,
                PathBuf::from(expected),
                "{args:?} {pairs:?}"
            );
        }
    }

    #[test]
    fn malformed_variables_are_false_or_zero() {
        for (value, expected) in [
            ("1", true),
            ("t", true),
            ("T", true),
            ("TRUE", true),
            ("true", true),
            ("True", true),
            ("0", false),
            ("F", false),
            ("yes", false),
            ("tRUE", false),
            ("", false),
        ] {
            assert_eq!(
                flags(&[], &[("CNB_NO_COLOR", value)]).common.no_color,
                expected,
                "{value}"
            );
        }
        for (value, expected) in [
            ("1001", 1001),
            ("0x3e9", 0),
            ("abc", 0),
            ("", 0),
            ("-1", -1),
        ] {
            assert_eq!(
                flags(&[], &[("CNB_USER_ID", value)]).user.uid,
                expected,
                "{value}"
            );
        }
        let flags = flags(
            &["-no-color=false", "-uid", "0x3e9"],
            &[("CNB_NO_COLOR", "1")],
        );
        assert!(!flags.common.no_color);
        assert_eq!(flags.user.uid, 1001);
    }

    #[test]
    fn two_variables_skip() {
        assert!(!flags(&[], &[]).skip_layers);
        assert!(flags(&[], &[("CNB_SKIP_LAYERS", "true")]).skip_layers);
        assert!(flags(&[], &[("CNB_SKIP_RESTORE", "true")]).skip_layers);
        assert!(
            flags(
                &[],
                &[("CNB_SKIP_RESTORE", "true"), ("CNB_SKIP_LAYERS", "false")]
            )
            .skip_layers
        );
    }

    #[test]
    fn lists_follow_their_variable() {
        let flags = flags(
            &["-insecure-registry", "c", "-insecure-registry=d"],
            &[("CNB_INSECURE_REGISTRIES", "a,b")],
        );
        assert_eq!(flags.images.insecure_registry, ["a", "b", "c", "d"]);
    }

    #[test]
    fn flags_of_other_apis_are_unknown() {
        for (minor, args, known) in [
            (12, &["-insecure-registry", "a"][..], false),
            (13, &["-insecure-registry", "a"], true),
            (15, &["-insecure-registry", "a"], true),
            (11, &["-stack", "a"], true),
            (12, &["-stack", "a"], false),
            (7, &["-skip-layers"], false),
            (15, &["-skip-layers"], false),
        ] {
            let result = read::<Flags>(&call(minor, args, &[]), GATES);
            let expected = format!("flag provided but not defined: {}", args[0]);
            match result {
                Ok(_) => assert!(known, "0.{minor} {args:?}"),
                Err(refusal) => {
                    assert!(!known, "0.{minor} {args:?}");
                    assert_eq!(refusal, Refusal::Wrong(expected));
                }
            }
        }
    }

    #[test]
    fn variables_count_where_the_flag_does_not() {
        let call = call(
            12,
            &[],
            &[("CNB_STACK_PATH", "/s"), ("CNB_INSECURE_REGISTRIES", "a")],
        );
        let flags = read::<Flags>(&call, GATES).unwrap().0.flags;
        assert_eq!(flags.stack, Some(PathBuf::from("/s")));
        assert_eq!(flags.images.insecure_registry, ["a"]);
    }

    #[test]
    fn usage_lists_what_there_is() {
        let call = call(
            12,
            &[],
            &[
                ("CNB_USER_ID", "7"),
                ("CNB_USE_LAYOUT", "true"),
                ("CNB_APP_DIR", "/a b"),
            ],
        );
        snapbox::assert_data_eq!(
            usage::<Flags>(&call, GATES).replace('\t', "    "),
            snapbox::str![[r#"
Usage of lifecycle:
  -app string
        where the app is [CNB_APP_DIR] (default "/a b")
  -daemon
        images are in a daemon [CNB_USE_DAEMON]
  -gid int
        group that the phase runs as [CNB_GROUP_ID]
  -layout
        images are in OCI layouts on disk [CNB_USE_LAYOUT] (default true)
  -layout-dir string
        directory of OCI layouts [CNB_LAYOUT_DIR]
  -log-level string
        least level of messages: debug, info, warn, error [CNB_LOG_LEVEL] (default "info")
  -no-color
        print no colors [CNB_NO_COLOR]
  -uid int
        user that the phase runs as [CNB_USER_ID] (default 7)
  -version
        print the version and stop

"#]]
        );
    }
}
