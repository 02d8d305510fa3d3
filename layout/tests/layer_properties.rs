//! What other readers see in any layer: of its tar the `tar` crate and GNU tar, of its blob flate2 and GNU gzip.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::ffi::OsString;
use std::io::{Cursor, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::MultiGzDecoder;
use layout::digest::sha256;
use layout::layer::{self, Compression, Entry, EntryKind, Layer, WriteOptions};
use proptest::prelude::*;
use tempfile::TempDir;

fn tar_of(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).unwrap();
    tar
}

/// Gives a program its input and returns what it prints; it must succeed.
fn filter(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{command:?}");
        output.stdout
    })
}

/// An entry as it is asked for, and as a reader says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: Vec<u8>,
    /// USTAR's byte for it.
    kind: u8,
    mode: u32,
    uid: u64,
    gid: u64,
    link: Vec<u8>,
    device: Option<(u32, u32)>,
    contents: Vec<u8>,
}

impl Seen {
    /// Returns the entry, its contents in a file below `dir`.
    fn written_to(&self, dir: &Path, number: usize) -> Entry {
        let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let (major, minor) = self.device.unwrap_or_default();
        let kind = match self.kind {
            b'2' => EntryKind::Symlink {
                target: path(&self.link),
            },
            b'3' => EntryKind::CharDevice { major, minor },
            b'4' => EntryKind::BlockDevice { major, minor },
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            _ => {
                let source = dir.join(number.to_string());
                fs_err::write(&source, &self.contents).unwrap();
                let size = self.contents.len() as u64;
                EntryKind::File {
                    source: source.into(),
                    size,
                }
            }
        };
        Entry {
            name: path(&self.name).into(),
            mode: self.mode,
            uid: self.uid.try_into().unwrap(),
            gid: self.gid.try_into().unwrap(),
            kind,
        }
    }
}

fn seen_by_tar_crate(tar: &[u8]) -> Vec<Seen> {
    let mut archive = tar::Archive::new(Cursor::new(tar));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let header = entry.header();
            let kind = header.entry_type().as_byte();
            let device = || {
                let major = header.device_major().unwrap().unwrap();
                (major, header.device_minor().unwrap().unwrap())
            };
            Seen {
                name: entry.path_bytes().into_owned(),
                kind,
                mode: header.mode().unwrap(),
                uid: header.uid().unwrap(),
                gid: header.gid().unwrap(),
                link: entry.link_name_bytes().unwrap_or_default().into_owned(),
                device: matches!(kind, b'3' | b'4').then(device),
                contents,
            }
        })
        .collect()
}

fn names_seen_by_gnu_tar(tar: &[u8]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command
        .args(["-tPf", "-", "--quoting-style=literal", "--show-transformed"])
        .args(["--transform", "s,/*$,,"]);
    filter(&mut command, tar)
}

prop_compose! {
    fn path(max: usize)(bytes in prop::collection::vec(component(), 1..max)) -> Vec<u8> {
        bytes.iter().flat_map(|name| [b"/", &name[..]].concat()).collect()
    }
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[a-z]{1,8}".prop_map(String::into_bytes),
        "[a-z ._=-]{1,110}".prop_map(String::into_bytes),
        // Longer than the name of a header, so that no slash splits it.
        "[a-z]{101,255}".prop_map(String::into_bytes),
        "[a-zé日]{1,60}".prop_map(String::into_bytes),
        prop::collection::vec(prop_oneof![1_u8..10, 11_u8..47, 48_u8..=255], 1..60),
    ]
    .prop_filter("no plain name", |name| name != b"." && name != b"..")
}

/// Contents around the ends of blocks, and a few of any length.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![
        0..2_usize,
        510..515_usize,
        1023..1026_usize,
        0..20_000_usize
    ];
    // A prime number of them in turn, so that no piece of a block is like another.
    (len, 0..251_u8).prop_map(|(len, first)| {
        let bytes = (first..251).chain(0..first);
        bytes.cycle().take(len).collect()
    })
}

fn entry() -> impl Strategy<Value = Seen> {
    let id = || prop_oneof![0..2000_u64, 2_097_150..2_097_154_u64, 0..1_u64 << 32];
    let device = || prop_oneof![0..300_u32, 0..=0o7_777_777_u32];
    let kind = prop::sample::select(b"0023456".to_vec());
    let what = (kind, contents(), path(4), (device(), device()));
    (path(6), 0..0o10_000_u32, id(), id(), what).prop_map(
        |(name, mode, uid, gid, (kind, contents, link, device))| Seen {
            name,
            kind,
            mode,
            uid,
            gid,
            link: if kind == b'2' { link } else { Vec::new() },
            device: matches!(kind, b'3' | b'4').then_some(device),
            contents: if kind == b'0' { contents } else { Vec::new() },
        },
    )
}

/// A stretch of bytes: of one kind, of a few kinds, by chance.
fn stretch() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![0..300_usize, 1000..100_000_usize];
    (any::<u32>(), 0..=8_u32, len).prop_map(|(mut state, bits, len)| {
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (u64::from(state) << bits).to_le_bytes()[4]
        };
        (0..len).map(|_| next()).collect()
    })
}

/// Bytes for a few members, whose tar ends anywhere, and often near the end of a member.
fn members() -> impl Strategy<Value = Vec<u8>> {
    const MIB: usize = 1 << 20;
    let near = (0..3_usize, 0..4096_usize)
        .prop_map(|(members, below)| (members * MIB + 1024).saturating_sub(below));
    let len = prop_oneof![near, 0..3 * MIB];
    let stretches = prop::collection::vec(stretch(), 1..8);
    (stretches, len).prop_map(|(stretches, len)| {
        let all = stretches.concat();
        let repeated = all.iter().copied().cycle();
        if all.is_empty() {
            vec![0; len]
        } else {
            repeated.take(len).collect()
        }
    })
}

/// A layer of one file with these contents.
fn layer_of(contents: &[u8], dir: &Path) -> Layer {
    let file = Seen {
        name: b"/file".to_vec(),
        kind: b'0',
        mode: 0o644,
        uid: 0,
        gid: 0,
        link: Vec::new(),
        device: None,
        contents: contents.to_vec(),
    };
    Layer {
        entries: vec![file.written_to(dir, 0)],
    }
}

fn blob_of(layer: &Layer, level: u8, threads: usize) -> Vec<u8> {
    let mut blob = Vec::new();
    let threads = NonZeroUsize::new(threads);
    let compression = Compression::Gzip(level);
    let options = WriteOptions {
        compression,
        threads,
    };
    let written = layer::write_blob(layer, &mut blob, &options, None).unwrap();
    assert_eq!(written.descriptor.digest, sha256(&blob));
    assert_eq!(written.descriptor.size, blob.len() as u64);
    blob
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn other_readers_see_what_was_written(entries in prop::collection::vec(entry(), 0..20)) {
        let dir = TempDir::new().unwrap();
        let layer = Layer {
            entries: entries
                .iter()
                .enumerate()
                .map(|(number, entry)| entry.written_to(dir.path(), number))
                .collect(),
        };
        let tar = tar_of(&layer);
        let seen = seen_by_tar_crate(&tar);
        prop_assert_eq!(&seen, &entries);
        let names: Vec<_> = entries
            .iter()
            .flat_map(|entry| [&entry.name[..], b"\n"].concat())
            .collect();
        prop_assert_eq!(names_seen_by_gnu_tar(&tar), names);
    }

    #[test]
    fn a_blob_unpacks_to_the_tar(
        contents in members(),
        level in prop_oneof![4 => Just(1), 1 => 1..=12_u8],
        threads in 1..4_usize,
    ) {
        let dir = TempDir::new().unwrap();
        let layer = layer_of(&contents, dir.path());
        let tar = tar_of(&layer);
        let blob = blob_of(&layer, level, threads);
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&blob[..]).read_to_end(&mut unpacked).unwrap();
        prop_assert!(unpacked == tar);
        prop_assert!(unpacked[512..].starts_with(&contents));
    }
}

#[test]
fn gnu_gzip_reads_any_blob() {
    let dir = TempDir::new().unwrap();
    let long: Vec<u8> = (0..2_500_000_u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 28) as u8)
        .collect();
    for len in [0, 1, (1 << 20) - 1536, 1 << 20, long.len()] {
        let layer = layer_of(&long[..len], dir.path());
        for level in [1, 12] {
            let blob = blob_of(&layer, level, 2);
            filter(Command::new("gzip").arg("-t"), &blob);
            let unpacked = filter(Command::new("gzip").arg("-dc"), &blob);
            assert!(unpacked == tar_of(&layer), "{len} bytes, level {level}");
        }
    }
}
