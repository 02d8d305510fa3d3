//! `extend-config.toml`: arguments for the Dockerfiles of an extension (IMX-017).
//!
//! It is only checked here; whoever applies the Dockerfiles reads it.

use std::path::Path;

use serde::Deserialize;

use crate::decode::{Document, FileError};
use crate::fault::{Advice, Fault};
use crate::syscall_text;

/// Name of the file in an extension's output.
pub const FILE_NAME: &str = "extend-config.toml";

/// Arguments that the lifecycle sets itself.
const RESERVED: [&str; 3] = ["build_id", "user_id", "group_id"];

/// Checks the file; a missing one is fine.
pub fn check(path: &Path) -> Result<(), Fault> {
    let document = match Document::open(path) {
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(unreadable(path, &error)),
        Ok(document) => document,
    };
    let config: Config = document
        .decode()
        .map_err(|error| unreadable(path, &error.into()))?;
    for (list, args) in [
        ("build.args", config.build.args),
        ("run.args", config.run.args),
    ] {
        let is_reserved = |arg: &Arg| RESERVED.contains(&arg.name.as_str());
        let Some(index) = args.iter().position(is_reserved) else {
            continue;
        };
        let name = &args[index].name;
        let text = format!(
            "validating extend config: invalid content: arg with name {name:?} is not allowed"
        );
        let problem = format!("sets {name}, which is for the lifecycle to set");
        let remedy = format!("take it out of [[{list}]]");
        let line = document.line_of(&format!("{list}[{index}].name"));
        return Err(Fault::new(
            text,
            Advice::new(path, problem, remedy).at(line),
        ));
    }
    Ok(())
}

fn unreadable(path: &Path, error: &FileError) -> Fault {
    let advice = match error {
        FileError::Decode(error) => {
            Advice::new(path, &*error.problem, "correct the TOML").at(error.line)
        }
        FileError::Syscall(error) => {
            let problem = format!("cannot be read: {}", syscall_text::reason(&error.cause));
            Advice::new(
                path,
                problem,
                "make it a file that the building user may read",
            )
        }
    };
    Fault::new(format!("reading extend config: {error}"), advice)
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
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join(FILE_NAME);
                fs_err::write(&path, &text).unwrap();
                let advice = check(&path).unwrap_err().advice;
                let place = format!("{}:5: sets {name},", path.display());
                assert!(advice.to_string().starts_with(&place), "{advice}");
                assert_eq!(advice.remedy, format!("take it out of [[{list}.args]]"));
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
