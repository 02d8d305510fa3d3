//! Unpacking: what comes out, and that nothing gets out, whatever an archive says.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

mod archive;

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use layout::layer::{self, Entry, EntryKind, Error, Extract, Layer};
use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use archive::{Raw, archive, dir, file, hard, link, pax, raw, with_mode};

/// `root/layers` is where unpacking is allowed; `root/secret` and `root/safe` are beside it.
struct Place {
    _dir: TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs_err::create_dir_all(root.join("layers")).unwrap();
        fs_err::create_dir_all(root.join("safe")).unwrap();
        fs_err::write(root.join("secret"), "secret").unwrap();
        fs_err::write(root.join("safe/file"), "safe").unwrap();
        Self { _dir: dir, root }
    }

    fn extract(&self, mut tar: impl Read) -> Result<(), Error> {
        let within = &self.root.join("layers");
        let root = &self.root;
        layer::extract(&mut tar, &Extract { root, within })
    }

    fn unpack(&self, entries: &[Raw]) -> Result<(), Error> {
        self.extract(&archive(entries)[..])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn mode(&self, name: &str) -> u32 {
        let metadata = fs_err::symlink_metadata(self.path(name)).unwrap();
        metadata.permissions().mode() & 0o7777
    }

    fn text(&self, name: &str) -> String {
        fs_err::read_to_string(self.path(name)).unwrap()
    }

    /// Everything beside `layers`: entries, and contents of files.
    fn outside(&self) -> Vec<(Entry, Vec<u8>)> {
        let entries = layer::walk(&self.root, None).unwrap();
        let layers = self.root.join("layers");
        let outside = entries.into_iter().filter(|e| !e.name.starts_with(&layers));
        outside
            .map(|entry| match &entry.kind {
                EntryKind::File { source, .. } => {
                    let contents = fs_err::read(source).unwrap();
                    (entry, contents)
                }
                _ => (entry, Vec::new()),
            })
            .collect()
    }
}

#[test]
fn every_kind_that_is_unpacked_comes_out() {
    let place = Place::new();
    place
        .unpack(&[
            dir("/layers"),
            with_mode(0o555, dir("/layers/bp/")),
            with_mode(0o4711, file("/layers/bp/f", "contents")),
            file("layers/bp/relative", "too"),
            link("/layers/bp/l", "/no/such/target"),
            hard("/layers/bp/h", "layers/bp/f"),
            with_mode(0o620, raw(EntryType::Fifo, "/layers/bp/p", "", b"")),
            raw(EntryType::XGlobalHeader, "/anywhere", "", b"12 comment=\n"),
            file("/layers/parent/missing/f", ""),
            with_mode(0o1777, dir("/layers/bp/tmp")),
        ])
        .unwrap();
    assert_eq!(place.text("layers/bp/f"), "contents");
    assert_eq!(place.text("layers/bp/relative"), "too");
    assert_eq!(place.text("layers/parent/missing/f"), "");
    for (name, mode) in [("f", 0o4711), ("p", 0o620), ("tmp", 0o1777), ("", 0o555)] {
        assert_eq!(place.mode(&format!("layers/bp/{name}")), mode, "{name}");
    }
    let target = fs_err::read_link(place.path("layers/bp/l")).unwrap();
    assert_eq!(target, Path::new("/no/such/target"));
    let metadata = |name| fs_err::symlink_metadata(place.path(name)).unwrap();
    assert_eq!(metadata("layers/bp/h").ino(), metadata("layers/bp/f").ino());
    assert!(metadata("layers/bp/p").file_type().is_fifo());
    // RES-026: not the archive's owner.
    assert_eq!(metadata("layers/bp/f").uid(), metadata("layers").uid());
}

#[test]
fn directories_that_exist_keep_their_modes_and_files_get_theirs() {
    // RES-027
    let place = Place::new();
    fs_err::create_dir(place.path("layers/bp")).unwrap();
    fs_err::write(place.path("layers/bp/f"), "something longer").unwrap();
    for (name, mode) in [
        ("layers", 0o700),
        ("layers/bp", 0o711),
        ("layers/bp/f", 0o600),
    ] {
        let permissions = std::fs::Permissions::from_mode(mode);
        fs_err::set_permissions(place.path(name), permissions).unwrap();
    }
    let entries = [
        dir("/layers"),
        dir("/layers/bp"),
        with_mode(0o640, file("/layers/bp/f", "short")),
        hard("/layers/bp/h", "/layers/bp/f"),
    ];
    // Twice: what was restored before is no obstacle.
    place.unpack(&entries).unwrap();
    place.unpack(&entries).unwrap();
    assert_eq!(place.mode("layers"), 0o700);
    assert_eq!(place.mode("layers/bp"), 0o711);
    assert_eq!(place.mode("layers/bp/f"), 0o640);
    assert_eq!(place.text("layers/bp/h"), "short");
}

#[test]
fn a_link_is_not_made_where_something_is() {
    // RES-027
    let place = Place::new();
    symlink("old", place.path("layers/l")).unwrap();
    let error = place.unpack(&[link("/layers/l", "new")]).unwrap_err();
    assert!(matches!(error, Error::Io(_)), "{error:?}");
    assert!(error.to_string().contains("/layers/l"), "{error}");
}

#[test]
fn a_file_with_other_names_is_replaced_and_not_written_through() {
    let place = Place::new();
    fs_err::hard_link(place.path("secret"), place.path("layers/f")).unwrap();
    place.unpack(&[file("/layers/f", "new")]).unwrap();
    assert_eq!(place.text("layers/f"), "new");
    assert_eq!(place.text("secret"), "secret");
}

/// Asserts that each archive is refused and leaves everything beside `layers` as it was.
fn assert_refused(cases: &[(&str, &[Raw])]) {
    for (what, entries) in cases {
        let place = Place::new();
        let before = place.outside();
        let error = place.unpack(entries).expect_err(what);
        assert!(
            matches!(error, Error::Outside { .. } | Error::Blocked { .. }),
            "{what}: {error:?}"
        );
        assert_eq!(place.outside(), before, "{what}");
    }
}

#[test]
fn names_do_not_lead_out() {
    assert_refused(&[
        ("a name beside", &[file("/secret", "x")]),
        ("a name above", &[file("/../evil", "x")]),
        ("dots", &[file("../../evil", "x")]),
        ("dots that come back", &[file("/layers/../layers/f", "x")]),
        ("dots below", &[file("/layers/a/../../evil", "x")]),
        ("a directory beside", &[dir("/safe")]),
        ("a new directory beside", &[dir("/evil")]),
        (
            "a sibling with the same beginning",
            &[file("/layers2", "x")],
        ),
        ("a file in place of the directory", &[file("/layers", "x")]),
        (
            "a link in place of the directory",
            &[link("/layers", "safe")],
        ),
        ("the root", &[file("/", "x")]),
        ("no name", &[file("", "x")]),
        (
            "a PAX path",
            &[pax("21 path=/layers/../a\n"), file("/layers/f", "x")],
        ),
        (
            "a PAX link",
            &[pax("20 linkpath=/secret\n"), hard("/layers/h", "/layers/f")],
        ),
        (
            "a long name",
            &[
                raw(
                    EntryType::GNULongName,
                    "././@LongLink",
                    "",
                    b"/layers/../evil\0",
                ),
                file("/layers/f", "x"),
            ],
        ),
    ]);
}

#[test]
fn links_do_not_lead_out() {
    assert_refused(&[
        (
            "through a relative link",
            &[link("/layers/l", "../safe"), file("/layers/l/file", "x")],
        ),
        (
            "through a link to above",
            &[link("/layers/l", ".."), file("/layers/l/secret", "x")],
        ),
        (
            "a directory through a link",
            &[link("/layers/l", "../safe"), dir("/layers/l/new")],
        ),
        (
            "a link through a link",
            &[link("/layers/l", "../safe"), link("/layers/l/m", "x")],
        ),
        (
            "a FIFO through a link",
            &[
                link("/layers/l", "../safe"),
                raw(EntryType::Fifo, "/layers/l/p", "", b""),
            ],
        ),
        (
            "parents through a link",
            &[link("/layers/l", "../safe"), file("/layers/l/a/b", "x")],
        ),
        (
            "two links",
            &[
                link("/layers/l", ".."),
                link("/layers/m", "l/safe"),
                file("/layers/m/file", "x"),
            ],
        ),
        (
            "a file over a link",
            &[link("/layers/l", "../secret"), file("/layers/l", "x")],
        ),
        (
            "a directory over a link",
            &[
                link("/layers/l", "../safe"),
                with_mode(0o777, dir("/layers/l")),
            ],
        ),
    ]);
}

#[test]
fn hard_links_do_not_lead_out() {
    assert_refused(&[
        (
            "a hard link to beside",
            &[hard("/layers/h", "/secret"), file("/layers/h", "x")],
        ),
        ("a hard link to above", &[hard("/layers/h", "../secret")]),
        ("a hard link to all", &[hard("/layers/h", "/layers")]),
        (
            "a hard link through a link",
            &[
                link("/layers/l", "../safe"),
                hard("/layers/h", "/layers/l/file"),
            ],
        ),
        (
            "a hard link that goes out",
            &[
                link("/layers/l", "../safe"),
                file("/layers/f", "x"),
                hard("/layers/l/h", "/layers/f"),
            ],
        ),
        (
            "a file over a hard link to a link",
            &[
                link("/layers/l", "../secret"),
                hard("/layers/h", "/layers/l"),
                file("/layers/h", "x"),
            ],
        ),
    ]);
}

#[test]
fn an_absolute_link_leads_nowhere() {
    let place = Place::new();
    let safe = place.path("safe");
    let before = place.outside();
    let entries = [
        link("/layers/l", &safe.display().to_string()),
        file("/layers/l/file", "x"),
    ];
    let error = place.unpack(&entries).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Blocked { .. }), "{text}");
    assert!(text.contains("/layers/l/file"), "{text}");
    assert_eq!(place.outside(), before);
}

#[test]
fn links_that_were_there_are_not_followed() {
    for entry in [
        file("/layers/l/file", "x"),
        dir("/layers/l/new"),
        dir("/layers/l"),
    ] {
        let place = Place::new();
        symlink("../safe", place.path("layers/l")).unwrap();
        let before = place.outside();
        let error = place.unpack(&[entry]).unwrap_err();
        assert!(matches!(error, Error::Blocked { .. }), "{error:?}");
        assert_eq!(place.outside(), before);
    }
}

#[test]
fn other_kinds_are_refused_by_name() {
    for (kind, text) in [
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Continuous, "unknown"),
        (EntryType::new(b'V'), "unknown"),
    ] {
        let error = Place::new().unpack(&[raw(kind, "/layers/x", "", b"")]);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("/layers/x") && error.contains(text),
            "{error}"
        );
    }
    let sparse = [pax("22 GNU.sparse.major=1\n"), file("/layers/x", "")];
    let error = Place::new().unpack(&sparse).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}

#[test]
fn damage_is_told_from_a_failing_disk() {
    let whole = archive(&[file("/layers/f", &"x".repeat(2000))]);
    for len in [1, 511, 512, 513, 2000, 2511] {
        let error = Place::new().extract(&whole[..len]).unwrap_err();
        assert!(matches!(error, Error::Archive(_)), "{len}: {error:?}");
    }
    let error = Place::new().extract(&[b'x'; 1024][..]).unwrap_err();
    assert!(matches!(error, Error::Archive(_)), "{error:?}");
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
fn an_archive_is_read_to_its_very_end() {
    let mut bytes = archive(&[file("/layers/f", "x")]);
    bytes.resize(bytes.len() + 1_000_000, 0);
    let error = Place::new().extract(FailsAtEnd(&bytes)).unwrap_err();
    assert!(matches!(error, Error::Archive(_)), "{error:?}");
}

#[test]
fn where_unpacking_is_allowed_is_made() {
    let place = Place::new();
    let within = &place.path("new/layers");
    let root = Path::new("/");
    let name = within.join("f");
    let entry = Entry {
        name: name.as_path().into(),
        mode: 0o600,
        uid: 0,
        gid: 0,
        kind: EntryKind::Fifo,
    };
    let mut tar = Vec::new();
    let entries = vec![entry];
    Layer { entries }.write_tar(&mut tar).unwrap();
    layer::extract(&mut &tar[..], &Extract { root, within }).unwrap();
    assert!(name.exists());
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let source = TempDir::new().unwrap();
    let top = source.path().canonicalize().unwrap();
    let long = "n".repeat(120);
    let strange = OsStr::from_bytes(b"not \xff UTF-8");
    fs_err::create_dir_all(top.join("dir").join(&long).join("été")).unwrap();
    fs_err::write(top.join("dir").join(&long).join(strange), "1").unwrap();
    fs_err::write(top.join("dir/big"), vec![1; 3_000_000]).unwrap();
    symlink("../é/".repeat(40), top.join("dir/link")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o511);
    fs_err::set_permissions(top.join("dir"), mode).unwrap();

    let mut tar = Vec::new();
    let layer = Layer::of_directory(&top, None).unwrap();
    layer.write_tar(&mut tar).unwrap();
    let target = TempDir::new().unwrap();
    let root = target.path();
    layer::extract(&mut &tar[..], &Extract { root, within: root }).unwrap();

    let copy = root.join(top.strip_prefix("/").unwrap());
    let below = |top: &Path| -> Vec<(PathBuf, u32, Vec<u8>)> {
        let entries = layer::walk(top, None).unwrap();
        entries
            .into_iter()
            .map(|entry| {
                let data = match &entry.kind {
                    EntryKind::File { source, .. } => fs_err::read(source).unwrap(),
                    EntryKind::Symlink { target } => target.as_os_str().as_bytes().to_vec(),
                    _ => Vec::new(),
                };
                let name = entry.name.strip_prefix(top).unwrap().to_path_buf();
                (name, entry.mode, data)
            })
            .collect()
    };
    assert!(below(&copy) == below(&top));
    assert_eq!(below(&copy).len(), 7);
}

/// Names made of few parts, so that entries meet each other; most begin where unpacking is allowed.
fn hostile_name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "l", "..", ".", "safe", "secret", ""]);
    let start = prop::sample::select(vec![
        "/layers/", "/layers/", "/layers/", "layers/", "/", "../", "",
    ]);
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
    let modes = prop::sample::select(vec![0o755, 0o700, 0o4777]);
    (kind, hostile_name(), hostile_name(), modes).prop_map(|(kind, name, target, mode)| {
        let data: &[u8] = if kind == EntryType::Regular {
            b"evil"
        } else {
            b""
        };
        let target = match kind {
            EntryType::Symlink => target.replace("/layers/", "../"),
            EntryType::Link => target,
            _ => String::new(),
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
        // Each alone, so that one that is refused does not spare the later ones.
        for entry in &entries {
            // Refused or not: only what it did counts.
            place.unpack(std::slice::from_ref(entry)).ok();
        }
        prop_assert_eq!(place.outside(), before);
    }

    #[test]
    fn no_bytes_make_it_panic(flips in prop::collection::vec((0_usize..3584, any::<u8>()), 1..20), len in 0_usize..4608) {
        let mut bytes = archive(&[
            dir("/layers/a"),
            pax("20 path=/layers/a/b\n"),
            file("/layers/f", "x"),
            link("/layers/l", "a"),
        ]);
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        bytes.truncate(len);
        let place = Place::new();
        let before = place.outside();
        place.extract(&bytes[..]).ok();
        prop_assert_eq!(place.outside(), before);
    }
}
