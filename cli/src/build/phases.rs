//! The five phases, each in a container of its own, as platforms call them (`platform.md`).
//!
//! | phase | root | why |
//! |---|---|---|
//! | analyzer, restorer, exporter | nothing but mounts | they need nothing of the builder, and it shall not get at images |
//! | detector, builder | the builder's layers | they run buildpacks, as the build's user, without any capability |

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use sandbox::{Capability, Container, Exit, Mount, Network, Root, User};

use super::interruption::Interruption;
use super::lines::Lines;
use super::place::Place;
use super::programs::Programs;

/// Where images are in the containers of phases that read or write them.
pub(crate) const IMAGES: &str = "/layout-repo";

/// A phase of the lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Looks at run image and previous image.
    Analyzer,
    /// Chooses buildpacks.
    Detector,
    /// Brings back layers.
    Restorer,
    /// Runs buildpacks.
    Builder,
    /// Writes the image.
    Exporter,
}

impl Phase {
    /// Returns the name of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Analyzer => "analyzer",
            Self::Detector => "detector",
            Self::Restorer => "restorer",
            Self::Builder => "builder",
            Self::Exporter => "exporter",
        }
    }

    fn heading(self) -> &'static str {
        match self {
            Self::Analyzer => "analyzing",
            Self::Detector => "detecting",
            Self::Restorer => "restoring",
            Self::Builder => "building",
            Self::Exporter => "exporting",
        }
    }

    fn runs_buildpacks(self) -> bool {
        matches!(self, Self::Detector | Self::Builder)
    }
}

/// What the containers of one build have in common.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    /// Where phases run.
    pub(crate) place: Place<'a>,
    /// True if the phases that do not run buildpacks begin as root.
    pub(crate) is_root: bool,
    /// Our lifecycle.
    pub(crate) programs: &'a Programs,
    /// True if image extensions take part in detection.
    pub(crate) has_extensions: bool,
    /// True: detector and builder are the builder's own.
    pub(crate) builders_lifecycle: bool,
    /// Unpacked layers of the builder.
    pub(crate) builder: Vec<PathBuf>,
    /// Variables of the builder, HOME among them.
    pub(crate) builder_env: Vec<(OsString, OsString)>,
    /// Who runs buildpacks.
    pub(crate) user: User,
    /// Platform API of all phases.
    pub(crate) api: String,
    /// Further variables of all phases, such as `CNB_EXEC_ENV`.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Where the app is inside.
    pub(crate) workspace: PathBuf,
    /// Mounts of all phases: layers, app.
    pub(crate) mounts: Vec<Mount>,
    /// Mounts of the phases that run buildpacks: order, buildpacks, volumes.
    pub(crate) build_mounts: Vec<Mount>,
    /// Mounts of the others: images, the cache.
    pub(crate) image_mounts: Vec<Mount>,
    /// The network that buildpacks see.
    pub(crate) network: Network,
}

impl Site<'_> {
    /// Runs a phase to its end.
    pub(crate) fn run(
        &self,
        phase: Phase,
        args: &[String],
        lines: &mut Lines<impl Write>,
        interruption: &Interruption,
    ) -> anyhow::Result<()> {
        interruption.check()?;
        lines.header(phase.heading());
        let container = self.container(phase, args, lines);
        // One pipe for both, so that lines stay in their order.
        let (reader, writer) = std::io::pipe()?;
        let running = self.place.start(&container, writer);
        let running = running.with_context(|| format!("failed to start the {}", phase.name()))?;
        interruption.send_to(Some(running.signaller()));
        let last = lines.pass_on(phase.name(), reader)?;
        running.wait_for_end()?;
        // From here on its number may be another process's.
        interruption.send_to(None);
        let exit = running.wait()?;
        interruption.check()?;
        match exit {
            Exit::Code(0) => Ok(()),
            exit => Err(failed(phase, exit, &last)),
        }
    }

    fn container(&self, phase: Phase, args: &[String], lines: &Lines<impl Write>) -> Container {
        let style = lines.style();
        let mut command = vec![format!("/cnb/lifecycle/{}", phase.name())];
        if style.verbose {
            command.extend(["-log-level", "debug"].map(str::to_owned));
        }
        if !style.color {
            command.push("-no-color".to_owned());
        }
        command.extend_from_slice(args);
        let mut mounts = self.mounts.clone();
        let mut env = self.env.clone();
        let mut set = |name: &str, value: &str| env.push((name.into(), value.into()));
        set("CNB_PLATFORM_API", &self.api);
        set("CNB_USER_ID", &self.user.uid.to_string());
        set("CNB_GROUP_ID", &self.user.gid.to_string());
        let mut container = Container {
            root: Root::Empty,
            mounts: Vec::new(),
            user: self.user,
            capabilities: Vec::new(),
            args: command.into_iter().map(OsString::from).collect(),
            env: Vec::new(),
            cwd: "/layers".into(),
            network: Network::None,
        };
        if phase.runs_buildpacks() {
            container.root = Root::Layers(self.builder.clone());
            container.network = self.network;
            env.splice(0..0, self.builder_env.iter().cloned());
            if !self.builders_lifecycle {
                mounts.extend(self.programs.all());
            }
            mounts.extend(self.build_mounts.iter().cloned());
        } else {
            set("CNB_USE_LAYOUT", "true");
            set("CNB_LAYOUT_DIR", IMAGES);
            // Who calls slipway has asked for it.
            set("CNB_EXPERIMENTAL_MODE", "quiet");
            mounts.extend(self.programs.one(phase.name()));
            mounts.extend(self.image_mounts.iter().cloned());
            if self.is_root {
                // Images and caches may be root's; the phase becomes the build's user by itself.
                container.user = User { uid: 0, gid: 0 };
                container.capabilities = vec![
                    Capability::Chown,
                    Capability::DacOverride,
                    Capability::Fowner,
                    Capability::SetGid,
                    Capability::SetUid,
                ];
            }
        }
        container.env = env;
        container.mounts = mounts;
        container
    }
}

/// Says what an exit code means, and what the phase itself said last: it is the cause.
fn failed(phase: Phase, exit: Exit, last: &[String]) -> anyhow::Error {
    let said = last.iter().rev().find(|line| line.contains("ERROR: "));
    let said = said.map(|line| line.split_once("ERROR: ").map_or(line.as_str(), |it| it.1));
    let text = match exit {
        Exit::Signal(signal) => {
            return anyhow!("the {} was ended by signal {signal}", phase.name());
        }
        Exit::Code(code) => match code {
            11 => "it does not know the Platform API that slipway speaks (exit code 11)\nleave out --lifecycle builder, so that slipway's own lifecycle is used".to_owned(),
            20 => "no group of buildpacks takes this app (exit code 20)\nis --path the right folder, and the builder one for such apps?".to_owned(),
            21 => "no group of buildpacks takes this app, and at least one of them failed (exit code 21)\nwhat it said is above".to_owned(),
            51 => "a buildpack failed (exit code 51)\nwhat it said is above".to_owned(),
            code => format!("exit code {code}"),
        },
    };
    let error = anyhow!("{text}");
    let error = match said {
        // The buildpacks' own words are above; these codes say it better than the phase's last line.
        Some(said) if !matches!(exit, Exit::Code(11 | 20 | 21 | 51)) => {
            anyhow!("{said} ({text})")
        }
        _ => error,
    };
    error.context(format!("the {} failed", phase.name()))
}
