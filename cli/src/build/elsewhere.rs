//! Images for a registry or a daemon: the phases write a layout of the build's own, and from there the image goes where it
//! belongs.
//!
//! ```text
//! registry, daemon ─► previous image: config, its SBOM layer ─┐                   ┌─► layers that are new ─┐
//!                 └─► run image: config                       ├─► <stage>/output ─┤                        ├─► registry, daemon
//!                     layers of both: as many zero bytes ─────┘    the phases     └─ those of both: from ──┘
//!                                                                                    where they are
//! ```
//!
//! So no container has a network or credentials, and no layer that did not change travels: the phases count on the layers of
//! run image and previous image being there, but read none of them. What stands for one has its size and nothing else; were it
//! read, its digest would be wrong, and the phase would fail.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use fs_err as fs;
use layout::blob::{self, LayoutBlobs};
use layout::draft::{Draft, NewImage, Origin, Wanted};
use layout::editor::CommitOptions;
use layout::manifest::{MediaType, Platform, REF_NAME};
use layout::{Descriptor, DiffId, Digest, Image, ImageEditor, Layout, Reference, Selector, json};
use platform::files::Report;
use platform::files::analyzed::LayersMetadata;
use platform::labels;

use super::destination::{Destinations, Kind};
use super::run_image::RunImage;
use crate::images::ImageName;
use crate::images::stores::Stores;

/// An image that the phases see in `dir`, and what they cannot see of it.
#[derive(Debug)]
pub(super) struct Elsewhere {
    previous: Option<Image>,
    run: RunImage,
    /// Digests of blobs that are not what they seem.
    stand_ins: HashSet<String>,
}

/// What became of the image.
#[derive(Debug)]
pub(super) struct Delivered {
    /// Digest of the manifest in a registry, ID in a daemon.
    pub(super) digest: Digest,
    manifest_size: u64,
}

/// Finds the image whose layers may be used again: one that is named, else the one that is replaced.
pub(super) fn previous(
    destinations: &Destinations,
    named: Option<&str>,
    platform: Option<&Platform>,
    stores: &Stores<'_>,
) -> anyhow::Result<Option<Image>> {
    if let Some(name) = named {
        let name = match (ImageName::parse(name)?, destinations.kind()) {
            (ImageName::Named(name), Kind::Registry) => {
                ImageName::Registry(Reference::parse(&name)?)
            }
            (ImageName::Named(name), Kind::Daemon) => ImageName::Daemon(name),
            (other, _) => other,
        };
        let image = name.view(stores, platform);
        return image
            .map(Some)
            .with_context(|| format!("failed to open the previous image {name}"));
    }
    let reference = destinations.first().reference();
    Ok(match destinations.kind() {
        Kind::Layouts => None,
        Kind::Registry => {
            let selector = Selector {
                platform: platform.cloned(),
                ..Selector::default()
            };
            stores.registries().image(reference, &selector)?
        }
        Kind::Daemon => stores.engine()?.image(&reference.name(), None)?,
    })
}

impl Elsewhere {
    /// Makes a layout of what the phases have to see.
    pub(super) fn prepare(
        dir: &Path,
        name: &Reference,
        previous: Option<Image>,
        run: &RunImage,
    ) -> anyhow::Result<Self> {
        let mut elsewhere = Self {
            previous: None,
            run: run.clone(),
            stand_ins: HashSet::new(),
        };
        let blobs = LayoutBlobs::of(dir);
        if let Some(image) = previous {
            let image = with_sbom(&blobs, image).context("failed to read the previous image")?;
            let options = CommitOptions {
                ref_name: name.identifier().to_owned(),
                sparse: true,
            };
            ImageEditor::from_base(&image).commit(Layout::at(dir).update()?, &options)?;
            elsewhere.stand_in(&blobs, &image)?;
            elsewhere.previous = Some(image);
        }
        elsewhere.takes_run_image(dir, run)?;
        Ok(elsewhere)
    }

    /// Takes another run image than before.
    pub(super) fn takes_run_image(&mut self, dir: &Path, run: &RunImage) -> anyhow::Result<()> {
        run.clone_into(&mut self.run);
        self.stand_in(&LayoutBlobs::of(dir), run.image())
    }

    fn stand_in(&mut self, blobs: &LayoutBlobs, image: &Image) -> anyhow::Result<()> {
        for (_, layer) in image.layers() {
            let path = blobs.file(&layer.digest);
            if path.exists() {
                continue;
            }
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::File::create(&path)?.set_len(layer.size)?;
            self.stand_ins.insert(layer.digest.to_string());
        }
        Ok(())
    }

    /// Writes the image under all its names, the first of them first.
    pub(super) fn deliver(
        &self,
        dir: &Path,
        destinations: &Destinations,
        stores: &Stores<'_>,
    ) -> anyhow::Result<Delivered> {
        let image = Layout::at(dir).image(&Selector::default())?;
        let image = image.context("the exporter left no image")?;
        let layers = self.layers(&image, destinations, stores)?;
        let new = new_image(&image)?;
        let first = destinations.first().reference();
        if destinations.kind() == Kind::Daemon {
            let engine = stores.engine()?;
            write(engine.draft(first)?.into(), &layers, &new)?;
            let id = new.manifest.config.digest.clone();
            let written = engine.image(&first.name(), None)?;
            // podman has names of its own for images.
            let id = written.map_or(id, |it| it.digest().clone());
            for more in destinations.iter().skip(1) {
                engine.tag(&id, more.reference())?;
            }
            return Ok(Delivered {
                digest: id,
                manifest_size: 0,
            });
        }
        for name in destinations.iter() {
            let push = stores.registries().push(name.reference());
            write(push.into(), &layers, &new)?;
        }
        Ok(Delivered {
            digest: new.descriptor.digest,
            manifest_size: new.descriptor.size,
        })
    }

    /// Returns the layers of the image, each with the place where it is.
    fn layers(
        &self,
        image: &Image,
        destinations: &Destinations,
        stores: &Stores<'_>,
    ) -> anyhow::Result<Vec<Wanted>> {
        let run = self.run_image_there(destinations, stores)?;
        let from = |image: &Image, diff_id: &DiffId, origin: fn(_) -> Origin| {
            let descriptor = image.layer(diff_id)?.clone();
            Some((descriptor, origin(Arc::clone(image.blobs()))))
        };
        let mut layers = Vec::new();
        for (diff_id, descriptor) in image.layers() {
            let own = || {
                Some((
                    descriptor.clone(),
                    Origin::Reused(Arc::clone(image.blobs())),
                ))
            };
            let place = if self.stand_ins.contains(descriptor.digest.as_ref()) {
                let previous = self.previous.as_ref();
                previous
                    .and_then(|it| from(it, diff_id, Origin::Reused))
                    .or_else(|| from(&run, diff_id, Origin::Base))
            } else {
                own()
            };
            let Some((mut descriptor, origin)) = place else {
                bail!("layer {diff_id} is neither new nor in the run image or the previous image");
            };
            descriptor.media_type = layout::manifest::to_oci(&descriptor.media_type);
            layers.push(Wanted {
                diff_id: diff_id.clone(),
                descriptor,
                origin,
            });
        }
        Ok(layers)
    }

    /// Returns the run image from where its layers need not be sent: a daemon may have it.
    fn run_image_there(
        &self,
        destinations: &Destinations,
        stores: &Stores<'_>,
    ) -> anyhow::Result<Image> {
        if destinations.kind() == Kind::Daemon
            && let Some(there) = stores.engine()?.image(self.run.name(), None)?
            && there.diff_ids() == self.run.image().diff_ids()
        {
            return Ok(there);
        }
        Ok(self.run.image().clone())
    }
}

impl Delivered {
    /// Returns what `report.toml` says of it.
    pub(super) fn report(&self, destinations: &Destinations) -> Report {
        let names = destinations.iter().map(|it| it.reference().name());
        let mut report = Report {
            tags: names.collect(),
            ..Report::default()
        };
        match destinations.kind() {
            Kind::Daemon => report.image_id = self.digest.to_string(),
            Kind::Layouts | Kind::Registry => {
                report.digest = self.digest.to_string();
                report.manifest_size = self.manifest_size;
            }
        }
        report
    }
}

/// Writes an image; its name comes last.
pub(super) fn write(
    mut draft: Box<dyn Draft>,
    layers: &[Wanted],
    image: &NewImage,
) -> anyhow::Result<()> {
    draft.adopt(layers)?;
    Ok(draft.finish(image, "")?)
}

/// Returns the documents of the image: those of the layout, but for the tag that only a layout's manifest has.
fn new_image(image: &Image) -> anyhow::Result<NewImage> {
    let mut manifest = image.manifest().clone();
    manifest.annotations.remove(REF_NAME);
    let config = blob::read(&**image.blobs(), &manifest.config)?;
    let config = String::from_utf8(config.context("the image has no config")?)?;
    let text = json::to_string(&manifest)?;
    let digest = layout::digest::sha256(text.as_bytes());
    Ok(NewImage {
        config,
        diff_ids: image.diff_ids().to_vec(),
        manifest,
        descriptor: Descriptor::new(MediaType::ImageManifest, text.len() as u64, digest),
        manifest_text: text,
    })
}

/// Fetches the one layer that a phase reads, and returns the image with that layer's true size, which daemons do not tell.
fn with_sbom(blobs: &LayoutBlobs, image: Image) -> anyhow::Result<Image> {
    let label = image.label(labels::LIFECYCLE_METADATA).unwrap_or_default();
    let metadata = LayersMetadata::from_label(label).unwrap_or_default();
    let diff_id: Option<DiffId> = metadata.sbom.and_then(|it| it.parse().ok());
    let at = diff_id.and_then(|id| image.diff_ids().iter().position(|it| *it == id));
    // What cannot be read is no previous image to the phases either.
    let Some(at) = at else { return Ok(image) };
    let mut manifest = image.manifest().clone();
    let layer = &mut manifest.layers[at];
    let Some(mut reader) = image.blobs().open(layer)? else {
        bail!("its SBOM layer {} is not there", layer.digest);
    };
    let path = blobs.file(&layer.digest);
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    layer.size = io::copy(&mut reader, &mut fs::File::create(&path)?)?;
    let (digest, size) = (image.digest().clone(), image.manifest_size());
    let (config, from) = (image.config().clone(), Arc::clone(image.blobs()));
    Ok(Image::of_parts(digest, size, manifest, config, from)?)
}
