//! Images by the names that people type: where they are, and opening them.
//!
//! | name | where |
//! |---|---|
//! | `oci:DIR`, `oci:DIR:TAG`, `oci:DIR@DIGEST` | a layout anywhere |
//! | `oci-archive:FILE`, with `:TAG` or `@DIGEST` too | a tar of a layout |
//! | `NAME`, `NAME:TAG`, `REGISTRY/NAME@DIGEST` | in the layout repo, under the path that the name stands for |
//!
//! A path that is there wins, colons and all; else the longest that is there and that a colon follows. A tag that was
//! typed must be the image's. Without one, the only image is meant, or the one for the platform, or that named `latest`.

pub(crate) mod output;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use layout::index::{self, Entry};
use layout::manifest::{Index, Platform};
use layout::{Archive, Digest, Image, Layout, Reference, Selector};

use crate::config::Config;

/// The tag that is meant where none is typed and there are several.
pub(crate) const LATEST: &str = "latest";

/// An image name as it was typed, understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ImageName {
    /// `oci:`: a directory, and which of its images.
    Layout(PathBuf, Selector),
    /// `oci-archive:`: a file, and which of its images.
    Archive(PathBuf, Selector),
    /// A name, to be found in the layout repo.
    Named(String),
}

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
            "oci-archive" => {
                let (file, selector) = split(Path::is_file)?;
                Ok(Self::Archive(file, selector))
            }
            "docker" | "docker-daemon" | "docker-archive" | "containers-storage" | "dir" => bail!(
                "cannot read {text}: images are read from OCI layouts only so far\ncopy it into one: skopeo copy {text} oci:DIR:TAG"
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
            format!("\na layout in a directory is named oci:{text}")
        } else {
            String::new()
        };
        bail!("invalid image name '{text}'{hint}")
    }

    /// Opens the image; `platform` chooses where an index has several. The error says where it was looked for.
    pub(crate) fn open(
        &self,
        config: &Config,
        platform: Option<&Platform>,
    ) -> anyhow::Result<Image> {
        match self {
            Self::Layout(dir, selector) => {
                let index = Layout::at(dir).index()?;
                let Some(index) = index else {
                    bail!(
                        "no OCI image layout in {}: it has no index.json\nmake one there: skopeo copy docker://IMAGE oci:{}:TAG",
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
            Self::Named(name) => {
                let reference = Reference::parse(name)?;
                let dir = reference.layout_path(&config.layout_repo_dir());
                let Some(index) = Layout::at(&dir).index()? else {
                    bail!(
                        "no image {name} in the layout repo: there is no OCI image layout in {}\n\
                         put it there: skopeo copy docker://{} oci:{}:{}",
                        dir.display(),
                        skopeo_name(&reference),
                        dir.display(),
                        reference.identifier().trim_start_matches("sha256:")
                    );
                };
                // The path names the image, whatever its ref name is.
                let any = Selector::default();
                pick(&index, Layout::at(&dir).blobs(), &any, platform)
            }
        }
    }
}

impl std::fmt::Display for ImageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, path, selector) = match self {
            Self::Named(name) => return f.write_str(name),
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

/// Docker's tools know the default registry by another name.
fn skopeo_name(reference: &Reference) -> String {
    let name = reference.name();
    match name.strip_prefix("index.docker.io/") {
        Some(rest) => format!("docker.io/{rest}"),
        None => name,
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
