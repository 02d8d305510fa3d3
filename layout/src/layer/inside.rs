//! Making files below one directory, whatever lies in there.
//!
//! Every name is walked from a handle of the directory, each component opened with `O_NOFOLLOW`
//! relative to the one before. The kernel thus never resolves a path with a link or `..` in it, and
//! a link that someone puts there meanwhile changes nothing. This works on every kernel, which
//! `openat2` does not.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid,
};
use rustix::io::Errno;

use super::Owner;
use super::read::Time;

/// Handles of directories, used for walking only.
const DIR: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Files that are written.
const WRITE: OFlags = OFlags::WRONLY
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
    parents: Parents,
    /// Directories made because a name needed them.
    made: u64,
}

/// Which mode a directory gets that is made because a name needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parents {
    /// All that the umask leaves.
    Umask,
    /// 0755, as in an image.
    Image,
}

/// Owner, mode and time of what was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    /// None: whoever made it.
    pub(super) owner: Option<Owner>,
    pub(super) mode: u32,
    pub(super) mtime: Time,
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
    /// It cannot be given this owner.
    Owner(Owner),
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
    pub(super) fn open(dir: &Path, parents: Parents) -> io::Result<Self> {
        let flags = DIR.difference(OFlags::NOFOLLOW);
        let top = rustix::fs::openat(CWD, dir, flags, Mode::empty()).map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("failed to open {}: {error}", dir.display()),
            )
        })?;
        Ok(Self {
            top,
            last: None,
            parents,
            made: 0,
        })
    }

    /// Returns how many directories were made because names needed them.
    pub(super) fn made(&self) -> u64 {
        self.made
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
        let dir = self.readable_dir(Some(name))?;
        Ok(rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))?)
    }

    /// Makes an empty file that only its owner can use, where nothing is.
    pub(super) fn make_new_file(&mut self, name: &Name) -> Result<File, Failure> {
        Ok(new_file(self.dir_of(name)?, &name.base)?)
    }

    /// Makes an empty file that only its owner can use, or empties the one that is there.
    pub(super) fn make_file(&mut self, name: &Name) -> Result<File, Failure> {
        let dir = self.dir_of(name)?;
        match new_file(dir, &name.base) {
            Err(Errno::EXIST) => {}
            made => return Ok(made?),
        }
        let there = stat(dir, &name.base)?;
        if kind(&there) != FileType::RegularFile {
            return Err(Failure::InTheWay(name.to_path()));
        }
        if there.st_nlink > 1 {
            // Its other names may be anywhere: they keep what they have.
            rustix::fs::unlinkat(dir, &name.base, AtFlags::empty())?;
            return Ok(new_file(dir, &name.base)?);
        }
        let old = WRITE | OFlags::TRUNC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(dir, &name.base, old, Mode::empty())?;
        Ok(File::from(file))
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

    /// Makes the character device 0:0 where nothing is: overlay's mark of something that is gone.
    pub(super) fn make_whiteout(&mut self, name: &Name) -> Result<(), Failure> {
        let dir = self.dir_of(name)?;
        let (kind, device) = (FileType::CharacterDevice, rustix::fs::makedev(0, 0));
        Ok(rustix::fs::mknodat(
            dir,
            &name.base,
            kind,
            Mode::empty(),
            device,
        )?)
    }

    /// Tells if this is the character device 0:0.
    pub(super) fn is_whiteout(&mut self, name: &Name) -> Result<bool, Failure> {
        let there = match stat(self.existing_dir(&name.dir)?.as_fd(), &name.base) {
            Err(Errno::NOENT) => return Ok(false),
            there => there?,
        };
        Ok(kind(&there) == FileType::CharacterDevice && there.st_rdev == 0)
    }

    /// Sets an extended attribute of a directory; the top if there is no name.
    pub(super) fn set_dir_attribute(
        &mut self,
        name: Option<&Name>,
        attribute: &CStr,
        value: &[u8],
    ) -> Result<(), Failure> {
        let dir = self.readable_dir(name)?;
        let flags = rustix::fs::XattrFlags::empty();
        Ok(rustix::fs::fsetxattr(&dir, attribute, value, flags)?)
    }

    /// Sets owner, mode and time of a directory made here; of the top if there is no name.
    pub(super) fn set_dir_attributes(
        &mut self,
        name: Option<&Name>,
        attributes: &Attributes,
    ) -> Result<(), Failure> {
        set_attributes(&self.readable_dir(name)?, attributes)
    }

    /// Sets owner and time of what was made here and is no directory, and its mode unless it is a symbolic link.
    pub(super) fn set_attributes(
        &mut self,
        name: &Name,
        attributes: &Attributes,
        is_symlink: bool,
    ) -> Result<(), Failure> {
        let dir = self.dir_of(name)?;
        if let Some(owner) = attributes.owner {
            let (uid, gid) = ids(owner)?;
            rustix::fs::chownat(dir, &name.base, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| owner_failure(error, owner))?;
        }
        if !is_symlink {
            let mode = Mode::from_raw_mode(attributes.mode);
            rustix::fs::chmodat(dir, &name.base, mode, AtFlags::empty())?;
        }
        let times = times(attributes.mtime);
        Ok(rustix::fs::utimensat(
            dir,
            &name.base,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Removes whatever has this name, with all that is below it.
    pub(super) fn remove(&mut self, name: &Name) -> Result<(), Failure> {
        self.last = None;
        Ok(remove(self.existing_dir(&name.dir)?.as_fd(), &name.base)?)
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

    /// Makes a directory where none is, as a name below it would.
    pub(super) fn make_path(&mut self, dir: &Path) -> Result<(), Failure> {
        let below = Name {
            dir: dir.to_path_buf(),
            base: OsString::new(),
        };
        self.dir_of(&below).map(drop)
    }

    /// Returns the directory of a name; what is missing of it is made, with the umask's mode.
    fn dir_of(&mut self, name: &Name) -> Result<BorrowedFd<'_>, Failure> {
        if name.dir.as_os_str().is_empty() {
            return Ok(self.top.as_fd());
        }
        if self.last.as_ref().is_none_or(|(dir, _)| *dir != name.dir) {
            let (parents, mut count) = (self.parents, 0);
            let dir = self.walk(&name.dir, |dir, base| {
                match rustix::fs::mkdirat(dir, base, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                    Err(Errno::EXIST) => return Ok(()),
                    made => made?,
                }
                count += 1;
                match parents {
                    Parents::Umask => Ok(()),
                    Parents::Image => {
                        let mode = Mode::from_raw_mode(0o755);
                        rustix::fs::chmodat(dir, base, mode, AtFlags::empty())
                    }
                }
            });
            self.made += count;
            self.last = Some((name.dir.clone(), dir?));
        }
        Ok(self
            .last
            .as_ref()
            .map_or(self.top.as_fd(), |(_, dir)| dir.as_fd()))
    }

    /// Opens a directory made here for more than walking.
    fn readable_dir(&mut self, name: Option<&Name>) -> Result<OwnedFd, Failure> {
        let flags = DIR.difference(OFlags::PATH);
        Ok(match name {
            Some(name) => rustix::fs::openat(self.dir_of(name)?, &name.base, flags, Mode::empty())?,
            None => rustix::fs::openat(&self.top, c".", flags, Mode::empty())?,
        })
    }

    fn existing_dir(&self, path: &Path) -> Result<OwnedFd, Failure> {
        self.walk(path, |_, _| Err(Errno::NOENT))
    }

    /// Opens a directory component by component; `missing` makes one that is not there.
    fn walk(
        &self,
        path: &Path,
        mut missing: impl FnMut(BorrowedFd<'_>, &OsStr) -> Result<(), Errno>,
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

/// Sets owner, mode and time of something open, in the order in which one does not undo another.
pub(super) fn set_attributes(file: impl AsFd, attributes: &Attributes) -> Result<(), Failure> {
    if let Some(owner) = attributes.owner {
        let (uid, gid) = ids(owner)?;
        rustix::fs::fchown(&file, uid, gid).map_err(|error| owner_failure(error, owner))?;
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(attributes.mode))?;
    Ok(rustix::fs::futimens(&file, &times(attributes.mtime))?)
}

/// Removes `base` and, if it is a directory, all that is below: whatever modes its directories have, never through a link.
///
/// However deep they lie in each other, two descriptors do: what is in a directory below is moved to the top one first.
pub(super) fn remove(dir: BorrowedFd<'_>, base: &OsStr) -> Result<(), Errno> {
    if remove_file(dir, base)? {
        return Ok(());
    }
    let top = open_up(dir, base)?;
    let mut moved = 0_u64;
    loop {
        let names = names(&top)?;
        if names.is_empty() {
            return rustix::fs::unlinkat(dir, base, AtFlags::REMOVEDIR);
        }
        for name in names {
            if remove_file(top.as_fd(), &name)? {
                continue;
            }
            let inner = open_up(top.as_fd(), &name)?;
            for below in self::names(&inner)? {
                if !remove_file(inner.as_fd(), &below)? {
                    // A directory that moves is written to.
                    open_up(inner.as_fd(), &below)?;
                    move_up(&inner, &below, &top, &mut moved)?;
                }
            }
            rustix::fs::unlinkat(&top, &name, AtFlags::REMOVEDIR)?;
        }
    }
}

/// Removes what is no directory; false if it is one.
fn remove_file(dir: BorrowedFd<'_>, base: &OsStr) -> Result<bool, Errno> {
    match rustix::fs::unlinkat(dir, base, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(_) if is(dir, base, FileType::Directory)? => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens a directory, in a mode in which its owner can list it and remove from it.
fn open_up(dir: BorrowedFd<'_>, base: &OsStr) -> Result<OwnedFd, Errno> {
    let held = rustix::fs::openat(dir, base, DIR | OFlags::PATH, Mode::empty())?;
    if fstat_mode(&held)? & Mode::RWXU.bits() != Mode::RWXU.bits() {
        // By what is open, not by the name, which may be a link by now.
        rustix::fs::chmod(format!("/proc/self/fd/{}", held.as_raw_fd()), Mode::RWXU)?;
    }
    rustix::fs::openat(&held, ".", DIR.difference(OFlags::PATH), Mode::empty())
}

fn fstat_mode(file: &OwnedFd) -> Result<u32, Errno> {
    Ok(rustix::fs::fstat(file)?.st_mode)
}

fn move_up(from: &OwnedFd, name: &OsStr, to: &OwnedFd, moved: &mut u64) -> Result<(), Errno> {
    loop {
        *moved += 1;
        match rustix::fs::renameat(from, name, to, format!(".{moved}")) {
            Err(Errno::EXIST | Errno::NOTDIR | Errno::NOTEMPTY) => {}
            result => return result,
        }
    }
}

fn names(dir: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let entries = rustix::fs::Dir::read_from(dir)?;
    let names = entries
        .map(|entry| entry.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned()));
    names
        .filter(|name| !matches!(name, Ok(name) if name == "." || name == ".."))
        .collect()
}

fn new_file(dir: BorrowedFd<'_>, base: &OsStr) -> Result<File, Errno> {
    let flags = WRITE | OFlags::CREATE | OFlags::EXCL;
    rustix::fs::openat(dir, base, flags, PRIVATE).map(File::from)
}

/// The kernel takes the largest id for "leave it as it is".
fn ids(owner: Owner) -> Result<(Option<Uid>, Option<Gid>), Failure> {
    if owner.uid == u32::MAX || owner.gid == u32::MAX {
        return Err(Failure::Owner(owner));
    }
    Ok((
        Some(Uid::from_raw(owner.uid)),
        Some(Gid::from_raw(owner.gid)),
    ))
}

/// In a user namespace an id that stands for none outside is `EINVAL`.
fn owner_failure(error: Errno, owner: Owner) -> Failure {
    match error {
        Errno::INVAL | Errno::PERM | Errno::OVERFLOW => Failure::Owner(owner),
        error => error.into(),
    }
}

fn times(mtime: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: mtime.seconds,
            tv_nsec: mtime.nanoseconds.into(),
        },
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

impl Failure {
    /// Tells if something had the name already.
    pub(super) fn is_existence(&self) -> bool {
        match self {
            Self::InTheWay(_) => true,
            Self::Io(error) => error.kind() == io::ErrorKind::AlreadyExists,
            Self::Owner(_) => false,
        }
    }
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
