//! Where the image goes: folders on this machine, and the names that the phases know them by.

use std::path::{Path, PathBuf};

use anyhow::bail;
use layout::Reference;

use crate::config::Config;
use crate::images::ImageName;

/// All places of one image; the first is what the user asked for, the others are `--tag`s.
#[derive(Debug)]
pub(crate) struct Destinations(Vec<Destination>);

/// A folder that becomes an image layout.
#[derive(Debug)]
pub(crate) struct Destination {
    typed: String,
    dir: PathBuf,
    reference: Reference,
}

/// Folders that were made for an image which is not there yet; removed unless it comes.
#[derive(Debug)]
pub(crate) struct Made(Vec<PathBuf>);

impl Destinations {
    /// Understands the image's name and its further ones.
    pub(super) fn parse(image: &str, tags: &[String], config: &Config) -> anyhow::Result<Self> {
        let mut all: Vec<Destination> = Vec::new();
        for typed in std::iter::once(image).chain(tags.iter().map(String::as_str)) {
            let new = Destination::parse(typed, config)?;
            if all.iter().any(|it| it.dir == new.dir) {
                bail!("{typed} is the same folder as another place of the image");
            }
            if all.iter().any(|it| it.reference == new.reference) {
                bail!(
                    "{typed} has the same name as another place of the image\ngive it another folder name or tag"
                );
            }
            all.push(new);
        }
        Ok(Self(all))
    }

    /// Returns what the user asked for.
    pub(super) fn first(&self) -> &Destination {
        &self.0[0]
    }

    /// Returns all of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Destination> {
        self.0.iter()
    }

    /// Makes the folders that are missing.
    pub(super) fn make(&self) -> anyhow::Result<Made> {
        let mut made = Made(Vec::new());
        for destination in &self.0 {
            made.directories(&destination.dir)?;
        }
        Ok(made)
    }
}

impl Destination {
    fn parse(typed: &str, config: &Config) -> anyhow::Result<Self> {
        let name = ImageName::parse(typed)?;
        if matches!(name, ImageName::Named(_)) {
            bail!(
                "{typed} would go to a registry or a daemon, which are not supported yet\nbuild to a folder: oci:{typed}"
            );
        }
        let output = name.output(config)?;
        Ok(Self {
            typed: typed.to_owned(),
            dir: output.dir,
            reference: Reference::parse(&output.name)?,
        })
    }

    /// Returns its name as it was typed.
    pub(super) fn typed(&self) -> &str {
        &self.typed
    }

    /// Returns the folder, absolute.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
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
