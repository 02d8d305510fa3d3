//! The detector alone, over buildpacks written by hand: for what it says and what it ends with.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;
use tempfile::TempDir;

use crate::build::{GID, UID};
use crate::program::{self, Ran};

/// Folders and files of one detection.
#[derive(Debug)]
pub struct Detection {
    dir: TempDir,
    /// `CNB_PLATFORM_API`.
    pub api: &'static str,
}

impl Default for Detection {
    fn default() -> Self {
        Self::new()
    }
}

impl Detection {
    /// Makes the folders and an app of one file.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("slipway-test-")
            .tempdir()
            .unwrap();
        // As root, the detector runs as another user.
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let detection = Self { dir, api: "0.13" };
        for folder in [
            "layers",
            "platform",
            "buildpacks",
            "extensions",
            "build-config",
        ] {
            fs::create_dir(detection.path(folder)).unwrap();
        }
        detection.write("app/main.sh", "echo hello\n");
        if program::is_root() {
            chown(detection.path("layers"), Some(UID), Some(GID)).unwrap();
        }
        detection
    }

    /// Returns a path below the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, making its folders.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("files have a folder")).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes a program. A process of its own writes it: a file that is open for writing, be it in a child that another
    /// test is just starting, cannot be run.
    pub fn program(&self, name: &str, text: impl AsRef<[u8]>) {
        let draft = tempfile::NamedTempFile::new().unwrap();
        fs::write(draft.path(), text).unwrap();
        let mut install = Command::new("install");
        let install = install.args(["-D", "-m", "755"]).arg(draft.path());
        Ran::of(install.arg(self.path(name))).ok();
    }

    /// Sets the mode of a file.
    pub fn set_mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    /// Writes version 1 of a buildpack of API 0.10 whose `bin/detect` is this shell script.
    pub fn buildpack(&self, id: &str, script: &str) {
        let dir = format!("buildpacks/{id}/1");
        let descriptor = format!("api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n");
        self.write(&format!("{dir}/buildpack.toml"), descriptor);
        self.program(
            &format!("{dir}/bin/detect"),
            format!("#!/bin/sh\n{script}\n"),
        );
    }

    /// Writes order.toml: each text is a group, `a b?`, all of version 1, `b` optional.
    pub fn order(&self, groups: &[&str]) {
        let mut text = String::new();
        for group in groups {
            text.push_str("[[order]]\n");
            for word in group.split_whitespace() {
                let (id, optional) = (word.trim_end_matches('?'), word.ends_with('?'));
                let element = format!(
                    "[[order.group]]\nid = \"{id}\"\nversion = \"1\"\noptional = {optional}\n"
                );
                text.push_str(&element);
            }
        }
        self.write("order.toml", text);
    }

    /// Returns the detector's command; as root it runs as another user.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.command_as_we_are(args);
        if program::is_root() {
            command.uid(UID).gid(GID);
        }
        command
    }

    /// Returns the detector's command, without another user.
    pub fn command_as_we_are(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program::ours_in("detector", &self.path("bin")));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("CNB_PLATFORM_API", self.api)
            .env("CNB_NO_COLOR", "true")
            .env("CNB_EXTENSIONS_DIR", self.path("extensions"))
            .env("CNB_BUILD_CONFIG_DIR", self.path("build-config"))
            .env("CNB_SYSTEM_PATH", self.path("system.toml"))
            .current_dir(self.dir.path());
        for (flag, name) in [
            ("-app", "app"),
            ("-layers", "layers"),
            ("-platform", "platform"),
            ("-buildpacks", "buildpacks"),
            ("-order", "order.toml"),
        ] {
            command.arg(flag).arg(self.path(name));
        }
        command.args(args);
        command
    }

    /// Runs the detector; in its text, `ROOT` stands for the directory.
    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = Ran::of(&mut self.command(args));
        let root = self.dir.path().display().to_string();
        Ran {
            text: ran.text.replace(&root, "ROOT"),
            ..ran
        }
    }
}
