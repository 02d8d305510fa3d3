//! Clears blobs that nothing in a layout names any more.
//!
//! A commit leaves the blobs of the image that it replaces alone, as the reference does (LAY-025):
//! another program may still be reading that image. What is older than that it clears, so that
//! rebuilding an app does not fill the disk. [`collect`] clears everything.
//!
//! A folder of blobs behind a symbolic link may be shared with other layouts: nothing is removed from it.

use std::collections::HashSet;
use std::path::PathBuf;
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
    if layout.index()?.is_none() {
        return Ok(Collected::default());
    }
    let _lock = layout.lock(&mut Made::default())?;
    match layout.index()? {
        Some(index) => remove_all_but(layout, &used(layout, &index)?),
        None => Ok(Collected::default()),
    }
}

/// Removes the blobs that neither the images of the layout nor those of `before` name; the caller holds the lock.
pub(crate) fn collect_older(layout: &Layout, before: &Index) -> Result<Collected, Error> {
    let mut kept = used(layout, before)?;
    if let Some(index) = layout.index()? {
        kept.extend(used(layout, &index)?);
    }
    remove_all_but(layout, &kept)
}

fn remove_all_but(layout: &Layout, used: &HashSet<Digest>) -> Result<Collected, Error> {
    let blobs = LayoutBlobs::of(layout.path());
    let mut collected = Collected::default();
    for (digest, path, bytes) in blobs.list()? {
        if !used.contains(&digest) {
            fs::remove_file(&path)?;
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
