//! One case from its first step to its last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::case::{Case, Step};
use super::image;
use super::place::Place;
use super::snapshot::Before;
use super::step::{self, Exit};
use super::symbols::Symbols;
use super::text::lines;
use super::tree;

/// What came out of a case.
#[derive(Debug)]
pub struct Outcome {
    /// What each step did.
    pub steps: Vec<Done>,
    /// Snapshots by name: `final`, and `after-NN-<phase>` where a step asks for it.
    pub snapshots: BTreeMap<String, Value>,
    /// Everything that there is at the end, changed or not, shown as in a snapshot.
    pub all: Value,
    /// The names of it.
    pub there: BTreeSet<String>,
}

/// What a step did.
#[derive(Debug)]
pub struct Done {
    /// How it ended.
    pub exit: Exit,
    /// Everything that it printed, with names for digests.
    pub log: String,
    /// Exit and the lines that are compared, as in `steps.json`.
    pub shown: Value,
}

/// Runs a case in its own folder.
pub fn run(case: &Case) -> Outcome {
    let place = Place::prepare(case);
    let before = Before::of(&place);
    let mut symbols = Symbols::new(place.fixed.clone());
    let mut steps = Vec::new();
    let mut snapshots = BTreeMap::new();
    for (number, step) in (1..).zip(&case.steps) {
        let (exit, log) = step::run(&place, step);
        for name in tree::layouts(&place.root) {
            image::learn_layout(&place.root.join(&name), &name, number, &mut symbols);
        }
        if let Some(registry) = place.registry() {
            image::learn_registry(registry, number, &mut symbols);
        }
        let log = symbols.text(&log);
        let shown = shown(step, &exit, &log);
        steps.push(Done { exit, log, shown });
        if step.collect {
            let name = format!("after-{number:02}-{}", step.phase);
            snapshots.insert(name, before.changes(&place, &symbols));
        }
    }
    snapshots.insert("final".to_owned(), before.changes(&place, &symbols));
    let there = tree::entries(&place.root).into_keys().collect();
    let all = Before::default().changes(&place, &symbols);
    place.remove();
    Outcome {
        steps,
        snapshots,
        all,
        there,
    }
}

fn shown(step: &Step, exit: &Exit, log: &str) -> Value {
    let mut shown = json!({"phase": step.phase, "exit": Value::from(exit)});
    if let Some(accept) = step.accept {
        shown["accept"] = accept.word().into();
    }
    if let Some(wanted) = &step.log {
        let patterns = &wanted.patterns;
        let mut found: Vec<String> = lines(log)
            .into_iter()
            .filter(|line| !is_noise(line))
            .filter(|line| {
                patterns.is_empty() || patterns.iter().any(|pattern| pattern.occurs_in(line))
            })
            .map(|line| without_foreign_words(&line))
            .collect();
        if wanted.sorted {
            found.sort();
        }
        shown["log"] = found.into();
    }
    shown
}

// Debug lines that say nothing about the result.
fn is_noise(line: &str) -> bool {
    static NOISE: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r"^(Starting \S+\.\.\.$|Parsing inputs|Ensuring privileges|Executing command|Timer: |Checking for match against descriptor)";
        Regex::new(pattern).expect("the pattern is right")
    });
    NOISE.is_match(line)
}

// From here on an error is in the words of a library or of the system.
fn without_foreign_words(line: &str) -> String {
    static FOREIGN: LazyLock<Regex> = LazyLock::new(|| {
        let words = [
            "toml: ",
            "open ",
            "stat ",
            "lstat ",
            "mkdir ",
            "chdir ",
            "chmod ",
            "rename ",
            "fork/exec ",
            "exec: ",
            "readdirent ",
            "exit status ",
            "Get \"",
            "HEAD ",
            "dial ",
            "invalid character",
            "json: ",
            "wrong number of hex",
            "unexpected ",
            "no such file",
            "permission denied",
        ];
        Regex::new(&format!(": ({}).*", words.join("|"))).expect("the pattern is right")
    });
    if line.starts_with("ERROR") {
        FOREIGN.replace(line, ": ...").into_owned()
    } else {
        line.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_words_of_errors_are_cut() {
        for (line, expected) in [
            (
                "ERROR: failed to read x: open /x: no such file or directory",
                "ERROR: failed to read x: ...",
            ),
            (
                "ERROR: failed: toml: line 1: bad: open x",
                "ERROR: failed: ...",
            ),
            ("ERROR: failed to open it", "ERROR: failed to open it"),
            ("Warning: failed: open /x", "Warning: failed: open /x"),
        ] {
            assert_eq!(without_foreign_words(line), expected);
        }
    }

    #[test]
    fn lines_are_picked_and_sorted() {
        let step: Step = toml::from_str("phase = 'x'\nlog = ['sorted', '^b', 'c$']").unwrap();
        let shown = shown(&step, &Exit::Code(3), "by\nac\nTimer: c\nd\n");
        assert_eq!(shown, json!({"phase": "x", "exit": 3, "log": ["ac", "by"]}));
        let nothing: Step = toml::from_str("phase = 'x'\nlog = []\naccept = 'better'").unwrap();
        let shown = super::shown(&nothing, &Exit::Timeout, "a\n");
        assert_eq!(
            shown,
            json!({"phase": "x", "exit": "timeout", "accept": "better"})
        );
    }
}
