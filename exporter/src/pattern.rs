//! Patterns of slices: Go's `filepath.Match` on a cleaned pattern (EXP-054, BPB-048, BPB-049).
//!
//! `*` and `?` stop at a slash, `**` is `*`, a class `[a-z]` or `[^a-z]` takes one character (a slash
//! too, as in Go), a backslash takes the next character as it is. What a `*` takes is decided once,
//! shortest first, and not reconsidered: Go does the same, and layers must come out alike.
//! There are no braces, no recursive `**` and no special treatment of hidden files.

/// A parsed pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    pieces: Vec<Piece>,
    /// True: the last piece is cut off where it stops making sense.
    malformed: bool,
}

/// A pattern that Go refuses.
#[derive(Debug, thiserror::Error)]
#[error("syntax error in pattern '{0}'")]
pub(crate) struct Malformed(String);

/// What stands between two stars.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Piece {
    after_star: bool,
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// Any character but a slash.
    Any,
    /// A character inside (or, negated, outside) all ranges.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Parses a pattern as written in `launch.toml`, cleaned like a path first.
    ///
    /// Does not fail: Go notices what is malformed only when a path matches as far as there.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = vec![Piece::default()];
        let malformed = parse_pieces(&clean(text), &mut pieces).is_none();
        Self {
            text: text.to_owned(),
            pieces,
            malformed,
        }
    }

    /// Returns whether `path`, relative to the app directory, matches as a whole.
    pub(crate) fn matches(&self, path: &[u8]) -> Result<bool, Malformed> {
        let mut rest = path;
        for (index, piece) in self.pieces.iter().enumerate() {
            let last = index + 1 == self.pieces.len();
            if last && self.malformed {
                return Err(Malformed(self.text.clone()));
            }
            let farthest = if piece.after_star {
                rest.iter().position(|&b| b == b'/').unwrap_or(rest.len())
            } else {
                0
            };
            let found = (0..=farthest)
                .filter_map(|start| piece.strip_from(&rest[start..]))
                .find(|left| !last || left.is_empty());
            match found {
                Some(left) => rest = left,
                None => return Ok(false),
            }
        }
        Ok(rest.is_empty())
    }
}

/// Adds to the last of `pieces` and begins one at each star; `None` where the pattern stops making sense.
fn parse_pieces(pattern: &str, pieces: &mut Vec<Piece>) -> Option<()> {
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let piece = pieces.last_mut()?;
        rest = match first {
            '*' if piece.tokens.is_empty() => {
                piece.after_star = true;
                after
            }
            '*' => {
                pieces.push(Piece {
                    after_star: true,
                    tokens: Vec::new(),
                });
                after
            }
            '?' => {
                piece.tokens.push(Token::Any);
                after
            }
            '[' => {
                let (token, after) = class(after)?;
                piece.tokens.push(token);
                after
            }
            '\\' => {
                let escaped = after.chars().next()?;
                piece.push_literal(escaped);
                &after[escaped.len_utf8()..]
            }
            literal => {
                piece.push_literal(literal);
                after
            }
        };
    }
    Some(())
}

impl Piece {
    fn push_literal(&mut self, literal: char) {
        let mut buffer = [0; 4];
        let bytes = literal.encode_utf8(&mut buffer).bytes();
        self.tokens.extend(bytes.map(Token::Byte));
    }

    /// Returns what is left of `text` after this piece, if `text` starts with it.
    fn strip_from<'t>(&self, text: &'t [u8]) -> Option<&'t [u8]> {
        self.tokens.iter().try_fold(text, |text, token| {
            let (character, length) = decode(text)?;
            match token {
                Token::Byte(byte) => (text[0] == *byte).then(|| &text[1..]),
                Token::Any => (text[0] != b'/').then(|| &text[length..]),
                Token::Class { negated, ranges } => {
                    let inside = ranges
                        .iter()
                        .any(|(low, high)| (low..=high).contains(&&character));
                    (inside != *negated).then(|| &text[length..])
                }
            }
        })
    }
}

/// Parses a class after its `[`; returns it and what follows its `]`.
fn class(text: &str) -> Option<(Token, &str)> {
    let (negated, mut rest) = match text.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty()
            && let Some(after) = rest.strip_prefix(']')
        {
            return Some((Token::Class { negated, ranges }, after));
        }
        let (low, after) = class_member(rest)?;
        let (high, after) = match after.strip_prefix('-') {
            Some(after) => class_member(after)?,
            None => (low, after),
        };
        ranges.push((low, high));
        rest = after;
    }
}

/// Parses one end of a range: `-` and `]` need a backslash, and something must follow.
fn class_member(text: &str) -> Option<(char, &str)> {
    if text.starts_with(['-', ']']) {
        return None;
    }
    let text = text.strip_prefix('\\').unwrap_or(text);
    let member = text.chars().next()?;
    let after = &text[member.len_utf8()..];
    (!after.is_empty()).then_some((member, after))
}

/// Returns the first character and its length; a byte that starts none counts as U+FFFD, as in Go.
fn decode(text: &[u8]) -> Option<(char, usize)> {
    if text.is_empty() {
        return None;
    }
    (1..=text.len().min(4))
        .find_map(|length| {
            let text = std::str::from_utf8(&text[..length]).ok()?;
            Some((text.chars().next()?, length))
        })
        .or(Some((char::REPLACEMENT_CHARACTER, 1)))
}

/// Returns the shortest path that means the same, without looking at the disk (Go's `filepath.Clean`).
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                None if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_go_does() {
        let cases: &[(&str, &[u8], bool)] = &[
            // Plain names, cleaned first.
            ("abc", b"abc", true),
            ("./static/a/", b"static/a", true),
            ("static//a", b"static/a", true),
            ("x/../static", b"static", true),
            ("abc", b"ab", false),
            ("ab", b"abc", false),
            // A star stays inside one path element, twice or not.
            ("*", b"abc", true),
            ("*", b"a/b", false),
            ("**", b"a/b", false),
            ("**", b"abc", true),
            ("a/*", b"a/b", true),
            ("a/*", b"a/b/c", false),
            ("a*/b", b"a/b", true),
            ("a*/b", b"a/c/b", false),
            ("*.txt", b"a.txt", true),
            ("*.txt", b".txt", true),
            ("*.txt", b"a.txt.bak", false),
            ("a*b*c", b"aXbYbZc", true),
            ("*c", b"abcbc", true),
            ("a*b?c*x", b"abxbbxdbxebxczzx", true),
            ("a*b?c*x", b"abxbbxdbxebxczzy", false),
            ("sub/*/deep.md", b"sub/x/deep.md", true),
            ("sub/*/deep.md", b"sub/x/y/deep.md", false),
            // A question mark is one character, not one byte.
            ("a?b", "a☺b".as_bytes(), true),
            ("a??b", "a☺b".as_bytes(), false),
            ("a?b", b"a\xffb", true),
            ("a?b", b"a/b", false),
            // Classes.
            ("ab[c]", b"abc", true),
            ("ab[b-d]", b"abc", true),
            ("ab[e-g]", b"abc", false),
            ("ab[^c]", b"abc", false),
            ("ab[^e-g]", b"abc", true),
            ("a[!]b", b"a!b", true),
            ("[^a]b", "☺b".as_bytes(), true),
            ("a[^a]b", b"a/b", true),
            ("[a-ζ]*", "α".as_bytes(), true),
            ("*[a-ζ]", b"A", false),
            ("[\\]a]", b"]", true),
            ("[\\-]", b"-", true),
            ("[x\\-]", b"-", true),
            ("[*]", b"*", true),
            ("[*]", b"a", false),
            // Escapes.
            ("a\\*b", b"a*b", true),
            ("a\\*b", b"axb", false),
            ("\\[a]", b"[a]", true),
            // Not special.
            ("{a,b}", b"a", false),
            ("a]", b"a]", true),
            // The first place that fits is kept: "/" is not tried for the class.
            ("*[^z]*b", b"x/b", false),
            // What lies outside the app directory matches nothing in it.
            ("/workspace/a", b"a", false),
            ("../*", b"a", false),
            (".", b"a", false),
            ("", b"a", false),
        ];
        for (pattern, path, expected) in cases {
            let found = Pattern::parse(pattern).matches(path).expect(pattern);
            let path_text = String::from_utf8_lossy(path);
            assert_eq!(found, *expected, "{pattern} on {path_text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        let cases = [
            "[", "[^", "[^bc", "a[", "a[b", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[]", "\\",
            "x\\", "[\\", "[a-\\", "*[",
        ];
        for pattern in cases {
            assert!(Pattern::parse(pattern).matches(b"a").is_err(), "{pattern}");
        }
    }

    #[test]
    fn notices_what_is_malformed_only_on_the_way_there() {
        for (pattern, path, refused) in [
            ("a*[", b"a".as_slice(), true),
            ("a*[", b"b", false),
            ("a*b*[", b"ab", true),
            ("a*b*[", b"a/b", false),
            ("**[", b"x", true),
        ] {
            let found = Pattern::parse(pattern).matches(path);
            assert_eq!(found.is_err(), refused, "{pattern}");
        }
    }
}
