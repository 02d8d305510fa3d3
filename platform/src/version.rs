//! The version of this lifecycle (COM-011).
//!
//! Platforms compare it with versions of the reference to decide what they may ask for, so it is the reference
//! version that this one is compatible with; our own follows as build metadata.

/// Version, as labels and `-version` give it.
pub const VERSION: &str = concat!("0.21.17+slipway.", env!("CARGO_PKG_VERSION"));

/// Commit that this was built from; empty where the build did not say.
pub const COMMIT: &str = match option_env!("SLIPWAY_COMMIT") {
    Some(commit) => commit,
    None => "",
};

/// Source repository that this was built from; empty where the build did not say.
pub const REPOSITORY: &str = match option_env!("SLIPWAY_REPOSITORY") {
    Some(repository) => repository,
    None => "",
};

/// Returns what `-version` prints: the version, with the commit if that is known.
pub fn with_commit() -> String {
    join(VERSION, COMMIT)
}

/// Returns a version with the commit, if that is known.
///
/// A second `+` would be no semantic version any more, so a commit continues build metadata that is there.
pub fn join(version: &str, commit: &str) -> String {
    if commit.is_empty() || version.contains(commit) {
        return version.to_owned();
    }
    let separator = if version.contains('+') { '.' } else { '+' };
    format!("{version}{separator}{commit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_names_the_commit_once() {
        for (version, commit, expected) in [
            ("1.2.3", "", "1.2.3"),
            ("1.2.3", "abc", "1.2.3+abc"),
            ("1.2.3+abc", "abc", "1.2.3+abc"),
            ("1.2.3+slipway.0.1.0", "abc", "1.2.3+slipway.0.1.0.abc"),
        ] {
            assert_eq!(join(version, commit), expected);
        }
    }

    #[test]
    fn version_begins_with_the_reference_version() {
        assert!(VERSION.starts_with("0.21.17+slipway."));
    }
}
