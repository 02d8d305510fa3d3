//! Having a container made by an OCI runtime: runc, crun or one of their kind.
//!
//! It runs in a user namespace, a mount namespace, in which `/` is mounted for it, and a process namespace of ours. So
//! it needs no rights outside, and nothing of it outlives the run, however it ends.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, mount};

use super::channel::Ended;
use super::fault::{Doing as _, Fault};
use super::init::{Program, die_with_helper, string, supervise};
use super::{Run, helper, root};
use crate::ids::IdMaps;
use crate::syscall;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Runs a runtime to its end.
pub(super) fn run(
    socket: &OwnedFd,
    alive: &OwnedFd,
    run: &Run,
    program: &Path,
    maps: Option<&IdMaps>,
) -> Result<Ended, Fault> {
    unshare(CloneFlags::CLONE_NEWNS).doing(|| "make namespaces")?;
    root::keep_mounts_private()?;
    let parts = root::Parts::open(&run.bundle, run.layers.as_deref())?;
    helper::become_root(maps)?;
    die_with_helper(alive)?;
    let place = parts.mount(maps.is_some())?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", flags, None).doing(|| "mount /proc for the runtime")?;
    let unified = Path::new(CGROUPS).join("unified");
    if unified.exists() {
        // crun refuses to work where both versions of cgroups are.
        mount("tmpfs", unified, "tmpfs", flags, c"mode=755,size=0")
            .doing(|| "hide the second version of cgroups")?;
    }
    drop((parts, place));
    syscall::scope_sockets().doing(|| "keep to sockets of the container's own")?;
    let runtime = invocation(program, &run.bundle)?;
    supervise(socket, || runtime.exec())
}

fn invocation(program: &Path, bundle: &Path) -> Result<Program, Fault> {
    let text = |path: &Path| {
        let wrong = || {
            Fault::new(
                "start the runtime",
                format!("{} is not UTF-8", path.display()),
            )
        };
        path.to_str().map(str::to_owned).ok_or_else(wrong)
    };
    let (state, id) = (text(&bundle.join("state"))?, id(bundle));
    let mut args = vec![text(program)?, "--root".to_owned(), state];
    if program.file_name().is_some_and(|it| it == "crun") {
        // It would move a build as root out of the cgroup of whoever started it, and of that one's limits.
        args.push("--cgroup-manager=disabled".to_owned());
    }
    args.extend(["run".to_owned(), "--bundle".to_owned(), text(bundle)?, id]);
    Ok(Program {
        args: args.iter().map(|it| string(it)).collect::<Result<_, _>>()?,
        env: vec![string(
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )?],
        cwd: string("/")?,
    })
}

/// A container's name, which is its cgroups' too: as unique as the folder's.
fn id(bundle: &Path) -> String {
    let name = bundle.file_name().unwrap_or_default();
    format!("slipway-{}", name.to_string_lossy())
}

/// Removes the empty cgroups of a runtime that was killed.
pub(crate) fn clear_cgroups(bundle: &Path) {
    let ours = fs_err::read_to_string("/proc/self/cgroup").unwrap_or_default();
    for folder in cgroups(&ours) {
        // Where the runtime made none, or removed it, there is nothing to do.
        fs_err::remove_dir(folder.join(id(bundle))).ok();
    }
}

/// Lists the folders of the cgroups in the text of `/proc/self/cgroup`.
fn cgroups(text: &str) -> Vec<PathBuf> {
    let folder = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (kind, path) = (fields.next()?, fields.next()?);
        let kind = kind.strip_prefix("name=").unwrap_or(kind);
        Some(
            Path::new(CGROUPS)
                .join(kind)
                .join(path.trim_start_matches('/')),
        )
    };
    text.lines().filter_map(folder).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroups_of_both_versions_are_found() {
        let text =
            "9:name=systemd:/\n4:memory:/a/b\n3:cpu,cpuacct:/c:d\n0::/user.slice/x\nbroken\n";
        let wanted = ["systemd", "memory/a/b", "cpu,cpuacct/c:d", "user.slice/x"];
        let wanted = wanted.map(|it| Path::new(CGROUPS).join(it));
        assert_eq!(cgroups(text), wanted);
    }
}
