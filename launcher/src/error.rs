//! Failures of the launcher and the exit codes that they mean (BPX-044, LCH-003).
//!
//! An error is the text that a person reads, `<action>: <cause>: <cause>`: nothing in the launcher tells errors
//! apart but by their exit code, so there is no enum.

use std::fmt::{self, Display};
use std::io;
use std::process::ExitCode;

use nix::errno::Errno;

/// What went wrong, outermost action first.
#[derive(Debug)]
pub(crate) struct Error(String);

/// A result whose error is a text.
pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Error {
    /// Names the system's reason as Go programs do, because scripts look for it: `no such file or directory`,
    /// without capital and number.
    fn from(error: io::Error) -> Self {
        if let Some(reason) = error.raw_os_error().and_then(reason) {
            return Self::new(reason);
        }
        let text = error.to_string();
        let reason = text.split(" (os error").next().unwrap_or_default();
        let mut letters = reason.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        Self(first.into_iter().chain(letters).collect())
    }
}

/// Returns the reasons that libcs name differently, in the words of Go and glibc.
fn reason(errno: i32) -> Option<&'static str> {
    Some(match Errno::from_raw(errno) {
        Errno::EIO => "input/output error",
        Errno::ENOMEM => "cannot allocate memory",
        Errno::EBUSY => "device or resource busy",
        Errno::EMFILE => "too many open files",
        Errno::ENAMETOOLONG => "file name too long",
        Errno::ELOOP => "too many levels of symbolic links",
        _ => return None,
    })
}

/// Puts what was being done in front of an error.
pub(crate) trait Context<T> {
    fn context(self, action: impl Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, action: impl Display) -> Result<T> {
        self.map_err(|error| Error(format!("{action}: {}", error.into())))
    }
}

/// The launcher's end without a process.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Error,
}

/// The exit codes of the launcher's own failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Failed = 1,
    IncompatiblePlatformApi = 11,
    IncompatibleBuildpackApi = 12,
    LaunchError = 82,
}

impl Exit {
    /// Gives an error this exit code.
    pub(crate) fn of(self) -> impl FnOnce(Error) -> Failure {
        move |error| Failure { exit: self, error }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_read_as_go_writes_them() {
        // errno, text of Go's syscall.Errno on Linux
        for (errno, text) in [
            (2, "no such file or directory"),
            (5, "input/output error"),
            (8, "exec format error"),
            (12, "cannot allocate memory"),
            (13, "permission denied"),
            (16, "device or resource busy"),
            (20, "not a directory"),
            (21, "is a directory"),
            (22, "invalid argument"),
            (24, "too many open files"),
            (36, "file name too long"),
            (40, "too many levels of symbolic links"),
        ] {
            let error = Error::from(io::Error::from_raw_os_error(errno));
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn context_stands_before_the_cause() {
        let inner: Result<()> = Err(Error::new("cause"));
        let error = inner.context("inner").context("outer").unwrap_err();
        assert_eq!(error.to_string(), "outer: inner: cause");
    }
}
