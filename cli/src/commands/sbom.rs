//! `slipway sbom`: what an image says that it is made of.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use layout::DiffId;
use layout::layer::{Extract, extract};
use platform::files::analyzed::LayersMetadata;
use platform::labels;

use crate::config::Config;
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};

/// Get the software bill of materials (SBOM) of an image
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Download(DownloadArgs),
}

/// Write the SBOM files of an image to <DIR>/layers/sbom/launch
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway sbom download oci:my-app --output-dir sbom")]
struct DownloadArgs {
    /// Image that has them: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-daemon:NAME, docker://NAME, or a name in the layout repo
    /// or a registry
    image: String,
    /// Directory that the files go to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output_dir: PathBuf,
    #[command(flatten)]
    registries: stores::Registries,
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let Command::Download(args) = &args.command;
    download(args, out)
}

fn download(args: &DownloadArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let name = &args.image;
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, None)?;
    let image = ImageName::parse(name)?.view(&stores, None)?;
    let key = labels::LIFECYCLE_METADATA;
    let metadata = match image.label(key).filter(|label| !label.is_empty()) {
        None => LayersMetadata::default(),
        Some(label) => LayersMetadata::from_label(label)
            .with_context(|| format!("failed to read label {key} of {name}"))?,
    };
    let Some(sha) = metadata.sbom.filter(|sha| !sha.is_empty()) else {
        bail!(
            "{name} has no SBOM: its label {key} names none\n\
             images have one if a buildpack or the launcher has one, from Platform API 0.8 on"
        );
    };
    let diff_id: Option<DiffId> = sha.parse().ok();
    let diff_id = diff_id.filter(|id| image.layer(id).is_some());
    let Some(diff_id) = diff_id else {
        bail!("{name} is damaged: its label {key} names an SBOM layer {sha}, which it has not");
    };
    let Some(mut tar) = image.open_layer(&diff_id)? else {
        bail!(
            "the SBOM layer {diff_id} is not in {}",
            image.blobs().location()
        );
    };
    let dir = &args.output_dir;
    let within = Extract {
        root: dir,
        within: dir,
    };
    extract(&mut tar, &within).with_context(|| format!("failed to write the SBOM of {name}"))?;
    writeln!(out, "{}", dir.join("layers/sbom/launch").display())?;
    Ok(ExitCode::SUCCESS)
}
