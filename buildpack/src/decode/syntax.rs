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
    Error {
        message: format!("toml: {place}{message}"),
        line,
        problem: message.to_owned(),
    }
}

/// Returns the error of bytes that are no text.
pub(super) fn not_utf8(bytes: &[u8], offset: usize) -> Error {
    let line = bytes.iter().take(offset).filter(|b| **b == b'\n').count() + 1;
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let text = std::str::from_utf8(bytes.get(..offset).unwrap_or_default()).unwrap_or_default();
    let key = Spot::new(text, text.len(), text.len()).nearest_key();
    at(line, &key, &format!("invalid UTF-8 byte: 0x{byte:02x}"))
}

/// Translates the first of our parser's errors.
pub(super) fn error(text: &str, errors: &[toml::de::Error]) -> Option<Error> {
    // Of two at one place, the one inside a string is nearer to the mistake.
    let rank = |error: &toml::de::Error| {
        let start = error.span().unwrap_or_default().start;
        (
            start,
            !IN_STRING
                .iter()
                .any(|text| error.message().starts_with(text)),
        )
    };
    let first = errors.iter().min_by_key(|error| rank(error))?;
    let span = first.span().unwrap_or_default();
    let spot = Spot::new(text, span.start.min(text.len()), span.end.min(text.len()));
    let (line, key, message) = spot.describe(first.message());
    // The reference counts a line end that is too early to the line behind it.
    Some(Error {
        line: spot.line,
        ..at(line, &key, &message)
    })
}

/// How our parser begins to tell of a string that goes wrong.
const IN_STRING: [&str; 4] = [
    "invalid basic string",
    "invalid literal string",
    "invalid multi-line",
    "missing escaped value",
];

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
        let problem = message.split(", expected").next().unwrap_or(message);
        let lone_return = problem == "carriage return must be followed by newline";
        let control = lone_return
            .then_some(0xd)
            .or_else(|| self.control_character());
        if let Some(control) = control {
            let text = format!("TOML files cannot contain control characters: '0x{control:02x}'");
            return (self.line, self.nearest_key(), text);
        }
        if problem == "duplicate key" {
            return self.duplicate();
        }
        if let Some((line, message)) = self.bad_structure(problem) {
            return (line, self.header(), message);
        }
        let message = self
            .bad_value(problem)
            .unwrap_or_else(|| message.to_owned());
        (self.line, self.last_key(), message)
    }

    /// Describes what is wrong with a key, a header or the end of a line.
    fn bad_structure(&self, problem: &str) -> Option<(usize, String)> {
        let next = self.next();
        let got = rune(next.unwrap_or('\0'));
        // The reference has already read the line's end, unless there is none.
        let past_end = self.line + usize::from(next == Some('\n'));
        match problem {
            "key with no value" | "invalid key-value pair" | "missing table open" => {
                let text = match next {
                    None => "unexpected EOF; expected key separator '='".to_owned(),
                    Some(_) => format!("expected '.' or '=', but got {got} instead"),
                };
                Some((self.line, text))
            }
            "unquoted keys cannot be empty" | "invalid unquoted key" => {
                Some((self.line, self.bad_key(next)))
            }
            "unclosed array table" if self.before.ends_with(']') => Some((
                past_end,
                format!("expected end of table array name delimiter ']', but got {got} instead"),
            )),
            "unclosed table" | "unclosed array table" => Some((
                past_end,
                format!("expected '.' or ']' to end table name, but got {got} instead"),
            )),
            "unexpected key or value" if !self.before.trim_end().ends_with('=') => Some((
                self.line,
                format!(
                    "expected a top-level item to end with a newline, comment, or EOF, but got {got} instead"
                ),
            )),
            _ => None,
        }
    }

    /// Describes what is wrong with a value.
    fn bad_value(&self, problem: &str) -> Option<String> {
        let at_end = self.after.trim().is_empty();
        let next = self.next().filter(|_| !at_end);
        let text = match problem {
            "string values must be quoted"
            | "invalid boolean"
            | "unexpected key or value"
            | "extra `=`" => self.no_value(self.next()),
            "invalid basic string" | "invalid literal string"
                if self.after.starts_with(['\n', '\r']) =>
            {
                "strings cannot contain newlines".to_owned()
            }
            "invalid basic string" if at_end => r#"unexpected EOF; expected '"'"#.to_owned(),
            "invalid literal string" if at_end => r#"unexpected EOF; expected "'""#.to_owned(),
            "invalid multi-line basic string" if at_end => {
                r#"unexpected EOF; expected '"""'"#.to_owned()
            }
            "invalid multi-line literal string" if at_end => {
                r#"unexpected EOF; expected "'''""#.to_owned()
            }
            "unclosed array" if at_end && self.before.trim_end().ends_with([',', '[']) => {
                "unexpected EOF; expected value".to_owned()
            }
            "unclosed array" | "missing comma between array elements" => format!(
                "expected a comma (',') or array terminator (']'), but got {}",
                or_end_of_file(next)
            ),
            "extra comma in array" => "unexpected comma".to_owned(),
            "unclosed inline table" => format!(
                "expected a comma or an inline table terminator '}}', but got {} instead",
                or_end_of_file(next)
            ),
            "missing escaped value" => {
                format!(
                    "invalid escape in string '\\{}'",
                    self.after.chars().next().unwrap_or('\0')
                )
            }
            _ => return None,
        };
        Some(text)
    }

    /// Returns the next character that is no blank.
    fn next(&self) -> Option<char> {
        self.after.trim_start_matches([' ', '\t']).chars().next()
    }

    /// Returns the next character if no TOML file may contain it.
    fn control_character(&self) -> Option<u32> {
        let next = self.after.chars().next()?;
        let is_control = match next {
            '\t' | '\n' => false,
            '\r' => !self.after.starts_with("\r\n"),
            c => c.is_ascii_control(),
        };
        is_control.then(|| u32::from(next))
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
        let mut lines = self.before.rsplit('\n');
        // An array may have begun lines ago.
        let key = lines
            .by_ref()
            .take_while(|line| header_name(line).is_none())
            .find_map(assigned_key);
        key.map_or_else(|| self.header(), |key| self.below_header(key))
    }

    /// Returns the key of this line, or the header above it.
    fn nearest_key(&self) -> String {
        match assigned_key(self.current_line()) {
            Some(key) => self.below_header(key),
            None => self.header(),
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
    let line = line.trim();
    let (name, _) = match line.strip_prefix("[[") {
        Some(inner) => inner.split_once("]]")?,
        None => line.strip_prefix('[')?.split_once(']')?,
    };
    Some(name.trim().to_owned())
}

/// Returns the key of a line that begins with an assignment.
fn assigned_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let in_key = |c: char| c.is_ascii_alphanumeric() || "_-.\"'".contains(c);
    (!key.is_empty() && key.chars().all(in_key)).then_some(key)
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
