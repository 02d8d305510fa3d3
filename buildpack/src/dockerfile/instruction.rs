//! One instruction: its arguments, as each keyword wants them, and what may be said against them.
//!
//! Values of flags are not looked at: whoever applies the file knows more of mounts and networks.

use super::Error;
use super::nearest::nearest;
use super::words;

/// An instruction whose line was split, but not checked yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Instruction {
    /// Keyword, as written.
    pub(super) name: String,
    /// Line on which it begins.
    pub(super) line: usize,
    /// Arguments behind the flags.
    pub(super) args: Vec<String>,
    /// Here-documents may follow.
    pub(super) takes_here_docs: bool,
    flags: Vec<String>,
    /// The arguments were a JSON array.
    json: bool,
}

/// How the text behind a keyword falls into arguments.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// Words, at blanks.
    Words,
    /// A JSON array, else words.
    List,
    /// A JSON array, else the whole text.
    Command,
    /// The whole text.
    Text,
    /// Words with quotes.
    Names,
    /// `name=value ...`, or `name value` as of old.
    Pairs,
    /// A word, and behind it a command.
    Check,
    /// An instruction.
    Trigger,
}

/// How often a flag may be given, and whether it has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Switch,
    Once,
    Many,
}

struct Grammar {
    keyword: &'static str,
    form: Form,
    flags: &'static [(&'static str, Flag)],
}

const fn plain(keyword: &'static str, form: Form) -> Grammar {
    Grammar {
        keyword,
        form,
        flags: &[],
    }
}

/// Every keyword, in the order of the alphabet.
const GRAMMARS: [Grammar; 18] = [
    Grammar {
        keyword: "ADD",
        form: Form::List,
        flags: &[
            ("checksum", Flag::Once),
            ("chmod", Flag::Once),
            ("chown", Flag::Once),
            ("exclude", Flag::Many),
            ("keep-git-dir", Flag::Switch),
            ("link", Flag::Switch),
            ("unpack", Flag::Switch),
        ],
    },
    plain("ARG", Form::Names),
    plain("CMD", Form::Command),
    Grammar {
        keyword: "COPY",
        form: Form::List,
        flags: &[
            ("chmod", Flag::Once),
            ("chown", Flag::Once),
            ("exclude", Flag::Many),
            ("from", Flag::Once),
            ("link", Flag::Switch),
            ("parents", Flag::Switch),
        ],
    },
    plain("ENTRYPOINT", Form::Command),
    plain("ENV", Form::Pairs),
    plain("EXPOSE", Form::Words),
    Grammar {
        keyword: "FROM",
        form: Form::Words,
        flags: &[("platform", Flag::Once)],
    },
    Grammar {
        keyword: "HEALTHCHECK",
        form: Form::Check,
        flags: &[
            ("interval", Flag::Once),
            ("retries", Flag::Once),
            ("start-interval", Flag::Once),
            ("start-period", Flag::Once),
            ("timeout", Flag::Once),
        ],
    },
    plain("LABEL", Form::Pairs),
    plain("MAINTAINER", Form::Text),
    plain("ONBUILD", Form::Trigger),
    Grammar {
        keyword: "RUN",
        form: Form::Command,
        flags: &[
            ("device", Flag::Many),
            ("mount", Flag::Many),
            ("network", Flag::Once),
            ("security", Flag::Once),
        ],
    },
    plain("SHELL", Form::Command),
    plain("STOPSIGNAL", Form::Text),
    plain("USER", Form::Text),
    plain("VOLUME", Form::List),
    plain("WORKDIR", Form::Text),
];

impl Instruction {
    /// Splits a line. Most of what is wrong with it shows in [`Self::check`].
    pub(super) fn parse(text: &str, line: usize, escape: char) -> Result<Self, Error> {
        let text = text.trim();
        let (name, rest) = text.split_once(is_blank).unwrap_or((text, ""));
        let (flags, rest) = words::flags(rest.trim_start_matches(is_blank), escape);
        let mut instruction = Self {
            name: name.to_owned(),
            line,
            flags,
            ..Self::default()
        };
        let keyword = instruction.keyword();
        if let Some(grammar) = grammar(&keyword) {
            instruction
                .split(grammar.form, rest.trim(), escape)
                .map_err(|text| Error::at(line, text))?;
        }
        if matches!(keyword.as_str(), "ADD" | "COPY" | "RUN") {
            instruction.takes_here_docs = !instruction.json;
        }
        Ok(instruction)
    }

    /// Returns the keyword in capitals.
    pub(super) fn keyword(&self) -> String {
        self.name.to_uppercase()
    }

    /// Checks keyword, flags and arguments.
    pub(super) fn check(&self) -> Result<(), Error> {
        let keyword = self.keyword();
        let checked = match grammar(&keyword) {
            Some(grammar) => self
                .check_arguments(grammar.keyword)
                .and_then(|()| self.check_flags(grammar)),
            None => Err(format!("unknown instruction: {}", self.name) + &self.did_you_mean()),
        };
        checked.map_err(|problem| Error {
            text: format!("dockerfile parse error on line {}: {problem}", self.line),
            ..Error::at(self.line, problem)
        })
    }

    fn split(&mut self, form: Form, rest: &str, escape: char) -> Result<(), String> {
        if rest.is_empty() {
            return Ok(());
        }
        match form {
            Form::Words => self.args = at_blanks(rest),
            Form::List => {
                if !self.take_json(rest)? {
                    self.args = at_blanks(rest);
                }
            }
            Form::Command => {
                if !self.take_json(rest)? {
                    self.args = vec![rest.to_owned()];
                }
            }
            Form::Text => self.args = vec![rest.to_owned()],
            Form::Names => self.args = words::quoted(rest, escape),
            Form::Pairs => self.args = pairs(&self.keyword(), rest, escape)?,
            Form::Check => {
                let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                self.split(Form::Command, command.trim_start(), escape)?;
                self.args.insert(0, kind.to_owned());
            }
            Form::Trigger => {
                let name = at_blanks(rest).swap_remove(0);
                // Refused in the check; read no deeper, so that no file nests without end.
                if name.eq_ignore_ascii_case("ONBUILD") {
                    self.args = vec![name];
                    return Ok(());
                }
                let inner = Self::parse(rest, self.line, escape).map_err(|error| error.text)?;
                self.takes_here_docs = inner.takes_here_docs;
                self.args = vec![inner.name];
                self.args.extend(inner.args);
            }
        }
        Ok(())
    }

    /// Takes a JSON array of texts as the arguments. What is no JSON is for a shell.
    fn take_json(&mut self, rest: &str) -> Result<bool, String> {
        let Ok(items) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else {
            return Ok(false);
        };
        for item in items {
            let serde_json::Value::String(text) = item else {
                return Err(
                    "when using JSON array syntax, arrays must be comprised of strings only".into(),
                );
            };
            self.args.push(text);
        }
        self.json = true;
        Ok(true)
    }

    fn check_arguments(&self, keyword: &str) -> Result<(), String> {
        let args = &self.args;
        let at_least_one = || Err(format!("{keyword} requires at least one argument"));
        match keyword {
            "ADD" | "COPY" if args.len() < 2 => Err(format!(
                "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
            )),
            "ADD" | "COPY" if args.last().is_some_and(|to| words::here_doc(to).is_some()) => Err(
                format!("{keyword} cannot accept a heredoc as a destination"),
            ),
            "ARG" | "ENV" | "LABEL" | "EXPOSE" | "VOLUME" | "SHELL" | "HEALTHCHECK" | "ONBUILD"
                if args.is_empty() =>
            {
                at_least_one()
            }
            "ARG" | "ENV" | "LABEL" if args.iter().any(|arg| arg.starts_with('=')) => {
                Err(format!("{keyword} names can not be blank"))
            }
            "VOLUME" if args.iter().any(|arg| arg.trim().is_empty()) => {
                Err("VOLUME specified can not be an empty string".into())
            }
            "SHELL" if !self.json => Err("SHELL requires the arguments to be in JSON form".into()),
            "MAINTAINER" | "STOPSIGNAL" | "USER" | "WORKDIR" if args.len() != 1 => {
                Err(format!("{keyword} requires exactly one argument"))
            }
            "FROM" => check_stage(args),
            "HEALTHCHECK" => check_health(args),
            "ONBUILD" => check_trigger(&args[0].to_uppercase()),
            _ => Ok(()),
        }
    }

    fn check_flags(&self, grammar: &Grammar) -> Result<(), String> {
        // The reference never looks at the flags of these two.
        if matches!(grammar.keyword, "ARG" | "STOPSIGNAL") {
            return Ok(());
        }
        let mut seen: Vec<&str> = Vec::new();
        for flag in &self.flags {
            let (written, value) = flag
                .split_once('=')
                .map_or((flag.as_str(), None), |(name, value)| (name, Some(value)));
            let name = written.trim_start_matches("--");
            let Some((_, kind)) = grammar.flags.iter().find(|(known, _)| *known == name) else {
                let known = grammar.flags.iter().map(|(known, _)| *known);
                let hint = nearest(name, known).map(|known| format!(" (did you mean {known}?)"));
                return Err(format!("unknown flag: {written}") + &hint.unwrap_or_default());
            };
            if *kind != Flag::Many && seen.contains(&name) {
                return Err(format!("duplicate flag specified: {written}"));
            }
            seen.push(name);
            let missing = || Err(format!("missing a value on flag: {written}"));
            match (kind, value) {
                (Flag::Switch, Some("")) | (Flag::Once | Flag::Many, None) => return missing(),
                (Flag::Switch, Some(value))
                    if !["true", "false"].contains(&value.to_lowercase().as_str()) =>
                {
                    return Err(format!(
                        "expecting boolean value for flag {written}, not: {value}"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns a keyword that is nearly this one, in its case.
    fn did_you_mean(&self) -> String {
        let lower = self.name.to_lowercase();
        let names: Vec<_> = GRAMMARS
            .iter()
            .map(|it| it.keyword.to_lowercase())
            .collect();
        let near = nearest(&lower, names.iter().map(String::as_str));
        let shown = |near: &str| {
            if self.name == self.keyword() {
                near.to_uppercase()
            } else {
                near.to_owned()
            }
        };
        near.map(|near| format!(" (did you mean {}?)", shown(near)))
            .unwrap_or_default()
    }
}

fn grammar(keyword: &str) -> Option<&'static Grammar> {
    GRAMMARS.iter().find(|grammar| grammar.keyword == keyword)
}

/// Blanks in the sense of the file's format.
fn is_blank(c: char) -> bool {
    ['\t', '\u{b}', '\u{c}', '\r', ' '].contains(&c)
}

fn at_blanks(text: &str) -> Vec<String> {
    let words = text.split(is_blank).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// Returns `name=value` pairs; in the form of old, whose name and value a blank parts, both in one.
fn pairs(keyword: &str, rest: &str, escape: char) -> Result<Vec<String>, String> {
    let words = words::quoted(rest, escape);
    if words.first().is_some_and(|first| !first.contains('=')) {
        let two = rest.contains(is_blank);
        let pair = two.then(|| vec![rest.to_owned()]);
        return pair.ok_or_else(|| format!("{keyword} must have two arguments"));
    }
    match words.iter().find(|word| !word.contains('=')) {
        Some(word) => Err(format!(
            "Syntax error - can't find = in {word:?}. Must be of the form: name=value"
        )),
        None => Ok(words),
    }
}

/// `FROM image [AS name]`.
fn check_stage(args: &[String]) -> Result<(), String> {
    let name = match args {
        [_] => return Ok(()),
        [_, r#as, name] if r#as.eq_ignore_ascii_case("as") => name,
        _ => return Err("FROM requires either one or three arguments".into()),
    };
    let mut letters = name.chars().map(|c| c.to_ascii_lowercase());
    let begins = letters.next().is_some_and(|c| c.is_ascii_lowercase());
    let goes_on = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if begins && letters.all(goes_on) {
        return Ok(());
    }
    Err(format!(
        "invalid name for build stage: {name:?}, name can't start with a number or contain symbols"
    ))
}

fn check_health(args: &[String]) -> Result<(), String> {
    match args[0].to_uppercase().as_str() {
        "NONE" if args.len() > 1 => Err("HEALTHCHECK NONE takes no arguments".into()),
        "CMD" if args.len() < 2 => Err("Missing command after HEALTHCHECK CMD".into()),
        "NONE" | "CMD" => Ok(()),
        other => Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    }
}

fn check_trigger(keyword: &str) -> Result<(), String> {
    match keyword {
        "ONBUILD" => Err("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed".into()),
        "MAINTAINER" | "FROM" => Err(format!("{keyword} isn't allowed as an ONBUILD trigger")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
