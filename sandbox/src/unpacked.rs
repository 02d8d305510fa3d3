//! Layers unpacked on disk, a folder a diffID, made once and shared by every container that uses them.
//!
//! ```text
//! <dir>/<whose ids>/                          0700: set-id programs of images are out of other people's reach
//!                   .in-use                   locked, shared, by whoever uses layers; alone, by whoever removes some
//!                   <algorithm>/<hex>/        a whole layer, whiteouts in overlay's form
//!                   <algorithm>/.tmp-<hex>/   one that is being unpacked, or was when its writer was killed
//!                   <algorithm>/.lock-<hex>   locked by its writer
//! ```
//!
//! | way | whose | unpacked by | owners |
//! |---|---|---|---|
//! | root | `root` | this process | as the layer says |
//! | many ids | `ids-<digest of the maps>` | a helper that is root inside the maps | as the layer says, shifted |
//! | one id | `id-<uid>-<gid>` | this process | all the caller's |
//!
//! A layer is renamed to its place when all of it is there and its digests are what the image says. Nothing waits for
//! the disk: after a power cut, a layer may have to be removed by hand.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use layout::{DiffId, Image};

use crate::way::Way;

mod folder;
pub(crate) mod hands;
mod lock;

use folder::Folder;

/// A folder of unpacked layers. From [`Unpacked::layers`] on, what it returned stays until the last copy of this value
/// is dropped, or the process ends.
#[derive(Clone, Debug)]
pub struct Unpacked {
    dir: PathBuf,
    limits: Limits,
    in_use: Arc<Mutex<Vec<lock::InUse>>>,
}

/// How much a layer may be: more ends it before the disk is full. Real images are far below.
///
/// Of what is free on the disk, bytes and files, all that are unpacked at the same time may take nine tenths together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its tar that any layer may have.
    pub bytes: u64,
    /// Bytes of its tar for each byte of its blob, if that is more. gzip gets to a thousand with zeros alone; programs
    /// and documents get to five.
    pub ratio: u64,
    /// Files and directories.
    pub entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 30,
            ratio: 200,
            entries: 2_000_000,
        }
    }
}

/// Something that happens while layers are unpacked.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A layer is being unpacked that was not there.
    Begin {
        /// Its place among those that are missing, from 1.
        number: usize,
        /// How many are missing.
        of: usize,
        /// Its blob's bytes.
        size: u64,
    },
}

impl Unpacked {
    /// Names a folder of unpacked layers, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            limits: Limits::default(),
            in_use: Arc::default(),
        }
    }

    /// Sets how much a layer may be.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Returns the folders of an image's layers, base first, unpacking those that are missing.
    ///
    /// A layer that the image has twice is returned once, in its upper place, and nothing of what lies below a layer
    /// that hides everything: an overlay takes neither, and shows the same without. Two programs at once share the
    /// work: one unpacks a layer, the other waits for it.
    pub fn layers(
        &self,
        image: &Image,
        way: &Way,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<PathBuf>, Error> {
        let folder = Folder::open(&self.dir, way)?;
        let in_use = folder.use_layers()?;
        let mut uses = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        uses.push(in_use);
        drop(uses);

        let mut seen = HashSet::new();
        let mut wanted: Vec<_> = image.diff_ids().iter().rev().collect();
        wanted.retain(|diff_id| seen.insert(*diff_id));
        wanted.reverse();
        let missing: Vec<_> = wanted
            .iter()
            .copied()
            .filter(|diff_id| !folder.has(diff_id))
            .collect();
        if !missing.is_empty() {
            folder.sweep()?;
            self.unpack(image, &folder, &missing, progress)?;
        }
        let mut layers: Vec<_> = wanted.iter().map(|it| folder.layer(it)).collect();
        for at in (0..layers.len()).rev() {
            if hands::hides_all(&layers[at])? {
                layers.drain(..at);
                break;
            }
        }
        Ok(layers)
    }

    /// Unpacks layers, as many at a time as there are cores. After the first failure none is begun any more.
    fn unpack(
        &self,
        image: &Image,
        folder: &Folder,
        missing: &[&DiffId],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let at_once = cores.min(missing.len());
        let left = Mutex::new(missing.iter().enumerate());
        let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = |steps: &mpsc::Sender<Progress>| {
            while let Some((number, diff_id)) = next() {
                let begin = Progress::Begin {
                    number: number + 1,
                    of: missing.len(),
                    size: image.layer(diff_id).map_or(0, |layer| layer.size),
                };
                // It is heard until all who work have ended.
                steps.send(begin).ok();
                if let Err(error) = folder.unpack(image, diff_id, &self.limits, at_once) {
                    while next().is_some() {}
                    return Err(error);
                }
            }
            Ok(())
        };
        let work = &work;
        let (steps, heard) = mpsc::channel();
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..at_once)
                .map(|_| {
                    let steps = steps.clone();
                    scope.spawn(move || work(&steps))
                })
                .collect();
            drop(steps);
            heard.iter().for_each(progress);
            workers.into_iter().try_for_each(|worker| {
                let panicked = |panic| std::panic::resume_unwind(panic);
                worker.join().unwrap_or_else(panicked)
            })
        })
    }

    /// Removes the unpacked layers whose diffIDs are not in `used`, and what killed writers left; returns the diffIDs
    /// of those that are gone. Only what this user may remove: with many ids, what has the ids of `way`.
    ///
    /// While any program uses layers ([`Self::layers`]), this fails with [`Error::InUse`] and nothing is removed.
    pub fn remove_unused(&self, used: &HashSet<DiffId>, way: &Way) -> Result<Vec<DiffId>, Error> {
        let mut removed = Vec::new();
        for folder in Folder::all(&self.dir, way)? {
            let alone = folder.alone()?;
            folder.sweep()?;
            for diff_id in folder.list()? {
                if !used.contains(&diff_id) {
                    folder.remove(&diff_id)?;
                    removed.push(diff_id);
                }
            }
            drop(alone);
        }
        Ok(removed)
    }
}

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The image has no blob for a layer.
    #[error(
        "layer {diff_id} is not in {location}, whose image is sparse\nget the whole image, with its layers"
    )]
    Absent {
        /// The layer.
        diff_id: DiffId,
        /// Where the image is.
        location: String,
    },
    /// A layer's blob cannot be read.
    #[error(transparent)]
    Blob(#[from] layout::blob::Error),
    /// The helper that has the ids failed.
    #[error("failed to unpack layer {diff_id}")]
    Helper {
        /// The layer.
        diff_id: DiffId,
        /// What it failed in.
        source: Box<crate::runtime::Error>,
    },
    /// Layers cannot be removed while they are used.
    #[error(
        "failed to remove layers from {0}: a container or a build uses them\ntry again when it has ended"
    )]
    InUse(PathBuf),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A layer cannot be unpacked.
    #[error("failed to unpack layer {diff_id}")]
    Layer {
        /// The layer.
        diff_id: DiffId,
        /// Why not.
        source: Box<layout::layer::Error>,
    },
    /// Somebody else could have put layers there.
    #[error(
        "failed to use {0} for layers: it is not a directory of this user's own\nremove it, or use another folder"
    )]
    NotOwn(PathBuf),
    /// What has mapped ids was not removed.
    #[error("failed to remove {path}")]
    Remove {
        /// The directory.
        path: PathBuf,
        /// What the helper failed in.
        source: Box<crate::runtime::Error>,
    },
}

#[cfg(test)]
mod tests;
