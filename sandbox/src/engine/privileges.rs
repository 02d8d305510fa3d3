//! Becoming the user of a container, for good.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::unistd::{Gid, Uid, getgroups, setgroups, setresgid, setresuid};
use oci_spec::runtime as oci;
use rustix::fs::{FsWord, fstatfs};
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
};

use super::fault::{Doing as _, Fault};

/// Gives up everything but what the bundle grants. `groups_are_fixed` says that the kernel lets nobody set groups, as
/// in a user namespace that an unprivileged process mapped by itself.
pub(super) fn drop_to(process: &oci::Process, groups_are_fixed: bool) -> Result<(), Fault> {
    let user = process.user();
    let (uid, gid) = (Uid::from_raw(user.uid()), Gid::from_raw(user.gid()));
    let granted = granted(process)?;
    give_streams(uid, gid);
    // First, for it takes a capability that the next steps give up.
    bound(granted)?;
    // Refused where there is no such set, which is as good as an empty one.
    clear_ambient_capability_set().ok();
    set_keep_capabilities(true).doing(|| "keep capabilities")?;
    if !groups_are_fixed {
        setgroups(&[]).doing(|| "leave all groups")?;
    }
    setresgid(gid, gid, gid).doing(|| format!("become group {gid}"))?;
    setresuid(uid, uid, uid).doing(|| format!("become user {uid}"))?;
    let sets = CapabilitySets {
        effective: granted,
        permitted: granted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).doing(|| "give up capabilities")?;
    set_keep_capabilities(false).doing(|| "keep no capabilities")?;
    set_no_new_privs(true).doing(|| "renounce new privileges")?;
    verify(uid, gid, groups_are_fixed, sets)
}

/// Lets the program open its own standard streams anew (`> /dev/stderr`), which are pipes of whoever started it.
fn give_streams(uid: Uid, gid: Gid) {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    for stream in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        // Files and terminals are somebody's own: those stay.
        let pipe = is_pipe(stream);
        if pipe {
            // Without it the program can still write to what it was given.
            nix::unistd::fchown(stream, Some(uid), Some(gid)).ok();
        }
    }
}

/// True for a pipe without a name: one with a name is a file of somebody's.
fn is_pipe(stream: BorrowedFd<'_>) -> bool {
    const PIPEFS_MAGIC: FsWord = 0x5049_5045;
    fstatfs(stream).is_ok_and(|it| it.f_type == PIPEFS_MAGIC)
}

/// Believes no call's word for it.
fn verify(uid: Uid, gid: Gid, groups_are_fixed: bool, sets: CapabilitySets) -> Result<(), Fault> {
    let doing = || "give up all rights";
    let users = nix::unistd::getresuid().doing(doing)?;
    let groups = nix::unistd::getresgid().doing(doing)?;
    let alone = groups_are_fixed || getgroups().doing(doing)?.is_empty();
    let is = [users.real, users.effective, users.saved] == [uid; 3]
        && [groups.real, groups.effective, groups.saved] == [gid; 3]
        && capabilities(None).doing(doing)? == sets;
    if is && alone {
        return Ok(());
    }
    Err(Fault::new(doing(), "some are still there"))
}

fn granted(process: &oci::Process) -> Result<CapabilitySet, Fault> {
    let names = process
        .capabilities()
        .iter()
        .filter_map(|it| it.permitted().as_ref());
    names
        .flatten()
        .map(|it| match it {
            oci::Capability::Chown => Ok(CapabilitySet::CHOWN),
            oci::Capability::DacOverride => Ok(CapabilitySet::DAC_OVERRIDE),
            oci::Capability::Fowner => Ok(CapabilitySet::FOWNER),
            oci::Capability::Setgid => Ok(CapabilitySet::SETGID),
            oci::Capability::Setuid => Ok(CapabilitySet::SETUID),
            other => Err(Fault::new(
                "grant capabilities",
                format!("no container gets {other}"),
            )),
        })
        .collect()
}

fn bound(granted: CapabilitySet) -> Result<(), Fault> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if granted.contains(one) {
            continue;
        }
        match remove_capability_from_bounding_set(one) {
            // The kernel does not know that many.
            Err(Errno::INVAL) => break,
            result => result.doing(|| format!("renounce capability {number}"))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_with_a_name_is_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("named");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let flags = rustix::fs::OFlags::RDWR;
        let named = rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).unwrap();
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert!(!is_pipe(named.as_fd()));
        assert!(is_pipe(pipe.as_fd()));
    }
}
