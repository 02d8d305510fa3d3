//! What one run needs on disk: a folder that is locked while anybody uses it.
//!
//! ```text
//! <scratch>/run-XXXXXX/config.json     the bundle
//!                      rootfs/         where `/` is mounted, in the run's own mount namespace
//!                      upper/ work/    what the container writes to `/`
//! ```

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};

use crate::bundle::ROOTFS;
use crate::engine::{self, Task};
use crate::runtime::Error;
use crate::way::Way;

const PREFIX: &str = "run-";

/// The folder of one run. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    lock: OwnedFd,
    way: Way,
}

impl RunDir {
    /// Clears what killed runs left in `scratch`, then makes a folder for a new one.
    pub(crate) fn make(scratch: &Path, way: &Way) -> Result<Self, Error> {
        fs_err::create_dir_all(scratch)?;
        let scratch = &fs_err::canonicalize(scratch)?;
        // Held until the new folder has its lock, or another program might take it for one that was left.
        let guard = locked(scratch, FlockOperation::LockExclusive)?;
        for entry in fs_err::read_dir(scratch)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_str()
                .is_some_and(|it| it.starts_with(PREFIX))
            {
                clear(&entry.path(), way);
            }
        }
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(scratch)?
            .keep();
        let lock = locked(&path, FlockOperation::NonBlockingLockExclusive)?;
        drop(guard);
        let made = Self {
            path,
            lock,
            way: way.clone(),
        };
        fs_err::create_dir(made.path.join(ROOTFS))?;
        Ok(made)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a descriptor that keeps the lock for as long as it is open, anywhere.
    pub(crate) fn lock(&self) -> io::Result<OwnedFd> {
        self.lock.as_fd().try_clone_to_owned()
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        remove(&self.path, &self.way);
    }
}

/// Removes a run's folder unless somebody holds its lock, or it belongs to another user.
fn clear(path: &Path, way: &Way) {
    if let Ok(_lock) = locked(path, FlockOperation::NonBlockingLockExclusive) {
        engine::clear_cgroups(path);
        remove(path, way);
    }
}

/// Removes as much of a folder as can be: what stays is tried again by the next run.
fn remove(path: &Path, way: &Way) {
    let removed = layout::layer::remove(path);
    if removed.is_err() && way.maps().is_some() {
        let task = Task::Remove(path.to_owned());
        engine::inside(way, task, std::process::Stdio::null()).ok();
    }
}

fn locked(dir: &Path, how: FlockOperation) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = open(dir, flags, Mode::empty()).map_err(io::Error::from)?;
    flock(&file, how).map_err(io::Error::from)?;
    Ok(file)
}
