//! Finding and making mount points inside a root that is not to be trusted.
//!
//! Every step is taken by descriptor and follows nothing: symbolic links are read and walked here, an absolute one from
//! the root, `..` back along the way that was come. So whatever the image holds, and whoever exchanges it meanwhile (a
//! volume may be shared with a program that runs), the way ends inside.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path};

use rustix::fs::{
    FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, mkdirat, openat, readlinkat,
};
use rustix::io::Errno;

use super::fault::{Doing as _, Fault};

/// A container's root while it is being furnished.
#[derive(Debug)]
pub(super) struct Place {
    root: OwnedFd,
    /// File systems that are the container's alone: only there is anything made.
    own: Vec<u64>,
}

/// What a mount point must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// What becomes of symbolic links on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Links {
    Inside,
    Refused,
}

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

impl Place {
    pub(super) fn new(root: OwnedFd) -> Result<Self, Fault> {
        let mut place = Self {
            root,
            own: Vec::new(),
        };
        let device = fstat(&place.root).doing(|| "look at the root")?.st_dev;
        place.own.push(device);
        Ok(place)
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Says that what is mounted at `path` belongs to the container alone.
    pub(super) fn adopt(&mut self, path: &Path) -> Result<OwnedFd, Fault> {
        let found = self.walk(path, None, Links::Refused)?;
        let device = fstat(&found)
            .doing(|| format!("look at {}", path.display()))?
            .st_dev;
        self.own.push(device);
        Ok(found)
    }

    /// Finds what is there, if anything is, without a link on the way.
    pub(super) fn find(&self, path: &Path) -> Result<Option<OwnedFd>, Fault> {
        match self.walk(path, None, Links::Refused) {
            Ok(found) => Ok(Some(found)),
            Err(fault) if fault.errno == Some(Errno::NOENT.raw_os_error()) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Finds a mount point, and makes what is missing of it.
    pub(super) fn make(&self, path: &Path, kind: Kind) -> Result<OwnedFd, Fault> {
        let found = self.reach(path, kind)?;
        let doing = || format!("find the mount point {}", path.display());
        let (stat, root) = (fstat(&found).doing(doing)?, fstat(&self.root).doing(doing)?);
        if (stat.st_dev, stat.st_ino) == (root.st_dev, root.st_ino) {
            return Err(Fault::new(doing(), "it is the root"));
        }
        if fstatfs(&found).doing(doing)?.f_type == PROC_SUPER_MAGIC {
            return Err(Fault::new(doing(), "nothing can be mounted in /proc"));
        }
        Ok(found)
    }

    /// Finds a folder or file, and makes what is missing of it.
    pub(super) fn reach(&self, path: &Path, kind: Kind) -> Result<OwnedFd, Fault> {
        // What every container has lies where it is said, or it could be hidden from what is to be done with it.
        let usual = ["/proc", "/dev", "/sys"]
            .iter()
            .any(|it| path.starts_with(it));
        let links = if usual { Links::Refused } else { Links::Inside };
        let found = self.walk(path, Some(kind), links)?;
        let doing = || format!("find {} inside", path.display());
        let mode = fstat(&found).doing(doing)?.st_mode;
        match (FileType::from_raw_mode(mode), kind) {
            (FileType::Directory, Kind::File) => Err(Errno::ISDIR).doing(doing),
            (FileType::Directory, Kind::Directory) | (_, Kind::File) => Ok(found),
            (_, Kind::Directory) => Err(Errno::NOTDIR).doing(doing),
        }
    }

    fn walk(&self, path: &Path, missing: Option<Kind>, follow: Links) -> Result<OwnedFd, Fault> {
        let doing = || format!("find {} inside", path.display());
        let mut way: Vec<OwnedFd> = Vec::new();
        let mut ahead = steps(path);
        let mut links = 0;
        while let Some(step) = ahead.pop() {
            if step == ".." {
                way.pop();
                continue;
            }
            let here = way.last().map_or(self.root.as_fd(), |it| it.as_fd());
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let next = match (openat(here, &step, flags, Mode::empty()), missing) {
                (Err(Errno::NOENT), Some(kind)) => {
                    let kind = if ahead.is_empty() {
                        kind
                    } else {
                        Kind::Directory
                    };
                    self.make_step(here, &step, kind).map_err(|it| Fault {
                        doing: format!("make the mount point {}", path.display()),
                        ..it
                    })?;
                    openat(here, &step, flags, Mode::empty()).doing(doing)?
                }
                (next, _) => next.doing(doing)?,
            };
            let stat: Stat = fstat(&next).doing(doing)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink if follow == Links::Refused => {
                    return Err(Fault::new(doing(), "there is a symbolic link on the way"));
                }
                FileType::Symlink => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::LOOP).doing(doing);
                    }
                    let target = readlinkat(&next, "", Vec::new()).doing(doing)?;
                    let target = OsString::from_vec(target.into_bytes());
                    let target = Path::new(&target);
                    if target.is_absolute() {
                        way.clear();
                    }
                    ahead.extend(steps(target));
                }
                FileType::Directory => way.push(next),
                _ if ahead.is_empty() => way.push(next),
                _ => return Err(Errno::NOTDIR).doing(doing),
            }
        }
        match way.pop() {
            Some(found) => Ok(found),
            None => self.root.try_clone().doing(doing),
        }
    }

    fn make_step(&self, here: BorrowedFd<'_>, step: &OsStr, kind: Kind) -> Result<(), Fault> {
        let device = fstat(here).doing(|| "look")?.st_dev;
        if !self.own.contains(&device) {
            // Made here, it would stay on the machine.
            let cause =
                "it is missing in a folder that is mounted from the machine: make it there first";
            return Err(Fault::new("look", cause));
        }
        match kind {
            Kind::Directory => mkdirat(here, step, Mode::from_raw_mode(0o755)),
            Kind::File => {
                let flags = OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::WRONLY
                    | OFlags::NOFOLLOW
                    | OFlags::CLOEXEC;
                openat(here, step, flags, Mode::from_raw_mode(0o644)).map(drop)
            }
        }
        .doing(|| "make")
    }
}

/// The steps of a path, the last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let step = |it: Component<'_>| match it {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::CurDir | Component::Prefix(_) | Component::RootDir => None,
    };
    path.components().rev().filter_map(step).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

    use super::*;

    /// A root beside something that no path inside may reach.
    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["root/etc", "root/sub/deep", "outside"] {
            fs_err::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs_err::write(dir.path().join("outside/secret"), "").unwrap();
        fs_err::write(dir.path().join("root/etc/hosts"), "").unwrap();
        let outside = dir.path().join("outside");
        for (target, link) in [
            (outside.as_path(), "absolute"),
            (Path::new("../outside"), "relative"),
            (Path::new("../../../../../../outside"), "sub/far"),
            (Path::new("/etc"), "sub/etc"),
            (Path::new("nowhere/file"), "sub/dangling"),
            (Path::new("loop"), "loop"),
        ] {
            symlink(target, dir.path().join("root").join(link)).unwrap();
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = rustix::fs::open(dir.path().join("root"), flags, Mode::empty()).unwrap();
        let place = Place::new(root).unwrap();
        (dir, place)
    }

    fn inode(fd: &OwnedFd) -> u64 {
        fstat(fd).unwrap().st_ino
    }

    #[test]
    fn links_and_parents_end_inside() {
        let (dir, place) = place();
        let at = |path: &str| {
            fs_err::metadata(dir.path().join("root").join(path))
                .unwrap()
                .ino()
        };
        for (path, wanted) in [
            ("/", ""),
            ("/../..", ""),
            ("/etc/../sub", "sub"),
            ("/sub/etc/hosts", "etc/hosts"),
            ("/sub/etc/../etc", "etc"),
        ] {
            let found = place.walk(Path::new(path), None, Links::Inside).unwrap();
            assert_eq!(inode(&found), at(wanted), "{path}");
        }
        for path in ["/absolute/secret", "/relative/secret", "/sub/far/secret"] {
            let fault = place
                .walk(Path::new(path), None, Links::Inside)
                .unwrap_err();
            assert_eq!(fault.errno, Some(Errno::NOENT.raw_os_error()), "{path}");
        }
    }

    #[test]
    fn what_is_missing_is_made_inside_only() {
        let (dir, place) = place();
        let root = dir.path().join("root");
        let (folder, file) = (Kind::Directory, Kind::File);
        for (path, kind, made) in [
            ("/new/a", folder, "new/a"),
            ("/new/b", file, "new/b"),
            ("/relative/c", file, "outside/c"),
            ("/sub/dangling", file, "sub/nowhere/file"),
        ] {
            place.make(Path::new(path), kind).unwrap();
            assert_eq!(root.join(made).is_dir(), kind == folder, "{path}");
            assert!(root.join(made).exists(), "{path}");
        }
        let names: Vec<_> = fs_err::read_dir(dir.path().join("outside"))
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret"]);
    }

    #[test]
    fn a_mount_point_of_the_other_kind_is_an_error() {
        let (_dir, place) = place();
        for (path, kind, cause) in [
            ("/etc", Kind::File, Errno::ISDIR),
            ("/etc/hosts", Kind::Directory, Errno::NOTDIR),
            ("/etc/hosts/below", Kind::File, Errno::NOTDIR),
            ("/loop", Kind::File, Errno::LOOP),
        ] {
            let fault = place.make(Path::new(path), kind).unwrap_err();
            assert_eq!(fault.errno, Some(cause.raw_os_error()), "{path}: {fault}");
        }
    }

    #[test]
    fn nothing_is_made_on_the_machine() {
        let (dir, mut place) = place();
        place.own.clear();
        let fault = place.make(Path::new("/new"), Kind::File).unwrap_err();
        assert!(
            fault.to_string().contains("mounted from the machine"),
            "{fault}"
        );
        assert!(!dir.path().join("root/new").exists());
    }

    #[test]
    fn nothing_is_mounted_in_proc() {
        let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let place = Place::new(root).unwrap();
        let fault = place
            .make(Path::new("/proc/sys"), Kind::Directory)
            .unwrap_err();
        assert!(
            fault
                .to_string()
                .ends_with("nothing can be mounted in /proc"),
            "{fault}"
        );
    }
}
