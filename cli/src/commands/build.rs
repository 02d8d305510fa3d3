//! `slipway build`.

use std::process::ExitCode;

use crate::build;
use crate::config::Config;
use crate::environment;

pub(crate) use crate::build::Args;

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    build::run(args, &config)?;
    Ok(ExitCode::SUCCESS)
}
