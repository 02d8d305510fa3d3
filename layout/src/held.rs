//! Layers whose files are open already, for a reader who is about to lose the right to open them.
//!
//! A phase begins with the rights that its platform gave it and goes on as the user of the build, who may not be
//! allowed to read the run image's layout: other programs write blobs for their owner alone.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use fs_err as fs;

use crate::blob::{Blobs, Error, Section};
use crate::digest::{Digest, Verified};
use crate::manifest::Descriptor;

/// Blobs of another place, some of them open.
#[derive(Debug)]
pub(crate) struct HeldBlobs {
    blobs: Arc<dyn Blobs>,
    files: BTreeMap<String, Arc<fs::File>>,
}

impl HeldBlobs {
    /// Opens what can be opened; for the rest the place itself is asked, when somebody wants to read it.
    ///
    /// Blobs that are not files come back as they are, so that a registry still recognises its own.
    pub(crate) fn hold(blobs: Arc<dyn Blobs>, layers: &[Descriptor]) -> Arc<dyn Blobs> {
        let held = Self::open(Arc::clone(&blobs), layers);
        if held.files.is_empty() {
            blobs
        } else {
            Arc::new(held)
        }
    }

    fn open(blobs: Arc<dyn Blobs>, layers: &[Descriptor]) -> Self {
        let open = |layer: &Descriptor| {
            let file = fs::File::open(blobs.path(&layer.digest)?).ok()?;
            Some((layer.digest.to_string(), Arc::new(file)))
        };
        let files = layers.iter().filter_map(open).collect();
        Self { blobs, files }
    }
}

impl Blobs for HeldBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let Descriptor { digest, size, .. } = blob;
        let Some(file) = self.files.get(digest.as_ref()) else {
            return self.blobs.open(blob);
        };
        let path = file.path().to_owned();
        let found = file.metadata()?.len();
        if found != *size {
            return Err(Error::Size {
                path,
                expected: *size,
                found,
            });
        }
        // To its end, and not `size` bytes: that it grew meanwhile is to be found out.
        let reader = Section::new(file, 0, u64::MAX);
        match Verified::new(reader, digest, Some(*size), path.display().to_string()) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(Error::Algorithm(digest.clone())),
        }
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        self.blobs.path(digest)
    }

    fn location(&self) -> String {
        self.blobs.location()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::LayoutBlobs;
    use crate::digest::sha256;
    use crate::manifest::MediaType;

    fn layer(bytes: &[u8]) -> Descriptor {
        Descriptor::new(MediaType::ImageLayer, bytes.len() as u64, sha256(bytes))
    }

    fn read(blobs: &dyn Blobs, layer: &Descriptor) -> Result<Option<Vec<u8>>, String> {
        let reader = blobs.open(layer);
        let Some(mut reader) = reader.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        read.map_err(|error| error.to_string())?;
        Ok(Some(bytes))
    }

    #[test]
    fn what_is_held_is_read_again_and_again_whoever_may_open_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = LayoutBlobs::of(dir.path());
        let (held, damaged, absent) = (layer(b"held"), layer(b"whole"), layer(b"absent"));
        fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        fs::write(place.file(&held.digest), "held").unwrap();
        fs::write(place.file(&damaged.digest), "whale").unwrap();
        let layers = [held.clone(), damaged.clone(), absent.clone()];
        let blobs = HeldBlobs::open(Arc::new(place), &layers);

        assert_eq!(blobs.location(), dir.path().display().to_string());
        assert!(blobs.path(&held.digest).is_some());
        // Nobody can open it any more.
        fs::remove_dir_all(dir.path()).unwrap();
        for _ in 0..2 {
            assert_eq!(read(&blobs, &held), Ok(Some(b"held".to_vec())));
        }
        let error = read(&blobs, &damaged).unwrap_err();
        assert!(error.contains("its digest is"), "{error}");
        let short = Descriptor { size: 3, ..held };
        let error = read(&blobs, &short).unwrap_err();
        assert!(error.contains("has 4 bytes"), "{error}");
        assert_eq!(read(&blobs, &absent), Ok(None));
    }

    #[test]
    fn blobs_that_are_no_files_stay_what_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let blobs: Arc<dyn Blobs> = Arc::new(LayoutBlobs::of(dir.path()));
        let held = HeldBlobs::hold(Arc::clone(&blobs), &[layer(b"absent")]);
        assert!(Arc::ptr_eq(&blobs, &held));
    }
}
