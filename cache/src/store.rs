//! The cache, wherever it is.

use std::io::Read;
use std::path::Path;

use layout::DiffId;
use platform::images::ImageStore;
use platform::{ExitCode, Failure, PlatformApi};

use crate::{CacheMetadata, ImageCache, Miss, VolumeCache};

/// The build cache: a directory, or an image in a registry.
#[derive(Debug)]
pub enum Cache {
    /// A directory.
    Volume(VolumeCache),
    /// An image.
    Image(Box<ImageCache>),
}

impl Cache {
    /// Opens the cache that the flags name, an image before a directory (COM-087, COM-088, RES-029); that they name none
    /// has been warned of with the flags.
    pub fn configured(
        image: Option<&str>,
        dir: Option<&Path>,
        store: &ImageStore,
        api: PlatformApi,
    ) -> Result<Option<Self>, Failure> {
        if let Some(image) = image {
            let cache = ImageCache::open(store, image, api.deletes_cache_images())
                .map_err(|cause| Failure::new(ExitCode::Failed, "create image cache", cause))?;
            return Ok(Some(Self::Image(Box::new(cache))));
        }
        let Some(dir) = dir else {
            return Ok(None);
        };
        VolumeCache::open(dir)
            .map(|cache| Some(Self::Volume(cache)))
            .map_err(|cause| Failure::new(ExitCode::Failed, "create volume cache", cause))
    }

    /// Returns whether there was a cache; a directory is made where it was empty.
    pub fn exists(&self) -> bool {
        match self {
            Self::Volume(_) => true,
            Self::Image(cache) => cache.exists(),
        }
    }

    /// Returns the metadata; what cannot be decoded counts as empty.
    pub fn metadata(&self) -> anyhow::Result<CacheMetadata> {
        match self {
            Self::Volume(cache) => cache.metadata(),
            Self::Image(cache) => cache.metadata(),
        }
    }

    /// Opens a layer; an error says why it is a miss (RES-022). Who reads to the end without an error has read the layer.
    pub fn open_layer(&self, diff_id: &DiffId) -> Result<Box<dyn Read + Send>, Miss> {
        match self {
            Self::Volume(cache) => cache.open_layer(diff_id),
            Self::Image(cache) => cache.open_layer(diff_id),
        }
    }
}

impl From<VolumeCache> for Cache {
    fn from(cache: VolumeCache) -> Self {
        Self::Volume(cache)
    }
}

#[cfg(test)]
mod tests {
    use platform::inputs::{ImageSource, Variables};

    use super::*;

    /// COM-087, COM-088.
    #[test]
    fn an_image_comes_before_a_directory_and_a_directory_must_be_there() {
        let source = ImageSource {
            layout_dir: Some("/no/layouts".into()),
            ..ImageSource::default()
        };
        let store = ImageStore::new(&source, &Variables::default()).unwrap();
        let api = PlatformApi::latest();
        let configured = |image, dir| Cache::configured(image, dir, &store, api);
        assert!(configured(None, None).unwrap().is_none());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        let found = configured(None, Some(path)).unwrap();
        assert!(matches!(found, Some(Cache::Volume(_))));
        // A port that nobody listens on: a cache image is in a registry, whatever the other images are in.
        for dir in [None, Some(path)] {
            let failure = configured(Some("127.0.0.1:1/cache"), dir).unwrap_err();
            let expected =
                r#"failed to create image cache: accessing cache image "127.0.0.1:1/cache": "#;
            assert_eq!(failure.code, ExitCode::Failed);
            assert!(failure.to_string().starts_with(expected), "{failure}");
        }
        let absent = path.join("absent");
        let failure = configured(None, Some(&absent)).unwrap_err();
        let expected = format!(
            "failed to create volume cache: stat {}: no such file or directory",
            absent.display()
        );
        assert_eq!(
            (failure.code, failure.to_string()),
            (ExitCode::Failed, expected)
        );
    }
}
