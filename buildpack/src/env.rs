//! Environment of buildpacks: pass-through variables, layer folders, env files (BPB-008, BPD-029 to BPD-034, BPL-001 to BPL-019).
//!
//! A state over byte strings; nothing here reads this process's environment. The launcher has the
//! same env-file rules of its own, held to one table of tests.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::fault::{Advice, Fault};
use crate::syscall_text;

/// The environment that buildpacks get, as it grows during a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildEnv {
    vars: Vars,
}

type Vars = BTreeMap<OsString, OsString>;

impl BuildEnv {
    /// Takes the variables that may pass from the lifecycle's own environment (BPD-029).
    pub fn from_outer(outer: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let may_pass = |name: &OsStr| {
            PASSED_THROUGH.iter().any(|passed| name == *passed) || is_path_variable(name)
        };
        Self {
            vars: outer
                .into_iter()
                .filter(|(name, _)| may_pass(name))
                .collect(),
        }
    }

    /// Adds the path children and env files of one build layer (BPL-001 to BPL-019).
    pub fn add_build_layer(&mut self, layer_dir: &Path) -> Result<(), Error> {
        add_path_children(&mut self.vars, layer_dir)?;
        for env_dir in ["env", "env.build"] {
            add_env_dir(&mut self.vars, &layer_dir.join(env_dir), b"override")?;
        }
        Ok(())
    }

    /// Returns the environment of one module: this one, then `<platform>/env` unless it clears it, then `<build-config>/env` (BPB-008).
    /// The caller adds the lifecycle's own `CNB_*` variables, which win.
    pub fn for_module(
        &self,
        platform_dir: &Path,
        build_config_dir: &Path,
        clear_env: bool,
    ) -> Result<BTreeMap<OsString, OsString>, Error> {
        let mut vars = self.vars.clone();
        if !clear_env && !platform_dir.as_os_str().is_empty() {
            add_user_env(&mut vars, &platform_dir.join("env"))?;
        }
        if !build_config_dir.as_os_str().is_empty() {
            add_env_dir(&mut vars, &build_config_dir.join("env"), b"default")?;
        }
        Ok(vars)
    }

    /// Returns the variables so far.
    pub fn variables(&self) -> &BTreeMap<OsString, OsString> {
        &self.vars
    }
}

/// Why an environment folder could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An env folder of a layer or of `<build-config>`, or a file in it.
    #[error("apply env files from dir '{dir}': {source}")]
    EnvFiles {
        /// The folder.
        dir: String,
        /// What the system said.
        source: syscall_text::Error,
    },
    /// Any other folder.
    #[error(transparent)]
    Syscall(#[from] syscall_text::Error),
}

impl Error {
    /// Returns what the system said, and of what.
    pub fn cause(&self) -> &syscall_text::Error {
        match self {
            Self::EnvFiles { source, .. } | Self::Syscall(source) => source,
        }
    }

    /// Returns the failure of the module that was to have the environment.
    pub(crate) fn fault(&self) -> Fault {
        let reason = syscall_text::reason(&self.cause().cause);
        let problem = format!("a file of the environment cannot be read: {reason}");
        let remedy = "remove it, or make it a file that the building user may read";
        Fault::new(self, Advice::new(&self.cause().path, problem, remedy))
    }
}

/// Variables that pass beside the path variables.
const PASSED_THROUGH: [&str; 9] = [
    "CNB_STACK_ID",
    "HOSTNAME",
    "HOME",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Folders of a layer, and the variables that they are put in front of (BPL-001).
const PATH_CHILDREN: [(&str, &[&str]); 4] = [
    ("bin", &["PATH"]),
    ("lib", &["LD_LIBRARY_PATH", "LIBRARY_PATH"]),
    ("include", &["CPATH"]),
    ("pkgconfig", &["PKG_CONFIG_PATH"]),
];

fn is_path_variable(name: &OsStr) -> bool {
    let mut all = PATH_CHILDREN.iter().flat_map(|(_, variables)| *variables);
    all.any(|variable| name == *variable)
}

fn add_path_children(vars: &mut Vars, layer_dir: &Path) -> Result<(), Error> {
    let layer_dir = std::path::absolute(layer_dir)
        .map_err(|e| syscall_text::Error::new("getwd", layer_dir, e))?;
    for (child, variables) in PATH_CHILDREN {
        let path = layer_dir.join(child);
        match fs_err::metadata(&path) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(syscall_text::Error::new("stat", &path, e).into()),
        }
        for variable in variables {
            put_in_front(
                vars,
                OsStr::new(variable),
                path.as_os_str().as_bytes(),
                b":",
            );
        }
    }
    Ok(())
}

/// Adds `<platform>/env`: whole file names, no suffixes (BPD-030, BPD-031).
fn add_user_env(vars: &mut Vars, dir: &Path) -> Result<(), syscall_text::Error> {
    for (name, value) in env_files(dir)? {
        if is_path_variable(&name) {
            put_in_front(vars, &name, &value, b":");
        } else {
            vars.insert(name, OsString::from_vec(value));
        }
    }
    Ok(())
}

/// Adds a folder of files that name their action in a suffix (BPL-007 to BPL-016).
fn add_env_dir(vars: &mut Vars, dir: &Path, default_action: &[u8]) -> Result<(), Error> {
    let files = env_files(dir).map_err(|source| Error::EnvFiles {
        dir: dir.display().to_string(),
        source,
    })?;
    for (file, value) in files {
        let mut parts = file.as_bytes().splitn(2, |b| *b == b'.');
        let name = OsStr::from_bytes(parts.next().unwrap_or_default());
        match parts.next().unwrap_or(default_action) {
            b"prepend" => put_in_front(vars, name, &value, &delimiter(dir, name)),
            b"append" => put_behind(vars, name, &value, &delimiter(dir, name)),
            b"override" => {
                vars.insert(name.to_owned(), OsString::from_vec(value));
            }
            b"default" if current(vars, name).is_empty() => {
                vars.insert(name.to_owned(), OsString::from_vec(value));
            }
            // `FOO.` has an empty action, which once meant to prepend to a path.
            b"" => put_in_front(vars, name, &value, &delimiter_or(dir, name, b":")),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the suffix of an env file if it is none that counts (BPL-007 to BPL-016).
pub(crate) fn odd_suffix(file: &str) -> Option<&str> {
    let (_, suffix) = file.split_once('.')?;
    (!["prepend", "append", "override", "default", "delim", ""].contains(&suffix)).then_some(suffix)
}

/// Reads the files of a folder; links to files are followed, folders are skipped.
fn env_files(dir: &Path) -> Result<Vec<(OsString, Vec<u8>)>, syscall_text::Error> {
    let mut files = Vec::new();
    for entry in syscall_text::read_dir_if_present(dir)? {
        let is_dir = if entry.kind.is_symlink() {
            fs_err::metadata(&entry.path)
                .map_err(|e| syscall_text::Error::new("stat", &entry.path, e))?
                .is_dir()
        } else {
            entry.kind.is_dir()
        };
        if !is_dir {
            files.push((entry.name, syscall_text::read_file(&entry.path)?));
        }
    }
    Ok(files)
}

/// Returns the content of `<name>.delim`, empty where there is none that can be read.
fn delimiter(dir: &Path, name: &OsStr) -> Vec<u8> {
    delimiter_or(dir, name, b"")
}

fn delimiter_or(dir: &Path, name: &OsStr, absent: &[u8]) -> Vec<u8> {
    let mut file = name.to_owned();
    file.push(".delim");
    syscall_text::read_file(&dir.join(file)).unwrap_or_else(|_| absent.to_owned())
}

fn current<'v>(vars: &'v Vars, name: &OsStr) -> &'v [u8] {
    vars.get(name).map_or(b"", |value| value.as_bytes())
}

fn put_in_front(vars: &mut Vars, name: &OsStr, value: &[u8], delimiter: &[u8]) {
    let joined = join(value, delimiter, current(vars, name), current(vars, name));
    vars.insert(name.to_owned(), joined);
}

fn put_behind(vars: &mut Vars, name: &OsStr, value: &[u8], delimiter: &[u8]) {
    let joined = join(current(vars, name), delimiter, value, current(vars, name));
    vars.insert(name.to_owned(), joined);
}

/// Joins two values; the delimiter is left out where the variable had no value.
fn join(first: &[u8], delimiter: &[u8], second: &[u8], previous: &[u8]) -> OsString {
    let delimiter = if previous.is_empty() { b"" } else { delimiter };
    OsString::from_vec([first, delimiter, second].concat())
}

#[cfg(test)]
mod tests;
