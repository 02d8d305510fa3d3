//! What a buildpack left in the layers directory, for the image and for the build cache (EXP-010).

use std::path::Path;

use anyhow::Context as _;
use buildpack::group::GroupElement;
use buildpack::layer::{self, BuildpackLayer, LayerMetadata};
use layout::DiffId;
use platform::files::analyzed::LayerRecord;
use platform::files::value;

/// What one buildpack left in its folder of the layers directory.
#[derive(Debug)]
pub(crate) struct BuildpackDir {
    pub(crate) module: GroupElement,
    pub(crate) store: Option<toml::Table>,
    pub(crate) layers: Vec<FoundLayer>,
    /// Ids of layers whose `<layer>.toml` cannot be read.
    pub(crate) malformed: Vec<String>,
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
