//! What an image runs on, and what a buildpack can run on (BPD-011 to BPD-016, COM-081).

use serde::{Deserialize, Serialize};

/// Name and version of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distro {
    /// `ubuntu`.
    #[serde(default)]
    pub name: String,
    /// `24.04`.
    #[serde(default)]
    pub version: String,
}

/// What the run image is (`[run-image.target]` of analyzed.toml). Key order is the file's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    /// Id of the base.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Operating system.
    #[serde(default)]
    pub os: String,
    /// Architecture.
    #[serde(default)]
    pub arch: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch_variant: String,
    /// Distribution, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distro: Option<Distro>,
}

/// One `[[targets]]` of a descriptor. Empty fields match anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetSpec {
    /// Operating system.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub os: String,
    /// Architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch: String,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arch_variant: String,
    /// Distributions; none means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub distros: Vec<Distro>,
}

impl TargetSpec {
    /// Returns whether a module with this target runs on `base` (BPD-015).
    pub fn matches(&self, base: &Target) -> bool {
        let _ = base;
        todo!()
    }
}

impl Target {
    /// Returns the `CNB_TARGET_*` variables, in order (BPD-025).
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        todo!()
    }
}
