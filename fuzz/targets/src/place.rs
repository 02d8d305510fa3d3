//! Where a target may write, and what beside it must stay as it is.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory with `inside`, which a target writes to, and what it must not touch.
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("inside")).unwrap();
        fs_err::write(dir.path().join("secret"), "secret").unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn inside(&self) -> PathBuf {
        self.dir.path().join("inside")
    }

    /// Panics if anything beside `inside` is not as it was; then removes all.
    pub(crate) fn check(self) {
        let mut names: Vec<_> = fs_err::read_dir(self.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["inside", "secret"]);
        let secret = fs_err::read(self.dir.path().join("secret")).unwrap();
        assert_eq!(secret, b"secret");
        // Its directories may have modes that keep a plain user from removing them.
        layout::layer::remove(&self.inside()).unwrap();
        self.dir.close().unwrap();
    }
}

/// Writes bytes to a file of this thread's and passes its path on.
pub(crate) fn with_file<T>(name: &str, bytes: &[u8], read: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static DIR: OnceCell<TempDir> = const { OnceCell::new() };
    }
    DIR.with(|dir| {
        let dir = dir.get_or_init(|| tempfile::tempdir().unwrap());
        let path = dir.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        read(&path)
    })
}
