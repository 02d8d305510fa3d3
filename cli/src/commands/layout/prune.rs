//! `slipway layout prune`: drops what builds keep unpacked.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use layout::{DiffId, Layout};
use sandbox::{Unpacked, User, Way};

use crate::config::Config;
use crate::containers;
use crate::environment;

/// Remove the unpacked layers of builders that are not in the layout repo
///
/// Builds unpack a builder once and keep its layers. What is removed and needed again is unpacked again.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway layout prune")]
pub(crate) struct Args {}

/// Whose layers can be removed is asked of the way of making containers, which wants to know a user: any will do.
const SOMEBODY: User = User {
    uid: 1000,
    gid: 1000,
};

pub(crate) fn run(Args {}: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let layers = containers::state_dir(&config)?.join("layers");
    let mut used = HashSet::new();
    add_used(&config.layout_repo_dir(), &mut used)?;
    let way = Way::find(SOMEBODY)?;
    let removed = Unpacked::at(layers).remove_unused(&used, &way)?;
    for diff_id in &removed {
        writeln!(out, "{diff_id}")?;
    }
    writeln!(out, "unpacked layers removed: {}", removed.len())?;
    Ok(ExitCode::SUCCESS)
}

/// Adds the layers of all images below a folder.
fn add_used(dir: &Path, used: &mut HashSet<DiffId>) -> anyhow::Result<()> {
    let layout = Layout::at(dir);
    if let Some(images) = layout.images()? {
        for entry in images {
            let image = entry.open(layout.blobs());
            let image =
                image.with_context(|| format!("failed to open an image in {}", dir.display()))?;
            used.extend(image.diff_ids().iter().cloned());
        }
        return Ok(());
    }
    for entry in fs_err::read_dir(dir)? {
        let entry = entry?;
        // Our own folder begins with a dot; no part of an image's name does.
        let is_ours = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !is_ours && entry.file_type()?.is_dir() {
            add_used(&entry.path(), used)?;
        }
    }
    Ok(())
}
