//! Log lines: all to standard output, bare message, `Warning: ` and `ERROR: ` prefixes (COM-030 to COM-035).
//!
//! Phases use `tracing`'s macros; [`init`] installs the one subscriber. Output of buildpacks goes through
//! [`relay`], which strips ANSI codes where colours are off.

use crate::exit::Failure;

/// Sets level and colours; called once flags are known. Before it, everything is shown in colour.
pub fn init(level: &str, no_color: bool) -> Result<(), Failure> {
    let _ = (level, no_color);
    todo!()
}

/// Returns a writer to standard output for what buildpacks write.
pub fn relay() -> Box<dyn std::io::Write + Send> {
    todo!()
}

/// Logs a line whatever the level: what was kept back until a failure.
pub fn unfiltered(line: &str) {
    let _ = line;
    todo!()
}

/// Logs a phase's header, `===> ANALYZING`, in cyan (CRE-004).
pub fn header(text: &str) {
    let _ = text;
    todo!()
}

/// Times a unit of work: start and end at debug level (COM-035). Ends when dropped.
#[derive(Debug)]
pub struct Timer {}

/// Starts a timer.
pub fn timer(name: &str) -> Timer {
    let _ = name;
    todo!()
}
