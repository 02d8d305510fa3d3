//! A cache in a directory: opening it, reading layers, filling and committing the next state.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use buildpack::syscall_text::Error as SyscallError;
use fs_err as fs;
use layout::DiffId;
use layout::digest::Hasher;
use platform::images::LayerTars;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tracing::debug;

use crate::metadata::{self, CacheMetadata};
use crate::staged::{StagedLayer, layer_path};

/// No build has metadata of this size; without a limit a damaged file could take all memory.
const METADATA_LIMIT: u64 = 64 * 1024 * 1024;

/// A cache directory.
#[derive(Debug)]
pub struct VolumeCache {
    committed: PathBuf,
    staging: PathBuf,
    backup: PathBuf,
}

/// Why a cached layer cannot be used; the wording is the reference's (RES-022).
#[derive(Debug)]
pub enum Miss {
    /// Not there, or not what it should be.
    Unusable(String),
    /// There, but cannot be opened: fatal for the restorer (RES-023).
    Unreadable(anyhow::Error),
}

impl VolumeCache {
    /// Opens a cache: clears what a killed exporter left (COM-088), and puts back what it was about to replace.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        fs::metadata(dir).map_err(|e| SyscallError::new("stat", dir, e))?;
        let cache = Self {
            committed: dir.join("committed"),
            staging: dir.join("staging"),
            backup: dir.join("committed-backup"),
        };
        remove(&cache.staging)
            .and_then(|()| make_dir(&cache.staging))
            .with_context(|| {
                let path = cache.staging.display();
                format!("initializing staging directory '{path}'")
            })?;
        cache.recover().with_context(|| {
            let path = cache.backup.display();
            format!("removing backup directory '{path}'")
        })?;
        if !is_dir(&cache.committed) {
            remove(&cache.committed)
                .and_then(|()| make_dir(&cache.committed))
                .with_context(|| {
                    let path = cache.committed.display();
                    format!("creating committed directory '{path}'")
                })?;
        }
        Ok(cache)
    }

    /// Returns the metadata; what cannot be decoded counts as empty.
    pub fn metadata(&self) -> anyhow::Result<CacheMetadata> {
        let path = self.committed.join(metadata::NAME);
        let file = match open_plain(&path) {
            Ok(Opened::File(file)) => file,
            Ok(Opened::Absent | Opened::NotAFile) => return Ok(CacheMetadata::default()),
            Err(e) => {
                return Err(SyscallError::new("open", &path, e))
                    .with_context(|| format!("opening metadata file '{}'", path.display()));
            }
        };
        let mut json = Vec::new();
        match file.take(METADATA_LIMIT).read_to_end(&mut json) {
            Ok(_) => Ok(CacheMetadata::from_json(&json)),
            Err(e) => {
                debug!("Ignoring cache metadata that cannot be read: {e}");
                Ok(CacheMetadata::default())
            }
        }
    }

    /// Opens a committed layer after hashing it; an error says why it is a miss (RES-022).
    pub fn open_layer(&self, diff_id: &DiffId) -> Result<Box<dyn Read + Send>, Miss> {
        Ok(Box::new(self.checked(diff_id)?))
    }

    /// Begins a staged layer tar; give it to a layer writer as `tee`, then `finish` it.
    pub fn stage(&self) -> anyhow::Result<StagedLayer> {
        StagedLayer::new(&self.staging)
    }

    /// Takes a committed layer over into the next commit (a hard link), after hashing it.
    pub fn reuse(&self, diff_id: &DiffId) -> Result<(), Miss> {
        let mut file = self.checked(diff_id)?;
        let staged = layer_path(&self.staging, diff_id);
        let Err(error) = fs::hard_link(layer_path(&self.committed, diff_id), &staged) else {
            return Ok(());
        };
        if is_file(&staged) {
            return Ok(());
        }
        // Kernels forbid links to files of other users, file systems may have none.
        debug!("Copying cache layer {diff_id}: {error}");
        let mut copy = || {
            let mut layer = self.stage()?;
            io::copy(&mut file, &mut layer)?;
            layer.finish(diff_id)
        };
        copy()
            .with_context(|| format!("reusing layer ({diff_id})"))
            .map_err(Miss::Unreadable)
    }

    /// Returns the committed layers, for who reads images of a daemon that has them as well (ANA-023). They are those of
    /// this moment's directory, whatever is committed later.
    pub fn tars(&self) -> Arc<dyn LayerTars> {
        Arc::new(Tars(self.committed.clone()))
    }

    /// Makes what was staged the cache, with this metadata (COM-089).
    pub fn commit(self, metadata: &CacheMetadata) -> anyhow::Result<()> {
        self.stage_metadata(metadata)?;
        self.commit_layers()
    }

    /// Makes what was staged the cache, without metadata: a launch cache has none.
    pub fn commit_layers(self) -> anyhow::Result<()> {
        rename(&self.committed, &self.backup).context("backing up cache")?;
        if let Err(error) = rename(&self.staging, &self.committed) {
            rename(&self.backup, &self.committed).context("rolling back cache")?;
            return Err(error).context("committing cache");
        }
        if let Err(error) = remove(&self.backup) {
            debug!("Leaving the old cache for the next build to remove: {error}");
        }
        Ok(())
    }

    fn stage_metadata(&self, metadata: &CacheMetadata) -> anyhow::Result<()> {
        let path = self.staging.join(metadata::NAME);
        let line = metadata.to_json() + "\n";
        fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(line.as_bytes()))
            .map_err(|e| SyscallError::new("open", &path, e))
            .with_context(|| format!("creating metadata file '{}'", path.display()))
    }

    /// A commit that was killed between its two renames left the cache in the backup alone.
    fn recover(&self) -> Result<(), SyscallError> {
        let interrupted = !is_dir(&self.committed) && is_dir(&self.backup);
        if !interrupted {
            return remove(&self.backup);
        }
        remove(&self.committed)?;
        rename(&self.backup, &self.committed)
    }

    /// Opens a layer, hashes it, and rewinds the same open file, so that nobody can change names in between.
    fn checked(&self, diff_id: &DiffId) -> Result<File, Miss> {
        let mut file = self.open_committed(diff_id)?;
        let found = hash(&mut file).map_err(|e| {
            Miss::Unusable(format!(
                "failed to read cache layer with SHA '{diff_id}': {e}"
            ))
        })?;
        if found == diff_id.to_string() {
            return Ok(file);
        }
        Err(Miss::Unusable(format!(
            "expected layer contents to have SHA '{diff_id}'; found '{found}'"
        )))
    }

    fn open_committed(&self, diff_id: &DiffId) -> Result<File, Miss> {
        let path = layer_path(&self.committed, diff_id);
        let unusable = |text: String| Err(Miss::Unusable(text));
        match open_plain(&path) {
            Ok(Opened::File(file)) => Ok(file),
            Ok(Opened::Absent) => {
                unusable(format!("failed to find cache layer with SHA '{diff_id}'"))
            }
            Ok(Opened::NotAFile) => unusable(format!(
                "cache layer with SHA '{diff_id}' is not a regular file"
            )),
            // A folder that may not be entered; a file that may not be read is another matter.
            Err(e) if is_denied(&e) && path.symlink_metadata().is_err_and(|e| is_denied(&e)) => {
                unusable(format!(
                    "failed to read cache layer with SHA '{diff_id}' due to insufficient permissions"
                ))
            }
            Err(e) => Err(Miss::Unreadable(
                anyhow::Error::from(SyscallError::new("open", &path, e))
                    .context(format!("failed to get cache layer with SHA '{diff_id}'")),
            )),
        }
    }
}

/// The layer tars of a directory.
#[derive(Debug)]
struct Tars(PathBuf);

impl LayerTars for Tars {
    fn open(&self, diff_id: &DiffId) -> Option<fs::File> {
        let path = layer_path(&self.0, diff_id);
        match open_plain(&path) {
            Ok(Opened::File(file)) => Some(fs::File::from_parts(file, path)),
            Ok(_) => None,
            Err(error) => {
                debug!("Not using {}: {error}", path.display());
                None
            }
        }
    }
}

/// What stands at a path.
enum Opened {
    File(File),
    Absent,
    /// A link, a folder, a pipe, ...
    NotAFile,
}

/// Opens a plain file: follows no link, and does not wait for whoever might open a pipe.
fn open_plain(path: &Path) -> io::Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::NOENT) => return Ok(Opened::Absent),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Opened::NotAFile),
        Err(errno) => return Err(errno.into()),
    };
    if file.metadata()?.is_file() {
        Ok(Opened::File(file))
    } else {
        Ok(Opened::NotAFile)
    }
}

fn hash(file: &mut File) -> io::Result<String> {
    let mut hasher = Hasher::sha256();
    io::copy(
        &mut BufReader::with_capacity(256 * 1024, &mut *file),
        &mut hasher,
    )?;
    file.rewind()?;
    Ok(hasher.finish().to_string())
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn is_dir(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_dir())
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.is_file())
}

/// Removes whatever is there, never what a link points to; nothing there is fine.
fn remove(path: &Path) -> Result<(), SyscallError> {
    let removed = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(SyscallError::new("unlinkat", path, e))
        }
        _ => Ok(()),
    }
}

fn make_dir(path: &Path) -> Result<(), SyscallError> {
    fs::create_dir(path).map_err(|e| SyscallError::new("mkdir", path, e))
}

fn rename(from: &Path, to: &Path) -> Result<(), SyscallError> {
    fs::rename(from, to).map_err(|e| SyscallError::new("rename", from, e))
}

#[cfg(test)]
mod tests;
