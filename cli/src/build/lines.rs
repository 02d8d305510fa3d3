//! What a build prints: the phases' lines, each behind the name of its phase, and what slipway itself says.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use jiff::ZonedDateTime;

/// How much, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    /// Nothing but what went wrong, and the last line.
    pub(crate) quiet: bool,
    /// Details too.
    pub(crate) verbose: bool,
    /// The time in front of each line.
    pub(crate) timestamps: bool,
    /// Colours.
    pub(crate) color: bool,
}

/// A line longer than this is printed in pieces: a build must not fill the memory.
const LONGEST: u64 = 64 << 10;

/// Writes a build's lines.
#[derive(Debug)]
pub(crate) struct Lines<W> {
    out: W,
    style: Style,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`.
    pub(crate) fn new(out: W, style: Style) -> Self {
        Self { out, style }
    }

    /// Returns how lines are written.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// Says what happens, unless it shall be quiet.
    pub(crate) fn info(&mut self, text: &str) {
        if !self.style.quiet {
            self.line(text.as_bytes());
        }
    }

    /// Says a detail.
    pub(crate) fn debug(&mut self, text: &str) {
        if self.style.verbose {
            self.line(text.as_bytes());
        }
    }

    /// Says what the user should know.
    pub(crate) fn warn(&mut self, text: &str) {
        let text = self.painted("33", "Warning: ") + text;
        self.line(text.as_bytes());
    }

    /// Says the last line.
    pub(crate) fn result(&mut self, text: &str) {
        self.line(text.as_bytes());
    }

    /// Says which phase begins.
    pub(crate) fn header(&mut self, phase: &str) {
        let text = format!("===> {}", phase.to_uppercase());
        let text = self.painted("35", &text);
        self.info(&text);
    }

    /// Passes on what a phase prints until it closes its end; returns the last lines, for who has to explain a failure.
    pub(crate) fn pass_on(&mut self, phase: &str, output: impl Read) -> io::Result<Vec<String>> {
        let prefix = self.painted("36", &format!("[{phase}]"));
        let mut last = Vec::new();
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            if output.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                return Ok(last);
            }
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if !self.style.quiet {
                let separator: &[u8] = if text.is_empty() { b"" } else { b" " };
                self.line(&[prefix.as_bytes(), separator, text].concat());
            }
            if last.len() == 20 {
                last.remove(0);
            }
            last.push(String::from_utf8_lossy(text).into_owned());
        }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.style.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// A reader who went away is no reason to end a build.
    fn line(&mut self, text: &[u8]) {
        let mut whole = Vec::with_capacity(text.len() + 32);
        if self.style.timestamps {
            let now = ZonedDateTime::now()
                .strftime("%Y/%m/%d %H:%M:%S%.6f ")
                .to_string();
            whole.extend_from_slice(now.as_bytes());
        }
        whole.extend_from_slice(text);
        whole.push(b'\n');
        self.out.write_all(&whole).ok();
        self.out.flush().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Style = Style {
        quiet: false,
        verbose: false,
        timestamps: false,
        color: false,
    };

    fn printed(style: Style, output: &str) -> (String, Vec<String>) {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, style);
        let last = lines.pass_on("builder", output.as_bytes()).unwrap();
        (String::from_utf8(out).unwrap(), last)
    }

    #[test]
    fn each_line_names_its_phase() {
        let (text, last) = printed(PLAIN, "one\r\n\ntwo\nno end");
        assert_eq!(
            text,
            "[builder] one\n[builder]\n[builder] two\n[builder] no end\n"
        );
        assert_eq!(last, ["one", "", "two", "no end"]);
        let color = Style {
            color: true,
            ..PLAIN
        };
        assert_eq!(printed(color, "x\n").0, "\x1b[36m[builder]\x1b[0m x\n");
    }

    #[test]
    fn a_quiet_build_says_what_went_wrong_and_how_it_ended() {
        let quiet = Style {
            quiet: true,
            ..PLAIN
        };
        let (text, last) = printed(quiet, "one\n");
        assert_eq!((text.as_str(), last), ("", vec!["one".to_owned()]));
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, quiet);
        lines.info("no");
        lines.debug("no");
        lines.header("no");
        lines.warn("a");
        lines.result("b");
        assert_eq!(String::from_utf8(out).unwrap(), "Warning: a\nb\n");
    }

    #[test]
    fn a_line_without_end_is_printed_in_pieces() {
        let (text, _) = printed(PLAIN, &"x".repeat(100_000));
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn times_stand_in_front() {
        let style = Style {
            timestamps: true,
            ..PLAIN
        };
        let (text, _) = printed(style, "x\n");
        let (time, rest) = text.split_at(27);
        assert_eq!(rest, "[builder] x\n");
        assert_eq!(&time[4..5], "/", "{time}");
    }
}
