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
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    analyze(invocation, &flags)?;
    Ok(())
}

/// Analyzes and writes `analyzed.toml`: the way that the analyzer and the creator share.
pub fn analyze(invocation: &Invocation, flags: &Flags) -> Result<Analyzed, Failure> {
    let images = Images::find(&flags.images, &flags.previous_image, &flags.run_image)?;
    let analyzed = crate::run(Inputs {
        api: invocation.api,
        images: &images,
        layers_dir: &flags.layers_dir,
        skip_layers: flags.skip_layers,
    })?;
    files::analyzed::write(&flags.analyzed_path, &analyzed)?;
    Ok(analyzed)
}
