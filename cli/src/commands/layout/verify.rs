//! `slipway layout verify`: does a layout hold what it says?

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use layout::Layout;
use layout::verify::{Options, verify};

/// Check every size, digest and diffID of a layout
///
/// Exits with 1 if anything is wrong, and says what.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway layout verify my-app
  slipway layout verify my-app --sparse")]
pub(crate) struct Args {
    /// Directory of the layout
    dir: PathBuf,
    /// Accept images whose layers are left out
    #[arg(long)]
    sparse: bool,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let options = Options {
        sparse: args.sparse,
    };
    let report = verify(&Layout::at(&args.dir), options);
    for problem in &report.problems {
        writeln!(out, "{problem}")?;
    }
    writeln!(
        out,
        "images: {}, blobs read: {}, layers left out: {}, problems: {}",
        report.images,
        report.blobs,
        report.absent_layers,
        report.problems.len()
    )?;
    Ok(match report.problems.len() {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
