//! A cache in a registry: an image of nothing but cached layers, and a label that says what they are (COM-091 to COM-093).
//!
//! Layers go to the registry while they are made; those of the image before are taken over there. The manifest is written
//! last, so the cache before is whole until then. A layer is checked against its digests while it is read.

use std::io::Read;
use std::sync::OnceLock;

use anyhow::Context as _;
use layout::config::CREATED;
use layout::editor::CommitOptions;
use layout::layer::{Layer, WriteOptions};
use layout::manifest::{MediaType, Platform, to_oci};
use layout::{DiffId, Digest, Draft as _, History, Image, ImageEditor, Reference};
use platform::images::ImageStore;
use registry::{Client, Push};
use tracing::{info, warn};

use crate::metadata::{self, CacheMetadata};
use crate::volume::Miss;

/// A cache image.
#[derive(Debug)]
pub struct ImageCache {
    /// As it was typed.
    name: String,
    reference: Reference,
    client: Client,
    before: Option<Image>,
    is_whole: OnceLock<bool>,
    /// Removes the image before once there is a new one (COM-092).
    deletes: bool,
}

/// The image that takes the place of the one before. Dropped, it leaves the one before as it was.
#[derive(Debug)]
pub struct NextImage {
    cache: ImageCache,
    editor: ImageEditor,
    draft: Push,
}

impl ImageCache {
    /// Looks the image up; one that is not there yet is no error.
    pub fn open(store: &ImageStore, name: &str, deletes: bool) -> anyhow::Result<Self> {
        let before = store
            .find_in_registry(name)
            .with_context(|| format!("accessing cache image {name:?}"))?;
        Ok(Self {
            name: name.to_owned(),
            reference: Reference::parse(name)?,
            client: store.registries().clone(),
            before: before.image,
            is_whole: OnceLock::new(),
            deletes,
        })
    }

    /// Returns whether the image is there.
    pub(crate) fn exists(&self) -> bool {
        self.before.is_some()
    }

    /// Returns the metadata; what cannot be decoded counts as empty, and so does an image that lacks layers (COM-093).
    pub(crate) fn metadata(&self) -> anyhow::Result<CacheMetadata> {
        let Some(image) = &self.before else {
            return Ok(CacheMetadata::default());
        };
        let is_whole = self
            .is_whole(image)
            .with_context(|| format!("accessing cache image {:?}", self.name))?;
        if !is_whole {
            info!(
                "Ignoring cache image {:?} because it was corrupt",
                self.name
            );
            return Ok(CacheMetadata::default());
        }
        let label = image.label(metadata::NAME).unwrap_or_default();
        Ok(CacheMetadata::from_json(label.as_bytes()))
    }

    /// Asks once.
    fn is_whole(&self, image: &Image) -> anyhow::Result<bool> {
        if let Some(is_whole) = self.is_whole.get() {
            return Ok(*is_whole);
        }
        let is_whole = self.client.has_layers(image)?;
        Ok(*self.is_whole.get_or_init(|| is_whole))
    }

    /// Opens a layer; an error says why it is a miss.
    pub(crate) fn open_layer(&self, diff_id: &DiffId) -> Result<Box<dyn Read + Send>, Miss> {
        let opened = match &self.before {
            Some(image) => image.open_layer(diff_id),
            None => Ok(None),
        };
        match opened {
            Ok(Some(tar)) => Ok(tar),
            Ok(None) => Err(Miss::Unusable(format!(
                "failed to find cache layer with SHA '{diff_id}'"
            ))),
            Err(error) => Err(Miss::Unreadable(
                anyhow::Error::from(error)
                    .context(format!("failed to get cache layer with SHA '{diff_id}'")),
            )),
        }
    }

    /// Begins the image that takes its place; nothing is sent yet.
    pub fn next(self) -> NextImage {
        NextImage {
            editor: ImageEditor::empty(&Platform {
                os: "linux".to_owned(),
                ..Platform::default()
            }),
            draft: self.client.push(&self.reference),
            cache: self,
        }
    }

    fn delete(&self, digest: &Digest) {
        if let Err(error) = self.client.delete(&self.reference, digest) {
            warn!("Unable to delete cache image: {error}");
        }
    }
}

impl NextImage {
    /// Takes a layer of the image before over.
    pub fn reuse(&mut self, diff_id: &DiffId) -> Result<(), Miss> {
        let lost = || Miss::Unusable(format!("failed to find cache layer with SHA '{diff_id}'"));
        let before = self.cache.before.as_ref().ok_or_else(lost)?;
        let reused = self.editor.reuse(before, diff_id, history());
        reused.map_err(|_| lost())
    }

    /// Takes a layer of another image over where that costs less than to make it: packed as the cache's layers are, its
    /// blob is in the same registry, or in a file here. False where it is not.
    pub fn take_over(&mut self, image: &Image, diff_id: &DiffId) -> anyhow::Result<bool> {
        let blob = image.layer(diff_id);
        let is_gzip = |media_type| to_oci(media_type) == MediaType::ImageLayerGzip;
        let Some(blob) = blob.filter(|it| is_gzip(&it.media_type)) else {
            return Ok(false);
        };
        let from = image.blobs();
        let is_near = from.path(&blob.digest).is_some() || self.draft.take_over(blob, from)?;
        if is_near {
            self.editor.reuse(image, diff_id, history())?;
        }
        Ok(is_near)
    }

    /// Sends a layer to the registry.
    pub fn add(&mut self, layer: &Layer) -> anyhow::Result<DiffId> {
        let written = self
            .draft
            .write_layer(layer, &WriteOptions::default(), None)?;
        self.editor.append(&written, history());
        Ok(written.diff_id)
    }

    /// Makes what was taken over and added the cache, with this metadata (COM-091).
    pub fn commit(mut self, metadata: &CacheMetadata) -> anyhow::Result<()> {
        if self.editor.config().diff_ids.is_empty() {
            // Nobody takes an image without layers.
            let nothing = Layer {
                entries: Vec::new(),
            };
            self.add(&nothing)?;
        }
        let config = self.editor.config_mut();
        config.created = Some(CREATED.to_owned());
        let label = (metadata::NAME.to_owned(), metadata.to_json());
        config.config.labels.extend([label]);
        let cache = self.cache;
        let committed = self
            .editor
            .commit(self.draft, &CommitOptions::default())
            .with_context(|| format!("saving image '{}'", cache.name))?;
        if let Some(before) = cache.before.as_ref().filter(|_| cache.deletes)
            && *before.digest() != committed.digest
        {
            cache.delete(before.digest());
        }
        Ok(())
    }
}

fn history() -> History {
    History {
        created: Some(CREATED.to_owned()),
        ..History::default()
    }
}
