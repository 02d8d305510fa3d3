//! `lifecycle.toml`: what a lifecycle supports, beside its programs in an archive or a builder (DST-022).
//!
//! Platforms read it before they call anything: the versions decide which Platform API they speak.

use std::path::Path;

use anyhow::Context as _;
use buildpack::{Version, decode, encode, sbom};
use serde::{Deserialize, Serialize};

use crate::{api, version};

/// What a lifecycle supports. Field order is the file's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Descriptor {
    /// Lowest versions, for tools from before `apis`.
    pub api: LowestApis,
    /// All versions.
    pub apis: Apis,
    /// The lifecycle itself.
    pub lifecycle: Lifecycle,
}

/// `[api]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LowestApis {
    /// Lowest Platform API.
    pub platform: String,
    /// Lowest Buildpack API.
    pub buildpack: String,
}

/// `[apis]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Apis {
    /// Buildpack APIs.
    pub buildpack: ApiVersions,
    /// Platform APIs.
    pub platform: ApiVersions,
}

/// Versions of one API, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ApiVersions {
    /// Those that still work but will not for ever.
    pub deprecated: Vec<String>,
    /// Those that work.
    pub supported: Vec<String>,
}

/// `[lifecycle]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Lifecycle {
    /// Its version.
    pub version: String,
    /// Media types of SBOMs that it knows.
    pub sbom_formats: Vec<String>,
}

impl Descriptor {
    /// Returns what this lifecycle supports.
    pub fn of_this() -> Self {
        let versions = |supported: &[Version]| ApiVersions {
            // No API is deprecated (BPD-009, COM-001).
            deprecated: Vec::new(),
            supported: supported.iter().map(Version::to_string).collect(),
        };
        let lowest = |supported: &[Version]| supported[0].to_string();
        Self {
            api: LowestApis {
                platform: lowest(&api::SUPPORTED),
                buildpack: lowest(&buildpack::api::SUPPORTED),
            },
            apis: Apis {
                buildpack: versions(&buildpack::api::SUPPORTED),
                platform: versions(&api::SUPPORTED),
            },
            lifecycle: Lifecycle {
                version: version::VERSION.to_owned(),
                sbom_formats: sbom::MEDIA_TYPES.map(str::to_owned).into(),
            },
        }
    }
}

/// Reads the file.
pub fn read(path: &Path) -> anyhow::Result<Descriptor> {
    decode::from_file(path).context("failed to read lifecycle file")
}

/// Writes the file.
pub fn write(path: &Path, descriptor: &Descriptor) -> anyhow::Result<()> {
    encode::to_file(path, descriptor).context("failed to write lifecycle file")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What platforms are told, word for word; a change here is one that they notice.
    const THIS: &str = r#"
        [lifecycle]
        version = "VERSION"
        sbom-formats = ["application/vnd.cyclonedx+json", "application/spdx+json", "application/vnd.syft+json"]
        [api]
        platform = "0.7"
        buildpack = "0.7"
        [apis.buildpack]
        deprecated = []
        supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"]
        [apis.platform]
        deprecated = []
        supported = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"]
    "#;

    #[test]
    fn this_lifecycle_says_what_it_supports() {
        let expected: Descriptor =
            decode::from_str(&THIS.replace("VERSION", version::VERSION)).unwrap();
        assert_eq!(expected, Descriptor::of_this());
    }

    #[test]
    fn the_file_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lifecycle.toml");
        write(&path, &Descriptor::of_this()).unwrap();
        assert_eq!(read(&path).unwrap(), Descriptor::of_this());
        // For tools that know [api] alone: the lowest versions, DST-022.
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(
            text.contains("[api]\n  platform = \"0.7\"\n  buildpack = \"0.7\"\n"),
            "{text}"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/none/lifecycle.toml")).unwrap_err();
        let expected =
            "failed to read lifecycle file: open /none/lifecycle.toml: no such file or directory";
        assert_eq!(format!("{error:#}"), expected);
    }
}
