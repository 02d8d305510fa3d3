//! Blobs: files named by the digest of what they hold, checked when read, whole when seen.

use std::io::Read;

use crate::digest::Digest;

/// Where the blobs of an image are: a layout's folder here, a registry or a daemon elsewhere.
pub trait Blobs: std::fmt::Debug + Send + Sync {
    /// Returns a reader that fails at its end if the bytes are not those of `digest` and `size`; `None` if the blob is absent.
    fn open(&self, digest: &Digest, size: u64) -> Result<Option<Box<dyn Read + Send>>, Error>;

    /// Returns the file that holds the blob, if it is one on this machine.
    fn path(&self, digest: &Digest) -> Option<std::path::PathBuf>;
}

/// Why a blob could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
