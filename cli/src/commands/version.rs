//! `slipway version`.

use std::io::Write;
use std::process::ExitCode;
use std::sync::LazyLock;

use platform::version;

/// Version of this program, with the commit if that is known.
pub(crate) static VERSION: LazyLock<String> =
    LazyLock::new(|| version::join(env!("CARGO_PKG_VERSION"), version::COMMIT));

/// Show the version, alone on a line
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Prints it.
pub(crate) fn run(_: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    writeln!(out, "{}", *VERSION)?;
    Ok(ExitCode::SUCCESS)
}
