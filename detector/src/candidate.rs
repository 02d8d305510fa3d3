//! Which groups are tried, in which order (BPD-042 to BPD-048, BPD-052, DET-013 to DET-021).
//!
//! A composite buildpack is replaced by each of its groups in turn, with everything after it behind; what came
//! before stays. A module runs once a detection, whatever the number of groups that it is in.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::Context as _;
use buildpack::api::BuildpackApi;
use buildpack::descriptor::{self, Descriptor};
use buildpack::detect::{DetectInputs, DetectRun};
use buildpack::group::GroupElement;
use buildpack::target::Target;
use tracing::debug;

use crate::advice;
use crate::order::{Ancestry, CandidateOrder, Item, items, look_up};
use crate::transcript::Transcript;
use crate::verdict::{self, Rejection};
use crate::{Inputs, Outputs};

/// A module that is part of the candidate group.
#[derive(Clone, Debug)]
struct Candidate {
    element: GroupElement,
    descriptor: Descriptor,
}

/// A detection under way.
pub(crate) struct Search<'a> {
    inputs: &'a Inputs<'a>,
    transcript: &'a mut Transcript,
    target: OnceCell<Target>,
    runs: BTreeMap<(bool, String), DetectRun>,
}

impl<'a> Search<'a> {
    pub(crate) fn new(inputs: &'a Inputs<'a>, transcript: &'a mut Transcript) -> Self {
        Self {
            inputs,
            transcript,
            target: OnceCell::new(),
            runs: BTreeMap::new(),
        }
    }

    /// Tries an order.
    pub(crate) fn order(&mut self, order: &CandidateOrder) -> Result<Outputs, Rejection> {
        self.groups(&order.0, &[], &[], false)
    }

    /// Tries each group with `next` behind it; without any of them where the order is optional.
    fn groups(
        &mut self,
        groups: &[Vec<Item>],
        done: &[Candidate],
        next: &[Item],
        optional: bool,
    ) -> Result<Outputs, Rejection> {
        let mut module_error = false;
        for group in groups {
            let group: Vec<Item> = group.iter().chain(next).cloned().collect();
            match self.group(&group, done.to_vec()) {
                Err(Rejection::Failed) => {}
                Err(Rejection::ModuleError) => module_error = true,
                decided => return decided,
            }
        }
        if optional {
            return self.group(next, done.to_vec());
        }
        Err(if module_error {
            Rejection::ModuleError
        } else {
            Rejection::Failed
        })
    }

    /// Expands one group from left to right; decides once it is flat.
    fn group(&mut self, group: &[Item], mut done: Vec<Candidate>) -> Result<Outputs, Rejection> {
        for (position, item) in group.iter().enumerate() {
            let rest = &group[position + 1..];
            let (element, ancestry) = match item {
                Item::OptionalOrder(groups) => return self.groups(groups, &done, rest, true),
                Item::Module(element, ancestry) => (element, ancestry),
            };
            if done
                .iter()
                .any(|taken| same_module(&taken.element, element))
            {
                continue;
            }
            let descriptor = look_up(self.inputs, element)
                .map_err(|error| self.broken(element, ancestry, error))?;
            if !descriptor.order.is_empty() {
                let groups = expand(element, &descriptor, ancestry)?;
                return self.groups(&groups, &done, rest, element.optional);
            }
            if self.take(element, &descriptor) {
                let element = GroupElement {
                    api: descriptor.api.clone(),
                    homepage: descriptor.homepage.clone(),
                    ..element.clone()
                };
                done.push(Candidate {
                    element,
                    descriptor,
                });
            }
        }
        self.run_all(&done);
        let runs: Vec<(&GroupElement, &DetectRun)> = done
            .iter()
            .filter_map(|candidate| {
                Some((&candidate.element, self.runs.get(&key(&candidate.element))?))
            })
            .collect();
        verdict::decide(&runs, self.transcript)
    }

    /// Returns why detection cannot go on: a module that a composite buildpack or the order names.
    fn broken(
        &self,
        element: &GroupElement,
        ancestry: &Ancestry,
        error: descriptor::Error,
    ) -> Rejection {
        let explanation = match ancestry.elements().next() {
            Some(composite) => advice::of_module_in(self.inputs, composite, element, &error),
            None => advice::of_module(self.inputs, element, &error),
        };
        Rejection::Broken(error.into(), Box::new(explanation))
    }

    /// Returns whether the module takes part; records a mismatch of targets as its result (BPD-017, BPD-018, BPD-052).
    fn take(&mut self, element: &GroupElement, descriptor: &Descriptor) -> bool {
        let inputs = self.inputs;
        if inputs.api.has_targets() && !element.optional && !self.runs_on_target(descriptor) {
            let error = format!(
                "unable to satisfy target os/arch constraints; run image: {}, buildpack: {}",
                json(self.target()),
                json(&descriptor.targets),
            );
            let advice = advice::of_targets(descriptor, self.target());
            let mismatch = DetectRun::failed(&error, advice);
            self.runs.insert(key(element), mismatch);
            return true;
        }
        if inputs.api.has_exec_env() && !serves_exec_env(descriptor, inputs.exec_env) {
            debug!(
                "Skipping {} due to execution environment mismatch; current: {}, buildpack supports: [{}]",
                element.label(),
                inputs.exec_env,
                descriptor.exec_env.join(" "),
            );
            return false;
        }
        true
    }

    fn runs_on_target(&self, descriptor: &Descriptor) -> bool {
        // An empty list is what inference leaves where nothing can be said (BPD-016).
        descriptor.targets.is_empty()
            || descriptor
                .targets
                .iter()
                .any(|target| target.matches(self.target()))
    }

    /// The target that buildpacks see; looked up once, because looking it up says so in the log.
    fn target(&self) -> &Target {
        self.target.get_or_init(|| {
            platform::target::for_buildpacks(self.inputs.target, self.inputs.os_release)
        })
    }

    /// Runs the `bin/detect` of every candidate that has no result yet, all at once (BPD-047).
    fn run_all(&mut self, candidates: &[Candidate]) {
        let waiting: Vec<&Candidate> = candidates
            .iter()
            .filter(|candidate| !self.runs.contains_key(&key(&candidate.element)))
            .collect();
        if waiting.is_empty() {
            return;
        }
        let inputs = DetectInputs {
            app_dir: self.inputs.app_dir,
            platform_dir: self.inputs.platform_dir,
            build_config_dir: self.inputs.build_config_dir,
            env: self.inputs.env,
            target: self.target(),
            exec_env: self.inputs.exec_env,
        };
        let results: Vec<DetectRun> = std::thread::scope(|scope| {
            let threads: Vec<_> = waiting
                .iter()
                .map(|candidate| scope.spawn(|| detect(&candidate.descriptor, &inputs)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| lost()))
                .collect()
        });
        let keys: Vec<_> = waiting
            .iter()
            .map(|candidate| key(&candidate.element))
            .collect();
        self.runs.extend(keys.into_iter().zip(results));
    }
}

fn detect(descriptor: &Descriptor, inputs: &DetectInputs<'_>) -> DetectRun {
    match descriptor.api.parse() {
        // Modules inside a composite are not verified here (BPD-008): one of an unknown API runs like the nearest known.
        Ok(version) => {
            buildpack::detect::detect(descriptor, BuildpackApi::nearest(version), inputs)
        }
        Err(error) => DetectRun::failed(&error, advice::of_api(descriptor)),
    }
}

fn lost() -> DetectRun {
    DetectRun {
        code: -1,
        error: Some("detection ended early".into()),
        ..DetectRun::default()
    }
}

/// Returns the groups of a composite buildpack; fails if it contains itself (BPD-048).
fn expand(
    composite: &GroupElement,
    descriptor: &Descriptor,
    ancestry: &Ancestry,
) -> Result<Vec<Vec<Item>>, Rejection> {
    let Some(below) = ancestry.below(composite) else {
        let label = composite.label();
        let cause = anyhow::anyhow!("composite buildpack {label} contains itself");
        let explanation = advice::of_circle(descriptor, composite, ancestry);
        return Err(Rejection::Broken(cause, Box::new(explanation)));
    };
    let groups = descriptor.order.iter();
    Ok(groups.map(|group| items(&group.group, &below)).collect())
}

fn same_module(one: &GroupElement, other: &GroupElement) -> bool {
    one.extension == other.extension && one.id == other.id
}

fn key(element: &GroupElement) -> (bool, String) {
    (element.extension, element.label())
}

fn serves_exec_env(descriptor: &Descriptor, exec_env: &str) -> bool {
    let counts = descriptor
        .api
        .parse()
        .is_ok_and(|version| BuildpackApi::nearest(version).has_exec_env());
    !counts
        || descriptor.exec_env.is_empty()
        || descriptor
            .exec_env
            .iter()
            .any(|served| served == "*" || served == exec_env)
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    layout::json::to_string(value)
        .context("encode")
        .unwrap_or_else(|error| error.to_string())
}
