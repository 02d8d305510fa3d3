//! Making files below one directory, whatever lies in there.
//!
//! Every name is walked from a handle of the directory, each component opened with `O_NOFOLLOW`
//! relative to the one before. The kernel thus never resolves a path with a link or `..` in it, and
//! a link that someone puts there meanwhile changes nothing. This works on every kernel, which
//! `openat2` does not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Handles of directories, used for walking only.
const DIR: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// For what is made here, until it gets its own mode.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A directory that nothing made through it leaves.
#[derive(Debug)]
pub(super) struct Inside {
    top: OwnedFd,
    /// The directory of the last name, because the next one is often in it too.
    last: Option<(PathBuf, OwnedFd)>,
}

/// A relative path of plain components, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    dir: PathBuf,
    base: OsString,
}

/// Why something was not made.
#[derive(Debug)]
pub(super) enum Failure {
    /// This is of a kind that cannot be passed or replaced.
    InTheWay(PathBuf),
    Io(io::Error),
}

impl Name {
    /// Returns the name, or none if the path is empty or has a component that is no plain name.
    pub(super) fn new(path: &Path) -> Option<Self> {
        if path
            .components()
            .any(|component| !matches!(component, Component::Normal(_)))
        {
            return None;
        }
        Some(Self {
            dir: path.parent()?.to_path_buf(),
            base: path.file_name()?.to_os_string(),
        })
    }

    pub(super) fn to_path(&self) -> PathBuf {
        self.dir.join(&self.base)
    }
}

impl Inside {
    /// Opens the directory; links in its own path are followed.
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        let flags = DIR.difference(OFlags::NOFOLLOW);
        let top = rustix::fs::openat(CWD, dir, flags, Mode::empty()).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("failed to open {}: {error}", dir.display()),
            )
        })?;
        Ok(Self { top, last: None })
    }

    /// Makes a directory that only its owner can use; returns false if it is there.
    pub(super) fn make_dir(&mut self, name: &Name) -> Result<bool, Failure> {
        let dir = self.dir_of(name)?;
        match rustix::fs::mkdirat(dir, &name.base, Mode::RWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) if is(dir, &name.base, FileType::Directory)? => Ok(false),
            Err(Errno::EXIST) => Err(Failure::InTheWay(name.to_path())),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the mode of a directory made here.
    pub(super) fn set_dir_mode(&mut self, name: &Name, mode: u32) -> Result<(), Failure> {
        let flags = DIR.difference(OFlags::PATH);
        let dir = rustix::fs::openat(self.dir_of(name)?, &name.base, flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))?)
    }

    /// Makes an empty file that only its owner can use, or empties the one that is there.
    pub(super) fn make_file(&mut self, name: &Name) -> Result<File, Failure> {
        let dir = self.dir_of(name)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = flags | OFlags::CREATE | OFlags::EXCL;
        match rustix::fs::openat(dir, &name.base, new, PRIVATE) {
            Err(Errno::EXIST) => {}
            made => return Ok(File::from(made?)),
        }
        let there = stat(dir, &name.base)?;
        if kind(&there) != FileType::RegularFile {
            return Err(Failure::InTheWay(name.to_path()));
        }
        if there.st_nlink > 1 {
            // Its other names may be anywhere: they keep what they have.
            rustix::fs::unlinkat(dir, &name.base, AtFlags::empty())?;
            return Ok(File::from(rustix::fs::openat(
                dir, &name.base, new, PRIVATE,
            )?));
        }
        let old = flags | OFlags::TRUNC | OFlags::NONBLOCK;
        Ok(File::from(rustix::fs::openat(
            dir,
            &name.base,
            old,
            Mode::empty(),
        )?))
    }

    /// Makes a symbolic link where nothing is (RES-027).
    pub(super) fn make_symlink(&mut self, name: &Name, target: &[u8]) -> Result<(), Failure> {
        let dir = self.dir_of(name)?;
        Ok(rustix::fs::symlinkat(
            OsStr::from_bytes(target),
            dir,
            &name.base,
        )?)
    }

    /// Makes a FIFO where nothing is.
    pub(super) fn make_fifo(&mut self, name: &Name, mode: u32) -> Result<(), Failure> {
        let dir = self.dir_of(name)?;
        rustix::fs::mknodat(dir, &name.base, FileType::Fifo, PRIVATE, 0)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fifo = rustix::fs::openat(dir, &name.base, flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(&fifo, Mode::from_raw_mode(mode))?)
    }

    /// Makes a hard link to something that is in here, in place of a file that is there.
    pub(super) fn make_hard_link(&mut self, name: &Name, target: &Name) -> Result<(), Failure> {
        let from = self.existing_dir(&target.dir)?;
        let to = self.dir_of(name)?;
        let link = || rustix::fs::linkat(&from, &target.base, to, &name.base, AtFlags::empty());
        match link() {
            Err(Errno::EXIST) => {}
            made => return Ok(made?),
        }
        let (old, new) = (stat(to, &name.base)?, stat(from.as_fd(), &target.base)?);
        if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino) {
            return Ok(());
        }
        if kind(&old) != FileType::RegularFile {
            return Err(Failure::InTheWay(name.to_path()));
        }
        rustix::fs::unlinkat(to, &name.base, AtFlags::empty())?;
        Ok(link()?)
    }

    /// Returns the directory of a name; what is missing of it is made, with the umask's mode.
    fn dir_of(&mut self, name: &Name) -> Result<BorrowedFd<'_>, Failure> {
        if name.dir.as_os_str().is_empty() {
            return Ok(self.top.as_fd());
        }
        if self.last.as_ref().is_none_or(|(dir, _)| *dir != name.dir) {
            let dir = self.walk(&name.dir, |dir, base| {
                match rustix::fs::mkdirat(dir, base, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                    Err(Errno::EXIST) | Ok(()) => Ok(()),
                    Err(error) => Err(error),
                }
            })?;
            self.last = Some((name.dir.clone(), dir));
        }
        Ok(self
            .last
            .as_ref()
            .map_or(self.top.as_fd(), |(_, dir)| dir.as_fd()))
    }

    fn existing_dir(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.walk(path, |_, _| Err(Errno::NOENT))
    }

    /// Opens a directory component by component; `missing` makes one that is not there.
    fn walk(
        &self,
        path: &Path,
        missing: impl Fn(BorrowedFd<'_>, &OsStr) -> Result<(), Errno>,
    ) -> Result<OwnedFd, Failure> {
        let mut at = self.top.try_clone()?;
        let mut walked = PathBuf::new();
        for base in path {
            walked.push(base);
            let open = || rustix::fs::openat(&at, base, DIR, Mode::empty());
            let next = match open() {
                Err(Errno::NOENT) => {
                    missing(at.as_fd(), base)?;
                    open()
                }
                next => next,
            };
            at = match next {
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(Failure::InTheWay(walked)),
                next => next?,
            };
        }
        Ok(at)
    }
}

fn stat(dir: BorrowedFd<'_>, base: &OsStr) -> Result<Stat, Errno> {
    rustix::fs::statat(dir, base, AtFlags::SYMLINK_NOFOLLOW)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn is(dir: BorrowedFd<'_>, base: &OsStr, wanted: FileType) -> Result<bool, Errno> {
    Ok(kind(&stat(dir, base)?) == wanted)
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
