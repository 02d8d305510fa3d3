//! What detection says, kept until its end is known (BPD-058, DET-023).
//!
//! After a success the log level decides what is shown; after a failure everything is, because what was
//! tried is then the only help that a person has.

use tracing::{debug, info};

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Shown at debug level, and after a failure.
    Debug,
    /// Always shown, from info level on.
    Info,
}

/// Lines in the order in which they were said.
#[derive(Debug, Default)]
pub(crate) struct Transcript(Vec<(Level, String)>);

impl Transcript {
    pub(crate) fn debug(&mut self, line: impl Into<String>) {
        self.say(Level::Debug, line);
    }

    pub(crate) fn info(&mut self, line: impl Into<String>) {
        self.say(Level::Info, line);
    }

    pub(crate) fn say(&mut self, level: Level, line: impl Into<String>) {
        self.0.push((level, line.into()));
    }

    /// Hands the lines to the log; all of them, whatever the level, where `everything` is true.
    pub(crate) fn tell(&self, everything: bool) {
        for (level, line) in &self.0 {
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
        let lines = self.0.iter();
        lines
            .map(|(of, line)| format!("{} {line}", level(*of)))
            .collect()
    }
}
