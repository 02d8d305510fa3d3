//! Clears blobs that nothing in a layout names any more, such as those of the image before.
//!
//! A commit leaves them alone, as the reference does (LAY-025): another program may still be
//! reading the image before.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use fs_err as fs;

use crate::blob::LayoutBlobs;
use crate::digest::Digest;
use crate::index;
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
    let mut made = Made::default();
    let lock = layout.lock(&mut made)?;
    let Some(used) = used(layout)? else {
        return Ok(Collected::default());
    };
    let blobs = LayoutBlobs::of(layout.path());
    let mut collected = Collected::default();
    for (digest, path, bytes) in blobs.list()? {
        if !used.contains(&digest) {
            fs::remove_file(&path)?;
            collected.removed.push(path);
            collected.bytes += bytes;
        }
    }
    drop(lock);
    Ok(collected)
}

fn used(layout: &Layout) -> Result<Option<HashSet<Digest>>, Error> {
    let Some(index) = layout.index()? else {
        return Ok(None);
    };
    let blobs = layout.blobs();
    let mut used: HashSet<_> = index.manifests.iter().map(|it| it.digest.clone()).collect();
    for entry in index::entries(&index, &*blobs)? {
        used.extend(entry.within.iter().cloned());
        used.insert(entry.descriptor.digest.clone());
        if blobs.path(&entry.descriptor.digest).is_some() {
            let image = entry.open(Arc::clone(&blobs))?;
            used.insert(image.manifest().config.digest.clone());
            used.extend(image.manifest().layers.iter().map(|it| it.digest.clone()));
        }
    }
    Ok(Some(used))
}
