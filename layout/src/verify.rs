//! Checks that a layout holds what it says: structure, sizes, digests, diffIDs.
//!
//! Every problem is reported, not only the first. What is written elsewhere in this crate links
//! blobs without reading them: this is where their content is checked. Nothing is changed.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;

use crate::blob::{self, Blobs as _, LayoutBlobs, TEMPORARY, sorted_entries};
use crate::config::ImageConfig;
use crate::digest::{DiffId, Digest, Mismatch};
use crate::image;
use crate::json;
use crate::manifest::{Descriptor, Document, Index, Manifest, MediaType, to_oci};
use crate::store::Layout;

/// What is no problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Layers may be absent.
    pub sparse: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Images whose manifest could be read.
    pub images: usize,
    /// Blobs that were read to their end.
    pub blobs: usize,
    /// Layers that are absent.
    pub absent_layers: usize,
    /// What is wrong, in the order in which it was found.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

/// What is wrong with a file of a layout.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It is named by another file, or by the image layout specification.
    #[error("is not there")]
    Absent,
    /// Other content than its name says.
    #[error("holds {found}")]
    Digest {
        /// Digest of what it holds.
        found: Digest,
    },
    /// Other content than the config says.
    #[error("unpacks to {found}, the config of the image says {expected}")]
    DiffId {
        /// What the config says.
        expected: DiffId,
        /// Digest of what it unpacks to.
        found: Digest,
    },
    /// The text of a document is not what it should be.
    #[error("{0}")]
    Document(String),
    /// A manifest and its config do not belong together.
    #[error("has {layers} layers, its config {diff_ids} diffIDs")]
    LayerCount {
        /// Layers of the manifest.
        layers: usize,
        /// diffIDs of the config.
        diff_ids: usize,
    },
    /// A file in a folder of blobs that is none.
    #[error("is not named by a digest")]
    Name,
    /// Other size than its descriptor says.
    #[error("has not the {expected} bytes that its descriptor says")]
    Size {
        /// What the descriptor says.
        expected: u64,
    },
    /// It could not be read.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads the whole layout.
pub fn verify(layout: &Layout, options: Options) -> Report {
    let mut run = Run {
        root: layout.path(),
        blobs: LayoutBlobs::of(layout.path()),
        options,
        documents: HashSet::new(),
        read: HashSet::new(),
        layers: HashSet::new(),
        report: Report::default(),
    };
    run.oci_layout();
    match layout.index() {
        Ok(Some(index)) => run.index(index),
        Ok(None) => run.problem(layout.path().join("index.json"), Reason::Absent),
        Err(error) => {
            let text = with_causes(&error);
            run.problem(layout.path().join("index.json"), Reason::Document(text));
        }
    }
    run.other_blobs();
    run.report
}

struct Run<'a> {
    root: &'a Path,
    blobs: LayoutBlobs,
    options: Options,
    /// Manifests and indexes seen, so that none is followed twice.
    documents: HashSet<Digest>,
    /// Blobs read to their end, or reported.
    read: HashSet<Digest>,
    /// Layers unpacked to their end, so that none is unpacked twice.
    layers: HashSet<(Digest, DiffId)>,
    report: Report,
}

#[derive(Deserialize)]
struct OciLayout {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

impl Run<'_> {
    fn problem(&mut self, path: PathBuf, reason: Reason) {
        self.report.problems.push(Problem { path, reason });
    }

    fn blob_problem(&mut self, digest: &Digest, reason: Reason) {
        self.problem(self.blobs.file(digest), reason);
    }

    fn oci_layout(&mut self) {
        let path = self.root.join("oci-layout");
        let reason = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reason::Absent,
            Err(error) => Reason::Unreadable(error.to_string()),
            Ok(bytes) => match json::from_slice::<OciLayout>(&bytes) {
                Ok(layout) if layout.version == "1.0.0" => return,
                Ok(layout) => Reason::Document(format!(
                    "is of version {}, only 1.0.0 is known",
                    layout.version
                )),
                Err(error) => Reason::Document(format!("is no layout header: {error}")),
            },
        };
        self.problem(path, reason);
    }

    fn index(&mut self, index: Index) {
        let mut left = index.manifests;
        left.reverse();
        while let Some(descriptor) = left.pop() {
            if !self.documents.insert(descriptor.digest.clone()) {
                continue;
            }
            match to_oci(&descriptor.media_type) {
                MediaType::ImageManifest | MediaType::ImageIndex => {}
                MediaType::Other(text) if text.is_empty() => {}
                // Something that is no image: all that can be checked is its digest.
                _ => {
                    self.plain(&descriptor, false);
                    continue;
                }
            }
            match self.document(&descriptor) {
                Some(Document::Index(index)) => left.extend(index.manifests.into_iter().rev()),
                Some(Document::Manifest(manifest)) => self.manifest(&descriptor.digest, &manifest),
                None => {}
            }
        }
    }

    fn document(&mut self, descriptor: &Descriptor) -> Option<Document> {
        let bytes = self.bytes(descriptor)?;
        match Document::parse(&bytes, &descriptor.media_type) {
            Ok(document) => Some(document),
            Err(error) => {
                let text = with_causes(&error);
                self.blob_problem(&descriptor.digest, Reason::Document(text));
                None
            }
        }
    }

    fn manifest(&mut self, digest: &Digest, manifest: &Manifest) {
        self.report.images += 1;
        let is_image = to_oci(&manifest.config.media_type) == MediaType::ImageConfig;
        let config = match self.bytes(&manifest.config) {
            Some(bytes) if is_image => ImageConfig::from_slice(&bytes),
            _ => {
                manifest.layers.iter().for_each(|it| self.plain(it, true));
                return;
            }
        };
        let diff_ids = match config {
            Ok(config) => config.diff_ids,
            Err(error) => {
                let text = format!("is no image config: {error}");
                self.blob_problem(&manifest.config.digest, Reason::Document(text));
                Vec::new()
            }
        };
        let counts = (manifest.layers.len(), diff_ids.len());
        if counts.0 != counts.1 {
            let (layers, diff_ids) = counts;
            self.blob_problem(digest, Reason::LayerCount { layers, diff_ids });
        }
        let diff_ids = diff_ids.iter().map(Some).chain(std::iter::repeat(None));
        for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
            match diff_id {
                Some(diff_id) => self.layer(layer, diff_id),
                None => self.plain(layer, true),
            }
        }
    }

    /// Checks digest, size and diffID in one pass.
    fn layer(&mut self, layer: &Descriptor, diff_id: &DiffId) {
        if !self.layers.insert((layer.digest.clone(), diff_id.clone())) {
            return;
        }
        let reader = match image::open_layer(&self.blobs, layer, diff_id) {
            Ok(Some(reader)) => reader,
            Ok(None) => return self.absent(&layer.digest, true),
            Err(error) => return self.unreadable(layer, &error),
        };
        match drain(reader) {
            Ok(()) => self.passed(&layer.digest),
            Err(error) => match mismatch(&error) {
                Some(Mismatch::Digest {
                    expected, found, ..
                }) if **expected == diff_id.0 && **expected != layer.digest => {
                    let found = (**found).clone();
                    let expected = diff_id.clone();
                    self.read.insert(layer.digest.clone());
                    self.blob_problem(&layer.digest, Reason::DiffId { expected, found });
                }
                Some(_) => self.unreadable(layer, &error.into()),
                // Damage inside a compressed stream: is it the blob, or what was compressed?
                None => {
                    let before = self.report.problems.len();
                    self.plain(layer, true);
                    if self.report.problems.len() == before {
                        let text = format!("cannot be decompressed: {error}");
                        self.blob_problem(&layer.digest, Reason::Unreadable(text));
                    }
                }
            },
        }
    }

    /// Checks digest and size.
    fn plain(&mut self, descriptor: &Descriptor, is_layer: bool) {
        match self.blobs.open(descriptor) {
            Ok(None) => self.absent(&descriptor.digest, is_layer),
            Err(error) => self.unreadable(descriptor, &error),
            Ok(Some(reader)) => match drain(reader) {
                Ok(()) => self.passed(&descriptor.digest),
                Err(error) => self.unreadable(descriptor, &error.into()),
            },
        }
    }

    /// Checks digest and size of a document and returns it.
    fn bytes(&mut self, descriptor: &Descriptor) -> Option<Vec<u8>> {
        match blob::read(&self.blobs, descriptor) {
            Ok(Some(bytes)) => {
                self.passed(&descriptor.digest);
                return Some(bytes);
            }
            Ok(None) => self.absent(&descriptor.digest, false),
            Err(error) => self.unreadable(descriptor, &error),
        }
        None
    }

    /// Blobs that no image names are still named by a digest.
    fn other_blobs(&mut self) {
        for algorithm in sorted_entries(&self.root.join("blobs")).unwrap_or_default() {
            for entry in sorted_entries(&algorithm.path()).unwrap_or_default() {
                let name = entry.file_name().display().to_string();
                if name.starts_with(TEMPORARY) {
                    continue;
                }
                let digest = format!("{}:{name}", algorithm.file_name().display());
                match (digest.parse::<Digest>(), entry.metadata()) {
                    (Err(_), _) => self.problem(entry.path(), Reason::Name),
                    (Ok(digest), _) if self.read.contains(&digest) => {}
                    (Ok(_), Err(error)) => {
                        self.problem(entry.path(), Reason::Unreadable(error.to_string()));
                    }
                    (Ok(digest), Ok(metadata)) => {
                        let unknown = MediaType::Other(String::new());
                        self.plain(&Descriptor::new(unknown, metadata.len(), digest), false);
                    }
                }
            }
        }
    }

    fn passed(&mut self, digest: &Digest) {
        if self.read.insert(digest.clone()) {
            self.report.blobs += 1;
        }
    }

    fn absent(&mut self, digest: &Digest, is_layer: bool) {
        self.report.absent_layers += usize::from(is_layer);
        if !(is_layer && self.options.sparse) {
            self.blob_problem(digest, Reason::Absent);
        }
    }

    fn unreadable(&mut self, descriptor: &Descriptor, error: &blob::Error) {
        self.read.insert(descriptor.digest.clone());
        let expected = descriptor.size;
        let cause = match error {
            blob::Error::Io(error) => mismatch(error),
            _ => None,
        };
        let reason = match (error, cause) {
            (blob::Error::Size { .. }, _) | (_, Some(Mismatch::Size { .. })) => {
                Reason::Size { expected }
            }
            (_, Some(Mismatch::Digest { found, .. })) => Reason::Digest {
                found: (**found).clone(),
            },
            _ => Reason::Unreadable(with_causes(error)),
        };
        self.blob_problem(&descriptor.digest, reason);
    }
}

fn drain(reader: impl Read) -> io::Result<()> {
    let mut buffered = BufReader::with_capacity(256 << 10, reader);
    io::copy(&mut buffered, &mut io::sink()).map(drop)
}

fn mismatch(error: &io::Error) -> Option<&Mismatch> {
    error.get_ref()?.downcast_ref()
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
