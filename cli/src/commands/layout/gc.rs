//! `slipway layout gc`: makes room.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use layout::{Layout, gc};

use crate::text::size;

/// Remove the blobs that no image of a layout needs
///
/// If any image of the layout cannot be read, nothing is removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway layout gc my-app --dry-run
  slipway layout gc my-app")]
pub(crate) struct Args {
    /// Directory of the layout
    dir: PathBuf,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let layout = Layout::at(&args.dir);
    if layout.index()?.is_none() {
        return Err(super::absent(&args.dir));
    }
    let (collected, would) = if args.dry_run {
        (gc::stale(&layout)?, "would be ")
    } else {
        (gc::collect(&layout)?, "")
    };
    for path in &collected.removed {
        writeln!(out, "{}", path.display())?;
    }
    let (blobs, bytes) = (collected.removed.len(), size(collected.bytes));
    writeln!(out, "blobs {would}removed: {blobs}, {bytes}")?;
    Ok(ExitCode::SUCCESS)
}
