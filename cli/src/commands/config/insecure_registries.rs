//! `slipway config insecure-registries`: registries that are spoken to whatever their certificate is.

use std::io::Write;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use super::entry::{self, Change};
use crate::config::Config;
use crate::config::edit::texts;

/// List, add and remove registries that need no good certificate
///
/// They may have no TLS, or a certificate that nobody vouches for. What `--insecure-registry` says once, said for all commands. Names count to the letter, the port among them. Registries
/// of this machine and of private networks need not be listed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config insecure-registries add registry.local:5000
  slipway config insecure-registries remove registry.local:5000")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them, one a line
    List,
    /// Speak to a registry whatever its certificate is
    Add {
        /// Registry: HOST[:PORT]
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        registry: String,
    },
    /// Ask a registry for a good certificate again
    Remove {
        /// Registry as it is listed
        registry: String,
    },
}

const KEY: &str = "insecure-registries";

impl Args {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let all = config.insecure_registries();
        match &self.command {
            None | Some(Command::List) => entry::list(all, out),
            Some(Command::Add { registry }) => Change {
                is_made: all.contains(registry),
                before: format!("registry {registry} is insecure already"),
                now: format!("registry {registry} is insecure from now on"),
            }
            .make(config, out, |edit| {
                edit.set(KEY, texts(&[all, std::slice::from_ref(registry)].concat()));
            }),
            Some(Command::Remove { registry }) => Change {
                is_made: !all.contains(registry),
                before: format!("registry {registry} was not insecure"),
                now: format!("registry {registry} is insecure no longer"),
            }
            .make(config, out, |edit| {
                let rest: Vec<_> = all.iter().filter(|it| *it != registry).cloned().collect();
                if rest.is_empty() {
                    edit.unset(KEY);
                } else {
                    edit.set(KEY, texts(&rest));
                }
            }),
        }
    }
}
