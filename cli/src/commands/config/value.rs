//! Settings of one value.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::builder::{
    BoolishValueParser, NonEmptyStringValueParser, PathBufValueParser, TypedValueParser as _,
    ValueParser,
};

use crate::config::{self, Config};
use crate::images::ImageName;

/// Show, set or remove the builder of builds that name none
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config default-builder
  slipway config default-builder oci:my-builder
  slipway config default-builder --unset")]
pub(super) struct DefaultBuilder {
    /// Builder to take from now on
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    image: Option<String>,
    #[command(flatten)]
    unset: Unset,
}

/// Show or set whether experimental features are on
///
/// Nothing here asks for it: the setting is kept for pack, which needs it for OCI layouts.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config experimental
  slipway config experimental true")]
pub(super) struct Experimental {
    /// Whether they are on from now on: true or false
    #[arg(value_parser = BoolishValueParser::new(), hide_possible_values = true)]
    on: Option<bool>,
}

/// Show, set or remove the layout repo, the directory of images by name
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config layout-repo-dir
  slipway config layout-repo-dir /var/lib/images")]
pub(super) struct LayoutRepoDir {
    /// Directory to take from now on; images are not moved there
    #[arg(value_parser = dir_parser())]
    dir: Option<PathBuf>,
    #[command(flatten)]
    unset: Unset,
}

/// Show, set or remove the image that the lifecycle is taken from
///
/// Builds here run the lifecycle that slipway brings along; the setting is kept for pack.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config lifecycle-image example.org/lifecycle:0.21.0
  slipway config lifecycle-image --unset")]
pub(super) struct LifecycleImage {
    /// Image to take from now on
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    image: Option<String>,
    #[command(flatten)]
    unset: Unset,
}

/// Show, set or remove when images are fetched from registries
///
/// They go to the layout repo. Without the setting an image is fetched if it is not there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway config pull-policy
  slipway config pull-policy if-not-present")]
pub(super) struct PullPolicy {
    /// Policy to take from now on
    #[arg(value_enum)]
    policy: Option<config::PullPolicy>,
    #[command(flatten)]
    unset: Unset,
}

#[derive(Debug, clap::Args)]
struct Unset {
    /// Remove the setting
    #[arg(long, short, exclusive = true)]
    unset: bool,
}

fn dir_parser() -> ValueParser {
    // A folder is meant where the command is typed, not where a build will be.
    let absolute = |dir: PathBuf| std::path::absolute(dir).map_err(|error| error.to_string());
    ValueParser::new(PathBufValueParser::new().try_map(absolute))
}

impl DefaultBuilder {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let setting = Setting {
            key: "default-builder-image",
            shown: config.default_builder().map(str::to_owned),
        };
        setting.run(image(self.image.as_deref())?, &self.unset, config, out)
    }
}

impl Experimental {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let Some(on) = self.on else {
            return Ok(writeln!(out, "{}", config.experimental())?);
        };
        let (key, dir) = ("experimental", config.default_layout_repo_dir());
        let mut edit = config.edit()?;
        edit.set(key, on);
        // As pack does, but that a folder of the user's own stays.
        if let Some(dir) = dir.to_str() {
            let is_default = config.layout_repo_dir() == Path::new(dir);
            if is_default && on {
                edit.set("layout-repo-dir", dir);
            } else if is_default {
                edit.unset("layout-repo-dir");
            }
        }
        edit.save()?;
        said_set(out, key, &on.to_string(), config)
    }
}

impl LayoutRepoDir {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let setting = Setting {
            key: "layout-repo-dir",
            shown: Some(config.layout_repo_dir().display().to_string()),
        };
        let new = self.dir.as_deref().map(text_of).transpose()?;
        setting.run(new, &self.unset, config, out)
    }
}

impl LifecycleImage {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let setting = Setting {
            key: "lifecycle-image",
            shown: config.lifecycle_image().map(str::to_owned),
        };
        setting.run(image(self.image.as_deref())?, &self.unset, config, out)
    }
}

impl PullPolicy {
    pub(super) fn run(&self, config: &Config, out: &mut dyn Write) -> anyhow::Result<()> {
        let new = self.policy.map(|policy| policy.to_string());
        let setting = Setting {
            key: "pull-policy",
            shown: match (&new, self.unset.unset) {
                (None, false) => Some(config.pull_policy()?.to_string()),
                _ => None,
            },
        };
        setting.run(new, &self.unset, config, out)
    }
}

/// Returns an image's name if it is one. A path is meant where the command is typed, not where a build will be.
fn image(name: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    match ImageName::parse(name)? {
        ImageName::Named(_) | ImageName::Registry(_) | ImageName::Daemon(_) => {
            Ok(Some(name.to_owned()))
        }
        ImageName::Layout(..) | ImageName::Archive(..) => {
            let (kind, path) = name.split_once(':').unwrap_or((name, ""));
            let path = text_of(&std::path::absolute(path)?)?;
            Ok(Some(format!("{kind}:{path}")))
        }
    }
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{} is no text, and config.toml is one", path.display()),
    }
}

struct Setting {
    key: &'static str,
    /// What counts now: the value in the file, or its default.
    shown: Option<String>,
}

impl Setting {
    fn run(
        self,
        new: Option<String>,
        unset: &Unset,
        config: &Config,
        out: &mut dyn Write,
    ) -> anyhow::Result<()> {
        let (key, file) = (self.key, config.file());
        let mut edit = config.edit()?;
        match (new, unset.unset) {
            (Some(value), _) => {
                edit.set(key, value.as_str());
                edit.save()?;
                said_set(out, key, &value, config)
            }
            (None, true) if edit.unset(key) => {
                edit.save()?;
                Ok(writeln!(out, "removed {key} from {}", file.display())?)
            }
            (None, true) => Ok(writeln!(out, "{key} is not set in {}", file.display())?),
            (None, false) => match self.shown {
                Some(value) => Ok(writeln!(out, "{value}")?),
                // Not on stdout, where a script would take it for the value.
                None => Ok(writeln!(
                    std::io::stderr(),
                    "{key} is not set in {}",
                    file.display()
                )?),
            },
        }
    }
}

fn said_set(out: &mut dyn Write, key: &str, value: &str, config: &Config) -> anyhow::Result<()> {
    let file = config.file();
    Ok(writeln!(out, "set {key} to {value} in {}", file.display())?)
}
