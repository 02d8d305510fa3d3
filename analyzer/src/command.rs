//! From flags to `analyzed.toml` (ANA-001 to ANA-013, ANA-024).

use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::inputs::analyzer::{self, Inputs as Flags};
use platform::{Failure, files, privileges};
use tracing::debug;

use crate::{Images, Inputs};

/// Runs the phase as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = analyzer::parse(invocation)? else {
        return Ok(());
    };
    debug!("Ensuring privileges...");
    let user = flags.user;
    let dirs = [
        Some(flags.layers_dir.as_path()),
        flags.cache_dir.as_deref(),
        flags.launch_cache_dir.as_deref(),
    ];
    privileges::own(user.uid, user.gid, &dirs)?;
    let images = find_images(&flags);
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    analyze(invocation, &flags, &images?)?;
    Ok(())
}

/// Looks the images up while the phase still has the rights that the platform gave it: a layout need not be readable
/// to the user of the build.
pub fn find_images(flags: &Flags) -> Result<Images, Failure> {
    let images = Images::find(&flags.images, &flags.previous_image, &flags.run_image)?;
    Ok(images.hold())
}

/// Analyzes and writes `analyzed.toml`: the way that the analyzer and the creator share.
pub fn analyze(
    invocation: &Invocation,
    flags: &Flags,
    images: &Images,
) -> Result<Analyzed, Failure> {
    let analyzed = crate::run(Inputs {
        api: invocation.api,
        images,
        layers_dir: &flags.layers_dir,
        skip_layers: flags.skip_layers,
    })?;
    files::analyzed::write(&flags.analyzed_path, &analyzed)?;
    Ok(analyzed)
}
