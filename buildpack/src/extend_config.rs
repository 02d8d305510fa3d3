//! `extend-config.toml`: arguments for the Dockerfiles of an extension (IMX-017).
//!
//! It is only checked here; whoever applies the Dockerfiles reads it.

use std::path::Path;

use serde::Deserialize;

use crate::decode;

/// Name of the file in an extension's output.
pub const FILE_NAME: &str = "extend-config.toml";

/// Arguments that the lifecycle sets itself.
const RESERVED: [&str; 3] = ["build_id", "user_id", "group_id"];

/// What is wrong with the file. The text is the reference's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It cannot be read.
    #[error("reading extend config: {0}")]
    Read(#[from] decode::FileError),
    /// It sets an argument that is not its own to set.
    #[error("validating extend config: invalid content: arg with name {name:?} is not allowed")]
    Reserved {
        /// The argument.
        name: String,
        /// The list that it is in: `build.args` or `run.args`.
        list: &'static str,
    },
}

/// Checks the file; a missing one is fine.
pub fn check(path: &Path) -> Result<(), Error> {
    let config: Config = match decode::from_file(path) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    for (list, args) in [
        ("build.args", config.build.args),
        ("run.args", config.run.args),
    ] {
        let reserved = args
            .into_iter()
            .find(|arg| RESERVED.contains(&arg.name.as_str()));
        if let Some(Arg { name, .. }) = reserved {
            return Err(Error::Reserved { name, list });
        }
    }
    Ok(())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    build: Args,
    run: Args,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Args {
    args: Vec<Arg>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Arg {
    name: String,
    /// Must be a text if it is there.
    #[serde(rename = "value")]
    _value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs_err::write(&path, text).unwrap();
        check(&path)
            .err()
            .map_or_else(String::new, |e| e.to_string())
    }

    #[test]
    fn arguments_of_the_lifecycle_are_refused_in_both_lists() {
        for name in ["build_id", "user_id", "group_id"] {
            for list in ["build", "run"] {
                let text = format!(
                    "[[{list}.args]]\nname = 'fine'\nvalue = 'x'\n[[{list}.args]]\nname = '{name}'\nvalue = 'x'\n"
                );
                let expected = format!(
                    "validating extend config: invalid content: arg with name \"{name}\" is not allowed"
                );
                assert_eq!(said(&text), expected, "{list}");
            }
        }
    }

    #[test]
    fn everything_else_is_allowed() {
        for text in [
            "",
            "[[build.args]]\nname = 'base_image'\nvalue = ''\n",
            "[[run.args]]\nname = 'User_id'\n[[build.args]]\nvalue = 'user_id'\n",
            "[other]\nargs = 1\n",
        ] {
            assert_eq!(said(text), "", "{text}");
        }
        check(Path::new("/no/extend-config.toml")).unwrap();
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        for text in [
            "[build]\nargs = 1\n",
            "= 1\n",
            "[[run.args]]\nname = 'a'\nvalue = 1\n",
        ] {
            let said = said(text);
            assert!(said.starts_with("reading extend config: toml: "), "{said}");
        }
    }
}
