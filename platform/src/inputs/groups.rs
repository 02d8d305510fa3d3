//! Flags that several phases share, each declared once: flag, variable, default, help text (COM-020, COM-021).
//!
//! A field's name is the flag's. A phase flattens the groups that it needs and says which flags an API lacks.

use std::path::PathBuf;

use clap::ArgAction::{Append, Set};

use crate::inputs::flags::path;
use crate::inputs::variables as v;

#[derive(Debug, clap::Args)]
pub(crate) struct CommonFlags {
    /// least level of messages: debug, info, warn, error
    #[arg(long, env = v::LOG_LEVEL, default_value = "info")]
    pub(crate) log_level: String,
    /// print no colors
    #[arg(long, env = v::NO_COLOR, action = Set, default_value = "false")]
    pub(crate) no_color: bool,
    /// print the version and stop
    #[arg(long, action = Set, default_value = "false")]
    pub(crate) version: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UserFlags {
    /// user that the phase runs as
    #[arg(long, env = v::USER_ID, default_value = "0")]
    pub(crate) uid: i64,
    /// group that the phase runs as
    #[arg(long, env = v::GROUP_ID, default_value = "0")]
    pub(crate) gid: i64,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ImageFlags {
    /// images are in a daemon
    #[arg(long, env = v::USE_DAEMON, action = Set, default_value = "false")]
    pub(crate) daemon: bool,
    /// images are in OCI layouts on disk
    #[arg(long, env = v::USE_LAYOUT, action = Set, default_value = "false")]
    pub(crate) layout: bool,
    /// directory of OCI layouts
    #[arg(long, env = v::LAYOUT_DIR, value_parser = path())]
    pub(crate) layout_dir: Option<PathBuf>,
    /// registry to speak to without TLS checks
    #[arg(long, env = v::INSECURE_REGISTRIES, action = Append)]
    pub(crate) insecure_registry: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LayersFlag {
    /// directory of layers
    #[arg(long, env = v::LAYERS_DIR, default_value = "/layers", value_parser = path())]
    pub(crate) layers: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AppFlag {
    /// directory of the app
    #[arg(long, env = v::APP_DIR, default_value = "/workspace", value_parser = path())]
    pub(crate) app: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AnalyzedFlag {
    /// file of what the analyzer found
    #[arg(long, env = v::ANALYZED_PATH, default_value = "<layers>/analyzed.toml", value_parser = path())]
    pub(crate) analyzed: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GroupFlag {
    /// file of the detected group
    #[arg(long, env = v::GROUP_PATH, default_value = "<layers>/group.toml", value_parser = path())]
    pub(crate) group: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PlanFlag {
    /// file of the build plan
    #[arg(long, env = v::PLAN_PATH, default_value = "<layers>/plan.toml", value_parser = path())]
    pub(crate) plan: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OrderFlags {
    /// file of the groups to try; without <layers>/order.toml it is /cnb/order.toml
    #[arg(long, env = v::ORDER_PATH, default_value = "<layers>/order.toml", value_parser = path())]
    pub(crate) order: PathBuf,
    /// file of system buildpacks
    #[arg(long, env = v::SYSTEM_PATH, default_value = "/cnb/system.toml", value_parser = path())]
    pub(crate) system: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunFlag {
    /// file of run images
    #[arg(long, env = v::RUN_PATH, default_value = "/cnb/run.toml", value_parser = path())]
    pub(crate) run: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct StackFlag {
    /// file of the stack's run image
    #[arg(long, env = v::STACK_PATH, default_value = "/cnb/stack.toml", value_parser = path())]
    pub(crate) stack: PathBuf,
}

/// What buildpacks are and are given.
#[derive(Debug, clap::Args)]
pub(crate) struct ModuleFlags {
    /// directory of platform settings
    #[arg(long, env = v::PLATFORM_DIR, default_value = "/platform", value_parser = path())]
    pub(crate) platform: PathBuf,
    /// directory of buildpacks
    #[arg(long, env = v::BUILDPACKS_DIR, default_value = "/cnb/buildpacks", value_parser = path())]
    pub(crate) buildpacks: PathBuf,
    /// directory of the builder's settings
    #[arg(long, env = v::BUILD_CONFIG_DIR, default_value = "/cnb/build-config", value_parser = path())]
    pub(crate) build_config: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExtensionsFlag {
    /// directory of image extensions
    #[arg(long, env = v::EXTENSIONS_DIR, default_value = "/cnb/extensions", value_parser = path())]
    pub(crate) extensions: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GeneratedFlag {
    /// directory of what image extensions generate
    #[arg(long, env = v::GENERATED_DIR, default_value = "<layers>/generated", value_parser = path())]
    pub(crate) generated: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExecEnvVariable {
    /// execution environment
    #[arg(long, env = v::EXEC_ENV, default_value = "production")]
    pub(crate) exec_env: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CacheFlags {
    /// directory of the cache
    #[arg(long, env = v::CACHE_DIR, value_parser = path())]
    pub(crate) cache_dir: Option<PathBuf>,
    /// image that holds the cache
    #[arg(long, env = v::CACHE_IMAGE)]
    pub(crate) cache_image: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LaunchCacheFlag {
    /// directory of the cache of a daemon's launch layers
    #[arg(long, env = v::LAUNCH_CACHE_DIR, value_parser = path())]
    pub(crate) launch_cache: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct SkipLayersFlag {
    /// leave out layers of previous builds
    #[arg(long, env = v::SKIP_LAYERS, action = Set, default_value = "false")]
    pub(crate) skip_layers: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ParallelFlag {
    /// export app image and cache image at once
    #[arg(long, env = v::PARALLEL_EXPORT, action = Set, default_value = "false")]
    pub(crate) parallel: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PreviousImageFlag {
    /// image of the previous build, or to rebase; the output image if not given
    #[arg(long, env = v::PREVIOUS_IMAGE)]
    pub(crate) previous_image: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunImageFlag {
    /// image that the app will run on
    #[arg(long, env = v::RUN_IMAGE)]
    pub(crate) run_image: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct OldRunImageFlag {
    /// old name of -run-image, for the rebaser; the exporter refuses it
    #[arg(long)]
    pub(crate) image: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct BuildImageFlag {
    /// image that the build runs on
    #[arg(long, env = v::BUILD_IMAGE)]
    pub(crate) build_image: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct TagFlag {
    /// further name for the output image
    #[arg(long, action = Append)]
    pub(crate) tag: Vec<String>,
}

/// What goes into the app image beside layers, and what is said of it.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportFlags {
    /// directory of extended images
    #[arg(long, env = v::EXTENDED_DIR, default_value = "<layers>/extended", value_parser = path())]
    pub(crate) extended: PathBuf,
    /// launcher program
    #[arg(long, default_value = "/cnb/lifecycle/launcher", value_parser = path())]
    pub(crate) launcher: PathBuf,
    /// directory of the launcher's SBOM files
    #[arg(long, default_value = "/cnb/lifecycle", value_parser = path())]
    pub(crate) launcher_sbom: PathBuf,
    /// type of the default process
    #[arg(long, env = v::PROCESS_TYPE)]
    pub(crate) process_type: Option<String>,
    /// file about the app's source
    #[arg(long, env = v::PROJECT_METADATA_PATH, default_value = "<layers>/project-metadata.toml", value_parser = path())]
    pub(crate) project_metadata: PathBuf,
    #[command(flatten)]
    pub(crate) report: ReportFlag,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReportFlag {
    /// file to report the output image in
    #[arg(long, env = v::REPORT_PATH, default_value = "<layers>/report.toml", value_parser = path())]
    pub(crate) report: PathBuf,
}
