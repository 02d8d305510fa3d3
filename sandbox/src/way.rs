//! What this machine grants: which of the ways to make a container is open.
//!
//! | way | needs | whose the files are |
//! |---|---|---|
//! | root | the right to mount (uid 0 with `CAP_SYS_ADMIN`) | as the image says |
//! | many ids | user namespaces, `newuidmap`, a line in `/etc/subuid` and `/etc/subgid` | as the image says, shifted |
//! | one id | user namespaces | all the caller's |

use crate::container::User;
use crate::ids::IdMaps;

/// A way to make a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// No user namespace.
    Root,
    /// A user namespace with the ids that `/etc/subuid` grants.
    ManyIds(IdMaps),
    /// A user namespace with the build's user alone.
    OneId(IdMaps),
}

impl Way {
    /// Finds the best way that is open for builds that run as `user`; the error says which setting closes each.
    pub fn find(user: User) -> Result<Self, Closed> {
        let _ = user;
        todo!()
    }

    /// Returns the maps of its user namespace, if it has one.
    pub(crate) fn maps(&self) -> Option<&IdMaps> {
        match self {
            Self::Root => None,
            Self::ManyIds(maps) | Self::OneId(maps) => Some(maps),
        }
    }

    /// Returns what the log calls it: `root`, `many ids`, `one id`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::ManyIds(_) => "many ids",
            Self::OneId(_) => "one id",
        }
    }
}

/// No way is open.
#[derive(Debug, thiserror::Error)]
#[error("this machine lets nobody make a container: {}", reasons.join("; "))]
pub struct Closed {
    /// For each way, the setting that closes it.
    pub reasons: Vec<String>,
}
