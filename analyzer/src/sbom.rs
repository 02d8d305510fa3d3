//! The previous image's SBOM layer, unpacked for the restorer (ANA-021, ANA-022, LAY-030).
//!
//! An SBOM helps a rebuild but is not needed for one: what cannot be unpacked is a warning (design: blobs of a layout).

use std::path::Path;

use anyhow::Context as _;
use layout::layer::{self, Extract};
use layout::{DiffId, Image};
use platform::files::LayersMetadata;
use platform::images::NamedImage;
use tracing::{debug, info, warn};

/// Unpacks the SBOM layer to the paths recorded in it, none of them outside `layers_dir`.
pub(crate) fn restore(previous: &NamedImage, metadata: &LayersMetadata, layers_dir: &Path) {
    let Some(image) = &previous.image else { return };
    let Some(sha) = metadata.sbom.as_deref().filter(|sha| !sha.is_empty()) else {
        return;
    };
    info!("Restoring data for SBOM from previous image");
    debug!("Retrieving previous image SBOM layer for {sha:?}");
    if let Err(error) = unpack(image, sha, layers_dir) {
        warn!(
            "Not restoring SBOM of previous image {}: {error:#}",
            previous.name
        );
    }
}

fn unpack(image: &Image, sha: &str, layers_dir: &Path) -> anyhow::Result<()> {
    let diff_id = DiffId(sha.parse().with_context(|| format!("layer '{sha}'"))?);
    let mut tar = image
        .open_layer(&diff_id)
        .with_context(|| format!("layer '{sha}'"))?
        .with_context(|| format!("its layout does not hold the blob of layer '{sha}'"))?;
    let within = Extract {
        root: Path::new("/"),
        within: layers_dir,
    };
    layer::extract(&mut tar, &within).with_context(|| format!("layer '{sha}'"))
}
