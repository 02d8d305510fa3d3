//! A new image made from another: rebase, append, reuse, labels, config, commit.
//!
//! What is written is OCI's throughout; a base of Docker's types is converted by type, the bytes
//! of its layers are kept. Layers of the base may be absent (LAY-020), layers that are reused may not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::blob::Blobs;
use crate::config::{History, ImageConfig};
use crate::digest::{DiffId, Digest};
use crate::image::Image;
use crate::json;
use crate::layer::Written;
use crate::manifest::{Descriptor, Manifest, MediaType, Platform, REF_NAME, to_oci};
use crate::store::{self, Others, Update};

/// An image being made.
#[derive(Debug)]
pub struct ImageEditor {
    media_type: Option<MediaType>,
    layers: Vec<EditedLayer>,
    config: ImageConfig,
    annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct EditedLayer {
    diff_id: DiffId,
    descriptor: Descriptor,
    origin: Origin,
}

/// Where a layer's blob comes from.
#[derive(Clone, Debug)]
enum Origin {
    /// The base, which may be sparse.
    Base(Arc<dyn Blobs>),
    /// A previous image, which must have it.
    Reused(Arc<dyn Blobs>),
    /// This change wrote it.
    Written,
}

/// What a commit wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Digest of the manifest.
    pub digest: Digest,
    /// Bytes of the manifest.
    pub manifest_size: u64,
    /// Digest of the config.
    pub config_digest: Digest,
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
    /// Starts from nothing: an image without layers.
    pub fn empty(platform: &Platform) -> Self {
        Self {
            media_type: Some(MediaType::ImageManifest),
            layers: Vec::new(),
            config: ImageConfig {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
                os_version: platform.os_version.clone(),
                os_features: platform.os_features.clone(),
                variant: platform.variant.clone(),
                ..ImageConfig::default()
            },
            annotations: BTreeMap::new(),
        }
    }

    /// Starts from `base`: its layers, config and annotations. Docker media types become OCI ones.
    ///
    /// History gets one entry a layer, as the reference leaves it ([`ImageConfig::normalize_history`]).
    pub fn from_base(base: &Image) -> Self {
        let mut config = base.config().clone();
        config.normalize_history();
        let manifest = base.manifest();
        Self {
            media_type: manifest.media_type.as_ref().map(to_oci),
            layers: layers_of(base, Origin::Base),
            config,
            annotations: manifest.annotations.clone(),
        }
    }

    /// Adds a layer that `Update::write_layer` wrote.
    pub fn append(&mut self, layer: &Written, history: History) {
        let (diff_id, descriptor) = (layer.diff_id.clone(), layer.descriptor.clone());
        self.push(diff_id, descriptor, Origin::Written, history);
    }

    /// Adds the layer of `previous` with this diffID, without reading it. Fails at commit if its blob is absent.
    pub fn reuse(
        &mut self,
        previous: &Image,
        diff_id: &DiffId,
        history: History,
    ) -> Result<(), store::Error> {
        let layer = previous.layer(diff_id);
        let layer = layer.ok_or_else(|| unknown_layer(diff_id, previous))?;
        let mut descriptor = layer.clone();
        descriptor.media_type = to_oci(&descriptor.media_type);
        let origin = Origin::Reused(Arc::clone(previous.blobs()));
        self.push(diff_id.clone(), descriptor, origin, history);
        Ok(())
    }

    /// Puts the layers above `old_top` on `base` instead (rebase): app layers are kept byte for byte.
    ///
    /// The platform is the new base's (REB-022). What the old base said of itself goes: annotations, author and Docker
    /// version (REB-024). The rest of the config stays.
    pub fn rebase(&mut self, old_top: &DiffId, base: &Image) -> Result<(), store::Error> {
        let top = self.layers.iter().position(|it| it.diff_id == *old_top);
        let top = top.ok_or_else(|| store::Error::NoBaseLayer(old_top.clone()))?;
        let mut kept = self.layers.split_off(top + 1);
        for layer in &mut kept {
            if let Origin::Base(blobs) = &layer.origin {
                layer.origin = Origin::Reused(Arc::clone(blobs));
            }
        }
        self.layers = layers_of(base, Origin::Base);
        self.layers.extend(kept);

        let mut new_config = base.config().clone();
        new_config.normalize_history();
        let config = &mut self.config;
        config.normalize_history();
        let app_history = config
            .history
            .split_off((top + 1).min(config.history.len()));
        config.history = new_config.history;
        config.history.extend(app_history);
        config.architecture = new_config.architecture;
        config.os = new_config.os;
        config.os_version = new_config.os_version;
        config.os_features = new_config.os_features;
        config.variant = new_config.variant;
        config.author.clear();
        config.docker_version.clear();
        self.annotations.clear();
        self.media_type = Some(MediaType::ImageManifest);
        self.number_layers();
        Ok(())
    }

    /// Returns the config, to read.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns the config, to change: labels, env, entrypoint, created, history, ... (diffIDs follow the layers.)
    pub fn config_mut(&mut self) -> &mut ImageConfig {
        &mut self.config
    }

    /// Writes config and manifest, links or copies the blobs of base and reused layers, and replaces `index.json` last.
    pub fn commit(
        mut self,
        mut update: Update,
        options: &CommitOptions,
    ) -> Result<Committed, store::Error> {
        let missing = self.take_blobs(&mut update, options.sparse)?;
        self.number_layers();
        let config = update.write_document(MediaType::ImageConfig, &self.config.to_json()?)?;
        let config_digest = config.digest.clone();
        if !options.ref_name.is_empty() {
            // LAY-024
            let name = (REF_NAME.to_owned(), options.ref_name.clone());
            self.annotations.extend([name]);
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: self.media_type,
            config,
            layers: self.layers.into_iter().map(|it| it.descriptor).collect(),
            annotations: self.annotations,
        };
        let descriptor =
            update.write_document(MediaType::ImageManifest, &json::to_string(&manifest)?)?;
        let committed = Committed {
            digest: descriptor.digest.clone(),
            manifest_size: descriptor.size,
            config_digest,
            missing,
        };
        update.finish(descriptor, &options.ref_name, Others::Dropped)?;
        Ok(committed)
    }

    fn push(&mut self, diff_id: DiffId, descriptor: Descriptor, origin: Origin, history: History) {
        self.config.diff_ids.push(diff_id.clone());
        self.config.history.push(history);
        self.layers.push(EditedLayer {
            diff_id,
            descriptor,
            origin,
        });
    }

    fn number_layers(&mut self) {
        self.config.diff_ids = self.layers.iter().map(|it| it.diff_id.clone()).collect();
    }

    /// Returns the diffIDs of base layers that are absent.
    fn take_blobs(&self, update: &mut Update, sparse: bool) -> Result<Vec<DiffId>, store::Error> {
        // The cheap failure first: nothing is copied for an image that cannot be whole.
        for layer in &self.layers {
            let Descriptor { digest, size, .. } = &layer.descriptor;
            let (absent, location) = match &layer.origin {
                Origin::Base(_) => continue,
                Origin::Reused(blobs) => (blobs.open(digest, *size)?.is_none(), blobs.location()),
                Origin::Written => (true, update.layout().path().display().to_string()),
            };
            if absent && !update.has(digest, *size)? {
                let diff_id = layer.diff_id.to_string();
                return Err(store::Error::MissingBlob(diff_id, PathBuf::from(location)));
            }
        }
        let mut missing = Vec::new();
        for layer in &self.layers {
            let (Origin::Base(blobs) | Origin::Reused(blobs)) = &layer.origin else {
                continue;
            };
            let is_base = matches!(layer.origin, Origin::Base(_));
            if is_base && sparse {
                continue;
            }
            let Descriptor { digest, size, .. } = &layer.descriptor;
            if !update.adopt(&**blobs, digest, *size)? {
                missing.push(layer.diff_id.clone());
            }
        }
        Ok(missing)
    }
}

fn layers_of(image: &Image, origin: fn(Arc<dyn Blobs>) -> Origin) -> Vec<EditedLayer> {
    let layer = |(diff_id, descriptor): (&DiffId, &Descriptor)| EditedLayer {
        diff_id: diff_id.clone(),
        descriptor: Descriptor {
            media_type: to_oci(&descriptor.media_type),
            ..descriptor.clone()
        },
        origin: origin(Arc::clone(image.blobs())),
    };
    image.layers().map(layer).collect()
}

fn unknown_layer(diff_id: &DiffId, image: &Image) -> store::Error {
    let (digest, location) = (image.digest().clone(), image.blobs().location());
    store::Error::UnknownLayer(diff_id.clone(), digest, location)
}
