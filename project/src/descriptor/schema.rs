//! The schemas as they are written, and what they have in common.

use std::collections::BTreeSet;

use buildpack::decode::{self, Document};
use serde::Deserialize;

use super::Error;

/// A schema that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    V01,
    V02,
    V03,
}

/// A descriptor of any schema.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) project: Project,
    pub(super) include: Option<Vec<String>>,
    pub(super) exclude: Option<Vec<String>>,
    pub(super) group: Vec<Entry>,
    pub(super) pre: Vec<Entry>,
    pub(super) post: Vec<Entry>,
    pub(super) env: Vec<(String, String)>,
    pub(super) builder: String,
    has_exec_env: bool,
}

impl Schema {
    /// Returns the schema that a text declares.
    pub(super) fn of(document: &Document, warnings: &mut Vec<String>) -> Result<Self, Error> {
        match document.decode::<Head>()?.project.schema_version.as_str() {
            "" => {
                let text =
                    "No schema version declared in project.toml, defaulting to schema version 0.1";
                warnings.push(text.to_owned());
                Ok(Self::V01)
            }
            "0.1" => Ok(Self::V01),
            "0.2" => Ok(Self::V02),
            "0.3" => Ok(Self::V03),
            other => Err(Error::Schema(other.to_owned())),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V01 => "0.1",
            Self::V02 => "0.2",
            Self::V03 => "0.3",
        }
    }

    pub(super) fn decode(self, document: &Document) -> Result<Raw, decode::Error> {
        match self {
            Self::V01 => document.decode::<First>().map(Raw::from),
            Self::V02 | Self::V03 => document.decode::<Second>().map(Raw::from),
        }
    }

    /// Returns a warning about what is known but not obeyed.
    pub(super) fn not_applied(self, raw: &Raw) -> Option<String> {
        let text = "project.toml: exec-env is not applied: what it is given for counts in every execution environment";
        (self != Self::V02 && raw.has_exec_env).then(|| text.to_owned())
    }

    /// Returns one warning about all keys that this schema ignores, the free-form tables of users aside.
    pub(super) fn unknown_keys(self, document: &Document) -> Result<Option<String>, decode::Error> {
        let mut found = BTreeSet::new();
        let table = document.decode::<toml::Table>()?;
        self.unknown_in(&table, "", &mut found);
        if found.is_empty() {
            return Ok(None);
        }
        let keys = Vec::from_iter(found).join("\n- ");
        Ok(Some(format!(
            "The following keys declared in project.toml are not supported in schema version {} and are ignored; \
             another schema version may know them:\n- {keys}",
            self.name()
        )))
    }

    fn unknown_in(self, table: &toml::Table, parent: &str, found: &mut BTreeSet<String>) {
        for (key, value) in table {
            let place = match parent {
                "" => key.clone(),
                parent => format!("{parent}.{key}"),
            };
            match self.knows(&place.to_ascii_lowercase()) {
                Known::Table => {
                    let tables = match value {
                        toml::Value::Table(table) => vec![table],
                        toml::Value::Array(items) => {
                            items.iter().filter_map(toml::Value::as_table).collect()
                        }
                        _ => Vec::new(),
                    };
                    for table in tables {
                        self.unknown_in(table, &place, found);
                    }
                }
                Known::Not if self.owns(&place.to_ascii_lowercase()) => {
                    found.insert(place);
                }
                Known::Value | Known::Not => {}
            }
        }
    }

    /// Keys count in any case, so `place` is in small letters.
    fn knows(self, place: &str) -> Known {
        if self == Self::V02 && place.ends_with(".exec-env") {
            return Known::Not;
        }
        let leaves = match self {
            Self::V01 => FIRST,
            Self::V02 | Self::V03 => SECOND,
        };
        // Below `io` are tables of many, `io.buildpacks` of another schema among them.
        let mut known = if place == "io" {
            Known::Table
        } else {
            Known::Not
        };
        for (prefix, names) in leaves {
            for name in *names {
                let leaf = format!("{prefix}{name}");
                if leaf == place {
                    return Known::Value;
                }
                if leaf.starts_with(place) && leaf.as_bytes().get(place.len()) == Some(&b'.') {
                    known = Known::Table;
                }
            }
        }
        known
    }

    /// Returns whether a place is the schema's, not a user's own table.
    fn owns(self, place: &str) -> bool {
        let of_buildpacks = place == "io.buildpacks" || place.starts_with("io.buildpacks.");
        let tables: &[&str] = match self {
            Self::V01 => &["project.", "build."],
            Self::V02 | Self::V03 => &["_."],
        };
        of_buildpacks || tables.iter().any(|table| place.starts_with(table))
    }
}

enum Known {
    Value,
    Table,
    Not,
}

/// Names of values, by the table that they are in.
type Leaves = &'static [(&'static str, &'static [&'static str])];

const PROJECT: &[&str] = &[
    "id",
    "name",
    "version",
    "authors",
    "documentation-url",
    "source-url",
    "licenses.type",
    "licenses.uri",
];
const ENTRY: &[&str] = &[
    "id",
    "version",
    "uri",
    "script.api",
    "script.inline",
    "script.shell",
    "exec-env",
];
const VARIABLE: &[&str] = &["name", "value", "exec-env"];
const BUILD: &[&str] = &["include", "exclude", "builder"];

const FIRST: Leaves = &[
    ("project.", PROJECT),
    ("build.", BUILD),
    ("build.buildpacks.", ENTRY),
    ("build.pre.group.", ENTRY),
    ("build.post.group.", ENTRY),
    ("build.env.", VARIABLE),
];

const SECOND: Leaves = &[
    ("_.", PROJECT),
    ("_.", &["schema-version", "metadata"]),
    ("io.buildpacks.", BUILD),
    ("io.buildpacks.", &["schema-version"]),
    ("io.buildpacks.group.", ENTRY),
    ("io.buildpacks.pre.group.", ENTRY),
    ("io.buildpacks.post.group.", ENTRY),
    ("io.buildpacks.build.env.", VARIABLE),
    ("io.buildpacks.env.build.", VARIABLE),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    #[serde(rename = "_")]
    project: Project,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct First {
    project: Project,
    build: Build,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Build {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    buildpacks: Vec<Entry>,
    env: Vec<Variable>,
    builder: String,
    pre: Group,
    post: Group,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Second {
    #[serde(rename = "_")]
    project: Project,
    io: Io,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Io {
    buildpacks: Buildpacks,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Buildpacks {
    include: Option<Vec<String>>,
    exclude: Option<Vec<String>>,
    group: Vec<Entry>,
    build: BuildEnv,
    env: OldEnv,
    builder: String,
    pre: Group,
    post: Group,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BuildEnv {
    env: Option<Vec<Variable>>,
}

/// The older spelling (PRJ-010).
#[derive(Default, Deserialize)]
#[serde(default)]
struct OldEnv {
    build: Vec<Variable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    group: Vec<Entry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Project {
    schema_version: String,
    pub(super) version: String,
    pub(super) source_url: String,
    pub(super) licenses: Vec<License>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct License {
    pub(super) r#type: String,
    pub(super) uri: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) uri: String,
    pub(super) script: Option<Script>,
    exec_env: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Script {
    pub(super) api: String,
    pub(super) inline: String,
    pub(super) shell: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Variable {
    name: String,
    value: String,
    exec_env: Vec<String>,
}

impl Raw {
    fn with_env(mut self, env: Vec<Variable>) -> Self {
        let mut entries = self.group.iter().chain(&self.pre).chain(&self.post);
        self.has_exec_env = entries.any(|entry| !entry.exec_env.is_empty())
            || env.iter().any(|variable| !variable.exec_env.is_empty());
        let env = env.into_iter();
        self.env = env
            .map(|variable| (variable.name, variable.value))
            .collect();
        self
    }
}

impl From<First> for Raw {
    fn from(First { project, build }: First) -> Self {
        let raw = Self {
            project,
            include: build.include,
            exclude: build.exclude,
            group: build.buildpacks,
            pre: build.pre.group,
            post: build.post.group,
            builder: build.builder,
            ..Self::default()
        };
        raw.with_env(build.env)
    }
}

impl From<Second> for Raw {
    fn from(second: Second) -> Self {
        let buildpacks = second.io.buildpacks;
        let raw = Self {
            project: second.project,
            include: buildpacks.include,
            exclude: buildpacks.exclude,
            group: buildpacks.group,
            pre: buildpacks.pre.group,
            post: buildpacks.post.group,
            builder: buildpacks.builder,
            ..Self::default()
        };
        raw.with_env(buildpacks.build.env.unwrap_or(buildpacks.env.build))
    }
}
