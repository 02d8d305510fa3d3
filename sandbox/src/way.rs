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
    /// `vm.memfd_noexec`: 2 lets nobody run a program from memory.
    memfd_noexec: Option<u32>,
    /// This process runs under a filter of system calls, as in somebody's container.
    filtered: bool,
    /// This process is root.
    root: bool,
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
            memfd_noexec: number("vm/memfd_noexec"),
            filtered: set("Seccomp:"),
            root: nix::unistd::geteuid().is_root(),
            no_new_privs: set("NoNewPrivs:"),
        }
    }

    fn hint(&self, fault: &Fault) -> Option<String> {
        // What else may go wrong, no setting is to blame for.
        if !matches!(
            fault.errno,
            None | Some(
                libc::EPERM
                    | libc::EACCES
                    | libc::EINVAL
                    | libc::ENODEV
                    | libc::ENOSPC
                    | libc::ENOSYS
                    | libc::EUSERS
            )
        ) {
            return None;
        }
        let step = fault.doing.as_str();
        let users = step.contains("user namespace");
        let text = if step.contains("helper") && self.memfd_noexec == Some(2) {
            "vm.memfd_noexec is 2: set it to 1 or 0, for the helper runs from a copy in memory"
        } else if users && self.max_user_namespaces == Some(0) {
            "user.max_user_namespaces is 0: set it higher, for instance with sysctl"
        } else if users && self.unprivileged_userns_clone == Some(0) {
            "kernel.unprivileged_userns_clone is 0: set it to 1"
        } else if self.apparmor_restrict_unprivileged_userns == Some(1) && !self.root {
            "kernel.apparmor_restrict_unprivileged_userns is 1: set it to 0, or give this program an AppArmor profile with userns"
        } else if step.contains("newuidmap") || step.contains("newgidmap") {
            if !self.no_new_privs {
                return None;
            }
            "newuidmap gains no privileges here: this process runs under no-new-privileges"
        } else if self.filtered {
            "a filter of system calls is in the way: this seems to be a container, which must be run with a seccomp profile that allows namespaces and mounts"
        } else if step.contains("overlay") && !self.root {
            "overlay mounts in a user namespace need Linux 5.11"
        } else if fault.errno == Some(libc::ENOSYS) {
            "Linux 5.12 is needed"
        } else {
            return None;
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(doing: &str, errno: Option<i32>) -> Fault {
        Fault {
            doing: doing.to_owned(),
            cause: String::new(),
            errno,
        }
    }

    #[test]
    fn a_hint_names_the_setting_that_is_in_the_way() {
        let open = Settings::default;
        let debian = || Settings {
            unprivileged_userns_clone: Some(0),
            ..open()
        };
        let none = || Settings {
            max_user_namespaces: Some(0),
            ..open()
        };
        let ubuntu = || Settings {
            apparmor_restrict_unprivileged_userns: Some(1),
            unprivileged_userns_clone: Some(1),
            ..open()
        };
        let docker = || Settings {
            filtered: true,
            max_user_namespaces: Some(1000),
            ..open()
        };
        let fixed = || Settings {
            no_new_privs: true,
            ..open()
        };
        let memory = || Settings {
            memfd_noexec: Some(2),
            ..open()
        };
        let (namespace, mount) = ("make a user namespace", "mount a tmpfs");
        let (overlay, ids) = ("mount an overlay", "map ids with newuidmap");
        let (perm, acces) = (Some(libc::EPERM), Some(libc::EACCES));
        let table = [
            (
                namespace,
                perm,
                debian(),
                "kernel.unprivileged_userns_clone is 0",
            ),
            (
                namespace,
                Some(libc::ENOSPC),
                none(),
                "user.max_user_namespaces is 0",
            ),
            (
                mount,
                acces,
                ubuntu(),
                "kernel.apparmor_restrict_unprivileged_userns is 1",
            ),
            (namespace, perm, docker(), "a seccomp profile"),
            (ids, None, fixed(), "no-new-privileges"),
            (overlay, perm, open(), "Linux 5.11"),
            ("bind", Some(libc::ENOSYS), open(), "Linux 5.12"),
            (
                "start the sandbox's helper",
                acces,
                memory(),
                "vm.memfd_noexec is 2",
            ),
            // No setting is known to be in the way.
            (ids, None, open(), ""),
            (namespace, perm, open(), ""),
            ("open /x", Some(libc::ENOENT), docker(), ""),
            (
                mount,
                acces,
                Settings {
                    root: true,
                    ..ubuntu()
                },
                "",
            ),
        ];
        for (doing, errno, settings, wanted) in table {
            let hint = settings.hint(&fault(doing, errno)).unwrap_or_default();
            assert!(hint.contains(wanted), "{doing}: {hint}");
            assert_eq!(hint.is_empty(), wanted.is_empty(), "{doing}: {hint}");
        }
    }

    #[test]
    fn ways_have_names() {
        let user = User {
            uid: 1000,
            gid: 1000,
        };
        for name in ["root", "one id"] {
            let way = Way::named(name, user).unwrap().unwrap();
            assert_eq!(way.name(), name);
        }
        assert!(Way::named("two ids", user).is_none());
    }
}
