//! One image, seen: manifest, config and layers, from any store.
//!
//! A view never changes. Only asking for a layer's bytes touches a layer's blob.

use std::io::Read;
use std::sync::Arc;

use crate::blob::{self, Blobs};
use crate::config::ImageConfig;
use crate::digest::{DiffId, Digest};
use crate::manifest::{Descriptor, Manifest};

/// An immutable view of an image.
#[derive(Clone, Debug)]
pub struct Image {
    digest: Digest,
    manifest: Manifest,
    config: ImageConfig,
    blobs: Arc<dyn Blobs>,
}

impl Image {
    /// Returns the digest of the manifest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the config.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns the value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.label(key)
    }

    /// Returns the diffIDs, base first.
    pub fn diff_ids(&self) -> &[DiffId] {
        &self.config.diff_ids
    }

    /// Returns the diffID of the last layer.
    pub fn top_layer(&self) -> Option<&DiffId> {
        self.config.diff_ids.last()
    }

    /// Returns the descriptor of the layer with this diffID.
    pub fn layer(&self, diff_id: &DiffId) -> Option<&Descriptor> {
        let _ = diff_id;
        todo!()
    }

    /// Returns the layer's uncompressed tar, verified while it is read; `None` if its blob is absent (a sparse image).
    pub fn open_layer(
        &self,
        diff_id: &DiffId,
    ) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let _ = (diff_id, &self.blobs);
        todo!()
    }
}
