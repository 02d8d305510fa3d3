//! Modules that take part in a build, in order (`group.toml`; COM-073).

use serde::{Deserialize, Deserializer, Serialize};

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
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "extensions"
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

impl Group {
    /// Returns whether any extension takes part.
    pub fn has_extensions(&self) -> bool {
        !self.group_extensions.is_empty()
    }
}

/// Makes each element an optional extension, whatever its file said (COM-073, COM-075).
pub(crate) fn mark_as_extensions(elements: &mut [GroupElement]) {
    for element in elements {
        element.extension = true;
        element.optional = true;
    }
}

/// Reads `[[group-extensions]]`.
fn extensions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<GroupElement>, D::Error> {
    let mut elements = Vec::deserialize(deserializer)?;
    mark_as_extensions(&mut elements);
    Ok(elements)
}

/// Returns an id as a folder name: `/` becomes `_`.
pub fn escape_id(id: &str) -> String {
    id.replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    const TEXT: &str = r#"[[group]]
  id = "acme/java"
  version = "1.0"
  api = "0.10"
  homepage = "https://example.com"

[[group-extensions]]
  id = "ext"
  version = "2.0"
  api = "0.9"
"#;

    #[test]
    fn a_group_is_written_as_it_was_read() {
        let group: Group = decode::from_str(TEXT).unwrap();
        assert_eq!(encode::to_string(&group).unwrap(), TEXT);
    }

    #[test]
    fn extensions_are_optional_extensions_when_read() {
        let group: Group = decode::from_str(TEXT).unwrap();
        assert!(!group.group[0].extension && !group.group[0].optional);
        assert!(group.group_extensions[0].extension && group.group_extensions[0].optional);
    }

    #[test]
    fn optional_is_read_and_never_written() {
        let group: Group = decode::from_str("[[group]]\nid = 'a'\noptional = true\n").unwrap();
        assert!(group.group[0].optional);
        let written = encode::to_string(&group).unwrap();
        assert_eq!(written, "[[group]]\n  id = \"a\"\n  version = \"\"\n");
    }

    #[test]
    fn slashes_become_underscores_in_folder_names() {
        let element = GroupElement {
            id: "acme/java/x".to_owned(),
            version: "1".to_owned(),
            ..GroupElement::default()
        };
        assert_eq!(element.escaped_id(), "acme_java_x");
        assert_eq!(element.label(), "acme/java/x@1");
    }

    #[test]
    fn extensions_are_a_list_of_their_own() {
        let element = || vec![GroupElement::default()];
        let mut group = Group::default();
        assert!(!group.has_extensions());
        group.group = element();
        assert!(!group.has_extensions());
        group.group_extensions = element();
        assert!(group.has_extensions());
    }
}
