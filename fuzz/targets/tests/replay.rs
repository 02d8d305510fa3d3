//! Every input that was ever interesting, once more, without a fuzzer.
#![expect(
    clippy::unwrap_used,
    reason = "what fails in a test's helper fails the test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn corpus(target: &str) -> Vec<PathBuf> {
    let dir = fuzz().join("corpus").join(target);
    let files = fs_err::read_dir(dir).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn no_input_makes_a_target_panic() {
    std::thread::scope(|scope| {
        for (name, target) in fuzz_targets::ALL {
            scope.spawn(move || {
                for path in corpus(name) {
                    let bytes = fs_err::read(&path).unwrap();
                    let run = std::panic::catch_unwind(|| target(&bytes));
                    assert!(run.is_ok(), "{name} with {}", path.display());
                }
            });
        }
    });
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let names: BTreeSet<_> = fuzz_targets::ALL
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_eq!(names.len(), fuzz_targets::ALL.len());
    let manifest = fs_err::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let programs = manifest["bin"].as_array().unwrap().iter();
    let programs: BTreeSet<_> = programs
        .map(|bin| bin["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(programs, names);
    let corpora = fs_err::read_dir(fuzz().join("corpus")).unwrap();
    let corpora: BTreeSet<_> = corpora
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(corpora, names);
    for name in &names {
        assert!(!corpus(name).is_empty(), "{name}");
    }
}

/// Corpora are part of every clone.
#[test]
fn corpora_are_small() {
    let sizes = fuzz_targets::ALL.iter().flat_map(|(name, _)| corpus(name));
    let total: u64 = sizes
        .map(|path| fs_err::metadata(path).unwrap().len())
        .sum();
    assert!(total < 1 << 20, "{total} bytes");
}
