//! API versions: what one looks like, which ones the launcher supports and what they decide at launch
//! (BPX-002, BPX-005, BPD-005).
//!
//! No supported version is deprecated, so `CNB_DEPRECATION_MODE` has nothing to decide.

/// A Platform API version that the launcher supports, 0.7 to 0.15.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlatformApi(Version);

impl PlatformApi {
    pub(crate) fn supported(version: Version) -> Option<Self> {
        version.is_between(7, 15).then_some(Self(version))
    }

    /// Whether user arguments are treated as the process's command and its buildpack's API say.
    /// Before, they are appended always (BPX-022).
    pub(crate) fn has_overridable_args(self) -> bool {
        self.0 >= Version::new(0, 10)
    }

    /// Whether the exec-env of processes counts (BPX-014).
    pub(crate) fn has_exec_env(self) -> bool {
        self.0 >= Version::new(0, 15)
    }
}

impl std::fmt::Display for PlatformApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0.major, self.0.minor)
    }
}

/// A Buildpack API version that the launcher supports, 0.7 to 0.12.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BuildpackApi(Version);

impl BuildpackApi {
    pub(crate) fn supported(version: Version) -> Option<Self> {
        version.is_between(7, 12).then_some(Self(version))
    }

    /// Whether the args of a process are defaults that user arguments replace (BPX-020, BPX-021).
    pub(crate) fn has_default_args(self) -> bool {
        self.0 >= Version::new(0, 9)
    }
}

/// An API version, supported or not; ordered by number, so 0.10 is newer than 0.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    major: u64,
    minor: u64,
}

impl Version {
    const fn new(major: u64, minor: u64) -> Self {
        Self { major, minor }
    }

    /// Reads `<major>`, `<major>.` or `<major>.<minor>`, with or without a leading `v`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (major, minor) = text.split_once('.').unwrap_or((text, ""));
        let minor = if minor.is_empty() { "0" } else { minor };
        Some(Self::new(number(major)?, number(minor)?))
    }

    fn is_between(self, oldest_minor: u64, newest_minor: u64) -> bool {
        self.major == 0 && (oldest_minor..=newest_minor).contains(&self.minor)
    }
}

/// Reads digits alone: std would take a sign too.
fn number(digits: &str) -> Option<u64> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    only_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (text, version) in [
            ("0.10", Some((0, 10))),
            ("v0.9", Some((0, 9))),
            ("1", Some((1, 0))),
            ("1.", Some((1, 0))),
            ("00.010", Some((0, 10))),
            ("", None),
            ("v", None),
            (".1", None),
            ("vv0.9", None),
            ("0.9.1", None),
            ("0.-9", None),
            ("+0.9", None),
            (" 0.9", None),
            ("0.9\n", None),
            ("0,9", None),
            ("٠.٩", None),
            ("99999999999999999999", None),
        ] {
            let expected = version.map(|(major, minor)| Version::new(major, minor));
            assert_eq!(Version::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn supported_versions_are_those_of_the_rules() {
        for (text, platform, buildpack) in [
            ("0.6", false, false),
            ("0.7", true, true),
            ("0.12", true, true),
            ("0.13", true, false),
            ("0.15", true, false),
            ("0.16", false, false),
            ("1.7", false, false),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!(
                PlatformApi::supported(version).is_some(),
                platform,
                "{text}"
            );
            assert_eq!(
                BuildpackApi::supported(version).is_some(),
                buildpack,
                "{text}"
            );
        }
    }

    #[test]
    fn conditions_start_with_their_version() {
        let platform = |text| PlatformApi::supported(Version::parse(text).unwrap()).unwrap();
        assert!(!platform("0.9").has_overridable_args());
        assert!(platform("0.10").has_overridable_args());
        assert!(!platform("0.14").has_exec_env());
        assert!(platform("0.15").has_exec_env());
        let buildpack = |text| BuildpackApi::supported(Version::parse(text).unwrap()).unwrap();
        assert!(!buildpack("0.8").has_default_args());
        assert!(buildpack("0.9").has_default_args());
        assert!(buildpack("0.10").has_default_args());
    }
}
