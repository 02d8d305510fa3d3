//! The conformance ledger: what both APIs ask and which test proves it (`tests/conformance/*.toml`).
//!
//! A rule is *met* when tests alone stand beside it. Otherwise its status says how it is not simply met, with a reason:
//! `differs` (on purpose, and a test shows what is done instead), `later`, or `not ours`. A test is named
//! `<package>: <name as the test runner prints it>`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;
use std::process::Command;

use fs_err as fs;
use serde::Deserialize;

use crate::program::{Ran, cargo, project};

/// How many rules one test may prove before it must be a table with a row for each.
const RULES_A_TEST: usize = 5;

/// One numbered rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Area and number, `EXP-031`.
    pub id: String,
    /// Versions that the rule holds for: of the Buildpack API in areas that begin with `BP` and in `IMX`, else of the Platform API.
    pub api: String,
    /// The rule, in our words.
    pub text: String,
    /// Where it was found.
    pub source: String,
    /// Tests that fail when the rule is broken.
    #[serde(default)]
    pub tests: BTreeSet<String>,
    /// How the rule is not simply met.
    pub status: Option<Status>,
    /// Why there is a status; without one, what of the rule the tests leave out.
    pub reason: Option<String>,
}

/// How a rule is not simply met.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// We do better on purpose.
    Differs,
    /// Not there yet.
    Later,
    /// Speaks of something that this project does not do.
    #[serde(rename = "not ours")]
    NotOurs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Rule>,
}

/// All rules, file by file in the order of their names.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The rules.
    pub rules: Vec<Rule>,
}

impl Ledger {
    /// Reads the project's ledger.
    pub fn of_project() -> Self {
        let folder = project().join("tests/conformance");
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "toml")
            })
            .collect();
        files.sort();
        let mut ledger = Self::default();
        for path in files {
            let added = Self::parse(&fs::read_to_string(&path).unwrap());
            ledger.rules.extend(
                added
                    .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
                    .rules,
            );
        }
        ledger
    }

    /// Reads one file of the ledger.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let File { requirement } = toml::from_str(text)?;
        Ok(Self { rules: requirement })
    }

    /// Returns what is wrong with the ledger, given every test that there is.
    pub fn problems(&self, known: &BTreeSet<String>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut ids = BTreeSet::new();
        for rule in &self.rules {
            let id = &rule.id;
            if !ids.insert(id) {
                problems.push(format!("{id} stands there twice"));
            }
            if rule.status.is_some() && rule.reason.is_none() {
                problems.push(format!("{id} has a status, but no reason"));
            }
            match (rule.status, rule.tests.is_empty()) {
                (None, true) => problems.push(format!("{id} has neither tests nor a status")),
                (Some(Status::Differs), true) => {
                    problems.push(format!(
                        "{id} differs, but no test shows what is done instead"
                    ));
                }
                _ => {}
            }
            for test in rule.tests.difference(known) {
                problems.push(format!("{id}: there is no test {test:?}"));
            }
        }
        problems
    }

    /// Returns the rules that each test proves, where they are more than one test proves by itself.
    pub fn crowded(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut proves: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for rule in &self.rules {
            for test in &rule.tests {
                proves.entry(test).or_default().push(&rule.id);
            }
        }
        proves.retain(|_, rules| rules.len() > RULES_A_TEST);
        proves
    }

    /// Returns the numbers by area.
    pub fn areas(&self) -> BTreeMap<&str, Count> {
        let mut areas: BTreeMap<&str, Count> = BTreeMap::new();
        for rule in &self.rules {
            let area = rule.id.split('-').next().expect("split gives one part");
            areas.entry(area).or_default().add(rule);
        }
        areas
    }

    /// Returns a Markdown table of [`Self::areas`] with its sum.
    pub fn table(&self) -> String {
        let mut table = "| area | rules | tested | differs, tested | later | not ours |\n|---|---|---|---|---|---|\n".to_owned();
        let mut sum = Count::default();
        for (area, count) in self.areas() {
            sum += count;
            writeln!(table, "| {area} | {count} |").expect("a string takes all");
        }
        writeln!(table, "| **all** | {sum} |").expect("a string takes all");
        table
    }
}

/// How many rules there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All.
    pub rules: usize,
    /// Met, and a test proves it.
    pub tested: usize,
    /// Not met on purpose, and a test shows what is done.
    pub differs: usize,
    /// Not there yet.
    pub later: usize,
    /// Not this project's.
    pub not_ours: usize,
}

impl Count {
    fn add(&mut self, rule: &Rule) {
        self.rules += 1;
        match rule.status {
            Some(Status::Differs) => self.differs += 1,
            Some(Status::Later) => self.later += 1,
            Some(Status::NotOurs) => self.not_ours += 1,
            None if rule.tests.is_empty() => {}
            None => self.tested += 1,
        }
    }
}

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.rules += other.rules;
        self.tested += other.tested;
        self.differs += other.differs;
        self.later += other.later;
        self.not_ours += other.not_ours;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rules,
            tested,
            differs,
            later,
            not_ours,
        } = self;
        write!(f, "{rules} | {tested} | {differs} | {later} | {not_ours}")
    }
}

/// Returns every test of the workspace, as the runner itself lists them.
pub fn tests_that_there_are() -> BTreeSet<String> {
    let built = cargo()
        .args(["test", "--workspace", "--no-run", "--message-format=json"])
        .output()
        .expect("cargo runs");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    let messages = String::from_utf8(built.stdout).expect("cargo prints UTF-8");
    let mut tests = BTreeSet::new();
    for line in messages.lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("cargo prints JSON");
        let (Some(program), Some(manifest)) = (
            message["executable"].as_str(),
            message["manifest_path"].as_str(),
        ) else {
            continue;
        };
        if message["profile"]["test"] != true {
            continue;
        }
        let folder = Path::new(manifest).parent().and_then(Path::file_name);
        let package = folder.expect("a crate is a folder").to_string_lossy();
        // What is only skipped on this machine is there all the same.
        let listed = Ran::of(Command::new(program).args(["--list", "--format=terse"])).ok();
        tests.extend(
            listed
                .lines()
                .filter_map(|line| line.strip_suffix(": test"))
                .map(|name| format!("{package}: {name}")),
        );
    }
    tests
}
