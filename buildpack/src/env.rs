//! Environment of buildpacks: pass-through variables, layer folders, env files (BPB-008, BPD-029 to BPD-034, BPL-001 to BPL-019).
//!
//! A pure state over byte strings; nothing here reads this process's environment. The launcher has the
//! same env-file rules of its own, held to one table of tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

/// The environment that buildpacks get, as it grows during a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildEnv {
    vars: BTreeMap<OsString, OsString>,
}

impl BuildEnv {
    /// Takes the variables that may pass from the lifecycle's own environment (BPD-029).
    pub fn from_outer(outer: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let _ = outer;
        todo!()
    }

    /// Adds the path children and env files of one build layer (BPL-001 to BPL-019).
    pub fn add_build_layer(&mut self, layer_dir: &Path) -> Result<(), Error> {
        let _ = layer_dir;
        todo!()
    }

    /// Returns the environment of one module: this one, then `<platform>/env` unless it clears it, then `<build-config>/env` (BPB-008).
    /// The caller adds the lifecycle's own `CNB_*` variables, which win.
    pub fn for_module(
        &self,
        platform_dir: &Path,
        build_config_dir: &Path,
        clear_env: bool,
    ) -> Result<BTreeMap<OsString, OsString>, Error> {
        let _ = (&self.vars, platform_dir, build_config_dir, clear_env);
        todo!()
    }
}

/// Why an environment folder could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An env folder or a file in it.
    #[error("apply env files from dir '{dir}': {source}")]
    EnvFiles {
        /// The folder.
        dir: String,
        /// What the system said.
        source: std::io::Error,
    },
}
