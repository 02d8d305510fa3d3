//! Exit codes, and errors that carry one (COM-025 to COM-029).

/// What a phase ends with (COM-025).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Anything without a code of its own.
    Failed = 1,
    /// Flags that cannot be parsed.
    Flags = 2,
    /// Invalid arguments or inputs.
    InvalidArgs = 3,
    /// The Platform API is not supported.
    PlatformApi = 11,
    /// A Buildpack API is not supported.
    BuildpackApi = 12,
    /// No group passed.
    NoGroup = 20,
    /// No group passed, and a module ended in an error.
    NoGroupWithErrors = 21,
    /// Detection failed otherwise.
    Detect = 22,
    /// Analysis failed.
    Analyze = 32,
    /// Restoring failed.
    Restore = 42,
    /// A buildpack failed.
    Buildpack = 51,
    /// Building failed otherwise.
    Build = 52,
    /// Exporting failed.
    Export = 62,
    /// Rebasing failed.
    Rebase = 72,
    /// An extension failed.
    Extension = 91,
    /// Generating failed otherwise.
    Generate = 92,
    /// Extending failed.
    Extend = 102,
}

/// An error with the code that it ends the process with. Its text is the last line: `ERROR: <text>`.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub code: ExitCode,
    /// The causes, outermost first; printed with `{:#}`.
    pub error: anyhow::Error,
}

impl Failure {
    /// Returns `failed to <action>: <cause>` with a code.
    pub fn new(code: ExitCode, action: &str, cause: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: cause.into().context(format!("failed to {action}")),
        }
    }

    /// Returns a text alone with a code.
    pub fn message(code: ExitCode, text: impl std::fmt::Display) -> Self {
        Self {
            code,
            error: anyhow::anyhow!("{text}"),
        }
    }
}

impl From<anyhow::Error> for Failure {
    /// An error without a code of its own exits 1 (COM-026).
    fn from(error: anyhow::Error) -> Self {
        Self {
            code: ExitCode::Failed,
            error,
        }
    }
}
