//! Unpacking whole layers: what an overlay finds afterwards, and that nothing gets out, whatever a layer says.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

mod archive;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use layout::layer::{self, Error, Limits, Opaque, Owners, Unpack};
use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use archive::{Raw, archive, dir, file, hard, link, pax, raw, with_mode};

/// As whoever runs the tests.
const CALLER: Unpack = Unpack {
    owners: Owners::Caller,
    opaque: Opaque::User,
    limits: Limits {
        bytes: 1 << 20,
        entries: 1000,
    },
};

const ROOT: Unpack = Unpack {
    owners: Owners::Kept,
    opaque: Opaque::Trusted,
    ..CALLER
};

/// `layer` is unpacked into; `secret` and `safe` are beside it.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        fs_err::create_dir(dir.path().join("layer")).unwrap();
        fs_err::create_dir(dir.path().join("safe")).unwrap();
        fs_err::write(dir.path().join("secret"), "secret").unwrap();
        fs_err::write(dir.path().join("safe/file"), "safe").unwrap();
        Self { dir }
    }

    fn layer(&self) -> PathBuf {
        self.dir.path().join("layer")
    }

    fn unpack_with(&self, how: &Unpack, tar: &[u8]) -> Result<(), Error> {
        layer::unpack(&mut &*tar, &self.layer(), how)
    }

    fn unpack(&self, entries: &[Raw]) -> Result<(), Error> {
        self.unpack_with(&CALLER, &archive(entries))
    }

    /// Everything below a directory, each with what it is: `file TEXT`, `link TARGET`, `dir`, `opaque`, `gone`, `fifo`.
    fn tree(&self, dir: &str) -> BTreeMap<String, String> {
        let top = self.dir.path().join(dir);
        let mut tree = BTreeMap::new();
        let mut left = vec![top.clone()];
        while let Some(path) = left.pop() {
            let metadata = fs_err::symlink_metadata(&path).unwrap();
            let kind = metadata.file_type();
            let text = if kind.is_dir() {
                left.extend(fs_err::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
                if is_opaque(&path) { "opaque" } else { "dir" }.to_owned()
            } else if kind.is_symlink() {
                format!("link {}", fs_err::read_link(&path).unwrap().display())
            } else if kind.is_char_device() && metadata.rdev() == 0 {
                "gone".to_owned()
            } else if kind.is_fifo() {
                "fifo".to_owned()
            } else {
                format!("file {}", fs_err::read_to_string(&path).unwrap())
            };
            let name = path.strip_prefix(&top).unwrap().display().to_string();
            tree.insert(name, text);
        }
        tree
    }

    fn metadata(&self, name: &str) -> std::fs::Metadata {
        fs_err::symlink_metadata(self.layer().join(name)).unwrap()
    }

    fn mode(&self, name: &str) -> u32 {
        self.metadata(name).mode() & 0o7777
    }

    /// What is beside the layer.
    fn outside(&self) -> BTreeMap<String, String> {
        let mut tree = self.tree("");
        tree.retain(|name, _| !name.starts_with("layer/"));
        tree
    }
}

fn is_opaque(dir: &Path) -> bool {
    let of = |opaque: Opaque| {
        let mut value = [0_u8; 8];
        let read = rustix::fs::lgetxattr(dir, opaque.attribute(), &mut value);
        read.is_ok_and(|len| &value[..len] == b"y")
    };
    of(Opaque::User) || of(Opaque::Trusted)
}

/// Asserts what each archive becomes: a line a path, the top left out if it is a plain directory.
fn assert_becomes(cases: &[(&[Raw], &str)]) {
    for (entries, expected) in cases {
        let place = Place::new();
        if let Err(error) = place.unpack(entries) {
            panic!("{expected}: {error}");
        }
        let mut found = String::new();
        for (path, what) in place.tree("layer") {
            match (path.as_str(), what.as_str()) {
                ("", "dir") => {}
                (path, what) => writeln!(found, "{path}: {what}").unwrap(),
            }
        }
        let expected: Vec<_> = expected.lines().map(str::trim).collect();
        assert_eq!(found.lines().collect::<Vec<_>>(), expected);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns false, and says so, where this is not root; fails instead in CI.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test has no platform to ask, and says why it is skipped"
)]
fn requires_root() -> bool {
    let skipped = !is_root();
    assert!(
        !skipped || std::env::var_os("CI").is_none(),
        "in CI a test must not be skipped: it needs root"
    );
    if skipped {
        eprintln!("skipped: it needs root");
    }
    !skipped
}

fn owned(uid: u64, gid: u64, raw: Raw) -> Raw {
    Raw { uid, gid, ..raw }
}

#[test]
fn every_kind_comes_out_with_its_mode_and_time() {
    let place = Place::new();
    let timed = |raw: Raw| Raw {
        mtime: 1_234_567_890,
        ..raw
    };
    place
        .unpack(&[
            timed(with_mode(0o751, dir("./"))),
            timed(with_mode(0o2555, dir("./usr/"))),
            timed(with_mode(0o4711, file("usr/f", "contents"))),
            timed(link("usr/l", "/no/such/target")),
            hard("usr/h", "/usr/f"),
            timed(with_mode(0o620, raw(EntryType::Fifo, "/usr/p", "", b""))),
            raw(EntryType::XGlobalHeader, "/any", "", b"12 comment=\n"),
            raw(EntryType::Char, "/null", "", b""),
            raw(EntryType::Block, "/disk", "", b""),
            file("implied/parent/f", ""),
            timed(with_mode(0o1777, dir("tmp"))),
            with_mode(0, dir("shut")),
            with_mode(0, file("shut/f", "x")),
            pax("30 mtime=1234567890.123456789\n"),
            file("precise", ""),
        ])
        .unwrap();
    for (name, mode) in [
        ("", 0o751),
        ("usr", 0o2555),
        ("usr/f", 0o4711),
        ("usr/h", 0o4711),
        ("usr/p", 0o620),
        ("implied", 0o755),
        ("implied/parent", 0o755),
        ("tmp", 0o1777),
        ("shut", 0),
    ] {
        assert_eq!(place.mode(name), mode, "{name}");
    }
    for name in ["", "usr", "usr/f", "usr/l", "usr/p", "tmp"] {
        assert_eq!(place.metadata(name).mtime(), 1_234_567_890, "{name}");
    }
    assert_eq!(place.metadata("precise").mtime_nsec(), 123_456_789);
    assert_eq!(place.metadata("usr/h").ino(), place.metadata("usr/f").ino());
    assert!(place.metadata("usr/p").file_type().is_fifo());
    let target = fs_err::read_link(place.layer().join("usr/l")).unwrap();
    assert_eq!(target, Path::new("/no/such/target"));
    for name in ["null", "disk"] {
        assert!(!place.layer().join(name).exists(), "{name}");
    }
    let id = rustix::process::geteuid().as_raw();
    assert_eq!(place.metadata("usr/f").uid(), id);
}

#[test]
fn root_owners_and_set_id_bits_are_kept() {
    if !requires_root() {
        return;
    }
    let place = Place::new();
    let entries = [
        owned(1, 2, with_mode(0o700, dir("."))),
        owned(7, 8, with_mode(0o500, dir("d"))),
        owned(1000, 1001, with_mode(0o6755, file("d/f", "x"))),
        owned(5, 6, link("d/l", "f")),
        owned(3, 4, raw(EntryType::Fifo, "d/p", "", b"")),
        file("implied/f", ""),
        pax("18 uid=4294967294\n"),
        file("large", ""),
        dir("gone"),
        file("gone/.wh..wh..opq", ""),
    ];
    place.unpack_with(&ROOT, &archive(&entries)).unwrap();
    for (name, owner, mode) in [
        ("", (1, 2), 0o700),
        ("d", (7, 8), 0o500),
        ("d/f", (1000, 1001), 0o6755),
        ("d/l", (5, 6), 0o777),
        ("d/p", (3, 4), 0o644),
        ("implied", (0, 0), 0o755),
        ("large", (4_294_967_294, 4000), 0o644),
    ] {
        let metadata = place.metadata(name);
        assert_eq!((metadata.uid(), metadata.gid()), owner, "{name}");
        assert_eq!(place.mode(name), mode, "{name}");
    }
    let mut value = [0_u8; 8];
    let (gone, trusted) = (place.layer().join("gone"), c"trusted.overlay.opaque");
    let len = rustix::fs::lgetxattr(gone, trusted, &mut value).unwrap();
    assert_eq!(&value[..len], b"y");
}

#[test]
fn ids_that_are_none_are_errors_that_name_them() {
    for (record, id) in [
        ("18 uid=4294967295\n", "4294967295"),
        ("18 gid=4294967295\n", "4294967295"),
        ("18 uid=4294967296\n", "4294967296"),
        ("10 uid=-1\n", "-1"),
        ("22 gid=10000000000000\n", "10000000000000"),
    ] {
        let entries = [pax(record), file("some/file", "")];
        let place = Place::new();
        let error = place.unpack_with(&ROOT, &archive(&entries)).unwrap_err();
        assert!(matches!(error, Error::Owner { .. }), "{record}: {error}");
        let text = error.to_string();
        assert!(text.contains("some/file") && text.contains(id), "{text}");
        // Whose the files are not, their ids do not matter.
        Place::new().unpack(&entries).unwrap();
    }
}

#[test]
fn whiteouts_become_an_overlay_s() {
    let opaque = |name: &str| file(&format!("{name}/.wh..wh..opq"), "");
    assert_becomes(&[
        (&[file(".wh.f", "")], "f: gone"),
        (&[file("d/.wh.f", "")], "d: dir\nd/f: gone"),
        (&[file("/./d//.wh.f", "")], "d: dir\nd/f: gone"),
        // Two dots more are a name.
        (&[file(".wh....", "")], "...: gone"),
        (&[file("d/.wh..f", "")], "d: dir\nd/.f: gone"),
        (&[hard(".wh.f", ".wh..wh.aufs")], "f: gone"),
        (&[file(".wh.f", ""), file(".wh.f", "")], "f: gone"),
        // What the layer has itself is there, in either order.
        (&[file(".wh.f", ""), file("f", "x")], "f: file x"),
        (&[file("f", "x"), file(".wh.f", "")], "f: file x"),
        (&[file(".wh.f", ""), link("f", "x")], "f: link x"),
        (&[link("l", "x"), file(".wh.l", "")], "l: link x"),
        // A directory that is gone and here again shows nothing from below.
        (&[file(".wh.d", ""), dir("d")], "d: opaque"),
        (&[dir("d"), file(".wh.d", "")], "d: opaque"),
        (
            &[file(".wh.d", ""), file("d/f", "x")],
            "d: opaque\nd/f: file x",
        ),
        (
            &[file("d/f", "x"), file(".wh.d", "")],
            "d: opaque\nd/f: file x",
        ),
        (
            &[file("d/.wh.e", ""), file("d/e/f", "x")],
            "d: dir\nd/e: opaque\nd/e/f: file x",
        ),
        (&[opaque("d"), file("d/f", "x")], "d: opaque\nd/f: file x"),
        (&[file("d/f", "x"), opaque("d")], "d: opaque\nd/f: file x"),
        (&[opaque("d"), dir("d")], "d: opaque"),
        (&[file(".wh.d", ""), opaque("d")], "d: opaque"),
        (&[opaque(".")], ": opaque"),
        // What aufs kept for itself.
        (
            &[
                hard(".wh..wh.aufs", "x"),
                dir(".wh..wh.plnk"),
                file(".wh..wh.plnk/1.2", "x"),
                dir("d"),
                file("d/.wh..wh.orph", ""),
            ],
            "d: dir",
        ),
    ]);
}

#[test]
fn whiteouts_of_no_name_are_refused() {
    for name in [
        ".wh.",
        "d/.wh.",
        ".wh..",
        ".wh...",
        "d/.wh...",
        ".wh.d/f",
        ".wh.d/.wh.f",
        ".wh.../f",
    ] {
        let place = Place::new();
        let before = place.outside();
        let error = place.unpack(&[file(name, "")]).unwrap_err();
        assert!(
            matches!(error, Error::Unsupported { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().starts_with(name), "{error}");
        assert_eq!(place.outside(), before, "{name}");
    }
}

#[test]
fn the_last_entry_of_a_name_wins() {
    let long = &"x".repeat(2000);
    assert_becomes(&[
        (&[file("a", long), file("a", "y")], "a: file y"),
        (&[link("a", "../secret"), file("a", "y")], "a: file y"),
        (&[link("a", "../safe"), dir("a")], "a: dir"),
        (&[link("a", "x"), link("a", "y")], "a: link y"),
        (&[dir("a"), file("a/b/c", "x"), file("a", "y")], "a: file y"),
        (
            &[with_mode(0, dir("a")), file("a/b", "x"), link("a", "y")],
            "a: link y",
        ),
        (
            &[file("a", "x"), dir("a"), file("a/b", "y")],
            "a: dir\na/b: file y",
        ),
        (
            &[
                dir("a"),
                dir("a/b"),
                file("a", "x"),
                dir("a"),
                file("a/c", "y"),
            ],
            "a: dir\na/c: file y",
        ),
        (
            &[file("a", "x"), raw(EntryType::Fifo, "a", "", b"")],
            "a: fifo",
        ),
        (
            &[raw(EntryType::Fifo, "a", "", b""), file("a", "x")],
            "a: file x",
        ),
        (
            &[dir("a"), dir("a"), file("a/f", "x"), dir("a/")],
            "a: dir\na/f: file x",
        ),
        (
            &[file("a", "x"), dir("b"), hard("b", "a")],
            "a: file x\nb: file x",
        ),
        (
            &[file("a", "x"), file("b", "y"), hard("b", "a")],
            "a: file x\nb: file x",
        ),
        (
            &[
                file("a", "x"),
                hard("b", "a"),
                hard("b", "a"),
                hard("a", "a"),
            ],
            "a: file x\nb: file x",
        ),
        // The other name keeps what it has.
        (
            &[file("a", "x"), hard("b", "a"), file("b", "y")],
            "a: file x\nb: file y",
        ),
    ]);
    let place = Place::new();
    place
        .unpack(&[
            with_mode(0o700, dir("a")),
            file("a", "x"),
            file("b", "x"),
            with_mode(0o700, dir("b")),
            with_mode(0o711, dir("b")),
        ])
        .unwrap();
    assert_eq!((place.mode("a"), place.mode("b")), (0o644, 0o711));
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn nothing_leaves() {
    let cases: &[(&str, &[Raw])] = &[
        ("a name above", &[file("../evil", "x")]),
        ("an absolute name above", &[file("/../evil", "x")]),
        ("dots that come back", &[file("a/../b", "x")]),
        ("dots at the end", &[dir("a/..")]),
        ("a whiteout above", &[file("../.wh.secret", "")]),
        ("an opaque directory above", &[file("../.wh..wh..opq", "")]),
        ("a whiteout that climbs", &[file("a/../../.wh.secret", "")]),
        ("a file instead of the top", &[file("/", "x")]),
        ("a link instead of the top", &[link("./", "../safe")]),
        ("no name", &[file("", "x")]),
        (
            "through a link",
            &[link("l", "../safe"), file("l/file", "x")],
        ),
        (
            "through an absolute link",
            &[link("l", "/"), file("l/tmp/evil", "x")],
        ),
        (
            "through a link to the top",
            &[link("l", "."), file("l/file", "x")],
        ),
        (
            "through two links",
            &[link("l", ".."), link("m", "l/safe"), file("m/file", "x")],
        ),
        (
            "a directory through a link",
            &[link("l", "../safe"), dir("l/d")],
        ),
        (
            "a link through a link",
            &[link("l", "../safe"), link("l/m", "x")],
        ),
        (
            "a FIFO through a link",
            &[link("l", ".."), raw(EntryType::Fifo, "l/p", "", b"")],
        ),
        (
            "a whiteout through a link",
            &[link("l", ".."), file("l/.wh.secret", "")],
        ),
        (
            "a link made opaque",
            &[link("l", "../safe"), file("l/.wh..wh..opq", "")],
        ),
        ("through a file", &[file("f", "x"), file("f/g", "x")]),
        ("a hard link out", &[hard("h", "../secret"), file("h", "x")]),
        ("a hard link to what is not there", &[hard("h", "/secret")]),
        ("a hard link to a directory", &[dir("d"), hard("h", "d")]),
        ("a hard link to the top", &[hard("h", "/")]),
        (
            "a hard link through a link",
            &[link("l", "../safe"), hard("h", "l/file")],
        ),
        (
            "a hard link that goes out",
            &[link("l", ".."), file("f", "x"), hard("l/h", "f")],
        ),
        (
            "a hard link into itself",
            &[file("d/f", "x"), hard("d", "d/f")],
        ),
        (
            "a hard link to what is gone",
            &[file(".wh.f", ""), hard("h", "f")],
        ),
        (
            "a hard link below what is gone",
            &[file(".wh.d", ""), hard("h", "d/f")],
        ),
        (
            "a hard link to a whiteout's name",
            &[file(".wh.f", ""), hard("h", ".wh.f")],
        ),
        ("a PAX name", &[pax("16 path=../evil\n"), file("f", "x")]),
        (
            "a PAX link",
            &[pax("22 linkpath=../secret\n"), hard("h", "f")],
        ),
        (
            "a long name",
            &[
                raw(EntryType::GNULongName, "L", "", b"../evil\0"),
                file("f", "x"),
            ],
        ),
        (
            "a long component",
            &[pax(&long_record("path", 300)), file("f", "x")],
        ),
        (
            "a long name",
            &[pax(&long_record("path", 5000)), file("f", "x")],
        ),
        (
            "a long link",
            &[pax(&long_record("linkpath", 5000)), link("l", "x")],
        ),
        ("a link to nothing", &[link("l", "")]),
        (
            "an unknown kind",
            &[raw(EntryType::new(b'V'), "f", "", b"")],
        ),
        ("a sparse file", &[raw(EntryType::GNUSparse, "f", "", b"")]),
        (
            "a PAX sparse file",
            &[pax("22 GNU.sparse.major=1\n"), file("f", "")],
        ),
    ];
    for (what, entries) in cases {
        let place = Place::new();
        let before = place.outside();
        let error = place.unpack(entries).expect_err(what);
        assert!(!matches!(error, Error::Archive(_)), "{what}: {error:?}");
        assert_eq!(place.outside(), before, "{what}");
    }
}

/// A PAX record whose value is so long and has no slash.
fn long_record(key: &str, len: usize) -> String {
    let rest = format!(" {key}={}\n", "x".repeat(len));
    let total = rest.len() + 3 + usize::from(rest.len() + 3 > 999);
    format!("{total}{rest}")
}

#[test]
fn an_absolute_link_stays_as_it_is() {
    let place = Place::new();
    let safe = place.dir.path().join("safe");
    let target = safe.to_str().unwrap();
    let entries = [link("l", target), file("l/file", "x")];
    let error = place.unpack(&entries).unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error}");
    assert_eq!(place.tree("layer")["l"], format!("link {target}"));
    assert_eq!(place.tree("safe")["file"], "file safe");
}

#[test]
fn too_much_is_refused_before_it_is_written() {
    let limited = |bytes, entries| Unpack {
        limits: Limits { bytes, entries },
        ..CALLER
    };
    let deep = |depth| "d/".repeat(depth) + "f";
    let cases: [(&str, Unpack, Vec<Raw>, &str); 6] = [
        (
            "bytes of a file",
            limited(10_000, 100),
            vec![file("f", &"x".repeat(10_000))],
            "more than 10000 bytes",
        ),
        (
            "many files",
            limited(1 << 20, 10),
            (0..11).map(|it| file(&it.to_string(), "")).collect(),
            "more than 10 files",
        ),
        (
            "the same file",
            limited(1 << 20, 10),
            vec![file("f", ""); 11],
            "more than 10 files",
        ),
        (
            "directories that are needed",
            limited(1 << 20, 10),
            vec![file(&deep(10), "")],
            "more than 10 files",
        ),
        (
            "whiteouts",
            limited(1 << 20, 10),
            (0..11).map(|it| file(&format!(".wh.{it}"), "")).collect(),
            "more than 10 files",
        ),
        (
            "depth",
            limited(1 << 20, 1000),
            vec![
                raw(EntryType::GNULongName, "L", "", deep(256).as_bytes()),
                file("f", ""),
            ],
            "256 directories deep",
        ),
    ];
    for (what, how, entries, text) in cases {
        let place = Place::new();
        let error = place.unpack_with(&how, &archive(&entries)).expect_err(what);
        let found = error.to_string();
        assert!(found.contains(text), "{what}: {found}");
        let written: u64 = place.tree("layer").values().map(|it| it.len() as u64).sum();
        assert!(written < 11_000, "{what}");
    }
    // What is just within is whole.
    let entries = [file("f", "x"), file(&deep(8), "")];
    let exactly = limited(archive(&entries).len() as u64, 10);
    let place = Place::new();
    place.unpack_with(&exactly, &archive(&entries)).unwrap();
    let name = deep(255);
    let name = raw(EntryType::GNULongName, "L", "", name.as_bytes());
    place.unpack(&[name, file("f", "")]).unwrap();
    layer::remove(&place.layer()).unwrap();
    assert!(!place.layer().exists());
}

#[test]
fn endless_zeros_end() {
    // Behind the archive's end too.
    let endless = archive(&[file("f", "x")]);
    let mut endless = endless.chain(io::repeat(0));
    let place = Place::new();
    let error = layer::unpack(&mut endless, &place.layer(), &CALLER).unwrap_err();
    assert!(matches!(error, Error::TooMuch { .. }), "{error}");
    // And in a header that is kept in memory.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let mut endless = header.as_bytes().chain(io::repeat(b'x'));
    let error = layer::unpack(&mut endless, &place.layer(), &CALLER).unwrap_err();
    let text = format!("{error:?}");
    assert!(text.contains("an extended header has"), "{text}");
}

#[test]
fn damage_is_told_from_a_failing_disk() {
    let whole = archive(&[file("f", &"x".repeat(2000))]);
    for len in [1, 511, 513, 2000, 2511] {
        let error = Place::new().unpack_with(&CALLER, &whole[..len]);
        let error = error.unwrap_err();
        assert!(matches!(error, Error::Archive(_)), "{len}: {error:?}");
    }
    let error = Place::new().unpack_with(&CALLER, &[b'x'; 1024]);
    assert!(matches!(error.unwrap_err(), Error::Archive(_)));
}

/// Fails at its end, as a reader does that checks a digest.
struct FailsAtEnd<'a>(&'a [u8]);

impl Read for FailsAtEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("wrong digest")),
            len => Ok(len),
        }
    }
}

#[test]
fn a_layer_is_read_to_its_very_end() {
    let mut bytes = archive(&[file("f", "x")]);
    bytes.resize(bytes.len() + 900_000, 0);
    let place = Place::new();
    let error = layer::unpack(&mut FailsAtEnd(&bytes), &place.layer(), &CALLER).unwrap_err();
    assert!(format!("{error:?}").contains("wrong digest"), "{error:?}");
}

#[test]
fn depth_and_names_do_not_keep_anything_from_being_removed() {
    let place = Place::new();
    let mut deep = rustix::fs::open(
        fs_err::canonicalize(place.layer().parent().unwrap()).unwrap(),
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    fs_err::create_dir_all(place.layer()).unwrap();
    // Names that directories get which are moved out of the way.
    for name in [".1", ".2/.3", ".4"] {
        fs_err::create_dir_all(place.layer().join(name)).unwrap();
    }
    fs_err::write(place.layer().join(".5"), "").unwrap();
    fs_err::write(place.layer().join(".2/.3/file"), "").unwrap();
    let mut next = place.layer().file_name().unwrap().to_owned();
    for _ in 0..3000 {
        let path = rustix::fs::OFlags::PATH;
        deep = rustix::fs::openat(&deep, &next, path, rustix::fs::Mode::empty()).unwrap();
        next = "d".into();
        rustix::fs::mkdirat(&deep, &next, rustix::fs::Mode::RWXU).unwrap();
        rustix::fs::symlinkat("/etc", &deep, "link").unwrap();
    }
    layer::remove(&place.layer()).unwrap();
    assert!(!place.layer().exists());
    assert!(Path::new("/etc").exists());
}

#[test]
fn what_is_removed_is_gone_and_nothing_else() {
    let place = Place::new();
    let entries = [
        with_mode(0o555, dir(".")),
        with_mode(0, dir("a")),
        with_mode(0o111, dir("a/b")),
        file("a/b/c", "x"),
        link("a/safe", "../../safe"),
        file(".wh.gone", ""),
    ];
    place.unpack(&entries).unwrap();
    let before = place.outside();
    layer::remove(&place.layer()).unwrap();
    assert!(!place.layer().exists());
    layer::remove(&place.layer()).unwrap();
    std::os::unix::fs::symlink("safe", place.layer()).unwrap();
    layer::remove(&place.layer()).unwrap();
    fs_err::create_dir(place.layer()).unwrap();
    assert_eq!(place.outside(), before);
}

#[test]
fn foreign_tar_unpacks_the_same() {
    let source = TempDir::new().unwrap();
    let script = "mkdir -p a/b 'with space' \"$(printf 'n%.0s' $(seq 90))/é\" && echo text > a/f && ln a/f a/h \
        && ln -s ../f a/b/l && mkfifo a/p && chmod 4751 a/f && chmod 1777 a/b && head -c 700000 /dev/zero > a/big \
        && touch -d @1234567890.5 a/f a && echo x > \"$(printf 'n%.0s' $(seq 90))/é/y\" && touch -d @99 .";
    let run = |program: &str, args: &[&str], dir: &Path| {
        let status = Command::new(program).args(args).current_dir(dir).status();
        assert!(status.unwrap().success(), "{program} {args:?}");
    };
    run("sh", &["-c", script], source.path());
    for format in ["gnu", "pax", "ustar"] {
        let tars = TempDir::new().unwrap();
        let tar = tars.path().join("layer.tar");
        let (format, name) = (format!("--format={format}"), tar.to_str().unwrap());
        run("tar", &[&format, "-cf", name, "."], source.path());
        let theirs = tars.path().join("theirs");
        fs_err::create_dir(&theirs).unwrap();
        run("tar", &["-xpf", name, "--numeric-owner"], &theirs);

        let place = Place::new();
        let how = if is_root() { ROOT } else { CALLER };
        place
            .unpack_with(&how, &fs_err::read(&tar).unwrap())
            .unwrap();
        let list = |dir: &Path| {
            let entries = layer::walk(dir, None).unwrap();
            let below = entries.iter().map(|entry| {
                let metadata = fs_err::symlink_metadata(&entry.name).unwrap();
                let contents = match metadata.is_file() {
                    true => fs_err::read(&entry.name).unwrap(),
                    false if metadata.is_symlink() => {
                        let target = fs_err::read_link(&entry.name).unwrap();
                        target.as_os_str().as_bytes().to_vec()
                    }
                    false => Vec::new(),
                };
                let name = entry.name.strip_prefix(dir).unwrap().to_path_buf();
                let owner = (entry.uid, entry.gid);
                let time = (metadata.mtime(), metadata.mtime_nsec());
                (name, entry.mode, owner, time, contents)
            });
            below.collect::<Vec<_>>()
        };
        assert_eq!(list(&place.layer()), list(&theirs), "{format}");
    }
}

/// Names made of few parts, so that entries meet each other.
fn hostile_name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "a",
        "b",
        "l",
        "..",
        ".",
        "",
        ".wh.a",
        ".wh.l",
        ".wh..wh..opq",
        "safe",
        "secret",
    ]);
    let start = prop::sample::select(vec!["", "", "./", "/", "../"]);
    (start, prop::collection::vec(part, 0..4))
        .prop_map(|(start, parts)| start.to_owned() + &parts.join("/"))
}

fn hostile_entry() -> impl Strategy<Value = Raw> {
    let kind = prop::sample::select(vec![
        EntryType::Directory,
        EntryType::Regular,
        EntryType::Symlink,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Fifo,
    ]);
    let modes = prop::sample::select(vec![0o755, 0, 0o4777]);
    (kind, hostile_name(), hostile_name(), modes).prop_map(|(kind, name, target, mode)| {
        let data: &[u8] = if kind == EntryType::Regular {
            b"evil"
        } else {
            b""
        };
        with_mode(mode, raw(kind, &name, &target, data))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_mixture_of_entries_gets_out(entries in prop::collection::vec(hostile_entry(), 1..12)) {
        let place = Place::new();
        let before = place.outside();
        // The first that is refused ends it: so all that are not refused together, and then each alone.
        for entry in &entries {
            // Refused or not: only what it did counts.
            place.unpack(std::slice::from_ref(entry)).ok();
        }
        place.unpack(&entries).ok();
        layer::remove(&place.layer()).unwrap();
        fs_err::create_dir(place.layer()).unwrap();
        prop_assert_eq!(place.outside(), before);
    }

    #[test]
    fn no_bytes_make_it_panic(flips in prop::collection::vec((0_usize..3584, any::<u8>()), 1..20), len in 0_usize..4608) {
        let mut bytes = archive(&[
            dir("a"),
            pax("12 path=a/b\n"),
            file("f", "x"),
            link("l", "a"),
        ]);
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        bytes.truncate(len);
        let place = Place::new();
        let before = place.outside();
        place.unpack_with(&CALLER, &bytes).ok();
        prop_assert_eq!(place.outside(), before);
    }
}
