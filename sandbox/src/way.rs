//! What this machine grants: which of the ways to make a container is open.
//!
//! | way | needs | whose the files are |
//! |---|---|---|
//! | root | the right to mount (uid 0 with `CAP_SYS_ADMIN`) | as the image says |
//! | many ids | user namespaces, `newuidmap`, a line in `/etc/subuid` and `/etc/subgid` | as the image says, shifted |
//! | one id | user namespaces | all the caller's |

use std::io;

use nix::libc;
use rustix::thread::{CapabilitySet, capabilities};

use crate::container::User;
use crate::engine::{self, Fault, Task};
use crate::ids::IdMaps;
use crate::runtime::Error;

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
    ///
    /// Each way is tried for real, in a process of its own that ends at once.
    pub fn find(user: User) -> Result<Self, Closed> {
        let mut reasons = Vec::new();
        if is_root() {
            match Self::Root.probe() {
                Ok(()) => return Ok(Self::Root),
                Err(error) => reasons.push(format!("root: {error}")),
            }
        } else {
            reasons.push("root: this is not root, or without CAP_SYS_ADMIN".to_owned());
        }
        let many = IdMaps::many(user).map(Self::ManyIds).map_err(Error::from);
        match many.and_then(|it| it.probe().map(|()| it)) {
            Ok(way) => return Ok(way),
            Err(error) => reasons.push(format!("many ids: {error}")),
        }
        let one = Self::OneId(IdMaps::one(user));
        match one.probe() {
            Ok(()) => Ok(one),
            Err(error) => {
                reasons.push(format!("one id: {error}"));
                Err(Closed { reasons })
            }
        }
    }

    /// Returns a way by the name that [`Way::name`] gives it, open or not; nothing for any other name.
    ///
    /// Fails if no ids are granted for many.
    pub fn named(name: &str, user: User) -> Option<io::Result<Self>> {
        match name {
            "root" => Some(Ok(Self::Root)),
            "many ids" => Some(IdMaps::many(user).map(Self::ManyIds)),
            "one id" => Some(Ok(Self::OneId(IdMaps::one(user)))),
            _ => None,
        }
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

    /// Tries whether it is open.
    fn probe(&self) -> Result<(), Error> {
        engine::inside(self, Task::Probe, std::process::Stdio::null())
    }
}

fn is_root() -> bool {
    let may_mount =
        || capabilities(None).is_ok_and(|it| it.effective.contains(CapabilitySet::SYS_ADMIN));
    nix::unistd::geteuid().is_root() && may_mount()
}

/// No way is open.
#[derive(Debug, thiserror::Error)]
#[error("this machine lets nobody make a container:\n  {}", reasons.join("\n  "))]
pub struct Closed {
    /// For each way, the setting that closes it.
    pub reasons: Vec<String>,
}

/// Says which setting of the machine is likely to have made a step of the helper's fail.
pub(crate) fn hint(fault: &Fault) -> Option<String> {
    let refused = matches!(
        fault.errno,
        Some(libc::EPERM | libc::EACCES | libc::ENOSPC | libc::EUSERS | libc::EINVAL)
    );
    if !refused {
        return None;
    }
    Settings::read().hint(fault)
}

/// Settings that close ways, as they stand.
#[derive(Debug, Default)]
struct Settings {
    /// `kernel.unprivileged_userns_clone`, of Debian's kernels.
    unprivileged_userns_clone: Option<u32>,
    /// `user.max_user_namespaces`.
    max_user_namespaces: Option<u32>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu's kernels.
    apparmor_restrict_unprivileged_userns: Option<u32>,
    /// This process runs under a filter of system calls, as in somebody's container.
    filtered: bool,
    /// This process cannot gain privileges, so that `newuidmap` has none.
    no_new_privs: bool,
}

impl Settings {
    fn read() -> Self {
        let number = |file: &str| {
            let text = fs_err::read_to_string(format!("/proc/sys/{file}")).ok()?;
            text.trim().parse().ok()
        };
        let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
        let set = |name: &str| {
            let value = status.lines().find_map(|it| it.strip_prefix(name));
            value.is_some_and(|it| it.trim() != "0")
        };
        Self {
            unprivileged_userns_clone: number("kernel/unprivileged_userns_clone"),
            max_user_namespaces: number("user/max_user_namespaces"),
            apparmor_restrict_unprivileged_userns: number(
                "kernel/apparmor_restrict_unprivileged_userns",
            ),
            filtered: set("Seccomp:"),
            no_new_privs: set("NoNewPrivs:"),
        }
    }

    fn hint(&self, fault: &Fault) -> Option<String> {
        let step = fault.doing.as_str();
        let users = step.contains("user namespace");
        let text = if users && self.max_user_namespaces == Some(0) {
            "user.max_user_namespaces is 0: set it higher, for instance with sysctl"
        } else if users && self.unprivileged_userns_clone == Some(0) {
            "kernel.unprivileged_userns_clone is 0: set it to 1"
        } else if self.apparmor_restrict_unprivileged_userns == Some(1)
            && !nix::unistd::geteuid().is_root()
        {
            "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0, or give this program an AppArmor profile with userns"
        } else if step.contains("newuidmap") || step.contains("newgidmap") {
            if !self.no_new_privs {
                return None;
            }
            "newuidmap gains no privileges here: this process runs under no-new-privileges"
        } else if self.filtered {
            "a filter of system calls is in the way: this seems to be a container, which must be run with a seccomp profile that allows namespaces and mounts"
        } else if step.contains("overlay") {
            "overlay mounts in a user namespace need Linux 5.11"
        } else {
            return None;
        };
        Some(text.to_owned())
    }
}
