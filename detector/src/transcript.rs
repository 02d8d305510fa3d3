//! What detection says, kept until its end is known (BPD-058, DET-023).
//!
//! After a success the log level decides what is shown; after a failure everything is, because what was
//! tried is then the only help that a person has.

use tracing::{debug, info};

use crate::advice::Explanations;

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Shown at debug level, and after a failure.
    Debug,
    /// Always shown, from info level on.
    Info,
}

/// Lines in the order in which they were said, and what helps whoever must do something about them.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    lines: Vec<(Level, String)>,
    /// Of modules that broke a rule.
    pub(crate) mistakes: Explanations,
    /// Of plans that could not be made.
    pub(crate) loose_ends: Explanations,
    /// How many groups were decided on.
    pub(crate) groups: usize,
}

impl Transcript {
    pub(crate) fn debug(&mut self, line: impl Into<String>) {
        self.say(Level::Debug, line);
    }

    pub(crate) fn info(&mut self, line: impl Into<String>) {
        self.say(Level::Info, line);
    }

    pub(crate) fn say(&mut self, level: Level, line: impl Into<String>) {
        self.lines.push((level, line.into()));
    }

    /// Hands the lines to the log; all of them, whatever the level, where `everything` is true.
    pub(crate) fn tell(&self, everything: bool) {
        for (level, line) in &self.lines {
            match level {
                _ if everything => platform::log::unfiltered(line),
                Level::Debug => debug!("{line}"),
                Level::Info => info!("{line}"),
            }
        }
    }

    /// Returns each line behind its level: `debug pass: a@1`.
    #[cfg(test)]
    pub(crate) fn levelled(&self) -> Vec<String> {
        let level = |level| match level {
            Level::Debug => "debug",
            Level::Info => "info",
        };
        let lines = self.lines.iter();
        lines
            .map(|(of, line)| format!("{} {line}", level(*of)))
            .collect()
    }
}
