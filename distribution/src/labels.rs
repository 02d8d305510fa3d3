//! The labels of builders and packages, as JSON (DST-004 to DST-007, DST-010 to DST-016).
//!
//! Key names are those that pack writes. Maps are sorted, lists that are empty are `[]`: pack reads that as it reads the
//! `null` of its own, and other people's scripts do not stumble over it.

use std::collections::BTreeMap;
use std::ops::Not;

use layout::{DiffId, json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a package is: its entry buildpack or extension.
pub const PACKAGE_METADATA: &str = "io.buildpacks.buildpackage.metadata";
/// The same for buildpacks in a draft that nothing released writes (DST-008).
pub const DRAFT_BUILDPACK_METADATA: &str = "io.buildpacks.buildpack.metadata";
/// The same for extensions in that draft.
pub const DRAFT_EXTENSION_METADATA: &str = "io.buildpacks.extension.metadata";
/// Buildpacks of a package or builder and the layers that they are in.
pub const BUILDPACK_LAYERS: &str = "io.buildpacks.buildpack.layers";
/// Extensions of a package or builder and the layers that they are in.
pub const EXTENSION_LAYERS: &str = "io.buildpacks.extension.layers";
/// What a builder is.
pub const BUILDER_METADATA: &str = "io.buildpacks.builder.metadata";
/// `[[order]]` of a builder.
pub const ORDER: &str = "io.buildpacks.buildpack.order";
/// `[[order-extensions]]` of a builder.
pub const ORDER_EXTENSIONS: &str = "io.buildpacks.buildpack.order-extensions";
/// `[system]` of a builder.
pub const SYSTEM: &str = "io.buildpacks.buildpack.system";
/// Version of the lifecycle in a lifecycle image.
pub const LIFECYCLE_VERSION: &str = "io.buildpacks.lifecycle.version";
/// APIs of the lifecycle in a lifecycle image.
pub const LIFECYCLE_APIS: &str = "io.buildpacks.lifecycle.apis";

/// What a module says of itself, in descriptors and labels alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ModuleInfo {
    /// `acme/java`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Human-readable name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// What it does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Where to read about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub homepage: String,
    /// Words to find it by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Execution environments that it is for; none means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exec_env: Vec<String>,
    /// What it may be used under.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<License>,
    /// True: the user's environment is not given to it.
    #[serde(skip_serializing_if = "Not::not")]
    pub clear_env: bool,
}

/// What a module may be used under. Its keys in labels begin with a capital, as pack has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct License {
    /// SPDX identifier.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Where its text is.
    #[serde(rename = "URI")]
    pub uri: String,
}

/// A stack, which targets have replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// Its id; `*` is any.
    pub id: String,
    /// What of it is needed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mixins: Vec<String>,
}

/// What a module runs on. The variant's key is `variant`, whatever the descriptor called it (DST-007).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// Operating system.
    pub os: String,
    /// Architecture; empty is any.
    pub arch: String,
    /// Variant of the architecture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Distributions; none means any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distros: Vec<Distro>,
}

/// Name and version of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Distro {
    /// `ubuntu`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// `24.04`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
}

/// One group of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its elements, in order.
    pub group: Vec<ModuleRef>,
}

/// A module as an order names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModuleRef {
    /// Its id.
    pub id: String,
    /// Its version; empty means the only one that is there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// True if a build may go on without it.
    #[serde(skip_serializing_if = "Not::not")]
    pub optional: bool,
}

/// Buildpacks around every group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// In front.
    pub pre: SystemBuildpacks,
    /// Behind.
    pub post: SystemBuildpacks,
}

/// One side of [`System`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemBuildpacks {
    /// In order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buildpacks: Vec<ModuleRef>,
}

/// Modules by id and version, with the layers that they are in.
pub type Layers = BTreeMap<String, BTreeMap<String, LayerInfo>>;

/// A module in a layer (DST-005).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerInfo {
    /// Buildpack API.
    #[serde(default)]
    pub api: String,
    /// Stacks, as the descriptor has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stacks: Vec<Stack>,
    /// Targets, as the descriptor has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// Groups of a composite buildpack.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Group>,
    /// The layer; modules of a flattened package share one (DST-003).
    #[serde(rename = "layerDiffID")]
    pub layer_diff_id: DiffId,
    /// Where to read about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub homepage: String,
    /// Human-readable name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
}

/// What a package is (DST-004): its entry, and the stacks that all of it runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PackageMetadata {
    /// Its entry.
    #[serde(flatten)]
    pub info: ModuleInfo,
    /// Stacks; `*` where the modules declare targets.
    pub stacks: Vec<Stack>,
}

impl ModuleInfo {
    /// Returns `id@version`.
    pub fn label(&self) -> String {
        label(&self.id, &self.version)
    }
}

impl ModuleRef {
    /// Returns `id@version`, or the id alone.
    pub fn label(&self) -> String {
        label(&self.id, &self.version)
    }
}

fn label(id: &str, version: &str) -> String {
    if version.is_empty() {
        return id.to_owned();
    }
    format!("{id}@{version}")
}

/// Reads a label's JSON of whatever kind; `null`, at the top or inside, is the same as nothing.
pub(crate) fn parse<T: DeserializeOwned + Default>(text: &str) -> serde_json::Result<T> {
    /// Go's rules on `null` are implemented for objects.
    #[derive(Deserialize)]
    struct Label<T: Default> {
        #[serde(default)]
        label: T,
    }
    let value: serde_json::Value = serde_json::from_str(text)?;
    let document = serde_json::json!({ "label": value }).to_string();
    Ok(json::from_slice::<Label<T>>(document.as_bytes())?.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_nothing_wherever_it_is() {
        assert_eq!(parse::<Vec<Group>>("null").unwrap(), []);
        let order: Vec<Group> = parse(r#"[{"group":[{"id":"a","version":null}]}]"#).unwrap();
        assert_eq!(order[0].group[0].label(), "a");
        assert!(parse::<Vec<Group>>("{").is_err());
        assert!(parse::<Vec<Group>>(r#"{"a":1}"#).is_err());
        assert!(parse::<Vec<Group>>(r#"[]},"label":{"#).is_err());
    }

    /// The text is what pack 0.40 wrote for a buildpack with targets.
    #[test]
    fn a_layer_is_read_and_written_in_packs_words() {
        let text = concat!(
            r#"{"acme/java":{"1.0":{"api":"0.10","targets":[{"os":"linux","arch":"arm64","variant":"v8","#,
            r#""distros":[{"name":"ubuntu","version":"24.04"}]}],"#,
            r#""layerDiffID":"sha256:37ab46923c181aa5fb27c9a23479a38aec2679237f35a0ea4115e5ae81a17bba","#,
            r#""homepage":"https://example.com","name":"Java"}}}"#,
        );
        let layers: Layers = parse(text).unwrap();
        assert_eq!(layers["acme/java"]["1.0"].targets[0].variant, "v8");
        assert_eq!(json::to_string(&layers).unwrap(), text);
    }

    #[test]
    fn what_is_empty_is_left_out_of_what_a_module_says() {
        let info = ModuleInfo {
            id: "a".to_owned(),
            version: "1".to_owned(),
            licenses: vec![License {
                kind: "MIT".to_owned(),
                uri: String::new(),
            }],
            ..ModuleInfo::default()
        };
        let metadata = PackageMetadata {
            info,
            stacks: Vec::new(),
        };
        let text = r#"{"id":"a","version":"1","licenses":[{"Type":"MIT","URI":""}],"stacks":[]}"#;
        assert_eq!(json::to_string(&metadata).unwrap(), text);
    }
}
