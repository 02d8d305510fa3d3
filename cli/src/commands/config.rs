//! `slipway config`: what is set once, shown and changed.
//!
//! Without a new value each command prints the present one, alone on a line, for people and for scripts.

mod entry;
mod insecure_registries;
mod registries;
mod registry_mirrors;
mod run_image_mirrors;
mod trusted_builders;
mod value;

use std::io::Write;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::Config;
use crate::environment;

/// Show and change settings
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    long_about = "\
Show and change settings

Settings are kept in config.toml in the folder $SLIPWAY_HOME, else $PACK_HOME, else ~/.pack if it is there, \
else ~/.slipway. A file that pack has written serves as it stands.",
    after_help = "\
Examples:
  slipway config default-builder                     # print it
  slipway config default-builder oci:/images/builder # set it
  slipway config default-builder --unset
  slipway config trusted-builders add example.org/builder"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    DefaultBuilder(value::DefaultBuilder),
    Experimental(value::Experimental),
    #[command(visible_alias = "insecure-registry")]
    InsecureRegistries(insecure_registries::Args),
    LayoutRepoDir(value::LayoutRepoDir),
    LifecycleImage(value::LifecycleImage),
    PullPolicy(value::PullPolicy),
    #[command(visible_alias = "registry")]
    Registries(registries::Args),
    #[command(visible_alias = "registry-mirror")]
    RegistryMirrors(registry_mirrors::Args),
    RunImageMirrors(run_image_mirrors::Args),
    #[command(visible_aliases = ["trusted-builder", "trust-builder"])]
    TrustedBuilders(trusted_builders::Args),
}

/// Runs one of its commands; results go to `out`.
pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    match &args.command {
        Command::DefaultBuilder(args) => args.run(&config, out),
        Command::Experimental(args) => args.run(&config, out),
        Command::InsecureRegistries(args) => args.run(&config, out),
        Command::LayoutRepoDir(args) => args.run(&config, out),
        Command::LifecycleImage(args) => args.run(&config, out),
        Command::PullPolicy(args) => args.run(&config, out),
        Command::Registries(_) => registries::list(&config, out),
        Command::RegistryMirrors(args) => args.run(&config, out),
        Command::RunImageMirrors(args) => args.run(&config, out),
        Command::TrustedBuilders(args) => args.run(&config, out),
    }?;
    Ok(ExitCode::SUCCESS)
}
