//! Platform API versions, what each changed, and the checks of both APIs (COM-001 to COM-008).
//!
//! A condition on a version has a name here; nobody compares versions elsewhere.

use buildpack::Version;
use buildpack::api::BuildpackApi;
use buildpack::group::GroupElement;

use crate::exit::Failure;

/// A supported Platform API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformApi(Version);

const fn v(minor: u32) -> Version {
    Version { major: 0, minor }
}

impl PlatformApi {
    /// Reads `CNB_PLATFORM_API`'s value (COM-003, COM-005).
    pub fn negotiate(value: Option<&str>) -> Result<Self, Failure> {
        let _ = value;
        todo!()
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

    /// Targets of buildpacks are matched (0.12).
    pub fn has_targets(self) -> bool {
        self.0 >= v(12)
    }

    /// Added layers get a history text (0.12).
    pub fn has_history(self) -> bool {
        self.0 >= v(12)
    }

    /// Dockerfiles are no longer experimental (0.13).
    pub fn has_stable_dockerfiles(self) -> bool {
        self.0 >= v(13)
    }

    /// Launch layers that only the cache knows are restored from it (0.14).
    pub fn restores_launch_layers_from_cache(self) -> bool {
        self.0 >= v(14)
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

/// Checks the Buildpack API of a module; exit 12 otherwise (COM-006 to COM-008). `kind` is `Buildpack` or `Extension`.
pub fn verify_module(kind: &str, module: &GroupElement) -> Result<BuildpackApi, Failure> {
    let _ = (kind, module);
    todo!()
}
