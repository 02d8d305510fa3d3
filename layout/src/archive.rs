//! A layout in one file: a tar of `oci-layout`, `index.json` and `blobs/`, as `skopeo copy … oci-archive:FILE`,
//! `docker save` and buildpackages (`.cnb`) have it.
//!
//! Blobs are read where they lie in the file: nothing is unpacked, so no name in the archive ever becomes a path here.
//! Only plain files count. What else an archive holds, links and sparse files included, is as if it were not there.
//! A compressed archive is decompressed once, into a file without a name.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use tar::EntryType;

use crate::blob::{self, Blobs, MAX_DOCUMENT, Section};
use crate::digest::{Digest, Verified};
use crate::image::{self, Image};
use crate::index::{self, Entry, Selector};
use crate::json;
use crate::manifest::{Descriptor, Index};

/// Bytes of headers that an archive may have: some hundred thousand entries. Contents are skipped and do not count.
const MAX_HEADERS: u64 = 64 << 20;

/// A layout in a tar.
#[derive(Clone, Debug)]
pub struct Archive {
    blobs: Arc<ArchiveBlobs>,
    index: Index,
}

impl Archive {
    /// Reads where everything is in the archive `path`: a tar, maybe compressed with gzip or zstd.
    ///
    /// What is decompressed goes into a file in the directory `scratch`, which has no name there and goes with the archive.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, Error> {
        let file = uncompressed(path, scratch)?;
        let found = Members::find(&file).map_err(|source| Error::Tar {
            path: path.to_owned(),
            source,
        })?;
        let place = found.index;
        let (offset, size) = place.ok_or_else(|| Error::NoIndex(path.to_owned()))?;
        if found.has_second_index {
            return Err(Error::TwoIndexes(path.to_owned()));
        }
        if size > MAX_DOCUMENT {
            return Err(Error::Blob(blob::Error::TooLarge {
                what: "index.json".to_owned(),
                location: path.display().to_string(),
                size,
            }));
        }
        let file = Arc::new(file);
        let mut bytes = Vec::new();
        Section::new(&file, offset, size).read_to_end(&mut bytes)?;
        let index = json::from_slice(&bytes).map_err(|source| Error::Index {
            path: path.to_owned(),
            source,
        })?;
        let blobs = Arc::new(ArchiveBlobs {
            file,
            path: path.to_owned(),
            places: found.blobs,
        });
        Ok(Self { blobs, index })
    }

    /// Returns its `index.json`.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Returns its blobs.
    pub fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.blobs) as Arc<dyn Blobs>
    }

    /// Returns all images that `index.json` lists, directly or through other indexes.
    pub fn images(&self) -> Result<Vec<Entry>, index::Error> {
        index::entries(&self.index, &*self.blobs)
    }

    /// Returns the image that `selector` picks.
    pub fn image(&self, selector: &Selector) -> Result<Image, Error> {
        let entry = index::select(&self.index, &*self.blobs, selector)?;
        Ok(entry.open(self.blobs())?)
    }
}

/// Opens the archive, or a decompressed copy of it.
fn uncompressed(path: &Path, scratch: &Path) -> Result<fs::File, Error> {
    // Asked before opening: a FIFO would block.
    if !fs::metadata(path)?.is_file() {
        return Err(blob::Error::NotAFile(path.to_owned()).into());
    }
    let file = fs::File::open(path)?;
    let mut magic = [0; 4];
    // What is shorter is no archive, which the tar reader says better.
    let read = file.file().read_at(&mut magic, 0)?;
    if !image::is_compressed(&magic[..read]) {
        return Ok(file);
    }
    let mut copy = tempfile::tempfile_in(scratch)?;
    let damaged = |source| Error::Tar {
        path: path.to_owned(),
        source,
    };
    let mut tar = image::decompressed(Box::new(file)).map_err(damaged)?;
    io::copy(&mut tar, &mut copy).map_err(damaged)?;
    copy.rewind()?;
    Ok(fs::File::from_parts(copy, path.to_owned()))
}

/// Where things are in the archive: offsets and sizes.
#[derive(Default)]
struct Members {
    blobs: HashMap<String, (u64, u64)>,
    index: Option<(u64, u64)>,
    has_second_index: bool,
}

impl Members {
    fn find(file: &fs::File) -> io::Result<Self> {
        let mut found = Self::default();
        let mut archive = tar::Archive::new(Headers {
            file,
            left: MAX_HEADERS,
        });
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let kind = entry.header().entry_type();
            if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
                continue;
            }
            let place = (entry.raw_file_position(), entry.size());
            found.add(&entry.path_bytes(), place);
        }
        Ok(found)
    }

    fn add(&mut self, name: &[u8], place: (u64, u64)) {
        let Ok(name) = std::str::from_utf8(name) else {
            return;
        };
        // Some write `./index.json`, some `/index.json`.
        let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
        match parts.collect::<Vec<_>>()[..] {
            ["index.json"] => self.has_second_index = self.index.replace(place).is_some(),
            ["blobs", algorithm, encoded] => {
                // As unpacking would have it, the last one counts. Whichever it is, its bytes are checked.
                self.blobs.insert(format!("{algorithm}:{encoded}"), place);
            }
            _ => {}
        }
    }
}

/// The headers of a tar: the reader skips contents by seeking, so what it reads are headers, long names among them.
struct Headers<'a> {
    file: &'a fs::File,
    left: u64,
}

impl Read for Headers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other("it has more headers than any image"))?;
        Ok(read)
    }
}

impl Seek for Headers<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The blobs of a layout in a tar.
#[derive(Debug)]
struct ArchiveBlobs {
    file: Arc<fs::File>,
    path: PathBuf,
    /// Offset and size by digest.
    places: HashMap<String, (u64, u64)>,
}

impl Blobs for ArchiveBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let Descriptor { digest, size, .. } = blob;
        let Some(&(offset, found)) = self.places.get(digest.as_ref()) else {
            return Ok(None);
        };
        let what = format!("{digest} in {}", self.path.display());
        if found != *size {
            return Err(blob::Error::Size {
                path: PathBuf::from(what),
                expected: *size,
                found,
            });
        }
        match Verified::new(
            Section::new(&self.file, offset, *size),
            digest,
            Some(*size),
            what,
        ) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(blob::Error::Algorithm(digest.clone())),
        }
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// Why a layout in an archive could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A blob could not be read.
    #[error(transparent)]
    Blob(#[from] blob::Error),
    /// An image could not be read.
    #[error(transparent)]
    Image(#[from] Box<image::Error>),
    /// `index.json` is none.
    #[error("failed to read index.json in {}: not an image index", path.display())]
    Index {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Some other tar.
    #[error("{} is no archive of an OCI image layout: it has no index.json", .0.display())]
    NoIndex(PathBuf),
    /// No image of the archive was meant.
    #[error(transparent)]
    Select(#[from] Box<index::Error>),
    /// No tar, or a damaged one.
    #[error("failed to read archive {}", path.display())]
    Tar {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// One reader would take the first, another the last.
    #[error("{} is damaged: it has index.json more than once", .0.display())]
    TwoIndexes(PathBuf),
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::Image(Box::new(error))
    }
}

impl From<index::Error> for Error {
    fn from(error: index::Error) -> Self {
        Self::Select(Box::new(error))
    }
}

#[cfg(test)]
mod tests;
