//! Layers: a list of entries becomes a tar, byte for byte as the reference writes it, in one pass.
//!
//! ```text
//! walk ─► entries ─► header (USTAR or PAX) ─► tar stream ─┬► sha256 (diffID)
//!                                                         ├► gzip members on all cores ─► sha256 (digest) ─► blob
//!                                                         └► tee (a cache)
//! ```
//!
//! and back: [`extract`] unpacks an archive below a directory that has something already, as the current user;
//! [`unpack`] makes a whole image layer one of an overlay, with owners and whiteouts.

use std::ffi::CStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::DiffId;
use crate::manifest::Descriptor;

mod ahead;
mod compress;
mod extract;
mod header;
mod inside;
mod listing;
mod read;
mod tar;
mod tee;
mod unpack;
mod walk;
mod write;

pub use compress::Compression;
pub use tee::Tee;

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
    pub name: Arc<Path>,
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
        /// The file on disk. Where it lies as in the image, path and name are one.
        source: Arc<Path>,
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
        let mut entries = walk::ancestors(dir)?;
        entries.append(&mut walk::walk(dir, owner)?);
        Ok(Self { entries })
    }

    /// Writes the tar.
    pub fn write_tar(&self, out: &mut dyn Write) -> Result<(), Error> {
        tar::Tar::new(&self.entries).copy_to(out)
    }

    /// Returns the bytes of the tar, which are known before a file is read.
    pub fn tar_size(&self) -> Result<u64, Error> {
        tar::size(&self.entries)
    }

    /// Returns the diffID; reads the files, compresses nothing.
    pub fn diff_id(&self) -> Result<DiffId, Error> {
        write::diff_id_with_tee(self, None)
    }
}

/// Returns one entry per ancestor directory of `dir`, from the top down, `/` and `dir` excluded (EXP-025, EXP-026).
pub fn ancestors(dir: &Path) -> Result<Vec<Entry>, Error> {
    walk::ancestors(dir)
}

/// Returns `dir` and everything below, depth-first, siblings in bytewise order; sockets are left out (EXP-028, EXP-033).
pub fn walk(dir: &Path, owner: Option<Owner>) -> Result<Vec<Entry>, Error> {
    walk::walk(dir, owner)
}

/// How a layer's blob is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// How it is compressed.
    pub compression: Compression,
    /// Threads that compress; the bytes do not depend on it. `None` means one a core.
    pub threads: Option<std::num::NonZeroUsize>,
}

/// Writes the layer's blob to `out` in one pass: tar, sha256, compression, sha256; `tee` gets the tar as well.
pub fn write_blob(
    layer: &Layer,
    out: &mut dyn Write,
    options: &WriteOptions,
    tee: Option<&mut dyn Tee>,
) -> Result<Written, Error> {
    write::write_blob(layer, out, options, tee)
}

/// Returns the layer's diffID without compressing anything; `tee` gets the tar.
pub fn diff_id_with_tee(layer: &Layer, tee: Option<&mut dyn Tee>) -> Result<DiffId, Error> {
    write::diff_id_with_tee(layer, tee)
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
    /// The only directory below which anything is made or changed; itself made if it is missing.
    pub within: &'a Path,
}

/// Unpacks a tar as the current user; ownership in the archive is ignored, nothing is ever written outside `extract.within` (RES-026, RES-027).
///
/// An entry that cannot be unpacked safely ends it with [`Error::Outside`], [`Error::Blocked`] or
/// [`Error::Unsupported`], damage with [`Error::Archive`]; what was unpacked before stays. Only
/// [`Error::Io`] says that the file system here failed.
pub fn extract(tar: &mut dyn Read, extract: &Extract<'_>) -> Result<(), Error> {
    extract::extract(tar, extract)
}

/// How a whole layer is unpacked.
#[derive(Clone, Copy, Debug)]
pub struct Unpack {
    /// Whose its files are.
    pub owners: Owners,
    /// How the directories are marked in which nothing of the layers below shows.
    pub opaque: Opaque,
    /// How much it may be.
    pub limits: Limits,
}

/// Whose unpacked files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owners {
    /// As the archive says: for root, be it the machine's or a user namespace's.
    Kept,
    /// The current user's, whatever the archive says.
    Caller,
}

/// The attribute by which an overlay knows an opaque directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opaque {
    /// `trusted.overlay.opaque`: only root can set it, and an overlay looks for it by default.
    Trusted,
    /// `user.overlay.opaque`: for overlays that are mounted in a user namespace, with `userxattr`.
    User,
}

impl Opaque {
    /// Returns its name.
    pub fn attribute(self) -> &'static CStr {
        match self {
            Self::Trusted => c"trusted.overlay.opaque",
            Self::User => c"user.overlay.opaque",
        }
    }
}

/// How much an archive may be; more is [`Error::TooMuch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the tar.
    pub bytes: u64,
    /// Entries, and directories that are made because an entry needs them.
    pub entries: u64,
}

/// Unpacks a whole layer into the empty directory `dir`, as a layer of an overlay; nothing is ever written outside it.
///
/// `tar` is read to its end, by a thread of its own, so that a reader that checks a digest does so ([`crate::Image::open_layer`]).
/// Of entries with one name the last one stays. Modes with their set-id bits and times are kept; extended attributes
/// and devices are left out. Nobody else can use `dir` before all is in it; if this fails, what is in it is of no use.
///
/// An entry whose name leads out, or whose directory is a symbolic link, ends it with [`Error::Outside`] or
/// [`Error::Blocked`]; no link is ever followed.
pub fn unpack(tar: &mut (dyn Read + Send), dir: &Path, how: &Unpack) -> Result<(), Error> {
    unpack::unpack(tar, dir, how)
}

/// Removes an unpacked layer, or part of one, whatever modes its directories have; nothing happens if it is not there.
pub fn remove(dir: &Path) -> Result<(), Error> {
    unpack::remove(dir)
}

/// Why a layer could not be written or unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The archive that is unpacked is damaged, or reading it failed.
    #[error("failed to read the archive")]
    Archive(#[source] io::Error),
    /// Something that is no directory is where an entry needs one, or no file where it is one.
    #[error("{} of the archive is not unpacked: {} is in the way", entry.display(), path.display())]
    Blocked {
        /// The entry.
        entry: PathBuf,
        /// What is in its way: often a symbolic link, which is never followed.
        path: PathBuf,
    },
    /// A file was not as long as it had been when its layer was put together.
    #[error("{} changed while it was read: it is {found} than the {expected} bytes that it had", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// Bytes that it had.
        expected: u64,
        /// `longer` or `shorter`.
        found: &'static str,
    },
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not a way to compress.
    #[error(
        "there is no compression {0:?}; use gzip, gzip:1 to gzip:12, zstd, zstd:1 to zstd:19, or none"
    )]
    Compression(String),
    /// A file that belongs into an archive could not be opened.
    #[error("failed to add file {} to archive", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that belongs into an archive could not be read.
    #[error("failed to read {} for the archive", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An archive's entry, or the target of its hard link, is not where unpacking is allowed.
    #[error("{} of the archive is not unpacked: {} is not below {}", entry.display(), path.display(), within.display())]
    Outside {
        /// The entry.
        entry: PathBuf,
        /// The name that leads outside: the entry's or its link's.
        path: PathBuf,
        /// Where unpacking is allowed.
        within: PathBuf,
    },
    /// An entry belongs to somebody whose files cannot be made here.
    #[error("{} of the archive is not unpacked: it belongs to user {uid} and group {gid}, and its files cannot here", entry.display())]
    Owner {
        /// The entry.
        entry: PathBuf,
        /// Its user id.
        uid: i64,
        /// Its group id.
        gid: i64,
    },
    /// The copy of the tar could not be written.
    #[error("failed to write the copy of the layer")]
    Tee(#[source] io::Error),
    /// An archive that holds more than it may.
    #[error("the archive holds more than {limit} {what}, which is more than it may")]
    TooMuch {
        /// How many it may hold.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// The tar format has no room for an entry.
    #[error("{} cannot be put into a tar: {reason}", entry.display())]
    Unrepresentable {
        /// The entry.
        entry: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
    /// An archive's entry is of a kind that is not unpacked.
    #[error("{} of the archive is not unpacked: it is {kind}", entry.display())]
    Unsupported {
        /// The entry.
        entry: PathBuf,
        /// Its kind, with an article.
        kind: &'static str,
    },
    /// Something that is gone cannot be marked so.
    #[error("{} of the archive is not unpacked: the file system of {} takes no whiteouts\nuse a directory that is on a disk, not on an overlay", entry.display(), dir.display())]
    Whiteout {
        /// The whiteout.
        entry: PathBuf,
        /// Where it is unpacked.
        dir: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    pub(super) fn sha256(bytes: &[u8]) -> String {
        crate::digest::sha256(bytes).digest().to_owned()
    }

    pub(super) fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        })
    }
}
