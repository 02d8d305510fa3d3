//! The folder that a case owns, and what lies in it before the first step.

use std::collections::{BTreeMap, HashSet};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fs_err as fs;

use super::case::Case;
use super::fixture::Fixture;
use super::grounds::Grounds;
use super::step;
use super::tree;
use crate::registry::Registry;

/// Folders of a case that are inputs.
const INPUTS: [&str; 11] = [
    "app",
    "buildpacks",
    "extensions",
    "platform",
    "build-config",
    "layers",
    "cache",
    "launch-cache",
    "layout-repo",
    "files",
    "launcher-sbom",
];

/// A small fixed file instead of the launcher, so that its layer has a known diffID.
const LAUNCHER: &str =
    "#!/bin/sh\n# stands in for the launcher so that its layer has known bytes\nexit 0\n";

/// Where the registry listens. The port is part of labels, so it cannot be chosen.
const REGISTRY: &str = "127.0.0.1:35973";
const REGISTRY_PORT: u16 = 35973;

/// Who may use the registry of a case that asks for a password.
const LOGIN: (&str, &str) = ("golden", "s3cret");

/// One registry at a time.
static REGISTRIES: Mutex<()> = Mutex::new(());

/// A case's folder.
#[derive(Debug)]
pub struct Place<'a> {
    /// The case.
    pub case: &'a Case,
    /// The folder.
    pub root: PathBuf,
    /// Digests of what the run images consist of, without `sha256:`.
    pub fixed: HashSet<String>,
    /// The registry, if the case needs one. It ends before the next one may begin.
    pub(super) registry: Option<(Registry, MutexGuard<'static, ()>)>,
}

impl<'a> Place<'a> {
    /// Makes the folder afresh, with everything that the first step finds.
    pub fn prepare(case: &'a Case) -> Self {
        let mut place = Self {
            case,
            root: case.root.clone(),
            fixed: HashSet::new(),
            registry: case.needs_registry().then(|| start_registry(case)),
        };
        {
            let _writing = step::no_spawning();
            place.remove();
            place.copy_inputs();
            place.write_images();
            place.hand_over();
        }
        if let Some(script) = &case.setup {
            let (exit, log) = step::shell(&place, script);
            assert_eq!(exit, step::Exit::Code(0), "setup: {log}");
        }
        place
    }

    /// Returns the registry, if the case needs one.
    pub fn registry(&self) -> Option<&Registry> {
        self.registry.as_ref().map(|(registry, _)| registry)
    }

    /// Removes the folder.
    pub fn remove(&self) {
        if self.root.symlink_metadata().is_ok() {
            fs::remove_dir_all(&self.root).unwrap();
        }
    }

    /// Puts addresses where `case.toml` and inputs have a word in braces.
    pub fn filled_in(&self, text: &str) -> String {
        let programs = Grounds::get().programs();
        text.replace("{root}", &self.root.to_string_lossy())
            .replace("{registry}", REGISTRY)
            .replace("{bin}", &programs.to_string_lossy())
    }

    /// Gives a command the environment of a step: nothing but this.
    pub fn set_environment(&self, command: &mut Command, own: &BTreeMap<String, String>) {
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/nonexistent")
            .env("LC_ALL", "C.UTF-8");
        if !self.case.platform_api.is_empty() {
            command.env("CNB_PLATFORM_API", &self.case.platform_api);
        }
        for (name, value) in own {
            if value == "<unset>" {
                command.env_remove(name);
            } else {
                command.env(name, self.filled_in(value));
            }
        }
    }

    fn copy_inputs(&self) {
        fs::create_dir_all(&self.root).unwrap();
        set_mode(&self.root, 0o755);
        for name in INPUTS {
            let source = self.case.folder.join(name);
            if source.is_dir() {
                self.copy(&source, &self.root.join(name));
            }
        }
        for entry in fs::read_dir(&self.case.folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            let is_input = entry.path().extension().is_some_and(|end| end == "toml")
                && name != "case.toml"
                && name != "expect.toml";
            if is_input {
                self.copy(&entry.path(), &self.root.join(name));
            }
        }
        for name in &self.case.mkdirs {
            fs::create_dir_all(self.root.join(name)).unwrap();
        }
        let launcher = self.root.join("launcher");
        fs::write(&launcher, LAUNCHER).unwrap();
        set_mode(&launcher, 0o755);
    }

    // Modes come out the same whatever the checkout made of them.
    fn copy(&self, source: &Path, target: &Path) {
        let metadata = fs::symlink_metadata(source).unwrap();
        if metadata.is_symlink() {
            symlink(fs::read_link(source).unwrap(), target).unwrap();
        } else if metadata.is_dir() {
            fs::create_dir_all(target).unwrap();
            set_mode(target, 0o755);
            for entry in fs::read_dir(source).unwrap() {
                let entry = entry.unwrap();
                self.copy(&entry.path(), &target.join(entry.file_name()));
            }
        } else {
            let bytes = fs::read(source).unwrap();
            let is_toml = target.extension().is_some_and(|end| end == "toml");
            match String::from_utf8(bytes) {
                Ok(text) if is_toml => fs::write(target, self.filled_in(&text)).unwrap(),
                Ok(text) => fs::write(target, text).unwrap(),
                Err(error) => fs::write(target, error.as_bytes()).unwrap(),
            }
            let executable = metadata.permissions().mode() & 0o100 != 0;
            set_mode(target, if executable { 0o755 } else { 0o644 });
        }
    }

    fn write_images(&mut self) {
        for spec in &self.case.image {
            let fixture = Fixture::new(spec);
            self.fixed.extend(fixture.blobs().map(str::to_owned));
            if let Some(layout) = &spec.layout {
                fixture.write(&self.root.join(layout));
            }
            if let (Some(name), Some(registry)) = (&spec.push, self.registry()) {
                fixture.push(registry, name);
            }
        }
    }

    // The folder itself stays root's: it is in the layers as a parent.
    fn hand_over(&self) {
        let owner = self.case.owner;
        tree::walk(&self.root, &mut |path, _| {
            lchown(path, Some(owner.uid), Some(owner.gid)).unwrap();
            true
        });
    }
}

fn start_registry(case: &Case) -> (Registry, MutexGuard<'static, ()>) {
    let alone = REGISTRIES.lock().unwrap_or_else(PoisonError::into_inner);
    let login = case.needs_password().then_some(LOGIN);
    (Registry::at_port(REGISTRY_PORT, login), alone)
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
