//! The source of an app: a directory, or an archive of zip's family (zip, jar, war), copied to where a build works on it.
//!
//! | in the source | in the copy |
//! |---|---|
//! | file | its bytes, mode and time; a hard link becomes a file of its own |
//! | directory | its mode and time; empty ones too |
//! | symbolic link | the same link, wherever it points; never followed, but for the source's own path |
//! | socket | left out, as pack and the exporter do |
//! | device, FIFO | an error that names it, unless the filter leaves it out |
//!
//! Nothing is ever written outside of the target. If the target lies in the source, it is not copied into itself; nor are
//! the directories that [`copy_without`] is given.

mod archive;
mod directory;

use std::fs::FileType;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{AtFlags, CWD, Mode, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::filter::Filter;

/// Copies a source into the empty directory `target`. Files get the caller's owner; `target` keeps its own mode.
///
/// What is in `target` after an error is of no use.
pub fn copy(source: &Path, filter: &Filter, target: &Path) -> Result<(), Error> {
    copy_without(&[], source, filter, target)
}

/// Copies a source like [`copy`], but for directories that may lie in it and are no part of the app, such as the one that
/// the image is written to: each build would put the image of the one before into its own. Those that are not there do no
/// harm.
pub fn copy_without(
    dirs: &[&Path],
    source: &Path,
    filter: &Filter,
    target: &Path,
) -> Result<(), Error> {
    if fs::read_dir(target)?.next().is_some() {
        return Err(Error::NotEmpty(target.to_owned()));
    }
    let file_type = fs::metadata(source)?.file_type();
    if file_type.is_dir() {
        return directory::copy(dirs, source, filter, target);
    }
    // Reading anything else might never end.
    refuse(source, file_type)?;
    archive::unpack(source, filter, target)
}

/// Refuses what is neither file nor directory nor symbolic link.
fn refuse(path: &Path, file_type: FileType) -> Result<(), Error> {
    let kind = if file_type.is_file() {
        return Ok(());
    } else if file_type.is_fifo() {
        "FIFO"
    } else if file_type.is_socket() {
        "socket"
    } else {
        "device"
    };
    Err(Error::Kind {
        path: path.to_owned(),
        kind,
    })
}

/// Makes a file where nothing is, for its owner alone until it is whole.
fn create(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path)
}

/// Makes a directory where nothing is, for its owner alone until all is in it.
fn create_dir(path: &Path) -> io::Result<()> {
    rustix::fs::mkdir(path, Mode::RWXU).map_err(|error| failed("make directory", path, error))
}

/// Gives a file or directory its mode and time. The time comes first: whoever may not read need not open again.
fn finish(file: &fs::File, mode: u32, modified: Option<SystemTime>) -> io::Result<()> {
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// Makes a symbolic link where nothing is.
fn create_link(target: &Path, path: &Path, modified: Option<Timespec>) -> io::Result<()> {
    fs::os::unix::fs::symlink(target, path)?;
    let Some(last_modification) = modified else {
        return Ok(());
    };
    let last_access = Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    };
    let times = Timestamps {
        last_access,
        last_modification,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| failed("set the time of", path, error))
}

fn failed(action: &str, path: &Path, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    let text = format!("failed to {action} {}: {error}", path.display());
    io::Error::new(error.kind(), text)
}

/// Why a source could not be copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Where the copy should go, there is something.
    #[error("failed to copy the app into {}: it is not empty", .0.display())]
    NotEmpty(PathBuf),
    /// A device, a FIFO, or a socket as the source itself.
    #[error(
        "failed to copy {}: it is a {kind}, which no app can hold\nleave it out with exclude in project.toml",
        path.display()
    )]
    Kind {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A file that is no archive.
    #[error(
        "failed to read {} as an app\nan app is a directory, or a zip, jar or war file",
        path.display()
    )]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: zip::result::ZipError,
    },
    /// An archive that would fill the disk.
    #[error(
        "failed to unpack {}: it says that it holds {size} bytes, more than the {limit} that one of its size may hold",
        path.display()
    )]
    TooLarge {
        /// The archive.
        path: PathBuf,
        /// What it would take, in bytes.
        size: u128,
        /// What it may, in bytes.
        limit: u128,
    },
    /// Something in an archive that is not taken.
    #[error("failed to unpack {}: entry {entry:?} {problem}", path.display())]
    Entry {
        /// The archive.
        path: PathBuf,
        /// Name of the entry, as it stands there.
        entry: String,
        /// What is wrong, to be read behind the name.
        problem: String,
    },
}

#[cfg(test)]
mod tests;
