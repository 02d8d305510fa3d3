//! The layers that belong to one set of ids.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use layout::digest::sha256;
use layout::{DiffId, Image};

use super::hands::Hands;
use super::lock::{Alone, InUse, Writer};
use super::{Error, Limits};
use crate::ids::{IdMaps, Range};
use crate::way::Way;

const IN_USE: &str = ".in-use";
const LOCK: &str = ".lock-";
const TEMPORARY: &str = ".tmp-";

#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    hands: Hands,
}

impl Folder {
    /// Makes the folder of a way's ids, or makes sure that nobody else could have put anything there.
    pub(super) fn open(dir: &Path, way: &Way) -> Result<Self, Error> {
        fs::create_dir_all(dir)?;
        let dir = std::path::absolute(dir)?.join(whose(way));
        make_private(&dir)?;
        let hands = Hands::of(way);
        Ok(Self { dir, hands })
    }

    /// Returns the folders that this user can clear by `way`.
    pub(super) fn all(dir: &Path, way: &Way) -> Result<Vec<Self>, Error> {
        let mut folders = Vec::new();
        for name in names(dir)? {
            let text = name.to_string_lossy();
            let dir = std::path::absolute(dir)?.join(&name);
            let hands = if text == whose(way) {
                Hands::of(way)
            } else if text.starts_with("id-") {
                Hands::own()
            } else {
                continue;
            };
            if is_own(&dir)? {
                make_private(&dir)?;
                folders.push(Self { dir, hands });
            }
        }
        Ok(folders)
    }

    /// Keeps what is here from being removed.
    pub(super) fn use_layers(&self) -> Result<InUse, Error> {
        Ok(InUse::begin(&self.dir.join(IN_USE))?)
    }

    /// Makes sure that nobody uses what is here, and keeps it so.
    pub(super) fn alone(&self) -> Result<Alone, Error> {
        Alone::begin(&self.dir.join(IN_USE))?.ok_or_else(|| Error::InUse(self.dir.clone()))
    }

    /// Returns where a layer is, or will be.
    pub(super) fn layer(&self, diff_id: &DiffId) -> PathBuf {
        self.beside(diff_id, "")
    }

    pub(super) fn has(&self, diff_id: &DiffId) -> bool {
        self.layer(diff_id).is_dir()
    }

    /// Returns the layers that are whole.
    pub(super) fn list(&self) -> Result<Vec<DiffId>, Error> {
        let mut layers = Vec::new();
        for algorithm in names(&self.dir)? {
            for hex in names(&self.dir.join(&algorithm))? {
                let digest = format!("{}:{}", algorithm.display(), hex.display());
                layers.extend(digest.parse::<DiffId>().ok());
            }
        }
        Ok(layers)
    }

    /// Unpacks a layer, unless another program does or did so; `at_once` is how many are unpacked at the same time.
    pub(super) fn unpack(
        &self,
        image: &Image,
        diff_id: &DiffId,
        limits: &Limits,
        at_once: usize,
    ) -> Result<(), Error> {
        make_private(&self.dir.join(diff_id.0.algorithm().as_ref()))?;
        let writer = Writer::begin(&self.beside(diff_id, LOCK))?;
        if self.has(diff_id) {
            return Ok(());
        }
        let (Some(tar), Some(blob)) = (image.open_layer(diff_id)?, image.layer(diff_id)) else {
            return Err(Error::Absent {
                diff_id: diff_id.clone(),
                location: image.blobs().location(),
            });
        };
        let temporary = self.beside(diff_id, TEMPORARY);
        self.hands.remove(&temporary)?;
        create_private(&temporary)?;
        let limits = within(limits, blob.size, &self.dir, at_once)?;
        let unpacked = self
            .hands
            .unpack(tar, diff_id, &temporary, limits, &writer)
            .and_then(|()| Ok(fs::rename(&temporary, self.layer(diff_id))?));
        if unpacked.is_err() {
            // What was wrong is told first; the next writer clears it if this cannot.
            self.hands.remove(&temporary).ok();
        }
        unpacked
    }

    /// Removes a layer, or part of one. It is renamed first, so that nobody finds half of it.
    pub(super) fn remove(&self, diff_id: &DiffId) -> Result<(), Error> {
        let _writer = Writer::begin(&self.beside(diff_id, LOCK))?;
        let temporary = self.beside(diff_id, TEMPORARY);
        self.hands.remove(&temporary)?;
        fs::rename(self.layer(diff_id), &temporary)?;
        self.hands.remove(&temporary)
    }

    /// Removes what killed writers left.
    pub(super) fn sweep(&self) -> Result<(), Error> {
        for algorithm in names(&self.dir)? {
            let dir = self.dir.join(&algorithm);
            for name in names(&dir)? {
                let text = name.to_string_lossy();
                let hex = text.strip_prefix(TEMPORARY).or(text.strip_prefix(LOCK));
                let Some(hex) = hex else { continue };
                if let Some(_writer) = Writer::try_begin(&dir.join(format!("{LOCK}{hex}")))? {
                    let temporary = dir.join(format!("{TEMPORARY}{hex}"));
                    self.hands.remove(&temporary)?;
                }
            }
        }
        Ok(())
    }

    fn beside(&self, diff_id: &DiffId, prefix: &str) -> PathBuf {
        let folder = self.dir.join(diff_id.0.algorithm().as_ref());
        folder.join(format!("{prefix}{}", diff_id.0.digest()))
    }
}

/// Returns the name of the folder for a way's ids.
pub(super) fn whose(way: &Way) -> String {
    match way {
        Way::Root => "root".to_owned(),
        Way::ManyIds(maps) => {
            let digest = sha256(map_text(maps).as_bytes());
            format!("ids-{}", &digest.digest()[..16])
        }
        Way::OneId(_) => {
            let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
            format!("id-{uid}-{gid}")
        }
    }
}

fn map_text(maps: &IdMaps) -> String {
    let lines = |kind: &str, ranges: &[Range]| {
        let mut ranges = ranges.to_vec();
        ranges.sort_unstable_by_key(|range| range.inside);
        let lines = ranges.iter().map(|range| {
            let Range {
                inside,
                outside,
                count,
            } = range;
            format!("{kind} {inside} {outside} {count}\n")
        });
        lines.collect::<String>()
    };
    lines("uid", &maps.uids) + &lines("gid", &maps.gids)
}

/// Returns what the disk and the caller allow a layer whose blob has so many bytes. Those that are unpacked at the same
/// time share what is free.
pub(super) fn within(
    limits: &Limits,
    blob: u64,
    dir: &Path,
    at_once: usize,
) -> Result<layout::layer::Limits, Error> {
    let disk = rustix::fs::statvfs(dir).map_err(io::Error::from)?;
    let at_once = u64::try_from(at_once).unwrap_or(u64::MAX).max(1);
    let share = |free: u64| (free - free / 10) / at_once;
    let bytes = limits.bytes.max(limits.ratio.saturating_mul(blob));
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    // Some file systems do not count files.
    let entries = if disk.f_files == 0 {
        limits.entries
    } else {
        limits.entries.min(share(disk.f_favail))
    };
    Ok(layout::layer::Limits {
        bytes: bytes.min(share(free)),
        entries,
    })
}

/// Makes a directory that nobody else can enter; one that is there must be this user's.
fn make_private(dir: &Path) -> Result<(), Error> {
    match create_private(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    if !is_own(dir)? {
        return Err(Error::NotOwn(dir.to_path_buf()));
    }
    let mode = fs::symlink_metadata(dir)?.permissions().mode();
    if mode & 0o7777 != 0o700 {
        fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn create_private(dir: &Path) -> io::Result<()> {
    let made = std::fs::DirBuilder::new().mode(0o700).create(dir);
    made.map_err(|error| {
        let text = format!("failed to create {}: {error}", dir.display());
        io::Error::new(error.kind(), text)
    })
}

fn is_own(dir: &Path) -> Result<bool, Error> {
    let metadata = fs::symlink_metadata(dir)?;
    Ok(metadata.is_dir() && metadata.uid() == nix::unistd::geteuid().as_raw())
}

/// Returns the names in a directory; none if there is no directory.
fn names(dir: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(dir) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}
