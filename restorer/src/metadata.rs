//! `store.toml` and `<layer>.toml` from the previous image and from the cache (RES-014 to RES-019).

use std::collections::BTreeMap;

use anyhow::Context as _;
use buildpack::group::escape_id;
use buildpack::layer::BuildpackLayer;
use buildpack::store;
use cache::CacheMetadata;
use platform::files::analyzed::LayerRecord;
use platform::files::value;
use tracing::{debug, info};

use crate::Inputs;

/// diffIDs of the layers whose metadata was restored, by buildpack id and layer name.
pub(crate) type RestoredShas = BTreeMap<(String, String), String>;

/// Writes each buildpack's store, also where layers are skipped (RES-014).
pub(crate) fn restore_stores(inputs: &Inputs<'_>) -> anyhow::Result<()> {
    for buildpack in inputs.buildpacks {
        let record = inputs.previous.buildpack(&buildpack.id);
        let Some(metadata) = record.and_then(|record| record.store.as_ref()) else {
            continue;
        };
        let metadata = match value::from_json(metadata) {
            Some(toml::Value::Table(table)) => table,
            _ => toml::Table::new(),
        };
        store::write(&inputs.layers_dir.join(buildpack.escaped_id()), &metadata)?;
    }
    Ok(())
}

/// Writes `<layer>.toml` of every layer that may come back, and says which diffID it must have.
pub(crate) fn restore_layers(
    inputs: &Inputs<'_>,
    cached: &CacheMetadata,
) -> anyhow::Result<RestoredShas> {
    let mut shas = RestoredShas::new();
    if inputs.skip_layers {
        info!("Skipping buildpack layer analysis");
        return Ok(shas);
    }
    let none = BTreeMap::new();
    for buildpack in inputs.buildpacks {
        let id = &buildpack.id;
        let app = inputs
            .previous
            .buildpack(id)
            .map_or(&none, |record| &record.layers);
        let cache = cached.buildpack(id).map_or(&none, |record| &record.layers);
        let mut restore = |name: &String, record: &LayerRecord| -> anyhow::Result<()> {
            write(inputs, id, name, record)?;
            shas.insert((id.clone(), name.clone()), record.sha.clone());
            Ok(())
        };
        for (name, record) in app {
            if comes_from_image(id, name, record, cache.get(name)) {
                info!("Restoring metadata for \"{id}:{name}\" from app image");
                restore(name, record)?;
            }
        }
        for (name, record) in cache {
            if comes_from_cache(inputs, id, name, record, app.contains_key(name)) {
                info!("Restoring metadata for \"{id}:{name}\" from cache");
                restore(name, record)?;
            }
        }
    }
    Ok(shas)
}

/// RES-016, BPB-065, BPB-066.
fn comes_from_image(
    id: &str,
    name: &str,
    record: &LayerRecord,
    cached: Option<&LayerRecord>,
) -> bool {
    let reason = if !record.launch {
        "marked as launch=false"
    } else if record.build && !record.cache {
        "marked as build=true, cache=false"
    } else if record.cache && !cached.is_some_and(|cached| cached.cache) {
        "marked as cache=true, but not found in cache"
    } else {
        return true;
    };
    debug!("Not restoring metadata for \"{id}:{name}\", {reason}");
    false
}

/// RES-017, RES-018, BPB-067.
fn comes_from_cache(
    inputs: &Inputs<'_>,
    id: &str,
    name: &str,
    record: &LayerRecord,
    in_image: bool,
) -> bool {
    let reason = if !record.cache {
        "marked as cache=false"
    } else if record.launch && (in_image || !inputs.api.restores_launch_layers_from_cache()) {
        "marked as launch=true"
    } else {
        return true;
    };
    debug!("Not restoring \"{id}:{name}\" from cache, {reason}");
    false
}

fn write(inputs: &Inputs<'_>, id: &str, name: &str, record: &LayerRecord) -> anyhow::Result<()> {
    let layer = layer(inputs, id, name)
        .with_context(|| format!("restoring metadata for \"{id}:{name}\""))?;
    layer.write_restored_metadata(value::from_json(&record.data).as_ref())?;
    Ok(())
}

/// Returns the layer of that name; a name that would leave the buildpack's folder is refused, because labels and caches are not believed.
fn layer(inputs: &Inputs<'_>, id: &str, name: &str) -> anyhow::Result<BuildpackLayer> {
    anyhow::ensure!(
        !name.is_empty() && !name.contains('/') && name != "." && name != "..",
        "layer name {name:?} is not the name of a folder"
    );
    Ok(BuildpackLayer {
        buildpack_id: id.to_owned(),
        name: name.to_owned(),
        path: inputs.layers_dir.join(escape_id(id)).join(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(build: bool, launch: bool, cache: bool) -> LayerRecord {
        LayerRecord {
            build,
            launch,
            cache,
            ..LayerRecord::default()
        }
    }

    #[test]
    fn which_metadata_comes_from_the_image() {
        // build, launch, cache in the label; what the cache says of cache; whether it comes back.
        let table = [
            ((false, true, false), None, true),
            ((false, false, false), None, false),
            ((true, true, false), None, false),
            ((true, true, true), None, false),
            ((true, true, true), Some(false), false),
            ((true, true, true), Some(true), true),
            ((false, true, true), Some(true), true),
        ];
        for ((build, launch, cache), cached, expected) in table {
            let cached = cached.map(|cache| record(false, false, cache));
            let comes = comes_from_image(
                "id",
                "layer",
                &record(build, launch, cache),
                cached.as_ref(),
            );
            assert_eq!(comes, expected, "{build} {launch} {cache} {cached:?}");
        }
    }
}
