//! `slipway manifest`: images for several platforms under one name, as pack makes them.
//!
//! A list is put together on this machine (`list`) and pushed when it is whole. Its images need not be in its repository:
//! they are copied there first.

mod list;
mod push;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use layout::manifest::{Document, MediaType};
use layout::{Digest, Image, Reference, index};

use self::list::{Entry, List};
use crate::commands::builder::labels;
use crate::config::Config;
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};

/// Put images for several platforms under one name
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add an image to a manifest list, or all images of another one
    #[command(after_help = "\
Examples:
  slipway manifest add registry.example/app registry.example/app:arm64")]
    Add {
        /// Manifest list, by its name in a registry
        list: String,
        /// Image to add: a name in a registry, or oci:DIR[:TAG]
        image: String,
        #[command(flatten)]
        registries: stores::Registries,
    },
    /// Say of an image in a manifest list what it is for
    #[command(after_help = "\
Examples:
  slipway manifest annotate registry.example/app registry.example/app:arm64 --arch arm64 --variant v8")]
    Annotate(AnnotateArgs),
    /// Make a manifest list on this machine, or in a registry
    #[command(after_help = "\
Examples:
  slipway manifest create registry.example/app registry.example/app:amd64 registry.example/app:arm64
  slipway manifest create registry.example/app oci:app-amd64 oci:app-arm64 --publish")]
    Create(CreateArgs),
    /// Show a manifest list, that of this machine or that of the registry
    #[command(after_help = "\
Examples:
  slipway manifest inspect registry.example/app")]
    Inspect {
        /// Manifest list, by its name in a registry
        list: String,
        #[command(flatten)]
        registries: stores::Registries,
    },
    /// Write a manifest list to its registry, with its images
    #[command(after_help = "\
Examples:
  slipway manifest push registry.example/app --purge")]
    Push(PushArgs),
    /// Forget manifest lists of this machine
    #[command(after_help = "\
Examples:
  slipway manifest remove registry.example/app")]
    Remove {
        /// Manifest list, by its name in a registry
        #[arg(required = true)]
        list: Vec<String>,
    },
    /// Take images out of a manifest list
    #[command(after_help = "\
Examples:
  slipway manifest rm registry.example/app registry.example/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")]
    Rm {
        /// Manifest list, by its name in a registry
        list: String,
        /// Image by its digest: NAME@DIGEST or DIGEST
        #[arg(required = true)]
        image: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct AnnotateArgs {
    /// Manifest list, by its name in a registry
    list: String,
    /// Image in it: NAME@DIGEST, DIGEST, or what it was added by
    image: String,
    /// Operating system, as linux
    #[arg(long)]
    os: Option<String>,
    /// Architecture, as amd64
    #[arg(long)]
    arch: Option<String>,
    /// Variant of the architecture, as v8
    #[arg(long)]
    variant: Option<String>,
    /// Annotation of the image in the list; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    annotations: Vec<String>,
    #[command(flatten)]
    registries: stores::Registries,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Manifest list, by its name in a registry
    list: String,
    /// Image to put into it: a name in a registry, or oci:DIR[:TAG]
    #[arg(required = true)]
    image: Vec<String>,
    /// Media type of the list
    #[arg(long, short, value_enum, default_value_t)]
    format: Format,
    /// Write it to the registry, and keep nothing here
    #[arg(long)]
    publish: bool,
    /// Registry of the list may have no TLS, or a certificate that nobody vouches for
    #[arg(long, requires = "publish")]
    insecure: bool,
    #[command(flatten)]
    registries: stores::Registries,
}

#[derive(Debug, clap::Args)]
struct PushArgs {
    /// Manifest list, by its name in a registry
    list: String,
    /// Media type of the list, instead of the one that it was made with
    #[arg(long, short, value_enum)]
    format: Option<Format>,
    /// Forget the list once it is in the registry
    #[arg(long)]
    purge: bool,
    /// Registry of the list may have no TLS, or a certificate that nobody vouches for
    #[arg(long)]
    insecure: bool,
    #[command(flatten)]
    registries: stores::Registries,
}

/// `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// OCI image index
    #[default]
    Oci,
    /// Docker manifest list
    Docker,
}

impl Format {
    fn media_type(self) -> MediaType {
        match self {
            Self::Oci => MediaType::ImageIndex,
            Self::Docker => MediaType::Other(
                "application/vnd.docker.distribution.manifest.list.v2+json".to_owned(),
            ),
        }
    }
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let stores = |flags: &_| Stores::new(&config, flags, None);
    let said = match &args.command {
        Command::Add {
            list,
            image,
            registries,
        } => {
            let mut found = List::load(&config, list)?;
            found.add(images(image, &stores(registries)?)?);
            found.save()?;
            format!("Successfully added image {image} to {list}")
        }
        Command::Annotate(args) => annotate(args, &config)?,
        Command::Create(args) => create(args, &config)?,
        Command::Inspect { list, registries } => inspect(list, &config, &stores(registries)?)?,
        Command::Push(args) => push(args, &config)?,
        Command::Remove { list } => {
            let lists = list.iter().map(|it| List::load(&config, it));
            for list in lists.collect::<anyhow::Result<Vec<_>>>()? {
                list.remove()?;
            }
            format!("Successfully removed manifest list {}", list.join(", "))
        }
        Command::Rm { list, image } => {
            let mut found = List::load(&config, list)?;
            for image in image {
                found.take(&by_digest(image)?)?;
            }
            found.save()?;
            format!("Successfully removed {} from {list}", image.join(", "))
        }
    };
    writeln!(out, "{said}")?;
    Ok(ExitCode::SUCCESS)
}

fn create(args: &CreateArgs, config: &Config) -> anyhow::Result<String> {
    let name = Reference::parse(&args.list)?;
    let flags = with_insecure(&args.registries, args.insecure, &name);
    let stores = Stores::new(config, &flags, None)?;
    let mut list = List::new(config, &args.list, args.format.media_type())?;
    for image in &args.image {
        list.add(images(image, &stores)?);
    }
    if args.publish {
        let digest = push::push(&list, &name, &stores)?;
        return Ok(format!(
            "Successfully pushed manifest list {} ({digest})",
            args.list
        ));
    }
    list.save()?;
    Ok(format!("Successfully created manifest list {}", args.list))
}

fn annotate(args: &AnnotateArgs, config: &Config) -> anyhow::Result<String> {
    let mut list = List::load(config, &args.list)?;
    let annotations: BTreeMap<_, _> = labels(&args.annotations)?;
    let platform = [&args.os, &args.arch, &args.variant];
    if platform.iter().all(|it| it.is_none()) && annotations.is_empty() {
        bail!(
            "nothing is to be said of {}\nsay it: --os, --arch, --variant or --annotations",
            args.image
        );
    }
    let digest = if let Ok(digest) = by_digest(&args.image) {
        digest
    } else {
        let stores = Stores::new(config, &args.registries, None)?;
        let [one] = &images(&args.image, &stores)?[..] else {
            bail!(
                "{} is several images\nname one by its digest: NAME@DIGEST",
                args.image
            );
        };
        one.descriptor.digest.clone()
    };
    let descriptor = list.descriptor(&digest)?;
    let mut said = descriptor.platform.clone().unwrap_or_default();
    for (place, given) in [
        (&mut said.os, &args.os),
        (&mut said.architecture, &args.arch),
        (&mut said.variant, &args.variant),
    ] {
        if let Some(given) = given {
            given.clone_into(place);
        }
    }
    descriptor.platform = Some(said);
    descriptor.annotations.extend(annotations);
    list.save()?;
    Ok(format!(
        "Successfully annotated {} in {}",
        args.image, args.list
    ))
}

fn inspect(name: &str, config: &Config, stores: &Stores<'_>) -> anyhow::Result<String> {
    if List::is_here(config, name)? {
        let list = List::load(config, name)?;
        return Ok(layout::json::to_string_indented(list.index())?);
    }
    let name = stores.mirrored(&Reference::parse(name)?);
    let found = stores.registries().fetch(&name)?;
    let Some(found) = found else {
        bail!("there is no manifest list {name}, neither on this machine nor in its registry");
    };
    match Document::parse(&found.bytes, &found.descriptor.media_type)? {
        Document::Index(index) => Ok(layout::json::to_string_indented(&index)?),
        Document::Manifest(_) => bail!(
            "{name} is no manifest list, but one image\nlook at it: slipway inspect docker://{name}"
        ),
    }
}

fn push(args: &PushArgs, config: &Config) -> anyhow::Result<String> {
    let mut list = List::load(config, &args.list)?;
    if let Some(format) = args.format {
        list.set_media_type(format.media_type());
    }
    let name = Reference::parse(&args.list)?;
    let flags = with_insecure(&args.registries, args.insecure, &name);
    let digest = push::push(&list, &name, &Stores::new(config, &flags, None)?)?;
    if args.purge {
        list.remove()?;
    }
    Ok(format!(
        "Successfully pushed manifest list {} ({digest})",
        args.list
    ))
}

fn with_insecure(
    flags: &stores::Registries,
    insecure: bool,
    name: &Reference,
) -> stores::Registries {
    if insecure {
        flags.and_insecure(&name.registry)
    } else {
        flags.clone()
    }
}

/// Returns the images that a name stands for, each with the place where it can be found again.
fn images(text: &str, stores: &Stores<'_>) -> anyhow::Result<Vec<Entry>> {
    let name = match ImageName::parse(text)? {
        ImageName::Named(name) => Reference::parse(&name)?,
        ImageName::Registry(name) => name,
        ImageName::Layout(dir, selector) => {
            let image = ImageName::Layout(dir.clone(), selector).view(stores, None)?;
            let dir = std::path::absolute(dir)?;
            let place = format!("oci:{}@{}", dir.display(), image.digest());
            return Ok(vec![Entry::of(&image, place)]);
        }
        ImageName::Archive(..) | ImageName::Daemon(_) => {
            bail!(
                "{text} cannot be put into a manifest list\ncopy it to a registry or a folder first: slipway layout copy"
            )
        }
    };
    let place = stores.mirrored(&name);
    let found = stores.registries().fetch(&place)?;
    let found = found.with_context(|| format!("there is no image {name} in its registry"))?;
    let blobs: std::sync::Arc<dyn layout::blob::Blobs> =
        std::sync::Arc::new(stores.registries().blobs(&place));
    let descriptors = match Document::parse(&found.bytes, &found.descriptor.media_type)? {
        Document::Manifest(_) => vec![found.descriptor],
        Document::Index(index) => {
            let entries = index::entries(&index, &*blobs)?;
            entries.into_iter().map(|it| it.descriptor).collect()
        }
    };
    let entries = descriptors.iter().map(|descriptor| {
        let image = Image::open(blobs.clone(), descriptor)?;
        let from = format!("docker://{}@{}", name.context(), descriptor.digest);
        Ok(Entry::of(&image, from))
    });
    entries.collect()
}

/// Understands `NAME@DIGEST` and `DIGEST`.
fn by_digest(text: &str) -> anyhow::Result<Digest> {
    let (_, digest) = text.rsplit_once('@').unwrap_or(("", text));
    digest
        .parse()
        .with_context(|| format!("{text} is no image by its digest: NAME@DIGEST"))
}
