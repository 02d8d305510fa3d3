//! Layers: a list of entries becomes a tar, byte for byte as the reference writes it, in one pass.
//!
//! ```text
//! walk ─► entries ─► header (USTAR or PAX) ─► tar stream ─┬► sha256 (diffID)
//!                                                         ├► gzip members on all cores ─► sha256 (digest) ─► blob
//!                                                         └► tee (a cache)
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::digest::DiffId;
use crate::manifest::Descriptor;

/// What a layer holds, in the order of its tar; contents of files stay on disk until they are written.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Entries in tar order.
    pub entries: Vec<Entry>,
}

/// One entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Absolute path in the image, no trailing slash; any bytes.
    pub name: PathBuf,
    /// Permission, set-id and sticky bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file whose bytes are read from `source` when the tar is written; `size` bytes, or the write fails.
    File {
        /// The file on disk.
        source: PathBuf,
        /// Its bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Literal target.
        target: PathBuf,
    },
    /// A FIFO.
    Fifo,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// Ids that every entry gets instead of those on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Layer {
    /// Returns the layer of a directory: one entry per ancestor with its real owner, then the tree (EXP-025 to EXP-034).
    pub fn of_directory(dir: &Path, owner: Option<Owner>) -> Result<Self, Error> {
        let _ = (dir, owner);
        todo!()
    }

    /// Writes the tar.
    pub fn write_tar(&self, out: &mut dyn Write) -> Result<(), Error> {
        let _ = out;
        todo!()
    }

    /// Returns the diffID; reads the files, compresses nothing.
    pub fn diff_id(&self) -> Result<DiffId, Error> {
        todo!()
    }
}

/// Returns one entry per ancestor directory of `dir`, from the top down, `/` and `dir` excluded (EXP-025, EXP-026).
pub fn ancestors(dir: &Path) -> Result<Vec<Entry>, Error> {
    let _ = dir;
    todo!()
}

/// Returns `dir` and everything below, depth-first, siblings in bytewise order; sockets are left out (EXP-028, EXP-033).
pub fn walk(dir: &Path, owner: Option<Owner>) -> Result<Vec<Entry>, Error> {
    let _ = (dir, owner);
    todo!()
}

/// How a layer's blob is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// gzip level, 1 to 12 (libdeflate's scale).
    pub level: u8,
    /// Threads that compress; the bytes do not depend on it. `None` means one a core.
    pub threads: Option<std::num::NonZeroUsize>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            level: 1,
            threads: None,
        }
    }
}

/// Writes the layer's blob to `out` in one pass: tar, sha256, compression, sha256; `tee` gets the tar as well.
pub fn write_blob(
    layer: &Layer,
    out: &mut dyn Write,
    options: &WriteOptions,
    tee: Option<&mut (dyn Write + Send)>,
) -> Result<Written, Error> {
    let _ = (layer, out, options, tee);
    todo!()
}

/// A layer that was written as a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Digest of the tar.
    pub diff_id: DiffId,
    /// The compressed blob: media type, size, digest.
    pub descriptor: Descriptor,
}

/// Where an archive may be unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Extract<'a> {
    /// What names in the archive are joined to.
    pub root: &'a Path,
    /// The only directory below which anything is made or changed.
    pub within: &'a Path,
}

/// Unpacks a tar as the current user; ownership in the archive is ignored, nothing is ever written outside `extract.within` (RES-026, RES-027).
pub fn extract(tar: &mut dyn io::Read, extract: &Extract<'_>) -> Result<(), Error> {
    let _ = (tar, extract);
    todo!()
}

/// Why a layer could not be written or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
}
