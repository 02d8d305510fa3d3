//! The image to rebase: where it is, what it says of itself, which run image it would like (REB-005 to REB-009).

use anyhow::{Context as _, anyhow};
use layout::{Image, Reference};
use platform::files::analyzed::RebaseMetadata;
use platform::images::ImageStore;
use platform::inputs::rebaser::Inputs as Flags;
use platform::{PlatformApi, labels, run_image};

/// The app image, and the name of the run image that it shall stand on.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) image: Image,
    pub(crate) metadata: RebaseMetadata,
    pub(crate) run_image: String,
}

impl App {
    pub(crate) fn find(
        api: PlatformApi,
        flags: &Flags,
        store: &ImageStore,
    ) -> anyhow::Result<Self> {
        let name = flags.previous_image.as_ref().unwrap_or(&flags.output_image);
        let access = "failed to access image to rebase";
        let found = store.find(name).context(access)?.hold();
        let image = found
            .image
            .with_context(|| format!("{access}: there is no image in {}", found.name))?;
        let metadata = metadata_of(&image)?;
        let run_image = match &flags.run_image {
            Some(given) => given.clone(),
            None => recorded_run_image(api, &metadata, name, flags, store)?,
        };
        Ok(Self {
            image,
            metadata,
            run_image,
        })
    }
}

fn metadata_of(image: &Image) -> anyhow::Result<RebaseMetadata> {
    let key = labels::LIFECYCLE_METADATA;
    match image.label(key) {
        None | Some("") => Ok(RebaseMetadata::default()),
        Some(label) => RebaseMetadata::from_label(label)
            .with_context(|| format!("failed to unmarshal context of label '{key}'")),
    }
}

/// Returns the run image that the app image knows, near where the app image is.
fn recorded_run_image(
    api: PlatformApi,
    metadata: &RebaseMetadata,
    app: &str,
    flags: &Flags,
    store: &ImageStore,
) -> anyhow::Result<String> {
    let recorded = run_image::for_rebase(api, &metadata.layers).ok_or_else(|| {
        anyhow!("failed to parse arguments: -run-image is required when there is no run image metadata available")
    })?;
    // An app image that was given as a path is in no registry; its output is.
    let reference = Reference::parse(app).or_else(|_| Reference::parse(&flags.output_image))?;
    run_image::choose(recorded, &reference.registry, &|name| store.can_read(name))
        .map_err(|failure| failure.error)
}
