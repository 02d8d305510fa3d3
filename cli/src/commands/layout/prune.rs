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
use crate::layouts::Folders;

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
    let used = used_in(&config.layout_repo_dir())?;
    let way = Way::find(SOMEBODY)?;
    let removed = Unpacked::at(layers).remove_unused(&used, &way)?;
    for diff_id in &removed {
        writeln!(out, "{diff_id}")?;
    }
    writeln!(out, "unpacked layers removed: {}", removed.len())?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the layers of all images in the layout repo. What cannot be read may be in use.
fn used_in(repo: &Path) -> anyhow::Result<HashSet<DiffId>> {
    let mut used = HashSet::new();
    for folder in Folders::below(repo) {
        let layout = Layout::at(folder?);
        for entry in layout.images()?.into_iter().flatten() {
            let image = entry.open(layout.blobs());
            let what = || format!("failed to open an image in {}", layout.path().display());
            used.extend(image.with_context(what)?.diff_ids().iter().cloned());
        }
    }
    Ok(used)
}
