//! Whose rights a phase runs with: volumes handed over, then the user switched for good (COM-040 to COM-044).
//!
//! Volumes may hold what a hostile build left there. Everything below a volume is reached from the opened directory
//! above it and no link is followed, so nothing outside can be made to change its owner.
//! Names of users come from /etc/passwd alone: the programs are static, so there is no name service to ask.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use buildpack::syscall_text::Error as SyscallError;
use nix::errno::Errno;
use nix::unistd;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};

use crate::exit::{ExitCode, Failure};
use crate::passwd;

/// Chowns `dirs` and what is below, where `uid`:`gid` could not write otherwise (COM-040, COM-041).
pub fn own(uid: u32, gid: u32, dirs: &[Option<&Path>]) -> Result<(), Failure> {
    for dir in dirs
        .iter()
        .flatten()
        .filter(|dir| !dir.as_os_str().is_empty())
    {
        own_one(uid, gid, dir)
            .map_err(|error| Failure::new(ExitCode::Failed, "chown volumes", error))?;
    }
    Ok(())
}

/// Makes `uid`:`gid` the owner of an image layout's directories where that user could not write into them, and makes
/// those that are missing. Its files stay as they are: blobs may be shared with other layouts, and none is written in
/// place. What fails is no failure yet: who writes the layout will say it.
pub fn own_layout(uid: u32, gid: u32, layout: &Path) {
    if !unistd::geteuid().is_root() {
        return;
    }
    if let Some(top) = directory_to_own(uid, gid, layout) {
        own_layout_directories(&top, (Uid::from_raw(uid), Gid::from_raw(gid))).ok();
    }
}

/// Becomes `uid`:`gid`, for good, in every thread; does nothing if that is who runs already (COM-042).
/// Supplementary groups stay, as in the reference.
pub fn become_user(uid: u32, gid: u32) -> Result<(), Failure> {
    switch(unistd::Uid::from_raw(uid), unistd::Gid::from_raw(gid)).map_err(|errno| {
        Failure::message(
            ExitCode::Failed,
            format!(
                "failed to exec as user {uid}:{gid}: {}",
                errno.desc().to_lowercase()
            ),
        )
    })
}

/// Returns HOME and USER of `uid` from the passwd file (COM-043).
pub fn home_of(uid: u32) -> Result<(PathBuf, String), Failure> {
    let passwd = fs_err::read(PASSWD).map_err(anyhow::Error::new);
    passwd
        .and_then(|passwd| {
            entry_of(uid, &String::from_utf8_lossy(&passwd))
                .ok_or_else(|| anyhow!("user: unknown userid {uid}"))
        })
        .map_err(|error| {
            let action = format!("set environment for user {uid}");
            Failure::new(ExitCode::Failed, &action, error)
        })
}

/// Returns whether this process runs as root (COM-044).
pub fn is_root() -> bool {
    unistd::getuid().is_root()
}

const PASSWD: &str = "/etc/passwd";

/// `nix` sets the ids of the whole process, where `rustix` would set those of this thread only.
fn switch(uid: unistd::Uid, gid: unistd::Gid) -> nix::Result<()> {
    if uid == unistd::getuid() && gid == unistd::getgid() {
        return Ok(());
    }
    unistd::setresgid(gid, gid, gid)?;
    unistd::setresuid(uid, uid, uid)?;
    let (users, groups) = (unistd::getresuid()?, unistd::getresgid()?);
    let users = [users.real, users.effective, users.saved];
    let groups = [groups.real, groups.effective, groups.saved];
    if users != [uid; 3] || groups != [gid; 3] {
        return Err(Errno::EPERM);
    }
    Ok(())
}

fn own_one(uid: u32, gid: u32, dir: &Path) -> Result<(), SyscallError> {
    let stat = match rustix::fs::stat(dir) {
        Ok(stat) => stat,
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed("stat", dir)(errno)),
    };
    if can_write(uid, gid, &stat) {
        return Ok(());
    }
    let ids = (Uid::from_raw(uid), Gid::from_raw(gid));
    // First by name, as in the reference: a file in a directory's place changes hands too before it is refused.
    rustix::fs::chown(dir, Some(ids.0), Some(ids.1)).map_err(failed("chown", dir))?;
    let opened =
        rustix::fs::openat(CWD, dir, DIRECTORY, Mode::empty()).map_err(failed("open", dir))?;
    own_tree(&opened, ids, dir)
}

/// Returns a layout's directory if it has to change hands: the user could neither write nor make it.
fn directory_to_own(uid: u32, gid: u32, path: &Path) -> Option<OwnedFd> {
    match rustix::fs::stat(path) {
        Ok(stat) if can_write(uid, gid, &stat) => return None,
        Ok(_) => {}
        Err(rustix::io::Errno::NOENT) => {
            directory_to_own(uid, gid, path.parent()?)?;
            rustix::fs::mkdir(path, Mode::from_raw_mode(0o755)).ok()?;
        }
        Err(_) => return None,
    }
    rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()).ok()
}

/// The layout's own directory, `blobs`, and a directory for each algorithm.
fn own_layout_directories(top: &OwnedFd, ids: (Uid, Gid)) -> rustix::io::Result<()> {
    let below = |dir: &OwnedFd, name: &std::ffi::CStr| {
        rustix::fs::openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
    };
    let own = |dir: &OwnedFd| rustix::fs::fchown(dir, Some(ids.0), Some(ids.1));
    own(top)?;
    let blobs = below(top, c"blobs")?;
    own(&blobs)?;
    for entry in Dir::read_from(&blobs)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            // Nothing but directories can be opened like this.
            below(&blobs, name).and_then(|dir| own(&dir)).ok();
        }
    }
    Ok(())
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Returns what says which call failed for which path, in the reference's words.
fn failed(call: &'static str, path: &Path) -> impl FnOnce(rustix::io::Errno) -> SyscallError {
    move |errno| SyscallError::new(call, path, errno.into())
}

/// Returns whether a directory can be written by a user as it is; what is below is taken to be alike.
fn can_write(uid: u32, gid: u32, stat: &Stat) -> bool {
    let mode = Mode::from_raw_mode(stat.st_mode);
    stat.st_uid == uid
        || (stat.st_gid == gid && mode.contains(Mode::WGRP))
        || mode.contains(Mode::WOTH)
}

/// Chowns an opened directory and everything below. `path` is for errors only.
fn own_tree(dir: &OwnedFd, ids: (Uid, Gid), path: &Path) -> Result<(), SyscallError> {
    rustix::fs::fchown(dir, Some(ids.0), Some(ids.1)).map_err(failed("chown", path))?;
    let entries = Dir::read_from(dir).map_err(failed("read", path))?;
    for entry in entries {
        let entry = entry.map_err(failed("read", path))?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let path = path.join(name.to_string_lossy().as_ref());
        own_entry(dir.as_fd(), name, ids, &path)?;
    }
    Ok(())
}

fn own_entry(
    dir: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    ids: (Uid, Gid),
    path: &Path,
) -> Result<(), SyscallError> {
    let stat =
        rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed("lstat", path))?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        // Where a link has taken the directory's place in the meantime, opening fails.
        let below = rustix::fs::openat(dir, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
            .map_err(failed("open", path))?;
        return own_tree(&below, ids, path);
    }
    rustix::fs::chownat(
        dir,
        name,
        Some(ids.0),
        Some(ids.1),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .map_err(failed("lchown", path))
}

/// Returns home and name of a user in the text of a passwd file.
pub fn entry_of(uid: u32, passwd: &str) -> Option<(PathBuf, String)> {
    let mut entries = passwd::entries(passwd).filter(|it| it.uid == uid);
    entries.find_map(|it| Some((PathBuf::from(it.home?), it.name.to_owned())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn stat(uid: u32, gid: u32, mode: u32) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_uid, stat.st_gid, stat.st_mode) = (uid, gid, mode);
        stat
    }

    #[test]
    fn writable_directories_are_left_alone() {
        for (uid, gid, mode, expected) in [
            (1001, 1, 0o40_700, true),
            (1001, 1, 0o40_000, true),
            (1, 1000, 0o40_770, true),
            (1, 1000, 0o40_750, false),
            (1, 1, 0o40_777, true),
            (1, 1, 0o41_777, true),
            (1, 1, 0o40_775, false),
            (0, 0, 0o40_755, false),
        ] {
            assert_eq!(
                can_write(1001, 1000, &stat(uid, gid, mode)),
                expected,
                "{uid} {gid} {mode:o}"
            );
        }
    }

    #[test]
    fn missing_and_empty_directories_are_skipped() {
        own(
            1,
            1,
            &[
                None,
                Some(Path::new("")),
                Some(Path::new("/nowhere/at/all")),
            ],
        )
        .unwrap();
    }

    #[test]
    fn own_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (uid, gid) = (unistd::getuid().as_raw(), unistd::getgid().as_raw());
        own(uid, gid, &[Some(dir.path())]).unwrap();
        own(uid + 1, gid + 1, &[]).unwrap();
    }

    #[test]
    fn foreign_file_is_no_volume() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let failure = own(4242, 4243, &[Some(file.path())]).unwrap_err();
        assert_eq!(failure.code, ExitCode::Failed);
        let path = file.path().display();
        let expected = if is_root() {
            format!("failed to chown volumes: open {path}: not a directory")
        } else {
            format!("failed to chown volumes: chown {path}: operation not permitted")
        };
        assert_eq!(format!("{:#}", failure.error), expected);
    }

    /// Needs root, as only root may give files away.
    #[test]
    fn root_trees_are_handed_over_without_following_links() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs_err::write(&victim, "").unwrap();
        let volume = dir.path().join("volume");
        let deep = volume.join("a/b");
        fs_err::create_dir_all(&deep).unwrap();
        fs_err::write(deep.join("file"), "").unwrap();
        fs_err::set_permissions(&volume, std::fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&victim, volume.join("to-file")).unwrap();
        symlink(outside.path(), volume.join("to-dir")).unwrap();
        let link = dir.path().join("link");
        symlink(&volume, &link).unwrap();

        own(4242, 4243, &[Some(&link)]).unwrap();

        let owner = |path: &Path| {
            let metadata = fs_err::symlink_metadata(path).unwrap();
            (metadata.uid(), metadata.gid())
        };
        for path in ["", "a", "a/b", "a/b/file", "to-file", "to-dir"] {
            assert_eq!(owner(&volume.join(path)), (4242, 4243), "{path}");
        }
        assert_eq!(owner(&victim).0, 0);
        assert_eq!(owner(outside.path()).0, 0);
        // The volume belongs to the user now, so what comes below it later is not looked at.
        fs_err::write(volume.join("late"), "").unwrap();
        own(4242, 4243, &[Some(&volume)]).unwrap();
        assert_eq!(owner(&volume.join("late")).0, 0);
    }

    /// Needs root, as only root may give files away.
    #[test]
    fn root_directories_of_a_layout_are_handed_over_and_its_files_are_not() {
        if !is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let outside = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        fs_err::create_dir_all(there.join("blobs/sha256")).unwrap();
        fs_err::create_dir_all(there.join("another/blobs")).unwrap();
        fs_err::write(there.join("blobs/sha256/blob"), "").unwrap();
        symlink(outside.path(), there.join("blobs/link")).unwrap();
        let owner = |path: &Path| fs_err::symlink_metadata(path).unwrap().uid();

        own_layout(4242, 4243, &there);
        for (path, expected) in [
            ("", 4242),
            ("blobs", 4242),
            ("blobs/sha256", 4242),
            ("blobs/sha256/blob", 0),
            ("another", 0),
        ] {
            assert_eq!(owner(&there.join(path)), expected, "{path:?}");
        }
        assert_eq!(owner(outside.path()), 0);
        assert_eq!(owner(dir.path()), 0);

        // A missing one is made, for the user alone; what the user can do is left to the user.
        own_layout(4242, 4243, &dir.path().join("a/b"));
        assert_eq!(owner(&dir.path().join("a")), 0);
        assert_eq!(owner(&dir.path().join("a/b")), 4242);
        own_layout(4242, 4243, &there.join("new/layout"));
        assert!(!there.join("new").exists());
        let file = dir.path().join("file");
        fs_err::write(&file, "").unwrap();
        own_layout(4242, 4243, &file);
        own_layout(4242, 4243, &file.join("below"));
        assert_eq!(owner(&file), 0);
    }

    #[test]
    fn same_user_is_no_switch() {
        become_user(unistd::getuid().as_raw(), unistd::getgid().as_raw()).unwrap();
    }

    #[test]
    fn strangers_may_not_switch() {
        if is_root() {
            return;
        }
        let failure = become_user(0, 0).unwrap_err();
        assert_eq!(failure.code, ExitCode::Failed);
        assert_eq!(
            failure.error.to_string(),
            "failed to exec as user 0:0: operation not permitted"
        );
    }

    #[test]
    fn users_are_found_in_passwd() {
        let passwd = "# comment:x:7:7::/no:\n\nroot:x:0:0:root:/root:/bin/sh\n+nis:x:7:7::/no:\nshort:x:7:7\n\
                      cnb:x:1001:1000:,,,:/home/cnb:\ncnb2:x:1001:1000::/home/two:/bin/sh\n";
        let user = |home: &str, name: &str| Some((PathBuf::from(home), name.to_owned()));
        for (uid, expected) in [
            (0, user("/root", "root")),
            (1001, user("/home/cnb", "cnb")),
            (7, None),
            (43210, None),
        ] {
            assert_eq!(entry_of(uid, passwd), expected, "{uid}");
        }
    }

    #[test]
    fn unknown_user_fails() {
        let failure = home_of(4_200_000_000).unwrap_err();
        assert_eq!(failure.code, ExitCode::Failed);
        assert_eq!(
            format!("{:#}", failure.error),
            "failed to set environment for user 4200000000: user: unknown userid 4200000000"
        );
    }
}
