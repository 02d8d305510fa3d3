//! The detector phase: which buildpacks take part in a build, and what each shall bring (platform.md, detector).
//!
//! ```text
//! order.toml, system.toml ─► order ─► candidate ─► bin/detect (all of a group at once) ─► verdict ─► trial
//!                                        ▲                                                 │         │
//!                                        └───────────────── next candidate ◄───────────────┘         ▼
//!                                                                                            group.toml, plan.toml
//! ```
//!
//! Running one `bin/detect` is `buildpack::detect`'s; here is what is tried, in which order, and what wins
//! (BPD-040 to BPD-076, DET-007 to DET-031). What is said meanwhile is kept back until the end.
//! Extensions take part in detection, and are then asked for Dockerfiles: see [`generate`].

mod advice;
mod candidate;
pub mod command;
pub mod generate;
mod order;
mod transcript;
mod trial;
mod verdict;

use std::path::Path;

use buildpack::descriptor::Modules;
use buildpack::env::BuildEnv;
use buildpack::group::Group;
use buildpack::order::Order;
use buildpack::plan::Plan;
use buildpack::target::Target;
use platform::files::System;
use platform::{ExitCode, Failure, PlatformApi};
use tracing::error;

use crate::candidate::Search;
use crate::order::CandidateOrder;
use crate::transcript::Transcript;
use crate::verdict::Rejection;

/// What detection works on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// What to try.
    pub order: &'a Order,
    /// Where it was read from.
    pub order_path: &'a Path,
    /// Buildpacks around every group; looked at from Platform API 0.15 on.
    pub system: &'a System,
    /// Where they were read from.
    pub system_path: &'a Path,
    /// Where modules are.
    pub modules: &'a Modules,
    /// The app, working directory of every `bin/detect`.
    pub app_dir: &'a Path,
    /// `<platform>`.
    pub platform_dir: &'a Path,
    /// `<build-config>`.
    pub build_config_dir: &'a Path,
    /// Variables that may pass to buildpacks.
    pub env: &'a BuildEnv,
    /// Target of the run image as the analyzer wrote it.
    pub target: Option<&'a Target>,
    /// `/etc/os-release`, read where the target has no distribution.
    pub os_release: &'a Path,
    /// Value of `CNB_EXEC_ENV`.
    pub exec_env: &'a str,
}

/// What detection chose.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// Modules that take part.
    pub group: Group,
    /// What they bring and want.
    pub plan: Plan,
}

/// An order whose modules are there and can be run.
#[derive(Debug)]
pub struct Detector<'a> {
    inputs: Inputs<'a>,
    order: CandidateOrder,
}

impl<'a> Detector<'a> {
    /// Merges system buildpacks and extensions into the order and checks every module that it lists (DET-007, DET-008).
    pub fn new(inputs: Inputs<'a>) -> Result<Self, Failure> {
        let order = CandidateOrder::new(&inputs)?;
        Ok(Self { inputs, order })
    }

    /// Tries groups until one passes (BPD-045, BPD-073, BPD-074).
    pub fn detect(&self) -> Result<Outputs, Failure> {
        let _timer = platform::log::timer("Detector");
        let mut transcript = Transcript::default();
        let found = self.search(&mut transcript);
        transcript.tell(found.is_err());
        if found.is_ok() {
            transcript.mistakes.warn();
        }
        found.map_err(|rejection| self.failed(rejection, &transcript))
    }

    fn search(&self, transcript: &mut Transcript) -> Result<Outputs, Rejection> {
        Search::new(&self.inputs, transcript).order(&self.order)
    }

    /// Detects without saying so.
    #[cfg(test)]
    fn decide(&self, transcript: &mut Transcript) -> Result<Outputs, Failure> {
        self.search(transcript)
            .map_err(|rejection| self.failed(rejection, transcript))
    }

    /// Says why no group was taken, and returns the code of it. The last line is the reference's.
    fn failed(&self, rejection: Rejection, transcript: &Transcript) -> Failure {
        match rejection {
            Rejection::Failed => {
                error!("No buildpack groups passed detection.");
                error!("Please check that you are running against the correct path.");
                transcript.mistakes.tell();
                transcript.loose_ends.tell();
                advice::tell_what_was_tried(&self.inputs, transcript.groups);
                let cause = anyhow::anyhow!("no buildpacks participating");
                Failure::new(ExitCode::NoGroup, "detect", cause)
            }
            Rejection::ModuleError => {
                error!("No buildpack groups passed detection.");
                transcript.mistakes.tell();
                let cause = anyhow::anyhow!("buildpack(s) failed with err");
                Failure::new(ExitCode::NoGroupWithErrors, "detect", cause)
            }
            Rejection::Broken(cause, explanation) => {
                transcript.mistakes.tell();
                explanation.tell();
                Failure::new(ExitCode::Detect, "detect", cause)
            }
        }
    }
}

/// Detects: checks the order, then tries it.
pub fn run(inputs: Inputs<'_>) -> Result<Outputs, Failure> {
    Detector::new(inputs)?.detect()
}

#[cfg(test)]
mod tests;
