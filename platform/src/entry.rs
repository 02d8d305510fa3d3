//! The way into a phase program: API check, flags, the phase, exit code (COM-003, COM-004, COM-009 to COM-011, COM-035).

use std::ffi::OsString;

use crate::api::PlatformApi;
use crate::exit::Failure;
use crate::inputs::Variables;

/// How a phase was called.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Name that it was called by, `exporter`.
    pub name: String,
    /// Platform API in force.
    pub api: PlatformApi,
    /// Arguments as typed, without the program's name.
    pub args: Vec<OsString>,
    /// Variables of the process.
    pub variables: Variables,
}

/// A phase, from its arguments to its files.
pub type Command = fn(&Invocation) -> Result<(), Failure>;

/// Runs one phase as a program: the whole of a phase crate's `main`.
pub fn main(name: &'static str, command: Command) -> std::process::ExitCode {
    let _ = (name, command);
    todo!()
}

/// Runs the phase that argv\[0\], or the subcommand in argv\[1\], names: the whole of `lifecycle`'s `main` (COM-009, COM-010).
pub fn multicall(phases: &[(&'static str, &'static str, Command)]) -> std::process::ExitCode {
    let _ = phases;
    todo!()
}
