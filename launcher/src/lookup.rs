//! Where the program of a direct process is: what Go's `exec.LookPath` decides (BPX-028 to BPX-030).
//!
//! The search happens in the app directory and with the final PATH of the process. Nothing that a relative element
//! of PATH leads to is ever run.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};

use crate::error::{Context as _, Error, Result};
use crate::files;

/// Returns the path to execute for a command.
pub(crate) fn executable(command: &OsStr, path: &OsStr) -> Result<OsString> {
    find(command, path).context(format_args!("exec: {:?}", command.to_string_lossy()))
}

fn find(command: &OsStr, path: &OsStr) -> Result<OsString> {
    if command.as_bytes().contains(&b'/') {
        return check(Path::new(command)).map(|()| command.to_owned());
    }
    // An empty PATH has no elements, but an empty element is the current directory.
    let elements = path
        .as_bytes()
        .split(|&byte| byte == b':')
        .filter(|_| !path.is_empty());
    for element in elements {
        let candidate = files::clean(&Path::new(OsStr::from_bytes(element)).join(command));
        if check(&candidate).is_ok() {
            return if candidate.is_absolute() {
                Ok(candidate.into())
            } else {
                Err(Error::new(
                    "cannot run executable found relative to current directory",
                ))
            };
        }
    }
    Err(Error::new("executable file not found in $PATH"))
}

/// Fails unless this is a file that the launcher's user may execute.
fn check(path: &Path) -> Result<()> {
    let found = files::stat(path)?;
    if found.is_dir() {
        return Err(io::Error::from(Errno::EISDIR).into());
    }
    match eaccess(path, AccessFlags::X_OK) {
        // A system call filter may forbid the question; then the mode answers.
        Err(Errno::ENOSYS | Errno::EPERM) if found.permissions().mode() & 0o111 != 0 => Ok(()),
        Err(Errno::ENOSYS | Errno::EPERM) => Err(io::Error::from(Errno::EACCES).into()),
        answer => answer.map_err(|errno| io::Error::from(errno).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, mode: u32) {
        fs_err::write(path, "").unwrap();
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn commands_are_searched_in_path() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for dir in ["a", "b", "b/dir", "c"] {
            fs_err::create_dir(root.join(dir)).unwrap();
        }
        file(&root.join("a/plain"), 0o644);
        file(&root.join("b/plain"), 0o755);
        file(&root.join("b/tool"), 0o755);
        file(&root.join("c/tool"), 0o755);
        file(&root.join("c/dir"), 0o755);
        let root = root.to_str().unwrap();
        let path = format!("{root}/missing:{root}//a/:{root}/b:{root}/c");
        let not_found =
            |command: &str| format!("exec: {command:?}: executable file not found in $PATH");
        for (command, path, expected) in [
            ("tool", path.as_str(), Ok(format!("{root}/b/tool"))),
            ("plain", &path, Ok(format!("{root}/b/plain"))),
            ("dir", &path, Ok(format!("{root}/c/dir"))),
            ("absent", &path, Err(not_found("absent"))),
            ("", &path, Err(not_found(""))),
            (".", &path, Err(not_found("."))),
            ("tool", "", Err(not_found("tool"))),
        ] {
            let got = executable(OsStr::new(command), OsStr::new(path));
            let got = got
                .map(|path| path.into_string().unwrap())
                .map_err(|error| error.to_string());
            assert_eq!(got, expected, "{command}");
        }
    }

    #[test]
    fn what_a_relative_element_leads_to_is_refused() {
        // Tests run in the folder of the crate, which holds executables nowhere: so one is reached from there.
        let temp = tempfile::tempdir().unwrap();
        file(&temp.path().join("tool"), 0o755);
        let here = std::env::current_dir().unwrap();
        let up = "../".repeat(here.components().count() - 1);
        let relative = format!("{up}{}", temp.path().strip_prefix("/").unwrap().display());
        let error = executable(OsStr::new("tool"), OsStr::new(&relative)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "exec: \"tool\": cannot run executable found relative to current directory"
        );
    }

    #[test]
    fn a_command_with_a_slash_is_not_searched() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().to_str().unwrap();
        file(&temp.path().join("tool"), 0o755);
        file(&temp.path().join("plain"), 0o644);
        for (command, reason) in [
            (format!("{root}/tool"), None),
            (
                format!("{root}/plain"),
                Some("permission denied".to_owned()),
            ),
            (root.to_owned(), Some("is a directory".to_owned())),
            (
                format!("{root}/no"),
                Some(format!("stat {root}/no: no such file or directory")),
            ),
        ] {
            let got = executable(OsStr::new(&command), OsStr::new(root))
                .map_err(|error| error.to_string());
            let expected = reason.map_or(Ok(command.clone().into()), |reason| {
                Err(format!("exec: {command:?}: {reason}"))
            });
            assert_eq!(got, expected);
        }
    }
}
