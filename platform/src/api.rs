//! Platform API versions, what each changed, and the checks of both APIs (COM-001 to COM-008).
//!
//! A condition on a version has a name here; nobody compares versions elsewhere.

use std::sync::OnceLock;

use buildpack::Version;
use buildpack::api::{BuildpackApi, ParseVersionError};
use buildpack::group::GroupElement;

use crate::exit::{ExitCode, Failure};
use crate::inputs::variables::{DEPRECATION_MODE, PLATFORM_API};

/// Platform APIs that can be spoken, oldest first (COM-001).
pub const SUPPORTED: [Version; 9] = [v(7), v(8), v(9), v(10), v(11), v(12), v(13), v(14), v(15)];

/// What `CNB_DEPRECATION_MODE` said; unset it warns (COM-006).
static MODE: OnceLock<Mode> = OnceLock::new();

/// A supported Platform API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformApi(Version);

const fn v(minor: u32) -> Version {
    Version { major: 0, minor }
}

impl PlatformApi {
    /// Reads `CNB_PLATFORM_API`'s value (COM-003, COM-005).
    pub fn negotiate(value: Option<&str>) -> Result<Self, Failure> {
        Deprecations::today().negotiate(value)
    }

    /// Returns the newest one, for whoever is platform and phase in one.
    pub fn latest() -> Self {
        Self(SUPPORTED[SUPPORTED.len() - 1])
    }

    /// Returns API 0.`minor`, for tests of what depends on it.
    #[cfg(test)]
    pub(crate) const fn at(minor: u32) -> Self {
        Self(v(minor))
    }

    /// Returns the version.
    pub fn version(self) -> Version {
        self.0
    }

    /// SBOM files and layers (0.8).
    pub fn has_sbom(self) -> bool {
        self.0 >= v(8)
    }

    /// `[[bom]]` moved to legacy SBOM files; `SOURCE_DATE_EPOCH` is honoured (0.9).
    pub fn has_legacy_bom_files(self) -> bool {
        self.0 >= v(9)
    }

    /// `SOURCE_DATE_EPOCH` is honoured (0.9).
    pub fn has_source_date_epoch(self) -> bool {
        self.0 >= v(9)
    }

    /// Commands are arrays (0.10).
    pub fn has_command_arrays(self) -> bool {
        self.0 >= v(10)
    }

    /// `creator -skip-restore` still restores store.toml (0.10).
    pub fn restores_store_when_skipping(self) -> bool {
        self.0 >= v(10)
    }

    /// Image extensions (0.10).
    pub fn has_extensions(self) -> bool {
        self.0 >= v(10)
    }

    /// SBOMs of lifecycle and launcher are exported (0.11).
    pub fn has_lifecycle_sbom(self) -> bool {
        self.0 >= v(11)
    }

    /// run.toml, targets, layouts, history (0.12).
    pub fn has_run_toml(self) -> bool {
        self.0 >= v(12)
    }

    /// A rebase takes over the new base's `io.buildpacks.base.*` labels, and only to a base that the app image
    /// knows (0.12).
    pub fn has_base_labels(self) -> bool {
        self.0 >= v(12)
    }

    /// Targets of buildpacks are matched (0.12).
    pub fn has_targets(self) -> bool {
        self.0 >= v(12)
    }

    /// Added layers get a history text (0.12).
    pub fn has_history(self) -> bool {
        self.0 >= v(12)
    }

    /// A run image that an extension names again is kept as it is (0.12).
    pub fn keeps_same_run_image(self) -> bool {
        self.0 >= v(12)
    }

    /// Each extension generates into one folder of its own, for both images (0.13).
    pub fn has_folder_per_extension(self) -> bool {
        self.0 >= v(13)
    }

    /// Dockerfiles are no longer experimental (0.13).
    pub fn has_stable_dockerfiles(self) -> bool {
        self.0 >= v(13)
    }

    /// Launch layers that only the cache knows are restored from it (0.14).
    pub fn restores_launch_layers_from_cache(self) -> bool {
        self.0 >= v(14)
    }

    /// A cache image's forerunner is removed from the registry (before 0.13).
    pub fn deletes_cache_images(self) -> bool {
        self.0 < v(13)
    }

    /// The restorer checks that the run image can be read (0.14).
    pub fn checks_run_image_access(self) -> bool {
        self.0 >= v(14)
    }

    /// system.toml, execution environments (0.15).
    pub fn has_system_buildpacks(self) -> bool {
        self.0 >= v(15)
    }

    /// Execution environments (0.15).
    pub fn has_exec_env(self) -> bool {
        self.0 >= v(15)
    }
}

/// Returns whether a lifecycle that supports these Platform APIs has image extensions as a settled part (0.13). One that
/// names none may have them.
pub fn has_settled_extensions(supported: &[String]) -> bool {
    let versions = supported.iter().filter_map(|it| it.parse().ok());
    versions.max().is_none_or(|newest: Version| newest >= v(13))
}

/// Returns whether an app image stands on a stack, whose id and mixins a rebase compares; else it has a target (REB-011).
/// `value` is what it was built with: its own `CNB_PLATFORM_API`, which need not be one that can still be spoken.
pub fn is_on_stack(value: Option<&str>) -> Result<bool, ParseVersionError> {
    match value {
        None | Some("") => Ok(true),
        Some(value) => Ok(value.parse::<Version>()? < v(12)),
    }
}

/// Checks the Buildpack API of a module; exit 12 otherwise (COM-006 to COM-008). `kind` is `Buildpack` or `Extension`.
pub fn verify_module(kind: &str, module: &GroupElement) -> Result<BuildpackApi, Failure> {
    Deprecations::today().verify_module(kind, module)
}

/// Takes note of what the platform wants said of deprecated APIs; the first call counts.
pub(crate) fn set_deprecation_mode(value: Option<&str>) {
    MODE.set(Mode::named(value)).ok();
}

/// What to do about deprecated APIs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    Quiet,
    #[default]
    Warn,
    Error,
}

impl Mode {
    fn named(value: Option<&str>) -> Self {
        match value {
            Some("quiet") => Self::Quiet,
            Some("error") => Self::Error,
            _ => Self::Warn,
        }
    }
}

/// Versions that are still supported but should be left, and what is said of them.
struct Deprecations<'a> {
    platform: &'a [Version],
    buildpack: &'a [Version],
    mode: Mode,
}

impl Deprecations<'static> {
    /// None is deprecated yet (COM-001).
    fn today() -> Self {
        Self {
            platform: &[],
            buildpack: &[],
            mode: MODE.get().copied().unwrap_or_default(),
        }
    }
}

impl Deprecations<'_> {
    fn negotiate(&self, value: Option<&str>) -> Result<PlatformApi, Failure> {
        let fail = |text| Failure::message(ExitCode::PlatformApi, text);
        let value = value.filter(|value| !value.trim().is_empty()).ok_or_else(|| {
            fail(format!(
                "failed to get platform API version; please set '{PLATFORM_API}' to specify the desired platform API version"
            ))
        })?;
        let version: Version = value
            .parse()
            .map_err(|_| fail(format!("failed to parse platform API '{value}'")))?;
        let refused = || {
            fail(format!(
                "failed to set platform API: platform API version '{value}' is incompatible with the lifecycle"
            ))
        };
        if !SUPPORTED.contains(&version) {
            return Err(refused());
        }
        let allowed = !self.platform.contains(&version)
            || self.allows(&format!("Platform requested deprecated API '{value}'"));
        allowed.then_some(PlatformApi(version)).ok_or_else(refused)
    }

    fn verify_module(&self, kind: &str, module: &GroupElement) -> Result<BuildpackApi, Failure> {
        let fail = |text| Failure::message(ExitCode::BuildpackApi, text);
        let (label, value) = (module.label(), &module.api);
        // The text names no value, whatever the value was (COM-008).
        let version: Version = value.parse().map_err(|_| {
            let kind = kind.to_lowercase();
            fail(format!(
                "failed to parse buildpack API '<nil>' for {kind} '{label}'"
            ))
        })?;
        let refused = || {
            fail(format!(
                "failed to set API for {kind} '{label}': buildpack API version '{value}' is incompatible with the lifecycle"
            ))
        };
        let api = BuildpackApi::supported(version).ok_or_else(refused)?;
        let allowed = !self.buildpack.contains(&version)
            || self.allows(&format!(
                "{kind} '{label}' requests deprecated API '{value}'"
            ));
        allowed.then_some(api).ok_or_else(refused)
    }

    /// Says that a deprecated API is used, and returns whether it may be.
    fn allows(&self, text: &str) -> bool {
        match self.mode {
            Mode::Quiet => {}
            Mode::Warn => tracing::warn!("{text}"),
            Mode::Error => {
                tracing::error!("{text}");
                tracing::error!("Deprecated APIs are disabled by {DEPRECATION_MODE}=error");
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::captured;

    const UNSET: &str = "failed to get platform API version; please set 'CNB_PLATFORM_API' to specify the desired platform API version";

    fn element(api: &str) -> GroupElement {
        GroupElement {
            id: "acme/one".to_owned(),
            version: "1.0.0".to_owned(),
            api: api.to_owned(),
            ..GroupElement::default()
        }
    }

    #[test]
    fn platform_apis_are_negotiated() {
        for minor in 0..=30 {
            let value = format!("0.{minor}");
            let (api, log) = captured(|| PlatformApi::negotiate(Some(&value)));
            let expected = (7..=15).contains(&minor).then_some(v(minor));
            assert_eq!(api.ok().map(PlatformApi::version), expected);
            assert_eq!(log, "", "none is deprecated");
        }
        assert_eq!(
            PlatformApi::negotiate(Some("v0.12")).unwrap().version(),
            v(12)
        );
        let unparsable = |value: &str| format!("failed to parse platform API '{value}'");
        let unsupported = |value: &str| {
            format!(
                "failed to set platform API: platform API version '{value}' is incompatible with the lifecycle"
            )
        };
        for (value, expected) in [
            (None, UNSET.to_owned()),
            (Some(""), UNSET.to_owned()),
            (Some("  "), UNSET.to_owned()),
            (Some("abc"), unparsable("abc")),
            (Some("0.12.1"), unparsable("0.12.1")),
            (Some("-0.12"), unparsable("-0.12")),
            (Some("0.6"), unsupported("0.6")),
            (Some("0.16"), unsupported("0.16")),
            (Some("0."), unsupported("0.")),
            (Some("1"), unsupported("1")),
        ] {
            let failure = PlatformApi::negotiate(value).unwrap_err();
            assert_eq!(failure.code, ExitCode::PlatformApi);
            assert_eq!(failure.error.to_string(), expected);
        }
    }

    #[test]
    fn app_images_stood_on_stacks_below_0_12() {
        for (value, expected) in [
            (None, Some(true)),
            (Some(""), Some(true)),
            (Some("0.3"), Some(true)),
            (Some("0.11"), Some(true)),
            (Some("0.12"), Some(false)),
            (Some("0.99"), Some(false)),
            (Some("1.0"), Some(false)),
            (Some("new"), None),
        ] {
            assert_eq!(is_on_stack(value).ok(), expected, "{value:?}");
        }
    }

    #[test]
    fn module_apis_are_verified() {
        for minor in 0..=30 {
            let module = element(&format!("0.{minor}"));
            let (api, log) = captured(|| verify_module("Buildpack", &module));
            let expected = (7..=12).contains(&minor).then_some(v(minor));
            assert_eq!(api.ok().map(BuildpackApi::version), expected);
            assert_eq!(log, "", "none is deprecated");
        }
        for (kind, api, expected) in [
            (
                "Buildpack",
                "9.9",
                "failed to set API for Buildpack 'acme/one@1.0.0': buildpack API version '9.9' is incompatible with the lifecycle",
            ),
            (
                "Extension",
                "0.13",
                "failed to set API for Extension 'acme/one@1.0.0': buildpack API version '0.13' is incompatible with the lifecycle",
            ),
            (
                "Buildpack",
                "",
                "failed to parse buildpack API '<nil>' for buildpack 'acme/one@1.0.0'",
            ),
            (
                "Extension",
                "x",
                "failed to parse buildpack API '<nil>' for extension 'acme/one@1.0.0'",
            ),
        ] {
            let failure = verify_module(kind, &element(api)).unwrap_err();
            assert_eq!(failure.code, ExitCode::BuildpackApi);
            assert_eq!(failure.error.to_string(), expected);
        }
    }

    #[test]
    fn deprecated_apis_are_said() {
        let platform = "Platform requested deprecated API '0.7'\n";
        let buildpack = "Buildpack 'acme/one@1.0.0' requests deprecated API '0.7'\n";
        for (mode, level, passes) in [
            (Some("quiet"), None, true),
            (None, Some("WARN"), true),
            (Some("warn"), Some("WARN"), true),
            (Some("nonsense"), Some("WARN"), true),
            (Some("error"), Some("ERROR"), false),
        ] {
            let deprecations = Deprecations {
                platform: &[v(7)],
                buildpack: &[v(7)],
                mode: Mode::named(mode),
            };
            let said = |text: &str| {
                let first = level
                    .map(|level| format!("{level} {text}"))
                    .unwrap_or_default();
                let second = "ERROR Deprecated APIs are disabled by CNB_DEPRECATION_MODE=error\n";
                first + if passes { "" } else { second }
            };
            let code = |code| (!passes).then_some(code);
            let (result, log) = captured(|| deprecations.negotiate(Some("0.7")));
            let ending = (result.err().map(|failure| failure.code), log);
            let expected = (code(ExitCode::PlatformApi), said(platform));
            assert_eq!(ending, expected, "{mode:?}");
            let (result, log) =
                captured(|| deprecations.verify_module("Buildpack", &element("0.7")));
            let ending = (result.err().map(|failure| failure.code), log);
            let expected = (code(ExitCode::BuildpackApi), said(buildpack));
            assert_eq!(ending, expected, "{mode:?}");
            let (result, log) = captured(|| deprecations.negotiate(Some("0.8")));
            assert_eq!((result.is_ok(), log), (true, String::new()), "{mode:?}");
        }
    }
}
