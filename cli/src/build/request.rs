//! What a user asked for, looked at before anything is done.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use distribution::builder::Builder;
use layout::Image;
use layout::manifest::Platform;
use platform::files::lifecycle;
use project::Descriptor;
use sandbox::{Mount, User};

use super::cache::{self, Cache};
use super::cache_image::CacheImage;
use super::destination::{Destinations, Kind};
use super::flags::{Args, Lifecycle};
use super::lines::Lines;
use super::order::{Wish, Wishes};
use super::run_image::{Needed, RunImage};
use super::volume;
use crate::config::Config;
use crate::images::ImageName;
use crate::images::stores::Stores;

/// Lowest Platform API that knows layouts.
const LOWEST_API: &str = "0.12";

/// Where layers are kept between builds.
pub(super) enum Kept {
    /// In a folder.
    Here(cache::Folder),
    /// In an image of a registry.
    There(Box<CacheImage>),
}

/// What a user asked for, looked at and found to make sense.
pub(super) struct Request<'a> {
    pub(super) args: &'a Args,
    pub(super) config: &'a Config,
    pub(super) stores: Stores<'a>,
    pub(super) descriptor: Descriptor,
    /// Where project.toml is; relative locations in it are from here.
    pub(super) descriptor_dir: PathBuf,
    pub(super) platform: Option<Platform>,
    pub(super) builder: Builder,
    pub(super) builder_image: Image,
    pub(super) run_image: RunImage,
    pub(super) needed: Needed,
    pub(super) cache: Kept,
    pub(super) destinations: Destinations,
    pub(super) mounts: Vec<Mount>,
    pub(super) user: User,
    pub(super) api: String,
}

impl<'a> Request<'a> {
    /// Looks at everything that can be wrong before anything is done.
    pub(super) fn new(
        args: &'a Args,
        config: &'a Config,
        lines: &mut Lines<io::Stdout>,
    ) -> anyhow::Result<Self> {
        let platform = args.platform.as_deref().map(parse_platform).transpose()?;
        let stores = Stores::quiet(config, &args.registries, args.pull_policy, args.quiet)?;
        let destinations = Destinations::parse(&args.image, &args.tag, args.publish, config)?;
        if args.sparse && destinations.kind() != Kind::Layouts {
            bail!("--sparse is for folders: a registry and a daemon take images that are whole");
        }
        let needed = match destinations.kind() {
            Kind::Layouts if !args.sparse => Needed::Layers,
            _ => Needed::Config,
        };
        if !args.path.exists() {
            bail!("there is no app at {}", args.path.display());
        }
        let (descriptor, descriptor_dir) = read_descriptor(args)?;
        for warning in &descriptor.warnings {
            lines.warn(warning);
        }
        let name = args.builder.as_deref();
        let name = name.or(descriptor.builder.as_deref());
        let Some(name) = name.or(config.default_builder()) else {
            bail!(
                "no builder is named\nuse --builder IMAGE, or once: slipway config default-builder IMAGE"
            );
        };
        let builder_image = open(name, &stores, platform.as_ref(), "builder")?;
        let builder = Builder::read(&builder_image)
            .with_context(|| format!("{name} is no builder that can be used"))?;
        check_architecture(name, &builder_image)?;
        let user = User {
            uid: args.uid.unwrap_or(builder.uid),
            gid: args.gid.unwrap_or(builder.gid),
        };
        if user.uid == 0 {
            bail!(
                "builder {name} runs buildpacks as root, which nobody should allow\ngive them another user: --uid NUMBER --gid NUMBER"
            );
        }
        let run_image = RunImage::find(args, &stores, &builder, platform.as_ref(), needed)?;
        destinations.check(&stores)?;
        let cache = match &args.cache_image {
            Some(name) => Cache::Image(name.clone()),
            None => Cache::parse(&args.cache)?,
        };
        let cache = match cache {
            Cache::Folder(folder) => Kept::Here(folder),
            Cache::Image(name) if destinations.kind() == Kind::Registry => {
                Kept::There(Box::new(CacheImage::find(&name, &stores)?))
            }
            Cache::Image(_) => {
                bail!(
                    "an image as the cache is for images in registries\nsay --publish, or keep the cache here: --cache 'type=build;format=bind;source=DIR'"
                )
            }
        };
        let api = choose_api(args.lifecycle, &builder)?;
        let mut mounts = Vec::new();
        for volume in &args.volume {
            let mount = volume::parse(volume, &config.volumes_dir())?;
            if let Some(warning) = volume::warning(&mount) {
                lines.warn(&warning);
            }
            mounts.push(mount);
        }
        Ok(Self {
            args,
            config,
            stores,
            descriptor,
            descriptor_dir,
            platform,
            builder,
            builder_image,
            run_image,
            needed,
            cache,
            destinations,
            mounts,
            user,
            api,
        })
    }

    /// Returns what is asked for of buildpacks: flags go before project.toml.
    pub(super) fn wishes(&self) -> anyhow::Result<Wishes> {
        let here = std::env::current_dir()?;
        let flags = |locations: &[String]| -> Vec<Wish> {
            let locations = locations.iter();
            locations
                .map(|location| Wish::At(location.clone(), here.clone()))
                .collect()
        };
        let or = |flags: Vec<Wish>, modules: &[project::descriptor::Module]| {
            if flags.is_empty() {
                let modules = modules.iter();
                modules
                    .map(|module| Wish::of_descriptor(module, &self.descriptor_dir))
                    .collect()
            } else {
                flags
            }
        };
        let (args, descriptor) = (self.args, &self.descriptor);
        Ok(Wishes {
            buildpacks: or(flags(&args.buildpack), &descriptor.buildpacks),
            pre: or(flags(&args.pre_buildpack), &descriptor.pre),
            post: or(flags(&args.post_buildpack), &descriptor.post),
            extensions: flags(&args.extension),
        })
    }
}

/// Opens an image; the error says what it was wanted for.
pub(super) fn open(
    name: &str,
    stores: &Stores<'_>,
    platform: Option<&Platform>,
    what: &str,
) -> anyhow::Result<Image> {
    let image = ImageName::parse(name).and_then(|name| name.open(stores, platform));
    image.with_context(|| format!("failed to open the {what} {name}"))
}

/// Returns the project descriptor and its folder: the file that was named, else project.toml in the app.
fn read_descriptor(args: &Args) -> anyhow::Result<(Descriptor, PathBuf)> {
    let path = match &args.descriptor {
        Some(path) => path.clone(),
        None if args.path.is_dir() => args.path.join("project.toml"),
        None => return Ok((Descriptor::default(), PathBuf::from("."))),
    };
    let found = Descriptor::read(&path)?;
    if found.is_none() && args.descriptor.is_some() {
        bail!("there is no project descriptor {}", path.display());
    }
    let absolute = std::path::absolute(&path)?;
    let dir = absolute.parent().unwrap_or(Path::new("/"));
    Ok((found.unwrap_or_default(), dir.to_owned()))
}

fn parse_platform(text: &str) -> anyhow::Result<Platform> {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next(), parts.next());
    let variant = parts.next().unwrap_or_default();
    match (os, architecture, parts.next()) {
        (Some(os), Some(architecture), None) if !os.is_empty() && !architecture.is_empty() => {
            Ok(Platform {
                os: os.to_owned(),
                architecture: architecture.to_owned(),
                variant: variant.to_owned(),
                ..Platform::default()
            })
        }
        _ => bail!("{text:?} is no platform: use OS/ARCH, as linux/amd64"),
    }
}

/// A program of another architecture would only say "exec format error".
fn check_architecture(name: &str, builder: &Image) -> anyhow::Result<()> {
    let (host, config) = (Platform::host(), builder.config());
    let theirs = format!("{}/{}", config.os, config.architecture);
    let ours = format!("{}/{}", host.os, host.architecture);
    if theirs != ours {
        bail!(
            "builder {name} is for {theirs}, and this machine is {ours}\ntake a builder for {ours}"
        );
    }
    Ok(())
}

/// Returns the newest Platform API that both sides of the build know.
fn choose_api(lifecycle: Lifecycle, builder: &Builder) -> anyhow::Result<String> {
    let ours = lifecycle::Descriptor::of_this().apis.platform.supported;
    let known = |api: &&String| {
        lifecycle == Lifecycle::Slipway
            || builder.platform_apis.supported.contains(api)
            || builder.platform_apis.deprecated.contains(api)
    };
    let lowest = ours.iter().position(|api| api == LOWEST_API).unwrap_or(0);
    match ours[lowest..].iter().rev().find(known) {
        Some(api) => Ok(api.clone()),
        None => bail!(
            "the builder's lifecycle {} is too old: layouts need Platform API {LOWEST_API} or newer\nleave out --lifecycle builder, so that slipway's own is used",
            builder.lifecycle_version
        ),
    }
}

/// Returns where the app is inside.
pub(super) fn workspace(name: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new("/").join(name);
    let parts: Vec<_> = path.components().skip(1).collect();
    let plain = parts
        .iter()
        .all(|part| matches!(part, Component::Normal(_)));
    if parts.is_empty() || !plain {
        bail!("{name:?} is no place for the app: use a name, as workspace");
    }
    Ok(path)
}

/// Returns seconds since 1970.
pub(super) fn creation_time(text: &str) -> anyhow::Result<String> {
    if text == "now" {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        return Ok(now.as_secs().to_string());
    }
    let seconds: i64 = text
        .parse()
        .with_context(|| format!("{text:?} is no time: use seconds since 1970, or now"))?;
    Ok(seconds.to_string())
}
