//! Modules that take part in a build, in order (`group.toml`; COM-073).

use serde::{Deserialize, Serialize};

/// A buildpack or an extension in a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupElement {
    /// `acme/java`.
    #[serde(default)]
    pub id: String,
    /// Version, as written in the order.
    #[serde(default)]
    pub version: String,
    /// Buildpack API, as written in the descriptor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub api: String,
    /// Where to read about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub homepage: String,
    /// True for an image extension; never written.
    #[serde(skip)]
    pub extension: bool,
    /// True if a build may go on without it; never written to a group.
    #[serde(default, skip_serializing)]
    pub optional: bool,
}

/// What detection chose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Buildpacks.
    #[serde(default)]
    pub group: Vec<GroupElement>,
    /// Extensions; read back as optional extensions.
    #[serde(
        rename = "group-extensions",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub group_extensions: Vec<GroupElement>,
}

impl GroupElement {
    /// Returns `id@version`.
    pub fn label(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Returns the id as a folder name: `/` becomes `_`.
    pub fn escaped_id(&self) -> String {
        escape_id(&self.id)
    }
}

/// Returns an id as a folder name: `/` becomes `_`.
pub fn escape_id(id: &str) -> String {
    id.replace('/', "_")
}
