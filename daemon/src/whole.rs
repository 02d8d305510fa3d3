//! An image with everything in it, as a layout would have it: for who copies one out of a daemon.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use layout::blob::{self, Blobs};
use layout::digest::{Verified, sha256};
use layout::image::Error as ImageError;
use layout::manifest::MediaType;
use layout::{Descriptor, Digest, Image, ImageConfig, Manifest, json};

use crate::error::Error;
use crate::saved::{LayerTar, Saved};

/// The blobs of an image that was saved.
#[derive(Debug)]
struct WholeBlobs {
    location: String,
    layers: HashMap<String, LayerTar>,
    documents: HashMap<String, Vec<u8>>,
}

/// Returns the image of an archive: its config to the byte, its layers as plain tars, and a manifest made of these.
pub(crate) fn of_saved(saved: &Saved, location: &str) -> Result<Image, Error> {
    let damaged = |source| {
        Box::new(ImageError::Config {
            digest: sha256(saved.config()),
            location: location.to_owned(),
            source,
        })
    };
    let mut blobs = WholeBlobs {
        location: location.to_owned(),
        layers: HashMap::new(),
        documents: HashMap::new(),
    };
    let config = ImageConfig::from_slice(saved.config()).map_err(damaged)?;
    let mut layers = Vec::new();
    for diff_id in &config.diff_ids {
        let tar = saved.layer(diff_id)?;
        let digest = diff_id.0.clone();
        layers.push(Descriptor::new(MediaType::ImageLayer, tar.size(), digest));
        blobs.layers.insert(diff_id.to_string(), tar);
    }
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::ImageManifest),
        config: blobs.add(MediaType::ImageConfig, saved.config().to_vec()),
        layers,
        annotations: BTreeMap::new(),
    };
    let text = json::to_string(&manifest).map_err(damaged)?;
    let Descriptor { digest, size, .. } = blobs.add(MediaType::ImageManifest, text.into_bytes());
    let image = Image::of_parts(digest, size, manifest, config, Arc::new(blobs));
    Ok(image.map_err(Box::new)?)
}

impl WholeBlobs {
    fn add(&mut self, media_type: MediaType, document: Vec<u8>) -> Descriptor {
        let (digest, size) = (sha256(&document), document.len() as u64);
        self.documents.insert(digest.to_string(), document);
        Descriptor::new(media_type, size, digest)
    }
}

impl Blobs for WholeBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let Descriptor { digest, size, .. } = blob;
        let name: &str = digest.as_ref();
        let reader: Box<dyn Read + Send> = if let Some(tar) = self.layers.get(name) {
            Box::new(tar.reader())
        } else if let Some(document) = self.documents.get(name) {
            Box::new(Cursor::new(document.clone()))
        } else {
            return Ok(None);
        };
        let what = format!("{digest} in {}", self.location);
        match Verified::new(reader, digest, Some(*size), what) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(blob::Error::Algorithm(digest.clone())),
        }
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }

    fn location(&self) -> String {
        self.location.clone()
    }
}
