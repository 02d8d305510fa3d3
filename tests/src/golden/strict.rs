//! How many differences only a strict comparison finds, by kind, against what `docs/decisions.md` justifies.

use std::collections::BTreeMap;
use std::fmt;

use super::difference::{Difference, Kind};

/// Heading above the table in `docs/decisions.md`.
const HEADING: &str = "## Strict differences";

/// Numbers by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count(BTreeMap<String, usize>);

impl Count {
    /// An empty count.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Counts differences.
    pub fn add(&mut self, differences: &[Difference]) {
        for kind in differences.iter().map(Difference::kind) {
            self.add_many(kind, 1);
        }
    }

    fn add_many(&mut self, kind: Kind, number: usize) {
        *self.0.entry(kind.to_string()).or_default() += number;
    }

    /// Returns the numbers of the table in a document: `| kind | number | why |`.
    pub fn documented(text: &str) -> Self {
        let section = text.split_once(HEADING).map_or("", |(_, behind)| behind);
        let section = section.split("\n## ").next().unwrap_or_default();
        let row = |line: &str| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            let kind = cells.next()?.to_owned();
            Some((kind, cells.next()?.parse().ok()?))
        };
        Self(section.lines().filter_map(row).collect())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.0.values().sum();
        writeln!(out, "strict differences: {total}")?;
        for (kind, number) in &self.0 {
            writeln!(out, "{number:>6} {kind}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_document_is_read() {
        let text = "| a | 1 |\n## Strict differences\n\n| kind | number | why |\n|---|---|---|\n\
            | modes in layouts | 3 | x |\n| media types | 12 | y |\n\n## Next\n| b | 2 |\n";
        let mut expected = Count::new();
        expected.add_many(Kind::Modes, 3);
        expected.add_many(Kind::MediaTypes, 12);
        assert_eq!(Count::documented(text), expected);
        assert_eq!(
            expected.to_string(),
            "strict differences: 15\n    12 media types\n     3 modes in layouts\n"
        );
    }

    #[test]
    fn differences_are_counted_by_kind() {
        let at = |way: &[&str]| Difference {
            at: way.iter().map(|part| (*part).to_owned()).collect(),
            what: String::new(),
        };
        let mut count = Count::new();
        count.add(&[
            at(&["final", "modes"]),
            at(&["step 1 x", "log"]),
            at(&["final", "modes"]),
        ]);
        let mut expected = Count::new();
        expected.add_many(Kind::Modes, 2);
        expected.add_many(Kind::Log, 1);
        assert_eq!(count, expected);
    }
}
