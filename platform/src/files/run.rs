//! `run.toml`, and `stack.toml` before 0.12 (COM-060, COM-061).

use std::path::Path;

use buildpack::decode;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::api::PlatformApi;
use crate::exit::{ExitCode, Failure};

/// An image and where else it can be had. Key order is the label's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunImageForExport {
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<String>,
}

/// Run images to choose from; one at most below 0.12.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunToml {
    /// In file order.
    pub images: Vec<RunImageForExport>,
}

/// Reads run.toml, or stack.toml below 0.12; a missing file is logged and empty.
pub fn read(api: PlatformApi, run_path: &Path, stack_path: &Path) -> Result<RunToml, Failure> {
    if api.has_run_toml() {
        read_run(run_path)
    } else {
        read_stack(stack_path)
    }
}

/// Reads run.toml, whatever the API: what generation compares run images with.
pub fn read_run(path: &Path) -> Result<RunToml, Failure> {
    match decode::from_file::<RunFile>(path) {
        Ok(file) => Ok(RunToml {
            images: file.images,
        }),
        Err(e) if e.is_not_found() => {
            info!("No run metadata found at path {path:?}");
            Ok(RunToml::default())
        }
        Err(e) => Err(Failure::new(ExitCode::Failed, "read run file", e)),
    }
}

fn read_stack(path: &Path) -> Result<RunToml, Failure> {
    match decode::from_file::<StackFile>(path) {
        Ok(file) => Ok(RunToml {
            images: file.run_image.into_iter().collect(),
        }),
        Err(e) if e.is_not_found() => {
            info!("No stack metadata found at path {path:?}");
            Ok(RunToml::default())
        }
        Err(e) => Err(Failure::new(ExitCode::Failed, "read stack file", e)),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RunFile {
    images: Vec<RunImageForExport>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct StackFile {
    run_image: Option<RunImageForExport>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::captured;

    const RUN: &str = r#"
        unknown = 1
        [[images]]
        other = "x"
        image = "a"
        mirrors = ["x/a", "y/a"]
        [[images]]
        image = "b"
    "#;
    const STACK: &str = r#"
        unknown = 1
        [run-image]
        image = "s"
        mirrors = ["x/s"]
    "#;

    fn api(version: &str) -> PlatformApi {
        PlatformApi::negotiate(Some(version)).unwrap()
    }

    fn image(name: &str, mirrors: &[&str]) -> RunImageForExport {
        RunImageForExport {
            image: name.to_owned(),
            mirrors: mirrors.iter().map(|mirror| (*mirror).to_owned()).collect(),
        }
    }

    #[test]
    fn the_file_depends_on_the_api() {
        let dir = tempfile::tempdir().unwrap();
        let [run, stack] = ["run.toml", "stack.toml"].map(|name| dir.path().join(name));
        fs_err::write(&run, RUN).unwrap();
        fs_err::write(&stack, STACK).unwrap();
        let images = vec![image("a", &["x/a", "y/a"]), image("b", &[])];
        assert_eq!(read(api("0.12"), &run, &stack).unwrap().images, images);
        let images = vec![image("s", &["x/s"])];
        assert_eq!(read(api("0.11"), &run, &stack).unwrap().images, images);
    }

    /// COM-060, COM-061.
    #[test]
    fn a_missing_file_is_empty_and_a_malformed_one_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let bad = dir.path().join("bad.toml");
        let absent = dir.path().join("absent.toml");
        fs_err::write(&bad, "images = 1\nrun-image = 2").unwrap();
        for (version, prefix, what) in [
            ("0.12", "failed to read run file: toml: ", "run"),
            ("0.11", "failed to read stack file: toml: ", "stack"),
        ] {
            let (found, log) = captured(|| read(api(version), &absent, &absent).unwrap());
            assert_eq!(found, RunToml::default());
            let expected = format!("INFO No {what} metadata found at path {absent:?}\n");
            assert_eq!(log, expected);
            let failure = read(api(version), &bad, &bad).unwrap_err();
            assert_eq!(failure.code, ExitCode::Failed);
            let message = format!("{:#}", failure.error);
            assert!(message.starts_with(prefix), "{message}");
        }
    }
}
