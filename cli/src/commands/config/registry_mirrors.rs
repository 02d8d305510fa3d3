//! `slipway config registry-mirrors`: where else images of a registry are.

use std::io::Write;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::entry::{self, Change};
use crate::config::Config;

/// List, add and remove mirrors of image registries
///
/// Images of that registry are read from the mirror, and keep their names. Nothing is written there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config registry-mirrors add index.docker.io --mirror 10.0.0.1
  slipway config registry-mirrors add '*' --mirror 10.0.0.1")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, a registry and its mirror a line
    List,
    /// Set the mirror of a registry
    Add {
        /// Registry that has a mirror, or * for all
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        registry: String,
        /// Registry to ask instead
        #[arg(long, short, value_parser = NonEmptyStringValueParser::new())]
        mirror: String,
    },
    /// Remove the mirror of a registry
    Remove {
        /// Registry that has a mirror
        registry: String,
    },
}

const KEY: &str = "registry-mirrors";

impl Args {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let all = config.registry_mirrors();
        match &self.command {
            None | Some(Command::List) => {
                let line = |(registry, mirror)| format!("{registry}  {mirror}");
                entry::list(all.iter().map(line), out)
            }
            Some(Command::Add { registry, mirror }) => Change {
                is_made: false,
                before: String::new(),
                now: format!("set the mirror of {registry} to {mirror}"),
            }
            .make(config, out, |edit| edit.set_in(KEY, registry, mirror)),
            Some(Command::Remove { registry }) => Change {
                is_made: !all.contains_key(registry),
                before: format!("{registry} has no mirror"),
                now: format!("removed the mirror of {registry}"),
            }
            .make(config, out, |edit| {
                edit.unset_in(KEY, registry);
            }),
        }
    }
}
