//! A container from its first process on: what the helper forks.

use std::convert::Infallible;
use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use oci_spec::runtime as oci;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, PidfdFlags, Signal, pidfd_open, set_dumpable_behavior,
    set_parent_process_death_signal,
};

use super::channel::{Ended, Report, tell};
use super::fault::{Doing as _, Fault};
use super::mounts::Sources;
use super::place::Kind;
use super::supervise::Supervisor;
use super::{Run, foreign, helper, maps, network, privileges, root};
use crate::ids::IdMaps;
use crate::{bundle, seccomp, syscall};

/// Runs a container to its end, from within the helper. Its outcome has been told when this returns nothing.
pub(super) fn run(
    socket: &OwnedFd,
    run: &Run,
    maps: Option<&IdMaps>,
) -> Result<Option<Ended>, Fault> {
    unshare(CloneFlags::CLONE_NEWPID).doing(|| "make a process namespace")?;
    let (alive, ours) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(|| "make a pipe")?;
    let Some(init) = syscall::fork().doing(|| "fork")? else {
        drop(ours);
        let report = match begin(socket, &alive, run, maps) {
            Ok(ended) => Report::Ended(ended),
            Err(fault) => Report::Failed(fault),
        };
        syscall::exit(i32::from(tell(socket, &report).is_err()));
    };
    drop(alive);
    let status = wait_or_kill(socket, init);
    // All that it mounted went with it; what it wrote goes now, by whoever has the ids for that.
    let cleared = layout::layer::remove(&run.bundle);
    if run.program.is_some() {
        foreign::clear_cgroups(&run.bundle);
    }
    match status.doing(|| "wait for the container")? {
        WaitStatus::Exited(..) => {}
        other => {
            return Err(Fault::new(
                "run the container",
                format!("its first process was killed: {other:?}"),
            ));
        }
    }
    cleared.map_err(|it| Fault::new("clear up", it.to_string()))?;
    Ok(None)
}

/// Waits for the first process, and kills it when whoever started all this is gone: it would see that itself, but what
/// runs in the container can keep it busy.
fn wait_or_kill(socket: &OwnedFd, init: Pid) -> nix::Result<WaitStatus> {
    let pid = rustix::process::Pid::from_raw(init.as_raw()).ok_or(nix::Error::ESRCH)?;
    // Before Linux 5.3 there is none, and it is left to the first process.
    if let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) {
        loop {
            // Of the socket, only that it was hung up; what is said there is for the first process.
            let mut polled = [
                PollFd::new(&process, PollFlags::IN),
                PollFd::new(socket, PollFlags::empty()),
            ];
            match poll(&mut polled, None) {
                Err(Errno::INTR) => continue,
                Err(_) => break,
                Ok(_) => {}
            }
            if polled[1]
                .revents()
                .intersects(PollFlags::HUP | PollFlags::ERR)
            {
                syscall::kill(init, nix::libc::SIGKILL);
                break;
            }
            if !polled[0].revents().is_empty() {
                break;
            }
        }
    }
    waitpid(init, None)
}

/// The first process of the container.
fn begin(
    socket: &OwnedFd,
    alive: &OwnedFd,
    run: &Run,
    maps: Option<&IdMaps>,
) -> Result<Ended, Fault> {
    die_with_helper(alive)?;
    // What is made has the mode that is said.
    rustix::process::umask(Mode::empty());
    let spec = bundle::read(&run.bundle).doing(|| "read the bundle")?;
    match &run.program {
        None => own(socket, alive, run, &spec, maps),
        Some(program) => foreign::run(socket, alive, run, program, maps),
    }
}

/// Has the kernel kill this process when the helper ends. Changing the user undoes it.
pub(super) fn die_with_helper(alive: &OwnedFd) -> Result<(), Fault> {
    let doing = || "tie the container to its helper";
    set_parent_process_death_signal(Some(Signal::KILL)).doing(doing)?;
    // It may have died before that.
    let mut polled = [PollFd::new(alive, PollFlags::IN)];
    poll(&mut polled, Some(&rustix::event::Timespec::default())).doing(doing)?;
    if polled[0].revents().is_empty() {
        return Ok(());
    }
    Err(Fault::new(doing(), "the helper is gone"))
}

/// Makes a container by system calls.
fn own(
    socket: &OwnedFd,
    alive: &OwnedFd,
    run: &Run,
    spec: &oci::Spec,
    maps: Option<&IdMaps>,
) -> Result<Ended, Fault> {
    let missing = |what: &str| Fault::new("read the bundle", format!("there is no {what}"));
    let linux = spec.linux().as_ref().ok_or_else(|| missing("linux"))?;
    let process = spec.process().as_ref().ok_or_else(|| missing("process"))?;
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let program = Program::new(process)?;
    let filters = seccomp::filters()
        .map_err(|it| Fault::new("compile the filter of system calls", it.to_string()))?;

    unshare(namespaces(linux)).doing(|| "make namespaces")?;
    root::keep_mounts_private()?;
    let parts = root::Parts::open(&run.bundle, run.layers.as_deref())?;
    // As root the machine's own are more than a stranger's program may see.
    let sources = Sources::open(mounts, maps.is_some() || run.layers.is_none())?;
    helper::become_root(maps)?;
    die_with_helper(alive)?;
    let mut place = parts.mount(maps.is_some())?;
    sources.mount(mounts, &mut place)?;
    sources.restrict(linux, &place)?;
    place.reach(process.cwd(), Kind::Directory)?;
    root::go(&place)?;
    drop((parts, sources, place));

    if has(linux, oci::LinuxNamespaceType::Network) {
        network::loopback_up().doing(|| "switch the loopback device on")?;
    }
    if let Some(name) = spec.hostname() {
        nix::unistd::sethostname(name).doing(|| "set the host's name")?;
    }
    // Refused by filters of containers around this one, whose program then cannot use the old one either.
    syscall::new_session_keyring().ok();
    privileges::drop_to(process, maps.is_some_and(maps::are_own))?;
    syscall::scope_sockets().doing(|| "keep to sockets of the container's own")?;
    for filter in &filters {
        seccompiler::apply_filter(filter)
            .map_err(|it| Fault::new("filter system calls", it.to_string()))?;
    }
    // Anew, since changing the user undid both.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .doing(|| "shut the process against others")?;
    die_with_helper(alive)?;
    supervise(socket, || program.exec())
}

fn namespaces(linux: &oci::Linux) -> CloneFlags {
    let mut flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if has(linux, oci::LinuxNamespaceType::Network) {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    flags
}

fn has(linux: &oci::Linux, kind: oci::LinuxNamespaceType) -> bool {
    linux
        .namespaces()
        .iter()
        .flatten()
        .any(|it| it.typ() == kind)
}

/// Starts a program in a process of its own, and stays with it to its end.
pub(super) fn supervise(
    socket: &OwnedFd,
    exec: impl FnOnce() -> Result<Infallible, Fault>,
) -> Result<Ended, Fault> {
    syscall::close_all_but(&[socket.as_raw_fd()]).doing(|| "close what is left open")?;
    let supervisor = Supervisor::new(socket.as_fd())?;
    let (failure, theirs) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing(|| "make a pipe")?;
    let Some(program) = syscall::fork().doing(|| "fork")? else {
        let Err(fault) = exec();
        let text = serde_json::to_vec(&fault).unwrap_or_default();
        // Shorter than a pipe holds, so that it is written at once; if not, the end of the pipe says that it failed.
        rustix::io::write(&theirs, &text).ok();
        syscall::exit(127);
    };
    drop(theirs);
    started(failure)?;
    tell(socket, &Report::Started).doing(|| "tell that the program runs")?;
    supervisor.watch(program)
}

/// Waits until the program has taken the place of the process that was forked for it.
fn started(failure: OwnedFd) -> Result<(), Fault> {
    let mut text = Vec::new();
    std::fs::File::from(failure)
        .read_to_end(&mut text)
        .doing(|| "start the program")?;
    if text.is_empty() {
        return Ok(());
    }
    Err(serde_json::from_slice(&text)
        .unwrap_or_else(|it| Fault::new("start the program", it.to_string())))
}

/// A program as `execve` takes it.
pub(super) struct Program {
    pub(super) args: Vec<CString>,
    pub(super) env: Vec<CString>,
    pub(super) cwd: CString,
}

impl Program {
    fn new(process: &oci::Process) -> Result<Self, Fault> {
        let strings = |it: &Option<Vec<String>>| {
            it.iter()
                .flatten()
                .map(|it| string(it))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            args: strings(process.args())?,
            env: strings(process.env())?,
            cwd: string(&process.cwd().to_string_lossy())?,
        })
    }

    /// Becomes this program, in a session of its own and with nothing of ours: no signal's action, no descriptor.
    pub(super) fn exec(&self) -> Result<Infallible, Fault> {
        nix::unistd::setsid().doing(|| "begin a session")?;
        syscall::default_signals().doing(|| "reset signals")?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let cwd = self.cwd.to_string_lossy();
        rustix::process::chdir(&self.cwd).doing(|| format!("go to {cwd}"))?;
        // A directory that cannot be reached from the root is none of the container's.
        let here = rustix::process::getcwd(Vec::new()).doing(|| format!("go to {cwd}"))?;
        if here.to_bytes().first() != Some(&b'/') {
            return Err(Errno::NOENT).doing(|| format!("go to {cwd}"));
        }
        let program = self
            .args
            .first()
            .ok_or_else(|| Fault::new("start the program", "there is none"))?;
        nix::unistd::execve(program, &self.args, &self.env)
            .doing(|| format!("start {}", program.to_string_lossy()))
    }
}

pub(super) fn string(text: &str) -> Result<CString, Fault> {
    CString::new(text).map_err(|it| Fault::new("start the program", it.to_string()))
}
