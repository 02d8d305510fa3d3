//! Our own lifecycle: where its programs are on this machine, and how they get into a container.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sandbox::Mount;

use crate::containers::read_only;
use crate::environment;

/// Where a builder has its lifecycle.
const INSIDE: &str = "/cnb/lifecycle";

/// Names that the one program `lifecycle` is called by.
const PHASES: [&str; 7] = [
    "analyzer", "detector", "restorer", "builder", "exporter", "creator", "rebaser",
];

/// What may lie beside the programs and is wanted there: pack's and the exporter's names.
const BESIDE: [&str; 7] = [
    "lifecycle.toml",
    "lifecycle.sbom.cdx.json",
    "lifecycle.sbom.spdx.json",
    "lifecycle.sbom.syft.json",
    "launcher.sbom.cdx.json",
    "launcher.sbom.spdx.json",
    "launcher.sbom.syft.json",
];

/// A folder with the programs `lifecycle` and `launcher`.
#[derive(Clone, Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    /// Finds them: in `$SLIPWAY_LIFECYCLE_DIR`, else in a folder `lifecycle` beside this program, else beside it.
    pub(crate) fn find() -> anyhow::Result<Self> {
        if let Some(dir) = environment::variable("SLIPWAY_LIFECYCLE_DIR") {
            return Self::at(Path::new(&dir)).context("SLIPWAY_LIFECYCLE_DIR is wrong");
        }
        let own = std::env::current_exe().context("failed to find out where this program is")?;
        let beside = own.parent().unwrap_or(Path::new("/"));
        let places = [beside.join("lifecycle"), beside.to_owned()];
        match places.iter().find_map(|place| Self::at(place).ok()) {
            Some(programs) => Ok(programs),
            None => bail!(
                "the programs lifecycle and launcher are not beside slipway in {}\nunpack the whole release, or set SLIPWAY_LIFECYCLE_DIR to their folder",
                beside.display()
            ),
        }
    }

    fn at(dir: &Path) -> anyhow::Result<Self> {
        for name in ["lifecycle", "launcher"] {
            if !dir.join(name).is_file() {
                bail!("there is no program {name} in {}", dir.display());
            }
        }
        Ok(Self(std::path::absolute(dir)?))
    }

    /// Returns the folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// Returns mounts that put the whole lifecycle in the place of the one that an image may have.
    pub(crate) fn all(&self) -> Vec<Mount> {
        let mut mounts = vec![Mount::Tmpfs {
            target: INSIDE.into(),
            mode: 0o755,
        }];
        let lifecycle = self.0.join("lifecycle");
        for name in PHASES.iter().chain(&["lifecycle"]) {
            mounts.push(read_only(&lifecycle, &Path::new(INSIDE).join(name)));
        }
        mounts.extend(self.beside());
        mounts
    }

    /// Returns mounts for one phase in a container that has nothing else.
    pub(crate) fn one(&self, phase: &str) -> Vec<Mount> {
        let program = Path::new(INSIDE).join(phase);
        let mut mounts = vec![read_only(&self.0.join("lifecycle"), &program)];
        mounts.extend(self.beside());
        mounts
    }

    fn beside(&self) -> impl Iterator<Item = Mount> {
        let there = ["launcher"].into_iter().chain(BESIDE);
        let there = there.filter(|name| self.0.join(name).is_file());
        there.map(|name| read_only(&self.0.join(name), &Path::new(INSIDE).join(name)))
    }
}
