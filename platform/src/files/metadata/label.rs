//! The shape of the label `io.buildpacks.build.metadata` (EXP-079, EXP-080). Key order is the label's.

use buildpack::group::GroupElement;
use buildpack::launch::Process;
use buildpack::sbom::BomEntry;
use serde::{Deserialize, Serialize};

use super::command::{self, Command};
use super::{BuildMetadata, LauncherRecord};
use crate::api::PlatformApi;
use crate::files::value;

pub(super) fn to_string(
    metadata: &BuildMetadata,
    api: PlatformApi,
    launcher: &LauncherRecord,
) -> String {
    let processes = metadata.processes.as_ref();
    let process = |process| ProcessObject::new(process, api);
    let label = LabelObject {
        bom: (!api.has_legacy_bom_files()).then(|| Bom(or_null(&metadata.bom, BomObject::from))),
        buildpacks: or_null(&metadata.buildpacks, Module::from),
        extensions: or_null(&metadata.extensions, Module::from),
        launcher: Launcher {
            version: &launcher.version,
            source: Source {
                git: Git {
                    repository: &launcher.repository,
                    commit: &launcher.commit,
                },
            },
        },
        processes: processes.map(|list| list.iter().map(process).collect()),
        default_process_type: &metadata.default_process_type,
    };
    layout::json::to_string(&label).expect("texts and JSON values can be written as JSON")
}

pub(super) fn from_str(json: &str) -> serde_json::Result<(BuildMetadata, LauncherRecord)> {
    let label: ReadLabel = layout::json::from_slice(json.as_bytes())?;
    let git = label.launcher.source.git;
    let launcher = LauncherRecord {
        version: label.launcher.version,
        repository: git.repository,
        commit: git.commit,
    };
    let metadata = BuildMetadata {
        buildpacks: label.buildpacks,
        extensions: label.extensions,
        processes: Some(label.processes.into_iter().map(Process::from).collect()),
        default_process_type: label.default_process_type,
        ..BuildMetadata::default()
    };
    Ok((metadata, launcher))
}

/// Returns a list; an empty one is null, because the reference never makes one.
fn or_null<'a, T, U>(list: &'a [T], convert: impl Fn(&'a T) -> U) -> Option<Vec<U>> {
    (!list.is_empty()).then(|| list.iter().map(convert).collect())
}

#[derive(Serialize)]
struct LabelObject<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    bom: Option<Bom<'a>>,
    buildpacks: Option<Vec<Module<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Vec<Module<'a>>>,
    launcher: Launcher<'a>,
    processes: Option<Vec<ProcessObject<'a>>>,
    #[serde(
        rename = "buildpack-default-process-type",
        skip_serializing_if = "str::is_empty"
    )]
    default_process_type: &'a str,
}

/// The list may be null and yet be there.
#[derive(Serialize)]
struct Bom<'a>(Option<Vec<BomObject<'a>>>);

#[derive(Serialize)]
struct BomObject<'a> {
    name: &'a str,
    metadata: serde_json::Value,
    buildpack: Module<'a>,
}

/// A module without its API, which the label does not tell.
#[derive(Serialize)]
struct Module<'a> {
    id: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    homepage: &'a str,
}

#[derive(Serialize)]
struct Launcher<'a> {
    version: &'a str,
    source: Source<'a>,
}

#[derive(Serialize)]
struct Source<'a> {
    git: Git<'a>,
}

#[derive(Serialize)]
struct Git<'a> {
    repository: &'a str,
    commit: &'a str,
}

#[derive(Serialize)]
struct ProcessObject<'a> {
    r#type: &'a str,
    command: Command,
    args: Option<Vec<String>>,
    direct: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(rename = "buildpackID")]
    buildpack_id: &'a str,
    #[serde(rename = "working-dir", skip_serializing_if = "str::is_empty")]
    working_dir: &'a str,
    #[serde(rename = "exec-env", skip_serializing_if = "<[String]>::is_empty")]
    exec_env: &'a [String],
}

impl<'a> From<&'a BomEntry> for BomObject<'a> {
    /// Metadata with a number that JSON lacks is null: a build must not fail over a deprecated table.
    fn from(entry: &'a BomEntry) -> Self {
        let metadata = entry.metadata.as_ref();
        Self {
            name: &entry.name,
            metadata: metadata
                .and_then(|table| value::table_to_json(table).ok())
                .unwrap_or_default(),
            buildpack: Module::from(&entry.buildpack),
        }
    }
}

impl<'a> From<&'a GroupElement> for Module<'a> {
    fn from(element: &'a GroupElement) -> Self {
        Self {
            id: &element.id,
            version: &element.version,
            homepage: &element.homepage,
        }
    }
}

impl<'a> ProcessObject<'a> {
    fn new(process: &'a Process, api: PlatformApi) -> Self {
        let (command, args) = command::in_form_of(api, process);
        Self {
            r#type: &process.process_type,
            command,
            args,
            direct: process.direct,
            default: process.default,
            buildpack_id: &process.buildpack_id,
            working_dir: &process.working_dir,
            exec_env: &process.exec_env,
        }
    }
}

/// What is read of a label. Whatever wrote it, a list may be null: [`layout::json`] leaves that out.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadLabel {
    buildpacks: Vec<GroupElement>,
    extensions: Vec<GroupElement>,
    launcher: ReadLauncher,
    processes: Vec<ReadProcess>,
    #[serde(rename = "buildpack-default-process-type")]
    default_process_type: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadLauncher {
    version: String,
    source: ReadSource,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadSource {
    git: ReadGit,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadGit {
    repository: String,
    commit: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReadProcess {
    r#type: String,
    command: Command,
    args: Option<Vec<String>>,
    direct: bool,
    default: bool,
    #[serde(rename = "buildpackID")]
    buildpack_id: String,
    #[serde(rename = "working-dir")]
    working_dir: String,
    #[serde(rename = "exec-env")]
    exec_env: Vec<String>,
}

impl From<ReadProcess> for Process {
    fn from(process: ReadProcess) -> Self {
        Self {
            process_type: process.r#type,
            command: process.command.into_elements(),
            args: process.args,
            direct: process.direct,
            default: process.default,
            buildpack_id: process.buildpack_id,
            working_dir: process.working_dir,
            exec_env: process.exec_env,
        }
    }
}
