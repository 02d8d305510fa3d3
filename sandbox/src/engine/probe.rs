//! Trying whether a container can be made, without making one.

use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, mount};

use super::fault::{Doing as _, Fault};
use super::{helper, mounts, root};
use crate::ids::IdMaps;

/// Makes namespaces, and in them an overlay in memory; all of it goes with this process.
pub(super) fn probe(maps: Option<&IdMaps>) -> Result<(), Fault> {
    let namespaces = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    unshare(namespaces).doing(|| "make namespaces")?;
    root::keep_mounts_private()?;
    helper::become_root(maps)?;
    // A folder that is there on every machine, and which nobody in this namespace needs any more.
    let under = "/proc";
    mount(
        "tmpfs",
        under,
        "tmpfs",
        MountFlags::empty(),
        c"mode=700,size=64k",
    )
    .doing(|| "mount a tmpfs")?;
    for folder in ["l", "u", "w", "r"] {
        fs_err::create_dir(format!("{under}/{folder}")).doing(|| "write to a tmpfs")?;
    }
    let options = match maps {
        None => c"lowerdir=/proc/l,upperdir=/proc/u,workdir=/proc/w",
        Some(_) => c"lowerdir=/proc/l,upperdir=/proc/u,workdir=/proc/w,userxattr",
    };
    mount(
        "overlay",
        "/proc/r",
        "overlay",
        MountFlags::empty(),
        options,
    )
    .doing(|| "mount an overlay")?;
    mounts::probe(Path::new("/proc/r"))
}
