//! Files that a build left in its layers directory, read from outside.
//!
//! Buildpacks can write there what they like: links to this machine's files, pipes that never end, set-uid programs. So
//! everything is opened from a handle of its folder, never through a link, and only plain files are read.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// More than any of the lifecycle's own files has.
const LIMIT: u64 = 16 << 20;

/// Reads a file of the lifecycle's in `dir`.
pub(super) fn read(dir: &Path, name: &str) -> anyhow::Result<String> {
    let what = || format!("failed to read {name} of the build");
    let dir = directory(CWD, dir.as_os_str(), OFlags::empty()).with_context(what)?;
    let Some(file) = file(&dir, OsStr::new(name)).with_context(what)? else {
        return Err(anyhow::anyhow!("it is no plain file").context(what()));
    };
    let mut text = String::new();
    file.take(LIMIT + 1)
        .read_to_string(&mut text)
        .with_context(what)?;
    if text.len() as u64 > LIMIT {
        bail!("{name} of the build is too large");
    }
    Ok(text)
}

/// Copies the plain files below `dir`/`name` to below `target`, with modes of new files; links, pipes and the like are left.
pub(super) fn copy(dir: &Path, name: &str, target: &Path) -> anyhow::Result<()> {
    let dir = directory(CWD, dir.as_os_str(), OFlags::empty())?;
    match directory(&dir, OsStr::new(name), OFlags::NOFOLLOW) {
        // There are none, or something else took their place.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(from) => Ok(copy_directory(&from, target, 0)?),
    }
}

/// SBOM files lie three folders deep.
const DEEPEST: usize = 16;

fn copy_directory(from: &OwnedFd, target: &Path, depth: usize) -> io::Result<()> {
    if depth > DEEPEST {
        return Ok(());
    }
    fs_err::create_dir_all(target)?;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let target = target.join(name);
        match directory(from, name, OFlags::NOFOLLOW) {
            Ok(below) => copy_directory(&below, &target, depth + 1)?,
            Err(Errno::NOTDIR | Errno::LOOP) => {
                if let Some(mut file) = file(from, name)? {
                    io::copy(&mut file, &mut fs_err::File::create(target)?)?;
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn directory(at: impl AsFd, name: &OsStr, more: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

/// Opens a plain file; nothing if it is of another kind.
fn file(at: impl AsFd, name: &OsStr) -> io::Result<Option<File>> {
    // A pipe opens at once like this, and is then seen to be none.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Err(Errno::LOOP | Errno::NXIO) => return Ok(None),
        opened => opened?,
    };
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&opened)?.st_mode);
    Ok((kind == FileType::RegularFile).then(|| File::from(opened)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use fs_err as fs;
    use tempfile::TempDir;

    use super::*;

    /// Layers of a build, a secret beside them, and a folder to copy to.
    fn place() -> (TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (layers, target) = (dir.path().join("layers"), dir.path().join("target"));
        fs::create_dir_all(layers.join("sbom/launch")).unwrap();
        fs::create_dir(dir.path().join("secrets")).unwrap();
        fs::write(dir.path().join("secrets/key"), "secret").unwrap();
        (dir, layers, target)
    }

    #[test]
    fn plain_files_are_read_and_nothing_else() {
        let (dir, layers, _) = place();
        fs::write(layers.join("plain"), "text").unwrap();
        assert_eq!(read(&layers, "plain").unwrap(), "text");
        symlink(dir.path().join("secrets/key"), layers.join("link")).unwrap();
        let fifo = layers.join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for name in ["link", "fifo", "sbom", "absent"] {
            let error = format!("{:#}", read(&layers, name).unwrap_err());
            assert!(
                error.contains(name) && !error.contains("secret\""),
                "{error}"
            );
        }
        fs::File::create(layers.join("endless"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        assert!(
            read(&layers, "endless")
                .unwrap_err()
                .to_string()
                .contains("too large")
        );
    }

    #[test]
    fn no_link_is_followed_and_no_mode_is_kept() {
        let (dir, layers, target) = place();
        let plain = layers.join("sbom/launch/plain");
        fs::write(&plain, "{}").unwrap();
        fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o4755)).unwrap();
        symlink(dir.path().join("secrets/key"), layers.join("sbom/link")).unwrap();
        symlink(dir.path().join("secrets"), layers.join("sbom/folder")).unwrap();
        let fifo = layers.join("sbom/fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        copy(&layers, "sbom", &target).unwrap();
        let names = fs::read_dir(&target)
            .unwrap()
            .map(|it| it.unwrap().file_name());
        assert_eq!(names.collect::<Vec<_>>(), ["launch"]);
        let copied = fs::metadata(target.join("launch/plain")).unwrap();
        assert_eq!(copied.permissions().mode() & 0o7111, 0);

        let other = dir.path().join("other");
        symlink(dir.path().join("secrets"), layers.join("linked")).unwrap();
        copy(&layers, "linked", &other).unwrap();
        copy(&layers, "absent", &other).unwrap();
        assert!(!other.exists());
    }
}
