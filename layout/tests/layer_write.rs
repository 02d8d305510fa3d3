//! Layers as blobs: the same bytes on any number of threads, errors from every end.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::io::{self, Cursor, Read as _, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use layout::digest::sha256;
use layout::layer::{self, Compression, Error, Layer, Tee, WriteOptions, Written};
use layout::manifest::MediaType;
use tempfile::TempDir;

/// A few members of bytes that compress a little, in files whose ends are on no border.
fn big_tree() -> TempDir {
    let dir = TempDir::new().unwrap();
    let mut state = 1_u32;
    for number in 0..7 {
        let contents: Vec<u8> = (0..700_001 + number)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 27) as u8
            })
            .collect();
        fs_err::write(dir.path().join(format!("file-{number}")), contents).unwrap();
    }
    dir
}

fn blob(layer: &Layer, level: u8, threads: usize) -> (Vec<u8>, Written) {
    let mut blob = Vec::new();
    let threads = NonZeroUsize::new(threads);
    let compression = Compression::Gzip(level);
    let options = WriteOptions {
        compression,
        threads,
    };
    let written = layer::write_blob(layer, &mut blob, &options, None).unwrap();
    (blob, written)
}

fn tar_of(layer: &Layer) -> Vec<u8> {
    let mut tar = Vec::new();
    layer.write_tar(&mut tar).unwrap();
    tar
}

/// Other compressions, read by the view of images, which looks at the bytes rather than at the type.
#[test]
fn zstd_and_plain_blobs_are_read_again_and_do_not_depend_on_threads() {
    let dir = big_tree();
    let layer = Layer::of_directory(dir.path(), None).unwrap();
    let tar = tar_of(&layer);
    for (compression, media_type) in [
        (Compression::Zstd(1), MediaType::ImageLayerZstd),
        (Compression::Zstd(19), MediaType::ImageLayerZstd),
        (Compression::None, MediaType::ImageLayer),
    ] {
        let blob = |threads| {
            let mut blob = Vec::new();
            let threads = NonZeroUsize::new(threads);
            let options = WriteOptions {
                compression,
                threads,
            };
            let written = layer::write_blob(&layer, &mut blob, &options, None).unwrap();
            (blob, written)
        };
        let (bytes, written) = blob(1);
        assert_eq!(written.descriptor.media_type, media_type);
        assert_eq!(written.descriptor.digest, sha256(&bytes));
        for threads in [2, 8] {
            assert!(blob(threads).0 == bytes, "{compression}, {threads} threads");
        }
        let mut unpacked = Vec::new();
        let mut reader = layout::image::decompressed(Box::new(Cursor::new(bytes))).unwrap();
        reader.read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == tar, "{compression}");
    }
}

#[test]
fn a_blob_unpacks_to_the_tar_and_is_what_its_descriptor_says() {
    let dir = big_tree();
    let layer = Layer::of_directory(dir.path(), None).unwrap();
    let tar = tar_of(&layer);
    for level in [1, 6, 12] {
        let (blob, written) = blob(&layer, level, 2);
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(&blob[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert!(unpacked == tar, "level {level}");
        assert_eq!(written.diff_id.0, sha256(&tar));
        assert_eq!(written.descriptor.digest, sha256(&blob));
        assert_eq!(written.descriptor.size, blob.len() as u64);
        assert_eq!(
            written.descriptor.media_type.to_string(),
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        assert!(blob.len() < tar.len());
    }
    assert_eq!(layer.diff_id().unwrap().0, sha256(&tar));
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let dir = big_tree();
    let layer = Layer::of_directory(dir.path(), None).unwrap();
    let (first, _) = blob(&layer, 1, 1);
    for threads in 2..=5 {
        assert!(blob(&layer, 1, threads).0 == first, "{threads} threads");
    }
}

#[test]
fn a_member_says_nothing_but_how_it_was_compressed() {
    // RFC 1952: deflate, no flags, no time, fastest, unknown system.
    let (blob, _) = blob(&Layer::default(), 1, 1);
    assert_eq!(blob[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 0xff]);
}

#[test]
fn the_tee_gets_the_tar() {
    let dir = big_tree();
    let layer = Layer::of_directory(dir.path(), None).unwrap();
    let tar = tar_of(&layer);
    let (mut pieces, mut blob) = (Pieces::default(), Vec::new());
    let options = WriteOptions::default();
    let written = layer::write_blob(&layer, &mut blob, &options, Some(&mut pieces));
    assert!(pieces.together() == tar);
    let mut pieces = Pieces::default();
    let diff_id = layer::diff_id_with_tee(&layer, Some(&mut pieces)).unwrap();
    assert!(pieces.together() == tar);
    assert_eq!(diff_id, written.unwrap().diff_id);

    let mut file = tempfile::NamedTempFile::new().unwrap();
    layer::diff_id_with_tee(&layer, Some(file.as_file_mut())).unwrap();
    assert!(fs_err::read(file.path()).unwrap() == tar);
}

/// What a tee was given, by offset.
#[derive(Default)]
struct Pieces(Vec<(u64, Vec<u8>)>);

impl Tee for Pieces {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.push((offset, bytes.to_vec()));
        Ok(())
    }
}

impl Pieces {
    /// Puts them together, and checks that nothing came twice.
    fn together(mut self) -> Vec<u8> {
        self.0.sort();
        let mut all = Vec::new();
        for (offset, bytes) in self.0 {
            assert_eq!(offset, all.len() as u64);
            all.extend(bytes);
        }
        all
    }
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tee for Full {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = usize::try_from(offset).unwrap() + bytes.len();
        let has_room = end <= self.0;
        has_room
            .then_some(())
            .ok_or_else(|| io::ErrorKind::StorageFull.into())
    }
}

#[test]
fn an_error_anywhere_ends_all_threads_and_comes_back() {
    let dir = big_tree();
    let options = WriteOptions::default();
    let layer = Layer::of_directory(dir.path(), None).unwrap();
    for room in [0, 1_500_000] {
        let error = layer::write_blob(&layer, &mut Full(room), &options, None).unwrap_err();
        assert!(matches!(error, Error::Io(_)), "{error}");

        let tee: Option<&mut dyn Tee> = Some(&mut Full(room));
        let error = layer::write_blob(&layer, &mut Vec::new(), &options, tee).unwrap_err();
        assert!(matches!(error, Error::Tee(_)), "{error}");
        let tee: Option<&mut dyn Tee> = Some(&mut Full(room));
        let error = layer::diff_id_with_tee(&layer, tee).unwrap_err();
        assert!(matches!(error, Error::Tee(_)), "{error}");
    }
    for level in [0, 13] {
        let compression = Compression::Gzip(level);
        let options = WriteOptions {
            compression,
            ..options
        };
        let error = layer::write_blob(&layer, &mut Vec::new(), &options, None).unwrap_err();
        assert!(matches!(error, Error::Compression(_)), "{level}: {error}");
    }
    // Files that changed since they were walked: the first, and the last.
    for file in ["file-6", "file-0"] {
        fs_err::write(dir.path().join(file), "shorter").unwrap();
        let error = layer::write_blob(&layer, &mut Vec::new(), &options, None).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
        assert!(layer.diff_id().is_err());
    }
    fs_err::remove_file(dir.path().join("file-0")).unwrap();
    let error = layer::write_blob(&layer, &mut Vec::new(), &options, None).unwrap_err();
    assert!(error.to_string().contains("file-0"), "{error}");
}

#[test]
fn the_order_on_disk_does_not_matter() {
    let names = ["a", "a-b", "a.c", "B", "aa", "zz", "é", "日"];
    let make = |names: &mut dyn Iterator<Item = &&str>| {
        let dir = TempDir::new().unwrap();
        for name in names {
            fs_err::write(dir.path().join(name), name).unwrap();
        }
        let mut entries = layer::walk(dir.path(), None).unwrap();
        for entry in &mut entries {
            entry.name = Path::new("/x")
                .join(entry.name.strip_prefix(dir.path()).unwrap())
                .into();
        }
        tar_of(&Layer { entries })
    };
    assert!(make(&mut names.iter()) == make(&mut names.iter().rev()));
}
