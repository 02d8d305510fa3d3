//! How many differences only a strict comparison finds, by kind, against what `docs/decisions.md` justifies.

use std::collections::BTreeMap;
use std::fmt;

use super::difference::{Difference, Kind, MORE_LOG};

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

    /// Returns whether the numbers are those of a document. How many lines stand beside others is not fixed there: none
    /// that somebody looks for is missing, and there is a reason for all of them.
    pub fn is_justified_by(&self, documented: &Self) -> bool {
        let mut fixed = self.clone();
        fixed.0.remove(MORE_LOG);
        fixed == *documented
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
            | modes in layouts | 3 | x |\n| lines beside those of logs | any | z |\n| media types | 12 | y |\n\n## Next\n| b | 2 |\n";
        let mut expected = Count::new();
        expected.add_many(Kind::Modes, 3);
        expected.add_many(Kind::MediaTypes, 12);
        assert_eq!(Count::documented(text), expected);
        assert!(expected.is_justified_by(&Count::documented(text)));
        let mut more = expected.clone();
        more.add_many(Kind::MoreLog, 2);
        assert!(more.is_justified_by(&expected));
        more.add_many(Kind::Modes, 1);
        assert!(!more.is_justified_by(&expected));
        assert_eq!(
            expected.to_string(),
            "strict differences: 15\n    12 media types\n     3 modes in layouts\n"
        );
    }

    #[test]
    fn differences_are_counted_by_kind() {
        let at = |way: &[&str]| {
            let way = way.iter().map(|part| (*part).to_owned());
            Difference::new(way.collect(), String::new())
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
