//! The mounts of a bundle, made one by one in their order.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::libc;
use oci_spec::runtime as oci;
use rustix::fs::{
    FileType, FsWord, Mode, OFlags, PROC_SUPER_MAGIC, fstat, fstatfs, open, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};

use super::fault::{Doing as _, Fault};
use super::place::{Kind, Place};
use super::root::path;
use crate::syscall;

/// The devices of every container, with their numbers: a file of that name which is something else is not mounted.
const DEVICES: [(&str, u32, u32); 6] = [
    ("full", 1, 7),
    ("null", 1, 3),
    ("random", 1, 8),
    ("tty", 5, 0),
    ("urandom", 1, 9),
    ("zero", 1, 5),
];

const SYSFS_MAGIC: FsWord = 0x6265_6572;

const DEVICE_LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("pts/ptmx", "ptmx"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
];

/// All of the machine that a container will see, opened while this process still is who started it.
#[derive(Debug)]
pub(super) struct Sources {
    binds: Vec<Option<OwnedFd>>,
    devices: Vec<(&'static str, OwnedFd)>,
    /// The machine's own, for where nobody gets a new one.
    whole: Vec<(&'static str, OwnedFd)>,
}

impl Sources {
    /// Opens them. `whole` lets the machine's own `/proc` or `/sys` stand in where no new one can be had.
    pub(super) fn open(mounts: &[oci::Mount], whole: bool) -> Result<Self, Fault> {
        let bind = |mount: &oci::Mount| {
            let source = (mount.typ().as_deref() == Some("bind")).then(|| mount.source().clone());
            source.flatten().map(|it| see(&it)).transpose()
        };
        Ok(Self {
            binds: mounts.iter().map(bind).collect::<Result<_, _>>()?,
            devices: DEVICES.into_iter().map(device).collect::<Result<_, _>>()?,
            whole: if whole {
                vec![
                    ("proc", see(Path::new("/proc"))?),
                    ("sysfs", see(Path::new("/sys"))?),
                ]
            } else {
                Vec::new()
            },
        })
    }

    /// Makes the mounts of a bundle.
    pub(super) fn mount(&self, mounts: &[oci::Mount], place: &mut Place) -> Result<(), Fault> {
        for (mount, bind) in mounts.iter().zip(&self.binds) {
            let options = Options::read(mount.options().as_deref().unwrap_or_default());
            let target = mount.destination();
            if let Some(source) = bind {
                let doing = || {
                    let source = mount.source().as_ref().map(|it| it.display().to_string());
                    format!(
                        "mount {} at {}",
                        source.unwrap_or_default(),
                        target.display()
                    )
                };
                let under = place.make(target, kind(source).doing(doing)?)?;
                attach(source, &under, options.attributes, true).doing(doing)?;
                continue;
            }
            self.fresh(mount, &options, place)?;
        }
        Ok(())
    }

    fn fresh(&self, it: &oci::Mount, options: &Options, place: &mut Place) -> Result<(), Fault> {
        let target = it.destination();
        let kind = it.typ().as_deref().unwrap_or_default();
        let doing = || format!("mount {kind} at {}", target.display());
        let under = place.make(target, Kind::Directory)?;
        let data = CString::new(options.data.join(","))
            .map_err(|_| Errno::INVAL)
            .doing(doing)?;
        let whole = self.whole.iter().find(|it| it.0 == kind);
        match (
            mount(kind, path(&under), kind, options.flags, data.as_c_str()),
            whole,
        ) {
            // Where the machine's own is partly hidden, the kernel gives nobody a whole one.
            (Err(Errno::PERM), Some((_, whole))) => attach(whole, &under, options.attributes, true),
            (result, _) => result,
        }
        .doing(doing)?;
        if kind == "tmpfs" {
            let mounted = place.adopt(target)?;
            if target == Path::new("/dev") {
                self.furnish(&mounted, place)?;
            }
        }
        Ok(())
    }

    fn furnish(&self, dev: &OwnedFd, place: &Place) -> Result<(), Fault> {
        for (name, device) in &self.devices {
            let target = Path::new("/dev").join(name);
            let under = place.make(&target, Kind::File)?;
            // Read-only is the node, with its mode and owner on the machine; the device is written to all the same.
            let attributes =
                libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_RDONLY;
            attach(device, &under, attributes, false)
                .doing(|| format!("mount {}", target.display()))?;
        }
        for (target, link) in DEVICE_LINKS {
            symlinkat(target, dev, link).doing(|| format!("make the link /dev/{link}"))?;
        }
        Ok(())
    }

    /// Hides what a container may not see, and closes what it may not write to, where it is there at all.
    pub(super) fn restrict(&self, linux: &oci::Linux, place: &Place) -> Result<(), Fault> {
        for (target, magic) in [("/proc", PROC_SUPER_MAGIC), ("/sys", SYSFS_MAGIC)] {
            let doing = || format!("restrict {target}");
            let found = place.find(Path::new(target))?;
            let is = found.is_some_and(|it| fstatfs(it).is_ok_and(|it| it.f_type == magic));
            if !is {
                return Err(Fault::new(doing(), "it is not mounted there"));
            }
        }
        let null = self.devices.iter().find(|it| it.0 == "null");
        for target in linux.masked_paths().iter().flatten().map(Path::new) {
            let Some(found) = place.find(target)? else {
                continue;
            };
            let doing = || format!("hide {}", target.display());
            match (kind(&found).doing(doing)?, null) {
                (Kind::Directory, _) => {
                    let flags = MountFlags::RDONLY
                        | MountFlags::NOSUID
                        | MountFlags::NODEV
                        | MountFlags::NOEXEC;
                    mount("tmpfs", path(&found), "tmpfs", flags, c"size=0,mode=755")
                        .doing(doing)?;
                }
                (Kind::File, Some((_, null))) => {
                    attach(null, &found, libc::MOUNT_ATTR_RDONLY, false).doing(doing)?;
                }
                (Kind::File, None) => return Err(Fault::new(doing(), "there is no /dev/null")),
            }
        }
        for target in linux.readonly_paths().iter().flatten().map(Path::new) {
            if let Some(found) = place.find(target)? {
                attach(&found, &found, libc::MOUNT_ATTR_RDONLY, true)
                    .doing(|| format!("make {} read-only", target.display()))?;
            }
        }
        Ok(())
    }
}

/// Mounts what one descriptor stands for where another does. All that it must not be is set before anybody can see it.
fn attach(
    source: &OwnedFd,
    under: &OwnedFd,
    attributes: u64,
    recursive: bool,
) -> Result<(), Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(source, "", flags)?;
    syscall::add_mount_attributes(&tree, attributes, recursive)
        .map_err(|it| Errno::from_io_error(&it).unwrap_or(Errno::IO))?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&tree, "", under, "", flags)
}

/// Tries a bind mount of a folder on itself.
pub(super) fn probe(folder: &Path) -> Result<(), Fault> {
    let seen = see(folder)?;
    attach(&seen, &seen, libc::MOUNT_ATTR_NODEV, true).doing(|| "make a bind mount")
}

fn see(source: &Path) -> Result<OwnedFd, Fault> {
    open(source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .doing(|| format!("open {}", source.display()))
}

fn device(
    (name, major, minor): (&'static str, u32, u32),
) -> Result<(&'static str, OwnedFd), Fault> {
    let path: PathBuf = Path::new("/dev").join(name);
    let device = see(&path)?;
    let stat = fstat(&device).doing(|| format!("look at {}", path.display()))?;
    let is_character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_character || stat.st_rdev != rustix::fs::makedev(major, minor) {
        return Err(Fault::new(
            format!("look at {}", path.display()),
            "it is not that device",
        ));
    }
    Ok((name, device))
}

fn kind(source: &OwnedFd) -> Result<Kind, Errno> {
    let kind = FileType::from_raw_mode(fstat(source)?.st_mode);
    Ok(if kind == FileType::Directory {
        Kind::Directory
    } else {
        Kind::File
    })
}

/// A mount's options: those that are the mount's as flags and, in the newer call's form, attributes; the rest is the
/// file system's.
#[derive(Debug)]
struct Options {
    flags: MountFlags,
    attributes: u64,
    data: Vec<String>,
}

impl Options {
    fn read(options: &[String]) -> Self {
        let mut read = Self {
            flags: MountFlags::empty(),
            attributes: 0,
            data: Vec::new(),
        };
        for option in options {
            let (flag, attribute) = match option.as_str() {
                "nosuid" => (MountFlags::NOSUID, libc::MOUNT_ATTR_NOSUID),
                "nodev" => (MountFlags::NODEV, libc::MOUNT_ATTR_NODEV),
                "noexec" => (MountFlags::NOEXEC, libc::MOUNT_ATTR_NOEXEC),
                "ro" | "rro" => (MountFlags::RDONLY, libc::MOUNT_ATTR_RDONLY),
                "strictatime" => (MountFlags::STRICTATIME, 0),
                "bind" | "rbind" | "rprivate" | "rw" => continue,
                other => {
                    read.data.push(other.to_owned());
                    continue;
                }
            };
            read.flags |= flag;
            read.attributes |= attribute;
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_the_mounts_or_the_file_systems() {
        let all = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
        let table: [(&str, MountFlags, u64, &str); 4] = [
            ("rbind,rprivate,rw", MountFlags::empty(), 0, ""),
            (
                "nosuid,nodev,noexec",
                MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
                all,
                "",
            ),
            (
                "rro,mode=755",
                MountFlags::RDONLY,
                libc::MOUNT_ATTR_RDONLY,
                "mode=755",
            ),
            (
                "ro,strictatime,size=1k",
                MountFlags::RDONLY | MountFlags::STRICTATIME,
                libc::MOUNT_ATTR_RDONLY,
                "size=1k",
            ),
        ];
        for (text, flags, attributes, data) in table {
            let options: Vec<_> = text.split(',').map(str::to_owned).collect();
            let read = Options::read(&options);
            assert_eq!((read.flags, read.attributes), (flags, attributes), "{text}");
            assert_eq!(read.data.join(","), data, "{text}");
        }
    }
}
