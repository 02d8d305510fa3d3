//! The launcher: the entrypoint of app images, which becomes the process that a buildpack or the user asked for.
//!
//! It obeys the launcher section of the Platform API, the launch part of the Buildpack API and the rules
//! BPX-\*, LCH-\* and the launch-time part of BPL-\*. It has no flags and never stays as a parent (LCH-001, LCH-025).
//! It links no other crate of this workspace, because its size and start-up time are paid by every app.

mod api;
mod decode;
mod env;
mod error;
mod exec;
mod execd;
mod files;
mod inputs;
mod launch;
mod layers;
mod log;
mod lookup;
mod metadata;
mod process;
mod profile;
mod shell;

use std::process::ExitCode;

use crate::inputs::Inputs;
use crate::log::Log;

fn main() -> ExitCode {
    let inputs = Inputs::read();
    let log = Log::new(inputs.no_color);
    let Err(failure) = launch::run(inputs, log);
    log.error(&failure.error);
    ExitCode::from(failure.exit)
}
