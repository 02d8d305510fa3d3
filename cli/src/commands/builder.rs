//! `slipway builder`: builders, made and looked into.

mod create;
mod inspect;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use create::{folder_of, labels, target};
pub(crate) use inspect::modules as print_modules;

/// Make and show builders
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Args),
    Inspect(inspect::Args),
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Create(args) => create::run(args, out),
        Command::Inspect(args) => inspect::run(args, out),
    }
}
