//! Syntax errors in the reference's words, as near as they can be told from what our parser reports:
//! the line is always right, the commonest mistakes get the text that people search for.

use super::Error;
use crate::encode::quoted;

/// Returns an error at a line; `key` is the last key read, `line` is 0 where unknown.
pub(super) fn at(line: usize, key: &str, message: &str) -> Error {
    let place = match (line, key) {
        (0, "") => String::new(),
        (0, key) => format!("(last key {}): ", go_quoted(key)),
        (line, "") => format!("line {line}: "),
        (line, key) => format!("line {line} (last key {}): ", go_quoted(key)),
    };
    Error::new(format!("toml: {place}{message}"))
}

/// Returns the error of bytes that are no text.
pub(super) fn not_utf8(bytes: &[u8], offset: usize) -> Error {
    let line = bytes.iter().take(offset).filter(|b| **b == b'\n').count() + 1;
    let byte = bytes.get(offset).copied().unwrap_or_default();
    at(line, "", &format!("invalid UTF-8 byte: 0x{byte:02x}"))
}

/// Translates an error of our parser.
pub(super) fn error(text: &str, error: &toml::de::Error) -> Error {
    let span = error.span().unwrap_or_default();
    let spot = Spot::new(text, span.start.min(text.len()), span.end.min(text.len()));
    let (line, key, message) = spot.describe(error.message());
    at(line, &key, &message)
}

/// The place of an error in its text.
#[derive(Clone, Copy, Debug)]
struct Spot<'a> {
    text: &'a str,
    before: &'a str,
    covered: &'a str,
    after: &'a str,
    line: usize,
}

impl<'a> Spot<'a> {
    fn new(text: &'a str, start: usize, end: usize) -> Self {
        let before = text.get(..start).unwrap_or_default();
        Self {
            text,
            before,
            covered: text.get(start..end).unwrap_or_default(),
            after: text.get(start..).unwrap_or_default(),
            line: before.matches('\n').count() + 1,
        }
    }

    /// Returns line, last key and message.
    fn describe(&self, message: &str) -> (usize, String, String) {
        let next = self.after.chars().next();
        let got = rune(next.unwrap_or('\0'));
        let here = |text: String| (self.line, String::new(), text);
        let valued = |text: String| (self.line, self.last_key(), text);
        // The reference has already read the line's end, unless there is none.
        let past_end = |text: String| {
            (
                self.line + usize::from(next == Some('\n')),
                String::new(),
                text,
            )
        };
        let problem = message.split(", expected").next().unwrap_or(message);
        match problem {
            "key with no value" => here(match next {
                None => "unexpected EOF; expected key separator '='".to_owned(),
                Some(_) => format!("expected '.' or '=', but got {got} instead"),
            }),
            "unquoted keys cannot be empty" | "invalid unquoted key" => here(self.bad_key(next)),
            "unclosed array table" if self.before.ends_with(']') => past_end(format!(
                "expected end of table array name delimiter ']', but got {got} instead"
            )),
            "unclosed table" | "unclosed array table" => past_end(format!(
                "expected '.' or ']' to end table name, but got {got} instead"
            )),
            "string values must be quoted" | "invalid boolean" => valued(self.no_value(next)),
            "invalid basic string" | "invalid literal string"
                if matches!(next, Some('\n' | '\r')) =>
            {
                valued("strings cannot contain newlines".to_owned())
            }
            "invalid basic string" if next.is_none() => {
                valued("unexpected EOF; expected '\"'".to_owned())
            }
            "invalid literal string" if next.is_none() => {
                valued("unexpected EOF; expected \"'\"".to_owned())
            }
            "unclosed array" => valued(format!(
                "expected a comma (',') or array terminator (']'), but got {}",
                or_end_of_file(next)
            )),
            "unclosed inline table" => valued(format!(
                "expected a comma or an inline table terminator '}}', but got {} instead",
                or_end_of_file(next)
            )),
            "unexpected key or value" if self.before.trim_end().ends_with('=') => {
                valued(self.no_value(next))
            }
            "unexpected key or value" => (self.line, self.header(), self.not_ended(next)),
            "duplicate key" => self.duplicate(),
            "missing escaped value" => valued(format!(
                "invalid escape in string '\\{}'",
                next.unwrap_or('\0')
            )),
            _ => valued(message.to_owned()),
        }
    }

    fn bad_key(&self, next: Option<char>) -> String {
        let in_header = self.current_line().trim_start().starts_with('[');
        match next {
            Some(']') | None if in_header => {
                "unexpected end of table name (table names cannot be empty)".to_owned()
            }
            Some('.') if in_header => {
                "unexpected table separator (table names cannot be empty)".to_owned()
            }
            Some('=') | None => "unexpected '=': key name appears blank".to_owned(),
            Some('.') => "unexpected '.': keys cannot start with a '.'".to_owned(),
            Some(c) if in_header => {
                format!(
                    "expected '.' or ']' to end table name, but got {} instead",
                    rune(c)
                )
            }
            Some(c) => format!("expected '.' or '=', but got {} instead", rune(c)),
        }
    }

    /// Describes what follows a finished value or header on its line.
    fn not_ended(&self, next: Option<char>) -> String {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        // Where a whole second assignment follows, our parser stops at its sign.
        let word = self.before.trim_end().rsplit(|c| !is_bare(c)).next();
        let got = match (next, word.and_then(|w| w.chars().next())) {
            (Some('='), Some(first)) => first,
            (next, _) => next.unwrap_or('\0'),
        };
        format!(
            "expected a top-level item to end with a newline, comment, or EOF, but got {} instead",
            rune(got)
        )
    }

    fn duplicate(&self) -> (usize, String, String) {
        let own_header = header_name(self.whole_line());
        let key = match &own_header {
            Some(name) => name.clone(),
            None => self.below_header(self.covered),
        };
        let message = format!("Key '{key}' has already been defined.");
        let last_key = match own_header {
            Some(name) => name
                .rsplit_once('.')
                .map_or_else(String::new, |(parent, _)| parent.to_owned()),
            None => key,
        };
        (self.line, last_key, message)
    }

    fn no_value(&self, next: Option<char>) -> String {
        let word_start = self
            .before
            .rfind(|c: char| !c.is_alphabetic())
            .map_or(0, |at| at + 1);
        let start = self.before.get(word_start..).unwrap_or_default();
        let rest: String = self
            .after
            .chars()
            .take_while(|c| c.is_alphabetic())
            .collect();
        let word = format!("{start}{rest}");
        match next {
            None if word.is_empty() => "unexpected EOF; expected value".to_owned(),
            Some(c) if word.is_empty() => format!("expected value but found {} instead", rune(c)),
            _ => format!("expected value but found {} instead", go_quoted(&word)),
        }
    }

    fn current_line(&self) -> &'a str {
        self.before.rsplit('\n').next().unwrap_or_default()
    }

    /// Returns the key that is being given a value, below the header that it stands under.
    fn last_key(&self) -> String {
        match self.current_line().split_once('=') {
            Some((key, _)) => self.below_header(key.trim()),
            None => String::new(),
        }
    }

    fn below_header(&self, key: &str) -> String {
        match self.header().as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    /// Returns the name of the table that the spot is in, or empty text.
    fn header(&self) -> String {
        let mut lines = self.before.lines().rev();
        lines.find_map(header_name).unwrap_or_default()
    }

    fn whole_line(&self) -> &'a str {
        let start = self.before.rfind('\n').map_or(0, |at| at + 1);
        // `before` and `after` are neighbours, and headers end before their line does.
        let length = self.before.len() - start + self.after.find('\n').unwrap_or(self.after.len());
        self.text.get(start..start + length).unwrap_or_default()
    }
}

/// Returns the name in a line that is a complete header.
fn header_name(line: &str) -> Option<String> {
    let inner = line.trim().strip_prefix('[')?;
    let (name, _) = inner.trim_start_matches('[').split_once(']')?;
    Some(name.trim().to_owned())
}

fn or_end_of_file(next: Option<char>) -> String {
    next.map_or_else(|| "end of file".to_owned(), |c| format!("'{c}'"))
}

/// Returns a character in single quotes, control characters escaped.
fn rune(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        '\0' => "'\\x00'".to_owned(),
        c => format!("'{}'", go_quoted(&c.to_string()).trim_matches('"')),
    }
}

/// Returns text in double quotes, as Go's `%q` writes it.
fn go_quoted(text: &str) -> String {
    // Go and TOML differ in control characters alone: `\x01` and `\u0001`.
    quoted(text).replace("\\u00", "\\x")
}
