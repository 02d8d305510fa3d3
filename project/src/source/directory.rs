//! A directory as a source.

use std::fs::{FileType, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{OFlags, Timespec};

use super::{Error, create, create_dir, create_link, finish, refuse};
use crate::filter::Filter;

/// Files up to this size are read and written at once, which takes fewer calls than asking the kernel to copy.
const SMALL: u64 = 128 * 1024;

pub(super) fn copy(
    without: &[&Path],
    source: &Path,
    filter: &Filter,
    target: &Path,
) -> Result<(), Error> {
    let without = without.iter().filter_map(|dir| fs::metadata(*dir).ok());
    let mut without: Vec<_> = without.map(|metadata| id(&metadata)).collect();
    without.push(id(&fs::metadata(target)?));
    let mut copying = Copying {
        source,
        filter,
        target,
        without,
        dirs: Vec::new(),
        clones: true,
        buffer: vec![0; usize::try_from(SMALL).unwrap_or(usize::MAX)],
    };
    copying.enter(PathBuf::new(), fs::metadata(source)?)?;
    copying.walk()
}

struct Copying<'a> {
    source: &'a Path,
    filter: &'a Filter,
    target: &'a Path,
    /// Directories that are not copied, the target among them.
    without: Vec<(u64, u64)>,
    /// The directories from the top to where the walk is.
    dirs: Vec<Dir>,
    /// Whether the file systems share extents, as far as is known.
    clones: bool,
    buffer: Vec<u8>,
}

/// Returns device and inode, which are the same by whatever path a directory is reached.
fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// A directory on the way down.
struct Dir {
    /// Relative to source and target.
    path: PathBuf,
    metadata: Metadata,
    /// What is still to be copied.
    entries: std::vec::IntoIter<fs::DirEntry>,
    /// Whether the copy is there: only if it is taken itself, or something in it.
    is_made: bool,
}

impl Copying<'_> {
    fn walk(&mut self) -> Result<(), Error> {
        while let Some(dir) = self.dirs.last_mut() {
            match dir.entries.next() {
                Some(entry) => {
                    let path = dir.path.join(entry.file_name());
                    self.entry(path, entry.file_type()?)?;
                }
                None => self.leave()?,
            }
        }
        Ok(())
    }

    fn enter(&mut self, path: PathBuf, metadata: Metadata) -> Result<(), Error> {
        // Read to its end at once: an open descriptor a level would limit how deep a tree may be.
        let entries = fs::read_dir(self.source.join(&path))?;
        let entries = entries.collect::<Result<Vec<_>, _>>()?.into_iter();
        self.dirs.push(Dir {
            is_made: path.as_os_str().is_empty(),
            path,
            metadata,
            entries,
        });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        let dir = self.dirs.pop().filter(|dir| dir.is_made);
        // The top keeps what it has.
        let Some(dir) = dir.filter(|_| !self.dirs.is_empty()) else {
            return Ok(());
        };
        let copy = fs::File::open(self.target.join(&dir.path))?;
        let (mode, modified) = (dir.metadata.mode() & 0o7777, dir.metadata.modified().ok());
        Ok(finish(&copy, mode, modified)?)
    }

    /// Makes the directories that the walk is in.
    fn make_dirs(&mut self) -> io::Result<()> {
        let made = self.dirs.iter().rposition(|dir| dir.is_made);
        for dir in &mut self.dirs[made.map_or(0, |index| index + 1)..] {
            create_dir(&self.target.join(&dir.path))?;
            dir.is_made = true;
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf, file_type: FileType) -> Result<(), Error> {
        let is_taken = self.filter.takes(&path, file_type.is_dir());
        let from = self.source.join(&path);
        if file_type.is_dir() {
            if !is_taken && !self.filter.enters(&path) {
                return Ok(());
            }
            let metadata = fs::symlink_metadata(&from)?;
            if self.without.contains(&id(&metadata)) {
                return Ok(());
            }
            self.enter(path, metadata)?;
            if is_taken {
                self.make_dirs()?;
            }
            return Ok(());
        }
        if !is_taken || file_type.is_socket() {
            return Ok(());
        }
        self.make_dirs()?;
        let to = self.target.join(&path);
        if file_type.is_symlink() {
            let metadata = fs::symlink_metadata(&from)?;
            let modified = Timespec {
                tv_sec: metadata.mtime(),
                tv_nsec: metadata.mtime_nsec(),
            };
            return Ok(create_link(&fs::read_link(&from)?, &to, Some(modified))?);
        }
        refuse(&from, file_type)?;
        self.file(&from, &to)
    }

    fn file(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        // Should something else be here by now, it neither leads elsewhere nor blocks.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = fs::OpenOptions::new();
        let flags = i32::try_from(flags.bits()).unwrap_or_default();
        let mut source = options.read(true).custom_flags(flags).open(from)?;
        let metadata = source.metadata()?;
        refuse(from, metadata.file_type())?;
        let mut target = create(to)?;
        let size = metadata.len();
        if size <= SMALL {
            self.copy_small(&mut source, &mut target, size)?;
        } else if !self.has_cloned(&source, &target) {
            let (mut reader, mut writer) = (source.file().take(size), target.file());
            io::copy(&mut reader, &mut writer).map_err(|error| {
                let text = format!("failed to copy {} to {}", from.display(), to.display());
                io::Error::new(error.kind(), format!("{text}: {error}"))
            })?;
        }
        Ok(finish(
            &target,
            metadata.mode() & 0o7777,
            metadata.modified().ok(),
        )?)
    }

    fn copy_small(
        &mut self,
        source: &mut fs::File,
        target: &mut fs::File,
        size: u64,
    ) -> io::Result<()> {
        let mut rest = usize::try_from(size).unwrap_or(usize::MAX);
        while rest > 0 {
            let end = rest.min(self.buffer.len());
            let read = source.read(&mut self.buffer[..end])?;
            if read == 0 {
                break;
            }
            target.write_all(&self.buffer[..read])?;
            rest -= read;
        }
        Ok(())
    }

    /// Shares the extents of a whole file, where file systems can.
    fn has_cloned(&mut self, source: &fs::File, target: &fs::File) -> bool {
        self.clones =
            self.clones && rustix::fs::ioctl_ficlone(target.file(), source.file()).is_ok();
        self.clones
    }
}

#[cfg(test)]
mod tests;
