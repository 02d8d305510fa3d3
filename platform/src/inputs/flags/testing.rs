//! What tests of phases' inputs begin with: calls, endings, and a table that holds each flag to its rules.

use std::fmt::Debug;

use super::*;
use crate::log::captured;

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
            .skip_while(|line| !line.starts_with("Flags at Platform API "))
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("  -")?.split(' ').next())
            .collect();
        assert_eq!(listed, expected, "0.{minor}");
    }
}

/// Returns how a failure ends: code and first line.
pub(crate) fn ending<T: Debug>(result: Result<T, Failure>) -> (u8, String) {
    let failure = result.unwrap_err();
    let text = format!("{:#}", failure.error);
    let first = text.lines().next().unwrap_or_default();
    (failure.code as u8, first.to_owned())
}

/// A phase's definitions.
pub(crate) type Sheet = (clap::Command, &'static [Gate]);

/// What every phase has: see [`check_table`].
pub(crate) const COMMON: &str = r#"
    log-level  log_level  Level   all  CNB_LOG_LEVEL  "info"
    no-color   no_color   Switch  all  CNB_NO_COLOR   false
"#;

/// What every phase has that changes its user.
pub(crate) const USER: &str = "
    uid  uid  Id  all  CNB_USER_ID   0
    gid  gid  Id  all  CNB_GROUP_ID  0
";

/// What a table's calls have beside the flag that a row is about.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Base<'a> {
    /// Variables; a row's own replaces them.
    pub(crate) pairs: &'a [(&'a str, &'a str)],
    /// Arguments behind the flags.
    pub(crate) arguments: &'a [&'a str],
}

/// How a phase reads a call.
type Parse<I> = fn(&Invocation) -> Result<Option<I>, Failure>;

/// Holds a phase to its table, at every API: flag, variable and default fill the field, in that order; spellings of a
/// flag, repeated flags, empty values; flags that an API lacks, while their variables count (COM-012, COM-015 to COM-024).
///
/// A row is a flag by its rules: its name, its field of `Inputs`, what it takes, the APIs that have it (`all`, `none`,
/// `0.12-`, `-0.11`), its variable (`-` for none), and what its field is without either, as `{:?}` shows it.
pub(crate) fn check_table<T: clap::Args, I: Debug>(
    gates: &[Gate],
    table: &str,
    base: Base<'_>,
    parse: Parse<I>,
) {
    for row in table.lines().filter(|line| !line.trim().is_empty()) {
        let row = Row::read(row);
        for minor in 7..=15 {
            let case = Case {
                row: &row,
                minor,
                base,
                parse,
            };
            case.check_variable();
            let flag = format!("-{}", row.flag);
            if !row.apis.contains(&minor) {
                refused::<T>(gates, &call(minor, &[&flag, row.takes.typed()], &[]));
            } else if row.takes == Takes::Switch {
                case.check_switch();
            } else {
                case.check_flag();
            }
        }
    }
}

/// Checks `-layout` and `-layout-dir`, which only count together: variables at every API, flags since 0.12.
pub(crate) fn check_layout<T: clap::Args, I: Debug>(
    gates: &[Gate],
    base: Base<'_>,
    parse: Parse<I>,
) {
    let set = [
        ("CNB_EXPERIMENTAL_MODE", "quiet"),
        ("CNB_USE_LAYOUT", "true"),
        ("CNB_LAYOUT_DIR", "set"),
    ];
    for minor in 7..=15 {
        let taken = |flags: &[&str], set: &[(&str, &str)]| {
            let args = [flags, base.arguments].concat();
            let pairs = [base.pairs, set].concat();
            let inputs = parse(&call(minor, &args, &pairs)).unwrap();
            shown_field(&format!("{:?}", inputs.unwrap()), "layout_dir")
        };
        assert_eq!(taken(&[], &[]), "None", "0.{minor}");
        assert_eq!(taken(&[], &[set[2]]), "None", "0.{minor}");
        assert_eq!(taken(&[], &set), r#"Some("set")"#, "0.{minor}");
        if minor >= 12 {
            assert_eq!(taken(&["-layout=false"], &set), "None", "0.{minor}");
            assert_eq!(taken(&["--layout"], &[set[0], set[2]]), r#"Some("set")"#);
            for dir in [&["-layout-dir", "typed"][..], &["--layout-dir=typed"]] {
                assert_eq!(taken(dir, &set), r#"Some("typed")"#, "0.{minor}");
            }
        } else {
            for flags in [&["-layout"][..], &["-layout-dir", "typed"]] {
                refused::<T>(gates, &call(minor, flags, &set));
            }
        }
    }
}

/// Flags of exporter and creator, and the warnings about caches that they bring.
pub(crate) const CACHE_WARNINGS: &[(&[&str], &[&str])] = &[
    (&[], &["No cached data will be used, no cache specified."]),
    (
        &["-cache-dir=", "-cache-image="],
        &["No cached data will be used, no cache specified."],
    ),
    (&["-cache-dir=/c"], &[]),
    (&["-cache-image=cache"], &[]),
    (
        &["-cache-dir=/c", "-launch-cache=/l"],
        &["Ignoring -launch-cache, only intended for use with -daemon"],
    ),
    (&["-cache-dir=/c", "-launch-cache=/l", "-daemon"], &[]),
    (&["-cache-dir=/c", "-launch-cache="], &[]),
];

/// Returns the warnings that something logs.
pub(crate) fn warnings<R>(run: impl FnOnce() -> R) -> Vec<String> {
    let (_, log) = captured(run);
    let warnings = log.lines().filter_map(|line| line.strip_prefix("WARN "));
    warnings.map(str::to_owned).collect()
}

/// Checks that layouts are let through as `CNB_EXPERIMENTAL_MODE` says, whether flags or variables ask for them.
pub(crate) fn check_experiment<I: Debug>(pairs: &[(&str, &str)], parse: Parse<I>) {
    let disabled = "experimental features are disabled by CNB_EXPERIMENTAL_MODE=error";
    let feature = "Platform requested experimental feature 'export to OCI layout format'";
    let layout = [("CNB_USE_LAYOUT", "1"), ("CNB_LAYOUT_DIR", "/d")];
    for minor in 7..=15 {
        for (mode, passes, warns) in [
            ("", false, false),
            ("error", false, false),
            ("warn", true, true),
            ("silent", true, true),
            ("quiet", true, false),
        ] {
            let mode = [("CNB_EXPERIMENTAL_MODE", mode)];
            let mut calls = vec![call(minor, &["app"], &[pairs, &mode, &layout].concat())];
            if minor >= 12 {
                let args = ["-layout", "-layout-dir=/d", "app"];
                calls.push(call(minor, &args, &[pairs, &mode].concat()));
            }
            for call in calls {
                let (parsed, log) = captured(|| parse(&call));
                assert_eq!(log.contains(&format!("WARN {feature}")), warns, "{mode:?}");
                assert_eq!(
                    log.contains(&format!("ERROR {feature}")),
                    !passes,
                    "{mode:?}"
                );
                if passes {
                    assert!(parsed.unwrap().is_some());
                } else {
                    assert_eq!(ending(parsed), (1, disabled.to_owned()), "{mode:?}");
                }
            }
            // Without a layout nobody asks.
            let (parsed, log) = captured(|| parse(&call(minor, &["app"], pairs)));
            assert!(parsed.unwrap().is_some());
            assert!(!log.contains(feature), "{log}");
        }
    }
}

/// A row of a table.
struct Row<'a> {
    flag: &'a str,
    field: &'a str,
    takes: Takes,
    apis: std::ops::RangeInclusive<u32>,
    variable: Option<&'a str>,
    default: &'a str,
}

impl<'a> Row<'a> {
    fn read(row: &'a str) -> Self {
        let [flag, field, takes, apis, variable, default] =
            row.split_whitespace().collect::<Vec<_>>()[..]
        else {
            panic!("six columns: {row}");
        };
        let minor = |text: &str| text.replace("0.", "").parse().unwrap();
        Self {
            flag,
            field,
            takes: Takes::named(takes),
            apis: match apis.split_once('-') {
                Some(("", last)) => 0..=minor(last),
                Some((first, _)) => minor(first)..=99,
                None if apis == "all" => 0..=99,
                None => 99..=99,
            },
            variable: (variable != "-").then_some(variable),
            default,
        }
    }
}

/// A row at one API.
struct Case<'a, I> {
    row: &'a Row<'a>,
    minor: u32,
    base: Base<'a>,
    parse: Parse<I>,
}

impl<I: Debug> Case<'_, I> {
    /// Checks the default, and the variable without its flag.
    fn check_variable(&self) {
        let Row {
            takes,
            variable,
            default,
            ..
        } = self.row;
        self.expect(&[], None, default);
        if variable.is_some() {
            self.expect(&[], Some(takes.set()), &takes.shown(&[takes.set()]));
            if self.may_be_unset() {
                self.expect(&[], Some(""), default);
            }
        }
    }

    /// Checks a flag that takes a value.
    fn check_flag(&self) {
        let Row {
            flag,
            takes,
            variable,
            default,
            ..
        } = self.row;
        let (typed, set) = (takes.typed(), takes.set());
        let [one, two] = [format!("-{flag}"), format!("--{flag}")];
        let [same, also] = [format!("{one}={typed}"), format!("{two}={typed}")];
        let both = takes.shown(&[set, typed]);
        let expected = if variable.is_some() {
            &both
        } else {
            &takes.shown(&[typed])
        };
        for spelling in [&[&*one, typed][..], &[&two, typed], &[&same], &[&also]] {
            self.expect(spelling, Some(set), expected);
        }
        self.expect(&[&one, set, &also], None, &both);
        if takes.may_be_empty() && self.may_be_unset() {
            self.expect(&[&format!("{one}=")], None, default);
        }
    }

    /// Checks a switch, which takes a value only as `-name=value`.
    fn check_switch(&self) {
        let [one, two] = [
            format!("-{}", self.row.flag),
            format!("--{}", self.row.flag),
        ];
        let off = format!("{one}=false");
        for on in [&one, &two, &format!("{one}=T"), &format!("{two}=true")] {
            self.expect(&[on], Some("no"), "true");
        }
        self.expect(&[&off], Some("true"), "false");
        self.expect(&[&off, &one], None, "true");
        self.expect(&[&one, &off], None, "false");
    }

    /// Checks what a call with flags and perhaps the row's own variable leaves in the field.
    fn expect(&self, flags: &[&str], own: Option<&str>, expected: &str) {
        let what = format!("0.{} {flags:?} {:?}={own:?}", self.minor, self.row.variable);
        let args = [flags, self.base.arguments].concat();
        let own = self.row.variable.zip(own);
        let pairs: Vec<_> = self.base.pairs.iter().copied().chain(own).collect();
        match (self.parse)(&call(self.minor, &args, &pairs)) {
            Ok(inputs) => {
                let shown = format!("{:?}", inputs.unwrap());
                assert_eq!(shown_field(&shown, self.row.field), expected, "{what}");
            }
            Err(failure) => panic!("{what}: {:#}", failure.error),
        }
    }

    /// Returns whether the other calls go without the variable.
    fn may_be_unset(&self) -> bool {
        let mut names = self.base.pairs.iter().map(|(name, _)| name);
        names.all(|name| Some(*name) != self.row.variable)
    }
}

/// What a flag takes, and so what is typed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    /// A directory, which becomes absolute.
    Dir,
    /// A directory that need not be given, which becomes absolute.
    DirIfAny,
    /// A path, which stays as it is typed.
    Path,
    /// A text.
    Text,
    /// A text that need not be given.
    TextIfAny,
    /// A level of messages.
    Level,
    /// A switch.
    Switch,
    /// An id.
    Id,
    /// Several texts, which add up.
    List,
}

impl Takes {
    fn named(name: &str) -> Self {
        let all = [
            Self::Dir,
            Self::DirIfAny,
            Self::Path,
            Self::Text,
            Self::TextIfAny,
            Self::Level,
            Self::Switch,
            Self::Id,
            Self::List,
        ];
        let mut all = all.into_iter();
        all.find(|takes| format!("{takes:?}") == name).unwrap()
    }

    /// Returns what is typed.
    fn typed(self) -> &'static str {
        match self {
            Self::Dir | Self::DirIfAny => "typed/../dir",
            Self::Path => "typed/../file",
            Self::Text | Self::TextIfAny | Self::List => "typed",
            Self::Level => "warn",
            Self::Switch => "true",
            Self::Id => "0x11",
        }
    }

    /// Returns what a variable is set to.
    fn set(self) -> &'static str {
        match self {
            Self::Level => "error",
            Self::Switch => "true",
            Self::Id => "7",
            _ => "set",
        }
    }

    /// Returns how values show in the inputs that are given one after the other.
    fn shown(self, values: &[&str]) -> String {
        let last = values.last().unwrap();
        let here = std::env::current_dir().unwrap();
        let dir = here.join(last.rsplit('/').next().unwrap());
        match self {
            Self::Dir => format!("{dir:?}"),
            Self::DirIfAny => format!("{:?}", Some(dir)),
            Self::Path | Self::Text | Self::Level => format!("{last:?}"),
            Self::TextIfAny => format!("{:?}", Some(last)),
            Self::Switch => (*last).to_owned(),
            Self::Id => last.replace("0x11", "17"),
            Self::List => format!("{values:?}"),
        }
    }

    /// Returns whether an empty value means none.
    fn may_be_empty(self) -> bool {
        [Self::DirIfAny, Self::Text, Self::TextIfAny, Self::List].contains(&self)
    }
}

/// Checks that the first argument is a flag that the API does not know. Nothing is printed, so tables may be long.
fn refused<T: clap::Args>(gates: &[Gate], call: &Invocation) {
    let expected = format!("flag provided but not defined: {}", call.args[0].display());
    match read::<T>(call, gates).err() {
        Some(Refusal::Wrong(text)) => assert_eq!(text.lines().next(), Some(&*expected)),
        other => panic!("0.{:?} {expected}: {other:?}", call.api),
    }
}

/// Returns a field's value from what `{:?}` shows of inputs.
fn shown_field(shown: &str, field: &str) -> String {
    let start = format!(" {field}: ");
    let at = shown
        .find(&start)
        .unwrap_or_else(|| panic!("no {field} in {shown}"));
    let rest = &shown[at + start.len()..];
    let next = rest.match_indices(", ").find(|(at, _)| {
        let name = rest[at + 2..].split(": ").next().unwrap_or_default();
        name.chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_')
    });
    let end = next.map(|(at, _)| at).or_else(|| rest.find(" }"));
    // The last field of a struct inside ends with that struct.
    rest[..end.unwrap()].trim_end_matches(" }").to_owned()
}
