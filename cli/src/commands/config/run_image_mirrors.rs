//! `slipway config run-image-mirrors`: where else a run image is.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use crate::config::Config;
use crate::config::edit::texts;

/// List, add and remove mirrors of run images
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config run-image-mirrors add example.org/run --mirror a.example.org/run --mirror b.example.org/run
  slipway config run-image-mirrors list example.org/run
  slipway config run-image-mirrors remove example.org/run")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List them: each run image, and its mirrors below it
    List {
        /// Run image to list the mirrors of; all without it
        image: Option<String>,
    },
    /// Add mirrors of a run image
    Add {
        /// Run image, as builders name it
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        image: String,
        /// Name of the same image elsewhere; may be repeated
        #[arg(
            long = "mirror",
            short,
            value_name = "MIRROR",
            required = true,
            value_delimiter = ','
        )]
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        mirrors: Vec<String>,
    },
    /// Remove mirrors of a run image
    Remove {
        /// Run image, as builders name it
        image: String,
        /// Mirror to remove; may be repeated; all without it
        #[arg(long = "mirror", short, value_name = "MIRROR", value_delimiter = ',')]
        mirrors: Vec<String>,
    },
}

const KEY: &str = "run-images";

impl Args {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        match &self.command {
            None => list(None, config, out),
            Some(Command::List { image }) => list(image.as_deref(), config, out),
            Some(Command::Add { image, mirrors }) => add(image, mirrors, config, out),
            Some(Command::Remove { image, mirrors }) => remove(image, mirrors, config, out),
        }
    }
}

fn list(wanted: Option<&str>, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let images = config.run_images().iter();
    for run in images.filter(|run| wanted.is_none_or(|wanted| wanted == run.image)) {
        writeln!(out, "{}", run.image)?;
        for mirror in &run.mirrors {
            writeln!(out, "  {mirror}")?;
        }
    }
    Ok(())
}

/// Sorted and each once, as pack keeps them.
fn add(image: &str, new: &[String], config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
    let all: BTreeSet<_> = config.run_image_mirrors(image).iter().chain(new).collect();
    let all: Vec<_> = all.into_iter().cloned().collect();
    let mut edit = config.edit()?;
    edit.set_of(KEY, ("image", image), "mirrors", texts(&all));
    edit.save()?;
    for mirror in new {
        writeln!(out, "added mirror {mirror} of {image}")?;
    }
    Ok(())
}

fn remove(
    image: &str,
    gone: &[String],
    config: &Config,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let present = config.run_image_mirrors(image);
    let is_gone = |mirror: &String| gone.is_empty() || gone.contains(mirror);
    let (gone, rest): (Vec<_>, Vec<_>) = present.iter().cloned().partition(is_gone);
    let is_listed = config.run_images().iter().any(|run| run.image == image);
    if gone.is_empty() && !(rest.is_empty() && is_listed) {
        return Ok(writeln!(out, "{image} has no such mirror")?);
    }
    let mut edit = config.edit()?;
    if rest.is_empty() {
        edit.remove_of(KEY, ("image", image));
    } else {
        edit.set_of(KEY, ("image", image), "mirrors", texts(&rest));
    }
    edit.save()?;
    for mirror in gone {
        writeln!(out, "removed mirror {mirror} of {image}")?;
    }
    Ok(())
}
