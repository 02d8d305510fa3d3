//! Labels of app images and their JSON (EXP-073 to EXP-081). The types are the files' own: see `files::analyzed` and `files::metadata`.

/// Everything that a rebuild and a rebase need to know.
pub const LIFECYCLE_METADATA: &str = "io.buildpacks.lifecycle.metadata";
/// Buildpacks, processes, launcher.
pub const BUILD_METADATA: &str = "io.buildpacks.build.metadata";
/// Where the source came from.
pub const PROJECT_METADATA: &str = "io.buildpacks.project.metadata";
/// Execution environment.
pub const EXEC_ENV: &str = "io.buildpacks.exec-env";
/// `false`: the image asks not to be rebased.
pub const REBASABLE: &str = "io.buildpacks.rebasable";
/// Id of the stack, below 0.12.
pub const STACK_ID: &str = "io.buildpacks.stack.id";
/// Mixins of the stack, a JSON array, below 0.12.
pub const MIXINS: &str = "io.buildpacks.stack.mixins";
/// Id of the base.
pub const BASE_ID: &str = "io.buildpacks.base.id";
/// Distribution of the base.
pub const DISTRO_NAME: &str = "io.buildpacks.base.distro.name";
/// Version of the distribution of the base.
pub const DISTRO_VERSION: &str = "io.buildpacks.base.distro.version";
