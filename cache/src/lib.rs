//! The build cache that restorer and exporter share: a directory of uncompressed layer tars (COM-087 to COM-090).
//!
//! ```text
//! <dir>/committed/sha256:<hex>.tar
//! <dir>/committed/io.buildpacks.lifecycle.cache.metadata
//! <dir>/staging/                     while an exporter fills it
//! <dir>/committed-backup/            for a moment during a commit
//! ```
//!
//! A build's own programs may have written here, so nothing is believed: layers are hashed before use, and what is
//! no plain file (a link, a pipe) counts as damaged. A cache in a registry comes with the `registry` crate.

mod configured;
mod metadata;
mod staged;
mod volume;

pub use configured::configured;
pub use metadata::{CacheMetadata, CachedBuildpack};
pub use staged::StagedLayer;
pub use volume::{Miss, VolumeCache};
