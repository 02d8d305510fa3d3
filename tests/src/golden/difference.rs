//! Where two documents differ.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Lines of one difference that are shown.
const SHOWN_LINES: usize = 40;
/// Characters of one value that are shown.
const SHOWN_CHARS: usize = 300;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, as keys from the outside in.
    pub at: Vec<String>,
    /// What was expected and what was found.
    pub what: String,
    /// Every line that was expected is there, in its order, and there are more.
    pub only_more: bool,
}

/// What kind of thing differs, for counting what only a strict comparison finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Exit codes and lines of a log.
    Log,
    /// Lines of a log that stand beside those of the reference: who looks for one of its lines finds it.
    MoreLog,
    /// The text of TOML and JSON files and of labels.
    Text,
    /// Modes inside of layouts.
    Modes,
    /// Spelling of media types.
    MediaTypes,
    /// The digest in a run image's reference.
    RunReference,
    /// The digest of the written manifest in report.toml.
    ReportDigest,
    /// Anything else.
    Other,
}

/// Name of [`Kind::MoreLog`].
pub const MORE_LOG: &str = "lines beside those of logs";

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Log => "lines of logs",
            Self::MoreLog => MORE_LOG,
            Self::Text => "text of documents and labels",
            Self::Modes => "modes in layouts",
            Self::MediaTypes => "media types",
            Self::RunReference => "digests in references of run images",
            Self::ReportDigest => "digests in report.toml",
            Self::Other => "other values",
        })
    }
}

impl Difference {
    /// Says where two documents differ, and how.
    pub fn new(at: Vec<String>, what: String) -> Self {
        Self {
            at,
            what,
            only_more: false,
        }
    }

    /// Returns what kind of thing differs.
    pub fn kind(&self) -> Kind {
        let way: Vec<_> = self.at.iter().rev().map(String::as_str).collect();
        match way[..] {
            ["log", step] if step.starts_with("step ") && self.only_more => Kind::MoreLog,
            [_, step] | [step] if step.starts_with("step ") => Kind::Log,
            ["raw", ..] | [_, "labels_raw", ..] => Kind::Text,
            ["modes", ..] => Kind::Modes,
            ["mediaType" | "configMediaType", ..] => Kind::MediaTypes,
            ["reference", "runImage" | "run-image", ..] => Kind::RunReference,
            ["digest", "image", "toml", ..] => Kind::ReportDigest,
            _ => Kind::Other,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.at.join(" / "), self.what)
    }
}

/// Returns the differences between what is expected and what is found.
pub fn between(name: &str, expected: &Value, found: &Value) -> Vec<Difference> {
    let mut differences = Vec::new();
    compare(
        &mut vec![name.to_owned()],
        expected,
        found,
        &mut differences,
    );
    differences
}

fn compare(at: &mut Vec<String>, expected: &Value, found: &Value, out: &mut Vec<Difference>) {
    let mut differs = |at: &[String], what: String| {
        let at = at.to_vec();
        out.push(Difference::new(at, what));
    };
    match (expected, found) {
        _ if expected == found => {}
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for key in keys {
                at.push(key.clone());
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => compare(at, a, b, out),
                    (Some(a), None) => {
                        let what = format!("MISSING, expected {}", short(a));
                        out.push(Difference::new(at.clone(), what));
                    }
                    (None, found) => {
                        let found = short(found.unwrap_or(&Value::Null));
                        out.push(Difference::new(at.clone(), format!("UNEXPECTED {found}")));
                    }
                }
                at.pop();
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            if let (Some(a), Some(b)) = (lines(a), lines(b)) {
                let mut difference = Difference::new(at.clone(), lines_that_differ(&a, &b));
                let mut rest = b.iter();
                difference.only_more = a.iter().all(|line| rest.any(|found| found == line));
                out.push(difference);
                return;
            }
            if a.len() != b.len() {
                differs(
                    at,
                    format!("{} entries expected, {} found", a.len(), b.len()),
                );
            }
            for (number, (a, b)) in a.iter().zip(b).enumerate() {
                at.push(number.to_string());
                compare(at, a, b, out);
                at.pop();
            }
        }
        // 1 and 1.0 are one number.
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        _ => differs(
            at,
            format!("expected {}, found {}", short(expected), short(found)),
        ),
    }
}

fn lines(values: &[Value]) -> Option<Vec<&str>> {
    values.iter().map(Value::as_str).collect()
}

// What both have in front and behind is left out.
fn lines_that_differ(expected: &[&str], found: &[&str]) -> String {
    let same = |a: &mut dyn Iterator<Item = &&str>, b: &mut dyn Iterator<Item = &&str>| {
        a.zip(b).take_while(|(a, b)| a == b).count()
    };
    let front = same(&mut expected.iter(), &mut found.iter());
    let (expected, found) = (&expected[front..], &found[front..]);
    let back = same(&mut expected.iter().rev(), &mut found.iter().rev());
    let expected = &expected[..expected.len() - back];
    let found = &found[..found.len() - back];
    let mut text = format!("lines differ behind line {front} (- expected, + found)");
    for (sign, lines) in [("-", expected), ("+", found)] {
        for line in lines.iter().take(SHOWN_LINES) {
            text.extend(["\n    ", sign, line]);
        }
        if lines.len() > SHOWN_LINES {
            let more = lines.len() - SHOWN_LINES;
            text.extend(["\n    ", sign, "... ", &more.to_string(), " more"]);
        }
    }
    text
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(expected: &Value, found: &Value) -> Vec<String> {
        between("x", expected, found)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn lines_beside_others_are_told_from_others() {
        let log = |lines: &[&str]| json!({"log": lines});
        for (found, kind) in [
            (log(&["a", "more", "b"]), Kind::MoreLog),
            (log(&["more", "a", "b", "more"]), Kind::MoreLog),
            (log(&["a", "more"]), Kind::Log),
            (log(&["b", "a"]), Kind::Log),
            (log(&["a"]), Kind::Log),
        ] {
            let differences = between("step 1 x", &log(&["a", "b"]), &found);
            assert_eq!(differences.len(), 1);
            assert_eq!(differences[0].kind(), kind, "{found}");
        }
    }

    #[test]
    fn differences_have_a_kind() {
        for (at, kind) in [
            ("step 1 exporter / log", Kind::Log),
            ("final / tree / layers/a.toml / raw", Kind::Text),
            (
                "final / images / app / manifests / 0 / image / config / labels_raw / l",
                Kind::Text,
            ),
            ("final / images / app / modes", Kind::Modes),
            (
                "final / images / app / manifests / 0 / image / layers / 0 / mediaType",
                Kind::MediaTypes,
            ),
            (
                "final / tree / layers/a.toml / toml / metadata / run-image / reference",
                Kind::RunReference,
            ),
            (
                "final / images / app / manifests / 0 / image / config / config / Labels / l / json / runImage / reference",
                Kind::RunReference,
            ),
            (
                "final / tree / layers/report.toml / toml / image / digest",
                Kind::ReportDigest,
            ),
            ("final / tree / layers/a", Kind::Other),
        ] {
            let at = at.split(" / ").map(str::to_owned).collect();
            assert_eq!(Difference::new(at, String::new()).kind(), kind);
        }
    }

    #[test]
    fn nothing_is_found_where_all_is_the_same() {
        let document = json!({"a": [1, {"b": ["x"]}], "c": null});
        assert_eq!(shown(&document, &document.clone()), [""; 0]);
        assert_eq!(shown(&json!({"n": 1}), &json!({"n": 1.0})), [""; 0]);
    }

    #[test]
    fn each_difference_says_where_it_is() {
        for (expected, found, what) in [
            (
                json!({"a": 1}),
                json!({"a": 2}),
                "x / a: expected 1, found 2",
            ),
            (
                json!({"a": 1}),
                json!({"a": "1"}),
                "x / a: expected 1, found \"1\"",
            ),
            (json!({"a": 1}), json!({}), "x / a: MISSING, expected 1"),
            (json!({}), json!({"a": 1}), "x / a: UNEXPECTED 1"),
            (json!([1, 2]), json!([1]), "x: 2 entries expected, 1 found"),
            (
                json!([1, {"b": 2}]),
                json!([1, {"b": 3}]),
                "x / 1 / b: expected 2, found 3",
            ),
            (
                json!(["a", "b", "c"]),
                json!(["a", "d", "c"]),
                "x: lines differ behind line 1 (- expected, + found)\n    -b\n    +d",
            ),
            (
                json!(["a", "a"]),
                json!(["a"]),
                "x: lines differ behind line 1 (- expected, + found)\n    -a",
            ),
            (
                json!([]),
                json!(["a"]),
                "x: lines differ behind line 0 (- expected, + found)\n    +a",
            ),
        ] {
            assert_eq!(shown(&expected, &found), [what]);
        }
    }
}
