//! What an app image says of the base that it stands on now (REB-016, REB-018 to REB-021).

use layout::{ImageConfig, json};
use platform::PlatformApi;
use platform::files::RunImageForExport;
use platform::files::analyzed::{LayersMetadata, RebaseMetadata};
use platform::{labels, run_image};

use crate::validation;

/// Checks that the app image knows the new run image by this name; with `force` it gets to know it (REB-016).
pub(crate) fn check_name(app: &mut LayersMetadata, name: &str, force: bool) -> anyhow::Result<()> {
    let mut known = std::iter::once(&app.run_image.image).chain(&app.stack);
    if known.any(|image| run_image::contains(image, name)) {
        return Ok(());
    }
    let existing = match &app.stack {
        _ if !app.run_image.image.image.is_empty() => app.run_image.to_json(),
        Some(stack) => json::to_string(stack)?,
        None => "not found".to_owned(),
    };
    let doubt = format!(
        "rebase app image: new base image '{name}' not found in existing run image metadata: {existing}"
    );
    validation::doubted(&doubt, force)?;
    let image = RunImageForExport {
        image: name.to_owned(),
        mirrors: Vec::new(),
    };
    app.run_image.image = image.clone();
    app.stack = Some(image);
    Ok(())
}

/// Sets the metadata label, and has the labels of the new base in the place of the old one's. Others stay.
pub(crate) fn update(
    config: &mut ImageConfig,
    new_base: &ImageConfig,
    api: PlatformApi,
    metadata: &RebaseMetadata,
) {
    let is_of_base = |key: &str| {
        key.starts_with("io.buildpacks.stack.")
            || api.has_base_labels() && key.starts_with("io.buildpacks.base.")
    };
    let labels = &mut config.config.labels;
    labels.insert(labels::LIFECYCLE_METADATA.to_owned(), metadata.to_label());
    labels.retain(|key, _| !is_of_base(key));
    let of_base = new_base.config.labels.iter();
    let of_base = of_base.filter(|(key, _)| is_of_base(key));
    labels.extend(of_base.map(|(key, value)| (key.clone(), value.clone())));
}
