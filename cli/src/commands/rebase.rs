//! `slipway rebase`: an app image on another run image, nothing built again.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use layout::{Image, Layout, Reference};
use platform::files::{analyzed::RebaseMetadata, report};
use platform::output::Output;
use platform::{PlatformApi, labels, log, run_image};
use rebaser::{Inputs, RunImage};

use crate::config::Config;
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};

/// Put an app image on another run image, without building it again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway rebase oci:my-app
  slipway rebase oci:my-app --run-image example.org/run:patched")]
pub(crate) struct Args {
    /// Image to rebase, which is replaced: oci:DIR[:TAG], or a name in the layout repo
    image: String,
    /// Run image to put it on, by default the one that it was built on, by its name in the layout repo
    #[arg(long, value_name = "IMAGE")]
    run_image: Option<String>,
    /// Image to rebase instead; IMAGE is then where the result goes
    #[arg(long, value_name = "IMAGE")]
    previous_image: Option<String>,
    /// Directory that report.toml goes to
    #[arg(long, value_name = "DIR")]
    report_output_dir: Option<PathBuf>,
    #[command(flatten)]
    registries: stores::Registries,
    /// Rebase though the images say that they do not fit
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let api = PlatformApi::latest();
    let name = args.previous_image.as_ref().unwrap_or(&args.image);
    let source = ImageName::parse(name)?;
    let stores = Stores::new(&config, &args.registries, None)?;
    let app = source.open(&stores, None)?;
    let metadata = metadata_of(&app).with_context(|| format!("failed to read {name}"))?;
    let output = output(args, &source, &app, &config)?;

    let (run_name, run_image) = run_image_for(args, api, &metadata, &app, &stores)?;
    log::start();
    log::init("info", !has_colors()).map_err(|failure| failure.error)?;
    let outputs = rebaser::run(Inputs {
        api,
        app: &app,
        metadata,
        run_image: RunImage {
            reference: format!("{run_name}@{}", run_image.digest()),
            name: run_name,
            image: &run_image,
        },
        force: args.force,
        output: &output,
        additional: &[],
    })
    .map_err(|failure| failure.error)?;
    if let Some(dir) = &args.report_output_dir {
        fs_err::create_dir_all(dir)?;
        report::write(&dir.join("report.toml"), &outputs.report)?;
    }
    writeln!(out, "Successfully rebased image {}", args.image)?;
    Ok(ExitCode::SUCCESS)
}

fn metadata_of(app: &Image) -> anyhow::Result<RebaseMetadata> {
    let key = labels::LIFECYCLE_METADATA;
    let label = app.label(key).filter(|label| !label.is_empty());
    let label = label
        .with_context(|| format!("it has no label {key}, so it was not built by buildpacks"))?;
    RebaseMetadata::from_label(label).with_context(|| format!("its label {key} cannot be read"))
}

/// Returns where the image goes; other images in the same layout would be lost.
fn output(args: &Args, source: &ImageName, app: &Image, config: &Config) -> anyhow::Result<Output> {
    let output = ImageName::parse(&args.image)?.output(config)?;
    let layout = Layout::at(&output.dir);
    let images = layout.images()?.unwrap_or_default();
    let in_place = args.previous_image.is_none();
    // Without a tag it keeps the one that it has.
    let tagged = matches!(source, ImageName::Layout(_, selector) if selector.ref_name.is_some());
    let current = images
        .iter()
        .find(|it| it.descriptor.digest == *app.digest());
    let kept = current.and_then(|it| it.ref_name.clone());
    let ref_name = match kept {
        Some(name) if in_place && !tagged => name,
        _ => output.ref_name,
    };
    let is_replaced =
        |entry: &layout::index::Entry| entry.ref_name.as_ref().is_none_or(|it| *it == ref_name);
    if !images.iter().all(is_replaced) {
        bail!(
            "{} holds other images too, which would be lost\ncopy the image first: slipway layout copy {} oci:DIR:TAG",
            output.dir.display(),
            args.previous_image.as_ref().unwrap_or(&args.image),
        );
    }
    Ok(Output::in_layout(layout, &ref_name))
}

/// Returns the run image, and the name that the app image knows it by.
fn run_image_for(
    args: &Args,
    api: PlatformApi,
    metadata: &RebaseMetadata,
    app: &Image,
    stores: &Stores<'_>,
) -> anyhow::Result<(String, Image)> {
    let platform = app.config().platform();
    let open = |name: &str| ImageName::parse(name)?.open(stores, Some(&platform));
    let recorded = run_image::for_rebase(api, &metadata.layers);
    if let Some(given) = &args.run_image {
        let image = open(given).with_context(|| format!("failed to open the run image {given}"))?;
        let name = match (ImageName::parse(given)?, recorded) {
            // A path is no name that any image could know. Who gives one says that it is the app's run image.
            (
                ImageName::Layout(..) | ImageName::Archive(..) | ImageName::Daemon(_),
                Some(recorded),
            ) => recorded.image.clone(),
            (ImageName::Registry(name), _) => name.name(),
            _ => given.clone(),
        };
        return Ok((name, image));
    }
    let recorded = recorded.ok_or_else(|| {
        anyhow!(
            "the image does not say what run image it was built on\nname one: --run-image IMAGE"
        )
    })?;
    let registry = match ImageName::parse(&args.image)? {
        ImageName::Named(name) => Reference::parse(&name)?.registry,
        _ => String::new(),
    };
    let is_here = |name: &str| ImageName::parse(name).is_ok_and(|it| it.is_here(stores));
    let can_be_had = |name: &str| open(name).is_ok();
    let name = run_image::choose(recorded, &registry, &is_here)
        .or_else(|_| run_image::choose(recorded, &registry, &can_be_had));
    // The error of its own name says where it was looked for.
    let name = name.unwrap_or_else(|_| recorded.image.clone());
    let image = open(&name).with_context(|| {
        format!("failed to open the run image {name}\nname another one: --run-image IMAGE")
    })?;
    Ok((name, image))
}

fn has_colors() -> bool {
    io::stdout().is_terminal() && environment::variable("NO_COLOR").is_none()
}
