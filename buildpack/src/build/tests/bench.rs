//! A buildpack that is a script, and what it gets.

use tempfile::TempDir;

use super::super::*;
use crate::plan::Require;

/// A buildpack on disk, an app, a platform folder and a layers folder.
pub(super) struct Bench {
    pub(super) root: TempDir,
    pub(super) module: Descriptor,
    pub(super) env: BuildEnv,
    pub(super) plan: BuildpackPlan,
    pub(super) output: Vec<u8>,
    pub(super) warnings: Vec<String>,
}

impl Bench {
    /// Makes a buildpack whose `bin/build` is a script; `$L` is its layers folder.
    pub(super) fn new(script: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["app", "platform", "module/bin", "layers"] {
            fs_err::create_dir_all(root.path().join(dir)).unwrap();
        }
        let program = root.path().join("module/bin/build");
        let text = format!("#!/bin/bash\nset -e\nL=$1\n{script}\n");
        program::install(&program, &text, "755");
        Self {
            module: Descriptor {
                id: "acme/java".to_owned(),
                version: "1.0".to_owned(),
                dir: root.path().join("module"),
                ..Descriptor::default()
            },
            root,
            env: BuildEnv::from_outer([("PATH".into(), "/usr/bin:/bin".into())]),
            plan: BuildpackPlan::default(),
            output: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn requiring(mut self, names: &[&str]) -> Self {
        self.plan.entries = names
            .iter()
            .map(|name| Require {
                name: (*name).to_owned(),
                ..Require::default()
            })
            .collect();
        self
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn layers(&self) -> PathBuf {
        self.path("layers/acme_java")
    }

    pub(super) fn build(&mut self, api: &str) -> Result<BuildOutputs, Error> {
        let target = Target {
            os: "linux".to_owned(),
            arch: "arm64".to_owned(),
            ..Target::default()
        };
        let inputs = BuildInputs {
            app_dir: &self.path("app"),
            layers_dir: &self.path("layers"),
            platform_dir: &self.path("platform"),
            build_config_dir: &self.path("build-config"),
            target: &target,
            exec_env: "test",
        };
        let api = BuildpackApi::parse(api).unwrap();
        build(
            &self.module,
            api,
            &self.plan,
            &inputs,
            &mut self.env,
            &mut self.output,
            &mut |warning| self.warnings.push(warning),
        )
    }

    pub(super) fn lines(&mut self, api: &str) -> Vec<String> {
        self.output.clear();
        self.build(api).unwrap();
        let text = String::from_utf8_lossy(&self.output).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// Runs a build that fails on its outputs, and returns why.
    pub(super) fn refused(&mut self, api: &str) -> String {
        match self.build(api) {
            Err(Error::Outputs(fault)) => fault.to_string(),
            other => panic!("expected bad outputs, got {other:?}"),
        }
    }
}
