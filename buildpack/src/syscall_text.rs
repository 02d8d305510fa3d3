//! How the reference words a failed system call: `open <path>: no such file or directory`.
//!
//! People and scripts search for these texts, so they must not depend on the C library or on Rust's own wording
//! (`No such file or directory (os error 2)`). Nothing here decides what a failure means.

use std::ffi::OsString;
use std::fs::FileType;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A system call that failed on a path.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {}", path.display(), reason(cause))]
pub struct Error {
    /// Name of the call: `open`, `read`, `mkdir`, ...
    pub operation: &'static str,
    /// What it was called on.
    pub path: PathBuf,
    /// What the system said. Not a `source`: the text holds it, and would hold it twice where causes are listed.
    pub cause: io::Error,
}

impl Error {
    /// Returns the failure of `operation` on `path`.
    pub fn new(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        Self {
            operation,
            path: path.to_owned(),
            cause,
        }
    }

    /// Returns whether the file was not there.
    pub fn is_not_found(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }
}

/// Returns the system's words alone, in small letters: `permission denied`.
pub fn reason(error: &io::Error) -> String {
    match errno(error) {
        Some(code) => errno_text(code),
        None => error.to_string(),
    }
}

/// Returns an error's text with the failed call at its end as the reference words it; any other text as it is.
pub fn reworded(text: &str) -> String {
    let Some(code) = number_at_end(text) else {
        return text.to_owned();
    };
    let systems = io::Error::from_raw_os_error(code).to_string();
    let Some(before) = text.strip_suffix(&systems) else {
        return text.to_owned();
    };
    let reason = errno_text(code);
    let call = FS_ERR_CALLS.iter().find_map(|(words, call)| {
        let path = before.strip_prefix(words)?.strip_prefix(" `")?;
        Some(format!("{call} {}: {reason}", path.strip_suffix("`: ")?))
    });
    call.unwrap_or_else(|| format!("{before}{reason}"))
}

/// How `fs_err` words a failure, and the call that Go names there.
const FS_ERR_CALLS: [(&str, &str); 12] = [
    ("failed to open file", "open"),
    ("failed to create file", "open"),
    ("failed to read directory", "open"),
    ("failed to create directory", "mkdir"),
    ("failed to query resolved metadata", "stat"),
    ("failed to query raw metadata", "lstat"),
    ("failed to read symbolic link", "readlink"),
    ("failed to read from file", "read"),
    ("failed to write to file", "write"),
    ("failed to set permissions for file", "chmod"),
    ("failed to remove file", "remove"),
    ("failed to remove directory", "remove"),
];

/// Reads a whole file.
pub fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    let mut file = fs_err::File::open(path).map_err(|e| Error::new("open", path, e))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(|e| Error::new("read", path, e))?;
    Ok(bytes)
}

/// What is in a folder.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// Where it is.
    pub path: PathBuf,
    /// What it is itself, links not followed.
    pub kind: FileType,
}

/// Lists a folder, sorted by name, byte by byte.
pub fn read_dir(path: &Path) -> Result<Vec<Entry>, Error> {
    let entries = fs_err::read_dir(path).map_err(|e| Error::new("open", path, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::new("readdirent", path, e))?;
        let kind = entry
            .file_type()
            .map_err(|e| Error::new("lstat", &entry.path(), e))?;
        found.push(Entry {
            name: entry.file_name(),
            path: entry.path(),
            kind,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Lists a folder; a missing one is empty.
pub fn read_dir_if_present(path: &Path) -> Result<Vec<Entry>, Error> {
    match read_dir(path) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        other => other,
    }
}

/// Makes a folder and those above it; the failure names the one that could not be made.
pub fn make_dirs(path: &Path) -> Result<(), Error> {
    let failed = |error| Error::new("mkdir", path, error);
    match fs_err::metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => return Err(failed(Errno::NOTDIR.into())),
        Err(_) => {}
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        make_dirs(parent)?;
    }
    match fs_err::create_dir(path) {
        // Somebody else was quicker.
        Err(_) if path.is_dir() => Ok(()),
        made => made.map_err(failed),
    }
}

/// Returns the number of an error. An error that names its file shows the number at its end only.
fn errno(error: &io::Error) -> Option<i32> {
    error
        .raw_os_error()
        .or_else(|| number_at_end(&error.to_string()))
}

fn number_at_end(text: &str) -> Option<i32> {
    let (_, number) = text.strip_suffix(')')?.rsplit_once("(os error ")?;
    number.parse().ok()
}

fn errno_text(code: i32) -> String {
    let known = match Errno::from_raw_os_error(code) {
        Errno::PERM => "operation not permitted",
        Errno::NOENT => "no such file or directory",
        Errno::IO => "input/output error",
        Errno::TOOBIG => "argument list too long",
        Errno::NOEXEC => "exec format error",
        Errno::AGAIN => "resource temporarily unavailable",
        Errno::NOMEM => "cannot allocate memory",
        Errno::ACCESS => "permission denied",
        Errno::BUSY => "device or resource busy",
        Errno::EXIST => "file exists",
        Errno::XDEV => "invalid cross-device link",
        Errno::NOTDIR => "not a directory",
        Errno::ISDIR => "is a directory",
        Errno::INVAL => "invalid argument",
        Errno::NFILE => "too many open files in system",
        Errno::MFILE => "too many open files",
        Errno::TXTBSY => "text file busy",
        Errno::FBIG => "file too large",
        Errno::NOSPC => "no space left on device",
        Errno::ROFS => "read-only file system",
        Errno::PIPE => "broken pipe",
        Errno::NAMETOOLONG => "file name too long",
        Errno::NOTEMPTY => "directory not empty",
        Errno::LOOP => "too many levels of symbolic links",
        Errno::STALE => "stale file handle",
        Errno::DQUOT => "disk quota exceeded",
        _ => return c_library_text(code),
    };
    known.to_owned()
}

/// Returns the C library's text with a small first letter, unless it starts with an abbreviation.
fn c_library_text(code: i32) -> String {
    let text = io::Error::from_raw_os_error(code).to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second))
            if first.is_ascii_uppercase() && second.is_ascii_lowercase() =>
        {
            first.to_ascii_lowercase().to_string() + &text[1..]
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_failed_call_is_worded_as_in_go() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::write(root.join("file"), "").unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let shown = root.display();
        let cases = [
            (
                "absent",
                format!("open {shown}/absent: no such file or directory"),
            ),
            ("file/x", format!("open {shown}/file/x: not a directory")),
            (
                "loop",
                format!("open {shown}/loop: too many levels of symbolic links"),
            ),
            (".", format!("read {shown}/.: is a directory")),
        ];
        for (name, text) in cases {
            assert_eq!(read_file(&root.join(name)).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn other_errors_are_reworded() {
        let dir = tempfile::tempdir().unwrap();
        let absent = dir.path().join("`absent");
        let shown = absent.display();
        let failures = [
            (fs_err::read(&absent).unwrap_err(), "open"),
            (fs_err::write(absent.join("x"), "").unwrap_err(), "open"),
            (fs_err::read_dir(&absent).map(drop).unwrap_err(), "open"),
            (fs_err::create_dir(absent.join("x")).unwrap_err(), "mkdir"),
            (fs_err::metadata(&absent).unwrap_err(), "stat"),
            (fs_err::symlink_metadata(&absent).unwrap_err(), "lstat"),
            (fs_err::read_link(&absent).unwrap_err(), "readlink"),
            (fs_err::remove_file(&absent).unwrap_err(), "remove"),
            (fs_err::remove_dir(&absent).unwrap_err(), "remove"),
        ];
        for (error, call) in failures {
            let below = if matches!(call, "mkdir") || error.to_string().contains("create file") {
                "/x"
            } else {
                ""
            };
            let expected = format!("{call} {shown}{below}: no such file or directory");
            assert_eq!(reworded(&error.to_string()), expected);
        }
        for (text, expected) in [
            (
                "opening it: Not a directory (os error 20)",
                "opening it: not a directory",
            ),
            ("odd (os error 20)", "odd (os error 20)"),
            ("odd", "odd"),
        ] {
            assert_eq!(reworded(text), expected);
        }
    }

    #[test]
    fn folders_are_made_with_those_above_them() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make_dirs(&deep).unwrap();
        make_dirs(&deep).unwrap();
        assert!(deep.is_dir());
        let file = dir.path().join("file");
        fs_err::write(&file, "").unwrap();
        let text = format!("mkdir {}: not a directory", file.display());
        assert_eq!(make_dirs(&file.join("x/y")).unwrap_err().to_string(), text);
        assert_eq!(make_dirs(&file).unwrap_err().to_string(), text);
    }

    #[test]
    fn numbers_outside_the_table_get_the_library_text_in_small_letters() {
        // EADDRINUSE has the same words everywhere.
        let error = io::Error::from_raw_os_error(98);
        assert_eq!(reason(&error), "address already in use");
    }

    #[test]
    fn errors_without_a_number_keep_their_text() {
        assert_eq!(reason(&io::Error::other("odd")), "odd");
    }

    #[test]
    fn folders_are_listed_by_byte_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a.toml", "a-b.toml", "B"] {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<_> = read_dir(dir.path())
            .unwrap()
            .into_iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["B", "a-b.toml", "a.toml", "b"]);
        assert!(
            read_dir_if_present(&dir.path().join("no"))
                .unwrap()
                .is_empty()
        );
    }
}
