//! `slipway buildpack package`: a package.toml, or a buildpack by itself, becomes a buildpackage.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use distribution::package::{self, Creation, Sources, Uri};

use crate::commands::builder::{folder_of, labels, target};
use crate::config::{Config, PullPolicy};
use crate::environment;
use crate::images::made::Destination;
use crate::images::packages::{Packages, Purpose};
use crate::images::stores::{self, Stores};

/// Package a buildpack and its dependencies
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Image to make: oci:DIR[:TAG], or a name in the layout repo; docker://NAME, in a registry; the file to make with --format
    /// file
    name: String,
    /// Write it to the registry of its name
    #[arg(long)]
    publish: bool,
    /// File that says what goes into it: package.toml, as pack takes it; by default the one beside the buildpack, if there is one
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of the buildpack, instead of the one in package.toml
    #[arg(long, short, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Form of the package
    #[arg(long, short, value_enum, default_value_t = Form::Image)]
    format: Form,
    /// Platform to make it for, instead of the targets in package.toml
    #[arg(long, short, value_name = "OS[/ARCH[/VARIANT]]")]
    target: Vec<String>,
    /// Label to set; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Put all buildpacks into one layer
    #[arg(long)]
    flatten: bool,
    /// Buildpack to leave out of that layer; may be repeated
    #[arg(long, short = 'e', value_name = "ID@VERSION", requires = "flatten")]
    flatten_exclude: Vec<String>,
    /// When the images that package.toml names are fetched from their registries into the layout repo; by default what is set
    /// with `slipway config pull-policy`, else if they are not there
    #[arg(long, value_name = "POLICY", value_enum)]
    pull_policy: Option<PullPolicy>,
    #[command(flatten)]
    registries: stores::Registries,
}

/// Form of a package.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
enum Form {
    /// An image
    Image,
    /// A .cnb file
    File,
}

const EXAMPLES: &str = "\
Examples:
  slipway buildpack package oci:my-buildpack --path ./my-buildpack
  slipway buildpack package registry.example/my-buildpack --config package.toml --publish
  slipway buildpack package my-buildpack.cnb --format file --config package.toml";

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    if args.publish && args.format == Form::File {
        bail!(
            "--publish is for images: a file stays on this machine\nleave one of --publish and --format file out"
        );
    }
    if args.target.len() > 1 {
        bail!("a package is for one target: make one for each --target");
    }
    let (mut recipe, relative_to) = recipe(args)?;
    if let Some(text) = args.target.first() {
        recipe.targets = vec![target(text)];
    }
    if let Some(path) = &args.path {
        let uri = std::path::absolute(path)?;
        let Some(uri) = uri.to_str() else {
            bail!("{} is not UTF-8", uri.display());
        };
        let entry = match &mut recipe.extension {
            Some(extension) => extension,
            None => recipe.buildpack.get_or_insert_with(Uri::default),
        };
        uri.clone_into(&mut entry.uri);
    }
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, args.pull_policy)?;
    let scratch = tempfile::tempdir()?;
    let packages = Packages {
        stores: &stores,
        platform: Some(recipe.platform()?),
        purpose: Purpose::Use,
    };
    let creation = Creation {
        config: &recipe,
        sources: Sources {
            relative_to: &relative_to,
            scratch: scratch.path(),
            images: &packages,
        },
        flatten: args.flatten.then_some(args.flatten_exclude.as_slice()),
        labels: &labels(&args.label)?,
    };
    let name = &args.name;
    let failed = || format!("failed to package {name}");
    if args.format == Form::File {
        let file = Path::new(name);
        let file = if file.extension().is_none() {
            file.with_extension("cnb")
        } else {
            file.to_owned()
        };
        package::create_file(&creation, &file).with_context(failed)?;
        writeln!(out, "Successfully created package {}", file.display())?;
    } else {
        let destination = Destination::find(name, args.publish, &stores)?;
        let begin = || destination.begin(&stores, scratch.path());
        let made = package::create(&creation, begin, destination.ref_name());
        let digest = made.with_context(failed)?.digest;
        destination.tidy();
        writeln!(out, "Successfully created package {name} ({digest})")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns what to package, and what relative paths in it are from.
fn recipe(args: &Args) -> anyhow::Result<(package::Config, PathBuf)> {
    let here = args.path.as_deref().unwrap_or(Path::new("."));
    let beside = here.join("package.toml");
    let file = match &args.config {
        Some(file) => file,
        None if beside.is_file() => &beside,
        None => return Ok((package::Config::default(), std::path::absolute(here)?)),
    };
    Ok((package::Config::read(file)?, folder_of(file)?))
}
