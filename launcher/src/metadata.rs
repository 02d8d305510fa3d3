//! `<layers>/config/metadata.toml`: the processes and buildpacks of an image (BPX-003, BPX-006, BPX-007).

use std::path::Path;

use toml::de::DeValue;

use crate::api::{BuildpackApi, Version};
use crate::decode::{self, Field, Table};
use crate::error::{Context as _, Error, Result};
use crate::files;

/// What the launcher reads from metadata.toml; all other keys are for other phases.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) processes: Vec<Process>,
    pub(crate) buildpacks: Vec<DeclaredBuildpack>,
}

/// A process that a buildpack defined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) r#type: String,
    pub(crate) command: Vec<String>,
    pub(crate) args: Vec<String>,
    pub(crate) direct: bool,
    pub(crate) working_dir: String,
    pub(crate) buildpack_id: String,
    pub(crate) exec_env: Vec<String>,
}

/// A buildpack whose API nobody looked at yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DeclaredBuildpack {
    id: String,
    api: String,
}

/// A buildpack whose API the launcher supports.
#[derive(Debug)]
pub(crate) struct Buildpack {
    pub(crate) id: String,
    pub(crate) api: BuildpackApi,
}

impl Metadata {
    /// Reads the file of a layers directory.
    pub(crate) fn read(layers_dir: &Path) -> Result<Self> {
        let content = files::read(&layers_dir.join("config/metadata.toml"))?;
        Self::parse(&content)
    }

    fn parse(content: &[u8]) -> Result<Self> {
        decode::document(content, |root| {
            Ok(Self {
                processes: root.tables("processes", process)?,
                buildpacks: root.tables("buildpacks", buildpack)?,
            })
        })
    }
}

impl DeclaredBuildpack {
    /// Returns the buildpack if its API is supported (BPX-005).
    pub(crate) fn check(self) -> Result<Buildpack> {
        let Self { id, api } = self;
        let Some(version) = Version::parse(&api) else {
            return Err(Error::new(format!(
                "failed to parse buildpack API '{api}' for buildpack '{id}'"
            )));
        };
        let api = BuildpackApi::supported(version)
            .ok_or_else(|| {
                Error::new(format!(
                    "buildpack API version '{api}' is incompatible with the lifecycle"
                ))
            })
            .context(format_args!("failed to set API for buildpack '{id}'"))?;
        Ok(Buildpack { id, api })
    }
}

fn process(table: Table<'_>) -> Result<Process> {
    Ok(Process {
        r#type: table.string("type")?,
        command: table.field("command").map_or(Ok(Vec::new()), command)?,
        args: table.strings("args")?,
        direct: table.boolean("direct")?,
        working_dir: table.string("working-dir")?,
        buildpack_id: table.string("buildpack-id")?,
        exec_env: table.strings("exec-env")?,
    })
}

fn buildpack(table: Table<'_>) -> Result<DeclaredBuildpack> {
    Ok(DeclaredBuildpack {
        id: table.string("id")?,
        api: table.string("api")?,
    })
}

/// Reads a command: one text is one entry, never split, and an array gives an entry for each element.
fn command(field: Field<'_>) -> Result<Vec<String>> {
    match field.elements() {
        Some(elements) => elements.into_iter().map(command_entry).collect(),
        None => Ok(vec![field.string()?]),
    }
}

/// Reads an entry of a command, where the reference takes plain values of other types as their text.
fn command_entry(field: Field<'_>) -> Result<String> {
    match field.value() {
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| field.mismatch("string")),
        DeValue::Float(number) => Ok(number.to_string()),
        DeValue::Boolean(truth) => Ok(truth.to_string()),
        _ => field.string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_process(text: &str) -> Result<Process> {
        let text = format!("[[processes]]\n{text}");
        Metadata::parse(text.as_bytes()).map(|mut metadata| metadata.processes.remove(0))
    }

    #[test]
    fn all_fields_are_read() {
        let metadata = Metadata::parse(
            br#"
            buildpack-default-process-type = 7
            slices = "of another phase"
            launcher = [{version = 7}]
            [[buildpacks]]
            id = "acme/one"
            api = "0.10"
            version = "1.2.3"
            homepage = 7
            [[processes]]
            type = "web"
            command = ["run", "always"]
            args = ["a", "b c"]
            direct = true
            other = ["of another phase"]
            working-dir = "sub"
            buildpack-id = "acme/one"
            exec-env = ["test"]
            [[processes]]
            "#,
        )
        .unwrap();
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let web = Process {
            r#type: "web".into(),
            command: texts(&["run", "always"]),
            args: texts(&["a", "b c"]),
            direct: true,
            working_dir: "sub".into(),
            buildpack_id: "acme/one".into(),
            exec_env: texts(&["test"]),
        };
        assert_eq!(metadata.processes, [web, Process::default()]);
        assert_eq!(
            metadata.buildpacks,
            [DeclaredBuildpack {
                id: "acme/one".into(),
                api: "0.10".into()
            }]
        );
    }

    #[test]
    fn an_empty_file_has_nothing() {
        for text in [
            "",
            "# nothing\n",
            "processes = []\nbuildpacks = []",
            "\u{feff}",
        ] {
            let metadata = Metadata::parse(text.as_bytes()).unwrap();
            assert!(
                metadata.processes.is_empty() && metadata.buildpacks.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn keys_may_be_written_in_any_case() {
        let metadata =
            Metadata::parse(b"[[Processes]]\nType = 'web'\nWORKING-DIR = '/x'\n[[BUILDPACKS]]\nID = 'a'\nApi = '0.9'")
                .unwrap();
        assert_eq!(metadata.processes[0].r#type, "web");
        assert_eq!(metadata.processes[0].working_dir, "/x");
        assert_eq!(
            metadata.buildpacks,
            [DeclaredBuildpack {
                id: "a".into(),
                api: "0.9".into()
            }]
        );
    }

    #[test]
    fn a_command_is_a_text_or_an_array() {
        for (text, entries) in [
            ("command = 'a b'", &["a b"][..]),
            ("command = ''", &[""]),
            ("command = []", &[]),
            ("command = ['a', 'b c']", &["a", "b c"]),
            (
                "command = ['sleep', 5, 0x10, 1.5, true]",
                &["sleep", "5", "16", "1.5", "true"],
            ),
            ("", &[]),
        ] {
            assert_eq!(only_process(text).unwrap().command, entries, "{text}");
        }
        for text in [
            "command = 5",
            "command = true",
            "command = {a = 'b'}",
            "command = [['a']]",
        ] {
            assert!(only_process(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_types_are_errors_that_name_line_and_key() {
        for (text, key) in [
            ("type = 1", "processes.type"),
            ("args = 'a'", "processes.args"),
            ("args = [1]", "processes.args"),
            ("direct = 'yes'", "processes.direct"),
            ("working-dir = false", "processes.working-dir"),
            ("exec-env = 'test'", "processes.exec-env"),
        ] {
            let error = only_process(text).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("toml: line 2 (last key \"{key}\"): ")),
                "{error}"
            );
        }
        for text in [
            "processes = 1",
            "[processes]",
            "processes = ['a']",
            "[buildpacks]",
        ] {
            assert!(Metadata::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn apis_of_buildpacks_are_checked() {
        let check = |api: &str| {
            DeclaredBuildpack {
                id: "acme/one".into(),
                api: api.into(),
            }
            .check()
        };
        for api in ["0.7", "0.12", "v0.8"] {
            assert!(check(api).is_ok(), "{api}");
        }
        for (api, text) in [
            (
                "0.2",
                "failed to set API for buildpack 'acme/one': \
                 buildpack API version '0.2' is incompatible with the lifecycle",
            ),
            (
                "zero",
                "failed to parse buildpack API 'zero' for buildpack 'acme/one'",
            ),
            (
                "",
                "failed to parse buildpack API '' for buildpack 'acme/one'",
            ),
        ] {
            assert_eq!(check(api).unwrap_err().to_string(), text);
        }
    }
}
