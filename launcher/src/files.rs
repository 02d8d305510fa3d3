//! Files and their names, with errors that read `<call> <path>: <reason>`, as the reference's do.
//!
//! The launcher does not use `fs-err`, whose wording differs from what people search for. Names are bytes.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};

/// Returns the content of a file.
#[expect(clippy::disallowed_methods, reason = "the error names the file")]
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut file = File::open(path).context(format_args!("open {}", path.display()))?;
    file.read_to_end(&mut content)
        .context(format_args!("read {}", path.display()))?;
    Ok(content)
}

/// What a directory holds under one name.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) path: PathBuf,
    /// A directory itself; a symlink to one is none.
    pub(crate) is_dir: bool,
}

/// Returns what is in a directory in byte order of the names; a missing directory holds nothing.
#[expect(clippy::disallowed_methods, reason = "the error names the directory")]
pub(crate) fn entries(dir: &Path) -> Result<Vec<Entry>> {
    let listing = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.context(format_args!("open {}", dir.display()))?,
    };
    let mut entries = listing
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name();
            let path = dir.join(&name);
            let is_dir = entry.file_type()?.is_dir();
            Ok(Entry { name, path, is_dir })
        })
        .collect::<std::io::Result<Vec<_>>>()
        .context(format_args!("read {}", dir.display()))?;
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Returns what a path leads to, symlinks followed.
#[expect(clippy::disallowed_methods, reason = "the error names the file")]
pub(crate) fn stat(path: &Path) -> Result<Metadata> {
    fs::metadata(path).context(format_args!("stat {}", path.display()))
}

/// Returns what a path leads to, symlinks followed, if it leads anywhere.
#[expect(clippy::disallowed_methods, reason = "the error names the file")]
pub(crate) fn find(path: &Path) -> Result<Option<Metadata>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        found => found
            .map(Some)
            .context(format_args!("stat {}", path.display())),
    }
}

/// Returns the shortest name of a path, by its letters alone: no empty element, no `.`, no `..` but in front.
///
/// Paths that the launcher makes end up in variables and scripts of the app, where the reference writes them so.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let is_absolute = bytes.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in bytes.split(|&byte| byte == b'/') {
        match element {
            b"" | b"." => {}
            b".." if kept.last().is_some_and(|last| *last != b"..") => {
                kept.pop();
            }
            b".." if is_absolute => {}
            other => kept.push(other),
        }
    }
    let joined = kept.join(&b'/');
    match (is_absolute, joined.is_empty()) {
        (true, _) => Path::new("/").join(OsString::from_vec(joined)),
        (false, true) => PathBuf::from("."),
        (false, false) => OsString::from_vec(joined).into(),
    }
}

/// Returns the part of a path after its last slash.
pub(crate) fn base_name(path: &OsStr) -> &OsStr {
    let bytes = path.as_bytes();
    let start = bytes
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    OsStr::from_bytes(&bytes[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_go_cleans_them() {
        // The examples of Go's documentation of path.Clean, and relatives of them.
        for (path, cleaned) in [
            ("/layers", "/layers"),
            ("/layers/", "/layers"),
            ("//layers//x/.", "/layers/x"),
            ("/a/../b", "/b"),
            ("/..", "/"),
            ("/", "/"),
            ("", "."),
            ("./a", "a"),
            ("a/..", "."),
            ("../a/../../b", "../../b"),
        ] {
            assert_eq!(clean(Path::new(path)).as_os_str(), cleaned, "{path}");
        }
    }

    #[test]
    fn a_base_name_is_what_follows_the_last_slash() {
        for (path, name) in [
            ("/cnb/process/web", "web"),
            ("web.v1", "web.v1"),
            ("./web", "web"),
            ("web/", ""),
            ("", ""),
            ("a/..", ".."),
        ] {
            assert_eq!(base_name(OsStr::new(path)), name, "{path}");
        }
    }

    #[test]
    fn entries_come_in_byte_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "B", "a-1", "a", "a.1"] {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        fs_err::create_dir(dir.path().join("dir")).unwrap();
        fs_err::os::unix::fs::symlink(dir.path().join("dir"), dir.path().join("link")).unwrap();
        let entries = entries(dir.path()).unwrap();
        let names: Vec<_> = entries
            .iter()
            .map(|entry| entry.name.to_str().unwrap())
            .collect();
        assert_eq!(names, ["B", "a", "a-1", "a.1", "b", "dir", "link"]);
        let dirs: Vec<_> = entries
            .iter()
            .filter(|entry| entry.is_dir)
            .map(|entry| &entry.name)
            .collect();
        assert_eq!(dirs, ["dir"]);
    }

    #[test]
    fn what_is_missing_is_no_error_but_what_cannot_be_read_is() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        assert!(entries(&missing).unwrap().is_empty());
        assert!(find(&missing).unwrap().is_none());
        let error = stat(&missing).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("stat {}: no such file or directory", missing.display())
        );
        let file = dir.path().join("file");
        fs_err::write(&file, "").unwrap();
        let error = entries(&file).unwrap_err().to_string();
        assert_eq!(error, format!("open {}: not a directory", file.display()));
        let error = read(&missing).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("open {}: no such file or directory", missing.display())
        );
    }
}
