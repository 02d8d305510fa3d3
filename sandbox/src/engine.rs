//! Our own runtime: a bundle made into processes by system calls alone, in a helper process with one thread.
//!
//! ```text
//! program ──exec of a sealed copy of itself──► helper    user namespace; outlives the container and clears up
//!    ▲                                           └─fork─► init       pid 1: other namespaces, mounts, drops all rights
//!    └──────────── one socket ──────────────────────────────┴─fork─► the container's program
//! ```
//!
//! Whoever dies takes all that is to the right along: init and helper see the socket's end when the program dies
//! (`PR_SET_PDEATHSIG` would not do here, since it fires when the thread ends that started the helper), init is killed
//! with the helper, and the kernel kills the whole namespace with init.

mod channel;
mod executable;
mod fault;
mod foreign;
mod helper;
mod init;
mod maps;
mod mounts;
mod network;
mod place;
mod privileges;
mod probe;
mod root;
mod supervise;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;

use serde::{Deserialize, Serialize};

pub(crate) use channel::{Ended, Report, Request, tell};
pub use fault::Fault;
pub(crate) use foreign::clear_cgroups;
pub(crate) use helper::Helper;

use crate::ids::IdMaps;
use crate::runtime::{Error, Streams};
use crate::way::Way;

/// Does the helper's work and ends the process, if that is what this process was started for; else returns at once.
///
/// A helper is known by its `argv[0]` and by the socket that it inherited, never by a variable.
pub fn serve() {
    helper::serve();
}

/// What a helper is started for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The user namespace to enter first, if any.
    pub(crate) maps: Option<IdMaps>,
    pub(crate) task: Task,
}

/// Work that a helper does. To add one: a variant here, and its arm in `helper::perform`, which runs in a process with
/// one thread, in the user namespace of the way, as its root user if the maps have one, with all its capabilities there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Tries whether a container can be made.
    Probe,
    /// Removes a directory that holds files of mapped ids.
    Remove(PathBuf),
    /// Runs a container to its end.
    Run(Run),
    /// Unpacks the layer that comes on standard input.
    Unpack {
        /// An empty directory.
        dir: PathBuf,
        /// Bytes of the tar at most.
        bytes: u64,
        /// Entries at most.
        entries: u64,
    },
}

/// A container to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The folder with its `config.json`, removed afterwards.
    pub(crate) bundle: PathBuf,
    /// What `/` is made of, base first; nothing but memory if none.
    pub(crate) layers: Option<Vec<PathBuf>>,
    /// The OCI runtime that is to make it, if not we.
    pub(crate) program: Option<PathBuf>,
}

/// Runs a task in a helper, inside the user namespace of `way` (in none for [`Way::Root`]), and waits for its end.
///
/// The task's standard input is `stdin`; its standard output and error are nobody's.
pub(crate) fn inside(way: &Way, task: Task, stdin: Stdio) -> Result<(), Error> {
    inside_holding(way, task, stdin, Vec::new())
}

/// Does as [`inside`]; the helper holds `held` open until it ends, even if this process ends before.
pub(crate) fn inside_holding(
    way: &Way,
    task: Task,
    stdin: Stdio,
    held: Vec<OwnedFd>,
) -> Result<(), Error> {
    let streams = Streams {
        stdin,
        stdout: Stdio::null(),
        stderr: Stdio::null(),
    };
    let mut helper = Helper::start(way.maps(), task, streams, held)?;
    match helper.hear()? {
        Report::Ended(_) => Ok(()),
        report => Err(Error::Talk(format!("{report:?}"))),
    }
}
