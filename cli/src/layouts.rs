//! The folders of the layout repo in which layouts may be.
//!
//! One may lie in another: `app:latest` is in `app/latest`, and `app/latest:1` in `app/latest/1`.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

/// All folders below one, and that one itself, each before those in it and in the order of their names. Links are not
/// followed, and neither blobs nor what slipway itself keeps there is looked at.
#[derive(Debug)]
pub(crate) struct Folders {
    /// Those that are to come, the next one last.
    waiting: Vec<PathBuf>,
}

impl Folders {
    /// Begins with this folder.
    pub(crate) fn below(dir: &Path) -> Self {
        Self {
            waiting: vec![dir.to_owned()],
        }
    }
}

impl Iterator for Folders {
    type Item = io::Result<PathBuf>;

    /// Returns the next folder; an error if it cannot be listed.
    fn next(&mut self) -> Option<Self::Item> {
        let dir = self.waiting.pop()?;
        Some(folders_in(&dir).map(|mut folders| {
            folders.sort();
            self.waiting.extend(folders.into_iter().rev());
            dir
        }))
    }
}

fn folders_in(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !is_no_image(&entry.file_name(), dir) && entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok(folders)
}

/// No part of an image's name begins with a dot. `blobs` may be one, but not in a layout.
fn is_no_image(name: &OsStr, dir: &Path) -> bool {
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    is_hidden || name == "blobs" && dir.join("index.json").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_lie_in_one_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in [
            ".slipway/layers",
            "app/latest/blobs/sha256",
            "app/latest/1/blobs",
            "blobs/latest",
        ] {
            fs::create_dir_all(path(folder)).unwrap();
        }
        fs::write(path("app/latest/index.json"), "{}").unwrap();
        fs::write(path("app/latest/1/index.json"), "{}").unwrap();
        std::os::unix::fs::symlink(dir.path(), path("app/link")).unwrap();
        let found = Folders::below(dir.path()).map(Result::unwrap);
        let expected = [
            "",
            "app",
            "app/latest",
            "app/latest/1",
            "blobs",
            "blobs/latest",
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected.map(path));
    }

    #[test]
    fn what_cannot_be_listed_is_an_error_and_not_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("a")).unwrap();
        fs::create_dir(path("b")).unwrap();
        let mut folders = Folders::below(dir.path());
        assert_eq!(folders.next().unwrap().unwrap(), dir.path());
        fs::remove_dir(path("a")).unwrap();
        let error = folders.next().unwrap().unwrap_err().to_string();
        assert!(error.contains(path("a").to_str().unwrap()), "{error}");
        assert_eq!(folders.next().unwrap().unwrap(), path("b"));
        assert!(folders.next().is_none());
    }
}
