//! Variables that platforms set, by name, and the set that one process got (COM-015 to COM-020).
//!
//! [`Variables::of_process`] is the only place that asks the operating system. Values are never printed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

/// Platform API that the platform speaks.
pub const PLATFORM_API: &str = "CNB_PLATFORM_API";
/// What to do about deprecated APIs: `quiet`, `warn`, `error`.
pub const DEPRECATION_MODE: &str = "CNB_DEPRECATION_MODE";
/// What to do about experimental features: `quiet`, `warn`, `error`.
pub const EXPERIMENTAL_MODE: &str = "CNB_EXPERIMENTAL_MODE";
/// `-log-level`.
pub const LOG_LEVEL: &str = "CNB_LOG_LEVEL";
/// `-no-color`.
pub const NO_COLOR: &str = "CNB_NO_COLOR";

/// `-uid`.
pub const USER_ID: &str = "CNB_USER_ID";
/// `-gid`.
pub const GROUP_ID: &str = "CNB_GROUP_ID";

/// `-daemon`.
pub const USE_DAEMON: &str = "CNB_USE_DAEMON";
/// `-layout`.
pub const USE_LAYOUT: &str = "CNB_USE_LAYOUT";
/// `-layout-dir`.
pub const LAYOUT_DIR: &str = "CNB_LAYOUT_DIR";
/// `-insecure-registry`, several with commas between them.
pub const INSECURE_REGISTRIES: &str = "CNB_INSECURE_REGISTRIES";
/// Authorization headers by registry, a JSON object (COM-046); has no flag.
pub const REGISTRY_AUTH: &str = "CNB_REGISTRY_AUTH";
/// Where the daemon listens (COM-045); has no flag.
pub const DOCKER_HOST: &str = "DOCKER_HOST";

/// `-app`.
pub const APP_DIR: &str = "CNB_APP_DIR";
/// `-layers`.
pub const LAYERS_DIR: &str = "CNB_LAYERS_DIR";
/// `-platform`.
pub const PLATFORM_DIR: &str = "CNB_PLATFORM_DIR";
/// `-buildpacks`.
pub const BUILDPACKS_DIR: &str = "CNB_BUILDPACKS_DIR";
/// `-extensions`.
pub const EXTENSIONS_DIR: &str = "CNB_EXTENSIONS_DIR";
/// `-build-config`.
pub const BUILD_CONFIG_DIR: &str = "CNB_BUILD_CONFIG_DIR";
/// `-generated`.
pub const GENERATED_DIR: &str = "CNB_GENERATED_DIR";
/// `-extended`.
pub const EXTENDED_DIR: &str = "CNB_EXTENDED_DIR";

/// `-analyzed`.
pub const ANALYZED_PATH: &str = "CNB_ANALYZED_PATH";
/// `-group`.
pub const GROUP_PATH: &str = "CNB_GROUP_PATH";
/// `-plan`.
pub const PLAN_PATH: &str = "CNB_PLAN_PATH";
/// `-order`.
pub const ORDER_PATH: &str = "CNB_ORDER_PATH";
/// `-report`.
pub const REPORT_PATH: &str = "CNB_REPORT_PATH";
/// `-project-metadata`.
pub const PROJECT_METADATA_PATH: &str = "CNB_PROJECT_METADATA_PATH";
/// `-run`.
pub const RUN_PATH: &str = "CNB_RUN_PATH";
/// `-stack`.
pub const STACK_PATH: &str = "CNB_STACK_PATH";
/// `-system`.
pub const SYSTEM_PATH: &str = "CNB_SYSTEM_PATH";

/// How layers are compressed in a layout, as [`layout::layer::Compression`] is read; not of the specification.
pub const LAYER_COMPRESSION: &str = "CNB_LAYER_COMPRESSION";
/// `-cache-dir`.
pub const CACHE_DIR: &str = "CNB_CACHE_DIR";
/// `-cache-image`.
pub const CACHE_IMAGE: &str = "CNB_CACHE_IMAGE";
/// `-launch-cache`.
pub const LAUNCH_CACHE_DIR: &str = "CNB_LAUNCH_CACHE_DIR";
/// `-skip-layers`; sets the same switch as [`SKIP_RESTORE`].
pub const SKIP_LAYERS: &str = "CNB_SKIP_LAYERS";
/// `-skip-restore`; sets the same switch as [`SKIP_LAYERS`].
pub const SKIP_RESTORE: &str = "CNB_SKIP_RESTORE";
/// `-parallel`.
pub const PARALLEL_EXPORT: &str = "CNB_PARALLEL_EXPORT";

/// `-previous-image`.
pub const PREVIOUS_IMAGE: &str = "CNB_PREVIOUS_IMAGE";
/// `-run-image`.
pub const RUN_IMAGE: &str = "CNB_RUN_IMAGE";
/// `-build-image`.
pub const BUILD_IMAGE: &str = "CNB_BUILD_IMAGE";

/// `-force`: rebase in spite of doubts.
pub const FORCE_REBASE: &str = "CNB_FORCE_REBASE";

/// `-process-type`.
pub const PROCESS_TYPE: &str = "CNB_PROCESS_TYPE";
/// Execution environment; has no flag.
pub const EXEC_ENV: &str = "CNB_EXEC_ENV";
/// Creation time of images, seconds since 1970; has no flag.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The variables of the process, read once. An empty one counts as unset (COM-015).
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<OsString, OsString>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Variables([redacted])")
    }
}

impl Variables {
    /// Reads this process's variables: the only place that does.
    pub fn of_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that reads variables"
        )]
        Self::from_pairs(std::env::vars_os())
    }

    /// Returns a set of variables, for tests and for phases inside phases.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// Returns the same set with one variable set or replaced (COM-043: HOME and USER of the new user).
    #[must_use]
    pub fn with(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Returns a variable's value as text; `None` if unset, empty or not UTF-8.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_os(name)?.to_str()
    }

    /// Returns a variable's value; `None` if unset or empty.
    pub fn get_os(&self, name: &str) -> Option<&OsStr> {
        self.0
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns all of them, for the environment of buildpacks.
    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn empty_is_unset() {
        let variables = Variables::default()
            .with(APP_DIR, "/app")
            .with(LAYERS_DIR, "")
            .with(RUN_PATH, OsString::from_vec(vec![0xff]));
        assert_eq!(variables.get(APP_DIR), Some("/app"));
        assert_eq!(variables.get(LAYERS_DIR), None);
        assert_eq!(variables.get(PLATFORM_DIR), None);
        assert_eq!(variables.get(RUN_PATH), None);
        assert!(variables.get_os(RUN_PATH).is_some());
        assert_eq!(variables.iter().count(), 3);
    }

    #[test]
    fn values_are_not_printed() {
        let variables = Variables::default().with("TOKEN", "hunter2");
        assert_eq!(format!("{variables:?}"), "Variables([redacted])");
    }
}
