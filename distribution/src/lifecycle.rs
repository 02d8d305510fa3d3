//! The lifecycle package: what a builder's `/cnb/lifecycle` is filled from (DST-020 to DST-028).
//!
//! ```text
//! lifecycle.toml
//! lifecycle/lifecycle            one program for all phases
//! lifecycle/detector → lifecycle …
//! lifecycle/launcher
//! lifecycle/*.sbom.*.json
//! ```
//!
//! Links are symbolic: pack copies an archive entry by entry into another folder, where a hard link would lead nowhere.

mod image;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use layout::Image;
use layout::layer::{self, Compression, Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use platform::files::lifecycle::{self as file, Descriptor};

pub use image::write as write_image;

use crate::archive;
use crate::module::directory;
use crate::package;

/// Phases that one program plays, by the names that it is called by (DST-024).
pub const PHASES: [&str; 8] = [
    "analyzer", "builder", "creator", "detector", "exporter", "extender", "rebaser", "restorer",
];

/// What pack wants to find (DST-023).
const REQUIRED: [&str; 7] = [
    "detector", "restorer", "analyzer", "builder", "exporter", "launcher", "creator",
];

/// For what is made once and fetched often.
const RELEASE_COMPRESSION: Compression = Compression::Gzip(9);

/// A lifecycle: its programs and what they support.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    /// What it supports.
    pub descriptor: Descriptor,
    files: BTreeMap<String, File>,
}

/// What is under one name in `/cnb/lifecycle`.
#[derive(Clone, Debug)]
enum File {
    Program {
        source: PathBuf,
        size: u64,
        mode: u32,
    },
    Link(PathBuf),
}

impl Lifecycle {
    /// Opens a lifecycle: its archive, unpacked below `scratch`; such an archive unpacked; or a folder with the programs
    /// `lifecycle` and `launcher` of this version, as a build leaves them.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, Error> {
        if !path.is_dir() {
            let folder = archive::new_folder(scratch)?;
            archive::unpack(path, &folder)?;
            return Self::unpacked(&folder, path);
        }
        if path.join("lifecycle").is_file() {
            return Self::of_programs(path);
        }
        Self::unpacked(path, path)
    }

    /// Opens the lifecycle that an image has in its last layer, below `/cnb`, unpacking it below `scratch`.
    pub fn from_image(image: &Image, scratch: &Path) -> Result<Self, Error> {
        let origin = PathBuf::from(image.blobs().location());
        let Some(last) = image.diff_ids().last() else {
            return Err(Error::NoDescriptor(origin));
        };
        let root = archive::new_folder(scratch)?;
        package::unpack_layer(image, last, &root).map_err(Box::new)?;
        Self::unpacked(&root.join("cnb"), &origin)
    }

    /// Takes what is exactly one folder deep, as pack does; `origin` is for errors.
    fn unpacked(folder: &Path, origin: &Path) -> Result<Self, Error> {
        let toml = folder.join("lifecycle.toml");
        if !toml.is_file() {
            return Err(Error::NoDescriptor(origin.to_owned()));
        }
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                files.extend(files_in(&entry.path())?);
            }
        }
        Self {
            descriptor: file::read(&toml).map_err(Error::Descriptor)?,
            files,
        }
        .checked(origin)
    }

    /// Takes the two programs, whatever else is there; each phase is a link to the first.
    fn of_programs(dir: &Path) -> Result<Self, Error> {
        let toml = dir.join("lifecycle.toml");
        let descriptor = if toml.is_file() {
            file::read(&toml).map_err(Error::Descriptor)?
        } else {
            Descriptor::of_this()
        };
        let mut files = files_in(dir)?;
        files.retain(|name, _| matches!(name.as_str(), "lifecycle" | "launcher") || is_sbom(name));
        let link = |phase: &str| (phase.to_owned(), File::Link("lifecycle".into()));
        files.extend(PHASES.map(link));
        Self { descriptor, files }.checked(dir)
    }

    fn checked(self, origin: &Path) -> Result<Self, Error> {
        for name in REQUIRED {
            let is_there = match self.files.get(name) {
                Some(File::Program { .. }) => true,
                // Relative, in the same folder, and something is there.
                Some(File::Link(target)) => {
                    let target = target.to_str().unwrap_or_default();
                    matches!(self.files.get(target), Some(File::Program { .. }))
                }
                None => false,
            };
            if !is_there {
                return Err(Error::NoProgram {
                    name,
                    origin: origin.to_owned(),
                });
            }
        }
        Ok(self)
    }

    /// Returns the version.
    pub fn version(&self) -> &str {
        &self.descriptor.lifecycle.version
    }

    /// Returns its files, in `folder` of an image or archive.
    pub fn entries(&self, folder: &Path) -> Vec<Entry> {
        let entry = |(name, file): (&String, &File)| {
            let (mode, kind) = match file {
                File::Program { source, size, mode } => {
                    let (source, size) = (source.as_path().into(), *size);
                    (*mode, EntryKind::File { source, size })
                }
                File::Link(target) => {
                    let target = target.clone();
                    (0o777, EntryKind::Symlink { target })
                }
            };
            Entry {
                name: folder.join(name).into(),
                mode,
                uid: 0,
                gid: 0,
                kind,
            }
        };
        let files = self.files.iter().map(entry);
        std::iter::once(directory(folder)).chain(files).collect()
    }

    /// Writes the release archive into `dir`, with its `.sha256` beside it, and returns its path; the same bytes each time.
    pub fn write_archive(&self, dir: &Path, platform: &Platform) -> Result<PathBuf, Error> {
        let name = archive_name(self.version(), platform);
        let scratch = tempfile::tempdir()?;
        let mut layer = Layer {
            entries: vec![self.descriptor_entry(Path::new("lifecycle.toml"), scratch.path())?],
        };
        layer.entries.extend(self.entries(Path::new("lifecycle")));
        let path = dir.join(&name);
        let mut out = BufWriter::with_capacity(256 << 10, fs::File::create(&path)?);
        let options = WriteOptions {
            compression: RELEASE_COMPRESSION,
            ..WriteOptions::default()
        };
        let written = layer::write_blob(&layer, &mut out, &options, None)?;
        out.flush()?;
        let digest = written.descriptor.digest;
        let line = format!("{}  {name}\n", digest.digest());
        fs::write(dir.join(format!("{name}.sha256")), line)?;
        Ok(path)
    }

    /// Returns the entry of lifecycle.toml, whose text lies in `scratch` until it is written.
    fn descriptor_entry(&self, name: &Path, scratch: &Path) -> Result<Entry, Error> {
        let source = scratch.join("lifecycle.toml");
        file::write(&source, &self.descriptor).map_err(Error::Descriptor)?;
        Ok(Entry {
            name: name.into(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            kind: EntryKind::File {
                size: fs::metadata(&source)?.len(),
                source: source.into(),
            },
        })
    }
}

/// Returns what the archive of a version is called (DST-021).
pub fn archive_name(version: &str, platform: &Platform) -> String {
    let arch = match platform.architecture.as_str() {
        "amd64" => "x86-64",
        other => other,
    };
    format!("lifecycle-v{version}+{}.{arch}.tgz", platform.os)
}

fn files_in(dir: &Path) -> Result<BTreeMap<String, File>, Error> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if kind.is_symlink() {
            files.insert(name, File::Link(fs::read_link(entry.path())?));
        } else if kind.is_file() {
            let suffix = Path::new(&name).extension();
            let is_text = suffix.is_some_and(|it| it == "json" || it == "toml");
            let file = File::Program {
                source: entry.path(),
                size: entry.metadata()?.len(),
                mode: if is_text { 0o644 } else { 0o755 },
            };
            files.insert(name, file);
        }
    }
    Ok(files)
}

fn is_sbom(name: &str) -> bool {
    let format = ["lifecycle", "launcher"].iter().find_map(|program| {
        let format = name.strip_prefix(program)?.strip_prefix(".sbom.")?;
        format.strip_suffix(".json")
    });
    matches!(format, Some("cdx" | "spdx" | "syft"))
}

/// Why a lifecycle could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its archive could not be unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// Its lifecycle.toml could not be read or written.
    #[error("{0:#}")]
    Descriptor(anyhow::Error),
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Labels could not be written.
    #[error("failed to write a label")]
    Json(#[from] serde_json::Error),
    /// Its archive or layer could not be written.
    #[error("failed to write the lifecycle")]
    Layer(#[from] layer::Error),
    /// Its image could not be read.
    #[error(transparent)]
    Image(#[from] Box<package::Error>),
    /// Its image could not be written.
    #[error(transparent)]
    Layout(#[from] layout::store::Error),
    /// There is no lifecycle.toml, so it is something else.
    #[error("{} is no lifecycle: there is no lifecycle.toml at its top", .0.display())]
    NoDescriptor(PathBuf),
    /// A program is missing.
    #[error("{} is no whole lifecycle: did not find '{name}' in it", origin.display())]
    NoProgram {
        /// The program.
        name: &'static str,
        /// The archive or folder.
        origin: PathBuf,
    },
}

#[cfg(test)]
mod tests;
