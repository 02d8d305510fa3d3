//! The system calls for which no crate here has a safe function. The only module of this crate with `unsafe`.

#![allow(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::libc;
use nix::unistd::{ForkResult, Pid};

/// Lets these descriptors, under their own numbers, outlive the `exec` of `command`.
pub(crate) fn keep_open(command: &mut Command, descriptors: Vec<OwnedFd>) {
    let open = move || {
        for fd in &descriptors {
            rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes fcntl calls: it takes no lock and no memory.
    unsafe { command.pre_exec(open) };
}

/// Takes over a descriptor that this process was started with; an error if it is not open.
///
/// To be called once for each, before anything else opens files.
pub(crate) fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: fcntl with F_SETFD touches no memory; a number that is not open is an error.
    if fd < 3 || unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, as was just seen, and nobody else here knows of it: its number came from our own parent.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Closes all descriptors but the standard streams and these.
///
/// Only for a process that owns no other descriptor that it will use again: the helper at its start and its forks.
pub(crate) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep
        .iter()
        .filter_map(|&it| u32::try_from(it).ok())
        .collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().filter(|&it| it > 2) {
        if first < fd {
            close_range(first, fd - 1)?;
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: takes three numbers; whose descriptors these are is the caller's promise above.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return Ok(());
    }
    // Before Linux 5.9.
    let open: Vec<RawFd> = fs_err::read_dir("/proc/self/fd")?
        .filter_map(|it| it.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open {
        if u32::try_from(fd).is_ok_and(|it| (first..=last).contains(&it)) {
            // SAFETY: as above. The one that read the folder is closed already, which close reports and nobody minds.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

/// Forks. Only for the helper and its forks, which have one thread.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: in a process with one thread the child may do whatever the parent might.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Sends a signal of any number, real-time ones too.
pub(crate) fn kill(process: Pid, signal: i32) {
    // SAFETY: takes two numbers. Who is gone, or a number that is no signal, is an error that changes nothing.
    unsafe { libc::kill(process.as_raw(), signal) };
}

/// Ends this process at once, without running what others registered for its end.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: does not return, and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Sets every signal to what it does by itself, and blocks none.
pub(crate) fn default_signals() -> io::Result<()> {
    /// As the kernel has it: handler (`SIG_DFL` is 0), flags, restorer, mask.
    const DEFAULT: [u64; 4] = [0; 4];
    const MASK_SIZE: usize = 8;
    for signal in 1..=64 {
        let old = std::ptr::null_mut::<u64>();
        // SAFETY: the structure outlives the call, and is as large as that of any processor; nothing is written. Not by
        // libc's function, which leaves two signals of its own as whoever started this program had them.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                old,
                MASK_SIZE,
            )
        };
    }
    Ok(nix::sys::signal::SigSet::empty().thread_set_mask()?)
}

/// Leaves the caller's session keyring for an empty one.
pub(crate) fn new_session_keyring() -> io::Result<()> {
    const JOIN_SESSION_KEYRING: libc::c_int = 1;
    let unnamed = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name asks for a keyring without a name; nothing is read or written.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) };
    done(result)
}

/// Adds attributes (`MOUNT_ATTR_…`) to a mount and, if `recursive`, to those below it.
pub(crate) fn add_mount_attributes(
    mount: impl AsFd,
    attributes: u64,
    recursive: bool,
) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let attributes = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: path and structure live until the call returns, and the size given is the structure's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    done(result)
}

/// Keeps this process and its children from abstract Unix sockets that others made: those belong to the network, and on
/// a machine's own network anybody's listen there. Does nothing before Linux 6.12, which has no such rule.
///
/// Needs no-new-privileges, or the right to mount.
pub(crate) fn scope_sockets() -> io::Result<()> {
    /// `struct landlock_ruleset_attr`: file system, network, and `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
    const RULES: [u64; 3] = [0, 0, 1];
    // SAFETY: the structure outlives the call, which reads as many bytes as it is told.
    let rules = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            RULES.as_ptr(),
            size_of_val(&RULES),
            0,
        )
    };
    let Ok(rules) = i32::try_from(rules) else {
        return Ok(());
    };
    if rules < 0 {
        return Ok(());
    }
    // SAFETY: the call returned a new descriptor, which nobody else knows of.
    let rules = unsafe { OwnedFd::from_raw_fd(rules) };
    // SAFETY: takes numbers alone.
    done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) })
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
