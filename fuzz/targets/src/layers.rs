//! Layers that are written: other readers find in them what was put in.
//!
//! Here the bytes are no file of anybody's, they say which entries there are and what is in them.

use std::ffi::OsString;
use std::io::{Cursor, Read};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use layout::image;
use layout::layer::{self, Compression, Entry, EntryKind, Error, Layer, WriteOptions};

use crate::place::with_file;

/// Longest contents of a compressed file: a few members.
const LONGEST: usize = 3 << 20;

/// A layer of any entries, as the `tar` crate reads it.
pub(crate) fn tar(bytes: &[u8]) {
    let mut rest = Input(bytes);
    let mut contents = rest.taken();
    contents.truncate(4096);
    with_file("contents", &contents, |source| {
        let mut entries = Vec::new();
        while !rest.0.is_empty() && entries.len() < 64 {
            let size = contents.len() as u64;
            let source = source.into();
            entries.push(rest.entry(EntryKind::File { source, size }));
        }
        let layer = Layer { entries };
        let mut tar = Vec::new();
        match layer.write_tar(&mut tar) {
            Ok(()) => assert_eq!(
                seen(&tar, &contents),
                layer.entries.iter().map(stripped).collect::<Vec<_>>()
            ),
            Err(Error::Unrepresentable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    });
}

/// A file's layer, compressed and decompressed.
pub(crate) fn blob(bytes: &[u8]) {
    let mut rest = Input(bytes);
    let options = WriteOptions {
        compression: match rest.byte() {
            level @ 0..200 => Compression::Gzip(level % 12 + 1),
            level @ 200..250 => Compression::Zstd(level % 19 + 1),
            _ => Compression::None,
        },
        threads: NonZeroUsize::new(usize::from(rest.byte() % 3 + 1)),
    };
    let len = usize::try_from(rest.number()).unwrap() % LONGEST;
    let contents: Vec<u8> = rest.0.iter().copied().cycle().take(len).collect();
    with_file("contents", &contents, |source| {
        let kind = EntryKind::File {
            source: source.into(),
            size: contents.len() as u64,
        };
        let layer = Layer {
            entries: vec![Entry {
                name: Path::new("/file").into(),
                mode: 0o644,
                uid: 0,
                gid: 0,
                kind,
            }],
        };
        let (mut tar, mut blob, mut unpacked) = (Vec::new(), Vec::new(), Vec::new());
        layer.write_tar(&mut tar).unwrap();
        layer::write_blob(&layer, &mut blob, &options, None).unwrap();
        let mut decoder: Box<dyn Read> = match options.compression {
            Compression::Gzip(_) => Box::new(MultiGzDecoder::new(&blob[..])),
            _ => image::decompressed(Box::new(Cursor::new(blob))).unwrap(),
        };
        decoder.read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == tar);
    });
}

/// An entry without the place of its contents.
fn stripped(entry: &Entry) -> Entry {
    let mut entry = entry.clone();
    if let EntryKind::File { source, .. } = &mut entry.kind {
        *source = Path::new("").into();
    }
    entry
}

/// Reads a tar by the `tar` crate; every file must have these contents.
fn seen(tar: &[u8], expected: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|mut entry| {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let header = entry.header();
            let device = |number: std::io::Result<Option<u32>>| number.unwrap().unwrap();
            let kind = match header.entry_type() {
                tar::EntryType::Directory => EntryKind::Directory,
                tar::EntryType::Fifo => EntryKind::Fifo,
                tar::EntryType::Symlink => EntryKind::Symlink {
                    target: path(&entry.link_name_bytes().unwrap_or_default()),
                },
                tar::EntryType::Char => EntryKind::CharDevice {
                    major: device(header.device_major()),
                    minor: device(header.device_minor()),
                },
                tar::EntryType::Block => EntryKind::BlockDevice {
                    major: device(header.device_major()),
                    minor: device(header.device_minor()),
                },
                _ => {
                    assert_eq!(contents, expected);
                    EntryKind::File {
                        source: Path::new("").into(),
                        size: entry.size(),
                    }
                }
            };
            Entry {
                name: path(&entry.path_bytes()).into(),
                mode: header.mode().unwrap(),
                uid: header.uid().unwrap().try_into().unwrap(),
                gid: header.gid().unwrap().try_into().unwrap(),
                kind,
            }
        })
        .collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

/// Bytes that say what there is; past their end they are zeros.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    /// Returns as many bytes as the next two say.
    fn taken(&mut self) -> Vec<u8> {
        let len = usize::from(u16::from_le_bytes([self.byte(), self.byte()]));
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }

    /// Returns a path whose records the `tar` crate reads: it takes a line for a record.
    fn path(&mut self) -> PathBuf {
        let mut bytes = self.taken();
        bytes.retain(|&byte| byte != b'\n');
        path(&bytes)
    }

    fn entry(&mut self, file: EntryKind) -> Entry {
        let kind = match self.byte() % 6 {
            0 => file,
            1 => EntryKind::Directory,
            2 => EntryKind::Fifo,
            3 => EntryKind::Symlink {
                target: self.path(),
            },
            4 => EntryKind::CharDevice {
                major: self.number(),
                minor: self.number(),
            },
            _ => EntryKind::BlockDevice {
                major: self.number(),
                minor: self.number(),
            },
        };
        let mut name = [b"/x", self.path().as_os_str().as_bytes()].concat();
        // `Entry::name` has no slash at its end.
        while name.ends_with(b"/") {
            name.pop();
        }
        Entry {
            name: path(&name).into(),
            mode: self.number() & 0o7777,
            uid: self.number(),
            gid: self.number(),
            kind,
        }
    }
}
