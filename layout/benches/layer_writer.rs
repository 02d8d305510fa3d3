//! The steps of writing a layer, each by itself: `cargo bench -p layout`.
//!
//! Whole exports are measured by `make bench`, against other programs. This is for who changes one step and wants to
//! know, within a minute, what that did to it.
#![expect(
    clippy::unwrap_used,
    reason = "a layer that cannot be made is no measurement"
)]

use std::io;
use std::num::NonZeroUsize;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use layout::layer::{self, Layer, WriteOptions};
use tempfile::TempDir;

/// A tree, by its name in the output.
struct Tree {
    name: &'static str,
    dir: TempDir,
}

impl Tree {
    /// Makes files of `len` bytes, forty to a folder, which compress to about half.
    fn new(name: &'static str, files: usize, len: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let mut state = 1_u32;
        for number in 0..files {
            let folder = dir.path().join((number / 40).to_string());
            fs_err::create_dir_all(&folder).unwrap();
            let next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 28) as u8 + b'a'
            };
            let contents: Vec<u8> = std::iter::repeat_with(next).take(len).collect();
            fs_err::write(folder.join(number.to_string()), contents).unwrap();
        }
        Self { name, dir }
    }
}

fn layer_writer(criterion: &mut Criterion) {
    for tree in [
        Tree::new("2 files of 16 MiB", 2, 16 << 20),
        Tree::new("8000 files of 700 bytes", 8000, 700),
    ] {
        let layer = Layer::of_directory(tree.dir.path(), None).unwrap();
        let mut group = criterion.benchmark_group(tree.name);
        group.sample_size(20);
        group.throughput(Throughput::Bytes(layer.tar_size().unwrap()));
        group.bench_function("walk", |bencher| {
            bencher.iter(|| Layer::of_directory(tree.dir.path(), None).unwrap());
        });
        group.bench_function("tar", |bencher| {
            bencher.iter(|| layer.write_tar(&mut io::sink()).unwrap());
        });
        group.bench_function("tar, hash", |bencher| {
            bencher.iter(|| layer.diff_id().unwrap());
        });
        for threads in [1, 2] {
            let options = WriteOptions {
                threads: NonZeroUsize::new(threads),
                ..WriteOptions::default()
            };
            let id = BenchmarkId::new("tar, hash, compress; threads", threads);
            group.bench_with_input(id, &options, |bencher, options| {
                bencher.iter(|| layer::write_blob(&layer, &mut io::sink(), options, None).unwrap());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, layer_writer);
criterion_main!(benches);
