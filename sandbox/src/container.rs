//! What is to run: plain data, the same for every way and every runtime.

use std::ffi::OsString;
use std::path::PathBuf;

/// One program and what it finds around it.
#[derive(Clone, Debug)]
pub struct Container {
    /// What `/` is made of.
    pub root: Root,
    /// Mounts in their order, those for every container (`/proc`, `/dev`, `/sys`) left out. A mount point that is
    /// missing is made, in the container only; one that is a symbolic link is resolved inside the container's root.
    pub mounts: Vec<Mount>,
    /// Who the program runs as, inside. No supplementary groups.
    pub user: User,
    /// What it may do beyond that; empty but for phases that begin as root.
    pub capabilities: Vec<Capability>,
    /// Program (an absolute path inside) and arguments.
    pub args: Vec<OsString>,
    /// All its variables: nothing of the caller's passes by itself.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory inside; made if it is missing.
    pub cwd: PathBuf,
    /// Which network it sees.
    pub network: Network,
}

/// What `/` of a container is made of. Whatever it writes there is gone afterwards.
#[derive(Clone, Debug)]
pub enum Root {
    /// Nothing but mounts.
    Empty,
    /// Unpacked layers, base first ([`crate::Unpacked::layers`]), under an overlay.
    Layers(Vec<PathBuf>),
}

/// Something of the machine, or a fresh file system, at a place inside.
#[derive(Clone, Debug)]
pub enum Mount {
    /// A file or directory of the machine, with what is mounted below it. Always `nosuid,nodev`.
    Bind {
        /// Outside.
        source: PathBuf,
        /// Inside.
        target: PathBuf,
        /// True: nothing can be written through it.
        read_only: bool,
    },
    /// An empty directory in memory that goes with the container.
    Tmpfs {
        /// Inside.
        target: PathBuf,
        /// Its mode, as `0o1777`.
        mode: u32,
    },
}

/// Ids inside a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// What a phase that begins as root needs to become the build's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the kernel's")]
pub enum Capability {
    Chown,
    DacOverride,
    Fowner,
    SetGid,
    SetUid,
}

/// Which network a container sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The machine's.
    #[default]
    Host,
    /// A loopback device of its own.
    None,
}
