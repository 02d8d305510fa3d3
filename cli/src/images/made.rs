//! Images that a command makes, builders and packages, and where they go: into a layout or to a registry.
//!
//! ```text
//! layers ─► <layout>/blobs ─────────────────────────────────────► index.json
//!       └─► <scratch>/blobs ─ those that it lacks ─► registry ◄─ manifest
//!                              layers of the base ──┘ from where they are
//! ```
//!
//! Whoever makes a builder anew changed little of it, so what the registry has already is not sent again: a layer's digest is
//! known only once it is written.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use fs_err as fs;
use layout::blob::{Blobs, LayoutBlobs};
use layout::draft::{Draft, NewImage, Origin, Wanted};
use layout::layer::{self, Layer, WriteOptions, Written};
use layout::{DiffId, Layout, Reference, store};
use registry::Push;

use super::ImageName;
use super::output::Output;
use super::stores::Stores;

/// Where an image goes that a command makes.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A layout.
    Layout(Output),
    /// A registry.
    Registry(Reference),
}

impl Destination {
    /// Understands the name of an image to make; fails if it could not be written there.
    pub(crate) fn find(name: &str, publish: bool, stores: &Stores<'_>) -> anyhow::Result<Self> {
        let parsed = ImageName::parse(name)?;
        let Some(reference) = parsed.published(publish)? else {
            return Ok(Self::Layout(parsed.output(stores.config())?));
        };
        let can_write = stores.registries().can_write(&reference);
        can_write.with_context(|| format!("{name} could not be written"))?;
        Ok(Self::Registry(reference))
    }

    /// Begins to write it; layers lie in `scratch` until they are sent.
    pub(crate) fn begin(
        &self,
        stores: &Stores<'_>,
        scratch: &Path,
    ) -> Result<Box<dyn Draft>, store::Error> {
        Ok(match self {
            Self::Layout(output) => Layout::at(&output.dir).update()?.into(),
            Self::Registry(name) => Box::new(Publication {
                push: stores.registries().push(name),
                folder: scratch.join("published"),
            }),
        })
    }

    /// Returns `org.opencontainers.image.ref.name`, which images in registries do not have.
    pub(crate) fn ref_name(&self) -> &str {
        match self {
            Self::Layout(output) => &output.ref_name,
            Self::Registry(_) => "",
        }
    }

    /// Removes what the image before left in its layout; registries do that themselves.
    pub(crate) fn tidy(&self) {
        if let Self::Layout(output) = self {
            output.tidy();
        }
    }
}

/// An image on its way to a registry, whose layers are whole before the first is sent.
#[derive(Debug)]
struct Publication {
    push: Push,
    folder: PathBuf,
}

impl Draft for Publication {
    fn location(&self) -> String {
        self.push.location()
    }

    /// It is the same image as in a layout.
    fn keeps_types(&self) -> bool {
        false
    }

    fn write_layer(
        &mut self,
        layer: &Layer,
        options: &WriteOptions,
        tee: Option<&mut (dyn Write + Send)>,
    ) -> Result<Written, layer::Error> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        let mut out = BufWriter::with_capacity(256 << 10, &mut file);
        let written = layer::write_blob(layer, &mut out, options, tee)?;
        out.flush()?;
        drop(out);
        let path = LayoutBlobs::of(&self.folder).file(&written.descriptor.digest);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(written)
    }

    fn adopt(&mut self, layers: &[Wanted]) -> Result<Vec<DiffId>, store::Error> {
        let here: Arc<dyn Blobs> = Arc::new(LayoutBlobs::of(&self.folder));
        let mut layers = layers.to_vec();
        for layer in &mut layers {
            if let Origin::Written = layer.origin {
                layer.origin = Origin::Base(Arc::clone(&here));
            }
        }
        self.push.adopt(&layers)
    }

    fn finish(self: Box<Self>, image: &NewImage, ref_name: &str) -> Result<(), store::Error> {
        Box::new(self.push).finish(image, ref_name)
    }
}
