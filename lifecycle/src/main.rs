//! The multi-call binary of a lifecycle image: `ln -s lifecycle analyzer` (COM-009, COM-010).

use platform::entry::{self, Command, Invocation};
use platform::{ExitCode, Failure};

/// Program, subcommand, phase: in the order that the reference lists them in.
const PHASES: &[(&str, &str, Command)] = &[
    ("detector", "detect", detector::command::command),
    ("analyzer", "analyze", analyzer::command::command),
    ("restorer", "restore", restorer::command::command),
    ("builder", "build", builder::command::command),
    ("exporter", "export", exporter::command::command),
    ("rebaser", "rebase", rebaser::command::command),
    ("creator", "create", creator::command::command),
    ("extender", "extend", extend),
];

fn main() -> std::process::ExitCode {
    entry::multicall(PHASES)
}

fn extend(_: &Invocation) -> Result<(), Failure> {
    let cause = anyhow::anyhow!("this lifecycle cannot extend images yet");
    Err(Failure::new(ExitCode::Extend, "extend", cause))
}
