//! How a line of a Dockerfile falls into words: quotes, escapes, flags, here-documents.

/// A here-document that a line announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HereDoc {
    /// The line that ends it.
    pub(super) delimiter: String,
    /// `<<-`: tabs in front of the delimiter do not count.
    pub(super) strips_tabs: bool,
}

/// Splits at blanks, but not inside quotes; quotes and escapes stay in the words.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Words::default();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => words.end(),
            _ if c == escape && quote != Some('\'') => {
                // One at the end of a line is left out.
                if let Some(next) = chars.next() {
                    words.push(c);
                    words.push(next);
                }
            }
            None => {
                quote = Some(c).filter(|c| ['\'', '"'].contains(c));
                words.push(c);
            }
            Some(open) => {
                quote = quote.filter(|_| c != open);
                words.push(c);
            }
        }
    }
    words.end();
    words.done
}

/// Takes words that begin with `--` off the front; returns them without quotes, and what follows.
pub(super) fn flags(text: &str, escape: char) -> (Vec<String>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let start = rest.trim_start();
        if !start.starts_with("--") {
            return (found, start);
        }
        let (word, behind) = flag(start, escape);
        rest = behind;
        if word == "--" {
            return (found, rest);
        }
        found.push(word);
    }
}

/// Returns the first word of `text` without quotes and escapes, and what follows.
fn flag(text: &str, escape: char) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if c.is_whitespace() => return (word, &text[at..]),
            None if ['\'', '"'].contains(&c) => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ if c == escape => word.extend(chars.next().map(|(_, next)| next)),
            _ => word.push(c),
        }
    }
    (word, "")
}

/// Returns the here-documents of a line, in their order. A line whose quotes do not end has none.
pub(super) fn here_docs(line: &str) -> Vec<HereDoc> {
    let words = shell_words(line).unwrap_or_default();
    words.iter().filter_map(|word| here_doc(word)).collect()
}

/// Reads a word as the announcement of a here-document: `<<EOF`, `3<<-"EOF"`, `<< EOF`.
pub(super) fn here_doc(word: &str) -> Option<HereDoc> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let word = word.strip_prefix("<<")?;
    let (strips_tabs, word) = word.strip_prefix('-').map_or((false, word), |w| (true, w));
    let name = word.trim_start();
    // `<<<` is a text for the shell, and no here-document.
    let delimiter = unquoted(name).filter(|_| !name.contains('<'))?;
    Some(HereDoc {
        delimiter,
        strips_tabs,
    })
}

/// Splits a line as a shell does, quotes and escapes left in. Blanks behind `<<` belong to its word.
fn shell_words(line: &str) -> Option<Vec<String>> {
    let mut words = Words::default();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                words.push(c);
                words.extend(chars.next());
            }
            '\'' | '"' => {
                words.push(c);
                loop {
                    let inner = chars.next()?;
                    words.push(inner);
                    if inner == c {
                        break;
                    }
                    if inner == '\\' && c == '"' {
                        words.extend(chars.next());
                    }
                }
            }
            '<' if chars.peek() == Some(&'<') => {
                words.push(c);
                words.extend(chars.next());
                while let Some(blank) = chars.next_if(|c| [' ', '\t'].contains(c)) {
                    words.push(blank);
                }
            }
            c if c.is_whitespace() => words.end(),
            c => words.push(c),
        }
    }
    words.end();
    Some(words.done)
}

/// Returns what a quoted word says; `None` where that is nothing.
fn unquoted(word: &str) -> Option<String> {
    let mut text = String::new();
    let mut quote = None;
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, '\\') => text.extend(chars.next()),
            (Some('"'), '\\') => {
                let escaped = chars.next_if(|next| ['"', '$', '\\'].contains(next));
                text.push(escaped.unwrap_or(c));
            }
            _ => text.push(c),
        }
    }
    Some(text).filter(|text| !text.is_empty())
}

/// Words, and the one that is being read.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    current: String,
}

impl Words {
    fn push(&mut self, c: char) {
        self.current.push(c);
    }

    fn extend(&mut self, c: Option<char>) {
        self.current.extend(c);
    }

    fn end(&mut self) {
        if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_quotes() {
        let cases: [(&str, &[&str]); 7] = [
            ("a b\tc ", &["a", "b", "c"]),
            ("a='b c' d", &["a='b c'", "d"]),
            (r#"a="b \" c" d"#, &[r#"a="b \" c""#, "d"]),
            (r"a=b\ c d", &[r"a=b\ c", "d"]),
            (r"a='\' b'", &[r"a='\'", "b'"]),
            ("a='b", &["a='b"]),
            ("a\\", &["a"]),
        ];
        for (text, expected) in cases {
            assert_eq!(quoted(text, '\\'), expected, "{text}");
        }
        assert_eq!(quoted("a` b c", '`'), ["a` b", "c"]);
    }

    #[test]
    fn flags_come_first() {
        let cases: [(&str, &[&str], &str); 7] = [
            ("--a --b=c d --e", &["--a", "--b=c"], "d --e"),
            ("a --b", &[], "a --b"),
            ("--a='b c' d", &["--a=b c"], "d"),
            (r"--a=b\ c d", &["--a=b c"], "d"),
            ("--a -- --b", &["--a"], " --b"),
            ("--a", &["--a"], ""),
            ("-a b", &[], "-a b"),
        ];
        for (text, expected, rest) in cases {
            let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(flags(text, '\\'), (expected, rest), "{text}");
        }
    }

    #[test]
    fn here_documents_are_seen_wherever_they_stand() {
        let cases: [(&str, &[(&str, bool)]); 17] = [
            ("RUN <<EOF", &[("EOF", false)]),
            ("RUN cat <<EOF > /etc/x", &[("EOF", false)]),
            ("RUN python3 <<-EOF", &[("EOF", true)]),
            ("RUN <<A cat && cat <<B", &[("A", false), ("B", false)]),
            ("RUN cat << EOF", &[("EOF", false)]),
            ("RUN cat 3<<EOF", &[("EOF", false)]),
            ("RUN <<'EOF' bash", &[("EOF", false)]),
            (r#"RUN <<"E F""#, &[("E F", false)]),
            (r"RUN <<E\OF", &[("EOF", false)]),
            ("COPY <<a <<b /etc/", &[("a", false), ("b", false)]),
            ("RUN cat <'in put' <<EOF", &[("EOF", false)]),
            ("RUN cat <<<text", &[]),
            ("RUN x<<EOF", &[]),
            ("RUN echo '<<EOF'", &[]),
            ("RUN echo \"a <<EOF\"", &[]),
            ("RUN echo it's <<EOF", &[]),
            ("RUN cat <<''", &[]),
        ];
        for (line, expected) in cases {
            let found = here_docs(line);
            let found: Vec<_> = found
                .iter()
                .map(|it| (it.delimiter.as_str(), it.strips_tabs))
                .collect();
            assert_eq!(found, expected, "{line}");
        }
    }
}
