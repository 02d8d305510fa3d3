//! Telling somebody who waits what is going on: a bar on a terminal, lines elsewhere, nothing at all for a short wait.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A wait shorter than this needs no words.
const PATIENCE: Duration = Duration::from_secs(1);

/// Progress of one piece of work, on stderr.
#[derive(Debug)]
pub(crate) struct Progress {
    begin: Instant,
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    /// Begins; a `quiet` one says nothing, ever.
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            begin: Instant::now(),
            bar: None,
            quiet,
        }
    }

    /// Says which of how many steps begins.
    pub(crate) fn step(&mut self, number: usize, of: usize, what: &str) {
        if self.quiet || self.begin.elapsed() < PATIENCE {
            return;
        }
        if !io::stderr().is_terminal() {
            // Whom nobody hears, nobody misses.
            writeln!(io::stderr(), "{what} ({number} of {of})").ok();
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // Its default has no place for words.
            if let Ok(style) = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        bar.set_length(of as u64);
        bar.set_position(number as u64);
        bar.set_message(what.to_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
