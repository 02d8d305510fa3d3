//! Folders of a build, and buildpacks that are scripts.

use std::path::PathBuf;
use std::process::Command;

use buildpack::decode;
use fs_err as fs;
use platform::entry::Invocation;
use platform::files;
use platform::inputs::{Variables, builder};
use tempfile::TempDir;

use crate::*;

/// Folders of a build, and a group whose buildpacks' `bin/build` are scripts; `$L` is their layers folder.
pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) group: Group,
    pub(super) plan: &'static str,
    pub(super) target: Option<Target>,
    pub(super) exec_env: &'static str,
    pub(super) output: String,
}

impl Bench {
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["app", "layers", "platform", "buildpacks"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        fs::write(root.path().join("os-release"), "ID=linux\nVERSION_ID=9\n").unwrap();
        Self {
            root,
            group: Group::default(),
            plan: "",
            target: None,
            exec_env: "production",
            output: String::new(),
        }
    }

    /// Returns a bench with one buildpack, `a`.
    pub(super) fn of(script: &str) -> Self {
        Self::new().with("a", script)
    }

    /// Adds a buildpack of version 1 and API 0.10 to the group.
    pub(super) fn with(self, id: &str, script: &str) -> Self {
        self.with_api("0.10", id, "", script)
    }

    /// Adds a buildpack with more lines in its `[buildpack]` table.
    pub(super) fn with_api(mut self, api: &str, id: &str, lines: &str, script: &str) -> Self {
        self.install(id, "1", api, lines, script);
        self.group.group.push(GroupElement {
            id: id.to_owned(),
            version: "1".to_owned(),
            api: api.to_owned(),
            ..GroupElement::default()
        });
        self
    }

    pub(super) fn install(&self, id: &str, version: &str, api: &str, lines: &str, script: &str) {
        let dir = self.path("buildpacks").join(id).join(version);
        fs::create_dir_all(dir.join("bin")).unwrap();
        let descriptor = format!(
            "api = \"{api}\"\n[buildpack]\nid = \"{id}\"\nversion = \"{version}\"\n{lines}\n"
        );
        fs::write(dir.join("buildpack.toml"), descriptor).unwrap();
        // Written by another process: a file that this one has open cannot be run by a child of another test.
        let draft = tempfile::NamedTempFile::new().unwrap();
        fs::write(
            draft.path(),
            format!("#!/bin/bash\nset -e\nL=$1\n{script}\n"),
        )
        .unwrap();
        let installed = Command::new("install")
            .args(["-m", "755"])
            .args([draft.path(), &dir.join("bin/build")])
            .status();
        assert!(installed.unwrap().success());
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(super) fn run(&mut self, api: u32) -> Result<BuildMetadata, Failure> {
        let modules = Modules {
            buildpacks: self.path("buildpacks"),
            extensions: PathBuf::new(),
        };
        let plan: Plan = decode::from_str(self.plan).unwrap();
        let mut output = Vec::new();
        let inputs = Inputs {
            api: platform_api(api),
            group: &self.group,
            plan: &plan,
            modules: &modules,
            app_dir: &self.path("app"),
            layers_dir: &self.path("layers"),
            platform_dir: &self.path("platform"),
            build_config_dir: &self.path("build-config"),
            env: &BuildEnv::from_outer([("PATH".into(), "/usr/bin:/bin".into())]),
            target: self.target.as_ref(),
            os_release: &self.path("os-release"),
            exec_env: self.exec_env,
        };
        let result = run(inputs, &mut output);
        self.output = String::from_utf8(output).unwrap();
        result
    }

    /// Runs a build that succeeds, and returns what buildpacks printed.
    pub(super) fn printed(&mut self, api: u32) -> &str {
        self.run(api).unwrap();
        &self.output
    }

    /// Runs a build that fails, and returns exit code and last line.
    pub(super) fn failure(&mut self, api: u32) -> (ExitCode, String) {
        let failure = self.run(api).unwrap_err();
        (failure.code, format!("{:#}", failure.error))
    }

    /// Builds and writes `metadata.toml`, as the program does.
    pub(super) fn command(&self, api: u32) -> Result<(), (ExitCode, String)> {
        let flag = |name: &str, folder: &str| [name.into(), self.path(folder).into_os_string()];
        let invocation = Invocation {
            name: "builder".to_owned(),
            api: platform_api(api),
            args: [
                flag("-app", "app"),
                flag("-layers", "layers"),
                flag("-platform", "platform"),
                flag("-buildpacks", "buildpacks"),
            ]
            .into_iter()
            .flatten()
            .collect(),
            variables: Variables::default().with("PATH", "/usr/bin:/bin"),
        };
        let flags = builder::parse(&invocation).unwrap().unwrap();
        let plan = decode::from_str(self.plan).unwrap();
        command::build(
            &invocation,
            &flags,
            &self.group,
            &plan,
            &files::Analyzed::default(),
        )
        .map_err(|failure| (failure.code, format!("{:#}", failure.error)))
    }
}

pub(super) fn platform_api(minor: u32) -> PlatformApi {
    PlatformApi::negotiate(Some(&format!("0.{minor}"))).unwrap()
}
