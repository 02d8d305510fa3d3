//! The record of layers as it is spelled in the label (JSON) and in analyzed.toml (TOML).
//!
//! Both spellings come from one macro, so that a field cannot be in one and not in the other. Absent lists are `null`
//! in JSON and missing in TOML.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::{BuildpackLayers, LayerRecord, LayersMetadata, RunImageRecord};
use crate::files::run::RunImageForExport;
use crate::files::value;

/// A free-form value as one spelling holds it.
trait FreeForm: Sized {
    /// Returns the value; `None` for null.
    fn of(json: serde_json::Value) -> Option<Self>;
    /// Returns the value as JSON.
    fn into_json(self) -> serde_json::Value;
}

impl FreeForm for serde_json::Value {
    fn of(json: serde_json::Value) -> Option<Self> {
        Some(json).filter(|json| !json.is_null())
    }

    fn into_json(self) -> serde_json::Value {
        self
    }
}

impl FreeForm for toml::Value {
    fn of(json: serde_json::Value) -> Option<Self> {
        value::from_json(&json)
    }

    /// The file's values came out of a label. A number that no label can hold is nobody's metadata.
    fn into_json(self) -> serde_json::Value {
        value::to_json(&self).unwrap_or_default()
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Sha {
    sha: String,
}

fn sha(text: String) -> Sha {
    Sha { sha: text }
}

/// Returns a list, or nothing for an empty one.
fn unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    Some(list).filter(|list| !list.is_empty())
}

/// The app layers. Old lifecycles wrote one object or one text here: what is no `{"sha": ...}` is left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct App(Option<Vec<Sha>>);

impl<'de> Deserialize<'de> for App {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let app = serde_json::Value::deserialize(deserializer)?;
        let layers = app.as_array().map(Vec::as_slice).unwrap_or_default();
        let diff_id = |layer: &serde_json::Value| Some(sha(layer.get("sha")?.as_str()?.to_owned()));
        Ok(Self(Some(layers.iter().filter_map(diff_id).collect())))
    }
}

macro_rules! spelling {
    ($(#[$doc:meta])* $form:ident, values: $value:ty, $run_image:literal, $top_layer:literal, $data:literal) => {
        $(#[$doc])*
        pub(super) mod $form {
            use super::*;

            #[derive(Debug, Default, Serialize, Deserialize)]
            #[serde(default)]
            pub(in super::super) struct Layers<A = App> {
                pub(super) app: A,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) sbom: Option<Sha>,
                pub(super) buildpacks: Option<Vec<Buildpack>>,
                pub(super) config: Sha,
                pub(super) launcher: Sha,
                #[serde(rename = "process-types")]
                pub(super) process_types: Sha,
                #[serde(rename = $run_image)]
                pub(super) run_image: RunImage,
                #[serde(skip_serializing_if = "Option::is_none")]
                pub(super) stack: Option<Stack>,
            }

            #[derive(Debug, Default, Serialize, Deserialize)]
            #[serde(default)]
            pub(in super::super) struct Buildpack {
                key: String,
                version: String,
                layers: BTreeMap<String, Layer>,
                #[serde(skip_serializing_if = "Option::is_none")]
                store: Option<Store>,
            }

            #[derive(Debug, Default, Serialize, Deserialize)]
            #[serde(default)]
            struct Layer {
                sha: String,
                #[serde(rename = $data)]
                data: Option<$value>,
                build: bool,
                launch: bool,
                cache: bool,
            }

            #[derive(Debug, Default, Serialize, Deserialize)]
            #[serde(default)]
            struct Store {
                metadata: Option<$value>,
            }

            #[derive(Debug, Default, Serialize, Deserialize)]
            #[serde(default)]
            pub(in super::super) struct RunImage {
                #[serde(rename = $top_layer)]
                top_layer: String,
                reference: String,
                #[serde(skip_serializing_if = "String::is_empty")]
                image: String,
                #[serde(skip_serializing_if = "Vec::is_empty")]
                mirrors: Vec<String>,
            }

            #[derive(Debug, Default, Serialize, Deserialize)]
            #[serde(default)]
            pub(in super::super) struct Stack {
                #[serde(rename = $run_image)]
                run_image: RunImageForExport,
            }

            impl From<Layers> for LayersMetadata {
                fn from(form: Layers) -> Self {
                    let app = form.app.0.unwrap_or_default();
                    let buildpacks = form.buildpacks.unwrap_or_default();
                    Self {
                        app: app.into_iter().map(|layer| layer.sha).collect(),
                        sbom: form.sbom.map(|layer| layer.sha),
                        buildpacks: buildpacks.into_iter().map(Into::into).collect(),
                        config: form.config.sha,
                        launcher: form.launcher.sha,
                        process_types: form.process_types.sha,
                        run_image: form.run_image.into(),
                        stack: form.stack.map(|stack| stack.run_image),
                    }
                }
            }

            impl From<LayersMetadata> for Layers {
                fn from(metadata: LayersMetadata) -> Self {
                    let app = metadata.app.into_iter().map(sha).collect();
                    let buildpacks = metadata.buildpacks.into_iter().map(Into::into).collect();
                    Self {
                        app: App(unless_empty(app)),
                        sbom: metadata.sbom.map(sha),
                        buildpacks: unless_empty(buildpacks),
                        config: sha(metadata.config),
                        launcher: sha(metadata.launcher),
                        process_types: sha(metadata.process_types),
                        run_image: metadata.run_image.into(),
                        stack: metadata.stack.map(|run_image| Stack { run_image }),
                    }
                }
            }

            impl From<RunImage> for RunImageRecord {
                fn from(form: RunImage) -> Self {
                    Self {
                        top_layer: form.top_layer,
                        reference: form.reference,
                        image: RunImageForExport {
                            image: form.image,
                            mirrors: form.mirrors,
                        },
                    }
                }
            }

            impl From<RunImageRecord> for RunImage {
                fn from(record: RunImageRecord) -> Self {
                    Self {
                        top_layer: record.top_layer,
                        reference: record.reference,
                        image: record.image.image,
                        mirrors: record.image.mirrors,
                    }
                }
            }

            impl From<Buildpack> for BuildpackLayers {
                fn from(form: Buildpack) -> Self {
                    let record = |layer: Layer| LayerRecord {
                        sha: layer.sha,
                        data: layer.data.map(FreeForm::into_json).unwrap_or_default(),
                        build: layer.build,
                        launch: layer.launch,
                        cache: layer.cache,
                    };
                    let layers = form.layers.into_iter();
                    Self {
                        id: form.key,
                        version: form.version,
                        layers: layers.map(|(name, layer)| (name, record(layer))).collect(),
                        store: form.store.map(|store| {
                            store.metadata.map(FreeForm::into_json).unwrap_or_default()
                        }),
                    }
                }
            }

            impl From<BuildpackLayers> for Buildpack {
                fn from(buildpack: BuildpackLayers) -> Self {
                    let layer = |record: LayerRecord| Layer {
                        sha: record.sha,
                        data: FreeForm::of(record.data),
                        build: record.build,
                        launch: record.launch,
                        cache: record.cache,
                    };
                    let layers = buildpack.layers.into_iter();
                    Self {
                        key: buildpack.id,
                        version: buildpack.version,
                        layers: layers.map(|(name, record)| (name, layer(record))).collect(),
                        store: buildpack.store.map(|metadata| Store {
                            metadata: FreeForm::of(metadata),
                        }),
                    }
                }
            }
        }
    };
}

spelling!(
    /// As in the label `io.buildpacks.lifecycle.metadata` and in the cache.
    label, values: serde_json::Value, "runImage", "topLayer", "data"
);
spelling!(
    /// As in `[metadata]` of analyzed.toml.
    file, values: toml::Value, "run-image", "top-layer", "metadata"
);

impl<A> label::Layers<A> {
    /// Puts something else in the place of `app`, and returns what was there.
    pub(super) fn replace_app<B>(self, app: B) -> (A, label::Layers<B>) {
        let layers = label::Layers {
            app,
            sbom: self.sbom,
            buildpacks: self.buildpacks,
            config: self.config,
            launcher: self.launcher,
            process_types: self.process_types,
            run_image: self.run_image,
            stack: self.stack,
        };
        (self.app, layers)
    }
}
