//! `slipway layout copy`: an image from one place to another.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use layout::{Digest, Image, Layout, Reference};

use crate::config::Config;
use crate::environment;
use crate::images::pull::Remote;
use crate::images::stores::{self, Stores};
use crate::images::{ImageName, LATEST, daemon, output};
use crate::sparse;

/// Copy an image from and to layouts, registries, a daemon and archives
///
/// Blobs are linked where the file system allows it, and what is at the destination already is not sent again. An image of
/// the same name in the layout is replaced, others stay. A registry gets the image to the byte; a layout gets OCI's media
/// types. Of an image for several platforms the one for this machine is copied.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway layout copy oci-archive:builder.tar my-builder
  slipway layout copy my-builder oci:/media/stick/builder:v1
  slipway layout copy docker://registry.example/run oci:run
  slipway layout copy oci:my-app docker://registry.example/my-app:1.2
  slipway layout copy oci:my-app docker-daemon:my-app")]
pub(crate) struct Args {
    /// Image to copy: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE, docker://NAME, docker-daemon:NAME, or a name in
    /// the layout repo or a registry
    source: String,
    /// Image to make: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker://NAME, docker-daemon:NAME, or a name in the layout repo
    destination: String,
    #[command(flatten)]
    registries: stores::Registries,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, None)?;
    let source = ImageName::parse(&args.source)?;
    let destination = ImageName::parse(&args.destination)?;
    let failed = || format!("failed to copy {} to {}", args.source, args.destination);
    let said = match &destination {
        // Whatever the directory is called: only a build needs a name for it.
        ImageName::Layout(dir, selector) if selector.digest.is_none() => {
            let name = selector.ref_name.as_deref().unwrap_or(LATEST);
            let digest = to_layout(&source, &stores, dir, |layout, image| {
                layout.add_from(image, name)
            });
            format!("{} {name} {}", dir.display(), digest.with_context(failed)?)
        }
        ImageName::Archive(file, selector) if selector.digest.is_none() => {
            let name = selector.ref_name.as_deref().unwrap_or(LATEST);
            let scratch = output::beside(file).with_context(failed)?;
            let dir = scratch.path().join("layout");
            let digest = to_layout(&source, &stores, &dir, |layout, image| {
                layout.copy_from(image, name)
            });
            let digest = digest.with_context(failed)?;
            output::archive(&dir, file).with_context(failed)?;
            format!("{} {name} {digest}", file.display())
        }
        ImageName::Layout(..) | ImageName::Archive(..) => {
            bail!("cannot copy an image to a digest; use a tag")
        }
        ImageName::Registry(name) => {
            let image = whole(&source, &stores)?;
            let copied = stores.registries().copy(&image, name);
            copied.with_context(failed)?;
            format!("{destination} {}", image.digest())
        }
        ImageName::Daemon(name) => {
            let image = whole(&source, &stores)?;
            let draft = stores.engine()?.draft(&Reference::parse(name)?)?;
            let id = daemon::copy(&image, draft).with_context(failed)?;
            format!("{destination} {id}")
        }
        ImageName::Named(_) => {
            // The path is the image's name: there is one image below it.
            let output = destination.output(&config)?;
            let digest = to_layout(&source, &stores, &output.dir, |layout, image| {
                layout.copy_from(image, &output.ref_name)
            });
            let (dir, name) = (output.dir.display(), &output.ref_name);
            format!("{dir} {name} {}", digest.with_context(failed)?)
        }
    };
    writeln!(out, "{said}")?;
    Ok(ExitCode::SUCCESS)
}

/// Copies the image into a layout, straight from the registry where it is in one; returns the digest that it has there.
fn to_layout(
    source: &ImageName,
    stores: &Stores<'_>,
    dir: &Path,
    copy: impl FnOnce(&Layout, &Image) -> Result<(), layout::store::Error>,
) -> anyhow::Result<Digest> {
    let layout = Layout::at(dir);
    if let ImageName::Registry(name) = source {
        let remote = Remote::find(stores, name, None)?;
        let remote = remote.with_context(|| format!("there is no image {name} in its registry"))?;
        let copied = remote.into_layout(stores, &layout, copy)?;
        return Ok(copied.digest().clone());
    }
    let image = source.open(stores, None)?;
    copy(&layout, &image)?;
    Ok(image.digest().clone())
}

/// Opens an image of which every layer can be read: those that a sparse one lacks are looked for in the layout repo.
fn whole(source: &ImageName, stores: &Stores<'_>) -> anyhow::Result<Image> {
    let image = match source {
        ImageName::Daemon(_) => source.open(stores, None)?,
        source => source.view(stores, None)?,
    };
    if matches!(source, ImageName::Registry(_) | ImageName::Daemon(_)) {
        return Ok(image);
    }
    Ok(sparse::completed(
        image,
        &stores.config().layout_repo_dir(),
    )?)
}
