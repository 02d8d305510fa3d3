//! The folder of one build: what the phases share while it runs, gone when it ends.
//!
//! ```text
//! <stage>/layers/      /layers: what buildpacks made, and the phases' files
//! <stage>/workspace/   /workspace: a copy of the app
//! <stage>/platform/    /platform: variables and bindings
//! <stage>/config/      order.toml, run.toml
//! <stage>/images/      the run image without its layers, for a sparse build
//! <stage>/modules/     buildpacks that the builder does not have
//! ```

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fs_err as fs;
use sandbox::User;

const PREFIX: &str = "build-";

/// A build's own folder; removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    dir: PathBuf,
    layers: PathBuf,
    workspace: PathBuf,
    /// Folders that are not in `dir`, and are left empty.
    foreign: Vec<PathBuf>,
    _lock: fs::File,
}

impl Stage {
    /// Makes one in `builds`, after removing those of killed builds.
    pub(crate) fn new(builds: &Path) -> anyhow::Result<Self> {
        // Held until the new folder has its lock, or another build would take it for one that was left.
        let guard = fs::File::open(builds)?;
        guard.lock()?;
        sweep(builds);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(builds)
            .with_context(|| format!("failed to make a folder in {}", builds.display()))?;
        let lock = fs::File::open(dir.path())?;
        lock.lock()?;
        drop(guard);
        let dir = dir.keep();
        let stage = Self {
            layers: dir.join("layers"),
            workspace: dir.join("workspace"),
            dir,
            foreign: Vec::new(),
            _lock: lock,
        };
        for name in [
            "layers",
            "workspace",
            "platform",
            "config",
            "images",
            "modules",
        ] {
            stage.make(name)?;
        }
        Ok(stage)
    }

    /// Takes folders of this very container for layers and app, which a build in place works in; `app` may be the latter
    /// already.
    pub(crate) fn in_place(mut self, workspace: &Path, app: &Path) -> anyhow::Result<Self> {
        let layers = Path::new("/layers");
        workspace.clone_into(&mut self.workspace);
        let is_app = self.works_on(app);
        for dir in [layers, workspace] {
            fs::create_dir_all(dir)?;
            let is_empty = fs::read_dir(dir)?.next().is_none();
            if !(is_empty || is_app && dir == workspace) {
                bail!(
                    "a build in place works in {}, which is not empty\nempty it, or start a fresh container",
                    dir.display()
                );
            }
        }
        self.foreign.push(layers.to_owned());
        if !is_app {
            self.foreign.push(workspace.to_owned());
        }
        layers.clone_into(&mut self.layers);
        Ok(self)
    }

    /// Returns whether the app is built where it is.
    pub(crate) fn works_on(&self, app: &Path) -> bool {
        let real = |path: &Path| fs::canonicalize(path).ok();
        real(app).is_some() && real(app) == real(&self.workspace)
    }

    /// Returns the folder of what buildpacks make.
    pub(crate) fn layers(&self) -> &Path {
        &self.layers
    }

    /// Returns the folder of the app.
    pub(crate) fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// Returns the path of one of its other folders or files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes a folder that everybody inside may look into.
    pub(crate) fn make(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    /// Empties one of its folders.
    pub(crate) fn renew(&self, name: &str) -> anyhow::Result<()> {
        remove(&self.path(name))?;
        self.make(name)?;
        Ok(())
    }

    /// Makes the build's user own what the phases write to.
    pub(crate) fn hand_over(&self, user: User) -> anyhow::Result<()> {
        let dirs = [Some(self.layers()), Some(self.workspace())];
        platform::privileges::own(user.uid, user.gid, &dirs).map_err(|failure| failure.error)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The next build tries again.
        remove(&self.dir).ok();
        for dir in &self.foreign {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                remove(&entry.path()).ok();
            }
        }
    }
}

/// Removes what killed builds left: nobody holds its lock.
fn sweep(builds: &Path) {
    let Ok(entries) = fs::read_dir(builds) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        let lock = fs::File::open(entry.path());
        if is_ours && lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            // Perhaps somebody else's build.
            remove(&entry.path()).ok();
        }
    }
}

/// Removes a file or a tree, folders that nobody may write to included: tools keep their downloads like that.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    layout::layer::remove(path).map_err(|error| match error {
        layout::layer::Error::Io(error) => error,
        error => io::Error::other(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_goes_with_its_build_and_one_of_a_killed_build_with_the_next() {
        let builds = tempfile::tempdir().unwrap();
        let left = builds.path().join("build-left");
        let locked = left.join("layers/locked");
        fs::create_dir_all(locked.join("in")).unwrap();
        fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
        fs::create_dir(builds.path().join("other")).unwrap();

        let stage = Stage::new(builds.path()).unwrap();
        assert!(!left.exists());
        assert!(stage.layers().is_dir());
        let second = Stage::new(builds.path()).unwrap();
        assert!(
            stage.layers().is_dir(),
            "a build that goes on keeps its folder"
        );

        drop((stage, second));
        let names = fs::read_dir(builds.path()).unwrap();
        let names: Vec<_> = names.map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names, ["other"]);
    }

    #[test]
    fn builds_that_begin_at_once_leave_each_other_s_folders_alone() {
        let builds = tempfile::tempdir().unwrap();
        let begin = || {
            for _ in 0..50 {
                let stage = Stage::new(builds.path()).unwrap();
                assert!(stage.layers().is_dir());
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(begin);
            }
        });
        assert_eq!(fs::read_dir(builds.path()).unwrap().count(), 0);
    }
}
