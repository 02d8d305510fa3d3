//! `slipway rebase`: an app image on another run image, nothing built again.

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use layout::manifest::Platform;
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
  slipway rebase oci:my-app --run-image example.org/run:patched
  slipway rebase registry.example/my-app --publish")]
pub(crate) struct Args {
    /// Image to rebase, which is replaced: oci:DIR[:TAG], docker://NAME, docker-daemon:NAME, or a name in the layout repo or the
    /// daemon
    image: String,
    /// Rebase the image of that name in its registry
    #[arg(long)]
    publish: bool,
    /// Run image to put it on, by default the one that it was built on, by its name
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
    let stores = Stores::new(&config, &args.registries, None)?;
    let source = place(name, args.publish, &stores)?;
    let destination = match (ImageName::parse(&args.image)?, &source) {
        // Where the image is that it is made of.
        (
            named @ ImageName::Named(_),
            ImageName::Layout(..) | ImageName::Archive(..) | ImageName::Named(_),
        ) if !args.publish => named,
        _ => place(&args.image, args.publish, &stores)?,
    };
    let app = source.view(&stores, None)?;
    let metadata = metadata_of(&app).with_context(|| format!("failed to read {name}"))?;
    let output = match &destination {
        ImageName::Registry(name) => {
            let client = stores.registries();
            client.can_read_and_write(name)?;
            Output::in_registry(client.clone(), &name.name(), name.clone())
        }
        ImageName::Daemon(name) => {
            let name = Reference::parse(name)?;
            Output::in_daemon(stores.engine()?, &name.name(), name)
        }
        _ => in_layout(args, &source, &destination, &app, &config)?,
    };

    let (run_name, run_image) = run_image_for(args, api, &metadata, &app, &destination, &stores)?;
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

/// Understands where an image is: a plain name is one of the layout repo if that has it, else the daemon's, where builds to plain
/// names put it.
fn place(name: &str, publish: bool, stores: &Stores<'_>) -> anyhow::Result<ImageName> {
    Ok(match ImageName::parse(name)? {
        ImageName::Named(name) if publish => ImageName::Registry(Reference::parse(&name)?),
        named @ ImageName::Named(_) if named.is_here(stores) => named,
        ImageName::Named(name) => ImageName::Daemon(name),
        ImageName::Registry(name) => ImageName::Registry(name),
        other if publish => bail!("--publish is for a name in a registry, which {other} is not"),
        other => other,
    })
}

/// Returns where an image of a layout goes; other images in the same layout would be lost.
fn in_layout(
    args: &Args,
    source: &ImageName,
    destination: &ImageName,
    app: &Image,
    config: &Config,
) -> anyhow::Result<Output> {
    let output = destination.output(config)?;
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
    destination: &ImageName,
    stores: &Stores<'_>,
) -> anyhow::Result<(String, Image)> {
    let platform = app.config().platform();
    let open = |name: &str| open_beside(name, destination, &platform, stores);
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
    let registry = match destination {
        ImageName::Named(name) | ImageName::Daemon(name) => Reference::parse(name)?.registry,
        ImageName::Registry(name) => name.registry.clone(),
        ImageName::Layout(..) | ImageName::Archive(..) => String::new(),
    };
    let is_layout = matches!(destination, ImageName::Layout(..) | ImageName::Named(_));
    let is_here =
        |name: &str| is_layout && ImageName::parse(name).is_ok_and(|it| it.is_here(stores));
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

/// Opens a run image: in the store where the app image goes, if that has it. Its layers are fetched for a layout alone.
fn open_beside(
    name: &str,
    destination: &ImageName,
    platform: &Platform,
    stores: &Stores<'_>,
) -> anyhow::Result<Image> {
    let named = ImageName::parse(name)?;
    let beside = match (&named, destination) {
        (ImageName::Named(name), ImageName::Registry(_)) => {
            ImageName::Registry(Reference::parse(name)?)
        }
        (ImageName::Named(name), ImageName::Daemon(_)) => ImageName::Daemon(name.clone()),
        (_, ImageName::Registry(_) | ImageName::Daemon(_)) => {
            return named.view(stores, Some(platform));
        }
        _ => return named.open(stores, Some(platform)),
    };
    let there = beside.view(stores, Some(platform));
    // Its error says more than that of the place where it is likelier to be; only what is found there counts.
    there.or_else(|_| named.view(stores, Some(platform)))
}

fn has_colors() -> bool {
    io::stdout().is_terminal() && environment::variable("NO_COLOR").is_none()
}
