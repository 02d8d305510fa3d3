//! The restorer phase: layers and metadata of the last build come back (platform.md, restorer).
//!
//! ```text
//! analyzed.toml (previous image) ─┐
//!                                 ├─► metadata: store.toml, <layer>.toml ─► data: layers from the cache ─► SBOM files
//! cache metadata ─────────────────┘
//! ```
//!
//! Obeys RES-014 to RES-030 and BPB-062 to BPB-067. What cannot be restored is rebuilt by its buildpack, so a damaged
//! cache entry is a warning; a layer is never left half restored.

pub mod command;
mod data;
mod metadata;
mod run_image;
mod sbom;

use std::path::Path;

use buildpack::group::GroupElement;
use cache::{Cache, CacheMetadata};
use platform::files::LayersMetadata;
use platform::{ExitCode, Failure, PlatformApi};
use tracing::{debug, info};

/// What restoring works on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// Buildpacks of the group.
    pub buildpacks: &'a [GroupElement],
    /// `<layers>`, absolute.
    pub layers_dir: &'a Path,
    /// Metadata of the previous image.
    pub previous: &'a LayersMetadata,
    /// The cache, if there is one.
    pub cache: Option<&'a Cache>,
    /// True: restore store.toml and nothing else.
    pub skip_layers: bool,
}

/// Restores into the layers directory.
pub fn run(inputs: Inputs<'_>) -> Result<(), Failure> {
    let _timer = platform::log::timer("Restorer");
    restore(&inputs).map_err(|cause| Failure::new(ExitCode::Restore, "restore", cause))
}

fn restore(inputs: &Inputs<'_>) -> anyhow::Result<()> {
    let cached = cached(inputs.cache)?;
    debug!("Restoring Layer Metadata");
    metadata::restore_stores(inputs)?;
    let shas = metadata::restore_layers(inputs, &cached)?;
    data::restore(inputs, &cached, &shas)?;
    if inputs.api.has_sbom() {
        sbom::restore(inputs, &cached)?;
    }
    Ok(())
}

fn cached(cache: Option<&Cache>) -> anyhow::Result<CacheMetadata> {
    if let Some(cache) = cache {
        if !cache.exists() {
            info!("Layer cache not found");
        }
        return cache.metadata();
    }
    debug!("Usable cache not provided, using empty cache metadata");
    Ok(CacheMetadata::default())
}
