//! Names for what compression or the clock decides, so that the rest can be compared exactly.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

use super::grounds::ROOT;

/// Digests that have a name: `<manifest image@step>`, `<config image@step>`, `<blob of ...>`.
#[derive(Debug)]
pub struct Symbols {
    names: HashMap<String, String>,
    fixed: HashSet<String>,
}

impl Symbols {
    /// Starts with digests that get no name: those of the run images, which are known.
    pub fn new(fixed: HashSet<String>) -> Self {
        Self {
            names: HashMap::new(),
            fixed,
        }
    }

    /// Returns whether it is the digest, without `sha256:`, of a blob of a run image.
    pub fn is_fixed(&self, digest: &str) -> bool {
        self.fixed.contains(digest)
    }

    /// Returns whether a digest has a name already, or gets none.
    pub fn knows(&self, digest: &str) -> bool {
        self.is_fixed(digest) || self.names.contains_key(digest)
    }

    /// Names a digest. The first name stays: it shows what did not change.
    pub fn learn(&mut self, digest: &str, name: impl FnOnce() -> String) {
        if !digest.is_empty() && !self.knows(digest) {
            self.names.insert(digest.to_owned(), name());
        }
    }

    /// Returns a text with names instead of digests, and without times, temporary folders and colours.
    pub fn text(&self, text: &str) -> String {
        static DIGEST: LazyLock<Regex> = LazyLock::new(|| pattern(r"sha256[:/]([0-9a-f]{64})"));
        static REPLACED: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
            [
                (
                    r"(ran for|took) [0-9.]+[a-zµ0-9.]* and ended at \S+",
                    "$1 <time>",
                ),
                (r"(started at) \S+T\S+", "$1 <time>"),
                (
                    r#"/tmp/[A-Za-z0-9_.-]*?-?[0-9]{6,}([/\s:'"]|$)"#,
                    "/tmp/<tmp>$1",
                ),
                (r"\x1b\[[0-9;]*m", ""),
            ]
            .map(|(from, to)| (pattern(from), to))
        });
        let named = DIGEST.replace_all(text, |found: &Captures<'_>| {
            let name = self.names.get(&found[1]);
            name.cloned().unwrap_or_else(|| found[0].to_owned())
        });
        let text = REPLACED
            .iter()
            .fold(named.into_owned(), |text, (from, to)| {
                from.replace_all(&text, *to).into_owned()
            });
        text.replace(&format!("{ROOT}/.bin/"), "")
    }

    /// Returns a document with every text and key so treated.
    pub fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(key, value)| (self.text(&key), self.value(value)))
                .collect(),
            other => other,
        }
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is right")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_keeps_its_first_name() {
        let (ours, base, other) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let mut symbols = Symbols::new(HashSet::from([base.clone()]));
        symbols.learn(&ours, || "<manifest app@1>".to_owned());
        symbols.learn(&ours, || "<manifest app@2>".to_owned());
        symbols.learn(&base, || "<manifest run@1>".to_owned());
        let document = json!({"a": [format!("x@sha256:{ours}")], "b": format!("sha256:{base}"),
            "c": format!("blobs/sha256/{ours} sha256:{other}"), "n": 1});
        let expected = json!({"a": ["x@<manifest app@1>"], "b": format!("sha256:{base}"),
            "c": format!("blobs/<manifest app@1> sha256:{other}"), "n": 1});
        assert_eq!(symbols.value(document), expected);
    }

    #[test]
    fn what_chance_decides_has_a_name() {
        let symbols = Symbols::new(HashSet::new());
        for (text, expected) in [
            (
                "Timer: Analyzer ran for 1.5ms and ended at 2024-01-01T00:00:00Z",
                "Timer: Analyzer ran for <time>",
            ),
            (
                "Timer: Analyzer started at 2024-01-01T00:00:00Z",
                "Timer: Analyzer started at <time>",
            ),
            (
                "open /tmp/lifecycle.123456789/x: no",
                "open /tmp/<tmp>/x: no",
            ),
            ("open /tmp/x-1234567", "open /tmp/<tmp>"),
            ("open /tmp/x-12", "open /tmp/x-12"),
            ("\u{1b}[31;1mERROR: \u{1b}[0mno", "ERROR: no"),
            ("/tmp/cnb-golden/.bin/launcher", "launcher"),
        ] {
            assert_eq!(symbols.text(text), expected);
        }
    }
}
