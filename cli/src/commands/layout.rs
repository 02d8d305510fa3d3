//! `slipway layout`: look into an OCI image layout, and keep it tidy.

mod copy;
mod gc;
mod ls;
mod prune;
mod verify;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::Subcommand;

/// Show, check, copy and tidy OCI image layouts
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Copy(copy::Args),
    Gc(gc::Args),
    Ls(ls::Args),
    Prune(prune::Args),
    Verify(verify::Args),
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Copy(args) => copy::run(args, out),
        Command::Gc(args) => gc::run(args, out),
        Command::Ls(args) => ls::run(args, out),
        Command::Prune(args) => prune::run(args, out),
        Command::Verify(args) => verify::run(args, out),
    }
}

/// Says that there is no layout.
fn absent(dir: &Path) -> anyhow::Error {
    let dir = dir.display();
    anyhow!("no OCI image layout in {dir}: it has no index.json")
}
