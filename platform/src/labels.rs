//! Labels of app images and their JSON (EXP-073 to EXP-081). The types are the files' own: see `files::analyzed` and `files::metadata`.

/// Everything that a rebuild and a rebase need to know.
pub const LIFECYCLE_METADATA: &str = "io.buildpacks.lifecycle.metadata";
/// Buildpacks, processes, launcher.
pub const BUILD_METADATA: &str = "io.buildpacks.build.metadata";
/// Where the source came from.
pub const PROJECT_METADATA: &str = "io.buildpacks.project.metadata";
/// Execution environment.
pub const EXEC_ENV: &str = "io.buildpacks.exec-env";
/// Id of the base.
pub const BASE_ID: &str = "io.buildpacks.base.id";
/// Distribution of the base.
pub const DISTRO_NAME: &str = "io.buildpacks.base.distro.name";
/// Version of the distribution of the base.
pub const DISTRO_VERSION: &str = "io.buildpacks.base.distro.version";
