//! `case.toml`: what a case runs and how far it is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use regex::Regex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::fixture::Spec;

/// One case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name of its folder.
    #[serde(skip)]
    pub name: String,
    /// Its folder.
    #[serde(skip)]
    pub folder: PathBuf,
    /// The folder that it runs in.
    #[serde(skip)]
    pub root: PathBuf,
    /// What it shows, in a line.
    pub description: String,
    /// Where the recorded behaviour is a bug or a limit of the reference.
    pub note: Option<String>,
    /// `CNB_PLATFORM_API`; empty: not set.
    #[serde(default = "default_platform_api")]
    pub platform_api: String,
    /// Who owns the inputs, and whom buildpacks run as.
    #[serde(default)]
    pub owner: User,
    /// What the machine must have.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// Folders that are made where no input makes them.
    #[serde(default = "default_folders")]
    pub mkdirs: Vec<String>,
    /// A script that makes what a checkout cannot hold.
    pub setup: Option<String>,
    /// Variables of every step.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Run images.
    #[serde(default)]
    pub image: Vec<Spec>,
    /// What is run.
    pub steps: Vec<Step>,
    /// How far it is compared; everything, unless said otherwise.
    pub compare: Option<Extent>,
    /// Files whose mode is not compared.
    #[serde(default)]
    pub ignore_mode: Vec<Pattern>,
    /// Images that are not compared, as `<snapshot>/<image>`.
    #[serde(default)]
    pub ignore_images: Vec<Pattern>,
    /// Files that must be there where a step succeeds in which the reference fails.
    #[serde(default)]
    pub better_files: Vec<String>,
    /// Platform of the run image that must have been chosen then, as `os/architecture`.
    pub better_platform: Option<String>,
}

/// Something that not every machine has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A registry on this machine.
    Registry,
    /// A registry that asks for a password.
    RegistryAuth,
    /// One program that is every phase.
    Multicall,
}

/// How much of a case is compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// Exit codes and logs only.
    Exit,
}

/// One step: a program or a script.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Name of the program, or `sh`.
    pub phase: String,
    /// Script of a step `sh`.
    #[serde(default)]
    pub script: String,
    /// Arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Variables; `<unset>` removes one.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Who runs it; by default the owner for detector, builder and launcher, root for the others.
    pub user: Option<User>,
    /// Where it runs; by default in the case's folder.
    pub cwd: Option<String>,
    /// Name of a link that the program is started through.
    pub argv0: Option<String>,
    /// The exit code that the author expects.
    pub exit: Option<i32>,
    /// Lines of the log that are compared; none, unless said otherwise.
    #[serde(default, deserialize_with = "some_lines")]
    pub log: Option<LogLines>,
    /// Look at files and images behind this step too.
    #[serde(default)]
    pub collect: bool,
    /// Which other outcomes are as good.
    pub accept: Option<Accept>,
    /// Seconds that it may take.
    pub timeout: Option<u64>,
}

/// Outcomes that are as good as the recorded one.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Accept {
    /// Any exit code but success: the reference crashes.
    AnyFailure,
    /// Success: the reference fails.
    Better,
}

impl Accept {
    /// Returns the word for it in `case.toml` and `steps.json`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::AnyFailure => "any-failure",
            Self::Better => "better",
        }
    }
}

/// User and group.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl User {
    /// The superuser.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

impl Default for User {
    fn default() -> Self {
        Self {
            uid: 1001,
            gid: 1000,
        }
    }
}

impl TryFrom<String> for User {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ids = text
            .split_once(':')
            .and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
        let (uid, gid) = ids.ok_or_else(|| format!("{text:?} is not <uid>:<gid>"))?;
        Ok(Self { uid, gid })
    }
}

/// A regular expression.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Returns whether it occurs in a text.
    pub fn occurs_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Regex::new(&text).map(Self)
    }
}

/// Which lines of a log are compared.
#[derive(Clone, Debug)]
pub struct LogLines {
    /// Lines that match one of these; all, if there is none.
    pub patterns: Vec<Pattern>,
    /// Without regard to their order.
    pub sorted: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

// An empty list of patterns compares nothing.
fn some_lines<'de, D: Deserializer<'de>>(from: D) -> Result<Option<LogLines>, D::Error> {
    match Words::deserialize(from)? {
        Words::Many(words) if words.is_empty() => Ok(None),
        words => LogLines::try_from(words)
            .map(Some)
            .map_err(D::Error::custom),
    }
}

impl TryFrom<Words> for LogLines {
    type Error = regex::Error;

    fn try_from(words: Words) -> Result<Self, regex::Error> {
        let words = match words {
            Words::One(word) => vec![word],
            Words::Many(words) => words,
        };
        let sorted = words.iter().any(|word| word == "sorted");
        let patterns = words
            .into_iter()
            .filter(|word| word != "sorted" && word != "full")
            .map(Pattern::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Self { patterns, sorted })
    }
}

impl Case {
    /// Reads the case that lies in a folder and runs in one of its name below another.
    pub fn read(folder: &Path, below: &Path) -> Result<Self, String> {
        let path = folder.join("case.toml");
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let mut case: Self =
            toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = folder.file_name().expect("a case's folder has a name");
        case.root = below.join(name);
        case.name = name.to_string_lossy().into_owned();
        folder.clone_into(&mut case.folder);
        Ok(case)
    }

    /// Returns the folders of all cases below one, sorted.
    pub fn folders(below: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(below).map_or_else(|_| Vec::new(), Iterator::collect);
        let mut folders: Vec<PathBuf> = entries
            .into_iter()
            .map(|entry| entry.expect("the folder can be read").path())
            .filter(|folder| folder.join("case.toml").exists())
            .collect();
        folders.sort();
        folders
    }

    /// Returns whether a registry is asked for.
    pub fn needs_registry(&self) -> bool {
        let registries = [Need::Registry, Need::RegistryAuth];
        self.needs.iter().any(|need| registries.contains(need))
    }

    /// Returns whether the registry asks for a password.
    pub fn needs_password(&self) -> bool {
        self.needs.contains(&Need::RegistryAuth)
    }
}

fn default_platform_api() -> String {
    "0.13".to_owned()
}

fn default_folders() -> Vec<String> {
    ["app", "layers", "platform"].map(str::to_owned).to_vec()
}
