//! Layers of buildpacks: what is found on disk, and which of it goes into the image (EXP-010 to EXP-016).

use std::path::Path;

use anyhow::{Context as _, bail};
use buildpack::group::GroupElement;
use buildpack::layer::{self, BuildpackLayer, LayerMetadata};
use layout::DiffId;
use layout::layer::{Layer, Owner};
use platform::files::LayersMetadata;
use platform::files::analyzed::{BuildpackLayers, LayerRecord};
use platform::files::value;

use crate::app_image::{AlsoCached, AppImage};
use crate::cached_layers::Filling;

/// What one buildpack left in its folder of the layers directory.
#[derive(Debug)]
pub(crate) struct BuildpackDir {
    pub(crate) module: GroupElement,
    store: Option<toml::Table>,
    layers: Vec<FoundLayer>,
    /// Ids of layers whose `<layer>.toml` cannot be read.
    malformed: Vec<String>,
}

/// A layer whose `<layer>.toml` makes sense.
#[derive(Debug)]
pub(crate) struct FoundLayer {
    pub(crate) layer: BuildpackLayer,
    pub(crate) metadata: LayerMetadata,
}

impl BuildpackDir {
    /// Looks at a buildpack's folder; one without a folder has no layers.
    pub(crate) fn read(layers_dir: &Path, module: &GroupElement) -> anyhow::Result<Self> {
        let path = layers_dir.join(module.escaped_id());
        tracing::debug!("Processing buildpack directory: {}", path.display());
        let describe = || format!("reading layers for buildpack '{}'", module.id);
        let mut dir = Self {
            module: module.clone(),
            store: buildpack::store::read(&path).with_context(describe)?,
            layers: Vec::new(),
            malformed: Vec::new(),
        };
        for layer in layer::layers_of(layers_dir, &module.id).with_context(describe)? {
            match layer.metadata() {
                Ok(metadata) => dir.layers.push(FoundLayer { layer, metadata }),
                Err(error) => {
                    tracing::debug!("{error}");
                    dir.malformed.push(layer.identifier());
                }
            }
        }
        Ok(dir)
    }

    /// Returns the layers that the build cache keeps.
    pub(crate) fn cached(&self) -> impl Iterator<Item = &FoundLayer> {
        self.layers.iter().filter(|found| found.metadata.cache)
    }
}

impl FoundLayer {
    /// Returns what is recorded of the layer, in the label and in the cache.
    pub(crate) fn record(&self, diff_id: &DiffId) -> anyhow::Result<LayerRecord> {
        let metadata = &self.metadata;
        let data = metadata.metadata.as_ref().map(value::to_json).transpose();
        Ok(LayerRecord {
            sha: diff_id.to_string(),
            data: data
                .with_context(|| format!("metadata of layer '{}'", self.layer.identifier()))?
                .unwrap_or_default(),
            build: metadata.build,
            launch: metadata.launch,
            cache: metadata.cache,
        })
    }
}

/// Adds one buildpack's launch layers to the image and returns their record for the label.
pub(crate) fn add(
    image: &mut AppImage<'_>,
    dir: &BuildpackDir,
    before: &LayersMetadata,
    owner: Owner,
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
    for found in dir.layers.iter().filter(|found| found.metadata.launch) {
        let name = &found.layer.name;
        tracing::debug!("Processing launch layer: {}", found.layer.path.display());
        let before = before.and_then(|record| record.layers.get(name));
        let created_by = format!(
            "Layer: '{name}', Created by buildpack: {}",
            dir.module.label()
        );
        let diff_id = if found.layer.has_contents() {
            let contents = Layer::of_directory(&found.layer.path, Some(owner))
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
