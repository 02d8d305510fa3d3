//! Blobs: files named by the digest of what they hold, checked when read, whole when seen (image-layout.md, Blobs).
//!
//! Reading checks digest and size. Writing goes to a temporary file in the same folder, which is
//! renamed once it is whole, so that a reader never sees half a blob.

use std::any::Any;
use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::digest::{Digest, Verified};
use crate::manifest::Descriptor;

/// Temporary files in a layout begin with this; the next change of the layout clears those that a killed writer left.
pub(crate) const TEMPORARY: &str = ".slipway-";

/// Manifests, indexes and configs larger than this are refused rather than read into memory.
pub const MAX_DOCUMENT: u64 = 16 << 20;

/// Manifests and indexes larger than this are refused of registries, which need not take larger ones either
/// (distribution specification, Pushing Manifests).
pub const MAX_MANIFEST: u64 = 4 << 20;

/// Where the blobs of an image are: a layout's folder here, a registry or a daemon elsewhere.
///
/// Whoever writes to one of those recognises its own blobs by their type (`Any`), and need not carry them.
pub trait Blobs: Any + std::fmt::Debug + Send + Sync {
    /// Returns a reader that fails at its end if the bytes are not those of the descriptor; `None` if the blob is absent.
    ///
    /// The media type tells where a registry has it: manifests and indexes are not among the blobs there.
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error>;

    /// Returns whether the blob is there, without reading it.
    fn has(&self, blob: &Descriptor) -> Result<bool, Error> {
        Ok(self.open(blob)?.is_some())
    }

    /// Returns the file that holds the blob, if it is one on this machine.
    fn path(&self, digest: &Digest) -> Option<PathBuf>;

    /// Returns the name of this place, for messages.
    fn location(&self) -> String;
}

/// Reads a small blob (a manifest, an index, a config) whole; `None` if it is absent.
pub fn read(blobs: &dyn Blobs, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    if descriptor.size > MAX_DOCUMENT {
        return Err(Error::TooLarge {
            what: descriptor.digest.to_string(),
            location: blobs.location(),
            size: descriptor.size,
        });
    }
    let Some(mut reader) = blobs.open(descriptor)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// The blobs of a layout in a directory.
#[derive(Clone, Debug)]
pub struct LayoutBlobs {
    layout: PathBuf,
}

impl LayoutBlobs {
    /// Names the blobs of the layout in `layout`; touches nothing.
    pub fn of(layout: &Path) -> Self {
        Self {
            layout: layout.to_owned(),
        }
    }

    /// Returns where the blob is if it is there at all: `blobs/<algorithm>/<encoded>`.
    pub fn file(&self, digest: &Digest) -> PathBuf {
        self.folder(digest.algorithm().as_ref())
            .join(digest.digest())
    }

    /// Returns the folder of an algorithm's blobs.
    pub(crate) fn folder(&self, algorithm: &str) -> PathBuf {
        self.layout.join("blobs").join(algorithm)
    }

    /// Returns the bytes of the blob's file; `None` if it is absent.
    pub(crate) fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.file(digest);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(_) => Err(Error::NotAFile(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns digest, path and bytes of every file that has a digest's name, in order of paths;
    /// none behind symbolic links.
    pub(crate) fn list(&self) -> Result<Vec<(Digest, PathBuf, u64)>, Error> {
        let mut found = Vec::new();
        let blobs = self.layout.join("blobs");
        if blobs.is_symlink() {
            return Ok(found);
        }
        for algorithm in sorted_entries(&blobs)? {
            if !algorithm.file_type()?.is_dir() {
                continue;
            }
            for entry in sorted_entries(&algorithm.path())? {
                let name = (algorithm.file_name(), entry.file_name());
                let digest = format!("{}:{}", name.0.display(), name.1.display()).parse();
                if let (Ok(digest), Ok(metadata)) = (digest, entry.metadata()) {
                    found.push((digest, entry.path(), metadata.len()));
                }
            }
        }
        Ok(found)
    }
}

impl Blobs for LayoutBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let Descriptor { digest, size, .. } = blob;
        let path = self.file(digest);
        // Asked before opening: a FIFO would block.
        match self.size(digest)? {
            None => return Ok(None),
            Some(found) if found != *size => {
                return Err(Error::Size {
                    path,
                    expected: *size,
                    found,
                });
            }
            Some(_) => {}
        }
        let file = fs::File::open(&path)?;
        let what = path.display().to_string();
        match Verified::new(file, digest, Some(*size), what) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(Error::Algorithm(digest.clone())),
        }
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.file(digest);
        path.is_file().then_some(path)
    }

    fn location(&self) -> String {
        self.layout.display().to_string()
    }
}

/// Reads part of an open file by a position of its own, so that several can.
#[derive(Debug)]
pub struct Section {
    file: Arc<fs::File>,
    offset: u64,
    left: u64,
}

impl Section {
    /// Returns a reader of `size` bytes from `offset` on, or of those that are there.
    pub fn new(file: &Arc<fs::File>, offset: u64, size: u64) -> Self {
        Self {
            file: Arc::clone(file),
            offset,
            left: size,
        }
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let read = self.file.file().read_at(&mut buffer[..most], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Returns what is in a folder, by name; nothing if there is no folder.
pub(crate) fn sorted_entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries?.collect::<io::Result<Vec<_>>>()?,
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Makes a temporary file with `mode` less the umask.
pub(crate) fn temporary_in(folder: &Path, mode: u32) -> io::Result<NamedTempFile> {
    tempfile::Builder::new()
        .prefix(TEMPORARY)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
}

/// Renames a temporary file to `path`.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map_err(|error| {
        let text = format!("failed to rename to {}: {}", path.display(), error.error);
        io::Error::new(error.error.kind(), text)
    })?;
    Ok(())
}

/// Why a blob could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A digest of an algorithm that cannot be checked.
    #[error("unsupported digest algorithm: {0}")]
    Algorithm(Digest),
    /// A registry or a daemon said no.
    #[error(transparent)]
    Elsewhere(Box<dyn std::error::Error + Send + Sync>),
    /// The file system said no, or the bytes are not those of the digest.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Something else has a blob's name.
    #[error("{0} is not a file")]
    NotAFile(PathBuf),
    /// The file is not as long as its descriptor says.
    #[error("{path} is damaged: it has {found} bytes, its descriptor says {expected}")]
    Size {
        /// The file.
        path: PathBuf,
        /// What the descriptor says.
        expected: u64,
        /// What it has.
        found: u64,
    },
    /// A document that nobody needs.
    #[error(
        "{what} in {location} is too large for a manifest, an index or a config: {size} bytes, at most {MAX_DOCUMENT}"
    )]
    TooLarge {
        /// The document.
        what: String,
        /// Where it is.
        location: String,
        /// Its bytes.
        size: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::manifest::MediaType;

    fn layout_with(name: &Digest, bytes: &[u8]) -> (tempfile::TempDir, LayoutBlobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LayoutBlobs::of(dir.path());
        fs::create_dir_all(blobs.folder("sha256")).unwrap();
        fs::write(blobs.file(name), bytes).unwrap();
        (dir, blobs)
    }

    #[test]
    fn what_is_read_is_what_its_digest_says() {
        let digest = sha256(b"bytes");
        let cases: [(&[u8], u64, Option<&str>); 4] = [
            (b"bytes", 5, None),
            (b"BYTES", 5, Some("its digest is")),
            (b"", 5, Some("it has 0 bytes, its descriptor says 5")),
            (b"bytes", u64::MAX, Some("too large")),
        ];
        for (bytes, size, error) in cases {
            let (_dir, blobs) = layout_with(&digest, bytes);
            let descriptor = Descriptor::new(MediaType::ImageConfig, size, digest.clone());
            match (read(&blobs, &descriptor), error) {
                (Ok(found), None) => assert_eq!(found.unwrap(), bytes),
                (Err(found), Some(text)) => {
                    let found = found.to_string();
                    assert!(found.contains(text), "{found}");
                }
                (found, _) => panic!("{found:?}"),
            }
        }
    }

    #[test]
    fn an_absent_blob_is_no_error_but_one_that_cannot_be_read_is() {
        let digest = sha256(b"bytes");
        let (_dir, blobs) = layout_with(&digest, b"bytes");
        let open = |digest: &Digest| {
            blobs.open(&Descriptor::new(MediaType::ImageConfig, 5, digest.clone()))
        };
        let other = sha256(b"other");
        assert!(open(&other).unwrap().is_none());
        assert_eq!(blobs.path(&other), None);
        fs::create_dir(blobs.file(&other)).unwrap();
        assert!(matches!(open(&other), Err(Error::NotAFile(_))));
        let fifo = sha256(b"fifo");
        let mode = rustix::fs::Mode::from(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, blobs.file(&fifo), mode).unwrap();
        assert!(matches!(open(&fifo), Err(Error::NotAFile(_))));
        let unknown = "blake3:abc".parse().unwrap();
        fs::create_dir_all(blobs.folder("blake3")).unwrap();
        fs::write(blobs.file(&unknown), b"bytes").unwrap();
        assert!(matches!(open(&unknown), Err(Error::Algorithm(_))));
    }
}
