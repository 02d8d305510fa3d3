//! A case against what was recorded.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde_json::Value;

use super::case::{Accept, Case, Extent};
use super::difference::{self, Difference};
use super::relax::{self, Relax};
use super::run::Outcome;
use super::step::Exit;

/// How closely is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closeness {
    /// As [`relax`] says.
    Relaxed,
    /// Wording, raw text, modes and empty values too.
    Strict,
}

/// What was recorded.
#[derive(Debug)]
pub struct Recorded {
    /// What each step did.
    pub steps: Vec<Value>,
    /// Snapshots by name.
    pub snapshots: BTreeMap<String, Value>,
}

impl Recorded {
    /// Reads the folder `expected` of a case.
    pub fn read(case: &Case) -> Self {
        let folder = case.folder.join("expected");
        let mut steps = Vec::new();
        let mut snapshots = BTreeMap::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .file_stem()
                .expect("files have names")
                .to_string_lossy()
                .into_owned();
            match name.as_str() {
                "steps" => steps = document(&path),
                "logs" => {}
                _ => snapshots.extend([(name, document(&path))]),
            }
        }
        Self { steps, snapshots }
    }
}

/// Returns where a case differs from what was recorded.
pub fn compare(
    case: &Case,
    recorded: &Recorded,
    outcome: &Outcome,
    closeness: Closeness,
) -> Vec<Difference> {
    let mut found = Vec::new();
    let steps = recorded.steps.iter().zip(&outcome.steps).zip(&case.steps);
    for (number, ((expected, done), step)) in (1..).zip(steps) {
        let at = format!("step {number} {}", step.phase);
        let (mut expected, mut shown) = (expected.clone(), done.shown.clone());
        let failed_before = expected["exit"] != 0;
        match step.accept {
            Some(Accept::Better) if failed_before && done.exit == Exit::Code(0) => {
                found.extend(missing_of_better(case, outcome, &at));
                return found;
            }
            Some(Accept::AnyFailure) if ![Exit::Code(0), Exit::Timeout].contains(&done.exit) => {
                shown["exit"] = expected["exit"].clone();
            }
            _ => {}
        }
        if closeness == Closeness::Relaxed {
            (expected, shown) = (relax::step(expected), relax::step(shown));
        }
        let mut differences = difference::between(&at, &expected, &shown);
        if expected["exit"] != shown["exit"]
            && let Some(first) = differences.first_mut()
        {
            first.what.push_str(&end_of(&done.log));
        }
        found.extend(differences);
    }
    if recorded.steps.len() != outcome.steps.len() {
        let what = format!(
            "{} expected, {} run",
            recorded.steps.len(),
            outcome.steps.len()
        );
        found.push(Difference::new(vec!["steps".to_owned()], what));
    }
    if case.compare != Some(Extent::Exit) || closeness == Closeness::Strict {
        found.extend(snapshots(case, recorded, outcome, closeness));
    }
    found
}

fn snapshots(
    case: &Case,
    recorded: &Recorded,
    outcome: &Outcome,
    closeness: Closeness,
) -> Vec<Difference> {
    let relax = Relax::new(case);
    let mut found = Vec::new();
    for (name, expected) in &recorded.snapshots {
        let snapshot = outcome.snapshots.get(name).cloned().unwrap_or_default();
        let differences = match closeness {
            Closeness::Strict => difference::between(name, expected, &snapshot),
            Closeness::Relaxed => difference::between(
                name,
                &relax.snapshot(name, expected.clone()),
                &relax.snapshot(name, snapshot),
            ),
        };
        found.extend(differences);
    }
    found
}

// A step succeeded in which the reference fails: what must be there then.
fn missing_of_better(case: &Case, outcome: &Outcome, at: &str) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut missing = |what: String| {
        found.push(Difference::new(vec![at.to_owned()], what));
    };
    for file in &case.better_files {
        if !outcome.there.contains(file) {
            missing(format!(
                "succeeds where the reference fails, but there is no {file}"
            ));
        }
    }
    if let Some(platform) = &case.better_platform {
        let reference = outcome.snapshots["final"]
            .pointer("/tree/layers~1analyzed.toml/toml/run-image/reference")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let digest = reference.rsplit('@').next().unwrap_or_default();
        let manifests = relax::manifests(case);
        let is_right = |(of, manifest): &(String, String)| of == platform && manifest == digest;
        if !manifests.iter().any(is_right) {
            missing(format!(
                "succeeds, but the run image {reference:?} is not the one for {platform}"
            ));
        }
    }
    found
}

fn end_of(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    let shown = &lines[lines.len().saturating_sub(12)..];
    format!("\n    | {}", shown.join("\n    | "))
}

fn document<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let bytes = fs::read(path).unwrap();
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
