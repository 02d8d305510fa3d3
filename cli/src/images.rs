//! Images by the names that people type: where they are, and opening them.
//!
//! | name | where |
//! |---|---|
//! | `oci:DIR`, `oci:DIR:TAG`, `oci:DIR@DIGEST` | a layout anywhere |
//! | `oci-archive:FILE`, with `:TAG` too | a tar of a layout |
//! | `NAME`, `NAME:TAG`, `REGISTRY/NAME@DIGEST` | in the layout repo, under the path that the name stands for |

use layout::manifest::Platform;
use layout::{Image, Selector};

use crate::config::Config;

/// An image name as it was typed, understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ImageName {
    /// `oci:`: a directory, and which of its images.
    Layout(std::path::PathBuf, Selector),
    /// `oci-archive:`: a file, and which of its images.
    Archive(std::path::PathBuf, Selector),
    /// A name, to be found in the layout repo.
    Named(String),
}

impl ImageName {
    /// Understands a name.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let _ = text;
        todo!()
    }

    /// Opens the image; `platform` chooses where an index has several. The error says where it was looked for.
    pub(crate) fn open(
        &self,
        config: &Config,
        platform: Option<&Platform>,
    ) -> anyhow::Result<Image> {
        let _ = (config, platform);
        todo!()
    }
}
