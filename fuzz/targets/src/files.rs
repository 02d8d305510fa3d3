//! Files and labels that platforms and their users write.

use platform::api::PlatformApi;
use platform::files::{
    analyzed, group, lifecycle, metadata, order, plan, project_metadata, run, system,
};

use crate::place::with_file;

pub(crate) fn analyzed(bytes: &[u8]) {
    with_file("analyzed.toml", bytes, |path| analyzed::read(path).ok());
}

pub(crate) fn builder(bytes: &[u8]) {
    with_file("builder.toml", bytes, |path| {
        distribution::builder::Config::read(path).ok()
    });
}

pub(crate) fn env_file(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        project::variables::parse_file(text, &|_| None).ok();
    }
}

pub(crate) fn group(bytes: &[u8]) {
    with_file("group.toml", bytes, |path| group::read(path).ok());
}

pub(crate) fn lifecycle(bytes: &[u8]) {
    with_file("lifecycle.toml", bytes, |path| lifecycle::read(path).ok());
}

/// JSON in the labels of images.
pub(crate) fn labels(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    metadata::BuildMetadata::from_label(text).ok();
    analyzed::LayersMetadata::from_label(text).ok();
}

pub(crate) fn metadata(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    fs_err::create_dir(dir.path().join("config")).unwrap();
    fs_err::write(dir.path().join("config/metadata.toml"), bytes).unwrap();
    metadata::read(dir.path()).ok();
}

pub(crate) fn order(bytes: &[u8]) {
    with_file("order.toml", bytes, |path| order::read(path).ok());
}

pub(crate) fn package(bytes: &[u8]) {
    with_file("package.toml", bytes, |path| {
        distribution::package::Config::read(path).ok()
    });
}

pub(crate) fn plan(bytes: &[u8]) {
    with_file("plan.toml", bytes, |path| plan::read(path).ok());
}

pub(crate) fn project(bytes: &[u8]) {
    with_file("project.toml", bytes, |path| {
        project::Descriptor::read(path).ok()
    });
}

pub(crate) fn project_metadata(bytes: &[u8]) {
    with_file("project-metadata.toml", bytes, |path| {
        project_metadata::read(path).ok()
    });
}

pub(crate) fn run(bytes: &[u8]) {
    with_file("run.toml", bytes, |path| run::read_run(path).ok());
}

/// Where there is no run.toml, an older Platform API reads stack.toml.
pub(crate) fn stack(bytes: &[u8]) {
    let api = PlatformApi::negotiate(Some("0.11")).unwrap();
    with_file("stack.toml", bytes, |path| {
        run::read(api, &path.with_file_name("none"), path).ok()
    });
}

pub(crate) fn system(bytes: &[u8]) {
    with_file("system.toml", bytes, |path| system::read(path).ok());
}
