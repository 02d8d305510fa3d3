//! What buildpacks provide and require: the file of `bin/detect`, the plan of a build, the part of it that one buildpack gets.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::fault::{Advice, Fault};
use crate::group::escape_id;
use crate::{encode, syscall_text};

/// A named dependency that a buildpack can bring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provide {
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A named dependency that a buildpack wants.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Require {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Only ever read, to refuse it (BPD-039).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Free-form.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
}

/// One alternative of a build plan.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct PlanSections {
    /// What it provides.
    #[serde(default)]
    pub provides: Vec<Provide>,
    /// What it requires.
    #[serde(default)]
    pub requires: Vec<Require>,
}

/// What `bin/detect` writes (BPD-038).
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(from = "BuildPlanFile")]
pub struct BuildPlan {
    /// The first alternative, even if empty.
    pub sections: PlanSections,
    /// Further alternatives, in order.
    pub or: Vec<PlanSections>,
}

impl BuildPlan {
    /// Returns all alternatives, in the order that they are tried in.
    pub fn alternatives(&self) -> impl Iterator<Item = &PlanSections> {
        std::iter::once(&self.sections).chain(&self.or)
    }
}

/// The file as it is written: sections lie flat in it.
#[derive(Deserialize)]
struct BuildPlanFile {
    #[serde(default)]
    provides: Vec<Provide>,
    #[serde(default)]
    requires: Vec<Require>,
    #[serde(default)]
    or: Vec<PlanSections>,
}

impl From<BuildPlanFile> for BuildPlan {
    fn from(file: BuildPlanFile) -> Self {
        Self {
            sections: PlanSections {
                provides: file.provides,
                requires: file.requires,
            },
            or: file.or,
        }
    }
}

/// Who provides an entry of the plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provider {
    /// Module id.
    #[serde(default)]
    pub id: String,
    /// Module version.
    #[serde(default)]
    pub version: String,
    /// True for an image extension.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub extension: bool,
}

/// One dependency of a build: who can bring it, who wants it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// In group order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<Provider>,
    /// In group order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Require>,
}

/// `plan.toml` (COM-074).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// One entry a dependency name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<PlanEntry>,
}

/// The plan that one buildpack gets: `[[entries]]` with name and metadata (BPB-016).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BuildpackPlan {
    /// What the buildpack shall bring.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Require>,
}

impl BuildpackPlan {
    /// Writes the plan of the module `id` into a folder of its own, which goes with what is returned (BPB-016, IMX-009).
    pub(crate) fn hand_over(&self, id: &str) -> Result<HandedOver, Fault> {
        self.write_for(id).map_err(|error| {
            let problem = format!("the plan of {id} cannot be written here: {error}");
            let remedy = "let TMPDIR name a folder that the building user may write";
            Fault::new(error, Advice::new(&std::env::temp_dir(), problem, remedy))
        })
    }

    fn write_for(&self, id: &str) -> Result<HandedOver, String> {
        let escaped = escape_id(id);
        let dir = tempfile::Builder::new()
            .prefix(&format!("{escaped}-"))
            .tempdir()
            .map_err(|e| syscall_text::reason(&e))?;
        let path = dir.path().join(&escaped).join("plan.toml");
        encode::to_file(&path, self).map_err(|e| e.to_string())?;
        Ok(HandedOver { _dir: dir, path })
    }
}

/// A plan as a module's program can read it.
#[derive(Debug)]
pub(crate) struct HandedOver {
    _dir: tempfile::TempDir,
    /// The file.
    pub(crate) path: PathBuf,
}

impl Plan {
    /// Returns the requires of every entry that `id` provides as a buildpack (`extension` false) or an extension (BPB-015).
    pub fn find(&self, id: &str, extension: bool) -> BuildpackPlan {
        let provides = |entry: &PlanEntry| {
            entry
                .providers
                .iter()
                .any(|p| p.id == id && p.extension == extension)
        };
        let entries = self.entries.iter().filter(|entry| provides(entry));
        BuildpackPlan {
            entries: entries.flat_map(|entry| entry.requires.clone()).collect(),
        }
    }

    /// Returns the plan without the entries that hold a requirement named in `met` (BPB-017).
    #[must_use]
    pub fn without(&self, met: &[String]) -> Self {
        let is_met = |entry: &PlanEntry| entry.requires.iter().any(|r| met.contains(&r.name));
        let remaining = self.entries.iter().filter(|entry| !is_met(entry));
        Self {
            entries: remaining.cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    const PLAN: &str = r#"[[entries]]

  [[entries.providers]]
    id = "a"
    version = "1"

  [[entries.providers]]
    id = "a"
    version = "2"

  [[entries.requires]]
    name = "jre"
    [entries.requires.metadata]
      build = true

  [[entries.requires]]
    name = "jdk"

[[entries]]

  [[entries.providers]]
    id = "b"
    version = "1"

  [[entries.providers]]
    id = "a"
    version = "1"
    extension = true

  [[entries.requires]]
    name = "node"
"#;

    fn names(plan: &BuildpackPlan) -> Vec<&str> {
        plan.entries.iter().map(|r| r.name.as_str()).collect()
    }

    #[test]
    fn a_plan_is_written_as_it_was_read() {
        let plan: Plan = decode::from_str(PLAN).unwrap();
        assert_eq!(encode::to_string(&plan).unwrap(), PLAN);
        assert_eq!(encode::to_string(&Plan::default()).unwrap(), "");
    }

    #[test]
    fn a_buildpack_gets_each_entry_that_it_provides_once() {
        let plan: Plan = decode::from_str(PLAN).unwrap();
        let cases = [
            ("a", false, vec!["jre", "jdk"]),
            ("a", true, vec!["node"]),
            ("b", false, vec!["node"]),
            ("b", true, vec![]),
            ("c", false, vec![]),
        ];
        for (id, extension, expected) in cases {
            assert_eq!(
                names(&plan.find(id, extension)),
                expected,
                "{id} {extension}"
            );
        }
    }

    #[test]
    fn an_entry_goes_when_any_of_its_names_is_met() {
        let plan: Plan = decode::from_str(PLAN).unwrap();
        assert_eq!(plan.without(&["jdk".to_owned()]).entries.len(), 1);
        assert_eq!(plan.without(&["other".to_owned()]), plan);
        assert_eq!(plan.without(&[]), plan);
    }

    #[test]
    fn a_buildpack_s_plan_is_written_with_name_and_metadata() {
        let plan: Plan = decode::from_str(PLAN).unwrap();
        assert_eq!(
            encode::to_string(&plan.find("a", false)).unwrap(),
            "[[entries]]\n  name = \"jre\"\n  [entries.metadata]\n    build = true\n\n[[entries]]\n  name = \"jdk\"\n"
        );
        assert_eq!(encode::to_string(&plan.find("c", false)).unwrap(), "");
    }

    #[test]
    fn a_build_plan_has_its_top_level_pair_first() {
        let text = "Provides = [{name = 'x'}]\n[[or]]\n[[or.requires]]\nname = 'y'\nversion = '1'\n[[or]]\n";
        let plan: BuildPlan = decode::from_str(text).unwrap();
        let shape: Vec<_> = plan
            .alternatives()
            .map(|s| (s.provides.len(), s.requires.len()))
            .collect();
        assert_eq!(shape, [(1, 0), (0, 1), (0, 0)]);
        let empty: BuildPlan = decode::from_str("").unwrap();
        assert_eq!(empty, BuildPlan::default());
    }
}
