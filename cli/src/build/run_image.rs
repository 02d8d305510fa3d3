//! The image that the app will run on: which one, where it is, and how the phases get to see it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use distribution::builder::Builder;
use layout::manifest::Platform;
use layout::{Image, Layout, Reference, Selector};
use platform::files::RunImageForExport;
use serde::Serialize;

use super::destination;
use super::flags::Args;
use crate::images::ImageName;
use crate::images::stores::Stores;

/// A run image that was found.
#[derive(Clone, Debug)]
pub(crate) struct RunImage {
    name: String,
    reference: Reference,
    image: Image,
    /// A layout that holds this image and no other.
    dir: Option<PathBuf>,
}

/// What of a run image has to be on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// All of it: it becomes part of a layout.
    Layers,
    /// What it says of itself: its layers go straight from where they are to where the app image goes.
    Config,
}

/// `run.toml`.
#[derive(Debug, Serialize)]
pub(crate) struct RunFile {
    images: Vec<RunImageForExport>,
}

impl RunImage {
    /// Finds the one that the user names, else the builder's first, by any of its names that is here.
    pub(super) fn find(
        args: &Args,
        stores: &Stores<'_>,
        builder: &Builder,
        platform: Option<&Platform>,
        needed: Needed,
    ) -> anyhow::Result<Self> {
        if let Some(name) = &args.run_image {
            return Self::named(name, stores, platform, needed);
        }
        let Some(first) = builder.run_images.first() else {
            bail!("the builder names no run image\nname one: --run-image IMAGE");
        };
        let mirrors = stores.config().run_image_mirrors(&first.image);
        let names: Vec<_> = mirrors
            .iter()
            .chain([&first.image])
            .chain(&first.mirrors)
            .collect();
        // What is here goes before what would have to be fetched.
        let is_here = |name: &&String| ImageName::parse(name).is_ok_and(|it| it.is_here(stores));
        let (here, elsewhere): (Vec<&String>, Vec<_>) = names.into_iter().partition(is_here);
        let mut own = None;
        for name in here.into_iter().chain(elsewhere) {
            match Self::named(name, stores, platform, needed) {
                Ok(found) => return Ok(found),
                // The error of its own name says where it was looked for.
                Err(error) if *name == first.image => own = Some(error),
                Err(_) => {}
            }
        }
        Err(own.unwrap_or_else(|| anyhow!("the builder's run image has no name")))
    }

    /// Finds one that an image extension names: nobody but the user may name a place on this machine.
    pub(super) fn of_extension(
        name: &str,
        stores: &Stores<'_>,
        platform: Option<&Platform>,
        needed: Needed,
    ) -> anyhow::Result<Self> {
        if !matches!(ImageName::parse(name)?, ImageName::Named(_)) {
            bail!("an image extension asks for the run image {name:?}, which is no image name");
        }
        Self::named(name, stores, platform, needed)
    }

    /// Finds one by its name.
    pub(super) fn named(
        name: &str,
        stores: &Stores<'_>,
        platform: Option<&Platform>,
        needed: Needed,
    ) -> anyhow::Result<Self> {
        let place = ImageName::parse(name)?;
        let image = match needed {
            Needed::Config if !matches!(place, ImageName::Daemon(_)) => {
                place.view(stores, platform)
            }
            Needed::Config | Needed::Layers => place.open(stores, platform),
        };
        let image = image.with_context(|| format!("failed to open the run image {name}"))?;
        let repo = stores.config().layout_repo_dir();
        let (name, dir) = match &place {
            ImageName::Named(name) => {
                let dir = Reference::parse(name)?.layout_path(&repo);
                (name.clone(), Some(dir))
            }
            ImageName::Registry(name) => (name.name(), Some(name.layout_path(&repo))),
            ImageName::Daemon(name) => (name.clone(), None),
            ImageName::Layout(dir, selector) => {
                let plain = *selector == Selector::default();
                (destination::name_of(dir), plain.then(|| dir.clone()))
            }
            ImageName::Archive(file, _) => (destination::name_of(file), None),
        };
        let is_alone = |dir: &PathBuf| {
            let images = Layout::at(dir).images();
            images.is_ok_and(|images| images.is_some_and(|images| images.len() == 1))
        };
        Ok(Self {
            reference: Reference::parse(&name)?,
            dir: dir.filter(is_alone),
            name,
            image,
        })
    }

    /// Returns the image, whose layers may be elsewhere.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// Returns the name that the phases and the image's labels know it by.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the same, parsed.
    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Returns a layout that holds it alone, making one in `images` where there is none: without its layers, if the app
    /// image shall not have them.
    pub(super) fn layout(&self, sparse: bool, images: &Path) -> anyhow::Result<PathBuf> {
        if !sparse && let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let dir = images.join("run");
        let layout = Layout::at(&dir);
        if sparse {
            layout.copy_without_layers_from(&self.image, "latest")?;
        } else {
            layout.copy_from(&self.image, "latest")?;
        }
        Ok(dir)
    }

    /// Returns what `run.toml` says: the builder's images, whose mirrors labels name.
    pub(super) fn file(&self, builder: &Builder) -> RunFile {
        let mut images: Vec<_> = builder.run_images.clone();
        let knows =
            |it: &RunImageForExport| it.image == self.name || it.mirrors.contains(&self.name);
        if !images.iter().any(knows) {
            images.push(RunImageForExport {
                image: self.name.clone(),
                mirrors: Vec::new(),
            });
        }
        RunFile { images }
    }
}

/// Returns the name that the phases know `--previous-image` by; it appears nowhere in the image.
pub(super) fn previous_reference() -> Reference {
    Reference::parse("slipway.invalid/previous").expect("it is a plain name")
}
