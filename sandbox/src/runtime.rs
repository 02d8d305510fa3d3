//! Running a container to its end: by our own engine, or by an OCI runtime that people trust already.

use std::path::{Path, PathBuf};
use std::process::{ChildStderr, ChildStdout, Stdio};

use crate::container::Container;
use crate::engine::Fault;
use crate::way::Way;

/// Who makes the container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// [`crate::engine`].
    #[default]
    Own,
    /// A program that takes `run --bundle DIR ID`: runc, crun, youki.
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
pub struct Running {}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Runtime {
    /// Starts a container. `scratch` is a directory on disk, not on an overlay, which holds what this run needs and
    /// nothing afterwards; what a killed run left there is cleared first.
    pub fn start(
        &self,
        way: &Way,
        container: &Container,
        scratch: &Path,
        streams: Streams,
    ) -> Result<Running, Error> {
        drop((way, container, scratch, streams));
        todo!()
    }
}

impl Running {
    /// Takes the reading end of standard output, if `Streams` asked for a pipe.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        todo!()
    }

    /// Takes the reading end of standard error, if `Streams` asked for a pipe.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        todo!()
    }

    /// Returns what sends signals to the program from another thread.
    pub fn signaller(&self) -> Signaller {
        todo!()
    }

    /// Waits for the end.
    pub fn wait(self) -> Result<Exit, Error> {
        todo!()
    }
}

/// Sends signals to a container's program.
#[derive(Clone, Debug)]
pub struct Signaller {}

impl Signaller {
    /// Sends `signal` to the program; nothing if it is gone.
    pub fn send(&self, signal: i32) {
        let _ = signal;
        todo!()
    }
}

/// Why a container did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A step of making the container failed.
    #[error("{0}")]
    Setup(Fault),
    /// The helper said something else than it should.
    #[error("the sandbox's helper failed: {0}")]
    Talk(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Setup(fault)
    }
}
