//! Starting programs: in place of the launcher, or as a child that answers on descriptor 3 (LCH-025, BPL-026).
//!
//! The only module with unsafe code. `std::process::Command` alone will not do: it cannot open descriptor 3 in a
//! child, and it hands scripts without `#!` to `/bin/sh`, where the launcher has to fail (BPX-033). So a hook of
//! `Command` makes the `execve` itself, after `Command` has put the signals back to their defaults.

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::io::{self, PipeWriter};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::unistd::{dup2, execve};

use crate::env::Env;

/// The descriptor that an exec.d program writes its variables to.
const RESULT_FD: RawFd = 3;

/// What `execve` takes.
#[derive(Debug)]
pub(crate) struct Program {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// Fails if a name, an argument or a variable holds a zero byte.
    pub(crate) fn new<A: AsRef<OsStr>>(
        path: impl AsRef<OsStr>,
        argv: impl IntoIterator<Item = A>,
        env: &Env,
    ) -> io::Result<Self> {
        Ok(Self {
            path: c_string(path.as_ref())?,
            argv: argv
                .into_iter()
                .map(|argument| c_string(argument.as_ref()))
                .collect::<io::Result<_>>()?,
            env: env
                .assignments()
                .map(|variable| c_string(&variable))
                .collect::<io::Result<_>>()?,
        })
    }

    fn execute(&self) -> io::Result<()> {
        let Err(errno) = execve(&self.path, &self.argv, &self.env);
        Err(errno.into())
    }
}

/// Becomes the program; returns only why it could not.
pub(crate) fn replace_launcher(program: Program) -> io::Result<Infallible> {
    Err(command(program, None).exec())
}

/// Starts a program with no input, the launcher's outputs and a pipe as descriptor 3.
pub(crate) fn spawn_with_result(program: Program, writer: PipeWriter) -> io::Result<Child> {
    // The command owns the launcher's end of the writer and closes it here: only the child's is left.
    command(program, Some(writer)).stdin(Stdio::null()).spawn()
}

#[expect(
    unsafe_code,
    reason = "std has no safe way to run code between fork and exec"
)]
fn command(program: Program, result: Option<PipeWriter>) -> Command {
    let mut command = Command::new(OsStr::from_bytes(program.path.as_bytes()));
    let start = move || {
        if let Some(writer) = &result {
            // SAFETY: the value is never dropped, so it closes nothing that others own. In the launcher the
            // descriptor may belong to the reading end of the pipe or come from whoever started the launcher; here
            // in the child nobody uses it any more. It is in use in any case, for pipes get the lowest free
            // numbers and std keeps 0 to 2 open: so `Command` cannot have put a pipe of its own there, and the
            // writer, the second end, has a higher number and is copied rather than left to be closed on exec.
            let mut slot = ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(RESULT_FD) });
            dup2(writer, &mut slot)?;
        }
        program.execute()
    };
    // SAFETY: the hook runs in a fork of the launcher, or in the launcher itself. What a hook must not do is wait
    // for what another thread held at the time of the fork, such as the allocator's lock; the launcher has no other
    // thread. Beside that it makes two system calls on values that the hook owns.
    unsafe { command.pre_exec(start) };
    command
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(OsString::from(text).into_vec()).map_err(|_| Errno::EINVAL.into())
}
