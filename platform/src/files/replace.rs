//! Writing a file whole or not at all (design invariant: a phase that is killed leaves report.toml as it was).
//!
//! Files in the layers directory are not written like this: the reference truncates them, and so does [`encode::to_file`].

use std::fs::{Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use buildpack::encode::{self, FileError};
use buildpack::syscall_text::{self, Error as SyscallError};
use fs_err as fs;
use serde::Serialize;
use tempfile::NamedTempFile;

/// Writes a value as TOML, otherwise like [`with_text`]. A new file has the mode that any new file has.
pub(super) fn with_toml<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let text = encode::to_string(value)?;
    Ok(with_text(path, &text, 0o666)?)
}

/// Writes a file through a temporary one where that leaves no other trace: the file is absent, or a plain file of
/// ours, in a folder that we may write. Devices, links and other users' files are written in place.
///
/// A file that is there keeps its mode; a new one gets `new_mode`, less the umask. Missing folders are made.
pub fn with_text(path: &Path, text: &str, new_mode: u32) -> Result<(), SyscallError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    if let Some(dir) = dir {
        syscall_text::make_dirs(dir)?;
    }
    let before = match fs::symlink_metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(SyscallError::new("open", path, e)),
    };
    match beside(dir.unwrap_or(Path::new(".")), before.as_ref(), new_mode) {
        Some(temporary) => write_and_rename(temporary, path, text),
        None => fs::write(path, text).map_err(|e| SyscallError::new("open", path, e)),
    }
}

/// Returns a temporary file that can take the place of the one before, mode and owner included.
fn beside(dir: &Path, before: Option<&Metadata>, new_mode: u32) -> Option<NamedTempFile> {
    let mode = before.map_or(new_mode, |before| before.mode() & 0o7777);
    let temporary = tempfile::Builder::new()
        .prefix(".slipway-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(dir)
        .ok()?;
    let Some(before) = before else {
        return Some(temporary);
    };
    let ours = temporary.as_file().metadata().ok()?;
    let same_owner = ours.uid() == before.uid() && ours.gid() == before.gid();
    if !before.is_file() || before.nlink() > 1 || !same_owner {
        return None;
    }
    // The umask took bits away that the file before had.
    let permissions = Permissions::from_mode(mode);
    temporary.as_file().set_permissions(permissions).ok()?;
    Some(temporary)
}

fn write_and_rename(
    mut temporary: NamedTempFile,
    path: &Path,
    text: &str,
) -> Result<(), SyscallError> {
    temporary
        .write_all(text.as_bytes())
        .map_err(|e| SyscallError::new("write", path, e))?;
    temporary
        .persist(path)
        .map_err(|e| SyscallError::new("rename", path, e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use toml::toml;

    use super::*;

    fn write(path: &Path) -> Result<(), FileError> {
        with_toml(path, &toml! { new = true })
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_file_is_made_with_its_parents_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/report.toml");
        write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new = true\n");
        assert_eq!(names(path.parent().unwrap()), ["report.toml"]);
        // What a plain open gives is 0666 less the umask.
        fs::write(dir.path().join("plain"), "").unwrap();
        let plain = fs::metadata(dir.path().join("plain")).unwrap().mode();
        assert_eq!(fs::metadata(&path).unwrap().mode(), plain);
    }

    #[test]
    fn a_new_file_may_be_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        with_text(&path, "a = 1\n", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 1\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_file_before_keeps_its_mode_and_whoever_has_it_open_keeps_its_text() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.toml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o606)).unwrap();
        let open = fs::File::open(&path).unwrap();
        write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new = true\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o606);
        assert_eq!(io::read_to_string(open).unwrap(), "old");
    }

    #[test]
    fn links_are_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let [target, link, hard] = ["target", "link", "hard"].map(|name| dir.path().join(name));
        fs::write(&target, "old").unwrap();
        symlink("target", &link).unwrap();
        write(&link).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new = true\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

        fs::write(&target, "old").unwrap();
        fs::hard_link(&target, &hard).unwrap();
        write(&hard).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "new = true\n");
    }

    #[test]
    fn devices_stay_devices() {
        write(Path::new("/dev/null")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let message = write(dir.path()).unwrap_err().to_string();
        let expected = format!("open {}: is a directory", dir.path().display());
        assert_eq!(message, expected);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }
}
