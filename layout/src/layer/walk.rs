//! From a directory on disk to entries: which, in which order, with whose owner (EXP-025 to EXP-034).
//!
//! Nothing is followed below the directory, and contents are not read here. Order is that of a
//! depth-first walk with siblings in bytewise order, whatever order the file system lists them in.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;

use super::{Entry, EntryKind, Error, Owner, listing};

/// Returns one entry per ancestor of `dir`, from the top down, `/` and `dir` excluded.
pub(super) fn ancestors(dir: &Path) -> Result<Vec<Entry>, Error> {
    let dir = absolute(dir)?;
    let mut entries = Vec::new();
    for path in dir
        .ancestors()
        .skip(1)
        .filter(|path| path.parent().is_some())
    {
        // Followed: an ancestor that is a link appears as the directory that it leads to (EXP-026).
        let metadata = fs::metadata(path)?;
        entries.extend(entry(path.to_path_buf(), &metadata, None)?);
    }
    entries.reverse();
    Ok(entries)
}

/// Returns `dir` and everything below; the error, if there are several, is that of the first in this order.
pub(super) fn walk(dir: &Path, owner: Option<Owner>) -> Result<Vec<Entry>, Error> {
    let dir = absolute(dir)?;
    let metadata = fs::symlink_metadata(&dir)?;
    let Some(top) = entry(dir, &metadata, owner)? else {
        return Ok(Vec::new());
    };
    if top.kind != EntryKind::Directory {
        return Ok(vec![top]);
    }
    let listed = listing::list(top.name.clone(), |dir| children(dir, owner));
    let count: usize = listed.iter().map(listing::Listed::len).sum();
    let mut entries = Vec::with_capacity(1 + count);
    entries.push(top);
    listing::depth_first(listed, &mut entries)?;
    Ok(entries)
}

/// Returns what is in a directory, in bytewise order.
fn children(dir: &Path, owner: Option<Owner>) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for child in fs::read_dir(dir)? {
        let child = child?;
        entries.extend(entry(child.path(), &child.metadata()?, owner)?);
    }
    entries.sort_unstable_by(|a, b| bytes(&a.name).cmp(bytes(&b.name)));
    Ok(entries)
}

/// Returns the entry of a path; none for a socket.
fn entry(
    path: PathBuf,
    metadata: &std::fs::Metadata,
    owner: Option<Owner>,
) -> Result<Option<Entry>, Error> {
    let path = Arc::from(path);
    let Some(kind) = kind(&path, metadata)? else {
        return Ok(None);
    };
    let owner = owner.unwrap_or_else(|| Owner {
        uid: metadata.uid(),
        gid: metadata.gid(),
    });
    Ok(Some(Entry {
        name: path,
        mode: metadata.mode() & 0o7777,
        uid: owner.uid,
        gid: owner.gid,
        kind,
    }))
}

fn kind(path: &Arc<Path>, metadata: &std::fs::Metadata) -> Result<Option<EntryKind>, Error> {
    let file_type = metadata.file_type();
    let (major, minor) = (
        rustix::fs::major(metadata.rdev()),
        rustix::fs::minor(metadata.rdev()),
    );
    Ok(Some(if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_file() {
        EntryKind::File {
            source: Arc::clone(path),
            size: metadata.len(),
        }
    } else if file_type.is_symlink() {
        EntryKind::Symlink {
            target: fs::read_link(path)?,
        }
    } else if file_type.is_fifo() {
        EntryKind::Fifo
    } else if file_type.is_char_device() {
        EntryKind::CharDevice { major, minor }
    } else if file_type.is_block_device() {
        EntryKind::BlockDevice { major, minor }
    } else {
        return Ok(None);
    }))
}

/// Returns the path from `/` on, without `.`, `..` and doubled slashes; links in it are not resolved.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let mut clean = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            component => clean.push(component),
        }
    }
    Ok(clean)
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode};
    use tempfile::TempDir;

    use super::*;

    fn names(entries: &[Entry], below: &Path) -> Vec<String> {
        let name = |entry: &Entry| entry.name.strip_prefix(below).unwrap().to_path_buf();
        entries
            .iter()
            .map(|e| name(e).display().to_string())
            .collect()
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_comes_before_its_contents_and_siblings_in_bytewise_order() {
        // EXP-028: unlike order by full path, which puts `a-b` before `a/b`.
        let dir = TempDir::new().unwrap();
        let top = dir.path();
        fs::create_dir_all(top.join("a/z")).unwrap();
        for file in ["a/b", "a-b", "B", "a.c", "é", "a/z/1"] {
            fs::write(top.join(file), file).unwrap();
        }
        let entries = walk(top, None).unwrap();
        let expected = ["", "B", "a", "a/b", "a/z", "a/z/1", "a-b", "a.c", "é"];
        assert_eq!(names(&entries, top)[..3], expected[..3]);
        // `-` (2d) and `.` (2e) sort after the end of `a`.
        assert_eq!(names(&entries, top), expected);
    }

    #[test]
    fn every_kind_but_sockets_is_an_entry() {
        // EXP-033
        let dir = TempDir::new().unwrap();
        let top = dir.path();
        fs::write(top.join("1"), "one").unwrap();
        fs::hard_link(top.join("1"), top.join("2")).unwrap();
        rustix::fs::mknodat(CWD, top.join("3"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let _socket = UnixListener::bind(top.join("4")).unwrap();
        symlink("../no such/target", top.join("5")).unwrap();
        let kinds: Vec<_> = walk(top, None)
            .unwrap()
            .into_iter()
            .map(|e| e.kind)
            .collect();
        let file = |name| EntryKind::File {
            source: top.join(name).into(),
            size: 3,
        };
        let target = PathBuf::from("../no such/target");
        let link = EntryKind::Symlink { target };
        let expected = [
            EntryKind::Directory,
            file("1"),
            file("2"),
            EntryKind::Fifo,
            link,
        ];
        assert_eq!(kinds, expected);
    }

    /// EXP-033. Only root makes devices; elsewhere the table of headers has them.
    #[test]
    fn root_devices_keep_their_numbers() {
        let dir = TempDir::new().unwrap();
        let make = |name: &str, kind, (major, minor)| {
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(CWD, dir.path().join(name), kind, Mode::RUSR, device)
        };
        if !rustix::process::geteuid().is_root() {
            return;
        }
        make("c", FileType::CharacterDevice, (1, 3)).unwrap();
        make("b", FileType::BlockDevice, (7, 300)).unwrap();
        let entries = walk(dir.path(), None).unwrap();
        let kinds: Vec<_> = entries[1..].iter().map(|it| it.kind.clone()).collect();
        let (block, char) = (
            EntryKind::BlockDevice {
                major: 7,
                minor: 300,
            },
            EntryKind::CharDevice { major: 1, minor: 3 },
        );
        assert_eq!(kinds, [block, char]);
        assert_eq!(entries[1].mode, 0o400);
    }

    /// EXP-033: nothing but contents, mode and owner is recorded.
    #[test]
    fn holes_and_attributes_are_not_recorded() {
        let dir = TempDir::new().unwrap();
        let (plain, odd) = (dir.path().join("1"), dir.path().join("2"));
        fs::write(&plain, vec![0; 1 << 20]).unwrap();
        fs::File::create(&odd).unwrap().set_len(1 << 20).unwrap();
        let attribute = rustix::fs::XattrFlags::empty();
        // Where a file system has no attributes there is nothing to leave out.
        rustix::fs::setxattr(&odd, "user.note", b"x", attribute).ok();
        let tar_of = |path: &Path| {
            let mut entry = walk(path, None).unwrap().remove(0);
            entry.name = Path::new("/f").into();
            let mut tar = Vec::new();
            let entries = vec![entry];
            crate::layer::Layer { entries }.write_tar(&mut tar).unwrap();
            tar
        };
        let tar = tar_of(&odd);
        assert_eq!(tar.len(), 512 + (1 << 20) + 1024);
        assert!(tar == tar_of(&plain));
    }

    #[test]
    fn modes_are_those_on_disk() {
        // EXP-032
        let dir = TempDir::new().unwrap();
        for mode in [0o000, 0o600, 0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o7777] {
            let path = dir.path().join(format!("{mode:o}"));
            fs::write(&path, "").unwrap();
            set_mode(&path, mode);
            assert_eq!(walk(&path, None).unwrap()[0].mode, mode);
        }
    }

    #[test]
    fn a_directory_that_is_a_link_is_just_the_link() {
        // EXP-034
        let dir = TempDir::new().unwrap();
        fs::create_dir_all(dir.path().join("real/below")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        let entries = walk(&dir.path().join("link"), None).unwrap();
        let [only] = &entries[..] else {
            panic!("{entries:?}")
        };
        let target = PathBuf::from("real");
        assert_eq!(
            (only.mode, &only.kind),
            (0o777, &EntryKind::Symlink { target })
        );
    }

    #[test]
    fn ancestors_keep_their_modes_and_owners() {
        // EXP-025, EXP-026
        let dir = TempDir::new().unwrap();
        let top = dir.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("real/layer")).unwrap();
        set_mode(&top.join("real"), 0o2750);
        symlink("real", top.join("link")).unwrap();
        let entries = ancestors(&top.join("link/layer")).unwrap();

        let paths: Vec<_> = entries.iter().map(|e| e.name.to_path_buf()).collect();
        let mut expected: Vec<_> = top
            .join("link")
            .ancestors()
            .map(Path::to_path_buf)
            .collect();
        expected.pop();
        expected.reverse();
        assert_eq!(paths, expected);
        let last = entries.last().unwrap();
        assert_eq!((last.mode, &last.kind), (0o2750, &EntryKind::Directory));
        for entry in &entries {
            let metadata = fs::metadata(&entry.name).unwrap();
            assert_eq!((entry.uid, entry.gid), (metadata.uid(), metadata.gid()));
        }
        assert_eq!(ancestors(Path::new("/usr")).unwrap(), []);
        assert_eq!(ancestors(Path::new("/")).unwrap(), []);
    }

    #[test]
    fn an_owner_is_given_from_the_directory_downward() {
        // EXP-026
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("layer")).unwrap();
        fs::write(dir.path().join("layer/f"), "").unwrap();
        let owner = Some(Owner { uid: 7, gid: 8 });
        let layer = crate::layer::Layer::of_directory(&dir.path().join("layer"), owner).unwrap();
        let (below, above): (Vec<_>, Vec<_>) = layer
            .entries
            .iter()
            .partition(|entry| entry.name.starts_with(dir.path().join("layer")));
        assert_eq!(below.len(), 2);
        assert!(below.iter().all(|entry| (entry.uid, entry.gid) == (7, 8)));
        assert!(above.iter().all(|entry| (entry.uid, entry.gid) != (7, 8)));
        assert!(!above.is_empty());
    }

    #[test]
    fn names_are_absolute_and_clean() {
        // EXP-027
        for (path, expected) in [
            ("/layers/bp/", "/layers/bp"),
            ("/layers//bp/./x", "/layers/bp/x"),
            ("/layers/a/../b", "/layers/b"),
            ("/..", "/"),
            ("/", "/"),
        ] {
            let path = absolute(Path::new(path)).unwrap();
            assert_eq!(path.as_os_str(), expected);
        }
        let here = absolute(Path::new("x")).unwrap();
        assert_eq!(here, std::env::current_dir().unwrap().join("x"));
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let error = walk(Path::new("/no/such/dir"), None).unwrap_err();
        assert!(error.to_string().contains("/no/such/dir"), "{error}");
    }
}
