//! `project.toml`, in whichever schema it is written, as one type.

use std::path::Path;

/// A project descriptor; what a schema does not know is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Descriptor {
    /// Gitignore patterns of what is taken; empty: everything.
    pub include: Vec<String>,
    /// Gitignore patterns of what is left out.
    pub exclude: Vec<String>,
    /// Variables of the build, in their order; a later one of the same name wins.
    pub env: Vec<(String, String)>,
    /// The buildpacks to build with instead of the builder's order, in their order.
    pub buildpacks: Vec<Module>,
    /// Buildpacks in front of those of every group.
    pub pre: Vec<Module>,
    /// Buildpacks behind those of every group.
    pub post: Vec<Module>,
    /// The builder to take if none is named on the command line (`[io.buildpacks] builder`, as pack reads it).
    pub builder: Option<String>,
    /// What goes into `project-metadata.toml` (label `io.buildpacks.project.metadata`): name, version, source and so on, as pack writes it.
    pub source: Option<serde_json::Value>,
    /// What the reader should be told, such as that no schema version is declared.
    pub warnings: Vec<String>,
}

/// A buildpack that a descriptor names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    /// Its id; empty if only a URI is given.
    pub id: String,
    /// Its version; empty means the only or newest one.
    pub version: String,
    /// Where it is, if the builder does not have it.
    pub uri: Option<String>,
    /// A buildpack written right here.
    pub script: Option<Script>,
}

/// An inline buildpack (PRJ-007).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// Buildpack API.
    pub api: String,
    /// The build program's text.
    pub inline: String,
    /// The shell that runs it.
    pub shell: String,
}

impl Descriptor {
    /// Parses the text of a project.toml.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let _ = text;
        todo!()
    }

    /// Reads a project.toml; `None` if there is none at `path`.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let _ = path;
        todo!()
    }
}

/// Why a descriptor is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
