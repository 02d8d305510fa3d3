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

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Err(ParseVersionError(text.to_owned()))
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

    /// Returns the version.
    pub fn version(self) -> Version {
        self.0
    }

    /// Positional arguments are given as variables too (0.8).
    pub fn has_path_variables(self) -> bool {
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
