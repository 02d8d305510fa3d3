//! `system.toml` (COM-076).

use std::path::Path;

use anyhow::Context as _;
use buildpack::decode;
use buildpack::group::GroupElement;
use serde::Deserialize;
use tracing::debug;

/// Buildpacks around every group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct System {
    /// In front.
    pub pre: Vec<GroupElement>,
    /// Behind.
    pub post: Vec<GroupElement>,
}

/// Reads the file; a missing one is a debug line and empty.
pub fn read(path: &Path) -> anyhow::Result<System> {
    match decode::from_file::<SystemFile>(path) {
        Err(e) if e.is_not_found() => {
            debug!("No system buildpacks found at path {path:?}");
            Ok(System::default())
        }
        file => Ok(file.context("failed to read system file")?.into()),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SystemFile {
    system: Sides,
}

// Errors name the reference's types.
#[derive(Default, Deserialize)]
#[serde(default, rename = "files.System")]
struct Sides {
    pre: Side,
    post: Side,
}

#[derive(Default, Deserialize)]
#[serde(default, rename = "files.SystemBuildpacks")]
struct Side {
    buildpacks: Vec<Reference>,
}

/// Nothing but these two is read: system buildpacks cannot be optional.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference {
    id: String,
    version: String,
}

impl From<SystemFile> for System {
    fn from(file: SystemFile) -> Self {
        Self {
            pre: file.system.pre.elements(),
            post: file.system.post.elements(),
        }
    }
}

impl Side {
    fn elements(self) -> Vec<GroupElement> {
        let element = |reference: Reference| GroupElement {
            id: reference.id,
            version: reference.version,
            ..GroupElement::default()
        };
        self.buildpacks.into_iter().map(element).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::captured;

    fn read_text(text: &str) -> anyhow::Result<System> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("system.toml");
        fs_err::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn only_id_and_version_are_read() {
        let text = r#"
            unknown = 1
            [[system.pre.buildpacks]]
            id = "a"
            version = "1"
            optional = true
            [[system.pre.buildpacks]]
            id = "b"
            [[system.post.buildpacks]]
            id = "c"
            version = "3"
            api = "0.10"
        "#;
        let element = |id: &str, version: &str| GroupElement {
            id: id.to_owned(),
            version: version.to_owned(),
            ..GroupElement::default()
        };
        let expected = System {
            pre: vec![element("a", "1"), element("b", "")],
            post: vec![element("c", "3")],
        };
        assert_eq!(read_text(text).unwrap(), expected);
    }

    #[test]
    fn missing_parts_are_empty() {
        for text in [
            "",
            "[system]",
            "[system.pre]",
            "[system.post]\nbuildpacks = []",
        ] {
            assert_eq!(read_text(text).unwrap(), System::default(), "{text}");
        }
        let (absent, log) = captured(|| read(Path::new("/no/system.toml")).unwrap());
        assert_eq!(absent, System::default());
        let expected = "DEBUG No system buildpacks found at path \"/no/system.toml\"\n";
        assert_eq!(log, expected);
    }

    #[test]
    fn errors_say_what_was_read() {
        for text in ["system = 1", "[system.pre]\nbuildpacks = \"a\"", "="] {
            let message = format!("{:#}", read_text(text).unwrap_err());
            assert!(
                message.starts_with("failed to read system file: toml: "),
                "{message}"
            );
        }
    }
}
