//! Layers unpacked on disk, a folder a diffID, made once and shared by every container that uses them.
//!
//! ```text
//! <dir>/<whose ids>/<algorithm>/<hex>/     a whole layer, whiteouts in overlay's form
//! <dir>/<whose ids>/<algorithm>/.tmp-…/    one that is being unpacked, or was when its writer was killed
//! ```

use std::path::PathBuf;

use layout::Image;

use crate::way::Way;

/// A folder of unpacked layers.
#[derive(Clone, Debug)]
pub struct Unpacked {
    dir: PathBuf,
}

/// Something that happens while layers are unpacked.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A layer is being unpacked that was not there.
    Begin {
        /// Its place among those that are missing, from 1.
        number: usize,
        /// How many are missing.
        of: usize,
        /// Its blob's bytes.
        size: u64,
    },
}

impl Unpacked {
    /// Names a folder of unpacked layers, which need not exist yet.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Returns the folders of an image's layers, base first, unpacking those that are missing.
    ///
    /// Two programs at once share the work: one unpacks a layer, the other waits for it.
    pub fn layers(
        &self,
        image: &Image,
        way: &Way,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<PathBuf>, Error> {
        let _ = (&self.dir, image, way, progress);
        todo!()
    }
}

/// Why a layer could not be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
