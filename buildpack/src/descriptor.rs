//! `buildpack.toml` and `extension.toml`, and where they are on disk (BPD-001 to BPD-013).

use std::path::PathBuf;

use crate::order::OrderGroup;
use crate::target::TargetSpec;

/// What a module says of itself. Extensions use the same fields, without order and targets of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// API as written.
    pub api: String,
    /// Id.
    pub id: String,
    /// Human-readable name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Where to read about it.
    pub homepage: String,
    /// True: the user's environment is not given to it.
    pub clear_env: bool,
    /// Media types of SBOMs that it may write.
    pub sbom_formats: Vec<String>,
    /// Execution environments that it is for; none means all.
    pub exec_env: Vec<String>,
    /// Groups of a composite buildpack.
    pub order: Vec<OrderGroup>,
    /// What it runs on, inferred where nothing was declared (BPD-011 to BPD-013).
    pub targets: Vec<TargetSpec>,
    /// True for `extension.toml`.
    pub extension: bool,
    /// Absolute path of the folder that holds the file.
    pub dir: PathBuf,
}

/// The folders that modules are in.
#[derive(Clone, Debug)]
pub struct Modules {
    /// `<dir>/<escaped id>/<version>/buildpack.toml`.
    pub buildpacks: PathBuf,
    /// `<dir>/<escaped id>/<version>/extension.toml`.
    pub extensions: PathBuf,
}

impl Modules {
    /// Reads a buildpack's descriptor.
    pub fn buildpack(&self, id: &str, version: &str) -> Result<Descriptor, Error> {
        let _ = (id, version);
        todo!()
    }

    /// Reads an extension's descriptor.
    pub fn extension(&self, id: &str, version: &str) -> Result<Descriptor, Error> {
        let _ = (id, version);
        todo!()
    }
}

/// Why a descriptor could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `open <path>: no such file or directory`, as the reference says it.
    #[error("open {}: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words, in small letters.
        reason: String,
    },
    /// Not what a descriptor looks like.
    #[error(transparent)]
    Decode(#[from] crate::decode::Error),
}
