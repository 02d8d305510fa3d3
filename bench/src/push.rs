//! Pushing an image of a layout to a registry on this machine, against other people's clients that do the same.

use std::path::Path;
use std::process::Command;

use tests::program::ours;
use tests::registry::Registry;

use crate::memory::Memory;
use crate::stopwatch::{Figures, measured};

/// One round of pushes, each to a repository that nobody pushed to before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pushes {
    pub(crate) slipway: Figures,
    pub(crate) skopeo: Figures,
    pub(crate) crane: Figures,
}

impl Pushes {
    /// Pushes the image in `layout` to a registry of its own with each client, in turn.
    pub(crate) fn measure(layout: &Path, memory: &mut Memory) -> anyhow::Result<Self> {
        // What a client remembers of an earlier push is in its home.
        let home = tempfile::tempdir()?;
        let layout = layout.display();
        let mut push = |program: &Path, args: &dyn Fn(&str) -> Vec<String>| {
            let registry = Registry::start();
            let mut command = Command::new(program);
            command.args(args(&registry.name("bench/app:latest")));
            command
                .env("HOME", home.path())
                .env("XDG_DATA_HOME", home.path());
            memory.fill()?;
            measured(&command)
        };
        let words = |words: &[&str]| words.iter().map(|&it| it.to_owned()).collect();
        let source = format!("oci:{layout}");
        Ok(Self {
            slipway: push(&ours("slipway"), &|to| {
                words(&["layout", "copy", &source, &format!("docker://{to}")])
            })?,
            skopeo: push(Path::new("skopeo"), &|to| {
                let to = format!("docker://{to}");
                words(&["copy", "-q", "--dest-tls-verify=false", &source, &to])
            })?,
            crane: push(Path::new("crane"), &|to| {
                words(&["push", "--insecure", &layout.to_string(), to])
            })?,
        })
    }
}
