//! Whether a flat group passes: results first, then the plan (BPD-056 to BPD-061, BPD-069 to BPD-071).

use buildpack::detect::DetectRun;
use buildpack::group::{Group, GroupElement};

use crate::Outputs;
use crate::advice::Explanation;
use crate::transcript::{Level, Transcript};
use crate::trial::{self, Passed};

const PASS: i32 = 0;
const FAIL: i32 = 100;

/// Why a group, or a whole order, was not taken.
#[derive(Debug)]
pub(crate) enum Rejection {
    /// It did not pass.
    Failed,
    /// It did not pass, and a module of it ended in an error.
    ModuleError,
    /// Detection cannot go on; with what helps.
    Broken(anyhow::Error, Box<Explanation>),
}

/// Decides on a group from what its modules said.
pub(crate) fn decide(
    runs: &[(&GroupElement, &DetectRun)],
    transcript: &mut Transcript,
) -> Result<Outputs, Rejection> {
    transcript.groups += 1;
    for (element, run) in runs {
        quote(element, run, transcript);
    }
    let passed = results(runs, transcript)?;
    let Some(resolved) = trial::resolve(&passed, transcript) else {
        return Err(Rejection::Failed);
    };
    if resolved.elements.len() != runs.len() {
        let (some, all) = (resolved.elements.len(), runs.len());
        transcript.info(format!("{some} of {all} buildpacks participating"));
    }
    // In bytes, though it is filled up by characters: as the reference does.
    let longest = resolved
        .elements
        .iter()
        .map(|e| e.id.len())
        .max()
        .unwrap_or(0);
    for element in &resolved.elements {
        transcript.info(format!("{:longest$} {}", element.id, element.version));
    }
    let (extensions, buildpacks) = resolved
        .elements
        .into_iter()
        .map(|element| GroupElement {
            optional: false,
            ..element
        })
        .partition(|element| element.extension);
    let group = Group {
        group: buildpacks,
        group_extensions: extensions,
    };
    Ok(Outputs {
        group,
        plan: resolved.plan,
    })
}

/// Repeats what a module printed and what went wrong with it.
fn quote(element: &GroupElement, run: &DetectRun, transcript: &mut Transcript) {
    let level = if matches!(run.code, PASS | FAIL) {
        Level::Debug
    } else {
        Level::Info
    };
    let label = element.label();
    if !run.output.is_empty() {
        transcript.say(level, format!("======== Output: {label} ========"));
        transcript.say(level, String::from_utf8_lossy(&run.output));
    }
    if let Some(error) = &run.error {
        transcript.say(level, format!("======== Error: {label} ========"));
        transcript.say(level, error.as_str());
    }
    if let Some(advice) = &run.advice {
        transcript.mistakes.add(Explanation::of(element, advice));
    }
}

/// Returns the modules that passed, if no required one did otherwise and a buildpack is among them.
fn results<'a>(
    runs: &[(&'a GroupElement, &'a DetectRun)],
    transcript: &mut Transcript,
) -> Result<Vec<Passed<'a>>, Rejection> {
    transcript.debug("======== Results ========");
    let (mut passed, mut rejected, mut module_error) = (Vec::new(), false, false);
    for (element, run) in runs {
        let label = element.label();
        match run.code {
            PASS => {
                transcript.debug(format!("pass: {label}"));
                passed.push(Passed {
                    element,
                    plan: &run.plan,
                });
                continue;
            }
            FAIL if element.optional => transcript.debug(format!("skip: {label}")),
            FAIL => transcript.debug(format!("fail: {label}")),
            -1 => transcript.info(format!("err:  {label}")),
            code => transcript.info(format!("err:  {label} ({code})")),
        }
        module_error |= run.code != FAIL;
        rejected |= !element.optional;
    }
    if rejected {
        return Err(if module_error {
            Rejection::ModuleError
        } else {
            Rejection::Failed
        });
    }
    if passed.iter().all(|module| module.element.extension) {
        transcript.debug("fail: no viable buildpacks in group");
        return Err(Rejection::Failed);
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &str, optional: bool) -> GroupElement {
        GroupElement {
            id: id.into(),
            version: "1".into(),
            optional,
            ..GroupElement::default()
        }
    }

    fn run(code: i32) -> DetectRun {
        DetectRun {
            code,
            ..DetectRun::default()
        }
    }

    /// BPD-056, BPD-059, BPD-060, BPD-061: code and optional flag of each element, then the result lines and the outcome.
    #[test]
    fn results_decide() {
        type Row = (
            &'static [(i32, bool)],
            &'static [&'static str],
            Option<bool>,
        );
        let table: &[Row] = &[
            (&[(0, false)], &["debug pass: m0@1"], None),
            (&[(100, false)], &["debug fail: m0@1"], Some(false)),
            (
                &[(0, false), (100, true)],
                &["debug pass: m0@1", "debug skip: m1@1"],
                None,
            ),
            (
                &[(0, false), (3, true)],
                &["debug pass: m0@1", "info err:  m1@1 (3)"],
                None,
            ),
            (&[(-1, false)], &["info err:  m0@1"], Some(true)),
            (
                &[(100, false), (3, true)],
                &["debug fail: m0@1", "info err:  m1@1 (3)"],
                Some(true),
            ),
            (
                &[(100, true)],
                &[
                    "debug skip: m0@1",
                    "debug fail: no viable buildpacks in group",
                ],
                Some(false),
            ),
            (
                &[(3, true)],
                &[
                    "info err:  m0@1 (3)",
                    "debug fail: no viable buildpacks in group",
                ],
                Some(false),
            ),
        ];
        for (codes, lines, outcome) in table {
            let elements: Vec<_> = codes
                .iter()
                .enumerate()
                .map(|(i, (_, o))| element(&format!("m{i}"), *o))
                .collect();
            let runs: Vec<_> = codes.iter().map(|(code, _)| run(*code)).collect();
            let pairs: Vec<_> = elements.iter().zip(&runs).collect();
            let mut transcript = Transcript::default();
            let result = results(&pairs, &mut transcript);
            assert_eq!(transcript.levelled()[1..], **lines, "{codes:?}");
            let got = match result {
                Ok(_) => None,
                Err(rejection) => Some(matches!(rejection, Rejection::ModuleError)),
            };
            assert_eq!(got, *outcome, "{codes:?}");
        }
    }

    /// BPD-069: ids, then the lines. Go counts the longest id in bytes and fills up by characters.
    #[test]
    fn participants_are_listed_in_a_column() {
        let table: &[(&[&str], &[&str])] = &[
            (
                &["acme/long", "b"],
                &["info acme/long 1", "info b         1"],
            ),
            (&["b"], &["info b 1"]),
            (&["\u{e9}", "b"], &["info \u{e9}  1", "info b  1"]),
        ];
        for (ids, expected) in table {
            let elements: Vec<_> = ids.iter().map(|id| element(id, false)).collect();
            let pass = run(0);
            let runs: Vec<_> = elements.iter().map(|element| (element, &pass)).collect();
            let mut transcript = Transcript::default();
            decide(&runs, &mut transcript).unwrap();
            let lines = transcript.levelled();
            assert_eq!(lines[lines.len() - ids.len()..], **expected);
            assert!(
                !lines.iter().any(|line| line.contains("participating")),
                "all take part"
            );
        }
    }

    /// BPD-057: code, output, error; the lines in front of the results, all of one level.
    #[test]
    fn output_and_error_stand_before_the_results() {
        const OUTPUT: &str = "======== Output: m@1 ========";
        const ERROR: &str = "======== Error: m@1 ========";
        type Row = (
            i32,
            &'static str,
            Option<&'static str>,
            &'static str,
            &'static [&'static str],
        );
        let table: &[Row] = &[
            (0, "hello\n", None, "debug", &[OUTPUT, "hello\n"]),
            (0, "", None, "debug", &[]),
            (100, "no\nno\n", None, "debug", &[OUTPUT, "no\nno\n"]),
            (7, "hello", None, "info", &[OUTPUT, "hello"]),
            (-1, "", Some("bad"), "info", &[ERROR, "bad"]),
            (
                -1,
                "50 %d\n",
                Some("bad"),
                "info",
                &[OUTPUT, "50 %d\n", ERROR, "bad"],
            ),
        ];
        for (code, text, error, level, expected) in table {
            let module = element("m", true);
            let said = DetectRun {
                code: *code,
                output: text.as_bytes().to_vec(),
                error: error.map(str::to_owned),
                ..DetectRun::default()
            };
            let other = element("pass", false);
            let pass = run(0);
            let mut transcript = Transcript::default();
            decide(&[(&module, &said), (&other, &pass)], &mut transcript).unwrap();
            let lines = transcript.levelled();
            let results = "debug ======== Results ========";
            let before: Vec<_> = lines.iter().take_while(|line| *line != results).collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|line| format!("{level} {line}"))
                .collect();
            assert_eq!(before, expected.iter().collect::<Vec<_>>(), "{code} {text}");
        }
    }

    /// BPD-061: extensions alone are no group; but what plan resolution leaves need not hold a buildpack.
    #[test]
    fn a_buildpack_must_pass_but_need_not_stay() {
        let extension = GroupElement {
            extension: true,
            ..element("x", true)
        };
        let module = element("b", true);
        let (pass, fail) = (run(0), run(100));
        let mut transcript = Transcript::default();
        let rejected = decide(&[(&extension, &pass), (&module, &fail)], &mut transcript);
        assert!(matches!(rejected, Err(Rejection::Failed)));
        let last = transcript.levelled().pop().unwrap();
        assert_eq!(last, "debug fail: no viable buildpacks in group");

        let mut loose = run(0);
        loose.plan.sections.requires.push(buildpack::plan::Require {
            name: "tool".into(),
            ..buildpack::plan::Require::default()
        });
        let mut transcript = Transcript::default();
        let outputs = decide(&[(&extension, &pass), (&module, &loose)], &mut transcript).unwrap();
        assert!(outputs.group.group.is_empty());
        assert_eq!(outputs.group.group_extensions[0].id, "x");
    }
}
