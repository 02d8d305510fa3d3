//! What every command that starts containers shares: the way that is open here, who makes the container, and where on
//! disk unpacked layers and the runs' own files are.
//!
//! ```text
//! <layout repo>/.slipway/layers/   layers, unpacked (sandbox::unpacked)
//! <layout repo>/.slipway/runs/     what a container needs while it runs
//! <layout repo>/.slipway/builds/   what a build needs while it runs
//! <layout repo>/.slipway/pulls/    layers on their way from a registry, whole or in part (images::pull)
//! ```

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use layout::Image;
use sandbox::{Container, Mount, Running, Runtime, Unpacked, User, Way, unpacked};

use crate::config::Config;
use crate::environment;
use crate::progress::Progress;

/// Flags of every command that starts containers.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
    /// OCI runtime that makes the containers: runc, crun, or a path; by default slipway does it itself
    #[arg(long, value_name = "PROGRAM")]
    runtime: Option<String>,
}

/// Where containers are made, and how.
#[derive(Debug)]
pub(crate) struct Machine {
    way: Way,
    runtime: Runtime,
    state: PathBuf,
    /// Holds what it has returned: nobody removes a layer that a container of this machine uses.
    layers: Unpacked,
}

impl Machine {
    /// Finds the way for containers that run as `user`, and makes the folders.
    pub(crate) fn prepare(flags: &Flags, config: &Config, user: User) -> anyhow::Result<Self> {
        let way = Way::find(user)?;
        let runtime = match &flags.runtime {
            None => Runtime::Own,
            Some(name) => Runtime::Program(program(name)?),
        };
        let state = state_dir(config)?;
        Ok(Self {
            way,
            runtime,
            layers: Unpacked::at(state.join("layers")),
            state,
        })
    }

    /// Returns the way that is open.
    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// Returns the folders of an image's layers, unpacked if they were not yet.
    pub(crate) fn unpack(
        &self,
        image: &Image,
        what: &str,
        progress: &mut Progress,
    ) -> anyhow::Result<Vec<PathBuf>> {
        let mut report = |event: unpacked::Progress| {
            let unpacked::Progress::Begin { number, of, .. } = event;
            progress.step(number, of, &format!("Unpacking {what}"));
        };
        self.layers
            .layers(image, &self.way, &mut report)
            .with_context(|| format!("failed to unpack {what}"))
    }

    /// Starts a container.
    pub(crate) fn start(
        &self,
        container: &Container,
        streams: sandbox::runtime::Streams,
    ) -> anyhow::Result<Running> {
        let scratch = self.state.join("runs");
        Ok(self
            .runtime
            .start(&self.way, container, &scratch, streams)?)
    }
}

/// Makes and returns the folder of our own below the layout repo.
pub(crate) fn state_dir(config: &Config) -> anyhow::Result<PathBuf> {
    let repo = config.layout_repo_dir();
    let state = repo.join(".slipway");
    make_state(&state).with_context(|| {
        format!(
            "failed to write to the layout repo {}\nset another folder with: slipway config layout-repo-dir DIR",
            repo.display()
        )
    })?;
    Ok(state)
}

/// Nobody else may look in: what builds leave there belongs to ids that other people of this machine may have.
fn make_state(state: &Path) -> std::io::Result<()> {
    fs_err::create_dir_all(state)?;
    fs_err::set_permissions(state, std::fs::Permissions::from_mode(0o700))?;
    for name in ["layers", "runs", "builds", "pulls"] {
        fs_err::create_dir_all(state.join(name))?;
    }
    Ok(())
}

/// Returns what of this machine a container needs to reach its network by name.
pub(crate) fn network_files() -> Vec<Mount> {
    let files = ["/etc/resolv.conf", "/etc/hosts"].map(PathBuf::from);
    let there = files.into_iter().filter(|file| file.exists());
    there.map(|file| read_only(&file, &file)).collect()
}

/// Returns a bind mount that nothing can be written through.
pub(crate) fn read_only(source: &Path, target: &Path) -> Mount {
    Mount::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only: true,
    }
}

/// Returns a bind mount that can be written through.
pub(crate) fn writable(source: &Path, target: &Path) -> Mount {
    Mount::Bind {
        source: source.to_owned(),
        target: target.to_owned(),
        read_only: false,
    }
}

/// Returns the variables that an image sets, in its order.
pub(crate) fn image_env(image: &Image) -> Vec<(OsString, OsString)> {
    let entries = image.config().config.env.iter();
    entries
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Finds a runtime on PATH, or by its own path.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    if name.contains('/') {
        let path = PathBuf::from(name);
        if !path.is_file() {
            bail!("there is no runtime {name}");
        }
        return Ok(std::path::absolute(path)?);
    }
    let path = environment::variable("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain([
        PathBuf::from("/usr/sbin"),
        PathBuf::from("/sbin"),
        PathBuf::from("/usr/local/sbin"),
    ]);
    places
        .map(|dir| dir.join(name))
        .find(|place| place.is_file())
        .ok_or_else(|| {
            anyhow!("there is no program {name} on PATH\ninstall it, or leave out --runtime")
        })
}
