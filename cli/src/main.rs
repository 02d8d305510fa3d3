//! `slipway`: the front end.
//!
//! Follows people's habits rather than the lifecycle's: results go to stdout, errors to stderr,
//! and the exit status is 0, 1 (it failed, or something is wrong) or 2 (it was asked wrongly).

#![allow(
    rustdoc::broken_intra_doc_links,
    rustdoc::bare_urls,
    rustdoc::invalid_html_tags,
    clippy::doc_markdown,
    reason = "doc comments of flags are help texts, in which brackets mean what they mean to a shell"
)]

mod accounts;
mod build;
mod commands;
mod config;
mod containers;
mod environment;
mod images;
mod layouts;
mod progress;
#[cfg(test)]
mod reference;
mod rootfs;
mod sparse;
mod text;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use commands::version::VERSION;

/// Build apps into OCI images without a container daemon
#[derive(Debug, Parser)]
#[command(name = "slipway", version = VERSION.as_str(), arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  slipway build oci:my-app --builder oci:my-builder    # the app in this directory
  slipway inspect oci:my-app
  slipway config default-builder oci:my-builder        # builds need no --builder from now on
  slipway build --help";

#[derive(Debug, Subcommand)]
enum Command {
    Build(Box<commands::build::Args>),
    Builder(commands::builder::Args),
    Buildpack(commands::buildpack::Args),
    Completion(commands::completion::Args),
    Config(commands::config::Args),
    Inspect(commands::inspect::Args),
    Layout(commands::layout::Args),
    Manifest(commands::manifest::Args),
    Rebase(commands::rebase::Args),
    Report(commands::report::Args),
    Run(commands::run::Args),
    Sbom(commands::sbom::Args),
    Version(commands::version::Args),
}

fn main() -> ExitCode {
    sandbox::engine::serve();
    let cli = Cli::parse();
    // Not locked: what a command starts may write as well.
    let out = &mut io::stdout();
    let result = match cli.command {
        Command::Build(args) => commands::build::run(&args),
        Command::Builder(args) => commands::builder::run(&args, out),
        Command::Buildpack(args) => commands::buildpack::run(&args, out),
        Command::Completion(args) => commands::completion::run(&args, Cli::command(), out),
        Command::Config(args) => commands::config::run(&args, out),
        Command::Inspect(args) => commands::inspect::run(&args, out),
        Command::Layout(args) => commands::layout::run(&args, out),
        Command::Manifest(args) => commands::manifest::run(&args, out),
        Command::Rebase(args) => commands::rebase::run(&args, out),
        Command::Report(args) => commands::report::run(&args, out),
        Command::Run(args) => commands::run::run(&args),
        Command::Sbom(args) => commands::sbom::run(&args, out),
        Command::Version(args) => commands::version::run(&args, out),
    };
    match result {
        Ok(status) => status,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell if stderr is closed too.
            writeln!(io::stderr(), "error: {error:#}").ok();
            status(&error)
        }
    }
}

/// `slipway ... | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    cause.is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe)
}

/// A command that a signal ended says so as a shell does.
fn status(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<build::Interrupted>() {
        Some(build::Interrupted(signal)) => u8::try_from(128 + signal).unwrap_or(1).into(),
        None => ExitCode::FAILURE,
    }
}
