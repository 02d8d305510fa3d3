//! What `slipway build` takes: pack's flags, and few of our own.

use std::path::PathBuf;

use layout::layer::Compression;
use sandbox::Network;

use crate::config::PullPolicy;
use crate::containers;
use crate::images::stores;

/// Build an app into an image
///
/// The image goes into an OCI image layout, a plain folder: no daemon, no root, and no network but what buildpacks need. Or it
/// goes to a registry, or to the daemon that DOCKER_HOST names, which then has the image before too.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Image to make: oci:DIR[:TAG]; docker://NAME, in a registry; docker-daemon:NAME, or NAME alone, in a daemon
    pub(super) image: String,
    /// Write the image to the registry of its name
    #[arg(long)]
    pub(super) publish: bool,
    /// App: a directory, or a zip, jar or war file
    #[arg(long, short, value_name = "PATH", default_value = ".")]
    pub(super) path: PathBuf,
    /// Builder: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-daemon:NAME, docker://NAME, or a name in the layout repo or a registry; the
    /// default builder without it
    #[arg(long, short = 'B', value_name = "IMAGE")]
    pub(super) builder: Option<String>,
    /// Image that the app will run on, instead of the builder's
    #[arg(long, value_name = "IMAGE")]
    pub(super) run_image: Option<String>,
    /// Buildpack to use instead of the builder's order: ID@VERSION in the builder, a directory, an archive, a .cnb file,
    /// oci:DIR[:TAG], docker-daemon:NAME, or a name in the layout repo or a registry; may be repeated
    #[arg(long, short, value_name = "BUILDPACK", value_delimiter = ',')]
    pub(super) buildpack: Vec<String>,
    /// Buildpack to put in front of every group of the order; may be repeated
    #[arg(long, value_name = "BUILDPACK")]
    pub(super) pre_buildpack: Vec<String>,
    /// Buildpack to put behind every group of the order; may be repeated
    #[arg(long, value_name = "BUILDPACK")]
    pub(super) post_buildpack: Vec<String>,
    /// Image extension to use instead of the builder's; may be repeated
    #[arg(long, value_name = "EXTENSION", value_delimiter = ',')]
    pub(super) extension: Vec<String>,
    /// Variable of the build: NAME=VALUE, or NAME for its value here; the image does not get it; may be
    /// repeated
    #[arg(long, short, value_name = "NAME[=VALUE]")]
    pub(super) env: Vec<String>,
    /// File of such variables, one a line; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Vec<PathBuf>,
    /// Project descriptor; by default project.toml in the app
    #[arg(long, short, value_name = "FILE")]
    pub(super) descriptor: Option<PathBuf>,
    /// Where layers are kept between builds: type=build;format=bind;source=DIR, type=build;format=volume;name=NAME, or, with
    /// --publish, type=build;format=image;name=NAME; may be repeated
    #[arg(long, value_name = "OPTIONS")]
    pub(super) cache: Vec<String>,
    /// Image in a registry that layers are kept in between builds, instead of a folder; with --publish
    #[arg(long, value_name = "NAME", conflicts_with = "cache")]
    pub(super) cache_image: Option<String>,
    /// Forget what earlier builds left in the cache
    #[arg(long)]
    pub(super) clear_cache: bool,
    /// How layers are compressed; what reads the image must know zstd
    #[arg(long, value_enum, value_name = "METHOD", default_value_t)]
    pub(super) compression: CompressionFlag,
    /// Level of the compression: 1 to 12 of gzip, 1 to 19 of zstd
    #[arg(long, value_name = "LEVEL")]
    pub(super) compression_level: Option<u8>,
    /// When the image says it was made: seconds since 1970, or now
    #[arg(long, value_name = "TIME")]
    pub(super) creation_time: Option<String>,
    /// Process type that the image starts
    #[arg(long, short = 'D', value_name = "TYPE")]
    pub(super) default_process: Option<String>,
    /// Leave out the builder's system buildpacks
    #[arg(long)]
    pub(super) disable_system_buildpacks: bool,
    /// Execution environment
    #[arg(long, value_name = "NAME", default_value = "production")]
    pub(super) exec_env: String,
    /// Group that the build runs as, instead of the builder's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..i64::from(i32::MAX)))]
    pub(super) gid: Option<u32>,
    /// User that the build runs as, instead of the builder's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..i64::from(i32::MAX)))]
    pub(super) uid: Option<u32>,
    /// Network that buildpacks see
    #[arg(long, value_enum, default_value_t)]
    pub(super) network: NetworkFlag,
    /// Platform to take of images that have several, as linux/amd64
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<String>,
    /// Image to take unchanged layers from, instead of the one that is replaced
    #[arg(long, value_name = "IMAGE")]
    pub(super) previous_image: Option<String>,
    /// When builder, run image and buildpacks are fetched from their registries into the layout repo; by default what is set
    /// with `slipway config pull-policy`, else if they are not there
    #[arg(long, value_name = "POLICY", value_enum)]
    pub(super) pull_policy: Option<PullPolicy>,
    #[command(flatten)]
    pub(super) registries: stores::Registries,
    /// Directory that report.toml goes to
    #[arg(long, value_name = "DIR")]
    pub(super) report_output_dir: Option<PathBuf>,
    /// Directory that the SBOM files go to
    #[arg(long, value_name = "DIR")]
    pub(super) sbom_output_dir: Option<PathBuf>,
    /// Leave out the layers of the run image
    #[arg(long)]
    pub(super) sparse: bool,
    /// Further place for the image, of the same kind; may be repeated
    #[arg(long, short, value_name = "IMAGE", value_delimiter = ',')]
    pub(super) tag: Vec<String>,
    /// Accepted: no buildpack ever sees credentials, whoever trusts the builder
    #[arg(long)]
    pub(super) trust_builder: bool,
    /// Accepted, for the same reason
    #[arg(long)]
    pub(super) trust_extra_buildpacks: bool,
    /// Directory or file of this machine that buildpacks see: SOURCE:TARGET[:ro|rw]; may be repeated
    #[arg(long, value_name = "VOLUME")]
    pub(super) volume: Vec<String>,
    /// Where the app is in the build and in the image
    #[arg(long, value_name = "NAME", default_value = "workspace")]
    pub(super) workspace: String,
    /// Lifecycle that runs detection and build
    #[arg(long, value_enum, default_value_t)]
    pub(super) lifecycle: Lifecycle,
    #[command(flatten)]
    pub(super) containers: containers::Flags,
    /// Print only what goes wrong, and the last line
    #[arg(long, short)]
    pub(super) quiet: bool,
    /// Print details
    #[arg(long, short, conflicts_with = "quiet")]
    pub(super) verbose: bool,
    /// Print the time in front of each line
    #[arg(long)]
    pub(super) timestamps: bool,
    /// Print no colors
    #[arg(long)]
    pub(super) no_color: bool,
    #[command(flatten)]
    pub(super) unsupported: Unsupported,
}

const EXAMPLES: &str = "\
Examples:
  slipway build oci:my-app --builder oci:my-builder
  slipway build registry.example/my-app --publish
  slipway build oci:my-app --path app.jar --builder my-builder --sparse
  slipway build oci:my-app -b ./my-buildpack -e BP_DEBUG=1 --volume ~/.m2:/home/cnb/.m2:rw";

/// Flags that pack has and that cannot be obeyed yet.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Unsupported {
    #[arg(long, hide = true)]
    interactive: bool,
    #[arg(long, hide = true)]
    userns_host: bool,
    #[arg(long, hide = true)]
    docker_host: Option<String>,
    #[arg(long, hide = true)]
    lifecycle_image: Option<String>,
    #[arg(long, short = 'r', hide = true)]
    buildpack_registry: Option<String>,
}

impl Unsupported {
    /// Returns the first such flag that was given, and what to do instead.
    pub(super) fn first(&self) -> Option<(&'static str, &'static str)> {
        let ours = "slipway's own lifecycle runs; --lifecycle builder takes the builder's";
        let daemon = "no daemon takes part";
        let given = [
            ("--interactive", self.interactive, "the log is all there is"),
            (
                "--userns-host",
                self.userns_host,
                "user namespaces are used where they are needed",
            ),
            ("--docker-host", self.docker_host.is_some(), daemon),
            ("--lifecycle-image", self.lifecycle_image.is_some(), ours),
            (
                "--buildpack-registry",
                self.buildpack_registry.is_some(),
                "name a buildpack by its image, folder or file",
            ),
        ];
        given
            .into_iter()
            .find_map(|(flag, given, instead)| given.then_some((flag, instead)))
    }
}

/// `--network`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum NetworkFlag {
    /// This machine's
    #[default]
    Host,
    /// None but a loopback of its own
    None,
}

impl From<NetworkFlag> for Network {
    fn from(flag: NetworkFlag) -> Self {
        match flag {
            NetworkFlag::Host => Self::Host,
            NetworkFlag::None => Self::None,
        }
    }
}

/// `--compression`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CompressionFlag {
    /// What everything reads
    #[default]
    Gzip,
    /// Smaller and faster, for readers of the last years
    Zstd,
    /// Plain tars
    None,
}

impl Args {
    /// Returns the compression that was asked for; `None` leaves it to the lifecycle.
    pub(super) fn compression(&self) -> anyhow::Result<Option<Compression>> {
        let name = match self.compression {
            CompressionFlag::Gzip => "gzip",
            CompressionFlag::Zstd => "zstd",
            CompressionFlag::None => "none",
        };
        Ok(match self.compression_level {
            None if self.compression == CompressionFlag::Gzip => None,
            None => Some(name.parse()?),
            Some(level) => Some(format!("{name}:{level}").parse()?),
        })
    }
}

/// `--lifecycle`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Lifecycle {
    /// Slipway's own
    #[default]
    Slipway,
    /// The one that is in the builder
    Builder,
}
