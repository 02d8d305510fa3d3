//! The launcher's own lines: to stdout, with a coloured prefix (BPX-008, BPX-009).

use std::fmt::Display;
use std::io::{self, Write as _};

/// Where the launcher's lines go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    no_color: bool,
}

impl Log {
    pub(crate) fn new(no_color: bool) -> Self {
        Self { no_color }
    }

    /// Says what a user should know although the launch goes on.
    pub(crate) fn warning(self, message: impl Display) {
        self.line("\x1b[33;1m", "Warning: ", message);
    }

    /// Says why there will be no process.
    pub(crate) fn error(self, message: impl Display) {
        self.line("\x1b[31;1m", "ERROR: ", message);
    }

    fn line(self, color: &str, prefix: &str, message: impl Display) {
        let line = if self.no_color {
            format!("{prefix}{message}\n")
        } else {
            format!("{color}{prefix}\x1b[0m{message}\n")
        };
        // A closed stdout changes neither what is started nor the exit code. One write keeps the line whole
        // beside the output of exec.d programs.
        io::stdout().write_all(line.as_bytes()).ok();
    }
}
