//! `project-metadata.toml` (COM-077, EXP-081).

use std::path::Path;

use buildpack::decode;
use serde::{Deserialize, Serialize};
use tracing::debug;

use super::value;
use crate::exit::{ExitCode, Failure};

/// Where the source came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProjectMetadata {
    /// The `source` table; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// The `source` table. Key order is the label's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Source {
    /// `git`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub source_type: String,
    /// Free-form; `None` where it is missing or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<serde_json::Value>,
    /// Free-form; `None` where it is missing or empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
}

impl ProjectMetadata {
    /// Returns the JSON of the label `io.buildpacks.project.metadata`.
    pub fn to_label(&self) -> String {
        layout::json::to_string(self).expect("texts and JSON values can be written as JSON")
    }
}

/// Reads the file; a missing one is a debug line and empty.
pub fn read(path: &Path) -> Result<ProjectMetadata, Failure> {
    match decode::from_file::<ProjectFile>(path) {
        Err(e) if e.is_not_found() => {
            debug!(
                "No project metadata found at path {path:?}, project metadata will not be exported"
            );
            Ok(ProjectMetadata::default())
        }
        Err(e) => Err(e.into()),
        Ok(file) => file.try_into().map_err(anyhow::Error::from),
    }
    .map_err(|e| Failure::new(ExitCode::Failed, "read project metadata file", e))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProjectFile {
    source: Option<SourceTable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SourceTable {
    r#type: String,
    version: toml::Table,
    metadata: toml::Table,
}

impl TryFrom<ProjectFile> for ProjectMetadata {
    type Error = value::Error;

    fn try_from(file: ProjectFile) -> Result<Self, Self::Error> {
        let Some(source) = file.source else {
            return Ok(Self::default());
        };
        Ok(Self {
            source: Some(Source {
                source_type: source.r#type,
                version: unless_empty(&source.version)?,
                metadata: unless_empty(&source.metadata)?,
            }),
        })
    }
}

fn unless_empty(table: &toml::Table) -> Result<Option<serde_json::Value>, value::Error> {
    if table.is_empty() {
        return Ok(None);
    }
    value::table_to_json(table).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::captured;

    fn read_text(text: &str) -> Result<ProjectMetadata, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("project-metadata.toml");
        fs_err::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn the_label_is_the_json_of_the_source() {
        let whole = r#"
            [source]
            type = "git"
            [source.version]
            commit = "abc"
            n = 12
            f = 1.0
            when = 2024-01-02T03:04:05Z
            [source.metadata]
            refs = ["main", "v1"]
            url = "https://example.org/?a=<b>&c"
            [source.metadata.deep]
            ok = true
        "#;
        let label = concat!(
            r#"{"source":{"type":"git","version":{"commit":"abc","f":1,"n":12,"when":"2024-01-02T03:04:05Z"},"#,
            r#""metadata":{"deep":{"ok":true},"refs":["main","v1"],"url":"https://example.org/?a=\u003cb\u003e\u0026c"}}}"#
        );
        let table = [
            ("", "{}"),
            ("other = 1", "{}"),
            ("[source]", r#"{"source":{}}"#),
            ("[source.version]\n[source.metadata]", r#"{"source":{}}"#),
            ("[source]\ntype = \"git\"", r#"{"source":{"type":"git"}}"#),
            (whole, label),
        ];
        for (text, expected) in table {
            assert_eq!(read_text(text).unwrap().to_label(), expected);
        }
    }

    #[test]
    fn a_missing_file_is_empty() {
        let path = Path::new("/no/project-metadata.toml");
        let (found, log) = captured(|| read(path).unwrap());
        assert_eq!(found, ProjectMetadata::default());
        let expected = "DEBUG No project metadata found at path \"/no/project-metadata.toml\", project metadata will not be exported\n";
        assert_eq!(log, expected);
    }

    #[test]
    fn errors_say_what_was_read() {
        for text in [
            "= no",
            "source = 1",
            "[source]\ntype = 1",
            "[source.metadata]\nx = nan",
        ] {
            let failure = read_text(text).unwrap_err();
            assert_eq!(failure.code, ExitCode::Failed);
            let message = format!("{:#}", failure.error);
            assert!(
                message.starts_with("failed to read project metadata file: "),
                "{message}"
            );
        }
    }
}
