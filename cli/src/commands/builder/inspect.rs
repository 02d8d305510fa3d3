//! `slipway builder inspect`: what a builder says of itself, in the sections and keys of pack's output.

use std::io::{self, Write};
use std::process::ExitCode;

use distribution::builder::{Builder, CreatedBy};
use distribution::labels::ModuleInfo;
use platform::files::lifecycle::ApiVersions;
use serde::Serialize;

use crate::commands::detection_order::{self, Tree};
use crate::config::Config;
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};
use crate::text::{Format, printable, table};

/// Show what is in a builder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway builder inspect oci:my-builder
  slipway builder inspect --output json")]
pub(crate) struct Args {
    /// Builder: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-daemon:NAME, docker://NAME, or a name in the layout repo or a registry;
    /// the default builder without it
    name: Option<String>,
    /// How deep composite buildpacks are shown in the order; all of them without it
    #[arg(long, short, value_name = "NUMBER")]
    depth: Option<usize>,
    /// How to print it
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    registries: stores::Registries,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, None)?;
    let default = config.default_builder();
    let Some(name) = args.name.as_deref().or(default) else {
        anyhow::bail!(
            "no builder is named\nname one, or once: slipway config default-builder IMAGE"
        );
    };
    let image = ImageName::parse(name)?.view(&stores, None)?;
    let builder = Builder::read(&image)?;
    let is_default = default == Some(name);
    let seen = Seen::of(name, is_default, &builder, args.depth);
    match args.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&seen)?)?,
        Format::Text => print(&seen, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A builder as it is shown. pack looks in two places; here is one, which it calls local.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    builder_name: &'a str,
    default: bool,
    local_info: Info<'a>,
}

#[derive(Debug, Serialize)]
struct Info<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    created_by: &'a CreatedBy,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<Stack<'a>>,
    lifecycle: Lifecycle<'a>,
    run_images: Vec<RunImage<'a>>,
    buildpacks: &'a [ModuleInfo],
    detection_order: Vec<Tree>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    extensions: &'a [ModuleInfo],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    order_extensions: Vec<Tree>,
    user: User,
}

#[derive(Debug, Serialize)]
struct Stack<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    mixins: &'a [String],
}

#[derive(Debug, Serialize)]
struct Lifecycle<'a> {
    version: &'a str,
    buildpack_apis: &'a ApiVersions,
    platform_apis: &'a ApiVersions,
}

#[derive(Debug, Serialize)]
struct RunImage<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
struct User {
    uid: u32,
    gid: u32,
}

impl<'a> Seen<'a> {
    fn of(name: &'a str, default: bool, builder: &'a Builder, depth: Option<usize>) -> Self {
        let names = |it: &'a platform::files::run::RunImageForExport| {
            std::iter::once(&it.image).chain(&it.mirrors)
        };
        let run_images = builder.run_images.iter().flat_map(names);
        let layers = &builder.buildpack_layers;
        Self {
            builder_name: name,
            default,
            local_info: Info {
                description: &builder.description,
                created_by: &builder.created_by,
                stack: (!builder.stack_id.is_empty()).then_some(Stack {
                    id: &builder.stack_id,
                    mixins: &builder.mixins,
                }),
                lifecycle: Lifecycle {
                    version: &builder.lifecycle_version,
                    buildpack_apis: &builder.buildpack_apis,
                    platform_apis: &builder.platform_apis,
                },
                run_images: run_images.map(|name| RunImage { name }).collect(),
                buildpacks: &builder.buildpacks,
                detection_order: detection_order::trees(&builder.order, layers, depth),
                extensions: &builder.extensions,
                order_extensions: detection_order::trees(
                    &builder.order_extensions,
                    &builder.extension_layers,
                    depth,
                ),
                user: User {
                    uid: builder.uid,
                    gid: builder.gid,
                },
            },
        }
    }
}

fn print(seen: &Seen<'_>, out: &mut dyn Write) -> io::Result<()> {
    let info = &seen.local_info;
    let what = if seen.default {
        "default builder"
    } else {
        "builder"
    };
    writeln!(out, "Inspecting {what}: {}\n", printable(seen.builder_name))?;
    if !info.description.is_empty() {
        writeln!(out, "Description: {}\n", printable(info.description))?;
    }
    if !info.created_by.name.is_empty() {
        let CreatedBy { name, version } = info.created_by;
        writeln!(
            out,
            "Created By:\n  Name: {}\n  Version: {}\n",
            printable(name),
            printable(version)
        )?;
    }
    if let Some(stack) = &info.stack {
        writeln!(out, "Stack:\n  ID: {}\n", printable(stack.id))?;
    }
    writeln!(out, "User: {}:{}\n", info.user.uid, info.user.gid)?;
    let lifecycle = &info.lifecycle;
    let version = match lifecycle.version {
        "" => "(none)".to_owned(),
        version => printable(version),
    };
    writeln!(out, "Lifecycle:\n  Version: {version}")?;
    for (api, versions) in [
        ("Buildpack", lifecycle.buildpack_apis),
        ("Platform", lifecycle.platform_apis),
    ] {
        writeln!(out, "  {api} APIs:")?;
        writeln!(out, "    Deprecated: {}", listed(&versions.deprecated))?;
        writeln!(out, "    Supported: {}", listed(&versions.supported))?;
    }
    writeln!(out, "\nRun Images:")?;
    for image in &info.run_images {
        writeln!(out, "  {}", printable(image.name))?;
    }
    if info.run_images.is_empty() {
        writeln!(out, "  (none)")?;
    }
    writeln!(out, "\nBuildpacks:")?;
    modules(info.buildpacks, out)?;
    writeln!(out, "\nDetection Order:")?;
    detection_order::print(&info.detection_order, out)?;
    if !info.extensions.is_empty() {
        writeln!(out, "\nExtensions:")?;
        modules(info.extensions, out)?;
        writeln!(out, "\nDetection Order (Extensions):")?;
        detection_order::print(&info.order_extensions, out)?;
    }
    Ok(())
}

fn listed(versions: &[String]) -> String {
    match versions {
        [] => "(none)".to_owned(),
        versions => printable(&versions.join(", ")),
    }
}

/// Prints a table of modules.
pub(crate) fn modules(modules: &[ModuleInfo], out: &mut dyn Write) -> io::Result<()> {
    if modules.is_empty() {
        return writeln!(out, "  (none)");
    }
    let or_dash = |text: &str| if text.is_empty() { "-" } else { text }.to_owned();
    let rows = modules.iter().map(|it| {
        let [name, homepage] = [&it.name, &it.homepage].map(|it| or_dash(it));
        [it.id.clone(), name, it.version.clone(), homepage]
    });
    table(out, ["ID", "NAME", "VERSION", "HOMEPAGE"], rows)
}
