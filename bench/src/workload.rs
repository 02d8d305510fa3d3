//! What is exported: trees that are made from what the machine has, by a fixed recipe.
//!
//! | tree | holds |
//! |---|---|
//! | mixed | three layers, a JDK, the Rust toolchain's libraries and its documentation, and an app of npm's own packages: about 1.2 GB |
//! | large | one layer with one file of 4 GB, the machine's programs and libraries one after the other, again and again |
//! | small | one layer of 200,000 files of less than 1 KB, cut from the Rust toolchain's documentation |

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use fs_err as fs;
use tests::program::run;

/// A tree to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tree {
    Mixed,
    Large,
    Small,
}

impl Tree {
    pub(crate) const ALL: [Self; 3] = [Self::Mixed, Self::Large, Self::Small];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Large => "large",
            Self::Small => "small",
        }
    }

    /// Returns the names of its layers.
    pub(crate) fn layers(self) -> &'static [&'static str] {
        match self {
            Self::Mixed => &["docs", "jdk", "rust"],
            Self::Large => &["file"],
            Self::Small => &["files"],
        }
    }

    /// Makes the layers as folders of `layers`, and the app in `app`.
    pub(crate) fn make(self, layers: &Path, app: &Path) -> anyhow::Result<()> {
        match self {
            Self::Mixed => {
                let sysroot = sysroot();
                copy(&documentation(&sysroot)?, &layers.join("docs"));
                copy(&jdk()?, &layers.join("jdk"));
                copy(&sysroot.join("lib/rustlib"), &layers.join("rust"));
                copy(&npm()?, &app.join("node_modules"));
            }
            Self::Large => large_file(&layers.join("file/file"))?,
            Self::Small => small_files(&layers.join("files"))?,
        }
        Ok(())
    }
}

/// Bytes and count of the files of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

impl Extent {
    pub(crate) fn of(dir: &Path) -> io::Result<Self> {
        let mut extent = Self::default();
        let mut pending = vec![dir.to_owned()];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir)? {
                let entry = entry?;
                let metadata = entry.metadata()?;
                if metadata.is_dir() {
                    pending.push(entry.path());
                } else {
                    extent.bytes += metadata.len();
                    extent.files += 1;
                }
            }
        }
        Ok(extent)
    }
}

impl std::ops::Add for Extent {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            files: self.files + other.files,
        }
    }
}

fn sysroot() -> PathBuf {
    run("rustc", &["--print", "sysroot"]).trim().into()
}

fn documentation(sysroot: &Path) -> anyhow::Result<PathBuf> {
    let docs = sysroot.join("share/doc");
    let html = docs.join("rust/html");
    ensure!(
        html.is_dir(),
        "the workload needs the documentation of the Rust toolchain: rustup component add rust-docs"
    );
    Ok(docs)
}

/// Returns the home of the JDK whose `java` is on PATH.
fn jdk() -> anyhow::Result<PathBuf> {
    let java = fs::canonicalize(run("which", &["java"]).trim())?;
    let home = java.parent().and_then(Path::parent);
    home.map(Path::to_owned)
        .with_context(|| format!("{} is in no JDK", java.display()))
}

/// Returns the packages that npm itself consists of.
fn npm() -> anyhow::Result<PathBuf> {
    let npm = fs::canonicalize(run("which", &["npm"]).trim())?;
    let packages = npm.ancestors().map(|it| it.join("node_modules"));
    let mut packages = packages.filter(|it| it.is_dir());
    packages
        .next()
        .with_context(|| format!("no packages are beside {}", npm.display()))
}

fn copy(from: &Path, to: &Path) {
    let (from, to) = (from.display().to_string(), to.display().to_string());
    run("cp", &["-a", &from, &to]);
}

/// Returns the files of a folder, in order of their names.
fn files_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn large_file(path: &Path) -> io::Result<()> {
    const SIZE: u64 = 4_000_000_000;
    fs::create_dir_all(path.parent().unwrap())?;
    let mut out = io::BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let programs = files_of(Path::new("/usr/bin"))?;
    let libraries = files_of(&sysroot().join("lib"))?;
    let mut left = SIZE;
    while left > 0 {
        for file in programs.iter().chain(&libraries) {
            left -= io::copy(&mut fs::File::open(file)?.take(left), &mut out)?;
        }
    }
    out.flush()
}

fn small_files(dir: &Path) -> anyhow::Result<()> {
    const FILES: usize = 200_000;
    const IN_A_FOLDER: usize = 500;
    let page = documentation(&sysroot())?.join("rust/html/std/vec/struct.Vec.html");
    let text = fs::read(&page)?;
    let mut rest = &text[..];
    for number in 0..FILES {
        if number % IN_A_FOLDER == 0 {
            fs::create_dir_all(dir.join(format!("{:04}", number / IN_A_FOLDER)))?;
        }
        let len = 1 + number * 7919 % 1000;
        if rest.len() < len {
            rest = &text;
        }
        let (part, after) = rest.split_at(len);
        rest = after;
        let name = format!("{:04}/{number:06}", number / IN_A_FOLDER);
        fs::write(dir.join(name), part)?;
    }
    Ok(())
}
