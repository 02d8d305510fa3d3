//! A step of the helper's that failed, in a form that goes over its socket.

use std::io;

use serde::{Deserialize, Serialize};

/// What the helper could not do, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The step, with the path that it was about, as `mount /a at /b`.
    pub doing: String,
    /// The cause.
    pub cause: String,
    /// The error number, if it was the kernel that said no.
    pub errno: Option<i32>,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "failed to {}: {}", self.doing, self.cause)
    }
}

impl Fault {
    /// Something that is wrong without the kernel having said so.
    pub(crate) fn new(doing: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            doing: doing.into(),
            cause: cause.into(),
            errno: None,
        }
    }
}

impl Fault {
    /// Something that failed, with all that led to it.
    pub(crate) fn of(doing: impl Into<String>, error: &dyn std::error::Error) -> Self {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        Self::new(doing, causes.join(": "))
    }
}

/// Says what was being done when something failed.
pub(crate) trait Doing<T> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Fault>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing<S: Into<String>>(self, what: impl FnOnce() -> S) -> Result<T, Fault> {
        self.map_err(|error| {
            let error = error.into();
            Fault {
                doing: what().into(),
                cause: error.to_string(),
                errno: error.raw_os_error(),
            }
        })
    }
}
