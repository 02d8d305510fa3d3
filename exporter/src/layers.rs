//! Layers of buildpacks in the image: which of what is found on disk goes into it (EXP-011 to EXP-014, EXP-016).

use anyhow::{Context as _, bail};
use layout::DiffId;
use layout::layer::{self, Layer, Owner};
use platform::files::LayersMetadata;
use platform::files::analyzed::{BuildpackLayers, LayerRecord};
use platform::files::value;

use crate::ahead::{Ahead, Promise, Walked};
use crate::app_image::{AlsoCached, AppImage};
use crate::buildpack_dir::{BuildpackDir, FoundLayer};
use crate::cached_layers::Filling;

/// What one buildpack's launch layers hold, in their order; nothing for those without a folder.
pub(crate) type Contents = Vec<Option<Promise<Result<Walked, layer::Error>>>>;

/// Begins to walk one buildpack's launch layers, and to hash those that image or cache had before.
pub(crate) fn begin(
    ahead: &Ahead<'_>,
    image: &AppImage<'_>,
    dir: &BuildpackDir,
    before: &LayersMetadata,
    owner: Owner,
    filling: Option<&Filling>,
) -> Contents {
    let id = &dir.module.id;
    let before = before.buildpack(id);
    let launched = dir.layers.iter().filter(|found| found.metadata.launch);
    let begin = |found: &FoundLayer| {
        let name = &found.layer.name;
        let record = before.and_then(|record| record.layers.get(name));
        let known: Vec<_> = record
            .map(|record| record.sha.as_str())
            .into_iter()
            .collect();
        let in_cache = found.metadata.cache && filling.is_some_and(|it| it.knows(id, name));
        let compared = image.is_hopeful(&known) || in_cache;
        let path = found.layer.path.clone();
        found.layer.has_contents().then(|| {
            ahead.begin(move || Walked::new(Layer::of_directory(&path, Some(owner))?, compared))
        })
    };
    launched.map(begin).collect()
}

/// Adds one buildpack's launch layers to the image and returns their record for the label.
pub(crate) fn add(
    image: &mut AppImage<'_>,
    dir: &BuildpackDir,
    contents: Contents,
    before: &LayersMetadata,
    mut filling: Option<&mut Filling>,
) -> anyhow::Result<BuildpackLayers> {
    let store = dir.store.as_ref().map(value::table_to_json).transpose();
    let mut record = BuildpackLayers {
        id: dir.module.id.clone(),
        version: dir.module.version.clone(),
        store: store.with_context(|| format!("store of buildpack '{}'", dir.module.id))?,
        ..BuildpackLayers::default()
    };
    let before = before.buildpack(&dir.module.id);
    let launched = dir.layers.iter().filter(|found| found.metadata.launch);
    for (found, contents) in launched.zip(contents) {
        let name = &found.layer.name;
        tracing::debug!("Processing launch layer: {}", found.layer.path.display());
        let before = before.and_then(|record| record.layers.get(name));
        let created_by = format!(
            "Layer: '{name}', Created by buildpack: {}",
            dir.module.label()
        );
        let diff_id = if let Some(contents) = contents {
            let contents = contents
                .wait()
                .with_context(|| format!("creating layer '{}'", found.layer.identifier()))?;
            let cached = filling.as_deref_mut().filter(|_| found.metadata.cache);
            let cached = cached.map(|filling| AlsoCached {
                filling,
                buildpack_id: &dir.module.id,
                layer_name: name,
            });
            let sha = before.map(|record| record.sha.as_str());
            image.add(
                &found.layer.identifier(),
                &created_by,
                &contents,
                sha,
                cached,
            )?
        } else {
            take_over(image, found, before, &created_by)?
        };
        record.layers.insert(name.clone(), found.record(&diff_id)?);
    }
    // Only now: what is good was added first, and logged (EXP-014).
    if !dir.malformed.is_empty() {
        let ids = dir.malformed.join(" ");
        bail!("failed to parse metadata for layers '[{ids}]'");
    }
    Ok(record)
}

/// Takes a layer that the buildpack wants as it was, from the previous image (EXP-012, EXP-013).
fn take_over(
    image: &mut AppImage<'_>,
    found: &FoundLayer,
    before: Option<&LayerRecord>,
    created_by: &str,
) -> anyhow::Result<DiffId> {
    let id = found.layer.identifier();
    if found.metadata.cache {
        bail!("layer '{id}' is cache=true but has no contents");
    }
    let Some(before) = before else {
        bail!("cannot reuse '{id}', previous image has no metadata for layer '{id}'");
    };
    let digest = before.sha.parse();
    let diff_id = DiffId(digest.with_context(|| {
        format!(
            "cannot reuse '{id}', previous image records '{}' as its diffID",
            before.sha
        )
    })?);
    tracing::info!("Reusing layer '{id}'");
    tracing::debug!("Layer '{id}' SHA: {diff_id}");
    image
        .reuse(created_by, &diff_id)
        .with_context(|| format!("reusing layer: '{id}'"))?;
    Ok(diff_id)
}
