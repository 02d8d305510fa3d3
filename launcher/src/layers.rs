//! The layer directories of an image at launch, in the order in which they count (BPL-021, BPL-023, LCH-015).
//!
//! Every real directory is a layer: layer TOML files are not read.

use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};
use crate::files::{self, Entry};
use crate::metadata::Buildpack;

/// The layers of all buildpacks, seen by a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layers<'a> {
    root: &'a Path,
    buildpacks: &'a [Buildpack],
    process_type: Option<&'a str>,
}

impl<'a> Layers<'a> {
    pub(crate) fn new(
        root: &'a Path,
        buildpacks: &'a [Buildpack],
        process_type: Option<&'a str>,
    ) -> Self {
        Self {
            root,
            buildpacks,
            process_type,
        }
    }

    /// Returns the layer directories of each buildpack that has any.
    pub(crate) fn by_buildpack(self) -> impl Iterator<Item = Result<Vec<PathBuf>>> {
        self.buildpacks.iter().map(move |buildpack| {
            let dir = files::clean(&self.root.join(buildpack.id.replace('/', "_")));
            match files::find(&dir).context("find buildpack directory")? {
                Some(_) => paths(&dir, |entry| entry.is_dir),
                None => Ok(Vec::new()),
            }
        })
    }

    /// Returns the directories of one kind that a layer may have: for every process, then for this type of process.
    pub(crate) fn kind(self, layer: &Path, kind: &str) -> impl Iterator<Item = PathBuf> {
        let general = layer.join(kind);
        let typed = self
            .process_type
            .map(|process_type| general.join(process_type));
        std::iter::once(general).chain(typed)
    }
}

/// Returns what is in a directory but for directories, in byte order of the names.
pub(crate) fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    paths(dir, |entry| !entry.is_dir)
}

fn paths(dir: &Path, keep: impl Fn(&Entry) -> bool) -> Result<Vec<PathBuf>> {
    let entries = files::entries(dir).context(format_args!(
        "failed to list files in dir '{}'",
        dir.display()
    ))?;
    Ok(entries
        .into_iter()
        .filter(keep)
        .map(|entry| entry.path)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{BuildpackApi, Version};

    fn buildpack(id: &str) -> Buildpack {
        let version = Version::parse("0.10").unwrap();
        Buildpack {
            id: id.into(),
            api: BuildpackApi::supported(version).unwrap(),
        }
    }

    #[test]
    fn layers_are_the_real_directories_of_buildpacks_in_order() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for dir in [
            "acme_two/z",
            "acme_one/node-modules",
            "acme_one/node",
            "acme_one/B",
            "unlisted/x",
        ] {
            fs_err::create_dir_all(root.join(dir)).unwrap();
        }
        fs_err::write(root.join("acme_one/node.toml"), "").unwrap();
        fs_err::os::unix::fs::symlink(root.join("unlisted"), root.join("acme_one/link")).unwrap();
        let buildpacks = ["acme/two", "acme/missing", "acme/one"].map(buildpack);
        let layers: Vec<_> = Layers::new(root, &buildpacks, None)
            .by_buildpack()
            .map(Result::unwrap)
            .collect();
        let paths = |names: &[&str]| names.iter().map(|name| root.join(name)).collect::<Vec<_>>();
        assert_eq!(
            layers,
            [
                paths(&["acme_two/z"]),
                paths(&[]),
                paths(&["acme_one/B", "acme_one/node", "acme_one/node-modules"]),
            ]
        );
    }

    #[test]
    fn the_directory_of_the_type_follows_the_general_one() {
        for (process_type, expected) in [
            (None, &["/l/exec.d"][..]),
            (Some("web"), &["/l/exec.d", "/l/exec.d/web"]),
        ] {
            let layers = Layers::new(Path::new("/"), &[], process_type);
            let dirs: Vec<_> = layers.kind(Path::new("/l"), "exec.d").collect();
            assert_eq!(dirs, expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_listing_that_fails_names_the_directory() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let error = files_in(temp.path()).unwrap_err().to_string();
        let path = temp.path().display();
        assert_eq!(
            error,
            format!("failed to list files in dir '{path}': open {path}: not a directory")
        );
    }
}
