//! Flags as platforms type them, which is as Go's `flag` package reads them (COM-012, COM-013, COM-018).
//!
//! `-name value`, `--name value`, `-name=value`; a bool takes a value only after `=`; flags end at the first
//! positional or at `--`. [`split`] says what was typed, in a form that clap takes; it knows nothing of defaults.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false; true alone.
    Bool,
    /// A whole number.
    Int,
    /// Any text; the last one counts.
    Text,
    /// Any text; all count.
    List,
}

/// A command line taken apart.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    /// Values by flag. Bools are `true` or `false`, numbers decimal.
    pub(crate) values: BTreeMap<String, Vec<OsString>>,
    /// What follows the flags.
    pub(crate) positionals: Vec<OsString>,
}

/// Why there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The usage was asked for.
    Help,
    /// What is wrong, in the words that Go has for it.
    Wrong(String),
}

/// Takes a command line apart. `kind_of` knows the flags that there are, and what to say beside of one that is not.
pub(crate) fn split(
    args: &[OsString],
    kind_of: &dyn Fn(&str) -> Result<Kind, String>,
) -> Result<Typed, Refusal> {
    let mut typed = Typed::default();
    let mut rest = args.iter();
    loop {
        let flags_left = rest.as_slice();
        let Some(word) = rest.next() else { break };
        let Some(flag) = flag_of(word.as_bytes())? else {
            let behind = if word == "--" {
                rest.as_slice()
            } else {
                flags_left
            };
            typed.positionals = behind.to_vec();
            break;
        };
        let name = String::from_utf8_lossy(flag.name).into_owned();
        let kind = kind_of(&name).map_err(|why| unknown(&name, &why))?;
        let value = match (flag.value, kind) {
            (Some(value), _) => OsString::from_vec(value.to_vec()),
            (None, Kind::Bool) => OsString::from("true"),
            (None, _) => rest
                .next()
                .cloned()
                .ok_or_else(|| Refusal::Wrong(format!("flag needs an argument: -{name}")))?,
        };
        let value = normalize(&name, kind, value)?;
        let values = typed.values.entry(name).or_default();
        if kind != Kind::List {
            values.clear();
        }
        values.push(value);
    }
    Ok(typed)
}

/// Reads a bool as Go's `strconv.ParseBool` does.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Returns a text in double quotes, escaped as Go's `%q` does.
pub(crate) fn quote(text: &OsStr) -> String {
    let mut quoted = String::from("\"");
    for chunk in text.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' => quoted.push_str("\\\""),
                '\\' => quoted.push_str("\\\\"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                control if control.is_control() => {
                    // Writing into a String cannot fail.
                    let _ = write!(quoted, "\\x{:02x}", u32::from(control));
                }
                other => quoted.push(other),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

struct Flag<'a> {
    name: &'a [u8],
    value: Option<&'a [u8]>,
}

/// Returns the flag in a word, `None` if the flags end here.
fn flag_of(word: &[u8]) -> Result<Option<Flag<'_>>, Refusal> {
    if word.len() < 2 || word[0] != b'-' || word == b"--" {
        return Ok(None);
    }
    let name = word.strip_prefix(b"--").unwrap_or(&word[1..]);
    if name.is_empty() || name[0] == b'-' || name[0] == b'=' {
        let word = String::from_utf8_lossy(word);
        return Err(Refusal::Wrong(format!("bad flag syntax: {word}")));
    }
    Ok(Some(match name.iter().position(|byte| *byte == b'=') {
        Some(at) => Flag {
            name: &name[..at],
            value: Some(&name[at + 1..]),
        },
        None => Flag { name, value: None },
    }))
}

fn unknown(name: &str, why: &str) -> Refusal {
    match name {
        "h" | "help" => Refusal::Help,
        _ => Refusal::Wrong(format!("flag provided but not defined: -{name}{why}")),
    }
}

fn normalize(name: &str, kind: Kind, value: OsString) -> Result<OsString, Refusal> {
    let text = value.to_str();
    match kind {
        Kind::Text | Kind::List => Ok(value),
        Kind::Bool => match text.and_then(parse_bool) {
            Some(on) => Ok(OsString::from(on.to_string())),
            None => Err(Refusal::Wrong(format!(
                "invalid boolean value {} for -{name}: parse error",
                quote(&value)
            ))),
        },
        Kind::Int => match text.ok_or(PARSE_ERROR).and_then(parse_int) {
            Ok(number) => Ok(OsString::from(number.to_string())),
            Err(why) => Err(Refusal::Wrong(format!(
                "invalid value {} for flag -{name}: {why}",
                quote(&value)
            ))),
        },
    }
}

const PARSE_ERROR: &str = "parse error";

/// Reads a number as Go's `strconv.ParseInt` with base 0 does: prefixes `0x`, `0o`, `0b`, `0`; `_` between digits.
fn parse_int(text: &str) -> Result<i64, &'static str> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body, has_prefix) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..], true),
        Some("0o") => (8, &lower[2..], true),
        Some("0b") => (2, &lower[2..], true),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    let number = without_underscores(body, has_prefix).ok_or(PARSE_ERROR)?;
    if number.is_empty() || !number.chars().all(|digit| digit.is_digit(radix)) {
        return Err(PARSE_ERROR);
    }
    // Signed parsing at once, so that the lowest number, which has no positive twin, is read too.
    let signed = if negative {
        format!("-{number}")
    } else {
        number
    };
    i64::from_str_radix(&signed, radix).map_err(|_| "value out of range")
}

/// Takes out underscores that separate digits; `None` where one does not.
fn without_underscores(body: &str, has_prefix: bool) -> Option<String> {
    let mut after_digit = has_prefix;
    for letter in body.chars() {
        if letter == '_' && !after_digit {
            return None;
        }
        after_digit = letter != '_';
    }
    (after_digit || body.is_empty()).then(|| body.replace('_', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(name: &str) -> Result<Kind, String> {
        Ok(match name {
            "layout" | "no-color" => Kind::Bool,
            "uid" => Kind::Int,
            "app" | "layers" => Kind::Text,
            "tag" => Kind::List,
            "stack" => return Err("\nno more".to_owned()),
            _ => return Err(String::new()),
        })
    }

    fn typed(line: &[&str]) -> Result<Typed, Refusal> {
        let args: Vec<OsString> = line.iter().map(OsString::from).collect();
        split(&args, &kind_of)
    }

    /// One row: what is typed, the values as `name=value`, the positionals.
    type Row<'a> = (&'a [&'a str], &'a [&'a str], &'a [&'a str]);

    #[test]
    fn command_lines_that_go_takes() {
        let rows: &[Row<'_>] = &[
            (&[], &[], &[]),
            (&["-app", "a"], &["app=a"], &[]),
            (&["--app", "a"], &["app=a"], &[]),
            (&["-app=a"], &["app=a"], &[]),
            (&["--app=a"], &["app=a"], &[]),
            (&["-app=a=b"], &["app=a=b"], &[]),
            (&["-app="], &["app="], &[]),
            (&["-app", ""], &["app="], &[]),
            (&["-app", "-layers"], &["app=-layers"], &[]),
            (&["-app", "--"], &["app=--"], &[]),
            (&["-app", "a", "-app", "b"], &["app=b"], &[]),
            (&["-tag", "a", "-tag=b"], &["tag=a", "tag=b"], &[]),
            (&["-layout"], &["layout=true"], &[]),
            (&["-layout=false"], &["layout=false"], &[]),
            (
                &["-layout=T", "-no-color=0"],
                &["layout=true", "no-color=false"],
                &[],
            ),
            (&["-layout", "false"], &["layout=true"], &["false"]),
            (&["-uid", "0x10"], &["uid=16"], &[]),
            (&["one", "-app", "a"], &[], &["one", "-app", "a"]),
            (
                &["-layout", "--", "-app", "a"],
                &["layout=true"],
                &["-app", "a"],
            ),
            (&["--", "--"], &[], &["--"]),
            (&["-", "-app"], &[], &["-", "-app"]),
            (&["", "-app"], &[], &["", "-app"]),
        ];
        for (line, values, positionals) in rows {
            let typed = typed(line).unwrap();
            let flat: Vec<String> = typed
                .values
                .iter()
                .flat_map(|(name, all)| all.iter().map(move |v| format!("{name}={}", v.display())))
                .collect();
            assert_eq!(flat, *values, "{line:?}");
            assert_eq!(typed.positionals, *positionals, "{line:?}");
        }
    }

    #[test]
    fn command_lines_that_go_refuses() {
        for (line, expected) in [
            (&["-h"][..], None),
            (&["--help"], None),
            (&["-help=x"], None),
            (&["-nope"], Some("flag provided but not defined: -nope")),
            (&["--nope=1"], Some("flag provided but not defined: -nope")),
            (
                &["-appx", "a"],
                Some("flag provided but not defined: -appx"),
            ),
            (
                &["-stack=a"],
                Some("flag provided but not defined: -stack\nno more"),
            ),
            (&["-app"], Some("flag needs an argument: -app")),
            (&["---app", "a"], Some("bad flag syntax: ---app")),
            (&["-=a"], Some("bad flag syntax: -=a")),
            (&["--="], Some("bad flag syntax: --=")),
            (
                &["-layout=maybe"],
                Some("invalid boolean value \"maybe\" for -layout: parse error"),
            ),
            (
                &["-layout="],
                Some("invalid boolean value \"\" for -layout: parse error"),
            ),
            (
                &["-uid", "abc"],
                Some("invalid value \"abc\" for flag -uid: parse error"),
            ),
            (
                &["-uid="],
                Some("invalid value \"\" for flag -uid: parse error"),
            ),
            (
                &["-uid", "a\"\n"],
                Some("invalid value \"a\\\"\\n\" for flag -uid: parse error"),
            ),
            (
                &["-uid", "9223372036854775808"],
                Some("invalid value \"9223372036854775808\" for flag -uid: value out of range"),
            ),
        ] {
            let refusal = typed(line).unwrap_err();
            let expected = expected.map_or(Refusal::Help, |text| Refusal::Wrong(text.to_owned()));
            assert_eq!(refusal, expected, "{line:?}");
        }
    }

    #[test]
    fn numbers_as_go_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1001", Some(1001)),
            ("+7", Some(7)),
            ("-1", Some(-1)),
            ("0x3E8", Some(1000)),
            ("0X3e8", Some(1000)),
            ("01750", Some(1000)),
            ("0o1750", Some(1000)),
            ("0b11", Some(3)),
            ("1_000", Some(1000)),
            ("0x_1f", Some(31)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("", None),
            ("-", None),
            ("+-1", None),
            ("0x", None),
            ("08", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1 ", None),
            ("1.0", None),
            ("１", None),
        ] {
            assert_eq!(parse_int(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_pass_through() {
        let value = OsString::from_vec(b"/a\xff".to_vec());
        let args = [OsString::from("-app"), value.clone()];
        let typed = split(&args, &kind_of).unwrap();
        assert_eq!(typed.values["app"], [value]);
    }
}
