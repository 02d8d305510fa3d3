//! `config.toml`: what a user has set once, in pack's file and words.
//!
//! | key | holds |
//! |---|---|
//! | `experimental` | a switch that pack needs for layouts; nothing here asks for it |
//! | `layout-repo-dir` | folder of images by name, taken as it stands: `~` is not expanded, as in pack |
//! | `default-builder-image`, `lifecycle-image` | images by name |
//! | `pull-policy` | `always`, `if-not-present` or `never` |
//! | `[[run-images]]` | `image`, and its `mirrors` |
//! | `[[trusted-builders]]` | `name` of a builder |
//! | `[registry-mirrors]` | a mirror by registry |
//! | `insecure-registries` | registries without TLS, or with a certificate that nobody vouches for: not of pack |
//! | `[[registries]]`, `default-registry` | buildpack registries, kept for pack |
//!
//! A file of pack's is read as it stands, and what this program does not know in it survives a change ([`edit`]).

pub(crate) mod edit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use buildpack::decode::Document;
use clap::ValueEnum;
use serde::Deserialize;

use self::edit::Edit;

/// The settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    home: PathBuf,
    text: String,
    settings: Settings,
}

/// The file as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Settings {
    experimental: bool,
    layout_repo_dir: String,
    default_builder_image: String,
    pull_policy: String,
    lifecycle_image: String,
    default_registry: String,
    run_images: Vec<RunImage>,
    trusted_builders: Vec<TrustedBuilder>,
    registries: Vec<Registry>,
    registry_mirrors: BTreeMap<String, String>,
    insecure_registries: Vec<String>,
}

/// A run image and where else it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RunImage {
    /// Its name, as builders give it.
    pub(crate) image: String,
    /// Names of the same image elsewhere, the best first.
    pub(crate) mirrors: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct TrustedBuilder {
    name: String,
}

/// A registry of buildpacks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Registry {
    /// What it is called here.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) url: String,
}

/// Whether an image is fetched that may be here already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PullPolicy {
    /// Fetch images, also those that are here
    Always,
    /// Fetch images that are not here
    #[default]
    IfNotPresent,
    /// Fetch nothing
    Never,
}

impl Config {
    /// Reads `config.toml` in `home`; one that is not there is empty.
    pub(crate) fn read(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(FILE);
        let doing = || format!("failed to read config {}", path.display());
        let text = match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => {
                let bytes = read?;
                // The parser says on which line the text ends.
                match String::from_utf8(bytes) {
                    Ok(text) => text,
                    Err(error) => {
                        let problem = Document::parse_bytes(error.as_bytes()).err();
                        let problem = problem.map_or_else(|| anyhow!(error), anyhow::Error::from);
                        return Err(problem.context(doing()));
                    }
                }
            }
        };
        let settings = Document::parse(&text).and_then(|document| document.decode());
        Ok(Self {
            home: home.to_owned(),
            settings: settings.with_context(doing)?,
            text,
        })
    }

    /// Begins a change of the file.
    pub(crate) fn edit(&self) -> anyhow::Result<Edit> {
        Edit::begin(&self.file(), &self.text)
    }

    /// Returns where the file is, or would be.
    pub(crate) fn file(&self) -> PathBuf {
        self.home.join(FILE)
    }

    /// Returns the file's text; empty if there is none.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns whether `experimental` is on.
    pub(crate) fn experimental(&self) -> bool {
        self.settings.experimental
    }

    /// Returns where images by name are: `layout-repo-dir`, else `<home>/layout-repo`.
    pub(crate) fn layout_repo_dir(&self) -> PathBuf {
        let set = given(&self.settings.layout_repo_dir).map(PathBuf::from);
        set.unwrap_or_else(|| self.default_layout_repo_dir())
    }

    /// Returns where images by name are if nothing is set.
    pub(crate) fn default_layout_repo_dir(&self) -> PathBuf {
        self.home.join("layout-repo")
    }

    /// Returns where volumes by name are (`--cache …;format=volume`).
    pub(crate) fn volumes_dir(&self) -> PathBuf {
        self.home.join("volumes")
    }

    /// Returns `default-builder-image`.
    pub(crate) fn default_builder(&self) -> Option<&str> {
        given(&self.settings.default_builder_image)
    }

    /// Returns `lifecycle-image`.
    pub(crate) fn lifecycle_image(&self) -> Option<&str> {
        given(&self.settings.lifecycle_image)
    }

    /// Returns `pull-policy`; without one it is `if-not-present`: what is in the layout repo may be in no registry.
    pub(crate) fn pull_policy(&self) -> anyhow::Result<PullPolicy> {
        let Some(name) = given(&self.settings.pull_policy) else {
            return Ok(PullPolicy::default());
        };
        PullPolicy::from_str(name, false).map_err(|_| {
            anyhow!(
                "invalid pull policy {name:?} in {}\nset another with: slipway config pull-policy if-not-present",
                self.file().display()
            )
        })
    }

    /// Returns the run images that have mirrors of the user's own.
    pub(crate) fn run_images(&self) -> &[RunImage] {
        &self.settings.run_images
    }

    /// Returns the mirrors of a run image, the best first.
    pub(crate) fn run_image_mirrors(&self, image: &str) -> &[String] {
        let mut images = self.settings.run_images.iter();
        let found = images.find(|it| it.image == image);
        found.map_or(&[], |it| &it.mirrors)
    }

    /// Returns the builders that the user trusts.
    pub(crate) fn trusted_builders(&self) -> impl Iterator<Item = &str> {
        let builders = self.settings.trusted_builders.iter();
        builders.map(|it| it.name.as_str())
    }

    /// Returns the registries of buildpacks, and whether each is the default one.
    pub(crate) fn registries(&self) -> impl Iterator<Item = (&Registry, bool)> {
        let default = &self.settings.default_registry;
        let registries = self.settings.registries.iter();
        registries.map(move |it| (it, it.name == *default))
    }

    /// Returns the registries that may have a bad certificate or none, `host[:port]`.
    pub(crate) fn insecure_registries(&self) -> &[String] {
        &self.settings.insecure_registries
    }

    /// Returns a mirror by registry; the registry `*` stands for all.
    pub(crate) fn registry_mirrors(&self) -> &BTreeMap<String, String> {
        &self.settings.registry_mirrors
    }
}

const FILE: &str = "config.toml";

/// An empty text is none, as in pack.
fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

impl std::fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

#[cfg(test)]
mod tests;
