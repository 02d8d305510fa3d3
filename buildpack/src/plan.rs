//! What buildpacks provide and require: the file of `bin/detect`, the plan of a build, the part of it that one buildpack gets.

use serde::{Deserialize, Serialize};

/// A named dependency that a buildpack can bring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provide {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A named dependency that a buildpack wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Require {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Only ever read, to refuse it (BPD-039).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Free-form.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}

/// One alternative of a build plan.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct PlanSections {
    /// What it provides.
    #[serde(default)]
    pub provides: Vec<Provide>,
    /// What it requires.
    #[serde(default)]
    pub requires: Vec<Require>,
}

/// What `bin/detect` writes (BPD-038).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct BuildPlan {
    /// The first alternative, even if empty.
    #[serde(flatten)]
    pub sections: PlanSections,
    /// Further alternatives, in order.
    #[serde(default)]
    pub or: Vec<PlanSections>,
}

/// Who provides an entry of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Module id.
    #[serde(default)]
    pub id: String,
    /// Module version.
    #[serde(default)]
    pub version: String,
    /// True for an image extension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extension: bool,
}

/// One dependency of a build: who can bring it, who wants it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// In group order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Provider>,
    /// In group order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Require>,
}

/// `plan.toml` (COM-074).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// One entry a dependency name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<PlanEntry>,
}

/// The plan that one buildpack gets: `[[entries]]` with name and metadata (BPB-016).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BuildpackPlan {
    /// What the buildpack shall bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Require>,
}

impl Plan {
    /// Returns the requires of every entry that `id` provides as a buildpack (`extension` false) or an extension (BPB-015).
    pub fn find(&self, id: &str, extension: bool) -> BuildpackPlan {
        let _ = (id, extension);
        todo!()
    }

    /// Returns the plan without the entries that hold a requirement named in `met` (BPB-017).
    pub fn without(&self, met: &[String]) -> Self {
        let _ = met;
        todo!()
    }
}
