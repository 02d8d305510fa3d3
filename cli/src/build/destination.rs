//! Where the image goes: folders on this machine, a registry or a daemon, and the names that the phases know it by.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use layout::Reference;
use layout::name::Identifier;

use crate::config::Config;
use crate::images::stores::Stores;
use crate::images::{ImageName, output};

/// All places of one image; the first is what the user asked for, the others are `--tag`s. All are in stores of a kind.
#[derive(Debug)]
pub(crate) struct Destinations {
    kind: Kind,
    all: Vec<Destination>,
}

/// What holds the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Folders of this machine.
    Layouts,
    /// Registries.
    Registry,
    /// A daemon.
    Daemon,
}

/// A place of the image.
#[derive(Debug)]
pub(crate) struct Destination {
    typed: String,
    /// The folder that becomes an image layout, if it is one.
    dir: Option<PathBuf>,
    reference: Reference,
}

/// Folders that were made for an image which is not there yet; removed unless it comes.
#[derive(Debug)]
pub(crate) struct Made(Vec<PathBuf>);

impl Destinations {
    /// Understands the image's name and its further ones. A plain name is one in a daemon, or in a registry if it shall be
    /// published, as with pack.
    pub(super) fn parse(
        image: &str,
        tags: &[String],
        publish: bool,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let (kind, first) = Destination::parse(image, publish, config)?;
        let mut all = vec![first];
        for typed in tags {
            let (other, new) = Destination::parse(typed, publish, config)?;
            if other != kind {
                bail!(
                    "{typed} is in another kind of place than {image}\nbuild to one, and copy it from there: slipway layout copy"
                );
            }
            if new.dir.is_some() && all.iter().any(|it| it.dir == new.dir) {
                bail!("{typed} is the same folder as another place of the image");
            }
            if all.iter().any(|it| it.reference == new.reference) {
                bail!(
                    "{typed} has the same name as another place of the image\ngive it another folder name or tag"
                );
            }
            all.push(new);
        }
        Ok(Self { kind, all })
    }

    /// Fails if the image could not be written there once it is built.
    pub(super) fn check(&self, stores: &Stores<'_>) -> anyhow::Result<()> {
        match self.kind {
            Kind::Layouts => {}
            Kind::Registry => {
                for place in &self.all {
                    stores.registries().can_read_and_write(&place.reference)?;
                }
            }
            Kind::Daemon => {
                let typed = self.first().typed();
                stores.engine()?.hold().with_context(|| {
                    format!(
                        "{typed} would go to a daemon\nbuild to a folder: oci:{}, or to a registry: --publish",
                        typed.trim_start_matches("docker-daemon:")
                    )
                })?;
            }
        }
        Ok(())
    }

    /// Returns what holds the image.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns what the user asked for.
    pub(super) fn first(&self) -> &Destination {
        &self.all[0]
    }

    /// Returns all of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.all.iter()
    }

    /// Returns the folders among them.
    pub(super) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.all.iter().filter_map(|it| it.dir.as_deref())
    }

    /// Returns what stands for the image where its cache is called after it.
    pub(super) fn place(&self) -> PathBuf {
        let first = self.first();
        first
            .dir
            .clone()
            .unwrap_or_else(|| first.reference.name().into())
    }

    /// Makes the folders that are missing.
    pub(super) fn make(&self) -> anyhow::Result<Made> {
        let mut made = Made(Vec::new());
        for dir in self.dirs() {
            made.directories(dir)?;
        }
        Ok(made)
    }
}

impl Destination {
    fn parse(typed: &str, publish: bool, config: &Config) -> anyhow::Result<(Kind, Self)> {
        let name = ImageName::parse(typed)?;
        let (kind, dir, reference) = match (name.published(publish)?, &name) {
            (Some(reference), _) => (Kind::Registry, None, reference),
            (None, ImageName::Named(name) | ImageName::Daemon(name)) => {
                let reference = Reference::parse(name)?;
                if let Identifier::Digest(digest) = &reference.identifier {
                    return Err(output::is_digest(digest));
                }
                (Kind::Daemon, None, reference)
            }
            (None, _) => {
                let output = name.output(config)?;
                let reference = Reference::parse(&output.name)?;
                (Kind::Layouts, Some(output.dir), reference)
            }
        };
        let typed = typed.to_owned();
        Ok((
            kind,
            Self {
                typed,
                dir,
                reference,
            },
        ))
    }

    /// Returns its name as it was typed.
    pub(super) fn typed(&self) -> &str {
        &self.typed
    }

    /// Returns the folder, absolute, if it is one.
    pub(super) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// Returns the name that the phases know it by.
    pub(super) fn reference(&self) -> &Reference {
        &self.reference
    }
}

impl Made {
    /// The image is there: they stay.
    pub(super) fn keep(mut self) {
        self.0.clear();
    }

    fn directories(&mut self, path: &Path) -> anyhow::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directories(parent)?;
        }
        match fs_err::create_dir(path) {
            Ok(()) => self.0.push(path.to_owned()),
            // Another build was faster.
            Err(_) if path.is_dir() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for dir in self.0.iter().rev() {
            // Not empty if an image came from elsewhere meanwhile.
            fs_err::remove_dir(dir).ok();
        }
    }
}

/// Returns an image name for a folder or file that has none: its own name, as far as it can be one.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_lowercase();
    if Reference::parse(&name).is_ok_and(|it| it.identifier() == "latest") {
        name
    } else {
        "image".to_owned()
    }
}
