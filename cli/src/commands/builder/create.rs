//! `slipway builder create`: a builder.toml becomes a builder.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use distribution::builder::{self, CreatedBy, Creation};
use distribution::package::TargetConfig;
use layout::manifest::Platform;
use layout::{Image, Layout};

use crate::build::Programs;
use crate::config::Config;
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};

/// Make a builder image from a builder.toml
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Image to make: oci:DIR[:TAG], or a name in the layout repo
    name: String,
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
    #[command(flatten)]
    registries: stores::Registries,
    #[command(flatten)]
    unsupported: Unsupported,
}

const EXAMPLES: &str = "\
Examples:
  slipway builder create oci:my-builder --config builder.toml
  slipway builder create my-builder -c builder.toml --lifecycle lifecycle-v0.21.17+linux.x86-64.tgz";

/// Flags that pack has and that cannot be obeyed yet.
#[derive(Debug, clap::Args)]
struct Unsupported {
    #[arg(long, hide = true)]
    publish: bool,
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
        let registry = "registries are not supported yet; make it in oci:DIR and copy it: skopeo copy oci:DIR docker://NAME";
        let given = [
            ("--publish", self.publish, registry),
            (
                "--append-image-name-suffix",
                self.append_image_name_suffix,
                registry,
            ),
            (
                "--buildpack-registry",
                self.buildpack_registry.is_some(),
                "name a buildpack by its folder or file",
            ),
            (
                "--flatten",
                !self.flatten.is_empty(),
                "each buildpack has a layer of its own",
            ),
            (
                "--tag",
                !self.tag.is_empty(),
                "make it once, and copy it: skopeo copy oci:DIR oci:OTHER:TAG",
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
    let stores = Stores::new(&config, &args.registries, None)?;
    let output = ImageName::parse(&args.name)?.output(&config)?;
    let mut recipe = builder::Config::read(&args.config)?;
    if !args.target.is_empty() {
        recipe.targets = args.target.iter().map(|it| target(it)).collect();
    }
    let relative_to = folder_of(&args.config)?;
    let scratch = tempfile::tempdir()?;
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
    let lifecycle =
        builder::find_lifecycle(&recipe.lifecycle, &relative_to, lifecycle, scratch.path())
            .context("failed to get the lifecycle")?;
    let base =
        build_image(&recipe, &relative_to, &stores).context("failed to get the build image")?;
    let creation = Creation {
        config: &recipe,
        relative_to: &relative_to,
        scratch: scratch.path(),
        base: &base,
        lifecycle: &lifecycle,
        labels: &labels(&args.label)?,
        created_by: &CreatedBy {
            name: "slipway".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
    };
    let created = builder::create(&creation, &Layout::at(&output.dir), &output.ref_name)
        .with_context(|| format!("failed to create builder {}", args.name))?;
    output.tidy();
    for warning in &created.warnings {
        // Nobody is left to tell if stderr is closed.
        writeln!(io::stderr(), "warning: {warning}").ok();
    }
    let (name, digest) = (&args.name, &created.image.digest);
    writeln!(out, "Successfully created builder image {name} ({digest})")?;
    writeln!(out, "Use it: slipway build oci:my-app --builder {name}")?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the image that builder.toml names; a layout's folder is relative to the file, as everything in it.
fn build_image(
    recipe: &builder::Config,
    relative_to: &Path,
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
    ImageName::parse(&absolute)?.open(stores, platform.as_ref())
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
