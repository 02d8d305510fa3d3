//! Telling somebody who waits what is going on: a bar on a terminal, lines elsewhere, nothing at all for a short wait.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use layout::Descriptor;
use registry::{Sending, Watch};

use crate::text;

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

/// Progress of layers that come, or go, at the same time, on stderr: a bar each on a terminal, a line each elsewhere.
#[derive(Debug)]
pub(crate) struct Transfers {
    begin: Instant,
    bars: Option<MultiProgress>,
    quiet: bool,
    /// What a line says of one that is there: `Pulled`.
    done_is: &'static str,
    image: String,
    done: AtomicUsize,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    all: &'a Transfers,
    bar: OnceLock<ProgressBar>,
    layer: String,
    of: usize,
    size: u64,
    seen: AtomicU64,
}

impl Transfers {
    /// Begins layers that come from a registry; quiet ones say nothing, ever.
    pub(crate) fn pull(quiet: bool, image: &str) -> Self {
        Self::new(quiet, "Pulled", image)
    }

    fn new(quiet: bool, done_is: &'static str, image: &str) -> Self {
        let is_seen = !quiet && io::stderr().is_terminal();
        Self {
            begin: Instant::now(),
            bars: is_seen.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr())),
            quiet,
            done_is,
            image: image.to_owned(),
            done: AtomicUsize::new(0),
        }
    }

    /// Begins a layer, one of so many.
    pub(crate) fn begin(&self, digest: &str, size: u64, of: usize) -> Transfer<'_> {
        let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
        Transfer {
            all: self,
            bar: OnceLock::new(),
            layer: hex.chars().take(12).collect(),
            of,
            size,
            seen: AtomicU64::new(0),
        }
    }

    /// Says something between.
    pub(crate) fn say(&self, text: &str) {
        if !self.quiet {
            // Whom nobody hears, nobody misses.
            writeln!(io::stderr(), "{text}").ok();
        }
    }

    fn is_long(&self) -> bool {
        !self.quiet && self.begin.elapsed() >= PATIENCE
    }
}

impl Transfer<'_> {
    /// So many more bytes are there.
    pub(crate) fn add(&self, bytes: u64) {
        let seen = self.seen.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(bars) = &self.all.bars
            && self.all.is_long()
        {
            let bar = self.bar.get_or_init(|| {
                let bar = bars.add(ProgressBar::new(self.size));
                let template = "{msg} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}";
                if let Ok(style) = ProgressStyle::with_template(template) {
                    bar.set_style(style);
                }
                bar.set_message(self.layer.clone());
                bar
            });
            bar.set_position(seen);
        }
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
        if self.seen.load(Ordering::Relaxed) < self.size {
            return;
        }
        let done = self.all.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.all.bars.is_none() && self.all.is_long() {
            let (image, layer, of) = (&self.all.image, &self.layer, self.of);
            let size = text::size(self.size);
            let done_is = self.all.done_is;
            self.all.say(&format!(
                "{done_is} layer {layer} of {image}, {size} ({done} of {of})"
            ));
        }
    }
}

/// Shows layers that go to registries.
#[derive(Debug)]
pub(crate) struct Pushes {
    /// Says nothing, ever.
    pub(crate) quiet: bool,
}

/// Those of one image.
struct Push {
    transfers: Transfers,
    of: usize,
}

impl Watch for Pushes {
    fn begin(&self, to: &str, count: usize) -> Box<dyn Sending> {
        Box::new(Push {
            transfers: Transfers::new(self.quiet, "Pushed", to),
            of: count,
        })
    }
}

impl Sending for Push {
    fn blob<'a>(&'a self, blob: &Descriptor) -> Box<dyn FnMut(u64) + 'a> {
        let transfer = self
            .transfers
            .begin(blob.digest.as_ref(), blob.size, self.of);
        let mut furthest = 0;
        // What is sent again after a connection broke does not count again.
        Box::new(move |position| {
            transfer.add(position.saturating_sub(furthest));
            furthest = furthest.max(position);
        })
    }
}
