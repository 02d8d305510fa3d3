//! The analyzer phase: what is known of the previous image and of the run image (platform.md, analyzer).
//!
//! Writes what later phases need into `analyzed.toml`, and lays out the previous image's SBOM for the restorer
//! (ANA-013 to ANA-024). Reads labels and configs; the SBOM layer is the only blob of a layer that it touches.

pub mod command;
mod sbom;

use std::path::Path;

use buildpack::target::Target;
use platform::files::Analyzed;
use platform::files::analyzed::{LayersMetadata, RunImage};
use platform::images::{ImageStore, NamedImage};
use platform::{ExitCode, Failure, PlatformApi, labels};
use tracing::{debug, info};

/// What the analyzer works on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// Where images are.
    pub store: &'a ImageStore,
    /// The two images.
    pub images: &'a Images,
    /// `<layers>`.
    pub layers_dir: &'a Path,
    /// True: restore no SBOM.
    pub skip_layers: bool,
}

/// The images that a build starts from.
#[derive(Clone, Debug)]
pub struct Images {
    /// The image of the last build.
    pub previous: NamedImage,
    /// The image that the app image is based on.
    pub run: NamedImage,
}

impl Images {
    /// Opens the files of their layers, as [`layout::Image::hold`] does.
    #[must_use]
    pub fn hold(self) -> Self {
        Self {
            previous: self.previous.hold(),
            run: self.run.hold(),
        }
    }
}

/// Analyzes.
pub fn run(inputs: Inputs<'_>) -> Result<Analyzed, Failure> {
    let _timer = platform::log::timer("Analyzer");
    let (metadata, previous_reference) = previous_build(&inputs)?;
    if inputs.api.has_sbom() && !inputs.skip_layers {
        sbom::restore(&inputs.images.previous, &metadata, inputs.layers_dir);
    }
    let run_image = run_image(&inputs)?;
    Ok(Analyzed {
        previous_image: Some(previous_reference),
        build_image: None,
        metadata,
        run_image: Some(run_image),
    })
}

/// Returns the metadata label of the previous image and its reference; both empty if the label makes no sense, or if the
/// image lacks layers (ANA-015 to ANA-017).
fn previous_build(inputs: &Inputs<'_>) -> Result<(LayersMetadata, String), Failure> {
    let previous = &inputs.images.previous;
    let reference = say_whether_found(previous);
    let is_whole = inputs.store.is_whole(previous);
    let is_whole = is_whole.map_err(|cause| {
        Failure::new(
            ExitCode::Analyze,
            "analyze",
            cause.context("identifying previous image"),
        )
    })?;
    if !is_whole {
        info!("Ignoring image {:?} because it was corrupt", previous.name);
        return Ok(Default::default());
    }
    let label = previous
        .image
        .as_ref()
        .and_then(|image| image.label(labels::LIFECYCLE_METADATA));
    match label {
        None | Some("") => Ok((LayersMetadata::default(), reference)),
        Some(label) => match LayersMetadata::from_label(label) {
            Ok(metadata) => Ok((metadata, reference)),
            Err(error) => {
                debug!(
                    "Ignoring label {} of {}: {error}",
                    labels::LIFECYCLE_METADATA,
                    previous.name
                );
                Ok(Default::default())
            }
        },
    }
}

fn run_image(inputs: &Inputs<'_>) -> Result<RunImage, Failure> {
    let run = &inputs.images.run;
    let reference = say_whether_found(run);
    if !inputs.api.has_targets() {
        return Ok(RunImage {
            reference,
            ..RunImage::default()
        });
    }
    let target = match &run.image {
        Some(image) => platform::target::of_image(image.config()),
        // ANA-019: what an empty image would say.
        None => Target {
            os: "linux".into(),
            arch: platform::target::this_architecture(),
            ..Target::default()
        },
    };
    if target.os.is_empty() {
        let cause = anyhow::anyhow!("failed to find OS in run image config");
        return Err(Failure::new(ExitCode::Analyze, "analyze", cause));
    }
    Ok(RunImage {
        reference,
        image: run.name.clone(),
        extend: false,
        target: Some(target),
    })
}

/// Logs whether an image was found (ANA-014) and returns its reference.
fn say_whether_found(named: &NamedImage) -> String {
    let reference = named.reference();
    if reference.is_empty() {
        info!("Image with name {:?} not found", named.name);
    } else {
        debug!("Found image with identifier {reference:?}");
    }
    reference.to_owned()
}
