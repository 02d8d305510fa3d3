//! Which run image extensions choose (IMX-026, IMX-028 to IMX-030, DET-036, DET-037).

use platform::files::Analyzed;
use platform::files::analyzed::RunImage;
use tracing::{debug, warn};

use super::{Generated, Inputs};

/// What the `run.Dockerfile`s of all extensions come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The image to go over to.
    pub(super) new_base: Option<String>,
    /// It, or the one that there was, shall be extended.
    pub(super) extend: bool,
}

/// Walks from the last `run.Dockerfile` to the first: the first that names an image wins, and those in front of it are
/// marked as ignored.
pub(super) fn choose(dockerfiles: &mut [Generated]) -> Choice {
    let mut choice = Choice::default();
    for generated in dockerfiles.iter_mut().rev() {
        if !generated.is_for_run_image() {
            continue;
        }
        if choice.new_base.is_some() {
            generated.ignored = true;
            continue;
        }
        let effect = &generated.dockerfile.effect;
        choice.extend |= effect.extends;
        if let Some(base) = &effect.new_base {
            debug!(
                "Found a run.Dockerfile from extension '{}' setting run image to '{base}' ",
                generated.extension.id
            );
            choice.new_base = Some(base.clone());
        }
    }
    choice
}

/// Returns what the analyzer found, with the choice in it.
pub(super) fn record(inputs: &Inputs<'_>, choice: &Choice) -> Analyzed {
    let mut analyzed = inputs.analyzed.clone();
    let before = analyzed.run_image.as_ref();
    let before = before.map_or("", |run_image| run_image.image.as_str());
    // As the author wrote it: a digest makes another name of it.
    let is_same = |base: &str| inputs.api.keeps_same_run_image() && base == before;
    if let Some(base) = choice.new_base.as_deref().filter(|base| !is_same(base)) {
        let mut known = inputs.run.images.iter();
        if !known.any(|image| platform::run_image::contains(image, base)) {
            warn!("new runtime base image '{base}' not found in run metadata");
        }
        debug!("Updating analyzed metadata with new run image '{base}'");
        analyzed.run_image = Some(RunImage {
            reference: base.to_owned(),
            image: base.to_owned(),
            extend: choice.extend,
            // Of another image nothing is known yet; the restorer looks it up.
            target: None,
        });
    }
    if let Some(run_image) = analyzed.run_image.as_mut().filter(|_| choice.extend) {
        debug!("Updating analyzed metadata to indicate run image extension");
        run_image.extend = true;
    }
    analyzed
}
