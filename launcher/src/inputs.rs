//! What the launcher is given: its environment and its arguments (LCH-001, BPX-004).
//!
//! The only module that reads variables. It reads six of its seven; the seventh, `CNB_DEPRECATION_MODE`, decides
//! nothing while no supported API is deprecated, and is only kept from the process. An empty value counts as unset.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::files;

/// The Platform API that the platform asks for; there is no default.
const PLATFORM_API: &str = "CNB_PLATFORM_API";
/// The directory with the layers and `config/metadata.toml`.
const LAYERS_DIR: &str = "CNB_LAYERS_DIR";
/// The directory with the app.
const APP_DIR: &str = "CNB_APP_DIR";
/// The execution environment that processes are eligible for.
const EXEC_ENV: &str = "CNB_EXEC_ENV";
/// Whether the launcher's lines go without colours.
const NO_COLOR: &str = "CNB_NO_COLOR";
/// The process type, as older Platform APIs let users choose it.
const PROCESS_TYPE: &str = "CNB_PROCESS_TYPE";
/// What happens where a deprecated API is asked for.
const DEPRECATION_MODE: &str = "CNB_DEPRECATION_MODE";

/// The variables that a process does not get to see (BPX-024).
pub(crate) const HIDDEN: [&str; 5] = [
    LAYERS_DIR,
    APP_DIR,
    PROCESS_TYPE,
    PLATFORM_API,
    DEPRECATION_MODE,
];

/// Everything that decides what is launched, but for the files.
#[derive(Debug)]
pub(crate) struct Inputs {
    /// As given, unset and empty being the same.
    pub(crate) platform_api: OsString,
    pub(crate) layers_dir: PathBuf,
    pub(crate) app_dir: PathBuf,
    pub(crate) exec_env: OsString,
    pub(crate) no_color: bool,
    /// The value of `CNB_PROCESS_TYPE`, which chooses nothing any more.
    pub(crate) unsupported_process_type: Option<OsString>,
    /// The name that the launcher was called by.
    pub(crate) argv0: OsString,
    pub(crate) user_args: Vec<OsString>,
    /// The launcher's whole environment.
    pub(crate) environment: Environment,
}

/// Variables by name.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

impl Inputs {
    /// Takes the inputs from the launcher's own process.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads variables"
    )]
    pub(crate) fn read() -> Self {
        Self::resolve(std::env::args_os(), std::env::vars_os())
    }

    fn resolve(
        mut args: impl Iterator<Item = OsString>,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Self {
        let mut environment = Environment::new();
        for (name, value) in variables {
            // Of a name that stands there twice, the first is what a program sees.
            environment.entry(name).or_insert(value);
        }
        let value = |name: &str| {
            environment
                .get(OsStr::new(name))
                .filter(|value| !value.is_empty())
        };
        let or_default =
            |name, default: &str| value(name).cloned().unwrap_or_else(|| default.into());
        Self {
            platform_api: or_default(PLATFORM_API, ""),
            layers_dir: files::clean(or_default(LAYERS_DIR, "/layers").as_ref()),
            app_dir: or_default(APP_DIR, "/workspace").into(),
            exec_env: or_default(EXEC_ENV, "production"),
            no_color: value(NO_COLOR).is_some_and(|value| is_true(value)),
            unsupported_process_type: value(PROCESS_TYPE).cloned(),
            argv0: args.next().unwrap_or_default(),
            user_args: args.collect(),
            environment,
        }
    }
}

/// Whether a value is one of the spellings of true (BPX-009); every other one is false.
fn is_true(value: &OsStr) -> bool {
    ["1", "t", "T", "true", "True", "TRUE"]
        .iter()
        .any(|truth| value == *truth)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> Inputs {
        let variables = variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        Inputs::resolve(
            ["web", "a", "-version"].map(OsString::from).into_iter(),
            variables,
        )
    }

    #[test]
    fn unset_and_empty_variables_have_the_default() {
        let empty = HIDDEN.map(|name| (name, ""));
        for inputs in [
            resolve(&[]),
            resolve(&empty),
            resolve(&[(EXEC_ENV, ""), (NO_COLOR, "")]),
        ] {
            assert_eq!(inputs.platform_api, "");
            assert_eq!(inputs.layers_dir, Path::new("/layers"));
            assert_eq!(inputs.app_dir, Path::new("/workspace"));
            assert_eq!(inputs.exec_env, "production");
            assert!(!inputs.no_color);
            assert_eq!(inputs.unsupported_process_type, None);
        }
    }

    #[test]
    fn set_variables_are_taken() {
        let inputs = resolve(&[
            (PLATFORM_API, "0.13"),
            (LAYERS_DIR, "/l//x/"),
            (APP_DIR, "/a"),
            (EXEC_ENV, "test"),
            (NO_COLOR, "1"),
            (PROCESS_TYPE, "web"),
        ]);
        assert_eq!(inputs.platform_api, "0.13");
        assert_eq!(inputs.layers_dir.as_os_str(), "/l/x");
        assert_eq!(inputs.app_dir, Path::new("/a"));
        assert_eq!(inputs.exec_env, "test");
        assert!(inputs.no_color);
        assert_eq!(inputs.unsupported_process_type, Some("web".into()));
    }

    #[test]
    fn arguments_are_never_flags() {
        let inputs = resolve(&[]);
        assert_eq!(inputs.argv0, "web");
        assert_eq!(inputs.user_args, ["a", "-version"]);
    }

    #[test]
    fn a_launcher_called_without_any_argument_has_an_empty_name() {
        let inputs = Inputs::resolve(std::iter::empty(), std::iter::empty());
        assert_eq!(inputs.argv0, "");
    }

    #[test]
    fn the_first_of_two_equal_names_counts() {
        let inputs = resolve(&[(APP_DIR, "/first"), (APP_DIR, "/second")]);
        assert_eq!(inputs.app_dir, Path::new("/first"));
    }

    #[test]
    fn colours_go_only_for_spellings_of_true() {
        for (value, no_color) in [
            ("1", true),
            ("t", true),
            ("T", true),
            ("true", true),
            ("True", true),
            ("TRUE", true),
            ("tRUE", false),
            ("yes", false),
            ("0", false),
        ] {
            assert_eq!(resolve(&[(NO_COLOR, value)]).no_color, no_color, "{value}");
        }
    }
}
