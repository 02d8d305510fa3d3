//! Which system calls a container may make: what container engines allow by default to a program without capabilities,
//! less what a build has no use for (`ptrace`, reading another process's memory).
//!
//! The same list becomes our own engine's filter and the bundle's `seccomp` section.

use std::collections::BTreeMap;

use nix::libc;
use oci_spec::runtime as oci;
use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// A system call by the name that other runtimes know it by, and by its number here.
struct Call {
    name: &'static str,
    number: i64,
}

macro_rules! calls {
    ($($constant:ident)*) => {
        [$(Call { name: name(stringify!($constant)), number: libc::$constant }),*]
    };
}

/// A constant's name without its `SYS_`.
const fn name(constant: &'static str) -> &'static str {
    constant.split_at(4).1
}

static ALLOWED: &[Call] = &calls![
    SYS_accept SYS_accept4 SYS_adjtimex SYS_bind SYS_brk SYS_capget SYS_capset SYS_chdir SYS_clock_adjtime
    SYS_clock_getres SYS_clock_gettime SYS_clock_nanosleep SYS_close SYS_close_range SYS_connect SYS_copy_file_range
    SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve
    SYS_execveat SYS_exit SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fanotify_mark
    SYS_fchdir SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_flistxattr
    SYS_flock SYS_fremovexattr SYS_fsetxattr SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex SYS_futex_waitv
    SYS_get_robust_list SYS_getcpu SYS_getcwd SYS_getdents64 SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups
    SYS_getitimer SYS_getpeername SYS_getpgid SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid
    SYS_getresuid SYS_getrlimit SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid SYS_gettimeofday
    SYS_getuid SYS_getxattr SYS_inotify_add_watch SYS_inotify_init1 SYS_inotify_rm_watch SYS_io_cancel SYS_io_destroy
    SYS_io_getevents SYS_io_setup SYS_io_submit SYS_ioctl SYS_ioprio_get SYS_ioprio_set SYS_kill
    SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self SYS_lgetxattr SYS_linkat SYS_listen
    SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise SYS_membarrier
    SYS_memfd_create SYS_memfd_secret SYS_mincore SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall SYS_mmap
    SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive SYS_mq_timedsend SYS_mq_unlink
    SYS_mremap SYS_mseal SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd SYS_msync SYS_munlock SYS_munlockall SYS_munmap
    SYS_name_to_handle_at SYS_nanosleep SYS_newfstatat SYS_openat SYS_openat2 SYS_pidfd_open SYS_pidfd_send_signal
    SYS_pipe2 SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2
    SYS_prlimit64 SYS_process_mrelease SYS_pselect6 SYS_pwrite64 SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead
    SYS_readlinkat SYS_readv SYS_recvfrom SYS_recvmmsg SYS_recvmsg SYS_remap_file_pages SYS_removexattr
    SYS_renameat SYS_renameat2 SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigpending SYS_rt_sigprocmask
    SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo
    SYS_sched_get_priority_max SYS_sched_get_priority_min SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam
    SYS_sched_getscheduler SYS_sched_rr_get_interval SYS_sched_setaffinity SYS_sched_setattr SYS_sched_setparam
    SYS_sched_setscheduler SYS_sched_yield SYS_seccomp SYS_semctl SYS_semget SYS_semop SYS_semtimedop SYS_sendfile
    SYS_sendmmsg SYS_sendmsg SYS_sendto SYS_set_robust_list SYS_set_tid_address SYS_setfsgid SYS_setfsuid SYS_setgid
    SYS_setgroups SYS_setitimer SYS_setpgid SYS_setpriority SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid
    SYS_setrlimit SYS_setsid SYS_setsockopt SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget
    SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socketpair SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync
    SYS_sync_file_range SYS_syncfs SYS_sysinfo SYS_tee SYS_tgkill SYS_timer_create SYS_timer_delete
    SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime SYS_timerfd_create SYS_timerfd_gettime
    SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask SYS_uname SYS_unlinkat SYS_utimensat SYS_vmsplice
    SYS_wait4 SYS_waitid SYS_write SYS_writev
];

/// What the kernel has for this processor only.
#[cfg(target_arch = "x86_64")]
static ALLOWED_HERE: &[Call] = &calls![
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_chown SYS_creat SYS_dup2 SYS_epoll_create SYS_epoll_ctl_old
    SYS_epoll_wait SYS_epoll_wait_old SYS_eventfd SYS_fork SYS_futimesat SYS_get_thread_area SYS_getdents SYS_getpgrp
    SYS_inotify_init SYS_lchown SYS_link SYS_lstat SYS_mkdir SYS_mknod SYS_modify_ldt SYS_open SYS_pause SYS_pipe
    SYS_poll SYS_readlink SYS_rename SYS_rmdir SYS_select SYS_set_thread_area SYS_signalfd SYS_stat SYS_symlink
    SYS_time SYS_unlink SYS_utime SYS_utimes SYS_vfork
];
#[cfg(not(target_arch = "x86_64"))]
static ALLOWED_HERE: &[Call] = &[];

/// Calls that the C library's constants do not have on every processor; their numbers are the same on all.
static ALLOWED_LATELY: &[Call] = &[
    Call {
        name: "cachestat",
        number: 451,
    },
    Call {
        name: "fchmodat2",
        number: 452,
    },
    Call {
        name: "map_shadow_stack",
        number: 453,
    },
    Call {
        name: "futex_wake",
        number: 454,
    },
    Call {
        name: "futex_wait",
        number: 455,
    },
    Call {
        name: "futex_requeue",
        number: 456,
    },
    Call {
        name: "setxattrat",
        number: 463,
    },
    Call {
        name: "getxattrat",
        number: 464,
    },
    Call {
        name: "listxattrat",
        number: 465,
    },
    Call {
        name: "removexattrat",
        number: 466,
    },
];

/// The last number that this list was made with. A C library that tries a newer call must hear that there is none
/// (`ENOSYS`), not that it is forbidden, or it does not fall back to the older one.
const LAST_KNOWN: i64 = 466;
const LAST_TO_COME: i64 = 600;

/// One test of an argument; a call passes if any of its tests does.
#[derive(Clone, Copy)]
struct Test {
    argument: u8,
    is: Is,
}

#[derive(Clone, Copy)]
enum Is {
    Below(u64),
    Above(u64),
    Equal(u64),
    /// None of these bits is set.
    Without(u64),
}

/// `CLONE_NEW…`: every kind of namespace. The rest of `clone` is how programs are started.
const NEW_NAMESPACES: u64 = 0x7E02_0080;

/// Calls that are allowed with some arguments only.
fn tested() -> Vec<(Call, Vec<Test>)> {
    let argument = |is| Test { argument: 0, is };
    let call = |name, number| Call { name, number };
    vec![
        (
            call("clone", libc::SYS_clone),
            vec![argument(Is::Without(NEW_NAMESPACES))],
        ),
        // Linux, 32-bit addresses, and asking which.
        (
            call("personality", libc::SYS_personality),
            [0x0, 0x8, 0x2_0000, 0x2_0008, 0xFFFF_FFFF]
                .map(|it| argument(Is::Equal(it)))
                .to_vec(),
        ),
        // Neither AF_ALG (38), the kernel's ciphers, nor AF_VSOCK (40), which no network namespace confines.
        (
            call("socket", libc::SYS_socket),
            vec![
                argument(Is::Below(38)),
                argument(Is::Equal(39)),
                argument(Is::Above(40)),
            ],
        ),
    ]
}

/// Its flags are in memory, where no filter sees them: C libraries fall back to `clone`.
const UNKNOWN: Call = Call {
    name: "clone3",
    number: libc::SYS_clone3,
};

/// Returns the filters, to be applied in this order.
pub(crate) fn filters() -> Result<[BpfProgram; 2], Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(Error::from)?;
    let refuse = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> = unconditional()
        .chain(std::iter::once(&UNKNOWN))
        .map(|it| (it.number, Vec::new()))
        .chain((LAST_KNOWN + 1..=LAST_TO_COME).map(|it| (it, Vec::new())))
        .collect();
    for (call, tests) in tested() {
        let rules: Result<_, _> = tests.into_iter().map(rule).collect();
        allowed.insert(call.number, rules.map_err(Error::from)?);
    }
    let missing = std::iter::once(UNKNOWN.number)
        .chain(LAST_KNOWN + 1..=LAST_TO_COME)
        .map(|it| (it, Vec::new()));
    let compile = |rules, other, matching| {
        let filter = SeccompFilter::new(rules, other, matching, arch)?;
        BpfProgram::try_from(filter)
    };
    let (allow, forbidden) = (SeccompAction::Allow, refuse(libc::EPERM));
    Ok([
        compile(allowed, forbidden, allow.clone()).map_err(Error::from)?,
        // Of two filters' answers the kernel takes the stricter.
        compile(missing.collect(), allow, refuse(libc::ENOSYS)).map_err(Error::from)?,
    ])
}

fn unconditional() -> impl Iterator<Item = &'static Call> {
    [ALLOWED, ALLOWED_HERE, ALLOWED_LATELY]
        .into_iter()
        .flatten()
}

fn rule(test: Test) -> Result<SeccompRule, seccompiler::BackendError> {
    let (operator, value) = match test.is {
        Is::Below(value) => (SeccompCmpOp::Lt, value),
        Is::Above(value) => (SeccompCmpOp::Gt, value),
        Is::Equal(value) => (SeccompCmpOp::Eq, value),
        Is::Without(bits) => (SeccompCmpOp::MaskedEq(bits), 0),
    };
    // All of these arguments are ints to the kernel, and so are they here.
    let condition = SeccompCondition::new(test.argument, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}

/// Returns the same as a bundle says it.
pub(crate) fn section() -> oci::LinuxSeccomp {
    let names = unconditional().map(|it| it.name.to_owned()).collect();
    let mut syscalls = vec![
        syscall(names, oci::LinuxSeccompAction::ScmpActAllow),
        syscall(
            vec![UNKNOWN.name.to_owned()],
            oci::LinuxSeccompAction::ScmpActErrno,
        ),
    ];
    syscalls[1].set_errno_ret(Some(libc::ENOSYS.unsigned_abs()));
    for (call, tests) in tested() {
        syscalls.extend(tests.into_iter().map(|test| {
            let allow = oci::LinuxSeccompAction::ScmpActAllow;
            let mut syscall = syscall(vec![call.name.to_owned()], allow);
            syscall.set_args(Some(vec![argument(test)]));
            syscall
        }));
    }
    let mut section = oci::LinuxSeccomp::default();
    section
        .set_default_action(oci::LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(libc::EPERM.unsigned_abs()))
        .set_architectures(native().map(|it| vec![it]))
        .set_syscalls(Some(syscalls));
    section
}

fn syscall(names: Vec<String>, action: oci::LinuxSeccompAction) -> oci::LinuxSyscall {
    let mut syscall = oci::LinuxSyscall::default();
    syscall.set_names(names).set_action(action);
    syscall
}

fn argument(test: Test) -> oci::LinuxSeccompArg {
    use oci::LinuxSeccompOperator as Operator;
    let (operator, value) = match test.is {
        Is::Below(value) => (Operator::ScmpCmpLt, value),
        Is::Above(value) => (Operator::ScmpCmpGt, value),
        Is::Equal(value) => (Operator::ScmpCmpEq, value),
        // The mask comes first, and the wanted value, 0, second.
        Is::Without(bits) => (Operator::ScmpCmpMaskedEq, bits),
    };
    oci::LinuxSeccompArgBuilder::default()
        .index(usize::from(test.argument))
        .value(value)
        .value_two(0_u64)
        .op(operator)
        .build()
        .expect("every field has a default")
}

fn native() -> Option<oci::Arch> {
    match std::env::consts::ARCH {
        "x86_64" => Some(oci::Arch::ScmpArchX86_64),
        "aarch64" => Some(oci::Arch::ScmpArchAarch64),
        "riscv64" => Some(oci::Arch::ScmpArchRiscv64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What gets a program out of its container, or to the kernel's less trodden paths.
    const NEVER: [&str; 40] = [
        "acct",
        "add_key",
        "bpf",
        "chroot",
        "clock_settime",
        "clone",
        "clone3",
        "delete_module",
        "fanotify_init",
        "finit_module",
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "init_module",
        "io_uring_setup",
        "iopl",
        "ioperm",
        "kcmp",
        "kexec_load",
        "keyctl",
        "mount",
        "mount_setattr",
        "move_mount",
        "open_by_handle_at",
        "open_tree",
        "perf_event_open",
        "pidfd_getfd",
        "pivot_root",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "reboot",
        "request_key",
        "setns",
        "swapon",
        "syslog",
        "umount2",
        "unshare",
        "userfaultfd",
    ];

    #[test]
    fn what_leads_out_is_not_allowed_without_a_test() {
        let allowed: BTreeSet<_> = unconditional().map(|it| it.name).collect();
        for name in NEVER {
            assert!(!allowed.contains(name), "{name}");
        }
    }

    #[test]
    fn no_call_is_listed_twice() {
        let mut numbers = BTreeSet::new();
        for call in unconditional() {
            assert!(numbers.insert(call.number), "{}", call.name);
            assert!(call.number <= LAST_KNOWN, "{}", call.name);
        }
    }

    #[test]
    fn both_forms_hold_the_same() {
        let section = section();
        let names: usize = section
            .syscalls()
            .iter()
            .flatten()
            .filter(|it| it.args().is_none())
            .map(|it| it.names().len())
            .sum();
        assert_eq!(names, unconditional().count() + 1);
        filters().unwrap();
    }
}
