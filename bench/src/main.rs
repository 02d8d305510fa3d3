//! What `slipway` costs, each time against something that does the same with less, in one run on one machine: the ratios
//! can be compared where seconds cannot. `make bench` runs it.
//!
//! | measured | against |
//! |---|---|
//! | a build of `bash-hello` with everything cached | the five phases, run directly |
//! | a container, until its program runs, each way and each runtime | a process |
//! | unpacking an image of about 30 MB | `tar -xzf` of the same layers |
//! | a build with one large layer, first and unchanged | `sha256sum` of the layer's file |
#![expect(
    clippy::unwrap_used,
    reason = "a workload that cannot be made is no measurement"
)]

mod builds;
mod containers;
mod stopwatch;
mod unpacking;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tests::desk::{Desk, Person};
use tests::program::{is_root, requires};

use stopwatch::Table;

/// Measure what slipway costs
#[derive(Debug, Parser)]
struct Args {
    /// How often to measure each; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Megabytes of the large layer
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    layer: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    sandbox::engine::serve();
    let args = Args::parse();
    if !is_root() || !requires(&["tar", "sha256sum", "umoci", "jq"]) {
        anyhow::bail!("the phases run directly need root, and samples need umoci and jq");
    }
    let mut table = Table::new(io::stdout())?;
    let desk = Desk::of(Person::Root);
    builds::warm(&desk, args.rounds, &mut table)?;
    containers::start(&desk, args.rounds, &mut table)?;
    unpacking::first(args.rounds, &mut table)?;
    builds::large_layer(&desk, args.layer, &mut table)?;
    Ok(ExitCode::SUCCESS)
}
