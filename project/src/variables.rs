//! Variables of a build as people give them: `--env NAME=VALUE`, and files of such lines (`--env-file`).
//!
//! As in pack: a name alone takes the caller's value, empty if the caller has none; lines are trimmed, empty ones skipped,
//! nothing is unquoted or expanded. Lines that begin with `#` are comments, which pack would take for names.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Returns the caller's value of a variable.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Parses `NAME=VALUE` or `NAME`.
pub fn parse(text: &str, caller: Lookup<'_>) -> Result<(String, String), Error> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    check_name(name)?;
    let value = match value {
        Some(value) => value,
        None => caller(name)
            .unwrap_or_default()
            .into_string()
            .map_err(|_| Error::NotText(name.to_owned()))?,
    };
    if value.contains('\0') {
        return Err(Error::NotText(name.to_owned()));
    }
    Ok((name.to_owned(), value))
}

/// Parses the text of an env file, in its order; a later variable of the same name wins.
pub fn parse_file(text: &str, caller: Lookup<'_>) -> Result<Vec<(String, String)>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(str::trim).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(index, line)| {
            parse(line, caller).map_err(|error| Error::Line {
                line: index + 1,
                source: Box::new(error),
            })
        })
        .collect()
}

/// Reads an env file.
pub fn read_file(path: &Path, caller: Lookup<'_>) -> Result<Vec<(String, String)>, Error> {
    let in_file = |error| Error::File {
        path: path.to_owned(),
        source: Box::new(error),
    };
    let text = fs_err::read_to_string(path).map_err(|error| in_file(error.into()))?;
    parse_file(&text, caller).map_err(in_file)
}

/// Returns whether a variable can have this name: it becomes the name of a file in `<platform>/env`.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let is_file_name = !["", ".", ".."].contains(&name) && !name.contains(['/', '\0', '=']);
    if is_file_name && name.len() <= 255 {
        Ok(())
    } else {
        Err(Error::Name(name.to_owned()))
    }
}

/// Why a variable is not taken. Values are never shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no, or the file is no text.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What is wrong with the file at this path.
    #[error("failed to parse env file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<Self>,
    },
    /// What is wrong with a line.
    #[error("line {line}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong.
        source: Box<Self>,
    },
    /// A buildpack could not be given a variable of this name.
    #[error(
        "{0:?} is no name for a variable: it has to be a file name of at most 255 bytes without \"=\""
    )]
    Name(String),
    /// Its value is not UTF-8, or holds a NUL byte.
    #[error("the value of variable {0} is no text")]
    NotText(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str) -> Option<OsString> {
        use std::os::unix::ffi::OsStringExt as _;
        match name {
            "HERE" => Some("caller's".into()),
            "BYTES" => Some(OsString::from_vec(vec![0xff])),
            _ => None,
        }
    }

    #[test]
    fn a_variable_has_a_value_or_takes_the_callers() {
        let table = [
            ("A=b", ("A", "b")),
            ("A=", ("A", "")),
            ("A=b=c", ("A", "b=c")),
            ("A= b ", ("A", " b ")),
            ("A=\"b\" # c", ("A", "\"b\" # c")),
            ("HERE", ("HERE", "caller's")),
            ("HERE=", ("HERE", "")),
            ("NOT_HERE", ("NOT_HERE", "")),
            ("a.b-c", ("a.b-c", "")),
        ];
        for (text, (name, value)) in table {
            let parsed = parse(text, &caller).unwrap();
            assert_eq!(parsed, (name.to_owned(), value.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_name_is_a_file_name() {
        let long = "A".repeat(256);
        for text in [
            "",
            "=x",
            ".",
            "..=x",
            "../A=x",
            "/etc/passwd=x",
            "a/b",
            "A\0=x",
            &long,
        ] {
            let error = parse(text, &caller).unwrap_err();
            assert!(matches!(error, Error::Name(_)), "{text}: {error}");
            assert!(!error.to_string().contains('\0'));
        }
        assert!(parse(&long[1..], &caller).is_ok());
    }

    #[test]
    fn a_value_that_is_no_text_is_refused_and_not_shown() {
        let error = parse("BYTES", &caller).unwrap_err();
        assert_eq!(error.to_string(), "the value of variable BYTES is no text");
        assert!(matches!(
            parse("A=s3cret\0", &caller),
            Err(Error::NotText(_))
        ));
    }

    #[test]
    fn a_file_has_a_variable_a_line() {
        let text = "\u{feff}A=1\n\n  # a comment\n\t B=two words  \r\nHERE\nA=2\nNOT_HERE";
        let parsed = parse_file(text, &caller).unwrap();
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("HERE", "caller's"),
            ("A", "2"),
            ("NOT_HERE", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed, expected);
    }

    #[test]
    fn an_error_names_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("build.env");
        let chain = |error: &dyn std::error::Error| {
            let mut text = error.to_string();
            let mut next = error.source();
            while let Some(error) = next {
                text = format!("{text}: {error}");
                next = error.source();
            }
            text
        };
        fs_err::write(&path, "A=1\n=s3cret\n").unwrap();
        let text = chain(&read_file(&path, &caller).unwrap_err());
        let expected = format!(
            "failed to parse env file {}: line 2: \"\" is",
            path.display()
        );
        assert!(text.starts_with(&expected), "{text}");
        assert!(!text.contains("s3cret"), "{text}");

        for bytes in [Some(b"A=\xff".as_slice()), None] {
            match bytes {
                Some(bytes) => fs_err::write(&path, bytes).unwrap(),
                None => fs_err::remove_file(&path).unwrap(),
            }
            let text = chain(&read_file(&path, &caller).unwrap_err());
            assert!(text.contains(path.to_str().unwrap()), "{text}");
        }
    }
}
