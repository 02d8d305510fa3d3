//! Files that authors of buildpacks and extensions write, and those that their programs do.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use buildpack::api::BuildpackApi;
use buildpack::build::{BuildInputs, build};
use buildpack::descriptor::Descriptor;
use buildpack::detect::{DetectInputs, detect};
use buildpack::dockerfile::{self, Kind};
use buildpack::env::BuildEnv;
use buildpack::plan::BuildpackPlan;
use buildpack::target::Target;
use tempfile::TempDir;

use crate::place::with_file;

/// The oldest and the newest Buildpack API: what lies between reads files as one of them does.
const APIS: [&str; 2] = ["0.7", "0.12"];

pub(crate) fn buildpack_toml(bytes: &[u8]) {
    with_file("buildpack.toml", bytes, |path| {
        Descriptor::read_buildpack(path).ok()
    });
}

pub(crate) fn extension_toml(bytes: &[u8]) {
    with_file("extension.toml", bytes, |path| {
        Descriptor::read_extension(path).ok()
    });
}

pub(crate) fn dockerfile(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for kind in [Kind::Build, Kind::Run] {
        dockerfile::check(&text, kind, &mut |_| ()).ok();
    }
}

/// What a build left as `launch.toml`.
pub(crate) fn launch_toml(bytes: &[u8]) {
    built("launch.toml", bytes);
}

/// What a build left as `build.toml`.
pub(crate) fn build_toml(bytes: &[u8]) {
    built("build.toml", bytes);
}

/// What a build left as metadata of a layer.
pub(crate) fn layer_toml(bytes: &[u8]) {
    built("name.toml", bytes);
    with_file("name.toml", bytes, |path| {
        buildpack::layer::LayerMetadata::read(path).ok()
    });
}

pub(crate) fn store_toml(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    fs_err::write(dir.path().join("store.toml"), bytes).unwrap();
    buildpack::store::read(dir.path()).ok();
}

/// A build plan, which an extension may bring along.
pub(crate) fn detect_plan_toml(bytes: &[u8]) {
    let module = Module::new("extension");
    let dir = module.path("detect");
    fs_err::create_dir(&dir).unwrap();
    fs_err::write(dir.join("plan.toml"), bytes).unwrap();
    let descriptor = Descriptor::read_extension(&module.path("extension.toml")).unwrap();
    for api in APIS {
        let inputs = DetectInputs {
            app_dir: module.dir.path(),
            platform_dir: module.dir.path(),
            build_config_dir: module.dir.path(),
            env: &BuildEnv::from_outer([]),
            target: &Target::default(),
            exec_env: "production",
        };
        detect(&descriptor, BuildpackApi::parse(api).unwrap(), &inputs);
    }
}

/// Runs a build that finds its own outputs written already.
fn built(name: &str, bytes: &[u8]) {
    for api in APIS {
        let module = Module::new("buildpack");
        fs_err::create_dir(module.path("bin")).unwrap();
        symlink("/bin/true", module.path("bin/build")).unwrap();
        let layers = module.path("layers");
        fs_err::create_dir_all(layers.join("some")).unwrap();
        fs_err::write(layers.join("some").join(name), bytes).unwrap();
        let descriptor = Descriptor::read_buildpack(&module.path("buildpack.toml")).unwrap();
        let inputs = BuildInputs {
            app_dir: module.dir.path(),
            layers_dir: &layers,
            platform_dir: module.dir.path(),
            build_config_dir: module.dir.path(),
            target: &Target::default(),
            exec_env: "production",
        };
        let api = BuildpackApi::parse(api).unwrap();
        let plan = BuildpackPlan::default();
        let mut env = BuildEnv::from_outer([]);
        build(
            &descriptor,
            api,
            &plan,
            &inputs,
            &mut env,
            &mut std::io::sink(),
            &mut |_| (),
        )
        .ok();
    }
}

/// A folder with a module `some`.
struct Module {
    dir: TempDir,
}

impl Module {
    fn new(kind: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!("api = \"0.12\"\n[{kind}]\nid = \"some\"\nversion = \"1\"\n");
        fs_err::write(dir.path().join(format!("{kind}.toml")), text).unwrap();
        Self { dir }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }
}
