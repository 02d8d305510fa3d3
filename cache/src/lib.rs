//! The build cache that restorer and exporter share: a directory of uncompressed layer tars (COM-087 to COM-090).
//!
//! ```text
//! <dir>/committed/sha256:<hex>.tar
//! <dir>/committed/io.buildpacks.lifecycle.cache.metadata
//! <dir>/staging/                     while an exporter fills it
//! ```
//!
//! A cache in a registry comes with the `registry` crate.

mod configured;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use layout::DiffId;
use platform::files::analyzed::LayerRecord;

pub use configured::configured;

/// What the cache holds, by buildpack (COM-090).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheMetadata {
    /// diffID of the SBOM layer; empty where there is none.
    pub sbom: String,
    /// By buildpack, in group order.
    pub buildpacks: Vec<CachedBuildpack>,
}

impl CacheMetadata {
    /// Returns a buildpack's record, if it has one.
    pub fn buildpack(&self, id: &str) -> Option<&CachedBuildpack> {
        self.buildpacks.iter().find(|buildpack| buildpack.id == id)
    }
}

/// One buildpack's cached layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CachedBuildpack {
    /// Buildpack id.
    pub id: String,
    /// Buildpack version.
    pub version: String,
    /// By layer name.
    pub layers: BTreeMap<String, LayerRecord>,
}

/// A cache directory.
#[derive(Debug)]
pub struct VolumeCache {
    dir: PathBuf,
}

impl VolumeCache {
    /// Opens a cache: clears what a killed exporter left (COM-088).
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// Returns the metadata; what cannot be decoded counts as empty.
    pub fn metadata(&self) -> anyhow::Result<CacheMetadata> {
        let _ = &self.dir;
        todo!()
    }

    /// Opens a committed layer after hashing it; an error says why it is a miss (RES-022).
    pub fn open_layer(&self, diff_id: &DiffId) -> Result<Box<dyn Read + Send>, Miss> {
        let _ = diff_id;
        todo!()
    }

    /// Returns whether a layer is committed; looks at names only.
    pub fn has_layer(&self, diff_id: &DiffId) -> bool {
        let _ = diff_id;
        todo!()
    }

    /// Begins a staged layer tar; give it to a layer writer as `tee`, then `finish` it.
    pub fn stage(&self) -> anyhow::Result<StagedLayer> {
        todo!()
    }

    /// Takes a committed layer over into the next commit (a hard link), after hashing it.
    pub fn reuse(&self, diff_id: &DiffId) -> Result<(), Miss> {
        let _ = diff_id;
        todo!()
    }

    /// Makes what was staged the cache, with this metadata (COM-089).
    pub fn commit(self, metadata: &CacheMetadata) -> anyhow::Result<()> {
        let _ = metadata;
        todo!()
    }
}

/// A layer tar on its way into the cache.
#[derive(Debug)]
pub struct StagedLayer {}

impl StagedLayer {
    /// Names the tar by its diffID.
    pub fn finish(self, diff_id: &DiffId) -> anyhow::Result<()> {
        let _ = diff_id;
        todo!()
    }
}

impl Write for StagedLayer {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Why a cached layer cannot be used; the wording is the reference's (RES-022).
#[derive(Debug)]
pub enum Miss {
    /// Not there, or not what it should be.
    Unusable(String),
    /// There, but cannot be opened: fatal for the restorer (RES-023).
    Unreadable(anyhow::Error),
}
