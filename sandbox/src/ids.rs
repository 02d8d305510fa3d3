//! Which ids inside a user namespace stand for which ids outside.

use serde::{Deserialize, Serialize};

use crate::container::User;

/// `count` ids from `inside` on stand for those from `outside` on: a line of `/proc/PID/uid_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// First id in the container.
    pub inside: u32,
    /// First id on the machine.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The maps of a user namespace. The build's user always stands for whoever runs this program, so that what a build
/// writes belongs to that person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    /// For users.
    pub uids: Vec<Range>,
    /// For groups.
    pub gids: Vec<Range>,
}

impl IdMaps {
    /// Maps `user` to the ids of this process, and nothing else.
    pub fn one(user: User) -> Self {
        let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let one = |inside, outside| {
            vec![Range {
                inside,
                outside,
                count: 1,
            }]
        };
        Self {
            uids: one(user.uid, uid.as_raw()),
            gids: one(user.gid, gid.as_raw()),
        }
    }

    /// True if user 0 and group 0 exist in the namespace.
    pub(crate) fn has_root(&self) -> bool {
        let zero = |ranges: &[Range]| ranges.iter().any(|it| it.inside == 0 && it.count > 0);
        zero(&self.uids) && zero(&self.gids)
    }
}
