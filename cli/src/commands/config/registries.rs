//! `slipway config registries`: registries of buildpacks.

use std::io::Write;

use clap::Subcommand;

use crate::config::Config;

/// List the registries of buildpacks in the settings
///
/// Nothing here asks them for buildpacks; what pack has put into the settings is shown and kept.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    _command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, with a star before the default one
    List,
}

pub(super) fn list(config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    for (registry, is_default) in config.registries() {
        let star = if is_default { '*' } else { ' ' };
        writeln!(out, "{star} {}  {}", registry.name, registry.url)?;
    }
    Ok(())
}
