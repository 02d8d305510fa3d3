//! The source of an app: a directory, or an archive of zip's family (zip, jar, war), copied to where a build works on it.
//!
//! The copy never follows a link out of the source and never writes outside of its target. Modes are kept; sockets
//! and devices are an error that names them.

use std::path::Path;

use crate::filter::Filter;

/// Copies a source into the empty directory `target`. Files get the caller's owner.
pub fn copy(source: &Path, filter: &Filter, target: &Path) -> Result<(), Error> {
    let _ = (source, filter, target);
    todo!()
}

/// Why a source could not be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
