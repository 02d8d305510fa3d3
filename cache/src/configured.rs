//! The cache that a platform configured (COM-087, COM-088, RES-029).

use std::path::Path;

use platform::{ExitCode, Failure};

use crate::VolumeCache;

/// Opens the cache that the flags name, an image before a directory; that they name none has been warned of with the flags.
pub fn configured(image: Option<&str>, dir: Option<&Path>) -> Result<Option<VolumeCache>, Failure> {
    if let Some(image) = image {
        let cause =
            anyhow::anyhow!("{image}: this lifecycle cannot reach registries yet; use -cache-dir");
        return Err(Failure::new(ExitCode::Failed, "create image cache", cause));
    }
    let Some(dir) = dir else {
        return Ok(None);
    };
    let cache = VolumeCache::open(dir);
    cache
        .map(Some)
        .map_err(|cause| Failure::new(ExitCode::Failed, "create volume cache", cause))
}
