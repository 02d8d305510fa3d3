//! Layers that a sparse image leaves out, from wherever the layout repo has them.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use layout::blob::{Blobs, Error, LayoutBlobs};
use layout::digest::Verified;
use layout::{Descriptor, Digest, Image, image};

use crate::layouts::Folders;

/// Files of blobs, by digest.
pub(crate) type Files = HashMap<String, PathBuf>;

/// Blobs of an image, and files elsewhere that some of them are in.
#[derive(Debug)]
struct Elsewhere {
    own: Arc<dyn Blobs>,
    found: Files,
}

/// Returns the image with the layers that it lacks and that some layout below `repo` has. Others stay absent.
pub(crate) fn completed(image: Image, repo: &Path) -> Result<Image, image::Error> {
    let blobs = image.blobs();
    let mut missing: Vec<_> = image.manifest().layers.clone();
    missing.retain(|layer| !matches!(blobs.open(layer), Ok(Some(_))));
    if missing.is_empty() {
        return Ok(image);
    }
    with_files(&image, find(repo, &missing))
}

/// Returns the image with these files as blobs of it.
pub(crate) fn with_files(image: &Image, found: Files) -> Result<Image, image::Error> {
    let blobs = Arc::new(Elsewhere {
        own: Arc::clone(image.blobs()),
        found,
    });
    let (digest, size) = (image.digest().clone(), image.manifest_size());
    let (manifest, config) = (image.manifest().clone(), image.config().clone());
    Image::of_parts(digest, size, manifest, config, blobs)
}

/// Returns the files of these layers that layouts below `repo` have.
pub(crate) fn find(repo: &Path, layers: &[Descriptor]) -> Files {
    let mut found = HashMap::new();
    // What cannot be listed has no layers: they are only looked for.
    let mut folders = Folders::below(repo).flatten();
    while found.len() < layers.len()
        && let Some(folder) = folders.next()
    {
        let blobs = LayoutBlobs::of(&folder);
        for layer in layers {
            let there = blobs.path(&layer.digest);
            let fits = |path: &PathBuf| fs::metadata(path).is_ok_and(|it| it.len() == layer.size);
            if let Some(path) = there.filter(fits) {
                found.insert(layer.digest.to_string(), path);
            }
        }
    }
    found
}

impl Blobs for Elsewhere {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let Some(path) = self.found.get(blob.digest.as_ref()) else {
            return self.own.open(blob);
        };
        let file = fs::File::open(path)?;
        let what = path.display().to_string();
        match Verified::new(file, &blob.digest, Some(blob.size), what) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(Error::Algorithm(blob.digest.clone())),
        }
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        let found = self.found.get(digest.as_ref());
        found.cloned().or_else(|| self.own.path(digest))
    }

    fn location(&self) -> String {
        self.own.location()
    }
}
