//! One image, seen: manifest, config and layers, from any store.
//!
//! A view never changes. Only asking for a layer's bytes touches a layer's blob.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::blob::{self, Blobs};
use crate::config::ImageConfig;
use crate::digest::{DiffId, Digest, Mismatch, Verified};
use crate::held::HeldBlobs;
use crate::manifest::{Descriptor, Document, DocumentError, Manifest};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// An immutable view of an image.
#[derive(Clone, Debug)]
pub struct Image {
    digest: Digest,
    manifest_size: u64,
    manifest: Manifest,
    config: ImageConfig,
    blobs: Arc<dyn Blobs>,
}

impl Image {
    /// Reads the manifest that `descriptor` names, and the config that it names.
    pub fn open(blobs: Arc<dyn Blobs>, descriptor: &Descriptor) -> Result<Self, Error> {
        let manifest = read_manifest(&*blobs, descriptor)?;
        let config = read_config(&*blobs, &manifest)?;
        let digest = descriptor.digest.clone();
        Self::of_parts(digest, descriptor.size, manifest, config, blobs)
    }

    /// Returns the image of a store that has its own way to a manifest and a config, or no manifest at all.
    ///
    /// `digest` and `manifest_size` are what the store calls the image by.
    pub fn of_parts(
        digest: Digest,
        manifest_size: u64,
        manifest: Manifest,
        config: ImageConfig,
        blobs: Arc<dyn Blobs>,
    ) -> Result<Self, Error> {
        let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids.len());
        if layers != diff_ids {
            return Err(Error::LayerCount {
                manifest: digest,
                location: blobs.location(),
                layers,
                diff_ids,
            });
        }
        Ok(Self {
            digest,
            manifest_size,
            manifest,
            config,
            blobs,
        })
    }

    /// Opens the files of the layers now, so that they can be read by whoever may not open them later.
    #[must_use]
    pub fn hold(self) -> Self {
        let blobs = HeldBlobs::hold(self.blobs, &self.manifest.layers);
        Self { blobs, ..self }
    }

    /// Returns the digest of the manifest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the bytes of the manifest.
    pub fn manifest_size(&self) -> u64 {
        self.manifest_size
    }

    /// Returns the manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the config.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// Returns where the blobs are.
    pub fn blobs(&self) -> &Arc<dyn Blobs> {
        &self.blobs
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

    /// Returns diffID and descriptor of each layer, base first.
    pub fn layers(&self) -> impl Iterator<Item = (&DiffId, &Descriptor)> {
        self.config.diff_ids.iter().zip(&self.manifest.layers)
    }

    /// Returns the descriptor of the layer with this diffID.
    pub fn layer(&self, diff_id: &DiffId) -> Option<&Descriptor> {
        let mut layers = self.layers();
        layers.find_map(|(id, layer)| (id == diff_id).then_some(layer))
    }

    /// Returns the layer's uncompressed tar, verified while it is read; `None` if its blob is absent (a sparse image).
    ///
    /// Digest and size of the blob and the diffID are checked: whoever reads to the end without an
    /// error has read what the image means.
    pub fn open_layer(
        &self,
        diff_id: &DiffId,
    ) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        match self.layer(diff_id) {
            Some(layer) => open_layer(&*self.blobs, layer, diff_id),
            None => Ok(None),
        }
    }
}

/// Opens one layer's tar, as [`Image::open_layer`] does.
pub fn open_layer(
    blobs: &dyn Blobs,
    layer: &Descriptor,
    diff_id: &DiffId,
) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
    let Some(raw) = blobs.open(layer)? else {
        return Ok(None);
    };
    let what = format!("layer {} in {}", layer.digest, blobs.location());
    let tar = Named {
        inner: decompressed(raw)?,
        what: what.clone(),
    };
    match Verified::new(tar, &diff_id.0, None, what) {
        Some(reader) => Ok(Some(Box::new(reader))),
        None => Err(blob::Error::Algorithm(diff_id.0.clone())),
    }
}

/// Says which layer it is that a decoder cannot make sense of.
struct Named<R> {
    inner: R,
    what: String,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            let is_decoders = matches!(
                kind,
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            );
            let mismatch: Option<&Mismatch> = error.get_ref().and_then(|it| it.downcast_ref());
            if !is_decoders || mismatch.is_some() {
                return error;
            }
            io::Error::new(kind, format!("{} is damaged: {error}", self.what))
        })
    }
}

/// Returns a reader of what `raw` holds, compressed with gzip or zstd or not at all.
///
/// Looks at the first bytes rather than the media type, which is often wrong in the field. Each decoder reads its input to the end, so that the checks at the blob's end run.
pub fn decompressed(mut raw: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = Vec::new();
    raw.by_ref().take(4).read_to_end(&mut magic)?;
    let all = BufReader::with_capacity(64 << 10, Cursor::new(magic.clone()).chain(raw));
    Ok(if magic.starts_with(GZIP) {
        // Every member, not only the first: layers are compressed in several.
        Box::new(MultiGzDecoder::new(all))
    } else if magic.starts_with(ZSTD) {
        Box::new(zstd::Decoder::with_buffer(all)?)
    } else {
        Box::new(all)
    })
}

/// True if `begin`, the first four bytes of something, are those of what [`decompressed`] decompresses.
pub fn is_compressed(begin: &[u8]) -> bool {
    begin.starts_with(GZIP) || begin.starts_with(ZSTD)
}

fn read_manifest(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Manifest, Error> {
    let missing = || Error::Missing {
        what: "manifest",
        digest: descriptor.digest.clone(),
        location: blobs.location(),
    };
    let bytes = blob::read(blobs, descriptor)?.ok_or_else(missing)?;
    let manifest = |source| Error::Manifest {
        digest: descriptor.digest.clone(),
        location: blobs.location(),
        source,
    };
    match Document::parse(&bytes, &descriptor.media_type).map_err(manifest)? {
        Document::Manifest(manifest) => Ok(*manifest),
        Document::Index(_) => Err(manifest(DocumentError::MediaType(
            descriptor.media_type.clone(),
        ))),
    }
}

pub(crate) fn read_config(blobs: &dyn Blobs, manifest: &Manifest) -> Result<ImageConfig, Error> {
    let digest = &manifest.config.digest;
    let bytes = blob::read(blobs, &manifest.config)?.ok_or_else(|| Error::Missing {
        what: "config",
        digest: digest.clone(),
        location: blobs.location(),
    })?;
    ImageConfig::from_slice(&bytes).map_err(|source| Error::Config {
        digest: digest.clone(),
        location: blobs.location(),
        source,
    })
}

/// Why an image could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A blob could not be read.
    #[error(transparent)]
    Blob(#[from] blob::Error),
    /// The config is none.
    #[error("failed to read config {digest} in {location}")]
    Config {
        /// The config.
        digest: Digest,
        /// Where it is.
        location: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Manifest and config do not belong together.
    #[error(
        "image {manifest} in {location} is damaged: its manifest has {layers} layers, its config {diff_ids} diffIDs"
    )]
    LayerCount {
        /// The manifest.
        manifest: Digest,
        /// Where it is.
        location: String,
        /// Layers of the manifest.
        layers: usize,
        /// diffIDs of the config.
        diff_ids: usize,
    },
    /// The manifest is none.
    #[error("failed to read manifest {digest} in {location}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// Where it is.
        location: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A blob that every image needs is absent.
    #[error("{what} {digest} is not in {location}")]
    Missing {
        /// `manifest` or `config`.
        what: &'static str,
        /// The blob.
        digest: Digest,
        /// Where it should be.
        location: String,
    },
}
