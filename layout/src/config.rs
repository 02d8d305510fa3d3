//! The image config (OCI config.md, and Docker's keys beside it), in the reference's key order (EXP-061).
//!
//! Own types instead of `oci-spec`'s: that crate's key order changes from run to run and it drops keys
//! that it does not know.

use std::collections::BTreeMap;

use crate::digest::DiffId;

/// An image config document. Reading keeps every key, writing follows EXP-061 (to be completed).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageConfig {
    /// CPU architecture in Go's words.
    pub architecture: String,
    /// RFC 3339 time of creation.
    pub created: Option<String>,
    /// One entry a layer, and entries without layers.
    pub history: Vec<History>,
    /// Operating system in Go's words.
    pub os: String,
    /// Version of the operating system.
    pub os_version: String,
    /// Variant of the CPU.
    pub variant: String,
    /// diffIDs, base first.
    pub diff_ids: Vec<DiffId>,
    /// How a container of this image is started.
    pub config: ContainerConfig,
}

/// The `config` section: what a container gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Arguments.
    pub cmd: Vec<String>,
    /// Command line before the arguments.
    pub entrypoint: Vec<String>,
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// `user[:group]`.
    pub user: String,
    /// Absolute path.
    pub working_dir: String,
}

/// How one layer came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Who made it.
    pub author: String,
    /// RFC 3339 time.
    pub created: Option<String>,
    /// The command that made it.
    pub created_by: String,
    /// Free text.
    pub comment: String,
    /// True where no layer belongs to this entry.
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Returns the value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.get(key).map(String::as_str)
    }

    /// Returns the value of a variable, the last one if it is there more than once.
    pub fn env(&self, name: &str) -> Option<&str> {
        let _ = name;
        todo!()
    }

    /// Sets a variable in place, or appends it.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let _ = (name, value);
        todo!()
    }
}
