//! SBOM files, from the cache and from what the analyzer laid out, to beside the layers that they describe (RES-024, RES-025, BPB-062).

use std::path::Path;

use anyhow::Context as _;
use cache::{Cache, CacheMetadata, Miss};
use fs_err as fs;
use layout::DiffId;
use layout::layer::{self, Extract};
use tracing::{debug, info, warn};

use crate::Inputs;

/// Brings SBOM files back, launch over cache, and removes `<layers>/sbom`; skipping layers, says so and does nothing.
pub(crate) fn restore(inputs: &Inputs<'_>, cached: &CacheMetadata) -> anyhow::Result<()> {
    let cache = inputs.cache.filter(|_| !cached.sbom.is_empty());
    if cache.is_some() {
        // The reference logs this before it finds that there is nothing to do.
        info!("Restoring data for SBOM from cache");
    }
    if inputs.skip_layers {
        return Ok(());
    }
    if let Some(cache) = cache
        && let Err(reason) = unpack(cache, &cached.sbom, inputs.layers_dir)
    {
        warn!("Not restoring SBOM from cache: {reason:#}");
    }
    let sbom_dir = inputs.layers_dir.join("sbom");
    let moved = move_out(inputs, &sbom_dir.join("cache"))
        .and_then(|()| move_out(inputs, &sbom_dir.join("launch")));
    match fs::remove_dir_all(&sbom_dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            debug!("Leaving {}: {error}", sbom_dir.display());
        }
        _ => {}
    }
    moved
}

fn unpack(cache: &Cache, sha: &str, layers_dir: &Path) -> anyhow::Result<()> {
    debug!("Retrieving SBOM layer data for {sha:?}");
    let diff_id = DiffId(
        sha.parse()
            .with_context(|| format!("layer with SHA '{sha}'"))?,
    );
    let mut tar = cache.open_layer(&diff_id).map_err(|miss| match miss {
        Miss::Unusable(reason) => anyhow::anyhow!("retrieving layer with SHA '{sha}': {reason}"),
        Miss::Unreadable(cause) => cause.context(format!("retrieving layer with SHA '{sha}'")),
    })?;
    let within = Extract {
        root: Path::new("/"),
        within: layers_dir,
    };
    layer::extract(&mut tar, &within).with_context(|| format!("layer with SHA '{sha}'"))
}

/// Copies `<dir>/<escaped id>/<layer>/sbom*json` to `<layers>/<escaped id>/<layer>.sbom*json`.
fn move_out(inputs: &Inputs<'_>, dir: &Path) -> anyhow::Result<()> {
    for buildpack in inputs.buildpacks {
        let id = buildpack.escaped_id();
        let destination = inputs.layers_dir.join(&id);
        // A launch SBOM may be there although the cache, and with it the folder, is gone.
        if !destination.is_dir() {
            continue;
        }
        for layer in real_dirs(&dir.join(&id))? {
            let Some(name) = layer
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
            else {
                continue;
            };
            for entry in fs::read_dir(&layer)? {
                let entry = entry?;
                let file = entry.file_name().to_string_lossy().into_owned();
                if entry.file_type()?.is_file() && is_sbom(&file) {
                    fs::write(
                        destination.join(format!("{name}.{file}")),
                        fs::read(entry.path())?,
                    )?;
                }
            }
        }
    }
    Ok(())
}

fn real_dirs(dir: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut dirs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            dirs.push(entry.path());
        }
    }
    Ok(dirs)
}

fn is_sbom(name: &str) -> bool {
    name.strip_prefix("sbom")
        .and_then(|rest| rest.strip_suffix("json"))
        .is_some_and(|middle| !middle.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sbom_files() {
        let table = [
            ("sbom.cdx.json", true),
            ("sbom.spdx.json", true),
            ("sbomjson", false),
            ("cdx.json", false),
            ("sbom.cdx.xml", false),
        ];
        for (name, expected) in table {
            assert_eq!(is_sbom(name), expected, "{name}");
        }
    }
}
