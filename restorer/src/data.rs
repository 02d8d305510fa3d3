//! Contents of cached layers (RES-015, RES-020 to RES-023, RES-026 to RES-028).

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use anyhow::Context as _;
use buildpack::layer::{BuildpackLayer, layers_of};
use cache::{Cache, CacheMetadata, Miss};
use layout::DiffId;
use layout::layer::{self, Extract};
use tracing::{debug, info, warn};

use crate::Inputs;
use crate::metadata::RestoredShas;

/// A layer that comes from the cache.
struct Wanted {
    layer: BuildpackLayer,
    sha: String,
}

/// Restores each layer that is the one that its metadata speaks of; removes the others.
pub(crate) fn restore(
    inputs: &Inputs<'_>,
    cached: &CacheMetadata,
    shas: &RestoredShas,
) -> anyhow::Result<()> {
    let wanted = wanted(inputs, cached, shas)?;
    let Some(cache) = inputs.cache else {
        return Ok(());
    };
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let (queue, results) = (Mutex::new(wanted.iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    thread::scope(|scope| {
        for _ in 0..cores.min(wanted.len()) {
            scope.spawn(|| {
                while let Some(wanted) = next() {
                    let result = restore_one(inputs, cache, wanted);
                    if let Ok(mut results) = results.lock() {
                        results.push(result);
                    }
                }
            });
        }
    });
    let results = results.into_inner().unwrap_or_default();
    anyhow::ensure!(
        results.len() == wanted.len(),
        "restoring data: a thread ended early"
    );
    results
        .into_iter()
        .collect::<anyhow::Result<()>>()
        .context("restoring data")
}

fn wanted(
    inputs: &Inputs<'_>,
    cached: &CacheMetadata,
    shas: &RestoredShas,
) -> anyhow::Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for buildpack in inputs.buildpacks {
        let Some(record) = cached.buildpack(&buildpack.id) else {
            continue;
        };
        for layer in layers_of(inputs.layers_dir, &buildpack.id)
            .context("reading buildpack layer directory")?
        {
            let Some(entry) = record.layers.get(&layer.name).filter(|entry| entry.cache) else {
                continue;
            };
            let identifier = layer.identifier();
            if shas.get(&(buildpack.id.clone(), layer.name.clone())) != Some(&entry.sha) {
                info!("Removing {identifier:?}, wrong sha");
                layer.remove().context("removing layer")?;
                continue;
            }
            info!("Restoring data for {identifier:?} from cache");
            wanted.push(Wanted {
                layer,
                sha: entry.sha.clone(),
            });
        }
    }
    Ok(wanted)
}

/// Restores one layer; a miss is a warning and leaves `<layer>.toml` in place (RES-022).
fn restore_one(inputs: &Inputs<'_>, cache: &Cache, wanted: &Wanted) -> anyhow::Result<()> {
    let identifier = wanted.layer.identifier();
    debug!("Retrieving data for {:?}", wanted.sha);
    let Ok(digest) = wanted.sha.parse() else {
        warn!(
            "Skipping restore for layer {identifier}: '{}' is no digest",
            wanted.sha
        );
        return Ok(());
    };
    let mut tar = match cache.open_layer(&DiffId(digest)) {
        Ok(tar) => tar,
        Err(Miss::Unusable(reason)) => {
            warn!("Skipping restore for layer {identifier}: {reason}");
            return Ok(());
        }
        Err(Miss::Unreadable(cause)) => {
            return Err(cause.context(format!("restoring layer {identifier}")));
        }
    };
    let within = Extract {
        root: Path::new("/"),
        within: inputs.layers_dir,
    };
    match layer::extract(&mut tar, &within) {
        Ok(()) => Ok(()),
        Err(error) => {
            wanted
                .layer
                .remove_contents()
                .context("removing what was restored of a layer")?;
            match error {
                layer::Error::Io(error) => {
                    Err(error).with_context(|| format!("restoring layer {identifier}"))
                }
                // Not what an exporter writes: the entry is damaged, and rebuilding it is safe.
                error => {
                    warn!("Skipping restore for layer {identifier}: {error}");
                    Ok(())
                }
            }
        }
    }
}
