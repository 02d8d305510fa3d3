//! Images do not depend on the number of threads (invariant 2), wherever the end of a layer falls in its last member.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use fs_err as fs;
use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions, Written};
use layout::manifest::Platform;
use layout::{History, ImageEditor, Layout};

use crate::kit::Fixture;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a tar of one file has beside its contents: a header, and two blocks at the end.
const FRAME: usize = 3 * 512;

/// A layer of files of these sizes, whose contents compress to about half.
fn layer(dir: &Path, sizes: &[usize]) -> Layer {
    fs::create_dir(dir).unwrap();
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 28) as u8 + b'a'
    };
    let file = |(number, &size)| {
        let source = dir.join(format!("{number:05}"));
        let contents: Vec<u8> = (0..size).map(|_| next()).collect();
        fs::write(&source, contents).unwrap();
        Entry {
            name: PathBuf::from(format!("/f/{number:05}")).into(),
            mode: 0o644,
            uid: 1000,
            gid: 1000,
            kind: EntryKind::File {
                source: source.into(),
                size: size as u64,
            },
        }
    };
    Layer {
        entries: sizes.iter().enumerate().map(file).collect(),
    }
}

/// Writes an image of these layers; returns what each became, and the digest of the manifest.
fn image(layout: &Layout, layers: &[Layer], threads: usize) -> (Vec<Written>, String) {
    let options = WriteOptions {
        threads: NonZeroUsize::new(threads),
        ..WriteOptions::default()
    };
    let mut update = layout.update().unwrap();
    let mut editor = ImageEditor::empty(&Platform::host());
    let written: Vec<_> = layers
        .iter()
        .map(|layer| update.write_layer(layer, &options, None).unwrap())
        .collect();
    for layer in &written {
        editor.append(layer, History::default());
    }
    let committed = editor.commit(update, &CommitOptions::default()).unwrap();
    (written, committed.digest.to_string())
}

#[test]
fn an_image_is_the_same_on_any_number_of_threads() {
    let fixture = Fixture::empty();
    let tiny: Vec<_> = (0..3000).map(|number| number % 700).collect();
    let uneven = [700_001, 0, 3 * MIB + 17, 511, 900 * KIB, 1];
    let cases: Vec<(&str, Vec<usize>)> = vec![
        ("nothing", vec![]),
        ("an empty file", vec![0]),
        ("one byte", vec![1]),
        ("a tar of a member but for a block", vec![MIB - FRAME - 512]),
        ("a tar of just a member", vec![MIB - FRAME]),
        ("a tar of a member and a block", vec![MIB - FRAME + 1]),
        ("contents that end a member", vec![MIB - 512]),
        ("one byte less than a member", vec![MIB - 1]),
        ("a member", vec![MIB]),
        ("one byte more than a member", vec![MIB + 1]),
        ("a tar of just three members", vec![3 * MIB - FRAME]),
        ("several members", vec![5 * MIB + 4321]),
        ("many tiny files", tiny),
        ("files of all sizes", uneven.to_vec()),
    ];
    let layers: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(number, (_, sizes))| layer(&fixture.path().join(number.to_string()), sizes))
        .collect();
    let written = |threads: usize| {
        let dir = fixture.path().join(format!("with-{threads}"));
        image(&Layout::at(dir), &layers, threads)
    };
    let (one, digest) = written(1);
    for threads in [2, 3, 8] {
        let (other, other_digest) = written(threads);
        for ((what, _), (one, other)) in cases.iter().zip(one.iter().zip(&other)) {
            assert_eq!(one, other, "{what}, {threads} threads");
        }
        assert_eq!(digest, other_digest, "{threads} threads");
    }
}
