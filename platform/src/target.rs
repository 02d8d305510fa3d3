//! What an image runs on, from its config and labels, with the build container's os-release to fall back on (COM-079 to COM-083).

use std::path::Path;

use buildpack::target::Target;
use layout::ImageConfig;

/// Returns this program's architecture in Go's words, `amd64`.
pub fn this_architecture() -> &'static str {
    todo!()
}

/// Returns the target data of an image (COM-079).
pub fn of_image(config: &ImageConfig) -> Target {
    let _ = config;
    todo!()
}

/// Returns the target that buildpacks see: analyzed.toml's, completed where it has no distribution (COM-082). Logs once where it reads `os_release`.
pub fn for_buildpacks(analyzed: Option<&Target>, os_release: &Path) -> Target {
    let _ = (analyzed, os_release);
    todo!()
}
