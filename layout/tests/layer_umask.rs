//! Modes of what is unpacked under a narrow umask; alone in its program, because a umask is the process's.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use layout::layer::{self, Entry, EntryKind, Extract, Layer};
use rustix::fs::Mode;
use tempfile::TempDir;

#[test]
fn only_parents_without_an_entry_feel_the_umask() {
    // RES-027
    let dir = TempDir::new().unwrap();
    let source = dir.path().join("source");
    fs_err::write(&source, "text").unwrap();
    let file = EntryKind::File {
        source: source.into(),
        size: 4,
    };
    let entry = |name: &str, mode, kind| Entry {
        name: Path::new(name).into(),
        mode,
        uid: 0,
        gid: 0,
        kind,
    };
    let entries = vec![
        entry("/a", 0o2775, EntryKind::Directory),
        entry("/a/f", 0o4777, file.clone()),
        entry("/a/p", 0o666, EntryKind::Fifo),
        entry("/b/c/f", 0o666, file),
        entry("/b/c", 0o777, EntryKind::Directory),
    ];
    let mut tar = Vec::new();
    Layer { entries }.write_tar(&mut tar).unwrap();

    rustix::process::umask(Mode::from_raw_mode(0o027));
    let root = &dir.path().join("root");
    layer::extract(&mut &tar[..], &Extract { root, within: root }).unwrap();
    let mode = |name: &Path| {
        fs_err::metadata(root.join(name))
            .unwrap()
            .permissions()
            .mode()
    };
    for (name, expected) in [
        ("a", 0o2775),
        ("a/f", 0o4777),
        ("a/p", 0o666),
        ("b", 0o750),
        // Made for its file before its own entry came, so it is one that exists.
        ("b/c", 0o750),
        ("b/c/f", 0o666),
    ] {
        let found = mode(Path::new(name)) & 0o7777;
        assert_eq!(found, expected, "{name}: {found:o}");
    }
}
