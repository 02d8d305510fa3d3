//! `slipway layout`: look into an OCI image layout.

mod ls;
mod verify;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

/// Inspect an OCI image layout
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ls(ls::Args),
    Verify(verify::Args),
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Ls(args) => ls::run(args, out),
        Command::Verify(args) => verify::run(args, out),
    }
}
