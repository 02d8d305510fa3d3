//! Which ids inside a user namespace stand for which ids outside.
//!
//! ```text
//! /etc/subuid   ada:100000:65536            inside   0 … 999   1000   1001 … 65535
//! caller        ada, 1001                   outside  100000 …  1001   101000 …
//! ```

use std::io;

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

/// An image's ids end here; `nobody` is 65534.
const IDS: u32 = 65_536;

impl IdMaps {
    /// Maps `user` to the ids of this process, and nothing else.
    pub fn one(user: User) -> Self {
        let (uid, gid) = own();
        let one = |inside, outside| {
            vec![Range {
                inside,
                outside,
                count: 1,
            }]
        };
        Self {
            uids: one(user.uid, uid),
            gids: one(user.gid, gid),
        }
    }

    /// Maps `user` to the ids of this process, and all other ids to those that `/etc/subuid` and `/etc/subgid` grant.
    ///
    /// The error says which file grants nothing.
    pub fn many(user: User) -> io::Result<Self> {
        let (uid, gid) = own();
        let passwd = fs_err::read_to_string("/etc/passwd").unwrap_or_default();
        let name = name(&passwd, uid);
        let ranges = |file: &str, inside, outside| {
            let text = match fs_err::read_to_string(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                other => other?,
            };
            let granted = granted(&text, name, uid);
            if granted.is_empty() {
                let who = name.map_or_else(|| uid.to_string(), str::to_owned);
                return Err(io::Error::other(format!("{file} has no line for {who}")));
            }
            Ok(spread(inside, outside, &granted))
        };
        Ok(Self {
            uids: ranges("/etc/subuid", user.uid, uid)?,
            gids: ranges("/etc/subgid", user.gid, gid)?,
        })
    }

    /// True if user 0 and group 0 exist in the namespace.
    pub(crate) fn has_root(&self) -> bool {
        self.has(0, 0)
    }

    /// True if this user and this group exist in the namespace.
    pub(crate) fn has(&self, uid: u32, gid: u32) -> bool {
        let has = |ranges: &[Range], id: u32| {
            ranges
                .iter()
                .any(|it| id >= it.inside && id - it.inside < it.count)
        };
        has(&self.uids, uid) && has(&self.gids, gid)
    }
}

fn own() -> (u32, u32) {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    (uid.as_raw(), gid.as_raw())
}

/// Finds a user's name in the text of `/etc/passwd`: a static program can ask no other directory of users.
fn name(passwd: &str, uid: u32) -> Option<&str> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// Finds what the text of `/etc/subuid` or `/etc/subgid` grants to a user, by name or by number: first ids and counts.
fn granted(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let who = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let theirs = name == Some(who) || who.parse() == Ok(uid);
        (theirs && count > 0).then_some((first, count))
    };
    text.lines().filter_map(line).collect()
}

/// Gives `inside` to `outside`, and the other ids in their order to the granted ones in theirs, as far as they go.
fn spread(inside: u32, outside: u32, granted: &[(u32, u32)]) -> Vec<Range> {
    let mut ranges = vec![Range {
        inside,
        outside,
        count: 1,
    }];
    let mut next = 0;
    for &(mut first, mut left) in granted {
        while left > 0 && next < IDS {
            if next == inside {
                next += 1;
                continue;
            }
            let end = if next < inside { inside.min(IDS) } else { IDS };
            let count = left.min(end - next);
            ranges.push(Range {
                inside: next,
                outside: first,
                count,
            });
            next += count;
            first = first.saturating_add(count);
            left -= count;
        }
    }
    ranges.sort_by_key(|it| it.inside);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_stands_for_the_build_user_and_the_rest_keeps_its_order() {
        type Case<'a> = (u32, &'a [(u32, u32)], &'a [(u32, u32, u32)]);
        let table: &[Case<'_>] = &[
            (
                1000,
                &[(100_000, 65_536)],
                &[(0, 100_000, 1000), (1000, 7, 1), (1001, 101_000, 64_535)],
            ),
            (0, &[(100_000, 65_536)], &[(0, 7, 1), (1, 100_000, 65_535)]),
            (
                65_535,
                &[(100_000, 65_536)],
                &[(0, 100_000, 65_535), (65_535, 7, 1)],
            ),
            // Short and split grants map what there is.
            (1000, &[(5000, 10)], &[(0, 5000, 10), (1000, 7, 1)]),
            (
                2,
                &[(5000, 3), (9000, 2)],
                &[(0, 5000, 2), (2, 7, 1), (3, 5002, 1), (4, 9000, 2)],
            ),
            // Beyond what images use.
            (
                100_000,
                &[(200_000, 70_000)],
                &[(0, 200_000, 65_536), (100_000, 7, 1)],
            ),
            (
                u32::MAX,
                &[(u32::MAX, 2)],
                &[(0, u32::MAX, 2), (u32::MAX, 7, 1)],
            ),
        ];
        for (inside, granted, wanted) in table {
            let got: Vec<_> = spread(*inside, 7, granted)
                .iter()
                .map(|it| (it.inside, it.outside, it.count))
                .collect();
            assert_eq!(got, *wanted, "{inside} {granted:?}");
        }
    }

    #[test]
    fn grants_are_read_by_name_and_by_number() {
        let text = "ada:100000:65536\n1001:300000:10\n\nbob:1:2\nada:x:3\nada:5\nada:9:0\n";
        assert_eq!(
            granted(text, Some("ada"), 1001),
            [(100_000, 65_536), (300_000, 10)]
        );
        assert_eq!(granted(text, None, 1001), [(300_000, 10)]);
        assert!(granted(text, Some("eve"), 5).is_empty());
    }

    #[test]
    fn names_come_from_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1001:100::/home/ada:/bin/sh\n";
        assert_eq!(name(passwd, 1001), Some("ada"));
        assert_eq!(name(passwd, 100), None);
    }

    #[test]
    fn ids_are_known_by_range() {
        let maps = IdMaps {
            uids: spread(1000, 7, &[(5000, 10)]),
            gids: spread(1000, 7, &[(5000, 5)]),
        };
        for (uid, gid, known) in [
            (0, 0, true),
            (9, 4, true),
            (9, 5, false),
            (10, 0, false),
            (1000, 1000, true),
        ] {
            assert_eq!(maps.has(uid, gid), known, "{uid}:{gid}");
        }
    }
}
