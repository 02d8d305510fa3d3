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

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use layout::blob::Blobs;
use layout::draft::{Draft, NewImage, Origin, Wanted};
use layout::layer::{self, Layer, Tee, WriteOptions, Written};
use layout::{DiffId, Layout, Reference, Update, store};
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
            Self::Registry(name) => {
                let layout = Layout::at(scratch.join("published"));
                Box::new(Publication {
                    push: stores.registries().push(name),
                    blobs: layout.blobs(),
                    layers: layout.update()?,
                })
            }
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
    /// A layout that never gets an image; what is written to it goes when this is dropped.
    layers: Update,
    blobs: Arc<dyn Blobs>,
}

impl Draft for Publication {
    fn location(&self) -> String {
        self.push.location()
    }

    /// It is the same image as in a layout.
    fn keeps_types(&self) -> bool {
        self.layers.keeps_types()
    }

    fn write_layer(
        &mut self,
        layer: &Layer,
        options: &WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error> {
        self.layers.write_layer(layer, options, tee)
    }

    fn adopt(&mut self, layers: &[Wanted]) -> Result<Vec<DiffId>, store::Error> {
        let mut layers = layers.to_vec();
        for layer in &mut layers {
            if let Origin::Written = layer.origin {
                layer.origin = Origin::Base(Arc::clone(&self.blobs));
            }
        }
        self.push.adopt(&layers)
    }

    fn finish(self: Box<Self>, image: &NewImage, ref_name: &str) -> Result<(), store::Error> {
        Box::new(self.push).finish(image, ref_name)
    }
}
