//! Headers of layers, as a reader of archives sees them that knows nothing of ours.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use layout::layer::{Entry, EntryKind, Layer};
use serde_json::{Value, json};

use crate::foreign::has;

/// Python's reader of archives, as JSON: what it says of each entry of the tar on its standard input.
const TARFILE: &str = r#"
import json, sys, tarfile
raw = lambda text: list(text.encode("utf-8", "surrogateescape"))
with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
    seen = [[raw(m.name), m.type.decode(), m.mode, m.uid, m.gid, m.size, m.mtime, raw(m.linkname),
             m.devmajor, m.devminor, m.uname + m.gname, sorted(m.pax_headers)] for m in archive]
json.dump(seen, sys.stdout)
"#;

/// Every kind, and names, targets and numbers on both sides of each border.
fn entries_of_every_kind(file: &Path) -> Vec<Entry> {
    let source = file.to_path_buf();
    let size = fs::metadata(file).unwrap().len();
    let kinds = [
        EntryKind::Directory,
        EntryKind::File {
            source: source.into(),
            size,
        },
        EntryKind::Symlink {
            target: "../target".into(),
        },
        EntryKind::Fifo,
        EntryKind::CharDevice { major: 1, minor: 3 },
        EntryKind::BlockDevice {
            major: 4095,
            minor: 1_048_575,
        },
    ];
    let n = |len: usize| "n".repeat(len);
    let names = [
        "/a".to_owned(),
        "/layers/été/日本".to_owned(),
        format!("/{}", n(99)),
        format!("/{}", n(100)),
        format!("/{}/{}", n(154), n(100)),
        format!("/{}/{}", n(155), n(100)),
        format!("/{}/{}/{}", n(98), n(3), n(110)),
    ];
    let mut entries = Vec::new();
    for (number, name) in names.iter().enumerate() {
        for kind in &kinds {
            let ids = [0, 1000, 2_097_151, 2_097_152, u32::MAX - 1];
            entries.push(Entry {
                name: Path::new(name).into(),
                mode: [0o755, 0o4711, 0o2640, 0o1777, 0][number % 5],
                uid: ids[number % 5],
                gid: ids[(number + 2) % 5],
                kind: kind.clone(),
            });
        }
    }
    for target in ["ü".to_owned(), "t".repeat(100), "t".repeat(101)] {
        let kind = EntryKind::Symlink {
            target: target.into(),
        };
        entries.push(Entry {
            kind,
            ..entries[0].clone()
        });
    }
    let odd = OsStr::from_bytes(b"/layers/\xff\xfe/a\xc3");
    entries.push(Entry {
        name: Path::new(odd).into(),
        ..entries[0].clone()
    });
    entries
}

/// What the reader shall say of an entry: EXP-030 to EXP-033 and EXP-037 to EXP-042.
fn expected(entry: &Entry) -> Value {
    let name = entry.name.as_os_str().as_bytes();
    let (mut kind, mut size, mut target, mut device) = ("5", 0, &b""[..], (0, 0));
    let mut long_target = false;
    match &entry.kind {
        EntryKind::Directory => {}
        EntryKind::File { size: bytes, .. } => (kind, size) = ("0", *bytes),
        EntryKind::Symlink { target: path } => {
            (kind, target) = ("2", path.as_os_str().as_bytes());
            long_target = !target.is_ascii() || target.len() > 100;
        }
        EntryKind::Fifo => kind = "6",
        EntryKind::CharDevice { major, minor } => (kind, device) = ("3", (*major, *minor)),
        EntryKind::BlockDevice { major, minor } => (kind, device) = ("4", (*major, *minor)),
    }
    let [uid, gid] = [entry.uid, entry.gid].map(|id| id > 2_097_151);
    // The one name of the table that is long and can be split is recorded only beside something else.
    let can_be_split = name.len() == 256;
    let others = uid || gid || long_target;
    let long_name = !name.is_ascii() || (name.len() > 100 && (others || !can_be_split));
    let keys = [
        ("gid", gid),
        ("linkpath", long_target),
        ("path", long_name),
        ("uid", uid),
    ];
    let keys: Vec<_> = keys.into_iter().filter(|it| it.1).map(|it| it.0).collect();
    json!([
        name,
        kind,
        entry.mode,
        entry.uid,
        entry.gid,
        size,
        315_532_801,
        target,
        device.0,
        device.1,
        "",
        keys,
    ])
}

/// A whole table of headers, against a reader that knows nothing of ours.
#[test]
fn foreign_python_reads_every_header() {
    if !has("python3") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "contents").unwrap();
    let layer = Layer {
        entries: entries_of_every_kind(&file),
    };
    let tar = dir.path().join("layer.tar");
    layer
        .write_tar(&mut fs::File::create(&tar).unwrap())
        .unwrap();
    let output = Command::new("python3")
        .args(["-c", TARFILE])
        .stdin(fs::File::open(&tar).unwrap().into_parts().0)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let seen: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(seen.len(), layer.entries.len());
    for (seen, entry) in seen.iter().zip(&layer.entries) {
        assert_eq!(*seen, expected(entry), "{entry:?}");
    }
}
