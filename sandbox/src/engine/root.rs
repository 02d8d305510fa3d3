//! `/` of a container: an overlay over its layers or an empty file system in memory, and going over to it.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, fstatfs, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, mount_move, unmount,
};

use super::fault::{Doing as _, Fault};
use super::place::Place;
use crate::bundle::ROOTFS;

const OVERLAYFS_SUPER_MAGIC: rustix::fs::FsWord = 0x794C_7630;

/// What `/` is made of, opened while this process still is who started it: later it may not see the folders any more.
#[derive(Debug)]
pub(super) struct Parts {
    dir: OwnedFd,
    layers: Option<Vec<OwnedFd>>,
}

impl Parts {
    /// Opens what is needed. The mount namespace must be the new one already: the kernel mounts nothing from another.
    pub(super) fn open(dir: &Path, layers: Option<&[PathBuf]>) -> Result<Self, Fault> {
        let layers = layers.map(|it| it.iter().map(|it| folder(CWD, it)).collect());
        Ok(Self {
            dir: folder(CWD, dir)?,
            layers: layers.transpose()?,
        })
    }

    /// Mounts `/` in its folder. `in_user_namespace` decides where overlay keeps its notes.
    pub(super) fn mount(&self, in_user_namespace: bool) -> Result<Place, Fault> {
        let under = folder(&self.dir, ROOTFS)?;
        match &self.layers {
            None => memory(&under)?,
            Some(layers) => self.overlay(&under, layers, in_user_namespace)?,
        }
        // Opened anew, for what was opened before is what now lies beneath.
        Place::new(folder(&self.dir, ROOTFS)?)
    }

    fn overlay(
        &self,
        under: &OwnedFd,
        layers: &[OwnedFd],
        in_user_namespace: bool,
    ) -> Result<(), Fault> {
        if layers.is_empty() {
            return Err(Fault::new("mount the layers", "there are none"));
        }
        let doing = || "make room for what the container writes";
        let on_overlay = fstatfs(&self.dir).doing(doing)?.f_type == OVERLAYFS_SUPER_MAGIC;
        let scratch = if on_overlay {
            // The kernel does not take a folder on an overlay for this.
            mkdirat(&self.dir, "memory", Mode::from_raw_mode(0o700)).doing(doing)?;
            memory(&folder(&self.dir, "memory")?)?;
            folder(&self.dir, "memory")?
        } else {
            self.dir.try_clone().doing(doing)?
        };
        for name in ["upper", "work"] {
            // The upper folder's mode and owner are those of `/`.
            mkdirat(&scratch, name, Mode::from_raw_mode(0o755)).doing(doing)?;
        }
        let (upper, work) = (folder(&scratch, "upper")?, folder(&scratch, "work")?);
        // Names are numbers in here, which keeps the text short (the kernel takes a page of it) and free of characters
        // that it would read as more than a name.
        std::env::set_current_dir("/proc/self/fd").doing(|| "go to /proc/self/fd")?;
        let lower: Vec<String> = layers
            .iter()
            .rev()
            .map(|it| it.as_raw_fd().to_string())
            .collect();
        let mut text = format!(
            "lowerdir={},upperdir={},workdir={}",
            lower.join(":"),
            upper.as_raw_fd(),
            work.as_raw_fd()
        );
        if in_user_namespace {
            text.push_str(",userxattr");
        }
        // Nothing of it is kept, so nothing need be on disk when it is unmounted. Unknown before Linux 5.10.
        let volatile = format!("{text},volatile");
        overlay(under, &volatile)
            .or_else(|error| {
                if error == Errno::INVAL {
                    overlay(under, &text)
                } else {
                    Err(error)
                }
            })
            .doing(|| format!("mount {} layers as an overlay", layers.len()))
    }
}

fn overlay(under: &OwnedFd, options: &str) -> Result<(), Errno> {
    let options = CString::new(options).map_err(|_| Errno::INVAL)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("overlay", path(under), "overlay", flags, options.as_c_str())
}

fn memory(under: &OwnedFd) -> Result<(), Fault> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", path(under), "tmpfs", flags, c"mode=755")
        .doing(|| "mount an empty file system in memory")
}

/// A path to what a descriptor stands for, for calls that take no descriptor.
pub(super) fn path(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn folder(at: impl AsFd, name: impl AsRef<OsStr>) -> Result<OwnedFd, Fault> {
    let name = name.as_ref();
    openat(
        at,
        name,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .doing(|| format!("open {}", name.display()))
}

/// Cuts this mount namespace off from the one that it was copied from.
pub(super) fn keep_mounts_private() -> Result<(), Fault> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .doing(|| "make the mounts private")
}

/// Makes a place this process's `/`, and leaves nothing of the old one.
pub(super) fn go(place: &Place) -> Result<(), Fault> {
    rustix::process::fchdir(place.root()).doing(|| "go to the container's root")?;
    match rustix::process::pivot_root(".", ".") {
        // The old root lies on the new one now.
        Ok(()) => unmount(".", UnmountFlags::DETACH).doing(|| "leave the old root")?,
        // Forbidden by other containers around this one, and impossible on an initial ramdisk.
        Err(Errno::PERM | Errno::ACCESS | Errno::INVAL) => {
            mount_move(".", "/").doing(|| "move the container's root to /")?;
            rustix::process::chroot(".").doing(|| "change the root")?;
        }
        error => error.doing(|| "pivot to the container's root")?,
    }
    rustix::process::chdir("/").doing(|| "go to /")
}
