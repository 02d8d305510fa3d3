//! Image names, and the paths that they have under a layout directory (COM-050, LAY-005 to LAY-007).

use std::path::{Path, PathBuf};

/// A parsed image reference; Docker's naming with weak validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// `index.docker.io` where none was given.
    pub registry: String,
    /// `library/app`.
    pub repository: String,
    /// Tag or digest; the digest wins where both are given.
    pub identifier: Identifier,
}

/// What follows the repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identifier {
    /// A tag, `latest` where none was given.
    Tag(String),
    /// `sha256:<hex>`.
    Digest(String),
}

/// Text that is no image reference.
#[derive(Debug, thiserror::Error)]
#[error("could not parse reference: {0}")]
pub struct ParseError(pub String);

impl Reference {
    /// Parses a name as people type it.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Err(ParseError(text.to_owned()))
    }

    /// Returns `<registry>/<repository>:<tag>` or `<registry>/<repository>@<digest>`.
    pub fn name(&self) -> String {
        todo!()
    }

    /// Returns the tag or the digest string.
    pub fn identifier(&self) -> &str {
        match &self.identifier {
            Identifier::Tag(text) | Identifier::Digest(text) => text,
        }
    }

    /// Returns where the image is under `layout_dir`: `<layout_dir>/index.docker.io/library/app/latest`, `.../sha256/<hex>` for a digest.
    pub fn layout_path(&self, layout_dir: &Path) -> PathBuf {
        let _ = layout_dir;
        todo!()
    }
}

/// Returns the path of an image to read: `text` itself if it begins with `layout_dir`, else the mapped name (LAY-007).
pub fn layout_path_to_read(text: &str, layout_dir: &Path) -> Result<PathBuf, ParseError> {
    let _ = (text, layout_dir);
    todo!()
}
