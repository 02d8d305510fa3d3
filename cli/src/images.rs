//! Images by the names that people type: where they are, and opening them.
//!
//! | name | where |
//! |---|---|
//! | `oci:DIR`, `oci:DIR:TAG`, `oci:DIR@DIGEST` | a layout anywhere |
//! | `oci-archive:FILE`, with `:TAG` or `@DIGEST` too | a tar of a layout |
//! | `docker-archive:FILE` | a tar of Docker 25 or newer, which is one of a layout too |
//! | `docker://NAME` | in a registry |
//! | `docker-daemon:NAME` | in the daemon that `DOCKER_HOST` names |
//! | `NAME`, `NAME:TAG`, `REGISTRY/NAME@DIGEST` | in the layout repo, under the path that the name stands for; if it is not there, in its registry |
//!
//! A path that is there wins, colons and all; else the longest that is there and that a colon follows. A tag that was
//! typed must be the image's. Without one, the only image is meant, or the one for the platform, or that named `latest`.

pub(crate) mod daemon;
pub(crate) mod made;
pub(crate) mod output;
pub(crate) mod packages;
pub(crate) mod pull;
pub(crate) mod stores;

use std::any::Any;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use layout::index::{self, Entry};
use layout::manifest::{Index, Platform};
use layout::{Archive, Digest, Image, Layout, Reference, Selector};
use registry::RegistryBlobs;

use self::pull::Remote;
use self::stores::Stores;
use crate::config::PullPolicy;

/// The tag that is meant where none is typed and there are several.
pub(crate) const LATEST: &str = "latest";

/// An image name as it was typed, understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ImageName {
    /// `oci:`: a directory, and which of its images.
    Layout(PathBuf, Selector),
    /// `oci-archive:`: a file, and which of its images.
    Archive(PathBuf, Selector),
    /// `docker://`: in a registry, whatever the layout repo has.
    Registry(Reference),
    /// `docker-daemon:`: a name in the daemon, or an ID.
    Daemon(String),
    /// A name, to be found in the layout repo or in its registry.
    Named(String),
}

/// What [`Reference::parse`] takes, in a line.
const NAMES: &str = "a name is [HOST[:PORT]/]REPOSITORY[:TAG] or, instead of the tag, @sha256:DIGEST; a repository has 2 to 255 small letters, digits and any of _ - . /";

impl ImageName {
    /// Understands a name.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let Some((kind, rest)) = text.split_once(':') else {
            return Self::named(text);
        };
        let split = |exists: fn(&Path) -> bool| {
            split(rest, &exists).with_context(|| format!("invalid image name '{text}'"))
        };
        match kind {
            "oci" => {
                let (dir, selector) = split(Path::is_dir)?;
                Ok(Self::Layout(dir, selector))
            }
            "oci-archive" | "docker-archive" => {
                let (file, selector) = split(Path::is_file)?;
                Ok(Self::Archive(file, selector))
            }
            // An image may be called `docker`.
            "docker" if rest.starts_with("//") => {
                let Ok(name) = Reference::parse(&rest[2..]) else {
                    bail!("invalid image name '{text}'\n{NAMES}");
                };
                Ok(Self::Registry(name))
            }
            "docker-daemon" if rest.is_empty() => bail!("invalid image name '{text}'"),
            "docker-daemon" => Ok(Self::Daemon(rest.to_owned())),
            "containers-storage" | "dir" => bail!(
                "{text} is read by skopeo alone\ncopy it into a layout: skopeo copy {text} oci:DIR:TAG"
            ),
            _ => Self::named(text),
        }
    }

    fn named(text: &str) -> anyhow::Result<Self> {
        if Reference::parse(text).is_ok() {
            return Ok(Self::Named(text.to_owned()));
        }
        let is_path = text.starts_with(['.', '/']) || Path::new(text).exists();
        let hint = if is_path {
            format!("a layout in a directory is named oci:{text}")
        } else {
            NAMES.to_owned()
        };
        bail!("invalid image name '{text}'\n{hint}")
    }

    /// Opens the image with all its layers on this machine, which are pulled if need be; `platform` chooses where there are
    /// several. The error says where it was looked for.
    pub(crate) fn open(
        &self,
        stores: &Stores<'_>,
        platform: Option<&Platform>,
    ) -> anyhow::Result<Image> {
        match self {
            Self::Daemon(name) => {
                let image = stores.engine()?.whole_image(name)?;
                image.ok_or_else(|| absent_in_daemon(name, stores))
            }
            Self::Named(_) | Self::Registry(_) => match self.find(stores, platform)? {
                Found::Here(image) => Ok(*image),
                Found::There(remote) => {
                    let image = remote.into_repo(stores);
                    image.with_context(|| format!("failed to pull {self}"))
                }
            },
            Self::Layout(..) | Self::Archive(..) => self.view(stores, platform),
        }
    }

    /// Opens the image where it is: of one that is elsewhere only manifest and config are fetched before somebody reads a
    /// layer.
    pub(crate) fn view(
        &self,
        stores: &Stores<'_>,
        platform: Option<&Platform>,
    ) -> anyhow::Result<Image> {
        match self {
            Self::Layout(dir, selector) => {
                let index = Layout::at(dir).index()?;
                let Some(index) = index else {
                    bail!(
                        "no OCI image layout in {}: it has no index.json\nmake one there: slipway layout copy NAME oci:{}:TAG",
                        dir.display(),
                        dir.display()
                    );
                };
                pick(&index, Layout::at(dir).blobs(), selector, platform)
            }
            Self::Archive(file, selector) => {
                // A directory whose file system is a disk's, if the user says so with TMPDIR.
                let archive = Archive::open(file, &std::env::temp_dir())?;
                pick(archive.index(), archive.blobs(), selector, platform)
            }
            Self::Daemon(name) => {
                let image = stores.engine()?.image(name, None)?;
                image.ok_or_else(|| absent_in_daemon(name, stores))
            }
            Self::Named(_) | Self::Registry(_) => match self.find(stores, platform)? {
                Found::Here(image) => Ok(*image),
                Found::There(remote) => Ok(remote.image),
            },
        }
    }

    /// Returns whether nothing has to be fetched to open it, as far as can be known at once.
    pub(crate) fn is_here(&self, stores: &Stores<'_>) -> bool {
        let Self::Named(name) = self else {
            return !matches!(self, Self::Registry(_));
        };
        let repo = stores.config().layout_repo_dir();
        let dir = Reference::parse(name).map(|it| it.layout_path(&repo));
        dir.is_ok_and(|it| it.join("index.json").exists())
    }

    /// Returns whether an image of this name is a registry's or a daemon's, which have all layers of their images.
    pub(crate) fn is_elsewhere(&self, image: &Image) -> bool {
        let blobs: &dyn Any = &**image.blobs();
        matches!(self, Self::Daemon(_)) || blobs.is::<RegistryBlobs>()
    }

    /// Finds an image by its name, as the pull policy says.
    fn find(&self, stores: &Stores<'_>, platform: Option<&Platform>) -> anyhow::Result<Found> {
        let (name, policy) = match self {
            Self::Registry(name) => (name.clone(), None),
            other => (Reference::parse(&other.to_string())?, Some(stores.policy())),
        };
        let dir = name.layout_path(&stores.config().layout_repo_dir());
        let here = || anyhow::Ok(in_repo(&dir, platform)?.map(|it| Found::Here(Box::new(it))));
        match policy {
            Some(PullPolicy::Never) => {
                return here()?.ok_or_else(|| {
                    anyhow!(
                        "no image {self} in the layout repo: there is no OCI image layout in {}\n\
                         put it there: slipway layout copy oci:DIR {self}, or have it pulled: slipway config pull-policy if-not-present",
                        dir.display()
                    )
                });
            }
            Some(PullPolicy::IfNotPresent) => {
                if let Some(image) = here()? {
                    return Ok(image);
                }
            }
            Some(PullPolicy::Always) | None => {}
        }
        let remote = Remote::find(stores, &name, platform);
        let remote = remote.map_err(|error| {
            anyhow!(
                "{error:#}\nwhere that registry cannot be reached, put the image into the layout repo: slipway layout copy oci:DIR {}",
                name.name()
            )
        })?;
        if let Some(remote) = remote {
            return Ok(Found::There(Box::new(remote)));
        }
        // As with pack, what its registry does not know may be here.
        let here = if policy.is_some() { here()? } else { None };
        here.ok_or_else(|| {
            let registry = &stores.mirrored(&name).registry;
            anyhow!(
                "there is no image {self} in the layout repo (in {}), nor does its registry {registry} have one\n\
                 is the name right? what you have elsewhere can be put into the layout repo: slipway layout copy oci:DIR {self}",
                dir.display()
            )
        })
    }
}

/// An image by its name.
enum Found {
    Here(Box<Image>),
    There(Box<Remote>),
}

/// Opens the image of a place in the layout repo, if there is one.
fn in_repo(dir: &Path, platform: Option<&Platform>) -> anyhow::Result<Option<Image>> {
    let Some(index) = Layout::at(dir).index()? else {
        return Ok(None);
    };
    // The path names the image, whatever its ref name is.
    let any = Selector::default();
    pick(&index, Layout::at(dir).blobs(), &any, platform).map(Some)
}

fn absent_in_daemon(name: &str, stores: &Stores<'_>) -> anyhow::Error {
    match stores.engine() {
        Ok(engine) => anyhow!("the daemon at {} has no image {name}", engine.host()),
        Err(error) => error,
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, path, selector) = match self {
            Self::Named(name) => return f.write_str(name),
            Self::Registry(name) => return write!(f, "docker://{name}"),
            Self::Daemon(name) => return write!(f, "docker-daemon:{name}"),
            Self::Layout(path, selector) => ("oci", path, selector),
            Self::Archive(path, selector) => ("oci-archive", path, selector),
        };
        write!(f, "{kind}:{}", path.display())?;
        if let Some(tag) = &selector.ref_name {
            write!(f, ":{tag}")?;
        }
        match &selector.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Splits what follows `oci:` into a path and which of the images there.
fn split(text: &str, exists: &dyn Fn(&Path) -> bool) -> anyhow::Result<(PathBuf, Selector)> {
    if exists(Path::new(text)) {
        return Ok((PathBuf::from(text), Selector::default()));
    }
    let (rest, digest) = match text.rsplit_once('@') {
        Some((rest, end)) if end.starts_with("sha") => match end.parse::<Digest>() {
            Ok(digest) => (rest, Some(digest)),
            Err(_) => bail!("'{end}' is no digest"),
        },
        _ => (text, None),
    };
    let (path, tag) = split_tag(rest, exists);
    if path.is_empty() {
        bail!("it has no path");
    }
    if tag == Some("") {
        bail!("write a tag behind the colon, or leave the colon out");
    }
    let selector = Selector {
        digest,
        ref_name: tag.map(str::to_owned),
        ..Selector::default()
    };
    Ok((PathBuf::from(path), selector))
}

fn split_tag<'a>(text: &'a str, exists: &dyn Fn(&Path) -> bool) -> (&'a str, Option<&'a str>) {
    if exists(Path::new(text)) {
        return (text, None);
    }
    let mut splits = text.rmatch_indices(':').map(|(at, _)| text.split_at(at));
    if let Some((path, tag)) = splits.find(|(path, _)| exists(Path::new(path))) {
        return (path, Some(&tag[1..]));
    }
    match text.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (text, None),
    }
}

/// Opens the image of an index that is meant.
fn pick(
    index: &Index,
    blobs: std::sync::Arc<dyn layout::blob::Blobs>,
    selector: &Selector,
    platform: Option<&Platform>,
) -> anyhow::Result<Image> {
    let selector = Selector {
        platform: platform.cloned(),
        ..selector.clone()
    };
    let entries = index::entries(index, &*blobs)?;
    if let Some(tag) = &selector.ref_name
        && !entries.iter().any(|it| it.ref_name.as_ref() == Some(tag))
    {
        bail!(
            "no image named {tag} in {}{}",
            blobs.location(),
            listed(&entries)
        );
    }
    let mut entry = index::select(index, &*blobs, &selector)?;
    if selector.ref_name.is_none() && selector.digest.is_none() {
        entry = latest(entry, &entries, &blobs.location())?;
    }
    Ok(entry.open(blobs)?)
}

/// Returns the one that no tag means of images with names of their own, as good as `chosen` otherwise.
fn latest(chosen: Entry, entries: &[Entry], location: &str) -> anyhow::Result<Entry> {
    let digest = chosen.descriptor.digest.clone();
    let equals: Vec<_> = entries
        .iter()
        .filter(|it| it.ref_name.is_some() && it.platform == chosen.platform)
        .collect();
    if chosen.ref_name.is_none() || equals.iter().all(|it| it.descriptor.digest == digest) {
        return Ok(chosen);
    }
    let latest = equals
        .iter()
        .find(|it| it.ref_name.as_deref() == Some(LATEST));
    match latest {
        Some(&entry) => Ok(entry.clone()),
        None => bail!(
            "there are several images in {location}{}\nsay which: put :TAG or @DIGEST behind the path",
            listed(entries)
        ),
    }
}

fn listed(entries: &[Entry]) -> String {
    match entries {
        [] => ": its index.json lists no image".to_owned(),
        all => {
            let lines: Vec<_> = all.iter().map(|it| format!("\n  {it}")).collect();
            format!("; it holds:{}", lines.concat())
        }
    }
}

#[cfg(test)]
mod tests;
