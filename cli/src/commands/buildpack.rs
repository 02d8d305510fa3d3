//! `slipway buildpack`: buildpackages, made and looked into.

mod inspect;
mod new;
mod package;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

/// Begin, package and show buildpacks
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Args),
    New(new::Args),
    Package(package::Args),
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Inspect(args) => inspect::run(args, out),
        Command::New(args) => new::run(args, out),
        Command::Package(args) => package::run(args, out),
    }
}
