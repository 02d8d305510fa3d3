//! A manifest list on this machine: `<layout repo>/.slipway/manifests/<place of its name>/list.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use fs_err as fs;
use layout::manifest::{Descriptor, Index, MediaType};
use layout::{Digest, Image, Reference};
use platform::files::replace;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::containers::state_dir;

/// A manifest list that is being put together.
#[derive(Debug)]
pub(super) struct List {
    name: String,
    path: PathBuf,
    saved: Saved,
}

/// As it is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    /// What is pushed.
    index: Index,
    /// Where each image was found, by digest.
    from: BTreeMap<String, String>,
}

/// An image to put into a list.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) descriptor: Descriptor,
    from: String,
}

impl Entry {
    /// Describes an image; `from` is a name by digest.
    pub(super) fn of(image: &Image, from: String) -> Self {
        let media_type = image.manifest().media_type.clone();
        let media_type = media_type.unwrap_or(MediaType::ImageManifest);
        let mut descriptor =
            Descriptor::new(media_type, image.manifest_size(), image.digest().clone());
        descriptor.platform = Some(image.config().platform());
        Self { descriptor, from }
    }
}

impl List {
    /// Returns an empty one; fails if there is one of that name.
    pub(super) fn new(config: &Config, name: &str, media_type: MediaType) -> anyhow::Result<Self> {
        let path = path(config, name)?;
        if path.exists() {
            bail!(
                "there is a manifest list {name} on this machine already\nforget it: slipway manifest remove {name}, or add to it: slipway manifest add {name} IMAGE"
            );
        }
        let mut index = Index::new(Vec::new());
        index.media_type = Some(media_type);
        let name = name.to_owned();
        let from = BTreeMap::new();
        let saved = Saved { index, from };
        Ok(Self { name, path, saved })
    }

    /// Returns whether there is one of that name.
    pub(super) fn is_here(config: &Config, name: &str) -> anyhow::Result<bool> {
        Ok(path(config, name)?.exists())
    }

    /// Reads one.
    pub(super) fn load(config: &Config, name: &str) -> anyhow::Result<Self> {
        let path = path(config, name)?;
        let text = match fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "there is no manifest list {name} on this machine\nmake one: slipway manifest create {name} IMAGE..."
            ),
            text => text?,
        };
        let saved = layout::json::from_slice(&text)
            .with_context(|| format!("failed to read manifest list {}", path.display()))?;
        let name = name.to_owned();
        Ok(Self { name, path, saved })
    }

    /// Returns what is pushed.
    pub(super) fn index(&self) -> &Index {
        &self.saved.index
    }

    /// Makes it one of the other family.
    pub(super) fn set_media_type(&mut self, media_type: MediaType) {
        self.saved.index.media_type = Some(media_type);
    }

    /// Adds images; one that is there is described anew, and keeps its annotations.
    pub(super) fn add(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let Entry { descriptor, from } = entry;
            let digest = descriptor.digest.to_string();
            self.saved.from.insert(digest, from);
            match self.descriptor(&descriptor.digest) {
                Ok(known) => known.platform = descriptor.platform,
                Err(_) => self.saved.index.manifests.push(descriptor),
            }
        }
    }

    /// Returns the description of an image, to change.
    pub(super) fn descriptor(&mut self, digest: &Digest) -> anyhow::Result<&mut Descriptor> {
        let mut all = self.saved.index.manifests.iter_mut();
        let found = all.find(|it| it.digest == *digest);
        found.with_context(|| format!("manifest list {} has no image {digest}", self.name))
    }

    /// Takes an image out.
    pub(super) fn take(&mut self, digest: &Digest) -> anyhow::Result<()> {
        self.descriptor(digest)?;
        let manifests = &mut self.saved.index.manifests;
        manifests.retain(|it| it.digest != *digest);
        self.saved.from.remove(digest.as_ref());
        Ok(())
    }

    /// Returns each image and where it was found.
    pub(super) fn images(&self) -> impl Iterator<Item = (&Descriptor, &str)> {
        let from = |it: &Descriptor| self.saved.from.get(it.digest.as_ref());
        let manifests = self.saved.index.manifests.iter();
        manifests.map(move |it| (it, from(it).map_or("", String::as_str)))
    }

    /// Writes it, whole or not at all.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        fs::create_dir_all(self.path.parent().unwrap_or(&self.path))?;
        let text = layout::json::to_string_indented(&self.saved)?;
        replace::with_text(&self.path, &text, 0o644)
            .with_context(|| format!("failed to write manifest list {}", self.path.display()))
    }

    /// Removes it.
    pub(super) fn remove(&self) -> anyhow::Result<()> {
        Ok(fs::remove_file(&self.path)?)
    }
}

fn path(config: &Config, name: &str) -> anyhow::Result<PathBuf> {
    let lists = state_dir(config)?.join("manifests");
    let name = Reference::parse(name)?;
    Ok(name.layout_path(&lists).join("list.json"))
}
