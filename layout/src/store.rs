//! A layout directory: images in it, and one change at a time.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::image::Image;
use crate::index::Selector;
use crate::layer::{self, Layer, Written};

/// An OCI image layout in a directory, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Layout {
    path: PathBuf,
}

impl Layout {
    /// Names a layout; touches nothing.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the image that `selector` picks; `None` if there is no `index.json`.
    pub fn image(&self, selector: &Selector) -> Result<Option<Image>, Error> {
        let _ = selector;
        todo!()
    }

    /// Begins a change: makes the folders, clears what a killed writer left. Dropping it undoes what it wrote.
    pub fn update(&self) -> Result<Update, Error> {
        todo!()
    }

    /// Copies an image with its blobs (linked where the kernel allows it) into this layout, as `ref_name`.
    pub fn copy_from(&self, image: &Image, ref_name: &str) -> Result<(), Error> {
        let _ = (image, ref_name);
        todo!()
    }
}

/// A change of a layout: blobs written so far, none of them named by `index.json` yet.
#[derive(Debug)]
pub struct Update {
    layout: Layout,
}

impl Update {
    /// Returns the layout that is changed.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes a layer's blob in one pass: tar, sha256, compression, sha256. `tee` gets the uncompressed tar as well.
    pub fn write_layer(
        &mut self,
        layer: &Layer,
        options: &layer::WriteOptions,
        tee: Option<&mut (dyn Write + Send)>,
    ) -> Result<Written, layer::Error> {
        let _ = (layer, options, tee);
        todo!()
    }
}

/// Why a layout could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The blob of a layer that is reused is not in the previous image's layout.
    #[error("layer {0} cannot be reused: its blob is not in {1}")]
    MissingBlob(String, PathBuf),
}
