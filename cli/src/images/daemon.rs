//! A whole image into a daemon, as it is.

use anyhow::Context as _;
use layout::blob;
use layout::draft::{Draft as _, NewImage, Origin, Wanted};
use layout::{Descriptor, Digest, Image, json};

/// Writes an image under the draft's name, and returns its ID. Layers that the daemon has are not sent.
pub(crate) fn copy(image: &Image, draft: ::daemon::DaemonDraft) -> anyhow::Result<Digest> {
    let mut draft = Box::new(draft);
    let blobs = image.blobs();
    let layers = image.layers().map(|(diff_id, descriptor)| Wanted {
        diff_id: diff_id.clone(),
        descriptor: descriptor.clone(),
        origin: Origin::Base(blobs.clone()),
    });
    draft.adopt(&layers.collect::<Vec<_>>())?;
    let manifest = image.manifest();
    let config = blob::read(&**blobs, &manifest.config)?;
    let config = config.with_context(|| format!("its config is not in {}", blobs.location()))?;
    let media_type = manifest.media_type.clone();
    let size = image.manifest_size();
    let image = NewImage {
        config: String::from_utf8(config).context("its config is no text")?,
        diff_ids: image.diff_ids().to_vec(),
        manifest: manifest.clone(),
        manifest_text: json::to_string(manifest)?,
        descriptor: Descriptor::new(
            media_type.unwrap_or(layout::manifest::MediaType::ImageManifest),
            size,
            image.digest().clone(),
        ),
    };
    let id = manifest.config.digest.clone();
    draft.finish(&image, "")?;
    Ok(id)
}
