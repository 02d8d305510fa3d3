//! `launch.toml`: processes, slices, labels (BPB-028 to BPB-050).

use serde::{Deserialize, Serialize};

use crate::api::BuildpackApi;
use crate::decode::{self, Document};
use crate::sbom::RawBomEntry;

/// One way to start the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its type, `web`.
    pub process_type: String,
    /// Command and arguments that are always passed.
    pub command: Vec<String>,
    /// Default arguments; `None` where the buildpack gave none.
    pub args: Option<Vec<String>>,
    /// True: run without a shell.
    pub direct: bool,
    /// True: start this one when nothing else is said.
    pub default: bool,
    /// Who defined it.
    pub buildpack_id: String,
    /// Where it starts; empty means the app directory.
    pub working_dir: String,
    /// Execution environments that it is for.
    pub exec_env: Vec<String>,
}

/// Files of the app that get a layer of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// Patterns.
    #[serde(default)]
    pub paths: Vec<String>,
}

/// A label of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Its key.
    #[serde(default)]
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// `launch.toml` of one buildpack.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Launch {
    pub(crate) labels: Vec<Label>,
    pub(crate) processes: Vec<Process>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) bom: Vec<RawBomEntry>,
}

impl Launch {
    /// Decodes a file by the rules of one API; working directories are kept (BPB-036 is the caller's).
    pub(crate) fn decode(
        document: &Document,
        api: BuildpackApi,
        buildpack_id: &str,
    ) -> Result<Self, decode::Error> {
        let file: LaunchFile = document.decode()?;
        let commands = if api.has_direct_processes_only() {
            let direct = file.processes.iter().position(|p| p.direct.is_some());
            if let Some(index) = direct {
                return Err(decode::Error {
                    line: document.line_of(&format!("processes[{index}].direct")),
                    problem: DIRECT.to_owned(),
                    ..decode::Error::new(
                        "process.direct is not supported on this buildpack version",
                    )
                });
            }
            command_lists(document)?
        } else {
            command_strings(document)?
        };
        let always_direct = api.has_direct_processes_only();
        let processes = file
            .processes
            .into_iter()
            .zip(commands)
            .map(|(process, command)| Process {
                process_type: process.process_type,
                command,
                args: process.args,
                direct: process.direct.unwrap_or(always_direct),
                default: process.default,
                buildpack_id: buildpack_id.to_owned(),
                working_dir: process.working_dir,
                exec_env: process.exec_env,
            });
        Ok(Self {
            processes: processes.collect(),
            labels: file.labels,
            slices: file.slices,
            bom: file.bom,
        })
    }
}

/// What is wrong with a process that says whether it is direct.
const DIRECT: &str = "\"processes.direct\" is gone since Buildpack API 0.9";

/// Returns how to say in `launch.toml` what an API has: the way out of what [`Launch::decode`] refuses.
pub(crate) fn remedy(error: &decode::Error, api: BuildpackApi) -> String {
    let version = api.version();
    if error.problem == DIRECT {
        return format!(
            "remove the key: with Buildpack API {version} no process is started by a shell; where one is needed, command = [\"bash\", \"-c\", \"...\"]"
        );
    }
    let is_of_command = error.problem.contains("command\"");
    match (is_of_command, api.has_direct_processes_only()) {
        (true, true) => format!(
            "with Buildpack API {version} a command is an array of strings: command = [\"java\", \"-jar\", \"app.jar\"]"
        ),
        (true, false) => format!(
            "with Buildpack API {version} a command is one string, the rest goes into args: command = \"java\""
        ),
        _ => "launch.toml has [[processes]], [[slices]] and [[labels]]: correct the key's value"
            .to_owned(),
    }
}

/// The file but for the commands, whose type depends on the API.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LaunchFile {
    bom: Vec<RawBomEntry>,
    labels: Vec<Label>,
    processes: Vec<ProcessFile>,
    slices: Vec<Slice>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct ProcessFile {
    #[serde(rename = "type")]
    process_type: String,
    args: Option<Vec<String>>,
    direct: Option<bool>,
    default: bool,
    working_dir: String,
    exec_env: Vec<String>,
}

/// The commands alone, as `T`.
#[derive(Deserialize)]
struct Commands<T> {
    #[serde(default = "Vec::new")]
    processes: Vec<Command<T>>,
}

#[derive(Deserialize)]
struct Command<T> {
    command: Option<T>,
}

fn command_lists(document: &Document) -> Result<Vec<Vec<String>>, decode::Error> {
    let commands: Commands<Vec<String>> = document.decode()?;
    let commands = commands.processes.into_iter();
    Ok(commands.map(|p| p.command.unwrap_or_default()).collect())
}

/// Reads commands of old, of which each process must have one (BPB-032).
fn command_strings(document: &Document) -> Result<Vec<Vec<String>>, decode::Error> {
    let commands: Commands<String> = document.decode()?;
    let missing = |index: usize| decode::Error {
        line: document.line_of(&format!("processes[{index}]")),
        problem: "the process has no \"command\"".to_owned(),
        ..decode::Error::new(
            "toml: incompatible types: TOML value has type <nil>; destination has type string",
        )
    };
    let commands = commands.processes.into_iter().enumerate();
    commands
        .map(|(index, p)| Ok(vec![p.command.ok_or_else(|| missing(index))?]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(api: &str, text: &str) -> Result<Launch, String> {
        let document = Document::parse(text).map_err(|e| e.to_string())?;
        Launch::decode(&document, BuildpackApi::parse(api).unwrap(), "bp")
            .map_err(|e| e.to_string())
    }

    /// A command, or why it is refused.
    type Words = Result<Vec<&'static str>, &'static str>;

    fn process(api: &str, body: &str) -> Result<Process, String> {
        let text = format!("[[processes]]\ntype = 'web'\n{body}\n");
        decode(api, &text).map(|mut launch| launch.processes.remove(0))
    }

    #[test]
    fn commands_are_lists_from_0_9_on_and_strings_before() {
        let cases: [(&str, &str, Words); 8] = [
            ("0.9", "command = ['a', 'b']", Ok(vec!["a", "b"])),
            ("0.9", "command = []", Ok(vec![])),
            ("0.9", "", Ok(vec![])),
            (
                "0.9",
                "command = 'a'",
                Err(
                    "toml: line 3 (last key \"processes.command\"): incompatible types: TOML value has type string; destination has type slice",
                ),
            ),
            (
                "0.10",
                "command = [1]",
                Err(
                    "toml: line 3 (last key \"processes.command\"): incompatible types: TOML value has type int64; destination has type string",
                ),
            ),
            ("0.8", "command = 'a b'", Ok(vec!["a b"])),
            (
                "0.8",
                "command = ['a']",
                Err(
                    "toml: line 3 (last key \"processes.command\"): incompatible types: TOML value has type []any; destination has type string",
                ),
            ),
            (
                "0.7",
                "",
                Err(
                    "toml: incompatible types: TOML value has type <nil>; destination has type string",
                ),
            ),
        ];
        for (api, body, expected) in cases {
            let command = process(api, body).map(|p| p.command);
            let expected: Result<Vec<String>, String> = expected
                .map(|words| words.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            assert_eq!(command, expected, "{api} {body}");
        }
    }

    #[test]
    fn direct_may_be_said_before_0_9_only() {
        let refused = Err("process.direct is not supported on this buildpack version".to_owned());
        let direct = |api: &str, body: &str| process(api, body).map(|p| p.direct);
        assert_eq!(direct("0.8", "command = 'a'"), Ok(false));
        assert_eq!(direct("0.8", "command = 'a'\ndirect = false"), Ok(false));
        assert_eq!(direct("0.8", "command = 'a'\ndirect = true"), Ok(true));
        assert_eq!(direct("0.9", "command = ['a']"), Ok(true));
        assert_eq!(direct("0.9", "direct = true"), refused);
        assert_eq!(direct("0.12", "direct = false"), refused);
    }

    #[test]
    fn absent_arguments_are_not_empty_ones() {
        assert_eq!(process("0.9", "").unwrap().args, None);
        assert_eq!(process("0.9", "args = []").unwrap().args, Some(vec![]));
    }

    #[test]
    fn the_rest_is_copied_by_every_api() {
        for (api, command) in [
            ("0.7", "'a'"),
            ("0.8", "'a'"),
            ("0.9", "['a']"),
            ("0.10", "['a']"),
            ("0.11", "['a']"),
            ("0.12", "['a']"),
        ] {
            let body = format!(
                "command = {command}\ndefault = true\nworking-dir = 'rel'\nexec-env = ['test']\nother = 1"
            );
            let read = process(api, &body).unwrap();
            assert_eq!(
                (read.process_type.as_str(), read.buildpack_id.as_str()),
                ("web", "bp")
            );
            assert!(read.default);
            assert_eq!(read.working_dir, "rel");
            assert_eq!(read.exec_env, ["test"]);
        }
        let rest = decode(
            "0.9",
            "[[labels]]\nkey = 'k'\nvalue = 'v'\n[[slices]]\npaths = ['*']\n",
        )
        .unwrap();
        assert_eq!(
            (rest.labels[0].key.as_str(), rest.labels[0].value.as_str()),
            ("k", "v")
        );
        assert_eq!(rest.slices[0].paths, ["*"]);
        assert_eq!(decode("0.9", "").unwrap(), Launch::default());
    }
}
