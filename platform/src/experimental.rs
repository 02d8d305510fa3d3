//! Features behind `CNB_EXPERIMENTAL_MODE` (COM-036 to COM-038).

use std::fmt;

use crate::exit::{ExitCode, Failure};
use crate::inputs::variables::EXPERIMENTAL_MODE;

/// A gated feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `export to OCI layout format`.
    LayoutFormat,
    /// `Dockerfiles`.
    Dockerfiles,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LayoutFormat => "export to OCI layout format",
            Self::Dockerfiles => "Dockerfiles",
        })
    }
}

/// Lets the feature through, with a warning where the mode asks for one, or fails with exit 1 and a hint that names the variable.
pub fn guard(feature: Feature, mode: Option<&str>) -> Result<(), Failure> {
    match mode.unwrap_or("error") {
        "quiet" => Ok(()),
        "error" => {
            tracing::error!("Platform requested experimental feature '{feature}'");
            tracing::info!("Set {EXPERIMENTAL_MODE}=warn (or quiet) to allow it.");
            Err(Failure::message(
                ExitCode::Failed,
                format!("experimental features are disabled by {EXPERIMENTAL_MODE}=error"),
            ))
        }
        _ => {
            tracing::warn!("Platform requested experimental feature '{feature}'");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::captured;

    #[test]
    fn mode_decides() {
        let warning = "WARN Platform requested experimental feature 'Dockerfiles'\n";
        let error = "ERROR Platform requested experimental feature 'Dockerfiles'\n\
                     INFO Set CNB_EXPERIMENTAL_MODE=warn (or quiet) to allow it.\n";
        for (mode, passes, said) in [
            (None, false, error),
            (Some("error"), false, error),
            (Some("warn"), true, warning),
            (Some("quiet"), true, ""),
            (Some("silent"), true, warning),
            (Some("nonsense"), true, warning),
        ] {
            let (result, log) = captured(|| guard(Feature::Dockerfiles, mode));
            assert_eq!(log, said, "{mode:?}");
            assert_eq!(result.is_ok(), passes, "{mode:?}");
            if let Err(failure) = result {
                assert_eq!(failure.code, ExitCode::Failed);
                assert_eq!(
                    failure.error.to_string(),
                    "experimental features are disabled by CNB_EXPERIMENTAL_MODE=error"
                );
            }
        }
    }

    #[test]
    fn features_have_the_reference_names() {
        assert_eq!(
            Feature::LayoutFormat.to_string(),
            "export to OCI layout format"
        );
        assert_eq!(Feature::Dockerfiles.to_string(), "Dockerfiles");
    }
}
