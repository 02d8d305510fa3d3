//! From text to instructions: parser directives, comments, continued lines, here-documents.

use super::Error;
use super::instruction::Instruction;
use super::words::{self, HereDoc};

/// Splits a Dockerfile into instructions.
pub(super) fn parse(text: &str) -> Result<Vec<Instruction>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Lines {
        rest: text.split_inclusive('\n'),
        number: 0,
        escape: '\\',
        directives: Some(Vec::new()),
    };
    let mut instructions = Vec::new();
    while let Some((number, line)) = lines.logical()? {
        let instruction = Instruction::parse(&line, number, lines.escape)?;
        if instruction.takes_here_docs {
            for here_doc in words::here_docs(&line) {
                lines.skip(&here_doc, number)?;
            }
        }
        instructions.push(instruction);
    }
    if instructions.is_empty() {
        let remedy = "say what shall be done with the image, or leave the file out";
        let error = Error::at(0, "file with no instructions");
        return Err(error.explained("holds no instruction", remedy));
    }
    Ok(instructions)
}

/// Reads a file line by line.
struct Lines<'a> {
    rest: std::str::SplitInclusive<'a, char>,
    /// Of the last line that was read.
    number: usize,
    /// Escapes a character, or the end of a line.
    escape: char,
    /// Names of the parser directives so far; `None` once another kind of line was met.
    directives: Option<Vec<String>>,
}

impl<'a> Lines<'a> {
    /// Returns the next line that is neither blank nor a comment, with those that continue it, and its number.
    fn logical(&mut self) -> Result<Option<(usize, String)>, Error> {
        while let Some(line) = self.next() {
            let line = line.trim_start();
            self.directive(line)?;
            if line.is_empty() || is_comment(line) {
                continue;
            }
            let number = self.number;
            let mut joined = String::new();
            let mut part = self.without_continuation(line);
            while let Err(continued) = part {
                joined.push_str(continued);
                part = match self.continuation() {
                    Some(next) => self.without_continuation(next),
                    None => Ok(""),
                };
            }
            joined.push_str(part.unwrap_or_default());
            return Ok(Some((number, joined)));
        }
        Ok(None)
    }

    /// Returns the next line that counts in a continued one: comments and blank lines do not.
    fn continuation(&mut self) -> Option<&'a str> {
        loop {
            let line = self.next()?;
            if !is_comment(line) && !line.trim().is_empty() {
                return Some(line);
            }
        }
    }

    /// Reads a here-document to its end.
    fn skip(&mut self, here_doc: &HereDoc, announced: usize) -> Result<(), Error> {
        while let Some(line) = self.next() {
            let line = if here_doc.strips_tabs {
                line.trim_start_matches('\t')
            } else {
                line
            };
            if line == here_doc.delimiter {
                return Ok(());
            }
        }
        let delimiter = &here_doc.delimiter;
        let problem = format!("the here-document {delimiter} has no end");
        let remedy = format!("end it with a line that holds {delimiter} and nothing else");
        Err(Error::at(announced, "unterminated heredoc").explained(problem, remedy))
    }

    fn next(&mut self) -> Option<&'a str> {
        let line = self.rest.next()?;
        self.number += 1;
        Some(line.trim_end_matches(['\r', '\n']))
    }

    /// Returns the line, or as an error what is in front of its continuation character.
    fn without_continuation(&self, line: &'a str) -> Result<&'a str, &'a str> {
        match line.trim_end_matches([' ', '\t']).strip_suffix(self.escape) {
            // One that is escaped itself continues nothing.
            Some(front) if !front.ends_with(self.escape) => Err(front),
            _ => Ok(line),
        }
    }

    /// Takes note of a parser directive, as long as nothing else was in front of it.
    fn directive(&mut self, line: &str) -> Result<(), Error> {
        let Some(seen) = &mut self.directives else {
            return Ok(());
        };
        let Some((name, value)) = directive(line) else {
            self.directives = None;
            return Ok(());
        };
        if seen.contains(&name) {
            let text = format!("only one {name} parser directive can be used");
            return Err(Error::at(self.number, &*text).explained(&*text, "leave one of them"));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => {
                    let text = format!("invalid escape token '{value}' does not match ` or \\");
                    let remedy = "write \\ or `, or leave the directive out";
                    return Err(Error::at(self.number, &*text).explained(&*text, remedy));
                }
            };
        }
        seen.push(name);
        Ok(())
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Reads `# name = value`, for the names that are known.
fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
    let known = ["syntax", "escape", "check"].contains(&name.as_str());
    (known && !value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns number, name and arguments of each instruction, or the error and its line.
    fn shape(text: &str) -> Vec<String> {
        match parse(text) {
            Ok(instructions) => instructions
                .iter()
                .map(|it| format!("{} {} {}", it.line, it.name, it.args.join("|")))
                .collect(),
            Err(error) => vec![format!("{}: {error}", error.line)],
        }
    }

    #[test]
    fn lines_are_continued() {
        let cases: [(&str, &[&str]); 10] = [
            ("FROM a\r\nRUN b\r\n", &["1 FROM a", "2 RUN b"]),
            ("\u{feff}FROM a", &["1 FROM a"]),
            ("\n  # c\n\n  FROM a\n", &["4 FROM a"]),
            ("FROM \\\n  a\nRUN b", &["1 FROM a", "3 RUN b"]),
            ("RUN a \\ \t\n b\nRUN c", &["1 RUN a  b", "3 RUN c"]),
            // Comments and blank lines inside a continued line are left out.
            ("RUN a \\\n # c\n\n b\nRUN c", &["1 RUN a  b", "5 RUN c"]),
            // An escaped escape character continues nothing.
            ("RUN a \\\\\nRUN b", &["1 RUN a \\\\", "2 RUN b"]),
            ("RUN a \\", &["1 RUN a"]),
            ("FR\\\nOM a", &["1 FROM a"]),
            ("\\\nFROM a", &["1 FROM a"]),
        ];
        for (text, expected) in cases {
            assert_eq!(shape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn directives_stand_in_front_of_everything_else() {
        let cases: [(&str, &[&str]); 9] = [
            ("# escape=`\nRUN a `\n b", &["2 RUN a  b"]),
            ("#ESCAPE = ` \nRUN a `\n b", &["2 RUN a  b"]),
            ("# syntax=x\n# escape=`\nRUN a `\n b", &["3 RUN a  b"]),
            ("# escape=`\nRUN a \\\nRUN b", &["2 RUN a \\", "3 RUN b"]),
            // Behind another comment, or a blank line, it is a comment.
            (
                "# hi\n# escape=`\nRUN a `\nRUN b",
                &["3 RUN a `", "4 RUN b"],
            ),
            ("\n# escape=`\nRUN a `\nRUN b", &["3 RUN a `", "4 RUN b"]),
            (
                "# other=`\n# escape=`\nRUN a `\nRUN b",
                &["3 RUN a `", "4 RUN b"],
            ),
            (
                "# escape=x\nRUN a",
                &["1: invalid escape token 'x' does not match ` or \\"],
            ),
            (
                "# escape=`\n# escape=`\nRUN a",
                &["2: only one escape parser directive can be used"],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(shape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn here_documents_are_no_instructions() {
        let cases: [(&str, &[&str]); 9] = [
            (
                "RUN cat <<E > x\nhello\nE\nRUN b",
                &["1 RUN cat <<E > x", "4 RUN b"],
            ),
            (
                "COPY <<a <<b /etc/\none\na\ntwo\nb\nRUN c",
                &["1 COPY <<a|<<b|/etc/", "6 RUN c"],
            ),
            ("RUN <<-E\n\tx\n\tE\nRUN b", &["1 RUN <<-E", "4 RUN b"]),
            ("RUN <<E \\\n bash\nFOO\nE\n", &["1 RUN <<E  bash"]),
            (
                "ONBUILD RUN <<E\nx\nE\nRUN b",
                &["1 ONBUILD RUN|<<E", "4 RUN b"],
            ),
            // Only RUN, COPY and ADD have them, and not in JSON.
            ("LABEL a=<<E\nRUN b", &["1 LABEL a=<<E", "2 RUN b"]),
            (
                "RUN [\"cat\", \"<<E\"]\nRUN b",
                &["1 RUN cat|<<E", "2 RUN b"],
            ),
            ("RUN <<E\n E\n", &["1: unterminated heredoc"]),
            ("RUN a\nRUN <<-E\n\tx\n", &["2: unterminated heredoc"]),
        ];
        for (text, expected) in cases {
            assert_eq!(shape(text), expected, "{text:?}");
        }
        let error = parse("RUN <<END\nx").unwrap_err();
        assert!(error.remedy.contains("a line that holds END"), "{error:?}");
    }

    #[test]
    fn nothing_is_no_dockerfile() {
        for text in ["", "\n\n", "# c\n", "# escape=`\n"] {
            assert_eq!(shape(text), ["0: file with no instructions"], "{text:?}");
        }
    }
}
