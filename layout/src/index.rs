//! Choosing one image of an index: OCI index or Docker manifest list, nested or not.

use crate::digest::Digest;
use crate::manifest::Platform;

/// Which image of an index is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// This manifest, wherever it is nested.
    pub digest: Option<Digest>,
    /// The manifest with this `org.opencontainers.image.ref.name`.
    pub ref_name: Option<String>,
    /// What it must run on; `None` means linux on this program's architecture.
    pub platform: Option<Platform>,
    /// Distribution name and version, compared where platform alone leaves several.
    pub distro: Option<(String, String)>,
}
