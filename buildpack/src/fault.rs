//! Failures as the author of a buildpack needs them: beside the reference's words, which people search for, where the
//! mistake is, what it is, and the way out.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

/// A failure in the reference's words, with advice.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    text: String,
    /// For whoever wrote the buildpack.
    pub advice: Box<Advice>,
}

impl Fault {
    /// Returns a failure; `text` is what the reference says.
    pub(crate) fn new(text: impl Display, advice: Advice) -> Self {
        Self {
            text: text.to_string(),
            advice: Box::new(advice),
        }
    }

    /// Returns the failure with more in front of its text.
    pub(crate) fn context(self, outer: &str) -> Self {
        Self {
            text: format!("{outer}: {}", self.text),
            ..self
        }
    }
}

/// Where a mistake is, what it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The file or folder.
    pub path: PathBuf,
    /// The line in it, 0 where there is none.
    pub line: usize,
    /// What is wrong there.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Advice {
    /// Returns advice about a file or folder.
    pub fn new(path: &Path, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: 0,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// Returns the advice about one line of its file.
    #[must_use]
    pub fn at(self, line: usize) -> Self {
        Self { line, ..self }
    }
}

impl Display for Advice {
    /// Writes the first half, `<path>:<line>: <problem>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.problem)
    }
}
