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

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(result: Result<Option<VolumeCache>, Failure>) -> (ExitCode, String) {
        let failure = result.unwrap_err();
        (failure.code, failure.to_string())
    }

    /// COM-087, COM-088.
    #[test]
    fn an_image_comes_before_a_directory_and_a_directory_must_be_there() {
        assert!(configured(None, None).unwrap().is_none());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        assert!(configured(None, Some(path)).unwrap().is_some());
        let text = "failed to create image cache: cache:1: this lifecycle cannot reach registries yet; use -cache-dir";
        let expected = (ExitCode::Failed, text.to_owned());
        assert_eq!(ending(configured(Some("cache:1"), None)), expected);
        assert_eq!(ending(configured(Some("cache:1"), Some(path))), expected);
        let absent = path.join("absent");
        let text = format!(
            "failed to create volume cache: stat {}: no such file or directory",
            absent.display()
        );
        let expected = (ExitCode::Failed, text);
        assert_eq!(ending(configured(None, Some(&absent))), expected);
    }
}
