//! A buildpack or extension by itself: a folder with its descriptor, and the layer that it becomes (DST-002).
//!
//! Descriptors are read here as whoever packages them reads them: what they declare goes into labels as it is, where the
//! lifecycle (`buildpack::descriptor`) works out what it means.

use std::fmt;
use std::path::{Path, PathBuf};

use buildpack::Version;
use buildpack::decode;
use buildpack::group::escape_id;
use layout::layer::{self, Entry, EntryKind, Owner};
use serde::Deserialize;

use crate::labels::{Distro, Group, LayerInfo, ModuleInfo, Stack, Target};

/// What pack assumes of a descriptor that names no API.
const ASSUMED_API: &str = "0.1";

/// A buildpack or extension in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Which of the two it is.
    pub kind: Kind,
    /// What it says of itself.
    pub info: ModuleInfo,
    /// Buildpack API, as written.
    pub api: String,
    /// Stacks, as declared.
    pub stacks: Vec<Stack>,
    /// Targets, as declared.
    pub targets: Vec<Target>,
    /// Groups of a composite buildpack.
    pub order: Vec<Group>,
    /// Real path of the folder that holds the descriptor.
    pub dir: PathBuf,
}

/// Buildpack or extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It detects and builds.
    Buildpack,
    /// It detects and generates Dockerfiles.
    Extension,
}

impl Kind {
    /// Returns the name of the descriptor's file.
    pub fn file(self) -> &'static str {
        match self {
            Self::Buildpack => "buildpack.toml",
            Self::Extension => "extension.toml",
        }
    }

    /// Returns `a` or `an`.
    pub(crate) fn article(self) -> &'static str {
        match self {
            Self::Buildpack => "a",
            Self::Extension => "an",
        }
    }

    /// Returns the folder below `/cnb` that its modules are in.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Buildpack => "buildpacks",
            Self::Extension => "extensions",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Buildpack => "buildpack",
            Self::Extension => "extension",
        })
    }
}

impl Module {
    /// Reads the descriptor in `dir`; `None` if there is none.
    pub fn find(dir: &Path) -> Result<Option<Self>, Error> {
        for kind in [Kind::Buildpack, Kind::Extension] {
            if dir.join(kind.file()).exists() {
                return Self::read(dir, kind).map(Some);
            }
        }
        Ok(None)
    }

    /// Reads the descriptor of this kind in `dir`.
    pub fn read(dir: &Path, kind: Kind) -> Result<Self, Error> {
        let path = dir.join(kind.file());
        let file: File = decode::from_file(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        let invalid = |problem: String| Error::Invalid {
            path: path.clone(),
            problem,
        };
        let info = match kind {
            Kind::Buildpack => file.buildpack,
            Kind::Extension => file.extension,
        };
        check_names(kind, &info).map_err(invalid)?;
        let api = if file.api.is_empty() {
            ASSUMED_API.to_owned()
        } else {
            file.api
        };
        if let Err(error) = api.parse::<Version>() {
            return Err(invalid(format!("api: {error}")));
        }
        let names_bases = !file.stacks.is_empty() || !file.targets.is_empty();
        if !file.order.is_empty() && names_bases {
            let problem = "an order, and stacks or targets: a composite buildpack runs where the buildpacks in its order run";
            return Err(invalid(problem.to_owned()));
        }
        Ok(Self {
            kind,
            info,
            api,
            stacks: file.stacks,
            targets: file.targets.into_iter().map(Target::from).collect(),
            order: file.order,
            // Real, because its files are found by what follows it in their names, and a link would be packaged as one.
            dir: fs_err::canonicalize(dir).map_err(Error::Io)?,
        })
    }

    /// Returns `id@version`.
    pub fn label(&self) -> String {
        self.info.label()
    }

    /// Returns where it is in an image: `/cnb/buildpacks/acme_java/1.0`.
    pub fn path_in_image(&self) -> PathBuf {
        path_in_image(self.kind, &self.info.id, &self.info.version)
    }

    /// True for a buildpack that only names others.
    pub fn is_composite(&self) -> bool {
        !self.order.is_empty()
    }

    /// Returns the entry of a layers label.
    pub fn layer_info(&self, layer_diff_id: layout::DiffId) -> LayerInfo {
        LayerInfo {
            api: self.api.clone(),
            stacks: self.stacks.clone(),
            targets: self.targets.clone(),
            order: self.order.clone(),
            layer_diff_id,
            homepage: self.info.homepage.clone(),
            name: self.info.name.clone(),
        }
    }

    /// Returns what its layer holds: the folder of its id, then its own, owned by root. Modes are 0755 for folders, and
    /// for files that anybody may execute or that are its programs, 0644 for the rest, so that they do not depend on
    /// where the module was made.
    pub fn entries(&self) -> Result<Vec<Entry>, layer::Error> {
        let place = self.path_in_image();
        let mut entries = Vec::new();
        entries.extend(place.parent().map(directory));
        for entry in layer::walk(&self.dir, Some(Owner { uid: 0, gid: 0 }))? {
            let below = entry.name.strip_prefix(&self.dir);
            let below = below.unwrap_or(Path::new("")).to_owned();
            let mode = match &entry.kind {
                EntryKind::Directory => 0o755,
                EntryKind::Symlink { .. } => 0o777,
                _ if entry.mode & 0o111 != 0 || is_program(&below) => 0o755,
                _ => 0o644,
            };
            let name = if below.as_os_str().is_empty() {
                place.clone()
            } else {
                place.join(below)
            };
            entries.push(Entry {
                name: name.into(),
                mode,
                ..entry
            });
        }
        Ok(entries)
    }
}

/// Returns where a module is in an image.
pub fn path_in_image(kind: Kind, id: &str, version: &str) -> PathBuf {
    let folder = Path::new("/cnb").join(kind.folder());
    folder.join(escape_id(id)).join(version)
}

/// Returns the entry of a folder that belongs to root.
pub(crate) fn directory(name: &Path) -> Entry {
    Entry {
        name: name.into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind: EntryKind::Directory,
    }
}

fn is_program(below: &Path) -> bool {
    ["bin/detect", "bin/build", "bin/generate"]
        .iter()
        .any(|program| below == Path::new(program))
}

/// Id and version become names of folders: what would lead elsewhere is refused.
pub(crate) fn check_names(kind: Kind, info: &ModuleInfo) -> Result<(), String> {
    let names = [("id", &info.id), ("version", &info.version)];
    for (key, name) in names {
        if name.is_empty() {
            return Err(format!("{kind}.{key} is required"));
        }
        let folder = escape_id(name);
        let climbs = matches!(folder.as_str(), "." | "..");
        let splits = key == "version" && name.contains('/');
        if climbs || splits || name.contains(|c: char| c.is_control() || c == '\\') {
            return Err(format!("{kind}.{key} {name:?} cannot be a folder's name"));
        }
    }
    Ok(())
}

/// Both descriptors; a key of the other kind is as unknown as any other and ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    api: String,
    buildpack: ModuleInfo,
    extension: ModuleInfo,
    stacks: Vec<Stack>,
    targets: Vec<TargetFile>,
    order: Vec<Group>,
}

/// The lifecycle reads `arch-variant`, pack `variant`; either is taken.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct TargetFile {
    os: String,
    arch: String,
    variant: String,
    arch_variant: String,
    distros: Vec<Distro>,
}

impl From<TargetFile> for Target {
    fn from(file: TargetFile) -> Self {
        let variant = if file.arch_variant.is_empty() {
            file.variant
        } else {
            file.arch_variant
        };
        Self {
            os: file.os,
            arch: file.arch,
            variant,
            distros: file.distros,
        }
    }
}

/// Why a module could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The descriptor lacks something, or contradicts itself.
    #[error("{} is no descriptor that can be used: {problem}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The file system said no.
    #[error(transparent)]
    Io(std::io::Error),
    /// The descriptor could not be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: decode::FileError,
    },
}

#[cfg(test)]
mod tests;
