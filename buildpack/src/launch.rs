//! `launch.toml`: processes, slices, labels (BPB-028 to BPB-050).

use serde::{Deserialize, Serialize};

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
