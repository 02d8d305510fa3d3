//! Log lines: all to standard output, bare message, `Warning: ` and `ERROR: ` prefixes (COM-030 to COM-035).
//!
//! Phases use `tracing`'s macros; [`crate::entry`] installs the one subscriber and [`init`] tells it what the
//! platform wants. Output of buildpacks goes through [`relay`], which strips ANSI codes where colours are off.
//! A line that cannot be written is lost: there is nowhere else to say so.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::exit::{ExitCode, Failure};

mod ansi;

/// Least rank that is shown, all of them until [`init`].
static LEAST: AtomicU8 = AtomicU8::new(DEBUG);

/// True once [`init`] was told to leave out colours.
static NO_COLOR: AtomicBool = AtomicBool::new(false);

const DEBUG: u8 = 0;
const INFO: u8 = 1;
const WARN: u8 = 2;
const ERROR: u8 = 3;
const FATAL: u8 = 4;

/// Installs the subscriber; from here on messages are shown, all of them and in colour.
pub fn start() {
    // A second call, or a subscriber that a test has set, leaves things as they are.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Lines)).ok();
}

/// Sets level and colours; called once flags are known. Before it, everything is shown in colour.
pub fn init(level: &str, no_color: bool) -> Result<(), Failure> {
    NO_COLOR.store(no_color, Ordering::Relaxed);
    LEAST.store(rank_of_name(level)?, Ordering::Relaxed);
    Ok(())
}

/// Returns a writer to standard output for what buildpacks write. Nothing is kept back, but for a code cut in two.
pub fn relay() -> Box<dyn Write + Send> {
    if NO_COLOR.load(Ordering::Relaxed) {
        Box::new(Plain {
            out: Stdout,
            codes: ansi::Filter::default(),
        })
    } else {
        Box::new(Stdout)
    }
}

/// Logs a line whatever the level: what was kept back until a failure.
pub fn unfiltered(line: &str) {
    print(&self::line(tracing::Level::INFO, line));
}

/// Logs a phase's header, `===> ANALYZING`, in cyan (CRE-004).
pub fn header(text: &str) {
    tracing::info!("\x1b[36m===> {text}\x1b[0m");
}

/// Times a unit of work: start and end at debug level (COM-035). Ends when dropped.
#[derive(Debug)]
pub struct Timer {
    name: String,
    start: Instant,
}

/// Starts a timer.
pub fn timer(name: &str) -> Timer {
    tracing::debug!("Timer: {name} started at {}", now());
    Timer {
        name: name.to_owned(),
        start: Instant::now(),
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let ran = go_duration(self.start.elapsed());
        tracing::debug!("Timer: {} ran for {ran} and ended at {}", self.name, now());
    }
}

/// The subscriber's one layer: an event becomes a line.
struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    /// The level changes after the first messages, so nothing about a call site is fixed.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        rank(*metadata.level()).is_some_and(|rank| rank >= LEAST.load(Ordering::Relaxed))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message::default();
        event.record(&mut message);
        print(&line(*event.metadata().level(), &message.0));
    }
}

/// Writes a line, without its codes if there shall be none.
fn print(line: &str) {
    let written = if NO_COLOR.load(Ordering::Relaxed) {
        Stdout.write_all(&ansi::Filter::default().strip(line.as_bytes()))
    } else {
        Stdout.write_all(line.as_bytes())
    };
    written.ok();
}

/// The text of an event; its other fields are not shown.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing into a String cannot fail.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// Returns a message as it is shown, with one line feed at its end (COM-032, COM-034).
fn line(level: tracing::Level, message: &str) -> String {
    let prefix = match level {
        tracing::Level::WARN => "\x1b[33;1mWarning: \x1b[0m",
        tracing::Level::ERROR => "\x1b[31;1mERROR: \x1b[0m",
        _ => "",
    };
    let end = if message.ends_with('\n') { "" } else { "\n" };
    format!("{prefix}{message}{end}")
}

/// Returns the rank of a message's level; `None` for what is never shown.
fn rank(level: tracing::Level) -> Option<u8> {
    match level {
        tracing::Level::ERROR => Some(ERROR),
        tracing::Level::WARN => Some(WARN),
        tracing::Level::INFO => Some(INFO),
        tracing::Level::DEBUG => Some(DEBUG),
        _ => None,
    }
}

/// Returns the rank of a level that a platform names (COM-031).
fn rank_of_name(level: &str) -> Result<u8, Failure> {
    match level.to_lowercase().as_str() {
        "debug" => Ok(DEBUG),
        "info" => Ok(INFO),
        "warn" | "warning" => Ok(WARN),
        "error" => Ok(ERROR),
        "fatal" => Ok(FATAL),
        _ => Err(Failure::message(
            ExitCode::Failed,
            "failed to parse log level: invalid level",
        )),
    }
}

/// Standard output without std's line buffer.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// A writer without ANSI codes.
struct Plain<W> {
    out: W,
    codes: ansi::Filter,
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(&self.codes.strip(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Returns the time in RFC 3339, whole seconds.
fn now() -> String {
    // A build container's clock is UTC; the zone files that say otherwise are not in a builder image.
    OffsetDateTime::now_utc()
        .replace_nanosecond(0)
        .ok()
        .and_then(|now| now.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Returns a duration as Go prints it: `1h2m3.5s`, `1.5ms`, `0s`.
fn go_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let unit = |unit: u128, name: &str| format!("{}{name}", decimal(nanos, unit));
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => unit(1_000, "µs"),
        1_000_000..1_000_000_000 => unit(1_000_000, "ms"),
        _ => {
            let minutes = duration.as_secs() / 60;
            let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// Returns `value / unit` as a decimal number without zeros at its end; `unit` is a power of ten.
fn decimal(value: u128, unit: u128) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    let whole = value / unit;
    if fraction.is_empty() {
        whole.to_string()
    } else {
        format!("{whole}.{fraction}")
    }
}

/// Runs a function and returns, beside its result, the messages that it logged, each as `LEVEL message`.
#[cfg(test)]
pub(crate) fn captured<T>(run: impl FnOnce() -> T) -> (T, String) {
    use std::sync::{Arc, Mutex};

    struct Capture(Arc<Mutex<String>>);

    impl<S: Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut message = Message::default();
            event.record(&mut message);
            let level = event.metadata().level();
            let line = format!("{level} {}\n", message.0);
            self.0.lock().unwrap().push_str(&line);
        }
    }

    let lines = Arc::new(Mutex::new(String::new()));
    let capture = tracing_subscriber::registry().with(Capture(Arc::clone(&lines)));
    let result = tracing::subscriber::with_default(capture, run);
    let text = lines.lock().unwrap().clone();
    (result, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_prefix_is_coloured() {
        for (level, message, expected) in [
            (tracing::Level::DEBUG, "a", "a\n"),
            (tracing::Level::INFO, "a\n", "a\n"),
            (tracing::Level::INFO, "a\n\n", "a\n\n"),
            (tracing::Level::INFO, "", "\n"),
            (tracing::Level::WARN, "a", "\x1b[33;1mWarning: \x1b[0ma\n"),
            (
                tracing::Level::ERROR,
                "a\nb",
                "\x1b[31;1mERROR: \x1b[0ma\nb\n",
            ),
        ] {
            assert_eq!(line(level, message), expected);
        }
    }

    #[test]
    fn levels_are_read_in_any_case() {
        for (name, expected) in [
            ("debug", Some(DEBUG)),
            ("Info", Some(INFO)),
            ("warn", Some(WARN)),
            ("WARNING", Some(WARN)),
            ("error", Some(ERROR)),
            ("fatal", Some(FATAL)),
            ("", None),
            ("trace", None),
            ("info ", None),
        ] {
            assert_eq!(rank_of_name(name).ok(), expected, "{name}");
        }
        let failure = rank_of_name("loud").unwrap_err();
        assert_eq!(failure.code, ExitCode::Failed);
        assert_eq!(
            failure.error.to_string(),
            "failed to parse log level: invalid level"
        );
    }

    #[test]
    fn relayed_output_loses_codes_across_writes() {
        let mut plain = Plain {
            out: Vec::new(),
            codes: ansi::Filter::default(),
        };
        for part in ["a\x1b", "[3", "1mred\x1b[0", "m\n"] {
            plain.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(plain.out, b"ared\n");
    }

    #[test]
    fn durations_read_as_in_go() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (1_000_000_000, "1s"),
            (1_000_000_001, "1.000000001s"),
            (60_000_000_000, "1m0s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), expected);
        }
    }

    #[test]
    fn time_has_whole_seconds() {
        let now = now();
        assert_eq!(now.len(), "2026-01-02T03:04:05Z".len(), "{now}");
        assert!(now.ends_with('Z'));
    }
}
