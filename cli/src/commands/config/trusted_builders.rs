//! `slipway config trusted-builders`: builders that may see credentials, in pack.

use std::io::Write;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::entry::{self, Change};
use crate::config::Config;

/// List, add and remove trusted builders
///
/// pack runs the buildpacks of a trusted builder where registry credentials are. slipway runs those of every builder
/// without them; the setting is kept for pack.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config trusted-builders add example.org/builder
  slipway config trusted-builders remove example.org/builder")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, one a line
    List,
    /// Trust a builder
    Add {
        /// Builder to trust; without a tag, every tag of it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        builder: String,
    },
    /// Trust a builder no longer
    Remove {
        /// Builder as it is listed
        builder: String,
    },
}

const KEY: &str = "trusted-builders";

impl Args {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let is_listed = |builder: &str| config.trusted_builders().any(|it| it == builder);
        match &self.command {
            None | Some(Command::List) => entry::list(config.trusted_builders(), out),
            Some(Command::Add { builder }) => Change {
                is_made: is_listed(builder),
                before: format!("builder {builder} is already trusted"),
                now: format!("builder {builder} is now trusted"),
            }
            .make(config, out, |edit| {
                edit.set_of(KEY, ("name", builder), "name", builder.as_str().into());
            }),
            Some(Command::Remove { builder }) => Change {
                is_made: !is_listed(builder),
                before: format!("builder {builder} was not trusted"),
                now: format!("builder {builder} is no longer trusted"),
            }
            .make(config, out, |edit| edit.remove_of(KEY, ("name", builder))),
        }
    }
}
