//! Versions of the two APIs, and what each Buildpack API version changed.
//!
//! A condition on a version has a name here; nobody compares versions elsewhere.

use std::fmt;
use std::str::FromStr;

/// A version `major.minor`, compared number by number: 0.10 is newer than 0.9 (BPD-005).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Before the dot.
    pub major: u32,
    /// After the dot.
    pub minor: u32,
}

/// Text that is no version.
#[derive(Debug, thiserror::Error)]
#[error("could not parse '{0}' as version")]
pub struct ParseVersionError(pub String);

impl FromStr for Version {
    type Err = ParseVersionError;

    /// Reads digits, then perhaps a dot, then perhaps more digits; a `v` may stand in front, an absent minor is 0 (COM-002).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unversed = text.strip_prefix('v').unwrap_or(text);
        let (major, minor) = unversed.split_once('.').unwrap_or((unversed, "0"));
        let minor = if minor.is_empty() { "0" } else { minor };
        match (number(major), number(minor)) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(ParseVersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Buildpack APIs that can be run, oldest first (BPD-009).
pub const SUPPORTED: [Version; 6] = [v(7), v(8), v(9), v(10), v(11), v(12)];

const fn v(minor: u32) -> Version {
    Version { major: 0, minor }
}

/// A supported Buildpack API, and what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildpackApi(Version);

impl BuildpackApi {
    /// Returns the version as a supported API.
    pub fn supported(version: Version) -> Option<Self> {
        SUPPORTED.contains(&version).then_some(Self(version))
    }

    /// Returns the newest supported API that is not newer than `version`, else the oldest.
    pub fn nearest(version: Version) -> Self {
        let older = SUPPORTED
            .into_iter()
            .rev()
            .find(|supported| *supported <= version);
        Self(older.unwrap_or(SUPPORTED[0]))
    }

    /// Returns the API that a text names, if it is a supported one.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().and_then(Self::supported)
    }

    /// Returns the version.
    pub fn version(self) -> Version {
        self.0
    }

    /// Positional arguments are given as variables too (0.8).
    pub fn has_path_variables(self) -> bool {
        self.0 >= v(8)
    }

    /// A process may name its working directory (0.8).
    pub fn has_process_working_dir(self) -> bool {
        self.0 >= v(8)
    }

    /// Processes are direct only, their commands arrays (0.9).
    pub fn has_direct_processes_only(self) -> bool {
        self.0 >= v(9)
    }

    /// `CNB_TARGET_*` is set (0.10).
    pub fn has_target_variables(self) -> bool {
        self.0 >= v(10)
    }

    /// `CNB_EXEC_ENV` is set and `exec-env` of a descriptor counts (0.12).
    pub fn has_exec_env(self) -> bool {
        self.0 >= v(12)
    }
}

/// Returns plain decimal digits as a number; no sign, no blanks.
fn number(digits: &str) -> Option<u32> {
    let all_digits = digits.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_rule_says() {
        let cases = [
            ("0.10", Some((0, 10))),
            ("v0.7", Some((0, 7))),
            ("1", Some((1, 0))),
            ("0.", Some((0, 0))),
            ("0.12.1", None),
            ("", None),
            ("v", None),
            (".7", None),
            ("0.x", None),
            ("+0.7", None),
            (" 0.7", None),
            ("0.99999999999", None),
        ];
        for (text, parts) in cases {
            let parsed = text.parse().ok();
            assert_eq!(
                parsed,
                parts.map(|(major, minor)| Version { major, minor }),
                "{text}"
            );
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(v(10) > v(9));
        assert!(Version { major: 1, minor: 0 } > v(12));
    }

    #[test]
    fn exactly_six_apis_are_supported() {
        let supported: Vec<_> = (0..20)
            .filter_map(|minor| BuildpackApi::supported(v(minor)))
            .map(|api| api.version().to_string())
            .collect();
        assert_eq!(supported, ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"]);
        assert_eq!(BuildpackApi::parse("0.13"), None);
    }

    #[test]
    fn an_unsupported_version_is_taken_for_its_nearest_elder() {
        let cases = [
            (0, "0.7"),
            (7, "0.7"),
            (9, "0.9"),
            (13, "0.12"),
            (99, "0.12"),
        ];
        for (minor, expected) in cases {
            let nearest = BuildpackApi::nearest(v(minor)).version();
            assert_eq!(nearest.to_string(), expected, "0.{minor}");
        }
    }

    #[test]
    fn each_version_brings_what_the_rules_say() {
        let brings = |minor: u32| {
            let api = BuildpackApi(v(minor));
            [
                api.has_path_variables(),
                api.has_process_working_dir(),
                api.has_direct_processes_only(),
                api.has_target_variables(),
                api.has_exec_env(),
            ]
        };
        assert_eq!(brings(7), [false, false, false, false, false]);
        assert_eq!(brings(8), [true, true, false, false, false]);
        assert_eq!(brings(9), [true, true, true, false, false]);
        assert_eq!(brings(10), [true, true, true, true, false]);
        assert_eq!(brings(12), [true, true, true, true, true]);
    }
}
