//! Users of a passwd file: `name:password:uid:gid:comment:home:shell`, a line each.

/// A user with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Never empty.
    pub name: &'a str,
    /// Never [`u32::MAX`], which means "leave it" to the system's calls.
    pub uid: u32,
    /// The user's own group; never [`u32::MAX`] either.
    pub gid: u32,
    /// Absent where the line ends before it.
    pub home: Option<&'a str>,
}

/// Returns the users in the text of a passwd file, in its order; lines that make no sense are passed over.
pub fn entries(text: &str) -> impl Iterator<Item = Entry<'_>> {
    text.lines().filter_map(|line| {
        let fields: Vec<_> = line.trim().split(':').collect();
        let [name, _, uid, gid, rest @ ..] = &fields[..] else {
            return None;
        };
        // `+` and `-` are entries of a name service, `#` is a comment.
        let is_user = !name.is_empty() && !name.starts_with(['+', '-', '#']);
        Some(Entry {
            name: is_user.then_some(*name)?,
            uid: id(uid)?,
            gid: id(gid)?,
            home: rest.get(1).copied(),
        })
    })
}

/// Returns the number of a user or a group, as lists and people write it.
pub fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_users_are_passed_over() {
        let text = "# comment:x:7:7::/no:\n\nroot:x:0:0:root:/root:/bin/sh\n+nis:x:7:7::/no:\n:x:7:7::/no:\n\
                    odd\nbad:x:no:1::/:\nbad:x:1:no::/:\nlast:x:4294967295:1::/:\n  cnb:x:1001:1000\n";
        let entry = |name, uid, gid, home| Entry {
            name,
            uid,
            gid,
            home,
        };
        let expected = [
            entry("root", 0, 0, Some("/root")),
            entry("cnb", 1001, 1000, None),
        ];
        assert_eq!(entries(text).collect::<Vec<_>>(), expected);
    }
}
