//! `project.toml`, in whichever schema it is written, as one type.
//!
//! | schema | about the project | about the build |
//! |---|---|---|
//! | 0.1, also where none is declared | `[project]` | `[build]` |
//! | 0.2 | `[_]` | `[io.buildpacks]` |
//! | 0.3, a draft that only pack has | `[_]` | `[io.buildpacks]`, with `exec-env`, which is not applied there either |
//!
//! Differs from pack on purpose: entries of `pre` and `post` are held to the rules of `group`; a script beside a `uri` is
//! an error, not ignored; version and source of schema 0.2 are not lost.

mod schema;

use std::path::{Path, PathBuf};

use buildpack::decode::{self, Document};
use serde_json::json;

use self::schema::{Project, Raw, Schema};
use crate::filter;
use crate::variables;

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
    /// The `source` table of `project-metadata.toml` (label `io.buildpacks.project.metadata`) as pack writes it,
    /// `{"type": "project", "version": {"declared": …}, "metadata": {"url": …}}`; `None` if neither is declared.
    pub source: Option<serde_json::Value>,
    /// What the reader should be told, such as that no schema version is declared; each a sentence or a few lines.
    pub warnings: Vec<String>,
}

/// A buildpack that a descriptor names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Module {
    /// Its id; empty if only a URI is given.
    pub id: String,
    /// Its version; empty means the only or newest one, and `0.0.0` for a script.
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
    /// The shell that runs it, `/bin/sh` where none is given.
    pub shell: String,
}

impl Descriptor {
    /// Parses the text of a project.toml.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::new(&Document::parse(text)?)
    }

    /// Reads a project.toml; `None` if there is none at `path`.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match fs_err::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let document = Document::parse_bytes(&bytes).map_err(Error::from);
        match document.and_then(|document| Self::new(&document)) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(error) => Err(Error::File {
                path: path.to_owned(),
                source: Box::new(error),
            }),
        }
    }

    fn new(document: &Document) -> Result<Self, Error> {
        let mut warnings = Vec::new();
        let schema = Schema::of(document, &mut warnings)?;
        let raw = schema.decode(document)?;
        warnings.extend(schema.unknown_keys(document)?);
        warnings.extend(schema.not_applied(&raw));
        let source = source(&raw.project);
        raw.check_licenses()?;
        // An empty list counts as one, as in pack.
        if raw.include.is_some() && raw.exclude.is_some() {
            return Err(Error::Patterns(filter::Error::Both));
        }
        for (name, _) in &raw.env {
            variables::check_name(name)?;
        }
        let mut modules = |entries: Vec<schema::Entry>| -> Result<Vec<Module>, Error> {
            let entries = entries.into_iter();
            entries
                .map(|entry| Module::new(entry, &mut warnings))
                .collect()
        };
        Ok(Self {
            include: raw.include.unwrap_or_default(),
            exclude: raw.exclude.unwrap_or_default(),
            env: raw.env,
            buildpacks: modules(raw.group)?,
            pre: modules(raw.pre)?,
            post: modules(raw.post)?,
            builder: Some(raw.builder).filter(|builder| !builder.is_empty()),
            source,
            warnings,
        })
    }
}

impl Module {
    fn new(entry: schema::Entry, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let uri = Some(entry.uri).filter(|uri| !uri.is_empty());
        if entry.id.is_empty() && uri.is_none() {
            return Err(Error::NoIdAndNoUri);
        }
        if uri.is_some() && !entry.version.is_empty() {
            return Err(Error::UriAndVersion);
        }
        if uri.is_some() && entry.script.is_some() {
            return Err(Error::UriAndScript(entry.id));
        }
        let script = entry.script.map(|script| Script::new(script, &entry.id));
        let script = script.transpose()?;
        if script.is_some() && !entry.version.is_empty() {
            warnings.push(format!(
                "project.toml: buildpack {} has both a script and a version, which the specification rules out; \
                 the version is taken as that of the script",
                entry.id
            ));
        }
        // As pack has it: a version is needed, and nobody asks for this one.
        let version = match entry.version {
            empty if empty.is_empty() && script.is_some() => "0.0.0".to_owned(),
            version => version,
        };
        Ok(Self {
            id: entry.id,
            version,
            uri,
            script,
        })
    }
}

impl Script {
    fn new(script: schema::Script, id: &str) -> Result<Self, Error> {
        for (key, value) in [("api", &script.api), ("inline", &script.inline)] {
            if value.is_empty() {
                return Err(Error::Script {
                    id: id.to_owned(),
                    key,
                });
            }
        }
        Ok(Self {
            api: script.api,
            inline: script.inline,
            shell: match script.shell {
                empty if empty.is_empty() => "/bin/sh".to_owned(),
                shell => shell,
            },
        })
    }
}

fn source(project: &Project) -> Option<serde_json::Value> {
    let (version, url) = (&project.version, &project.source_url);
    if version.is_empty() && url.is_empty() {
        return None;
    }
    Some(json!({
        "type": "project",
        "version": { "declared": version },
        "metadata": { "url": url },
    }))
}

impl Raw {
    fn check_licenses(&self) -> Result<(), Error> {
        let mut licenses = self.project.licenses.iter();
        if licenses.any(|it| it.r#type.is_empty() && it.uri.is_empty()) {
            return Err(Error::License);
        }
        Ok(())
    }
}

/// Why a descriptor is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What is wrong with the file at this path.
    #[error("failed to read project descriptor {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Self>,
    },
    /// It is no TOML, or a value is of the wrong kind.
    #[error(transparent)]
    Decode(#[from] decode::Error),
    /// Its schema is none that is known.
    #[error(
        "unknown project descriptor schema version {0}\nset schema-version in the table [_] to 0.2, or remove it for 0.1"
    )]
    Schema(String),
    /// A license says nothing.
    #[error("project.toml: must have a type or uri defined for each license")]
    License,
    /// Include and exclude do not go together.
    #[error(transparent)]
    Patterns(#[from] filter::Error),
    /// A buildpack that nobody can find.
    #[error("project.toml: buildpacks must have an id or url defined")]
    NoIdAndNoUri,
    /// A buildpack that is where it is, whatever its version.
    #[error("project.toml: buildpacks cannot have both uri and version defined")]
    UriAndVersion,
    /// A buildpack that is in two places.
    #[error("project.toml: buildpacks cannot have both uri and script defined (buildpack {0:?})")]
    UriAndScript(String),
    /// An inline buildpack lacks something.
    #[error("project.toml: the script of buildpack {id:?} needs a value for {key}")]
    Script {
        /// The buildpack.
        id: String,
        /// What it lacks.
        key: &'static str,
    },
    /// A variable cannot be set.
    #[error("project.toml")]
    Variable(#[from] variables::Error),
}

#[cfg(test)]
mod tests;
