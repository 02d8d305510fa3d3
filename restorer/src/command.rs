//! From flags to restored layers (RES-001 to RES-013, RES-029).

use std::path::Path;

use buildpack::group::Group;
use cache::Cache;
use platform::entry::Invocation;
use platform::files::LayersMetadata;
use platform::images::ImageStore;
use platform::inputs::restorer::{self, Inputs as Flags};
use platform::{ExitCode, Failure, files, privileges};
use tracing::{debug, warn};

use crate::{Inputs, run_image};

/// Where the extender keeps base images.
pub(crate) const KANIKO_DIR: &str = "/kaniko";

/// Runs the phase as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = restorer::parse(invocation)? else {
        return Ok(());
    };
    debug!("Ensuring privileges...");
    let run_image = recorded_run_image(&flags);
    let names = [flags.build_image.as_deref(), run_image.as_deref()];
    let store = ImageStore::new(&flags.images, &invocation.variables)?
        .with_credentials_for(names.into_iter().flatten(), flags.cache_image.as_deref());
    let user = flags.user;
    let dirs = [
        Some(flags.layers_dir.as_path()),
        flags.cache_dir.as_deref(),
        Some(Path::new(KANIKO_DIR)),
    ];
    privileges::own(user.uid, user.gid, &dirs)?;
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    restore(invocation, &flags, &store)
}

/// Returns the name of the run image in `analyzed.toml`, for its credentials alone; a file that cannot be read is for
/// [`previous`] to warn of.
fn recorded_run_image(flags: &Flags) -> Option<String> {
    let analyzed = files::analyzed::read(&flags.analyzed_path).ok()?;
    Some(analyzed.run_image?.image)
}

fn restore(invocation: &Invocation, flags: &Flags, store: &ImageStore) -> Result<(), Failure> {
    let group = files::group::read(&flags.group_path)?;
    for element in &group.group {
        platform::api::verify_module("Buildpack", element)?;
    }
    let previous = previous(invocation, flags, store, &group)?;
    let (image, dir) = (flags.cache_image.as_deref(), flags.cache_dir.as_deref());
    let cache = Cache::configured(image, dir, store, invocation.api)?;
    crate::run(Inputs {
        api: invocation.api,
        buildpacks: &group.group,
        layers_dir: &flags.layers_dir,
        previous: &previous,
        cache: cache.as_ref(),
        skip_layers: flags.skip_layers,
    })
}

/// Reads `analyzed.toml`, completes it and writes it back; an unreadable one is left alone (RES-008).
fn previous(
    invocation: &Invocation,
    flags: &Flags,
    store: &ImageStore,
    group: &Group,
) -> Result<LayersMetadata, Failure> {
    let mut analyzed = match files::analyzed::read(&flags.analyzed_path) {
        Ok(analyzed) => analyzed,
        Err(failure) => {
            warn!(
                "Not using analyzed data, usable file not found: {:#}",
                failure.error
            );
            return Ok(LayersMetadata::default());
        }
    };
    run_image::complete(invocation, flags, store, group, &mut analyzed)?;
    files::analyzed::write(&flags.analyzed_path, &analyzed)
        .map_err(|cause| Failure::new(ExitCode::Failed, "write analyzed metadata", cause))?;
    Ok(analyzed.metadata)
}
