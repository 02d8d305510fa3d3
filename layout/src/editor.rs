//! A new image made from another: rebase, append, reuse, labels, config, commit.
//!
//! An image is of one family throughout: OCI's, but where a store keeps the types of a Docker base
//! ([`Draft::keeps_types`]). Types are converted, the bytes of layers are kept. Layers of the base may be
//! absent (LAY-020), layers that are reused may not.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::blob::Blobs;
use crate::config::{History, ImageConfig};
use crate::digest::{DiffId, Digest, sha256};
use crate::draft::{Draft, NewImage, Origin, Wanted};
use crate::image::Image;
use crate::json;
use crate::layer::Written;
use crate::manifest::{Descriptor, Manifest, MediaType, Platform, REF_NAME};
use crate::store;

/// An image being made.
#[derive(Debug)]
pub struct ImageEditor {
    media_type: Option<MediaType>,
    layers: Vec<Wanted>,
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

    /// Starts from `base`: its layers, config and annotations.
    ///
    /// History gets one entry a layer, as the reference leaves it ([`ImageConfig::normalize_history`]).
    pub fn from_base(base: &Image) -> Self {
        let mut config = base.config().clone();
        config.normalize_history();
        let manifest = base.manifest();
        Self {
            media_type: manifest.media_type.clone(),
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
        let origin = Origin::Reused(Arc::clone(previous.blobs()));
        self.push(diff_id.clone(), layer.clone(), origin, history);
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

    /// Takes the layers of base and previous image over, writes config and manifest, and names the image last.
    pub fn commit(
        mut self,
        draft: impl Into<Box<dyn Draft>>,
        options: &CommitOptions,
    ) -> Result<Committed, store::Error> {
        let mut draft = draft.into();
        if options.sparse {
            for layer in &mut self.layers {
                if matches!(layer.origin, Origin::Base(_)) {
                    layer.origin = Origin::Omitted;
                }
            }
        }
        let missing = draft.adopt(&self.layers)?;
        self.number_layers();
        if !options.ref_name.is_empty() {
            // LAY-024
            let name = (REF_NAME.to_owned(), options.ref_name.clone());
            self.annotations.extend([name]);
        }
        let image = self.written_as(draft.keeps_types())?;
        let committed = Committed {
            digest: image.descriptor.digest.clone(),
            manifest_size: image.descriptor.size,
            config_digest: image.manifest.config.digest.clone(),
            missing,
        };
        draft.finish(&image, &options.ref_name)?;
        Ok(committed)
    }

    /// Returns the documents of the image, all of one family.
    fn written_as(self, keeps_types: bool) -> Result<NewImage, store::Error> {
        let config = self.config.to_json()?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: self.media_type,
            config: described(MediaType::ImageConfig, &config),
            layers: self.layers.into_iter().map(|it| it.descriptor).collect(),
            annotations: self.annotations,
        };
        let manifest = if keeps_types && manifest.is_docker() {
            manifest.to_docker()
        } else {
            manifest.to_oci()
        };
        let manifest_text = json::to_string(&manifest)?;
        let media_type = manifest.media_type.clone();
        Ok(NewImage {
            config,
            diff_ids: self.config.diff_ids,
            descriptor: described(
                media_type.unwrap_or(MediaType::ImageManifest),
                &manifest_text,
            ),
            manifest,
            manifest_text,
        })
    }

    fn push(&mut self, diff_id: DiffId, descriptor: Descriptor, origin: Origin, history: History) {
        self.config.diff_ids.push(diff_id.clone());
        self.config.history.push(history);
        self.layers.push(Wanted {
            diff_id,
            descriptor,
            origin,
        });
    }

    fn number_layers(&mut self) {
        self.config.diff_ids = self.layers.iter().map(|it| it.diff_id.clone()).collect();
    }
}

fn described(media_type: MediaType, text: &str) -> Descriptor {
    Descriptor::new(media_type, text.len() as u64, sha256(text.as_bytes()))
}

fn layers_of(image: &Image, origin: fn(Arc<dyn Blobs>) -> Origin) -> Vec<Wanted> {
    let layer = |(diff_id, descriptor): (&DiffId, &Descriptor)| Wanted {
        diff_id: diff_id.clone(),
        descriptor: descriptor.clone(),
        origin: origin(Arc::clone(image.blobs())),
    };
    image.layers().map(layer).collect()
}

fn unknown_layer(diff_id: &DiffId, image: &Image) -> store::Error {
    let (digest, location) = (image.digest().clone(), image.blobs().location());
    store::Error::UnknownLayer(diff_id.clone(), digest, location)
}
