//! `slipway layout copy`: an image into a layout.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use layout::Layout;

use crate::config::Config;
use crate::environment;
use crate::images::{ImageName, LATEST};

/// Copy an image into a layout
///
/// Blobs are linked where the file system allows it. An image of the same name in the layout is replaced, others stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway layout copy oci-archive:builder.tar my-builder
  slipway layout copy my-builder oci:/media/stick/builder:v1")]
pub(crate) struct Args {
    /// Image to copy: oci:DIR[:TAG], oci-archive:FILE[:TAG], or a name in the layout repo
    source: String,
    /// Image to make: oci:DIR[:TAG], or a name in the layout repo
    destination: String,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let destination = ImageName::parse(&args.destination)?;
    let image = ImageName::parse(&args.source)?.open(&config, None)?;
    let failed = || format!("failed to copy {} to {}", args.source, args.destination);
    let (layout, name) = match &destination {
        // Whatever the directory is called: only a build needs a name for it.
        ImageName::Layout(dir, selector) if selector.digest.is_none() => {
            let layout = Layout::at(dir);
            let name = selector.ref_name.as_deref().unwrap_or(LATEST).to_owned();
            layout.add_from(&image, &name).with_context(failed)?;
            (layout, name)
        }
        ImageName::Layout(..) => bail!("cannot copy an image to a digest; use a tag"),
        other => {
            // The path is the image's name: there is one image below it.
            let output = other.output(&config)?;
            let layout = Layout::at(output.dir);
            layout
                .copy_from(&image, &output.ref_name)
                .with_context(failed)?;
            (layout, output.ref_name)
        }
    };
    let path = layout.path().display();
    writeln!(out, "{path} {name} {}", image.digest())?;
    Ok(ExitCode::SUCCESS)
}
