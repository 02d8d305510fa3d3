//! Layers that a sparse image leaves out, from wherever the layout repo has them.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use layout::blob::{Blobs, Error, LayoutBlobs};
use layout::manifest::MediaType;
use layout::{Descriptor, Digest, Image, image};

/// Layouts are this deep below the layout repo at most; names have few parts.
const MAX_DEPTH: usize = 16;

/// Blobs of an image, and of some layers elsewhere.
#[derive(Debug)]
struct Elsewhere {
    own: Arc<dyn Blobs>,
    found: HashMap<String, LayoutBlobs>,
}

/// Returns the image with the layers that it lacks and that some layout below `repo` has. Others stay absent.
pub(crate) fn completed(image: Image, repo: &Path) -> Result<Image, image::Error> {
    let blobs = image.blobs();
    let mut missing: Vec<_> = image.manifest().layers.clone();
    missing.retain(|layer| !matches!(blobs.open(layer), Ok(Some(_))));
    if missing.is_empty() {
        return Ok(image);
    }
    let mut found = HashMap::new();
    look(repo, MAX_DEPTH, &missing, &mut found);
    let blobs = Arc::new(Elsewhere {
        own: Arc::clone(blobs),
        found,
    });
    let (size, digest) = (image.manifest_size(), image.digest().clone());
    let manifest = Descriptor::new(MediaType::ImageManifest, size, digest);
    Image::open(blobs, &manifest)
}

/// What cannot be read has no layers: it is only looked for.
fn look(
    dir: &Path,
    depth: usize,
    missing: &[Descriptor],
    found: &mut HashMap<String, LayoutBlobs>,
) {
    let blobs = LayoutBlobs::of(dir);
    for layer in missing {
        let there = blobs.path(&layer.digest);
        let fits = |path: PathBuf| fs::metadata(path).is_ok_and(|it| it.len() == layer.size);
        if there.is_some_and(fits) {
            found.insert(layer.digest.to_string(), blobs.clone());
        }
    }
    let Some(depth) = depth.checked_sub(1).filter(|_| found.len() < missing.len()) else {
        return;
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir()))
        .filter(|entry| !matches!(entry.file_name().to_str(), Some(".slipway" | "blobs")))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    for folder in folders {
        look(&folder, depth, missing, found);
    }
}

impl Blobs for Elsewhere {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        match self.found.get(blob.digest.as_ref()) {
            Some(blobs) => blobs.open(blob),
            None => self.own.open(blob),
        }
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        match self.found.get(digest.as_ref()) {
            Some(blobs) => blobs.path(digest),
            None => self.own.path(digest),
        }
    }

    fn location(&self) -> String {
        self.own.location()
    }
}
