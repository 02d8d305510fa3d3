use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, Mode};
use tempfile::TempDir;

use super::*;

struct Trees {
    dir: TempDir,
    source: PathBuf,
    target: PathBuf,
}

fn trees() -> Trees {
    let dir = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|name| dir.path().join(name));
    fs::create_dir(&source).unwrap();
    fs::create_dir(&target).unwrap();
    Trees {
        dir,
        source,
        target,
    }
}

impl Trees {
    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.source.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn copy(&self, include: &[&str], exclude: &[&str]) -> Result<(), Error> {
        let strings =
            |patterns: &[&str]| patterns.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let filter = Filter::new(&strings(include), &strings(exclude)).unwrap();
        super::super::copy(&self.source, &filter, &self.target)
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Every path with what it is: mode, time and contents.
fn listing(top: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let contents = if metadata.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if metadata.is_dir() {
                dirs.push(path.clone());
                String::new()
            } else {
                format!("{:?}", fs::read(&path).unwrap())
            };
            lines.push(format!(
                "{} {:o} {}.{} {contents}",
                path.strip_prefix(top).unwrap().display(),
                metadata.mode(),
                metadata.mtime(),
                metadata.mtime_nsec(),
            ));
        }
    }
    lines.sort();
    lines
}

fn names(top: &Path) -> Vec<String> {
    let lines = listing(top).into_iter();
    let name = |line: String| line.split(' ').next().unwrap().to_owned();
    lines.map(name).collect()
}

#[test]
fn modes_times_links_and_bytes_are_kept() {
    let trees = trees();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    let script = trees.write("bin/run", "#!/bin/sh\n");
    let secret = trees.write("secret", "");
    let shared = trees.write("shared", "x");
    set_mode(&script, 0o755);
    set_mode(&secret, 0o600);
    set_mode(&shared, 0o666);
    fs::create_dir_all(trees.source.join("empty/deeper")).unwrap();
    set_mode(&trees.source.join("empty"), 0o1777);
    symlink("../secret", trees.source.join("bin/link")).unwrap();
    symlink("/no/such", trees.source.join("dangling")).unwrap();
    symlink("bin", trees.source.join("to-dir")).unwrap();
    fs::write(trees.source.join("odd \u{e9}\n name"), "x").unwrap();
    let big = vec![7; usize::try_from(SMALL).unwrap() * 3 + 1];
    fs::write(trees.source.join("big"), &big).unwrap();
    for path in [&script, &trees.source.join("bin")] {
        fs::File::open(path).unwrap().set_modified(old).unwrap();
    }

    trees.copy(&[], &[]).unwrap();
    assert_eq!(listing(&trees.target), listing(&trees.source));
    assert!(listing(&trees.target).len() > 10);
}

#[test]
fn directories_that_may_not_be_written_are_filled() {
    let trees = trees();
    trees.write("closed/file", "x");
    let closed = trees.source.join("closed");
    set_mode(&closed, 0o555);
    trees.copy(&[], &[]).unwrap();
    assert_eq!(listing(&trees.target), listing(&trees.source));
    // Whoever is not root cannot clear them away otherwise.
    set_mode(&closed, 0o755);
    set_mode(&trees.target.join("closed"), 0o755);
}

#[test]
fn hard_links_become_files_of_their_own() {
    let trees = trees();
    let one = trees.write("one", "x");
    fs::hard_link(&one, trees.source.join("two")).unwrap();
    trees.copy(&[], &[]).unwrap();
    for name in ["one", "two"] {
        let metadata = fs::metadata(trees.target.join(name)).unwrap();
        assert_eq!((metadata.nlink(), metadata.len()), (1, 1));
    }
}

#[test]
fn the_filter_says_what_is_taken() {
    let trees = trees();
    for path in [
        "a.jar",
        "a.sh",
        "media/mountain.jpg",
        "media/person.png",
        "deep/er/b.jar",
        "deep/c.sh",
        "secrets/key",
    ] {
        trees.write(path, path);
    }
    fs::create_dir_all(trees.source.join("media/empty")).unwrap();

    trees.copy(&["*.jar", "/media/"], &[]).unwrap();
    let expected = [
        "a.jar",
        "deep",
        "deep/er",
        "deep/er/b.jar",
        "media",
        "media/empty",
        "media/mountain.jpg",
        "media/person.png",
    ];
    assert_eq!(names(&trees.target), expected);
    let deep = |top: &Path| fs::metadata(top.join("deep")).unwrap().modified().unwrap();
    assert_eq!(deep(&trees.target), deep(&trees.source));

    fs::remove_dir_all(&trees.target).unwrap();
    fs::create_dir(&trees.target).unwrap();
    trees.copy(&[], &["*.sh", "secrets/", "/media"]).unwrap();
    let expected = ["a.jar", "deep", "deep/er", "deep/er/b.jar"];
    assert_eq!(names(&trees.target), expected);
}

#[test]
fn a_target_in_the_source_is_not_copied_into_itself() {
    let mut trees = trees();
    trees.write("app", "x");
    trees.target = trees.source.join("out/target");
    fs::create_dir_all(&trees.target).unwrap();
    trees.copy(&[], &[]).unwrap();
    assert_eq!(names(&trees.target), ["app", "out"]);
}

#[test]
fn directories_that_are_no_part_of_the_app_are_left_out() {
    let trees = trees();
    trees.write("app", "x");
    trees.write("deep/image/index.json", "{}");
    trees.write("image/kept", "x");
    let link = trees.dir.path().join("link");
    symlink(trees.source.join("deep/image"), &link).unwrap();
    let without = [link.as_path(), Path::new("/no/such/directory")];
    let filter = Filter::default();
    super::super::copy_without(&without, &trees.source, &filter, &trees.target).unwrap();
    assert_eq!(names(&trees.target), ["app", "deep", "image", "image/kept"]);
}

#[test]
fn a_source_may_be_a_link_to_a_directory() {
    let mut trees = trees();
    trees.write("app", "x");
    let link = trees.dir.path().join("link");
    symlink(&trees.source, &link).unwrap();
    trees.source = link;
    trees.copy(&[], &[]).unwrap();
    assert_eq!(names(&trees.target), ["app"]);
}

#[test]
fn sockets_are_left_out() {
    let trees = trees();
    trees.write("app", "x");
    let _socket = UnixListener::bind(trees.source.join("socket")).unwrap();
    trees.copy(&[], &[]).unwrap();
    assert_eq!(names(&trees.target), ["app"]);
}

#[test]
fn a_fifo_is_an_error_that_names_it_unless_it_is_excluded() {
    let trees = trees();
    let fifo = trees.source.join("fifo");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    let error = trees.copy(&[], &[]).unwrap_err();
    let expected = format!(
        "failed to copy {}: it is a FIFO, which no app can hold\n",
        fifo.display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    trees.copy(&[], &["/fifo"]).unwrap();
    assert_eq!(names(&trees.target), [""; 0]);
}

/// Devices need root to make, but every system has some.
#[test]
fn a_device_is_an_error_that_names_it() {
    let mut trees = trees();
    trees.source = PathBuf::from("/dev");
    let error = trees.copy(&[], &["*", "!/null"]).unwrap_err();
    let expected = "failed to copy /dev/null: it is a device, which no app can hold\n";
    assert!(error.to_string().starts_with(expected), "{error}");
}

/// Root may read everything.
#[test]
fn what_may_not_be_read_is_an_error_that_names_it_unless_it_is_excluded() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let trees = trees();
    let file = trees.write("file", "x");
    set_mode(&file, 0);
    let text = trees.copy(&[], &[]).unwrap_err().to_string();
    assert!(text.contains(file.to_str().unwrap()), "{text}");
    trees.copy(&[], &["/file"]).unwrap();
    let dir = trees.source.join("dir");
    fs::create_dir(&dir).unwrap();
    set_mode(&dir, 0);
    let text = trees.copy(&[], &["/file"]).unwrap_err().to_string();
    assert!(text.contains(dir.to_str().unwrap()), "{text}");
    set_mode(&dir, 0o700);
}

#[test]
fn a_tree_may_be_deeper_than_descriptors_reach() {
    let trees = trees();
    let mut path = trees.source.clone();
    for _ in 0..1100 {
        path.push("d");
    }
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("leaf"), "x").unwrap();
    trees.copy(&[], &[]).unwrap();
    let copied = trees.target.join(path.strip_prefix(&trees.source).unwrap());
    assert_eq!(fs::read(copied.join("leaf")).unwrap(), b"x");
}
