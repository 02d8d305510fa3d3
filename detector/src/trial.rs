//! A plan from what modules provide and require (BPD-062 to BPD-068, BPD-070).
//!
//! One alternative of each module makes a trial; the last module's alternatives vary fastest, and the first trial
//! without a loose end wins. Names are walked in sorted order, where the reference's order is chance.

use std::collections::BTreeMap;
use std::fmt;

use buildpack::group::GroupElement;
use buildpack::plan::{BuildPlan, Plan, PlanEntry, PlanSections, Provider, Require};

use crate::advice::Explanation;
use crate::transcript::Transcript;

/// A module that passed, and its build plan.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed<'a> {
    pub(crate) element: &'a GroupElement,
    pub(crate) plan: &'a BuildPlan,
}

/// A plan without loose ends, and who is left in it.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) elements: Vec<GroupElement>,
    pub(crate) plan: Plan,
}

/// One module with one of its alternatives.
#[derive(Clone, Debug)]
struct Choice<'a> {
    element: &'a GroupElement,
    sections: &'a PlanSections,
    /// May be dropped in this trial: optional, and on its last alternative (BPD-063).
    droppable: bool,
}

/// Returns the first trial that works.
pub(crate) fn resolve(passed: &[Passed<'_>], transcript: &mut Transcript) -> Option<Resolved> {
    let alternatives: Vec<Vec<Choice<'_>>> = passed.iter().map(choices).collect();
    let mut number = 0;
    // A counter whose digits are the alternatives, last digit fastest: no recursion, whatever a plan holds.
    let mut digits = vec![0; alternatives.len()];
    loop {
        number += 1;
        transcript.debug(format!("Resolving plan... (try #{number})"));
        let trial = digits
            .iter()
            .zip(&alternatives)
            .map(|(digit, of)| of[*digit].clone())
            .collect();
        if let Some(resolved) = try_one(trial, transcript) {
            return Some(resolved);
        }
        let position = (0..digits.len())
            .rev()
            .find(|&i| digits[i] + 1 < alternatives[i].len())?;
        digits[position] += 1;
        digits[position + 1..].fill(0);
    }
}

fn choices<'a>(passed: &Passed<'a>) -> Vec<Choice<'a>> {
    let sections = std::iter::once(&passed.plan.sections).chain(&passed.plan.or);
    let last = passed.plan.or.len();
    sections
        .enumerate()
        .map(|(i, sections)| Choice {
            element: passed.element,
            sections,
            droppable: passed.element.optional && i == last,
        })
        .collect()
}

/// Drops optional modules with loose ends until there are none; `None` where a required one has some (BPD-066, BPD-067).
fn try_one(mut trial: Vec<Choice<'_>>, transcript: &mut Transcript) -> Option<Resolved> {
    loop {
        let names = dependencies(&trial);
        let unmet = names.iter().flat_map(|(name, dependency)| {
            let early = dependency.early_requires.iter();
            early.map(|at| (*at, LooseEnd::Unmet(name)))
        });
        let unused = names.iter().flat_map(|(name, dependency)| {
            let extra = dependency.extra_provides.iter();
            extra.map(|at| (*at, LooseEnd::Unused(name)))
        });
        let mut dropped = vec![false; trial.len()];
        for (at, loose_end) in unmet.chain(unused) {
            let element = trial[at].element;
            let label = element.label();
            if !trial[at].droppable {
                transcript.debug(format!("fail: {label} {loose_end}"));
                let explanation = Explanation::of_loose_end(element, &loose_end);
                transcript.loose_ends.add(explanation);
                return None;
            }
            transcript.debug(format!("skip: {label} {loose_end}"));
            dropped[at] = true;
        }
        if !dropped.contains(&true) {
            if trial.is_empty() {
                transcript.debug("fail: no viable buildpacks in group");
                return None;
            }
            let entries = names
                .into_values()
                .map(|dependency| dependency.entry(&trial))
                .collect();
            let elements = trial.iter().map(|choice| choice.element.clone()).collect();
            return Some(Resolved {
                elements,
                plan: Plan { entries },
            });
        }
        let mut dropped = dropped.into_iter();
        trial.retain(|_| !dropped.next().unwrap_or_default());
    }
}

/// What a module wants of a plan, and the plan does not have.
#[derive(Debug)]
pub(crate) enum LooseEnd<'a> {
    /// It requires what nobody in front of it, nor itself, provides.
    Unmet(&'a str),
    /// It provides what nobody behind it, nor itself, requires.
    Unused(&'a str),
}

impl fmt::Display for LooseEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmet(name) => write!(f, "requires {name}"),
            Self::Unused(name) => write!(f, "provides unused {name}"),
        }
    }
}

/// What became of one name; modules by their place in the trial.
#[derive(Debug, Default)]
struct Dependency<'a> {
    providers: Vec<usize>,
    requires: Vec<&'a Require>,
    early_requires: Vec<usize>,
    extra_provides: Vec<usize>,
}

impl Dependency<'_> {
    fn entry(self, trial: &[Choice<'_>]) -> PlanEntry {
        let provider = |at: usize| {
            let GroupElement {
                id,
                version,
                extension,
                ..
            } = trial[at].element;
            Provider {
                id: id.clone(),
                version: version.clone(),
                extension: *extension,
            }
        };
        PlanEntry {
            providers: self.providers.into_iter().map(provider).collect(),
            requires: self.requires.into_iter().cloned().collect(),
        }
    }
}

/// Walks the trial: provides of a module before its requires (BPD-064, BPD-065).
fn dependencies<'a>(trial: &[Choice<'a>]) -> BTreeMap<&'a str, Dependency<'a>> {
    let mut names: BTreeMap<&str, Dependency<'a>> = BTreeMap::new();
    for (at, choice) in trial.iter().enumerate() {
        for provide in &choice.sections.provides {
            names
                .entry(&provide.name)
                .or_default()
                .extra_provides
                .push(at);
        }
        for require in &choice.sections.requires {
            let dependency = names.entry(&require.name).or_default();
            dependency.providers.append(&mut dependency.extra_provides);
            if dependency.providers.is_empty() {
                dependency.early_requires.push(at);
            } else {
                dependency.requires.push(require);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use buildpack::plan::Provide;

    use super::*;

    /// `a?` is optional; `+x` provides, `-x` requires, `|` begins the next alternative.
    fn module(text: &str) -> (GroupElement, BuildPlan) {
        let (id, rest) = text.split_once(' ').unwrap_or((text, ""));
        let element = GroupElement {
            id: id.trim_end_matches('?').into(),
            version: "1".into(),
            optional: id.ends_with('?'),
            ..GroupElement::default()
        };
        let mut sections = rest.split('|').map(|alternative| {
            let mut sections = PlanSections::default();
            for word in alternative.split_whitespace() {
                match word.split_at(1) {
                    ("+", name) => sections.provides.push(Provide { name: name.into() }),
                    (_, name) => {
                        sections.requires.push(Require {
                            name: name.into(),
                            ..Require::default()
                        });
                    }
                }
            }
            sections
        });
        let first = sections.next().unwrap();
        (
            element,
            BuildPlan {
                sections: first,
                or: sections.collect(),
            },
        )
    }

    /// Returns participants, or `fail`, and the lines said.
    fn outcome(group: &[&str]) -> (String, Vec<String>) {
        let modules: Vec<_> = group.iter().map(|text| module(text)).collect();
        let passed: Vec<_> = modules
            .iter()
            .map(|(element, plan)| Passed { element, plan })
            .collect();
        let mut transcript = Transcript::default();
        let participants = match resolve(&passed, &mut transcript) {
            Some(resolved) => resolved
                .elements
                .iter()
                .map(|e| e.id.as_str())
                .collect::<Vec<_>>()
                .join(" "),
            None => "fail".into(),
        };
        (participants, transcript.levelled())
    }

    #[test]
    fn who_takes_part() {
        let table: &[(&[&str], &str)] = &[
            (&["a", "b"], "a b"),
            (&["a +x", "b -x"], "a b"),
            // BPD-064: a module satisfies itself.
            (&["a +x -x"], "a"),
            // BPD-065, DET-026: a require before any provider is unmet, the provide behind it unused.
            (&["a -x", "b +x"], "fail"),
            (&["a? -x", "b? +x", "c"], "c"),
            (&["a +x"], "fail"),
            (&["a? +x", "b"], "b"),
            // DET-026: an optional module with a loose end goes, and the trial begins anew.
            (&["a? -x", "b"], "b"),
            // BPD-067: without its only consumer a required provider has a loose end.
            (&["a +x", "b? -x -y"], "fail"),
            (&["a? +x", "b? -x -y", "c"], "c"),
            // BPD-062, DET-025: alternatives, the first that works.
            (&["a +x|+y", "b -y"], "a b"),
            (&["a +x|", "b"], "a b"),
            // BPD-063: optional only with its last alternative.
            (&["a? -x|-y", "b"], "b"),
            (&["a? -x|", "b"], "a b"),
            (&["a? +x", "b? -y"], "fail"),
            // BPD-065: all who provide so far are meant; whoever provides after the last require is not.
            (&["a +x", "b +x", "c -x"], "a b c"),
            (&["a +x", "b -x", "c? +x"], "a b"),
            (&["a +x", "b -x", "c +x"], "fail"),
            (&["a +x", "b -x", "c +x", "d -x"], "a b c d"),
        ];
        for (group, expected) in table {
            assert_eq!(outcome(group).0, *expected, "{group:?}");
        }
    }

    #[test]
    fn the_last_alternative_varies_fastest() {
        // An empty first alternative is one too.
        let (participants, lines) = outcome(&["a |+x", "b"]);
        assert_eq!((participants.as_str(), lines.len()), ("a b", 1));
        let (participants, lines) = outcome(&["a |+x", "b -x"]);
        assert_eq!((participants.as_str(), lines.len()), ("a b", 3));
        let (participants, lines) = outcome(&["a +x|+y", "b -z|-y"]);
        assert_eq!(participants, "a b");
        let expected = [
            "debug Resolving plan... (try #1)",
            "debug fail: b@1 requires z",
            "debug Resolving plan... (try #2)",
            "debug fail: b@1 requires y",
            "debug Resolving plan... (try #3)",
            "debug fail: b@1 requires z",
            "debug Resolving plan... (try #4)",
        ];
        assert_eq!(lines, expected);
    }

    /// BPD-066, BPD-067: what is said of each loose end, round by round.
    #[test]
    fn dropped_modules_are_named() {
        let table: &[(&[&str], &[&str])] = &[
            (
                &["a? -x", "b? +y", "c"],
                &[
                    "debug skip: a@1 requires x",
                    "debug skip: b@1 provides unused y",
                ],
            ),
            (&["a -x"], &["debug fail: a@1 requires x"]),
            (&["a +x"], &["debug fail: a@1 provides unused x"]),
            // The second round finds what the first one's leaving left behind.
            (
                &["a +x", "b? -x -y"],
                &[
                    "debug skip: b@1 requires y",
                    "debug fail: a@1 provides unused x",
                ],
            ),
            (
                &["a? +x", "b? -x +y", "c? -y -z", "d"],
                &[
                    "debug skip: c@1 requires z",
                    "debug skip: b@1 provides unused y",
                    "debug skip: a@1 provides unused x",
                ],
            ),
            // Nobody is left.
            (
                &["a? -x"],
                &[
                    "debug skip: a@1 requires x",
                    "debug fail: no viable buildpacks in group",
                ],
            ),
        ];
        for (group, expected) in table {
            assert_eq!(outcome(group).1[1..], **expected, "{group:?}");
        }
    }

    #[test]
    fn an_entry_lists_providers_and_requires_in_group_order() {
        let modules: Vec<_> = ["a +x", "b +x -x", "c -x"]
            .iter()
            .map(|text| module(text))
            .collect();
        let passed: Vec<_> = modules
            .iter()
            .map(|(element, plan)| Passed { element, plan })
            .collect();
        let plan = resolve(&passed, &mut Transcript::default()).unwrap().plan;
        let ids: Vec<_> = plan.entries[0]
            .providers
            .iter()
            .map(|p| p.id.as_str())
            .collect();
        assert_eq!((ids, plan.entries[0].requires.len()), (vec!["a", "b"], 2));
    }

    #[test]
    fn many_alternatives_do_not_recurse() {
        let group: Vec<String> = (0..10_000).map(|i| format!("m{i}")).collect();
        let group: Vec<&str> = group.iter().map(String::as_str).collect();
        assert!(outcome(&group).0.starts_with("m0 m1"));
    }
}
