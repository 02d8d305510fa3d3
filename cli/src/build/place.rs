//! Where the phases of a build run: in containers, or right here.
//!
//! Inside somebody's container nothing may let us make another one, as under the default profiles of Docker and of most
//! Kubernetes clusters. If that container is made of the very builder, its files are where the phases look for them, and
//! they run in place, as they do on those platforms.

use std::io::PipeWriter;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use distribution::module::{Kind, path_in_image};
use fs_err as fs;
use platform::{files, privileges};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use sandbox::{Container, Exit, Mount, Network, Running, runtime};

use super::phases::IMAGES;
use super::request::Request;
use super::stage;
use crate::containers::Machine;

/// Where phases run.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// In a container each.
    Containers(&'a Machine),
    /// As processes like this one, with this folder for what containers have by mounts.
    Here(PathBuf),
}

/// A phase that was started.
#[derive(Debug)]
pub(crate) enum Process {
    /// In a container.
    Contained(Running),
    /// Here.
    Child(Child),
}

/// What sends a phase a signal.
#[derive(Clone, Debug)]
pub(crate) enum Signaller {
    /// To a container.
    Contained(runtime::Signaller),
    /// To a process group.
    Child(u32),
}

/// Fails unless this container is made of the builder and nothing is asked for that only a container of our own gives.
pub(super) fn check_here(request: &Request<'_>, brings_modules: bool) -> anyhow::Result<()> {
    let builder = &request.builder;
    let mut modules = builder.buildpack_layers.iter().flat_map(|(id, versions)| {
        let versions = versions.keys();
        versions.map(|version| path_in_image(Kind::Buildpack, id, version))
    });
    let is_order = files::order::read(Path::new("/cnb/order.toml")).is_ok();
    if !is_order || builder.buildpack_layers.is_empty() || !modules.all(|it| it.is_dir()) {
        bail!("this is no container of the builder either, in which the phases could run in place");
    }
    if !request.mounts.is_empty() || brings_modules {
        bail!("in place there are neither volumes nor buildpacks that the builder does not have");
    }
    if matches!(request.args.network.into(), Network::None) {
        bail!("in place the build has the network that this container has");
    }
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    let user = request.user;
    if !uid.is_root() && (uid.as_raw(), gid.as_raw()) != (user.uid, user.gid) {
        bail!(
            "in place the build runs as the builder's user {}:{}, who this is not\nstart this container as that user, or as root",
            user.uid,
            user.gid
        );
    }
    Ok(())
}

impl Place<'_> {
    /// Starts a phase; what it prints goes to `output`.
    pub(crate) fn start(
        &self,
        container: &Container,
        output: PipeWriter,
    ) -> anyhow::Result<Process> {
        let (stdout, stderr) = (Stdio::from(output.try_clone()?), Stdio::from(output));
        match self {
            Self::Containers(machine) => {
                let streams = runtime::Streams {
                    stdin: Stdio::null(),
                    stdout,
                    stderr,
                };
                Ok(Process::Contained(machine.start(container, streams)?))
            }
            Self::Here(dir) => {
                let mut command = here(container, dir)?;
                command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
                Ok(Process::Child(
                    command.spawn().context("failed to start it")?,
                ))
            }
        }
    }
}

impl Process {
    /// Returns what sends it signals.
    pub(crate) fn signaller(&self) -> Signaller {
        match self {
            Self::Contained(running) => Signaller::Contained(running.signaller()),
            Self::Child(child) => Signaller::Child(child.id()),
        }
    }

    /// Waits until it has ended, and leaves its number its own.
    pub(crate) fn wait_for_end(&self) -> anyhow::Result<()> {
        if let Self::Child(child) = self {
            let id = WaitId::Pid(Pid::from_child(child));
            rustix::process::waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        }
        Ok(())
    }

    /// Returns how it ended.
    pub(crate) fn wait(self) -> anyhow::Result<Exit> {
        match self {
            Self::Contained(running) => Ok(running.wait()?),
            Self::Child(mut child) => {
                let status = child.wait()?;
                let signal = status.signal().map(Exit::Signal);
                Ok(signal.unwrap_or(Exit::Code(status.code().unwrap_or(-1))))
            }
        }
    }
}

impl Signaller {
    /// Sends `signal`; nothing if there is nobody any more.
    pub(crate) fn send(&self, signal: i32) {
        match self {
            Self::Contained(signaller) => signaller.send(signal),
            Self::Child(id) => {
                let group = i32::try_from(*id).ok().and_then(Pid::from_raw);
                if let (Some(group), Some(signal)) = (group, Signal::from_named_raw(signal)) {
                    rustix::process::kill_process_group(group, signal).ok();
                }
            }
        }
    }
}

/// Makes a command of a container: what it would have by mounts, the phase is told by variables and flags.
fn here(container: &Container, dir: &Path) -> anyhow::Result<Command> {
    let name = &container.args[0];
    let program = source_of(container, Path::new(name)).unwrap_or(Path::new(name));
    let mut command = Command::new(program);
    command
        .arg0(name)
        .process_group(0)
        .current_dir(&container.cwd);
    command
        .env_clear()
        .envs(container.env.iter().map(|(name, value)| (name, value)));
    if let Some(launcher) = source_of(container, Path::new("/cnb/lifecycle/launcher"))
        && Path::new(name).ends_with("exporter")
    {
        command.arg("-launcher").arg(launcher);
    }
    for arg in &container.args[1..] {
        match source_of(container, Path::new(arg)) {
            Some(source) if arg == "/cache" => command.arg(source),
            _ => command.arg(arg),
        };
    }
    for (variable, target) in [
        ("CNB_PLATFORM_DIR", "/platform"),
        ("CNB_ORDER_PATH", "/cnb/order.toml"),
        ("CNB_RUN_PATH", "/cnb/run.toml"),
        ("CNB_SYSTEM_PATH", "/cnb/system.toml"),
    ] {
        if let Some(source) = source_of(container, Path::new(target)) {
            command.env(variable, source);
        }
    }
    let images = dir.join("images");
    link_images(container, &images)?;
    command.env("CNB_LAYOUT_DIR", &images);
    if privileges::is_root() && container.user.uid != 0 {
        command.uid(container.user.uid).gid(container.user.gid);
    }
    Ok(command)
}

/// Returns what of this machine a container would see at `target`.
fn source_of<'a>(container: &'a Container, target: &Path) -> Option<&'a Path> {
    let mut mounts = container.mounts.iter().rev();
    mounts.find_map(|mount| match mount {
        Mount::Bind {
            source, target: at, ..
        } if at == target => Some(source.as_path()),
        _ => None,
    })
}

/// Each image at the place that its name stands for, by a link.
fn link_images(container: &Container, images: &Path) -> anyhow::Result<()> {
    if images.exists() {
        stage::remove(images)?;
    }
    fs::create_dir_all(images)?;
    for mount in &container.mounts {
        let Mount::Bind { source, target, .. } = mount else {
            continue;
        };
        if let Ok(inner) = target.strip_prefix(IMAGES) {
            let link = images.join(inner);
            fs::create_dir_all(link.parent().unwrap_or(images))?;
            fs::os::unix::fs::symlink(source, link)?;
        }
    }
    Ok(())
}
