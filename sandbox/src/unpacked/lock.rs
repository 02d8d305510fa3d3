//! Who may write a layer, and who uses which.
//!
//! All are locks of files that the kernel lets go when their holder ends, however it ends.

use std::fs::TryLockError;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

/// While this lives, layers are used and none is removed.
#[derive(Debug)]
pub(super) struct InUse {
    _file: fs::File,
}

impl InUse {
    /// Waits while somebody removes layers.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        file.lock_shared()?;
        Ok(Self { _file: file })
    }
}

/// While this lives, nobody uses layers.
#[derive(Debug)]
pub(super) struct Alone {
    _file: fs::File,
}

impl Alone {
    /// Returns none if somebody uses layers.
    pub(super) fn begin(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        Ok(try_lock(&file)?.then_some(Self { _file: file }))
    }
}

/// While this lives, nobody else writes the layer.
#[derive(Debug)]
pub(super) struct Writer {
    file: fs::File,
    path: PathBuf,
}

impl Writer {
    /// Waits while somebody writes it.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        loop {
            let file = open(path)?;
            file.lock()?;
            // Whoever had it before has removed it.
            if is_still_at(&file, path)? {
                let path = path.to_path_buf();
                return Ok(Self { file, path });
            }
        }
    }

    /// Returns none if somebody writes it.
    pub(super) fn try_begin(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        if !try_lock(&file)? || !is_still_at(&file, path)? {
            return Ok(None);
        }
        let path = path.to_path_buf();
        Ok(Some(Self { file, path }))
    }

    /// Returns what keeps the lock as long as it is open, for whoever may live longer.
    pub(super) fn hold(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // One that stays is taken by the next writer.
        fs::remove_file(&self.path).ok();
    }
}

fn open(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.options_mut().mode(0o600);
    options.open(path)
}

fn try_lock(file: &fs::File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// False if the file was removed between opening and locking it.
fn is_still_at(file: &fs::File, path: &Path) -> io::Result<bool> {
    let locked = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (locked.dev(), locked.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
