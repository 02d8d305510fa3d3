//! Running a container to its end: by our own engine, or by an OCI runtime that people trust already.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Stdio};
use std::sync::Arc;

use crate::bundle;
use crate::container::{Container, Root, User};
use crate::engine::{self, Ended, Fault, Helper, Report, Request, Run, Task};
use crate::scratch::RunDir;
use crate::way::{self, Way};

/// Who makes the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// [`crate::engine`].
    #[default]
    Own,
    /// A program that takes `run --bundle DIR ID`: runc, crun, youki. It runs inside namespaces of our own for users,
    /// mounts and processes, so that nothing of it outlives the run.
    Program(PathBuf),
}

/// Where a container's standard streams go.
#[derive(Debug)]
pub struct Streams {
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
}

/// A container that was started. Dropping it kills everything in it and removes what was made for it.
#[derive(Debug)]
pub struct Running {
    // In this order: the folder can only go when nobody uses it.
    helper: Helper,
    _dir: RunDir,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal. An OCI runtime turns signal `n` into the code `128 + n`.
    Signal(i32),
}

impl Runtime {
    /// Starts a container. `scratch` is a directory on disk, not on an overlay, which holds what this run needs and
    /// nothing afterwards; what a killed run left there is cleared first. (On an overlay it is memory that the
    /// container's changes to `/` go to.)
    ///
    /// Returns once the program runs.
    pub fn start(
        &self,
        way: &Way,
        container: &Container,
        scratch: &Path,
        streams: Streams,
    ) -> Result<Running, Error> {
        let program = match self {
            Self::Own => None,
            Self::Program(path) => Some(fs_err::canonicalize(path)?),
        };
        if program.is_some() && way.maps().is_some_and(|it| !it.has_root()) {
            let text = "an OCI runtime needs more than one id: let newuidmap grant some (a line in /etc/subuid and /etc/subgid), or use slipway's own";
            return Err(Error::Container(text.to_owned()));
        }
        let spec = bundle::spec(container, way.maps(), program.is_some())?;
        let dir = RunDir::make(scratch, way)?;
        bundle::write(dir.path(), &spec)?;
        let task = Task::Run(Run {
            bundle: dir.path().to_owned(),
            layers: match &container.root {
                Root::Empty => None,
                Root::Layers(layers) => Some(layers.clone()),
            },
            program,
        });
        let mut helper = Helper::start(way.maps(), task, streams, vec![dir.lock()?])?;
        match helper.hear()? {
            Report::Started => Ok(Running { helper, _dir: dir }),
            report => Err(Error::Talk(format!("{report:?}"))),
        }
    }
}

impl Running {
    /// Takes the reading end of standard output, if `Streams` asked for a pipe.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.helper.take_stdout()
    }

    /// Takes the reading end of standard error, if `Streams` asked for a pipe.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.helper.take_stderr()
    }

    /// Returns what sends signals to the program from another thread.
    pub fn signaller(&self) -> Signaller {
        Signaller {
            socket: self.helper.socket(),
        }
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Result<Exit, Error> {
        match self.helper.hear()? {
            Report::Ended(Ended::Code(code)) => Ok(Exit::Code(code)),
            Report::Ended(Ended::Signal(signal)) => Ok(Exit::Signal(signal)),
            report => Err(Error::Talk(format!("{report:?}"))),
        }
    }
}

/// Sends signals to a container's program.
#[derive(Clone, Debug)]
pub struct Signaller {
    socket: Arc<UnixStream>,
}

impl Signaller {
    /// Sends `signal` to the program; nothing if it is gone.
    pub fn send(&self, signal: i32) {
        // The only way in which it fails is that the other side is gone.
        engine::tell(&*self.socket, &Request::Signal(signal)).ok();
    }
}

/// Why a container did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What was asked for can be no container.
    #[error("{0}")]
    Container(String),
    /// The user namespace has no such user or group.
    #[error("user {0} does not exist in this way of running a container: it knows too few ids")]
    UnmappedUser(User),
    /// A step of making the container failed.
    #[error("{fault}{}", on_its_own_line(hint.as_deref()))]
    Setup {
        /// What failed.
        fault: Fault,
        /// Which setting of the machine is in the way, if that is known.
        hint: Option<String>,
    },
    /// The helper said something else than it should.
    #[error("the sandbox's helper failed: {0}")]
    Talk(String),
}

fn on_its_own_line(hint: Option<&str>) -> String {
    hint.map(|it| format!("\n{it}")).unwrap_or_default()
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let hint = way::hint(&fault);
        Self::Setup { fault, hint }
    }
}
