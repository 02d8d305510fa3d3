//! The shape of `metadata.toml`. Key order is the file's (EXP-048); absent lists are left out, empty ones are not.

use anyhow::bail;
use buildpack::group::GroupElement;
use buildpack::launch::{Label, Process, Slice};
use buildpack::sbom::BomEntry;
use serde::{Deserialize, Serialize};

use super::BuildMetadata;
use super::command::{self, Command};
use crate::api::PlatformApi;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(super) struct MetadataFile {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bom: Vec<BomEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    buildpacks: Vec<GroupElement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extensions: Vec<GroupElement>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<Label>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<Vec<ProcessTable>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slices: Vec<Slice>,
    #[serde(skip_serializing_if = "String::is_empty")]
    buildpack_default_process_type: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct ProcessTable {
    r#type: String,
    #[serde(serialize_with = "Command::quoted_as_json")]
    command: Command,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Vec<String>>,
    direct: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    buildpack_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    working_dir: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exec_env: Vec<String>,
}

impl MetadataFile {
    /// Returns what the file shall hold, if an API can say it.
    pub(super) fn new(metadata: &BuildMetadata, api: PlatformApi) -> anyhow::Result<Self> {
        let table = |process| ProcessTable::new(process, api);
        let processes = metadata.processes.as_ref();
        let processes = processes.map(|list| list.iter().map(table).collect());
        Ok(Self {
            bom: metadata.bom.clone(),
            buildpacks: metadata.buildpacks.clone(),
            extensions: metadata.extensions.clone(),
            labels: metadata.labels.clone(),
            processes: processes.transpose()?,
            slices: metadata.slices.clone(),
            buildpack_default_process_type: metadata.default_process_type.clone(),
        })
    }
}

impl ProcessTable {
    fn new(process: &Process, api: PlatformApi) -> anyhow::Result<Self> {
        if process.command.is_empty() && !api.has_command_arrays() {
            bail!(
                "process {:?} of buildpack {} has no command, which Platform API {} cannot say",
                process.process_type,
                process.buildpack_id,
                api.version()
            );
        }
        let (command, args) = command::in_form_of(api, process);
        Ok(Self {
            r#type: process.process_type.clone(),
            command,
            args,
            direct: process.direct,
            default: process.default,
            buildpack_id: process.buildpack_id.clone(),
            working_dir: process.working_dir.clone(),
            exec_env: process.exec_env.clone(),
        })
    }
}

impl From<ProcessTable> for Process {
    fn from(table: ProcessTable) -> Self {
        Self {
            process_type: table.r#type,
            command: table.command.into_elements(),
            args: table.args,
            direct: table.direct,
            default: table.default,
            buildpack_id: table.buildpack_id,
            working_dir: table.working_dir,
            exec_env: table.exec_env,
        }
    }
}

impl From<MetadataFile> for BuildMetadata {
    fn from(file: MetadataFile) -> Self {
        let processes = file.processes;
        Self {
            bom: file.bom,
            buildpacks: file.buildpacks,
            extensions: file.extensions,
            labels: file.labels,
            processes: processes.map(|list| list.into_iter().map(Into::into).collect()),
            slices: file.slices,
            default_process_type: file.buildpack_default_process_type,
        }
    }
}
