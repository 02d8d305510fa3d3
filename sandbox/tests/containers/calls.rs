//! System calls that the filter refuses.

use std::fmt::Write as _;
use std::path::Path;

use nix::libc;
use sandbox::Container;

use crate::kit::{Test, World, read_only};

pub(crate) static ALL: &[Test] = &[("forbidden_calls_are_refused", forbidden_calls_are_refused)];

/// System calls, their arguments in Perl, and the error that they end in.
static CALLS: [(&str, libc::c_long, &str, i32); 30] = [
    (
        "unshare a user namespace",
        libc::SYS_unshare,
        "0x10000000",
        libc::EPERM,
    ),
    (
        "clone into a user namespace",
        libc::SYS_clone,
        "0x10000000, 0, 0, 0, 0",
        libc::EPERM,
    ),
    ("clone3", libc::SYS_clone3, "0, 0", libc::ENOSYS),
    ("setns", libc::SYS_setns, "0, 0", libc::EPERM),
    ("mount", libc::SYS_mount, "0, 0, 0, 0, 0", libc::EPERM),
    ("umount2", libc::SYS_umount2, "'/proc', 0", libc::EPERM),
    ("fsopen", libc::SYS_fsopen, "'tmpfs', 0", libc::EPERM),
    (
        "open_tree",
        libc::SYS_open_tree,
        "-100, '/', 0",
        libc::EPERM,
    ),
    (
        "move_mount",
        libc::SYS_move_mount,
        "0, 0, 0, 0, 0",
        libc::EPERM,
    ),
    ("pivot_root", libc::SYS_pivot_root, "'.', '.'", libc::EPERM),
    ("chroot", libc::SYS_chroot, "'/nowhere'", libc::EPERM),
    ("ptrace", libc::SYS_ptrace, "0, 0, 0, 0", libc::EPERM),
    (
        "process_vm_readv",
        libc::SYS_process_vm_readv,
        "1, 0, 0, 0, 0, 0",
        libc::EPERM,
    ),
    (
        "pidfd_getfd",
        libc::SYS_pidfd_getfd,
        "-1, 0, 0",
        libc::EPERM,
    ),
    ("kcmp", libc::SYS_kcmp, "1, 1, 0, 0, 0", libc::EPERM),
    ("bpf", libc::SYS_bpf, "0, 0, 0", libc::EPERM),
    (
        "perf_event_open",
        libc::SYS_perf_event_open,
        "0, 0, 0, 0, 0",
        libc::EPERM,
    ),
    ("userfaultfd", libc::SYS_userfaultfd, "1", libc::EPERM),
    (
        "io_uring_setup",
        libc::SYS_io_uring_setup,
        "1, 0",
        libc::EPERM,
    ),
    ("keyctl", libc::SYS_keyctl, "0, -3, 0", libc::EPERM),
    (
        "add_key",
        libc::SYS_add_key,
        "'user', 'a', 'b', 1, -3",
        libc::EPERM,
    ),
    (
        "request_key",
        libc::SYS_request_key,
        "'user', 'a', 0, 0",
        libc::EPERM,
    ),
    (
        "open_by_handle_at",
        libc::SYS_open_by_handle_at,
        "0, 0, 0",
        libc::EPERM,
    ),
    (
        "init_module",
        libc::SYS_init_module,
        "0, 0, ''",
        libc::EPERM,
    ),
    (
        "kexec_load",
        libc::SYS_kexec_load,
        "0, 0, 0, 0",
        libc::EPERM,
    ),
    (
        "personality without random addresses",
        libc::SYS_personality,
        "0x40000",
        libc::EPERM,
    ),
    // Address families: AF_VSOCK, AF_ALG; and AF_UNIX, which is like most.
    ("socket vsock", libc::SYS_socket, "40, 1, 0", libc::EPERM),
    ("socket alg", libc::SYS_socket, "38, 5, 0", libc::EPERM),
    ("socket unix", libc::SYS_socket, "1, 1, 0", 0),
    ("getpid", libc::SYS_getpid, "0", 0),
];

fn forbidden_calls_are_refused(world: &mut World) {
    if !crate::kit::requires(&["perl"]) {
        return;
    }
    let mut script =
        "sub call { my ($n, @a) = @_; $! = 0; syscall($n, @a); print $! + 0, qq(\\n) }".to_owned();
    for (_, number, arguments, _) in &CALLS {
        write!(script, "call({number}, {arguments});").unwrap();
    }
    let container = Container {
        args: ["/usr/bin/perl", "-e", &script].map(Into::into).to_vec(),
        mounts: vec![read_only(Path::new("/usr"), "/usr")],
        ..world.container("")
    };
    let text = world.run(&container).ok();
    let got: Vec<_> = text
        .lines()
        .zip(&CALLS)
        .map(|(errno, it)| format!("{} {errno}", it.0))
        .collect();
    let wanted: Vec<_> = CALLS
        .iter()
        .map(|it| format!("{} {}", it.0, it.3))
        .collect();
    assert_eq!(got, wanted);
}
