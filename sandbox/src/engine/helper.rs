//! The helper: started by [`Helper::start`] in the program, served by [`serve`] in its copy.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command};
use std::sync::Arc;

use nix::sched::CloneFlags;
use rustix::process::DumpableBehavior;

use super::channel::{Report, Request, hear, tell};
use super::fault::{Doing as _, Fault};
use super::{Ended, Order, Task, executable, init, maps, probe};
use crate::ids::IdMaps;
use crate::runtime::{Error, Streams};
use crate::syscall;
use crate::unpacked::hands::unpack_stdin;

/// What a helper is called by. It reaches nobody's screen but in a list of processes.
const NAME: &str = "slipway-sandbox";

/// A helper that was started. Dropping it ends it and all that it started.
#[derive(Debug)]
pub(crate) struct Helper {
    child: Child,
    socket: Arc<UnixStream>,
}

impl Helper {
    /// Starts a helper for a task. It also holds `held` open until it ends.
    pub(crate) fn start(
        maps: Option<&IdMaps>,
        task: Task,
        streams: Streams,
        held: Vec<OwnedFd>,
    ) -> Result<Self, Error> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut inherited = vec![OwnedFd::from(theirs)];
        inherited.extend(held);
        let mut command = Command::new(executable::sealed()?);
        command
            .arg0(NAME)
            .args(inherited.iter().map(|it| it.as_raw_fd().to_string()))
            .env_clear()
            .stdin(streams.stdin)
            .stdout(streams.stdout)
            .stderr(streams.stderr);
        syscall::keep_open(&mut command, inherited);
        let child = command.spawn().doing(|| "start the sandbox's helper")?;
        // With it goes our copy of their end, without which the end of the helper could not be seen.
        drop(command);
        let mut helper = Self {
            child,
            socket: Arc::new(socket),
        };
        helper.instruct(maps, task)?;
        Ok(helper)
    }

    fn instruct(&mut self, maps: Option<&IdMaps>, task: Task) -> Result<(), Error> {
        let order = Order {
            maps: maps.cloned(),
            task,
        };
        self.tell(&Request::Order(Box::new(order)))?;
        if let Some(maps) = maps.filter(|it| !maps::are_own(it)) {
            match self.hear()? {
                Report::Unshared => {}
                report => return Err(Error::Talk(format!("{report:?}"))),
            }
            maps::write_for(self.child.id(), maps)?;
            self.tell(&Request::Mapped)?;
        }
        Ok(())
    }

    /// Waits for what the helper has to say; what it failed in is an error.
    pub(crate) fn hear(&mut self) -> Result<Report, Error> {
        match hear(&*self.socket)? {
            Some(Report::Failed(fault)) => Err(Error::from(fault)),
            Some(report) => Ok(report),
            None => Err(Error::Talk("it ended too early".to_owned())),
        }
    }

    fn tell(&self, request: &Request) -> io::Result<()> {
        tell(&*self.socket, request)
    }

    /// Returns the socket, for signals.
    pub(crate) fn socket(&self) -> Arc<UnixStream> {
        Arc::clone(&self.socket)
    }

    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    pub(crate) fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // However many copies of our end there are, the helper sees the stream's end now.
        self.socket.shutdown(std::net::Shutdown::Both).ok();
        self.child.wait().ok();
    }
}

/// The other side.
pub(super) fn serve() {
    let mut args = std::env::args_os();
    if args.next().as_deref() != Some(OsStr::new(NAME)) {
        return;
    }
    let Ok(inherited) = args
        .map(|it| it.to_str().and_then(|it| it.parse().ok()))
        .map(|it| {
            it.ok_or(io::ErrorKind::InvalidInput.into())
                .and_then(syscall::inherited)
        })
        .collect::<io::Result<Vec<OwnedFd>>>()
    else {
        return;
    };
    let Some(socket) = inherited.first() else {
        return;
    };
    let outcome = obey(socket, &inherited);
    let report = match outcome {
        Ok(None) => syscall::exit(0),
        Ok(Some(ended)) => Report::Ended(ended),
        Err(fault) => Report::Failed(fault),
    };
    let told = tell(socket, &report);
    syscall::exit(i32::from(
        told.is_err() || matches!(report, Report::Failed(_)),
    ));
}

/// Does what it is told. Nothing is returned if the outcome has been reported.
fn obey(socket: &OwnedFd, inherited: &[OwnedFd]) -> Result<Option<Ended>, Fault> {
    let keep: Vec<_> = inherited.iter().map(|it| it.as_fd().as_raw_fd()).collect();
    syscall::close_all_but(&keep).doing(|| "close what was inherited")?;
    // Away from the terminal: what is typed there is the program's, which passes on what it wants to.
    nix::unistd::setsid().doing(|| "begin a session")?;
    let Request::Order(order) = heard(socket)? else {
        return Err(Fault::new("begin", "the first message is no order"));
    };
    let Order { maps, task } = *order;
    if let Some(maps) = &maps {
        enter(socket, maps)?;
    }
    // Not earlier: it takes the maps away from whoever may write them.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .doing(|| "shut the process against others")?;
    perform(socket, task, maps.as_ref())
}

/// Becomes the root user of the user namespace, if it has one. Groups stay: with them go rights to the caller's files.
pub(super) fn become_root(maps: Option<&IdMaps>) -> Result<(), Fault> {
    let root = maps.is_some_and(IdMaps::has_root);
    if root {
        let (uid, gid) = (nix::unistd::Uid::from_raw(0), nix::unistd::Gid::from_raw(0));
        nix::unistd::setresgid(gid, gid, gid)
            .and_then(|()| nix::unistd::setresuid(uid, uid, uid))
            .doing(|| "become root in the user namespace")?;
    }
    Ok(())
}

fn heard(socket: &OwnedFd) -> Result<Request, Fault> {
    let gone = || io::Error::other("the program is gone");
    hear(socket)
        .and_then(|it| it.ok_or_else(gone))
        .doing(|| "read what to do")
}

/// Enters a user namespace of its own.
fn enter(socket: &OwnedFd, maps: &IdMaps) -> Result<(), Fault> {
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER).doing(|| "make a user namespace")?;
    if maps::are_own(maps) {
        return maps::write_own(maps);
    }
    tell(socket, &Report::Unshared).doing(|| "ask for the maps")?;
    match heard(socket)? {
        Request::Mapped => Ok(()),
        request => Err(Fault::new(
            "enter a user namespace",
            format!("{request:?} came"),
        )),
    }
}

fn perform(socket: &OwnedFd, task: Task, maps: Option<&IdMaps>) -> Result<Option<Ended>, Fault> {
    match task {
        Task::Probe => probe::probe(maps)?,
        Task::Remove(dir) => {
            become_root(maps)?;
            layout::layer::remove(&dir).map_err(|it| Fault::new("clear up", it.to_string()))?;
        }
        Task::Run(run) => return init::run(socket, &run, maps),
        Task::Unpack {
            dir,
            bytes,
            entries,
        } => {
            become_root(maps)?;
            unpack_stdin(&dir, bytes, entries)
                .map_err(|error| Fault::of("unpack the layer", &error))?;
        }
    }
    Ok(Some(Ended::Code(0)))
}
