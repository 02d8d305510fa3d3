//! An image on its way into a store: layers first, its name last.
//!
//! [`crate::Update`] is the draft of a layout. Stores elsewhere (a registry, a daemon) bring drafts of their own, so
//! that whoever makes an image with an [`crate::ImageEditor`] need not know where it goes.

use std::fmt::Debug;
use std::sync::Arc;

use crate::blob::Blobs;
use crate::digest::DiffId;
use crate::layer::{self, Layer, Tee, WriteOptions, Written};
use crate::manifest::{Descriptor, Manifest};
use crate::store;

/// An image that is being written to a store. Dropped, it is given up, and no name there shows anything of it.
pub trait Draft: Debug + Send {
    /// Returns the name of the place, for messages.
    fn location(&self) -> String;

    /// Returns whether an image on a base of Docker's media types keeps those; else it becomes OCI's.
    fn keeps_types(&self) -> bool;

    /// Writes a layer in one pass: tar, sha256, compression, sha256. `tee` gets the uncompressed tar as well.
    fn write_layer(
        &mut self,
        layer: &Layer,
        options: &WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error>;

    /// Takes over layers that exist already, those that the image has of this draft's own included, base first.
    ///
    /// Returns the diffIDs of layers of the base that are absent; any other absent layer is
    /// [`store::Error::MissingBlob`], before anything is copied.
    fn adopt(&mut self, layers: &[Wanted]) -> Result<Vec<DiffId>, store::Error>;

    /// Writes config and manifest, and gives the image its name, which is the last thing that happens.
    fn finish(self: Box<Self>, image: &NewImage, ref_name: &str) -> Result<(), store::Error>;
}

/// A layer of the new image.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Digest of its tar.
    pub diff_id: DiffId,
    /// Its blob.
    pub descriptor: Descriptor,
    /// Where the blob is now.
    pub origin: Origin,
}

/// Where a layer's blob comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The base, which may be sparse.
    Base(Arc<dyn Blobs>),
    /// The base, and its layers are left out on purpose.
    Omitted,
    /// A previous image, which must have it.
    Reused(Arc<dyn Blobs>),
    /// The draft wrote it.
    Written,
}

/// An image whose layers are in the store.
#[derive(Clone, Debug)]
pub struct NewImage {
    /// The config's JSON.
    pub config: String,
    /// diffIDs, base first, as the config has them.
    pub diff_ids: Vec<DiffId>,
    /// What `manifest_text` says.
    pub manifest: Manifest,
    /// The manifest's JSON.
    pub manifest_text: String,
    /// Media type, size and digest of the manifest.
    pub descriptor: Descriptor,
}
