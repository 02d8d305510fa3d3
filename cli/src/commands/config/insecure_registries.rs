//! `slipway config insecure-registries`: registries that are spoken to whatever their certificate is.

use std::io::Write;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use crate::config::{Config, edit};

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
        let mut all = config.insecure_registries().to_vec();
        match &self.command {
            None | Some(Command::List) => {
                for registry in &all {
                    writeln!(out, "{registry}")?;
                }
            }
            Some(Command::Add { registry }) if all.contains(registry) => {
                writeln!(out, "registry {registry} is insecure already")?;
            }
            Some(Command::Add { registry }) => {
                all.push(registry.clone());
                set(config, &all)?;
                writeln!(out, "registry {registry} is insecure from now on")?;
            }
            Some(Command::Remove { registry }) if all.contains(registry) => {
                all.retain(|it| it != registry);
                set(config, &all)?;
                writeln!(out, "registry {registry} is insecure no longer")?;
            }
            Some(Command::Remove { registry }) => {
                writeln!(out, "registry {registry} was not insecure")?;
            }
        }
        Ok(())
    }
}

fn set(config: &Config, registries: &[String]) -> anyhow::Result<()> {
    let mut edit = config.edit()?;
    if registries.is_empty() {
        edit.unset(KEY);
    } else {
        edit.set(KEY, edit::texts(registries));
    }
    edit.save()
}
