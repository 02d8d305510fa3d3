//! A new image made from another: rebase, append, reuse, labels, config, commit.

use std::collections::BTreeMap;

use crate::config::{History, ImageConfig};
use crate::digest::{DiffId, Digest};
use crate::image::Image;
use crate::layer::Written;
use crate::store::{self, Update};

/// An image being made.
#[derive(Debug)]
pub struct ImageEditor {
    config: ImageConfig,
    annotations: BTreeMap<String, String>,
}

/// What a commit wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub manifest_size: u64,
    /// diffIDs of base layers whose blobs were absent, so that the layout is sparse.
    pub missing: Vec<DiffId>,
}

/// How an image is committed.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// `org.opencontainers.image.ref.name`.
    pub ref_name: String,
    /// Leave the blobs of base layers out.
    pub sparse: bool,
}

impl ImageEditor {
    /// Starts from `base`: its layers, config and annotations. Docker media types become OCI ones.
    pub fn from_base(base: &Image) -> Self {
        let _ = base;
        todo!()
    }

    /// Adds a layer that `Update::write_layer` wrote.
    pub fn append(&mut self, layer: &Written, history: History) {
        let _ = (layer, history);
        todo!()
    }

    /// Adds the layer of `previous` with this diffID, without reading it. Fails at commit if its blob is absent.
    pub fn reuse(
        &mut self,
        previous: &Image,
        diff_id: &DiffId,
        history: History,
    ) -> Result<(), store::Error> {
        let _ = (previous, diff_id, history);
        todo!()
    }

    /// Puts the layers above `old_top` on `base` instead (rebase): app layers are kept byte for byte.
    pub fn rebase(&mut self, old_top: &DiffId, base: &Image) -> Result<(), store::Error> {
        let _ = (old_top, base);
        todo!()
    }

    /// Returns the config, to read.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns the config, to change: labels, env, entrypoint, created, history, ...
    pub fn config_mut(&mut self) -> &mut ImageConfig {
        &mut self.config
    }

    /// Returns the manifest's annotations, to change.
    pub fn annotations_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.annotations
    }

    /// Writes config and manifest, links or copies the blobs of base and reused layers, and replaces `index.json` last.
    pub fn commit(
        self,
        update: Update,
        options: &CommitOptions,
    ) -> Result<Committed, store::Error> {
        let _ = (update, options);
        todo!()
    }
}
