//! Clears blobs that nothing in a layout names any more.
//!
//! A commit removes nothing, as the reference does (LAY-025). So rebuilding an app would fill the disk, did not whoever
//! rebuilds it call [`collect`] afterwards.
//!
//! A change of the layout and a collection wait for each other, by the layout's lock. Readers take no lock: one that
//! opened an image before it was replaced, and asks for a blob of it after a collection, finds that the blob is absent. It
//! never sees half a blob, and what it has open stays readable. Programs of others that write to the layout without its
//! lock must have ended: what they have written is named by no index until they have.
//!
//! A folder of blobs behind a symbolic link may be shared with other layouts: nothing is removed from it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use crate::blob::LayoutBlobs;
use crate::digest::Digest;
use crate::index;
use crate::manifest::Index;
use crate::store::{Error, Layout, Made};

/// What was cleared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that were removed, in order of their paths.
    pub removed: Vec<PathBuf>,
    /// Their bytes.
    pub bytes: u64,
}

/// Removes the blobs that no image of the layout names. If any image cannot be read, nothing is removed.
pub fn collect(layout: &Layout) -> Result<Collected, Error> {
    collect_with(layout, |path| fs::remove_file(path))
}

/// Returns what [`collect`] would remove, and removes nothing.
pub fn stale(layout: &Layout) -> Result<Collected, Error> {
    collect_with(layout, |_| Ok(()))
}

fn collect_with(layout: &Layout, remove: fn(&Path) -> io::Result<()>) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    if layout.index()?.is_none() {
        return Ok(collected);
    }
    let _lock = layout.lock(&mut Made::default())?;
    // What was there before the lock may be gone.
    let Some(index) = layout.index()? else {
        return Ok(collected);
    };
    let used = used(layout, &index)?;
    for (digest, path, bytes) in LayoutBlobs::of(layout.path()).list()? {
        if !used.contains(&digest) {
            remove(&path)?;
            collected.removed.push(path);
            collected.bytes += bytes;
        }
    }
    Ok(collected)
}

/// Returns every blob that `index` names, directly or not.
fn used(layout: &Layout, index: &Index) -> Result<HashSet<Digest>, Error> {
    let blobs = layout.blobs();
    let mut used: HashSet<_> = index.manifests.iter().map(|it| it.digest.clone()).collect();
    for entry in index::entries(index, &*blobs)? {
        used.extend(entry.within.iter().cloned());
        used.insert(entry.descriptor.digest.clone());
        if blobs.path(&entry.descriptor.digest).is_some() {
            let image = entry.open(Arc::clone(&blobs))?;
            used.insert(image.manifest().config.digest.clone());
            used.extend(image.manifest().layers.iter().map(|it| it.digest.clone()));
        }
    }
    Ok(used)
}
