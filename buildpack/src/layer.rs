//! Layers of a buildpack on disk: `<layers>/<escaped id>/<layer>` and `<layer>.toml` (BPB-020 to BPB-027, EXP-010 to EXP-014).

use std::path::{Path, PathBuf};

/// `<layer>.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerMetadata {
    /// For later buildpacks.
    pub build: bool,
    /// In the app image.
    pub launch: bool,
    /// Kept for the next build.
    pub cache: bool,
    /// Free-form `[metadata]`; `None` where the table is absent.
    pub metadata: Option<toml::Value>,
}

/// A layer as found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildpackLayer {
    /// Its buildpack's id.
    pub buildpack_id: String,
    /// Its name.
    pub name: String,
    /// Its folder, whether or not it is there.
    pub path: PathBuf,
}

impl BuildpackLayer {
    /// Returns `<id>:<name>`.
    pub fn identifier(&self) -> String {
        format!("{}:{}", self.buildpack_id, self.name)
    }

    /// Returns `<layer>.toml` beside the folder.
    pub fn toml_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".toml");
        path.into()
    }

    /// Reads `<layer>.toml`; all false when it is absent.
    pub fn metadata(&self) -> Result<LayerMetadata, Error> {
        todo!()
    }

    /// Writes `<layer>.toml` with `[metadata]` alone, as the restorer does (RES-019).
    pub fn write_restored_metadata(&self, metadata: Option<&toml::Value>) -> Result<(), Error> {
        let _ = metadata;
        todo!()
    }

    /// Returns whether the folder is there.
    pub fn has_contents(&self) -> bool {
        self.path.symlink_metadata().is_ok()
    }

    /// Removes the folder alone.
    pub fn remove_contents(&self) -> Result<(), Error> {
        todo!()
    }

    /// Removes folder, `.toml` and `.sha` (RES-020).
    pub fn remove(&self) -> Result<(), Error> {
        todo!()
    }
}

/// Returns the layers of one buildpack: sub-folders, and `.toml` files other than launch, build, store without one, sorted as the exporter wants them (EXP-010).
pub fn layers_of(layers_dir: &Path, buildpack_id: &str) -> Result<Vec<BuildpackLayer>, Error> {
    let _ = (layers_dir, buildpack_id);
    todo!()
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A bad `<layer>.toml`.
    #[error(transparent)]
    Decode(#[from] crate::decode::Error),
    /// BPB-021.
    #[error("the launch, cache and build flags should be in the types table of {}", .0.display())]
    TopLevelFlags(PathBuf),
}
