//! What `slipway` costs, each time against something that does the same with less, in one run on one machine: the ratios
//! can be compared where seconds cannot. `make bench` runs it.
//!
//! | measured | against |
//! |---|---|
//! | a build of `bash-hello` with everything cached | the five phases, run directly |
//! | a container, until its program runs, each way and each runtime | a process |
//! | the launcher, until its process has ended | the process |
//! | unpacking an image of about 30 MB | `tar -xzf` of the same layers |
//! | exports of large trees, cold, unchanged, with a cache, and what comes before | `tar \| pigz -1 \| sha256sum` of the tree |
//! | a push of the image of such a tree to a registry on this machine | `skopeo copy` and `crane push` |
//! | a build with one large layer, first and unchanged | `sha256sum` of the layer's file |
#![expect(
    clippy::unwrap_used,
    reason = "a workload that cannot be made is no measurement"
)]

mod builds;
mod containers;
mod export;
mod launcher;
mod memory;
mod push;
mod report;
mod stopwatch;
mod unpacking;
mod workload;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tests::desk::{Desk, Person};
use tests::program::{is_root, requires};

use crate::report::Report;
use crate::stopwatch::Table;
use crate::workload::Tree;

/// Measure what slipway costs
#[derive(Debug, Parser)]
struct Args {
    /// How often to measure each; the median counts
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Megabytes of the large layer
    #[arg(long, value_name = "MB", default_value_t = 1000)]
    layer: u64,
    /// Measure the exports of these trees alone
    #[arg(long, value_enum, value_name = "TREE")]
    export: Vec<Tree>,
    /// Do not fill the memory before each export and push
    #[arg(long)]
    memory_as_it_is: bool,
    /// Where table and plot of the exports go
    #[arg(long, value_name = "DIR", default_value = "target/bench")]
    output: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    sandbox::engine::serve();
    let args = Args::parse();
    if !is_root()
        || !requires(&[
            "tar",
            "sha256sum",
            "umoci",
            "jq",
            "pigz",
            "time",
            "skopeo",
            "crane",
            "docker-registry",
        ])
    {
        anyhow::bail!("the phases run directly need root, and samples need umoci and jq");
    }
    let all = args.export.is_empty();
    if all {
        // First what takes milliseconds: after the exports, the machine is busy with what they left.
        let mut table = Table::new(io::stdout())?;
        let desk = Desk::of(Person::Root);
        launcher::start(args.rounds, &mut table)?;
        builds::warm(&desk, args.rounds, &mut table)?;
        containers::start(&desk, args.rounds, &mut table)?;
        unpacking::first(args.rounds, &mut table)?;
        builds::large_layer(&desk, args.layer, &mut table)?;
    }
    let mut report = Report::default();
    for tree in if all { &Tree::ALL[..] } else { &args.export } {
        export::of(*tree, args.rounds, args.memory_as_it_is, &mut report)?;
    }
    writeln!(io::stdout(), "{}", report.write(&args.output)?)?;
    Ok(ExitCode::SUCCESS)
}
