//! Exit codes, and errors that carry one (COM-025 to COM-029).

use std::fmt;

use buildpack::syscall_text;

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
    /// The causes, outermost first.
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
    pub fn message(code: ExitCode, text: impl fmt::Display) -> Self {
        Self {
            code,
            error: anyhow::anyhow!("{text}"),
        }
    }
}

/// The causes, outermost first, each failed call in the words of the reference.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, cause) in self.error.chain().enumerate() {
            let separator = if depth == 0 { "" } else { ": " };
            write!(
                f,
                "{separator}{}",
                syscall_text::reworded(&cause.to_string())
            )?;
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_reference_ones() {
        let codes = [
            (ExitCode::Failed, 1),
            (ExitCode::Flags, 2),
            (ExitCode::InvalidArgs, 3),
            (ExitCode::PlatformApi, 11),
            (ExitCode::BuildpackApi, 12),
            (ExitCode::NoGroup, 20),
            (ExitCode::NoGroupWithErrors, 21),
            (ExitCode::Detect, 22),
            (ExitCode::Analyze, 32),
            (ExitCode::Restore, 42),
            (ExitCode::Buildpack, 51),
            (ExitCode::Build, 52),
            (ExitCode::Export, 62),
            (ExitCode::Rebase, 72),
            (ExitCode::Extension, 91),
            (ExitCode::Generate, 92),
            (ExitCode::Extend, 102),
        ];
        for (code, number) in codes {
            assert_eq!(code as u8, number);
        }
    }

    #[test]
    fn text_is_action_and_causes() {
        let cause = anyhow::anyhow!("no such file").context("open /x");
        let failure = Failure::new(ExitCode::Export, "export", cause);
        assert_eq!(
            failure.to_string(),
            "failed to export: open /x: no such file"
        );
        let system = anyhow::Error::new(fs_err::read("/absent").unwrap_err());
        assert_eq!(
            Failure::new(ExitCode::Export, "export", system.context("reading")).to_string(),
            "failed to export: reading: open /absent: no such file or directory"
        );
        // A code that is given counts, whatever the cause would have ended with.
        let inner = Failure::new(ExitCode::BuildpackApi, "verify", anyhow::anyhow!("old"));
        let outer = Failure::new(ExitCode::Build, "build", inner.error);
        assert_eq!(outer.code, ExitCode::Build);
        assert_eq!(
            format!("{:#}", outer.error),
            "failed to build: failed to verify: old"
        );
        let uncoded = Failure::from(anyhow::anyhow!("odd"));
        assert_eq!(
            (uncoded.code, uncoded.error.to_string()),
            (ExitCode::Failed, "odd".to_owned())
        );
    }
}
