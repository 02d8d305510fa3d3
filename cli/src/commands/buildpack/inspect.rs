//! `slipway buildpack inspect`: what a buildpackage holds.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use distribution::labels::{Group, Layers, ModuleInfo, ModuleRef, Stack};
use distribution::module::Kind;
use distribution::package::{self, Package, Sources};
use layout::DiffId;
use layout::digest::sha256;
use serde::Serialize;

use crate::commands::builder::print_modules;
use crate::commands::detection_order::{self, Tree};
use crate::config::Config;
use crate::environment;
use crate::images::packages::{Packages, Purpose};
use crate::images::stores::{self, Stores};
use crate::text::{Format, printable};

/// Show what is in a buildpack or a package of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway buildpack inspect my-buildpack.cnb
  slipway buildpack inspect oci:my-buildpack --output json")]
pub(crate) struct Args {
    /// Buildpack or package: a directory, an archive, a .cnb file, oci:DIR[:TAG], docker-daemon:NAME, or a name in the layout
    /// repo or a registry
    name: String,
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
    let scratch = tempfile::tempdir()?;
    let package = open(args, scratch.path())?;
    let seen = Seen::of(&args.name, &package, args.depth);
    match args.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&seen)?)?,
        Format::Text => print(&seen, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn open(args: &Args, scratch: &Path) -> anyhow::Result<Package> {
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, None)?;
    let packages = Packages {
        stores: &stores,
        platform: None,
        purpose: Purpose::Look,
    };
    let sources = Sources {
        relative_to: Path::new("."),
        scratch,
        images: &packages,
    };
    Ok(package::open(&args.name, sources)?)
}

/// A package as it is shown.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    name: &'a str,
    entry: Option<ModuleRef>,
    stacks: Vec<Stack>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buildpacks: Vec<ModuleInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extensions: Vec<ModuleInfo>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    detection_order: Vec<Tree>,
}

impl<'a> Seen<'a> {
    fn of(name: &'a str, package: &Package, depth: Option<usize>) -> Self {
        let infos = |kind| {
            let modules = package.modules.iter().filter(move |it| it.kind == kind);
            modules.map(|it| it.info.clone()).collect()
        };
        let entry = package.entry.clone().map(|(id, version)| ModuleRef {
            id,
            version,
            optional: false,
        });
        let group = Group {
            group: entry.clone().into_iter().collect(),
        };
        let is_buildpack = |it: &distribution::module::Module| it.kind == Kind::Buildpack;
        let order = match package.entry_module() {
            Some(module) if is_buildpack(module) => {
                detection_order::trees(&[group], &layers(package), depth)
            }
            _ => Vec::new(),
        };
        Self {
            name,
            entry,
            stacks: package.stacks(),
            buildpacks: infos(Kind::Buildpack),
            extensions: infos(Kind::Extension),
            detection_order: order,
        }
    }
}

/// Returns modules in the form of a label; which layer each is in does not matter here.
fn layers(package: &Package) -> Layers {
    let nowhere = DiffId(sha256(b""));
    let mut layers = Layers::new();
    for module in &package.modules {
        let versions = layers.entry(module.info.id.clone()).or_default();
        let info = module.layer_info(nowhere.clone());
        versions.insert(module.info.version.clone(), info);
    }
    layers
}

fn print(seen: &Seen<'_>, out: &mut dyn Write) -> io::Result<()> {
    if seen.buildpacks.is_empty() {
        writeln!(out, "Inspecting extension: {}\n", printable(seen.name))?;
        writeln!(out, "Extension:")?;
        return print_modules(&seen.extensions, out);
    }
    writeln!(out, "Inspecting buildpack: {}\n", printable(seen.name))?;
    writeln!(out, "Stacks:")?;
    for stack in &seen.stacks {
        writeln!(out, "  ID: {}", printable(&stack.id))?;
        let mixins = match stack.mixins.join(", ") {
            mixins if mixins.is_empty() => "(none)".to_owned(),
            mixins => printable(&mixins),
        };
        writeln!(out, "    Mixins: {mixins}")?;
    }
    writeln!(out, "\nBuildpacks:")?;
    print_modules(&seen.buildpacks, out)?;
    writeln!(out, "\nDetection Order:")?;
    detection_order::print(&seen.detection_order, out)
}
