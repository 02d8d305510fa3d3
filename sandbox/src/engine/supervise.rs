//! What the first process of a container does while its program runs: reaps who dies, and passes signals on.
//!
//! The program is not that process itself, because the kernel gives process 1 of a namespace no default action for any
//! signal: a program that handles none could not be interrupted.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{WaitOptions, wait};

use super::channel::{Ended, Request, hear};
use super::fault::{Doing as _, Fault};
use crate::syscall;

const SIGNALS_AT_ONCE: usize = 16;

pub(super) struct Supervisor<'a> {
    socket: BorrowedFd<'a>,
    signals: SignalFd,
}

impl<'a> Supervisor<'a> {
    /// Takes all signals of this process from now on.
    pub(super) fn new(socket: BorrowedFd<'a>) -> Result<Self, Fault> {
        let doing = || "take signals";
        SigSet::all().thread_set_mask().doing(doing)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&SigSet::all(), flags).doing(doing)?;
        Ok(Self { socket, signals })
    }

    /// Stays until the program ends, or whoever started the container is gone.
    pub(super) fn watch(&self, program: Pid) -> Result<Ended, Fault> {
        loop {
            let mut polled = [
                PollFd::new(&self.signals, PollFlags::IN),
                PollFd::new(&self.socket, PollFlags::IN),
            ];
            match poll(&mut polled, None) {
                Err(Errno::INTR) => continue,
                result => result.doing(|| "wait for signals")?,
            };
            let [signals, socket] = polled.map(|it| !it.revents().is_empty());
            if signals && let Some(ended) = self.take_signals(program)? {
                return Ok(ended);
            }
            if socket {
                self.take_request(program)?;
            }
        }
    }

    fn take_signals(&self, program: Pid) -> Result<Option<Ended>, Fault> {
        // A few at a time: what runs in the container can send more than this process can read.
        for _ in 0..SIGNALS_AT_ONCE {
            let Some(signal) = self.signals.read_signal().doing(|| "read a signal")? else {
                break;
            };
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            // Only what comes from outside, where nobody has a number in here, is meant for the program.
            if number != nix::libc::SIGCHLD && signal.ssi_pid == 0 {
                syscall::kill(program, number);
            }
        }
        // Several ends may have come as one signal.
        reap(program)
    }

    fn take_request(&self, program: Pid) -> Result<(), Fault> {
        match hear(self.socket.as_fd()).doing(|| "read a request")? {
            Some(Request::Signal(signal)) => {
                syscall::kill(program, signal);
                Ok(())
            }
            Some(other) => Err(Fault::new("read a request", format!("{other:?} came"))),
            // With this process goes everything in the container.
            None => Err(Fault::new(
                "run the container",
                "whoever started it is gone",
            )),
        }
    }
}

fn reap(program: Pid) -> Result<Option<Ended>, Fault> {
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == program.as_raw() => {
                let code = status.exit_status().map(Ended::Code);
                ended = ended
                    .or(code)
                    .or_else(|| status.terminating_signal().map(Ended::Signal));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(ended),
            Err(error) => return Err(error).doing(|| "wait for a process"),
        }
    }
}
