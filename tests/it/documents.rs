//! Documents say what is so: the map, links, and commands that are copied and pasted.

use std::collections::BTreeSet;
use std::process::Command;

use fs_err as fs;
use tests::golden::case::Case;
use tests::ledger::Ledger;
use tests::program::{Ran, project, requires_root};

fn text(name: &str) -> String {
    fs::read_to_string(project().join(name)).unwrap()
}

/// Returns the folders of a table's first column: each word in backticks before the second bar.
fn first_column(table: &str) -> BTreeSet<String> {
    let cells = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    cells
        .flat_map(|cell| cell.split('`').filter(|word| !word.trim().is_empty()))
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_map_shows_every_crate_and_no_other() {
    let architecture = text("ARCHITECTURE.md");
    let map = architecture.split("## Code map").nth(1).unwrap();
    let (today, later) = map.split_once("Kept for what comes next").unwrap();
    let workspace: toml::Table = text("Cargo.toml").parse().unwrap();
    let members: BTreeSet<String> = workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member.as_str().unwrap().to_owned())
        .collect();
    let mapped = first_column(today);
    let not_crates: BTreeSet<String> = ["samples", "demo", "docs", "fuzz"]
        .map(str::to_owned)
        .into();
    assert_eq!(mapped, &members | &not_crates);
    for folder in first_column(later.split("Where to begin").next().unwrap()) {
        assert!(
            !project().join(&folder).exists(),
            "{folder} is there: move it up in the map"
        );
    }
}

#[test]
fn arrows_between_crates_are_those_of_the_map() {
    // From each crate to those that it may use: ARCHITECTURE.md, "Arrows point down only".
    let order = [
        "bench",
        "tests",
        "cli",
        "lifecycle",
        "rebaser",
        "creator",
        "exporter",
        "builder",
        "restorer",
        "detector",
        "analyzer",
        "cache",
        "distribution",
        "platform",
        "project",
        "buildpack",
        "sandbox",
        "layout",
        "launcher",
    ];
    let rank = |name: &str| order.iter().position(|other| *other == name);
    for (at, name) in order.iter().enumerate() {
        if !project().join(name).exists() {
            continue;
        }
        let manifest: toml::Table = text(&format!("{name}/Cargo.toml")).parse().unwrap();
        for dependency in manifest["dependencies"].as_table().unwrap().keys() {
            let Some(below) = rank(dependency) else {
                continue;
            };
            assert!(below > at, "{name} must not use {dependency}");
        }
    }
    let launcher: toml::Table = text("launcher/Cargo.toml").parse().unwrap();
    assert!(
        launcher["dependencies"]
            .as_table()
            .unwrap()
            .keys()
            .all(|name| rank(name).is_none())
    );
}

/// A file that its module does not name would never run.
#[test]
fn every_file_of_these_tests_is_listed() {
    let mut files = 0;
    let mut folders = vec![("tests/it".to_owned(), text("tests/it/main.rs"))];
    while let Some((folder, listing)) = folders.pop() {
        for entry in fs::read_dir(project().join(&folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let Some(module) = name.strip_suffix(".rs") else {
                let path = format!("{folder}/{name}");
                folders.push((path.clone(), text(&format!("{path}.rs"))));
                continue;
            };
            files += 1;
            assert!(
                module == "main" || listing.contains(&format!("mod {module};")),
                "{folder}/{name} is not listed"
            );
        }
    }
    assert!(files > 5, "{files}");
}

#[test]
fn links_lead_somewhere() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/decisions.md",
        "docs/conformance.md",
        "docs/performance.md",
        "docs/release.md",
        "samples/README.md",
    ] {
        let folder = project().join(document).parent().unwrap().to_owned();
        for target in text(document)
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            assert!(folder.join(path).exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn every_decision_names_tests_that_exist() {
    let sources = sources();
    let mut named = 0;
    for line in text("docs/decisions.md")
        .lines()
        .filter(|line| line.starts_with("| "))
    {
        let Some(cell) = line.trim_end_matches('|').rsplit('|').next() else {
            continue;
        };
        for name in cell.split('`').skip(1).step_by(2) {
            named += 1;
            assert!(
                sources.contains(&format!("fn {name}(")),
                "{name} of docs/decisions.md is no test"
            );
        }
    }
    assert!(named > 15, "decisions are held by tests: {named}");
}

/// Returns the text of every Rust file of ours.
fn sources() -> String {
    let listed = Ran::of(
        Command::new("git")
            .args(["ls-files", "*.rs"])
            .current_dir(project()),
    )
    .ok();
    listed.lines().map(text).collect()
}

#[test]
fn root_the_phases_of_the_readme_can_be_copied_and_pasted() {
    if !requires_root() {
        return;
    }
    let readme = text("README.md");
    let block = readme
        .split("## The phases by hand")
        .nth(1)
        .and_then(|section| section.split("```bash\n").nth(1))
        .and_then(|block| block.split("```").next())
        .expect("README.md has the phases by hand in a bash block");
    let ran = Ran::of(
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(project()),
    );
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("*** Images"), "{}", ran.text);
}

#[test]
fn cases_name_rules_that_exist() {
    let ledger = Ledger::of_project();
    let ids: BTreeSet<&str> = ledger.rules.iter().map(|rule| rule.id.as_str()).collect();
    let rule = regex::Regex::new(r"\b[A-Z]{3}-\d{3}\b").unwrap();
    let cases = Case::folders(&project().join("tests/cases"));
    assert!(cases.len() > 40, "{cases:?}");
    for folder in cases {
        let expect = fs::read_to_string(folder.join("expect.toml")).unwrap();
        let (comment, _) = expect.split_once('\n').unwrap();
        assert!(comment.starts_with("# "), "{}", folder.display());
        for named in rule.find_iter(comment) {
            assert!(
                ids.contains(named.as_str()),
                "{}: {comment}",
                folder.display()
            );
        }
    }
}
