//! `group.toml` (COM-073).

use std::path::Path;

use buildpack::group::Group;
use buildpack::{decode, encode};

use crate::exit::{ExitCode, Failure};

/// Reads the file; `failed to read group file: ...`, exit 1.
pub fn read(path: &Path) -> Result<Group, Failure> {
    decode::from_file(path).map_err(|e| Failure::new(ExitCode::Failed, "read group file", e))
}

/// Writes the file.
pub fn write(path: &Path, group: &Group) -> Result<(), Failure> {
    encode::to_file(path, group).map_err(|e| Failure::new(ExitCode::Failed, "write group file", e))
}

#[cfg(test)]
mod tests {
    use buildpack::group::GroupElement;

    use super::*;

    fn element(id: &str, homepage: &str) -> GroupElement {
        GroupElement {
            id: id.to_owned(),
            version: "1.0.0".to_owned(),
            api: "0.10".to_owned(),
            homepage: homepage.to_owned(),
            ..GroupElement::default()
        }
    }

    #[test]
    fn flags_of_elements_are_never_written_and_those_of_extensions_always_read() {
        let extension = GroupElement {
            extension: true,
            optional: true,
            ..element("ext/curl", "https://example.org/ext")
        };
        let group = Group {
            group: vec![element("app", "")],
            group_extensions: vec![extension],
        };
        let optional = GroupElement {
            optional: true,
            ..element("app", "")
        };
        let chosen = Group {
            group: vec![optional],
            ..group.clone()
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("layers/group.toml");
        write(&path, &chosen).unwrap();
        let expected = r#"[[group]]
  id = "app"
  version = "1.0.0"
  api = "0.10"

[[group-extensions]]
  id = "ext/curl"
  version = "1.0.0"
  api = "0.10"
  homepage = "https://example.org/ext"
"#;
        assert_eq!(fs_err::read_to_string(&path).unwrap(), expected);
        assert_eq!(read(&path).unwrap(), group);
    }

    #[test]
    fn errors_say_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("group.toml");
        let failure = read(&path).unwrap_err();
        assert_eq!(failure.code, ExitCode::Failed);
        let expected = format!(
            "failed to read group file: open {}: no such file or directory",
            path.display()
        );
        assert_eq!(format!("{:#}", failure.error), expected);
        // COM-067: what is unknown is ignored.
        let text = "unknown = 1\n[[group]]\nid = \"a\"\nother = \"b\"\n[[group-extensions]]\nid = \"e\"\noptional = false\n";
        fs_err::write(&path, text).unwrap();
        let group = read(&path).unwrap();
        assert_eq!(group.group[0].id, "a");
        let extension = &group.group_extensions[0];
        assert!(extension.extension && extension.optional);
        for text in ["[[group", "group = 1", "[[group]]\nid = 1"] {
            fs_err::write(&path, text).unwrap();
            let message = format!("{:#}", read(&path).unwrap_err().error);
            assert!(
                message.starts_with("failed to read group file: toml: "),
                "{message}"
            );
        }
    }
}
