//! The build cache that restorer and exporter share: a directory of uncompressed layer tars, or an image in a registry
//! (COM-087 to COM-093).
//!
//! ```text
//! <dir>/committed/sha256:<hex>.tar
//! <dir>/committed/io.buildpacks.lifecycle.cache.metadata
//! <dir>/staging/                     while an exporter fills it
//! <dir>/committed-backup/            for a moment during a commit
//! ```
//!
//! A build's own programs may have written here, so nothing is believed: layers are hashed before use, and what is
//! no plain file (a link, a pipe) counts as damaged. The layers of a cache image are hashed while they are read.
//!
//! A launch cache (COM-094) has the same form, without metadata: the layers of app images in a daemon, which takes long
//! to give them back.

mod image;
mod metadata;
mod staged;
mod store;
mod volume;

pub use image::{ImageCache, NextImage};
pub use metadata::{CacheMetadata, CachedBuildpack};
pub use staged::StagedLayer;
pub use store::Cache;
pub use volume::{Miss, VolumeCache};
