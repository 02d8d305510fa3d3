//! Users and groups of an image: numbers for names, and HOME.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use fs_err as fs;
use platform::{passwd, privileges};
use sandbox::User;

use crate::rootfs;

/// Adds HOME to an image's variables as container engines do, unless the image sets it.
pub(crate) fn add_home(env: &mut Vec<(OsString, OsString)>, layers: &[PathBuf], uid: u32) {
    if env.iter().any(|(name, _)| name == "HOME") {
        return;
    }
    let home = home(layers, uid).unwrap_or_else(|| "/".to_owned());
    env.push(("HOME".into(), home.into()));
}

fn home(layers: &[PathBuf], uid: u32) -> Option<String> {
    let passwd = list(layers, "/etc/passwd")?;
    let (home, _) = privileges::entry_of(uid, &passwd)?;
    home.into_os_string().into_string().ok()
}

/// A user as an image config or a person names it: `user[:group]`, each a name or a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account<'a> {
    user: &'a str,
    group: Option<&'a str>,
}

impl<'a> Account<'a> {
    /// Takes it apart; nothing means root.
    pub(crate) fn parse(text: &'a str) -> Self {
        match text.split_once(':') {
            Some((user, group)) => Self {
                user,
                group: Some(group).filter(|group| !group.is_empty()),
            },
            None => Self {
                user: text,
                group: None,
            },
        }
    }

    /// Returns the numbers, if they can be had without the image's lists.
    pub(crate) fn numbers(self) -> Option<User> {
        match (self.user, self.group) {
            ("", None) => Some(User { uid: 0, gid: 0 }),
            (user, Some(group)) => Some(User {
                uid: passwd::id(user)?,
                gid: passwd::id(group)?,
            }),
            _ => None,
        }
    }

    /// Looks names up in the image's own lists. A user without a group has that of `/etc/passwd`, else 0.
    pub(crate) fn resolve(self, layers: &[PathBuf]) -> anyhow::Result<User> {
        if let Some(user) = self.numbers() {
            return Ok(user);
        }
        let passwd = list(layers, "/etc/passwd").unwrap_or_default();
        let entry = passwd::entries(&passwd)
            .find(|it| passwd::id(self.user).map_or(self.user == it.name, |id| it.uid == id));
        let uid = match (self.user, entry) {
            ("", _) => 0,
            (_, Some(entry)) => entry.uid,
            (user, None) => passwd::id(user).ok_or_else(|| unknown("user", user, "/etc/passwd"))?,
        };
        let gid = match self.group {
            None => entry.map_or(0, |it| it.gid),
            Some(group) => match passwd::id(group) {
                Some(gid) => gid,
                None => group_id(layers, group)?,
            },
        };
        Ok(User { uid, gid })
    }
}

fn group_id(layers: &[PathBuf], group: &str) -> anyhow::Result<u32> {
    let groups = list(layers, "/etc/group").unwrap_or_default();
    let id = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next()?, fields.nth(1)?);
        (name == group).then(|| passwd::id(gid)).flatten()
    });
    id.ok_or_else(|| unknown("group", group, "/etc/group"))
}

fn unknown(what: &str, name: &str, file: &str) -> anyhow::Error {
    anyhow!("the image has no {what} {name} in {file}\nname a number: --user UID:GID")
}

fn list(layers: &[PathBuf], file: &str) -> Option<String> {
    let place = rootfs::find(layers, Path::new(file)).filter(|it| it.is_file())?;
    let bytes = fs::read(place).with_context(|| file.to_owned()).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(dir: &Path, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let layer = dir.join(name);
        fs::create_dir_all(layer.join("etc")).unwrap();
        for (file, text) in files {
            fs::write(layer.join("etc").join(file), text).unwrap();
        }
        layer
    }

    #[test]
    fn home_is_that_of_the_topmost_list() {
        let dir = tempfile::tempdir().unwrap();
        let base = "root:x:0:0::/root:/bin/sh\nold:x:1000:1000::/old:/bin/sh\n";
        let base = layer(dir.path(), "base", &[("passwd", base)]);
        let middle = "cnb:x:1000:1000::/home/cnb:/bin/sh\n";
        let middle = layer(dir.path(), "middle", &[("passwd", middle)]);
        let top = layer(dir.path(), "top", &[]);
        let layers = [base, middle, top];
        assert_eq!(home(&layers, 1000).as_deref(), Some("/home/cnb"));
        assert_eq!(home(&layers[..1], 1000).as_deref(), Some("/old"));
        assert_eq!(home(&layers, 7), None);

        let mut env = vec![("HOME".into(), "/mine".into())];
        add_home(&mut env, &layers, 1000);
        assert_eq!(env.len(), 1);
        let mut env = Vec::new();
        add_home(&mut env, &[], 1000);
        assert_eq!(env, [("HOME".into(), "/".into())]);
    }

    #[test]
    fn lists_of_this_machine_are_not_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("etc")).unwrap();
        assert_eq!(home(&[dir.path().to_owned()], 0), None);
    }

    #[test]
    fn users_are_what_container_engines_take_them_for() {
        let dir = tempfile::tempdir().unwrap();
        let passwd = "# comment\nodd\nroot:x:0:0:root:/root:/bin/sh\ncnb:x:1001:1000::/home/cnb:/bin/sh\nbad:x:no:1::/:\n";
        let groups = "root:x:0:\ncnb:x:1000:\nstaff:x:50:cnb\n";
        let files = [("passwd", passwd), ("group", groups)];
        let layers = [layer(dir.path(), "base", &files)];
        for (text, expected, by_number) in [
            ("", Ok((0, 0)), true),
            ("1000:1000", Ok((1000, 1000)), true),
            ("7:8", Ok((7, 8)), true),
            ("cnb", Ok((1001, 1000)), false),
            ("cnb:staff", Ok((1001, 50)), false),
            ("cnb:7", Ok((1001, 7)), false),
            ("1001", Ok((1001, 1000)), false),
            ("1001:staff", Ok((1001, 50)), false),
            ("7", Ok((7, 0)), false),
            ("7:", Ok((7, 0)), false),
            (":staff", Ok((0, 50)), false),
            ("nobody", Err("no user nobody in /etc/passwd"), false),
            ("bad", Err("no user bad in /etc/passwd"), false),
            ("-1", Err("no user -1 in /etc/passwd"), false),
            ("4294967295", Err("no user 4294967295"), false),
            ("cnb:none", Err("no group none in /etc/group"), false),
        ] {
            let account = Account::parse(text);
            assert_eq!(account.numbers().is_some(), by_number, "{text}");
            match (account.resolve(&layers), expected) {
                (Ok(user), Ok(ids)) => assert_eq!((user.uid, user.gid), ids, "{text}"),
                (Err(found), Err(error)) => {
                    assert!(found.to_string().contains(error), "{found}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
