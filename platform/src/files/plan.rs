//! `plan.toml` (COM-074).

use std::path::Path;

use buildpack::plan::Plan;
use buildpack::{decode, encode};

use crate::exit::{ExitCode, Failure};

/// Reads the file; `failed to read plan file: ...`, exit 1.
pub fn read(path: &Path) -> Result<Plan, Failure> {
    decode::from_file(path).map_err(|e| Failure::new(ExitCode::Failed, "read plan file", e))
}

/// Writes the file.
pub fn write(path: &Path, plan: &Plan) -> Result<(), Failure> {
    encode::to_file(path, plan).map_err(|e| Failure::new(ExitCode::Failed, "write plan file", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = r#"[[entries]]

  [[entries.providers]]
    id = "acme/tool"
    version = "1.2.3"

  [[entries.providers]]
    id = "ext"
    version = "1"
    extension = true

  [[entries.requires]]
    name = "tool"
    [entries.requires.metadata]
      flags = ["a", "b"]
      launch = true
      version = "3.x"
"#;

    #[test]
    fn a_plan_is_written_as_it_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.toml");
        for text in [PLAN, ""] {
            fs_err::write(&path, text).unwrap();
            let plan = read(&path).unwrap();
            assert_eq!(plan.entries.is_empty(), text.is_empty());
            write(&path, &plan).unwrap();
            assert_eq!(fs_err::read_to_string(&path).unwrap(), text);
        }
    }

    /// COM-067, COM-074.
    #[test]
    fn what_is_unknown_is_ignored_and_what_is_no_part_of_a_provider_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.toml");
        let text = PLAN.replace("version = \"1.2.3\"", "version = \"1.2.3\"\n    api = \"0.10\"\n    homepage = \"h\"\n    optional = true\n    other = 1");
        assert_ne!(text, PLAN);
        fs_err::write(&path, format!("unknown = 1\n{text}")).unwrap();
        write(&path, &read(&path).unwrap()).unwrap();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), PLAN);
    }

    #[test]
    fn errors_say_what_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("plan.toml");
        for text in [None, Some("entries = 3"), Some("= =")] {
            if let Some(text) = text {
                fs_err::write(&path, text).unwrap();
            }
            let failure = read(&path).unwrap_err();
            assert_eq!(failure.code, ExitCode::Failed);
            let message = format!("{:#}", failure.error);
            assert!(
                message.starts_with("failed to read plan file: "),
                "{message}"
            );
        }
    }
}
