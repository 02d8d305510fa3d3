//! `slipway builder create`: a builder.toml becomes a builder.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use distribution::builder::{self, CreatedBy, Creation};
use distribution::package::{Sources, TargetConfig};
use layout::Image;
use layout::manifest::Platform;

use crate::build::Programs;
use crate::config::{Config, PullPolicy};
use crate::environment;
use crate::images::ImageName;
use crate::images::made::Destination;
use crate::images::packages::{Packages, Purpose};
use crate::images::stores::{self, Stores};

/// Make a builder image from a builder.toml
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Image to make: oci:DIR[:TAG], or a name in the layout repo; docker://NAME, in a registry
    name: String,
    /// Write it to the registry of its name
    #[arg(long)]
    publish: bool,
    /// File that says what goes into it: builder.toml, as pack takes it
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Lifecycle to put into it: an archive or a directory; slipway's own without it
    #[arg(long, value_name = "PATH")]
    lifecycle: Option<PathBuf>,
    /// Platform to make it for, instead of the targets in builder.toml
    #[arg(long, short, value_name = "OS[/ARCH[/VARIANT]]")]
    target: Vec<String>,
    /// Label to set; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// When the images that builder.toml names are fetched from their registries into the layout repo; by default what is set
    /// with `slipway config pull-policy`, else if they are not there
    #[arg(long, value_name = "POLICY", value_enum)]
    pull_policy: Option<PullPolicy>,
    #[command(flatten)]
    registries: stores::Registries,
    #[command(flatten)]
    unsupported: Unsupported,
}

const EXAMPLES: &str = "\
Examples:
  slipway builder create oci:my-builder --config builder.toml
  slipway builder create registry.example/my-builder --config builder.toml --publish
  slipway builder create my-builder -c builder.toml --lifecycle lifecycle-v0.21.17+linux.x86-64.tgz";

/// Flags that pack has and that cannot be obeyed yet.
#[derive(Debug, clap::Args)]
struct Unsupported {
    #[arg(long, hide = true)]
    append_image_name_suffix: bool,
    #[arg(long, short = 'R', hide = true)]
    buildpack_registry: Option<String>,
    #[arg(long, hide = true)]
    flatten: Vec<String>,
    #[arg(long, hide = true)]
    tag: Vec<String>,
}

impl Unsupported {
    fn check(&self) -> anyhow::Result<()> {
        let given = [
            (
                "--append-image-name-suffix",
                self.append_image_name_suffix,
                "one image is made at a time; name it as you like",
            ),
            (
                "--buildpack-registry",
                self.buildpack_registry.is_some(),
                "name a buildpack by its image, folder or file",
            ),
            (
                "--flatten",
                !self.flatten.is_empty(),
                "each buildpack has a layer of its own",
            ),
            (
                "--tag",
                !self.tag.is_empty(),
                "make it once, and copy it: slipway layout copy NAME OTHER",
            ),
        ];
        match given.iter().find(|(_, given, _)| *given) {
            Some((flag, _, instead)) => bail!("{flag} is not supported: {instead}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    args.unsupported.check()?;
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, args.pull_policy)?;
    let mut recipe = builder::Config::read(&args.config)?;
    if !args.target.is_empty() {
        recipe.targets = args.target.iter().map(|it| target(it)).collect();
    }
    let destination = Destination::find(&args.name, args.publish, &stores)?;
    let relative_to = folder_of(&args.config)?;
    let base = build_image(&recipe, &relative_to, &destination, &stores)
        .context("failed to get the build image")?;
    let scratch = tempfile::tempdir()?;
    let packages = Packages {
        stores: &stores,
        // What is put into it is for what it is made from.
        platform: Some(Platform {
            os: base.config().os.clone(),
            architecture: base.config().architecture.clone(),
            ..Platform::default()
        }),
        purpose: Purpose::Use,
    };
    let sources = Sources {
        relative_to: &relative_to,
        scratch: scratch.path(),
        images: &packages,
    };
    let own;
    let lifecycle = match &args.lifecycle {
        Some(path) => {
            recipe.lifecycle = builder::config::LifecycleConfig::default();
            path.as_path()
        }
        None if recipe.lifecycle.uri.is_empty() => {
            own = Programs::find()?;
            own.dir()
        }
        None => Path::new(""),
    };
    let lifecycle = builder::find_lifecycle(&recipe.lifecycle, sources, lifecycle)
        .context("failed to get the lifecycle")?;
    let creation = Creation {
        config: &recipe,
        sources,
        base: &base,
        lifecycle: &lifecycle,
        labels: &labels(&args.label)?,
        created_by: &CreatedBy {
            name: "slipway".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    };
    let begin = || destination.begin(&stores, scratch.path());
    let created = builder::create(&creation, begin, destination.ref_name())
        .with_context(|| format!("failed to create builder {}", args.name))?;
    destination.tidy();
    for warning in &created.warnings {
        // Nobody is left to tell if stderr is closed.
        writeln!(io::stderr(), "warning: {warning}").ok();
    }
    let (name, digest) = (&args.name, &created.image.digest);
    writeln!(out, "Successfully created builder image {name} ({digest})")?;
    writeln!(out, "Use it: slipway build oci:my-app --builder {name}")?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the image that builder.toml names; a layout's folder is relative to the file, as everything in it. Its layers stay in
/// a registry if the builder goes to one, too.
fn build_image(
    recipe: &builder::Config,
    relative_to: &Path,
    destination: &Destination,
    stores: &Stores<'_>,
) -> anyhow::Result<Image> {
    let name = &recipe.build.image;
    let absolute = match name.split_once(':') {
        Some((kind @ ("oci" | "oci-archive"), path)) => {
            format!("{kind}:{}", relative_to.join(path).display())
        }
        _ => name.clone(),
    };
    let platform = recipe.targets.first().map(|it| {
        let host = Platform::host();
        let or = |text: &str, other: String| {
            if text.is_empty() {
                other
            } else {
                text.to_owned()
            }
        };
        Platform {
            os: or(&it.os, host.os),
            architecture: or(&it.arch, host.architecture),
            variant: it.variant.clone(),
            ..Platform::default()
        }
    });
    match (ImageName::parse(&absolute)?, destination) {
        // A daemon tells neither sizes nor digests of blobs.
        (name @ ImageName::Daemon(_), _) | (name, Destination::Layout(_)) => {
            name.open(stores, platform.as_ref())
        }
        (name, Destination::Registry(_)) => name.view(stores, platform.as_ref()),
    }
}

/// Returns the absolute folder that a file is in.
pub(crate) fn folder_of(file: &Path) -> anyhow::Result<PathBuf> {
    let file = std::path::absolute(file)?;
    Ok(file.parent().unwrap_or(Path::new("/")).to_owned())
}

/// Understands `linux/arm64/v8`; distributions behind a colon, as pack has them, do not matter for one image.
pub(crate) fn target(text: &str) -> TargetConfig {
    let platform = text.split(':').next().unwrap_or_default();
    let mut parts = platform.split('/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    TargetConfig {
        os: next(),
        arch: next(),
        variant: next(),
        distros: Vec::new(),
    }
}

/// Understands `NAME=VALUE`.
pub(crate) fn labels(texts: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let label = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => bail!("invalid label '{text}': write it NAME=VALUE"),
    };
    texts.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_and_labels_are_understood() {
        let parts = |text| {
            let TargetConfig {
                os, arch, variant, ..
            } = target(text);
            [os, arch, variant]
        };
        assert_eq!(parts("linux/arm/v7:ubuntu@24.04"), ["linux", "arm", "v7"]);
        assert_eq!(parts("linux"), ["linux", "", ""]);
        let texts = ["a=b=c", "d="].map(str::to_owned);
        let read: Vec<_> = labels(&texts).unwrap().into_iter().collect();
        let expected = [("a", "b=c"), ("d", "")];
        assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        for text in ["a", "=b"] {
            assert!(labels(&[text.to_owned()]).is_err());
        }
    }
}
