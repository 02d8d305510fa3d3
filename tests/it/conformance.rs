//! The ledger is whole: each rule has a test that exists, or a reason.

use std::collections::BTreeSet;

use fs_err as fs;
use tests::ledger::{Ledger, tests_that_there_are};
use tests::program::{Ran, golden_cases, project};

/// Where the recordings of the reference are not beside the project, the tests that they make are not there either.
const GOLDEN: &str = "tests: golden::";

#[test]
fn every_rule_has_a_test_that_exists_or_a_reason() {
    let ledger = Ledger::of_project();
    assert_eq!(ledger.rules.len(), 728);
    let mut known = tests_that_there_are();
    assert!(known.len() > 500, "{known:?}");
    if golden_cases().is_none() {
        let named = ledger.rules.iter().flat_map(|rule| &rule.tests);
        known.extend(named.filter(|test| test.starts_with(GOLDEN)).cloned());
    }
    let problems = ledger.problems(&known);
    assert!(
        problems.is_empty(),
        "{} of them:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

/// A test that proves more rules than one test can is a table, and says at each row which rule it is for.
#[test]
fn a_test_that_proves_many_rules_has_a_row_for_each() {
    let mut wanting = Vec::new();
    for (test, rules) in Ledger::of_project().crowded() {
        let (package, name) = test.split_once(": ").expect("tests have a package");
        let name = name.rsplit("::").next().expect("rsplit gives one part");
        let mut places: Vec<_> = sources_of(package)
            .into_iter()
            .filter(|text| text.contains(&format!("fn {name}(")))
            .collect();
        places.extend(tables_of(&places));
        let missing: Vec<_> = rules
            .iter()
            .filter(|id| !places.iter().any(|text| text.contains(**id)))
            .collect();
        if !missing.is_empty() {
            wanting.push(format!(
                "{test} proves {} rules, but names no row for {missing:?}",
                rules.len()
            ));
        }
    }
    assert!(wanting.is_empty(), "{}", wanting.join("\n"));
}

fn sources_of(package: &str) -> Vec<String> {
    let mut git = std::process::Command::new("git");
    git.args(["ls-files", "*.rs"])
        .current_dir(project().join(package));
    let listed = Ran::of(&mut git).ok();
    listed
        .lines()
        .map(|file| fs::read_to_string(project().join(package).join(file)).unwrap())
        .collect()
}

/// Returns the tables that these sources include, for rules that several programs obey.
fn tables_of(sources: &[String]) -> Vec<String> {
    let tables = fs::read_dir(project().join("tests/tables")).unwrap();
    let paths = tables.map(|entry| entry.unwrap().path());
    let included = paths.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        sources.iter().any(|text| text.contains(name))
    });
    included
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn readme_shows_the_numbers_of_the_ledger() {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let table = Ledger::of_project().table();
    assert!(
        readme.contains(&table),
        "README.md needs what `make conformance` prints:\n{table}"
    );
}

fn rule(id: &str, rest: &str) -> String {
    format!(
        "[[requirement]]\nid = \"{id}\"\napi = \">=0.7\"\ntext = \"t\"\nsource = \"s\"\n{rest}\n"
    )
}

#[test]
fn a_ledger_with_something_wrong_is_refused() {
    let known = BTreeSet::from(["layout: a::b".to_owned()]);
    for (text, expected) in [
        (rule("A-1", "tests = [\"layout: a::b\"]"), vec![]),
        (rule("A-1", "status = \"later\"\nreason = \"r\""), vec![]),
        (
            rule(
                "A-1",
                "tests = [\"layout: a::b\"]\nstatus = \"differs\"\nreason = \"r\"",
            ),
            vec![],
        ),
        (rule("A-1", ""), vec!["A-1 has neither tests nor a status"]),
        (
            rule("A-1", "tests = [\"layout: a::c\"]"),
            vec!["A-1: there is no test \"layout: a::c\""],
        ),
        (
            rule("A-1", "tests = [\"cache: a::b\"]"),
            vec!["A-1: there is no test \"cache: a::b\""],
        ),
        (
            rule("A-1", "status = \"not ours\""),
            vec!["A-1 has a status, but no reason"],
        ),
        (
            rule("A-1", "status = \"differs\"\nreason = \"r\""),
            vec!["A-1 differs, but no test shows what is done instead"],
        ),
        (
            rule("A-1", "tests = [\"layout: a::b\"]")
                + &rule("A-1", "status = \"later\"\nreason = \"r\""),
            vec!["A-1 stands there twice"],
        ),
    ] {
        let ledger = Ledger::parse(&text).unwrap();
        assert_eq!(ledger.problems(&known), expected, "{text}");
    }
    for text in [
        rule("A-1", "status = \"someday\"\nreason = \"r\""),
        rule("A-1", "test = [\"layout: a::b\"]"),
    ] {
        Ledger::parse(&text).unwrap_err();
    }
}

#[test]
fn a_test_of_many_rules_is_noticed() {
    let mut rules = String::new();
    for n in 1..=6 {
        let more = if n < 6 { ", \"layout: five\"" } else { "" };
        let tests = format!("tests = [\"layout: six\"{more}]");
        rules += &rule(&format!("A-{n}"), &tests);
    }
    let ledger = Ledger::parse(&rules).unwrap();
    let crowded: Vec<_> = ledger.crowded().into_iter().collect();
    assert_eq!(
        crowded,
        [(
            "layout: six",
            vec!["A-1", "A-2", "A-3", "A-4", "A-5", "A-6"]
        )]
    );
}
