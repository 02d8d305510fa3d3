//! `expect.toml`: what a case of the project's own must come out as, written by hand from the rules.
//!
//! It says as much as the rule says and leaves the rest open: tables are compared by the keys that are given, lists as a
//! whole, `[..]` in a text stands for anything, and `<absent>` for a key that must not be there. For those who write
//! cases, `tests/cases/README.md` describes it.

use std::collections::{BTreeMap, BTreeSet};

use fs_err as fs;
use serde::Deserialize;
use serde_json::{Value, json};

use super::case::Case;
use super::run::Outcome;
use super::snapshot::json;
use super::step::Exit;

/// Stands for anything.
const ANYTHING: &str = "[..]";
/// Stands for a key that must not be there.
const ABSENT: &str = "<absent>";

/// The whole document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// What each step does, in order.
    pub step: Vec<ExpectedStep>,
    /// Every name that was made, changed or deleted, and every layout that was written.
    pub changed: Option<BTreeSet<String>>,
    /// Files that must not be there at the end.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Files at the end, changed or not.
    #[serde(default)]
    pub file: BTreeMap<String, toml::Value>,
    /// Images at the end, by the layout that they lie in.
    #[serde(default)]
    pub image: BTreeMap<String, ExpectedImage>,
}

/// What a step does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedStep {
    /// Its exit code.
    pub exit: i32,
    /// Lines that it prints, in this order; others may stand between.
    #[serde(default)]
    pub log: Vec<String>,
    /// Lines that it does not print.
    #[serde(default)]
    pub not_log: Vec<String>,
}

/// The only image of a layout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedImage {
    /// Its descriptor in `index.json`.
    pub descriptor: Option<toml::Value>,
    /// The manifest, without config and layers.
    pub manifest: Option<toml::Value>,
    /// Media type of the config.
    pub config_media_type: Option<toml::Value>,
    /// The config.
    pub config: Option<toml::Value>,
    /// The layers.
    pub layers: Option<toml::Value>,
    /// Entries that some layer has.
    #[serde(default)]
    pub entries: Vec<String>,
    /// Entries that no layer has.
    #[serde(default)]
    pub not_entries: Vec<String>,
}

impl Expect {
    /// Reads the expectations of a case; `{root}` is the folder that it runs in.
    pub fn read(case: &Case) -> Result<Self, String> {
        let path = case.folder.join("expect.toml");
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        toml::from_str(&text.replace("{root}", &case.root.to_string_lossy()))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Returns where a case came out otherwise.
    pub fn differences(&self, outcome: &Outcome) -> Vec<String> {
        let mut found = Vec::new();
        if self.step.len() != outcome.steps.len() {
            let (expected, run) = (self.step.len(), outcome.steps.len());
            found.push(format!("{run} steps, but expect.toml has {expected}"));
        }
        for (number, (expected, done)) in (1..).zip(self.step.iter().zip(&outcome.steps)) {
            let wrong = expected.differences(&done.exit, &done.log);
            if !wrong.is_empty() {
                let log = done.log.trim_end().replace('\n', "\n    | ");
                found.push(format!("step {number}: {}\n    | {log}", wrong.join("; ")));
            }
        }
        if let Some(expected) = &self.changed {
            let changed = changed(outcome);
            found.extend(
                expected
                    .difference(&changed)
                    .map(|it| format!("{it}: not changed")),
            );
            found.extend(
                changed
                    .difference(expected)
                    .map(|it| format!("{it}: changed")),
            );
        }
        for name in self
            .absent
            .iter()
            .filter(|name| outcome.there.contains(*name))
        {
            found.push(format!("{name}: it is there"));
        }
        let tree = &outcome.all["tree"];
        for (name, expected) in &self.file {
            match tree.get(name) {
                Some(file) => subset(name, &json(expected.clone()), file, &mut found),
                None => found.push(format!("{name}: it is not there")),
            }
        }
        let images = outcome.snapshots["final"]["images"].as_object();
        for (name, image) in images.into_iter().flatten() {
            let shown = image.to_string();
            if shown.contains("\"problem") {
                found.push(format!("{name}: {}", problems(image)));
            }
        }
        for (name, expected) in &self.image {
            match outcome.all["images"][name]["manifests"]
                .as_array()
                .map(Vec::as_slice)
            {
                Some([only]) => expected.differences(name, only, &mut found),
                Some(several) => found.push(format!("{name}: {} manifests", several.len())),
                None => found.push(format!("{name}: there is no image")),
            }
        }
        found
    }
}

impl ExpectedStep {
    fn differences(&self, exit: &Exit, log: &str) -> Vec<String> {
        let mut found = Vec::new();
        if *exit != Exit::Code(self.exit) {
            let exit = Value::from(exit);
            found.push(format!("expected exit {}, it was {exit}", self.exit));
        }
        let mut lines = log.lines();
        for expected in &self.log {
            if !lines.any(|line| fits(expected, line)) {
                found.push(format!("the log has no line {expected:?} there"));
                break;
            }
        }
        for unwanted in &self.not_log {
            if log.lines().any(|line| fits(unwanted, line)) {
                found.push(format!("the log has a line {unwanted:?}"));
            }
        }
        found
    }
}

impl ExpectedImage {
    fn differences(&self, name: &str, shown: &Value, found: &mut Vec<String>) {
        let image = &shown["image"];
        for (part, expected, actual) in [
            ("descriptor", &self.descriptor, &shown["descriptor"]),
            ("manifest", &self.manifest, &image["manifest"]),
            ("config", &self.config, &image["config"]),
            (
                "config media type",
                &self.config_media_type,
                &image["configMediaType"],
            ),
            ("layers", &self.layers, &image["layers"]),
        ] {
            if let Some(expected) = expected {
                subset(
                    &format!("{name} {part}"),
                    &json(expected.clone()),
                    actual,
                    found,
                );
            }
        }
        let layers = image["layers"].as_array().into_iter().flatten();
        let lines: Vec<&str> = layers
            .flat_map(|layer| layer["listing"].as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect();
        let has = |entry: &&String| lines.iter().any(|line| fits(entry, line));
        for entry in self.entries.iter().filter(|entry| !has(entry)) {
            found.push(format!(
                "{name}: no layer has {entry:?} among\n    {}",
                lines.join("\n    ")
            ));
        }
        for entry in self.not_entries.iter().filter(has) {
            found.push(format!("{name}: a layer has {entry:?}"));
        }
    }
}

fn changed(outcome: &Outcome) -> BTreeSet<String> {
    let changes = &outcome.snapshots["final"];
    let names = |value: &Value| -> Vec<String> {
        match value {
            Value::Object(members) => members.keys().cloned().collect(),
            Value::Array(names) => names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    };
    ["tree", "images", "deleted"]
        .into_iter()
        .flat_map(|part| names(&changes[part]))
        .collect()
}

fn problems(image: &Value) -> String {
    let manifests = image["manifests"].as_array().into_iter().flatten();
    let of = |it: &Value| {
        json!([
            it["problem"],
            it["image"]["problem"],
            it["image"]["problems"]
        ])
    };
    manifests.map(|it| of(it).to_string()).collect()
}

/// Compares tables by the keys that are given, lists as a whole, texts with wildcards.
fn subset(at: &str, expected: &Value, found: &Value, out: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            for (key, value) in expected {
                let at = format!("{at} / {key}");
                match found.get(key) {
                    None if value == ABSENT => {}
                    Some(found) if value == ABSENT => out.push(format!("{at}: found {found}")),
                    Some(found) => subset(&at, value, found, out),
                    None => out.push(format!("{at}: missing, expected {value}")),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (number, (expected, found)) in a.iter().zip(b).enumerate() {
                subset(&format!("{at} / {number}"), expected, found, out);
            }
        }
        (Value::String(expected), Value::String(found)) if fits(expected, found) => {}
        _ if expected == found => {}
        _ => out.push(format!("{at}: expected {expected}, found {found}")),
    }
}

/// Returns whether a text is what a pattern with `[..]` says.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once(ANYTHING) else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let Some((between, last)) = rest.rsplit_once(ANYTHING) else {
        return text.ends_with(rest);
    };
    for part in between.split(ANYTHING) {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests;
