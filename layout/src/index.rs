//! Choosing one image of an index: OCI index or Docker manifest list, nested or not (image-index.md, image-layout.md).
//!
//! A single image is taken whatever its platform. Otherwise images are narrowed down by digest,
//! ref name, platform and distribution, in this order, and the first in the order of the index is
//! taken where several are left. Attestations (manifests that speak about other manifests) are no
//! images. Where a descriptor names no platform, the image's config does.

use std::collections::HashSet;

use crate::blob::{self, Blobs};
use crate::digest::Digest;
use crate::image::{self, Image};
use crate::manifest::{
    Descriptor, Document, DocumentError, Index, Manifest, MediaType, Platform, to_oci,
};
use crate::text::printable;

/// Labels of an image that hold name and version of its distribution.
pub const DISTRO_LABELS: [&str; 2] = [
    "io.buildpacks.base.distro.name",
    "io.buildpacks.base.distro.version",
];

/// The annotation that marks a manifest as one about another manifest.
const ATTESTATION: (&str, &str) = ("vnd.docker.reference.type", "attestation-manifest");

/// Indexes may nest this deep; nobody needs more than two.
const MAX_DEPTH: usize = 8;

/// Images and indexes that one layout may list.
const MAX_ENTRIES: usize = 10_000;

/// Documents that are fetched from elsewhere to find out what an index lists; a real one says it itself.
const MAX_LOOKS: usize = 64;

/// Images that an error lists, and characters of each of their names.
const MAX_LISTED: (usize, usize) = (30, 100);

/// Which image of an index is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// This manifest, wherever it is nested; or the images of this nested index.
    pub digest: Option<Digest>,
    /// The manifest with this `org.opencontainers.image.ref.name`, its own or that of the index that names it.
    /// Where no image has a ref name, this does not count.
    pub ref_name: Option<String>,
    /// What it must run on; `None` means linux on this program's architecture.
    pub platform: Option<Platform>,
    /// Distribution name and version ([`DISTRO_LABELS`]), compared where platform alone leaves several.
    pub distro: Option<(String, String)>,
}

/// An image that an index lists, directly or through other indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Descriptor of the manifest.
    pub descriptor: Descriptor,
    /// `org.opencontainers.image.ref.name` of the descriptor or of an index above.
    pub ref_name: Option<String>,
    /// Platform as the descriptor says, else as the config does; `None` if neither can be read.
    pub platform: Option<Platform>,
    /// Digests of the indexes above, outermost first.
    pub within: Vec<Digest>,
}

/// Returns all images that `index` lists, in its order.
pub fn entries(index: &Index, blobs: &dyn Blobs) -> Result<Vec<Entry>, Error> {
    let mut walk = Walk {
        blobs,
        left: MAX_ENTRIES,
        looks: Looks::default(),
        found: Vec::new(),
    };
    walk.visit(index, &Place::default())?;
    Ok(walk.found)
}

/// Returns the image that `selector` means.
pub fn select(index: &Index, blobs: &dyn Blobs, selector: &Selector) -> Result<Entry, Error> {
    let all = entries(index, blobs)?;
    match choose(all.clone(), blobs, selector)? {
        Some(entry) => Ok(entry),
        None => Err(Error::no_match(&all, blobs, selector)),
    }
}

fn choose(
    mut entries: Vec<Entry>,
    blobs: &dyn Blobs,
    selector: &Selector,
) -> Result<Option<Entry>, Error> {
    if let Some(digest) = &selector.digest {
        entries.retain(|it| it.descriptor.digest == *digest || it.within.contains(digest));
    }
    if let Some(wanted) = &selector.ref_name
        && entries.iter().any(|it| it.ref_name.is_some())
    {
        let single_unnamed = is_single(&entries) && entries.iter().any(|it| it.ref_name.is_none());
        entries.retain(|it| single_unnamed || it.ref_name.as_ref() == Some(wanted));
    }
    if is_single(&entries) {
        return Ok(entries.into_iter().next());
    }
    let wanted = selector.platform.clone().unwrap_or_else(Platform::host);
    entries.retain(|it| it.platform.as_ref().is_some_and(|it| fits(it, &wanted)));
    keep_plainest_variant(&mut entries, &wanted);
    if !is_single(&entries)
        && let Some(distro) = &selector.distro
    {
        let mut of_distro = Vec::new();
        let mut looks = Looks::default();
        for entry in entries {
            looks.count(blobs, &entry.descriptor.digest)?;
            if has_distro(&entry, blobs, distro)? {
                of_distro.push(entry);
            }
        }
        entries = of_distro;
    }
    Ok(entries.into_iter().next())
}

/// One image, maybe under several names.
fn is_single(entries: &[Entry]) -> bool {
    let mut digests = entries.iter().map(|it| &it.descriptor.digest);
    digests
        .next()
        .is_some_and(|first| digests.all(|it| it == first))
}

/// What `wanted` leaves empty does not matter.
fn fits(found: &Platform, wanted: &Platform) -> bool {
    let says = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
    let variant = |it: &Platform| default_variant(&it.architecture, &it.variant).to_owned();
    found.os == wanted.os
        && found.architecture == wanted.architecture
        && (wanted.variant.is_empty() || variant(found) == variant(wanted))
        && says(&wanted.os_version, &found.os_version)
        && wanted
            .os_features
            .iter()
            .all(|it| found.os_features.contains(it))
}

/// An architecture without a variant means its most common one.
fn default_variant<'a>(architecture: &str, variant: &'a str) -> &'a str {
    match (architecture, variant) {
        ("amd64", "") => "v1",
        ("arm64", "") => "v8",
        ("arm", "") => "v7",
        _ => variant,
    }
}

/// Where no variant was asked for, the one that runs on most machines is meant.
fn keep_plainest_variant(entries: &mut Vec<Entry>, wanted: &Platform) {
    let usual = default_variant(&wanted.architecture, "");
    let is_usual = |entry: &Entry| {
        let platform = entry.platform.as_ref();
        platform.is_some_and(|it| default_variant(&it.architecture, &it.variant) == usual)
    };
    if wanted.variant.is_empty() && entries.iter().any(is_usual) {
        entries.retain(is_usual);
    }
}

fn has_distro(
    entry: &Entry,
    blobs: &dyn Blobs,
    (name, version): &(String, String),
) -> Result<bool, Error> {
    let Some(manifest) = manifest_of(blobs, &entry.descriptor)? else {
        return Ok(false);
    };
    let config = image::read_config(blobs, &manifest)?;
    let [name_label, version_label] = DISTRO_LABELS.map(|label| config.label(label));
    Ok(name_label == Some(name) && version_label == Some(version))
}

fn manifest_of(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Option<Manifest>, Error> {
    let Some(bytes) = blob::read(blobs, descriptor)? else {
        return Ok(None);
    };
    match Document::parse(&bytes, &descriptor.media_type) {
        Ok(Document::Manifest(manifest)) => Ok(Some(*manifest)),
        _ => Ok(None),
    }
}

/// Walks indexes depth-first, bounded in depth and number.
struct Walk<'a> {
    blobs: &'a dyn Blobs,
    left: usize,
    looks: Looks,
    found: Vec<Entry>,
}

/// Counts the documents that were fetched, so that nobody makes us fetch for ever.
#[derive(Default)]
struct Looks(usize);

impl Looks {
    /// Fails if there were too many. What lies on this machine does not count.
    fn count(&mut self, blobs: &dyn Blobs, digest: &Digest) -> Result<(), Error> {
        if blobs.path(digest).is_some() {
            return Ok(());
        }
        self.0 += 1;
        if self.0 > MAX_LOOKS {
            return Err(Error::TooManyLooks {
                location: blobs.location(),
            });
        }
        Ok(())
    }
}

/// Where in a tree of indexes the walk is.
#[derive(Clone, Default)]
struct Place {
    within: Vec<Digest>,
    ref_name: Option<String>,
    platform: Option<Platform>,
}

impl Walk<'_> {
    fn visit(&mut self, index: &Index, place: &Place) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for descriptor in &index.manifests {
            let (key, value) = ATTESTATION;
            if descriptor.annotations.get(key).map(String::as_str) == Some(value) {
                continue;
            }
            let ref_name = descriptor.ref_name().map(str::to_owned);
            let ref_name = ref_name.or_else(|| place.ref_name.clone());
            if !seen.insert((descriptor.digest.clone(), ref_name.clone())) {
                continue;
            }
            self.left = self.left.checked_sub(1).ok_or_else(|| Error::TooMany {
                location: self.blobs.location(),
            })?;
            let mut below = place.clone();
            below.ref_name = ref_name;
            below.platform = descriptor.platform.clone().or(below.platform);
            self.entry(descriptor, below)?;
        }
        Ok(())
    }

    fn entry(&mut self, descriptor: &Descriptor, mut place: Place) -> Result<(), Error> {
        // Whoever meets a media type that is new to it must ignore it (image-index.md).
        let is_index = match to_oci(&descriptor.media_type) {
            MediaType::ImageManifest => false,
            MediaType::ImageIndex => true,
            MediaType::Other(text) if text.is_empty() => true,
            _ => return Ok(()),
        };
        if is_index && let Some(index) = self.nested(descriptor)? {
            if place.within.contains(&descriptor.digest) || place.within.len() >= MAX_DEPTH {
                return Err(Error::TooDeep {
                    digest: descriptor.digest.clone(),
                    location: self.blobs.location(),
                });
            }
            place.within.push(descriptor.digest.clone());
            return self.visit(&index, &place);
        }
        let platform = match place.platform {
            Some(platform) => Some(platform),
            None => self.platform_of(descriptor)?,
        };
        self.found.push(Entry {
            descriptor: descriptor.clone(),
            ref_name: place.ref_name,
            platform,
            within: place.within,
        });
        Ok(())
    }

    /// Returns the index that a descriptor names; `None` if it names an image.
    fn nested(&mut self, descriptor: &Descriptor) -> Result<Option<Index>, Error> {
        self.looks.count(self.blobs, &descriptor.digest)?;
        let location = || self.blobs.location();
        let Some(bytes) = blob::read(self.blobs, descriptor)? else {
            return Err(Error::Image(Box::new(image::Error::Missing {
                what: "manifest",
                digest: descriptor.digest.clone(),
                location: location(),
            })));
        };
        match Document::parse(&bytes, &descriptor.media_type) {
            Ok(Document::Index(index)) => Ok(Some(index)),
            Ok(Document::Manifest(_)) => Ok(None),
            Err(source) => Err(Error::Document {
                digest: descriptor.digest.clone(),
                location: location(),
                source,
            }),
        }
    }

    /// An image that is absent or damaged has no platform: it may not be the one that is asked for. A store that does
    /// not answer is an error, and not asked for the next one.
    fn platform_of(&mut self, descriptor: &Descriptor) -> Result<Option<Platform>, Error> {
        self.looks.count(self.blobs, &descriptor.digest)?;
        let manifest = match manifest_of(self.blobs, descriptor) {
            Ok(Some(manifest)) => manifest,
            Err(Error::Blob(error @ blob::Error::Elsewhere(_))) => return Err(error.into()),
            _ => return Ok(None),
        };
        match image::read_config(self.blobs, &manifest) {
            Ok(config) => Ok(Some(config.platform())),
            Err(image::Error::Blob(error @ blob::Error::Elsewhere(_))) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

/// Why no image could be chosen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A blob could not be read.
    #[error(transparent)]
    Blob(#[from] blob::Error),
    /// A document that an index names is no manifest and no index.
    #[error("failed to read {digest} in {location}")]
    Document {
        /// The document.
        digest: Digest,
        /// Where it is.
        location: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// An image of the index could not be read.
    #[error(transparent)]
    Image(#[from] Box<image::Error>),
    /// None fits.
    #[error("no image in {location} {wanted}; {found}")]
    NoMatch {
        /// The layout.
        location: String,
        /// What was asked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// Indexes nest too deep, or within themselves.
    #[error("index {digest} in {location} is nested too deep")]
    TooDeep {
        /// The index.
        digest: Digest,
        /// Where it is.
        location: String,
    },
    /// An index that says too little of what it lists.
    #[error(
        "the indexes in {location} say of more than {MAX_LOOKS} images neither what they are nor for which platform\nname the image by its digest"
    )]
    TooManyLooks {
        /// The repository.
        location: String,
    },
    /// More entries than any real index has.
    #[error("the indexes in {location} list more than {MAX_ENTRIES} images")]
    TooMany {
        /// The layout.
        location: String,
    },
}

impl Error {
    fn no_match(all: &[Entry], blobs: &dyn Blobs, selector: &Selector) -> Self {
        let mut wanted = Vec::new();
        if let Some(digest) = &selector.digest {
            wanted.push(format!("is {digest}"));
        }
        if let Some(name) = &selector.ref_name {
            wanted.push(format!("is named {name}"));
        }
        let platform = selector.platform.clone().unwrap_or_else(Platform::host);
        wanted.push(format!("is for {platform}"));
        if let Some((name, version)) = &selector.distro {
            wanted.push(format!("is based on {name} {version}"));
        }
        let found = match all {
            [] => "its index.json lists no image".to_owned(),
            all => {
                let (most, _) = MAX_LISTED;
                let lines = all.iter().take(most).map(|it| format!("\n  {it}"));
                let more = match all.len().saturating_sub(most) {
                    0 => String::new(),
                    more => format!("\n  and {more} more"),
                };
                format!("it holds:{}{more}", lines.collect::<String>())
            }
        };
        Self::NoMatch {
            location: blobs.location(),
            wanted: wanted.join(" and "),
            found,
        }
    }
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::Image(Box::new(error))
    }
}

impl std::fmt::Display for Entry {
    /// `digest os/architecture [ref name]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let platform = self.platform.clone().unwrap_or_default().to_string();
        let name = self.ref_name.as_deref().map(|it| format!(" {it}"));
        let text = format!("{platform}{}", name.unwrap_or_default());
        let (_, most) = MAX_LISTED;
        write!(f, "{} {}", self.descriptor.digest, printable(&text, most))
    }
}

impl Entry {
    /// Opens the image.
    pub fn open(&self, blobs: std::sync::Arc<dyn Blobs>) -> Result<Image, image::Error> {
        Image::open(blobs, &self.descriptor)
    }
}

#[cfg(test)]
mod tests;
