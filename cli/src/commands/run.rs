//! `slipway run`: an app image in a container, without a daemon and without root.

mod signals;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, anyhow, bail};
use layout::Image;
use layout::manifest::Platform;
use platform::files::metadata::BuildMetadata;
use platform::labels;
use sandbox::runtime::Streams;
use sandbox::{Container, Exit, Mount, Root, User};

use crate::accounts::{self, Account};
use crate::build::volume;
use crate::config::Config;
use crate::containers::{self, Machine};
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};
use crate::progress::Progress;
use crate::{rootfs, sparse};
use signals::Forwarding;

/// Where programs are if the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Start an app image
///
/// What the app writes is gone when it ends, but for volumes. The exit status is the app's.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway run oci:app
  slipway run oci:app --env PORT=8080 --volume ./data:/data
  slipway run oci:app --entrypoint worker -- --verbose")]
pub(crate) struct Args {
    /// Image: oci:DIR[:TAG], oci-archive:FILE[:TAG], or a name in the layout repo
    image: String,
    /// Process type, or a program of the image, to start instead of the default
    #[arg(long, value_name = "PROCESS")]
    entrypoint: Option<String>,
    /// Variable for the app; one without a value has its value here
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Network that the app sees
    #[arg(long, value_enum, default_value_t = Network::Host)]
    network: Network,
    /// Folder of this machine, or named volume, that the app sees; OPTIONS is ro or rw, by default rw
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// User that the app runs as, instead of the image's
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    #[command(flatten)]
    containers: containers::Flags,
    #[command(flatten)]
    registries: stores::Registries,
    /// Arguments for the process
    #[arg(last = true, value_name = "ARGS")]
    words: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Network {
    /// This machine's: the app's ports are open here
    Host,
    /// None at all
    None,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let platform = Platform::host();
    let stores = Stores::new(&config, &args.registries, None)?;
    let image = ImageName::parse(&args.image)?.open(&stores, Some(&platform))?;
    let theirs = (&image.config().os, &image.config().architecture);
    if theirs != (&platform.os, &platform.architecture) {
        bail!(
            "{} is for {}/{}, and this machine is {platform}",
            args.image,
            theirs.0,
            theirs.1
        );
    }
    let mounts = mounts(args, &config)?;
    let image = sparse::completed(image, &config.layout_repo_dir())?;
    let ready = Ready::make(args, &config, &image)?;
    let container = ready.container(args, &image, mounts)?;

    // Before the app is there to get them: none is lost, and none ends this program alone.
    let forwarding = Forwarding::begin()?;
    let streams = Streams {
        stdin: Stdio::inherit(),
        stdout: Stdio::inherit(),
        stderr: Stdio::inherit(),
    };
    let running = ready.machine.start(&container, streams);
    let running = running.with_context(|| format!("failed to start {}", args.image))?;
    forwarding.to(running.signaller());
    let status = match running.wait()? {
        Exit::Code(code) => code,
        Exit::Signal(signal) => 128 + signal,
    };
    Ok(u8::try_from(status).unwrap_or(u8::MAX).into())
}

fn mounts(args: &Args, config: &Config) -> anyhow::Result<Vec<Mount>> {
    let mut mounts = match args.network {
        Network::Host => containers::network_files(),
        Network::None => Vec::new(),
    };
    for value in &args.volume {
        // As with docker run: who names a folder wants to keep what is written to it.
        let value = match value.split(':').count() {
            2 => format!("{value}:rw"),
            _ => value.clone(),
        };
        mounts.push(volume::parse(&value, &config.volumes_dir())?);
    }
    Ok(mounts)
}

/// Where the app runs, and as whom.
struct Ready {
    machine: Machine,
    layers: Vec<PathBuf>,
    user: User,
}

impl Ready {
    /// Unpacks the image. Which ids there are depends on the user, whose name may have to be looked up in the image.
    fn make(args: &Args, config: &Config, image: &Image) -> anyhow::Result<Self> {
        let account = args.user.as_ref().unwrap_or(&image.config().config.user);
        let account = Account::parse(account);
        let guessed = account.numbers().unwrap_or_else(|| guess(image));
        let made = |user: User| {
            let machine = Machine::prepare(&args.containers, config, user)?;
            let layers = machine.unpack(image, &args.image, &mut Progress::new(false));
            let layers = layers.with_context(|| {
                let repo = config.layout_repo_dir();
                format!("looked for layers in the image and in {}", repo.display())
            })?;
            anyhow::Ok((machine, layers))
        };
        let (mut machine, mut layers) = made(guessed)?;
        let user = account.resolve(&layers)?;
        if user != guessed {
            (machine, layers) = made(user)?;
        }
        Ok(Self {
            machine,
            layers,
            user,
        })
    }

    fn container(
        &self,
        args: &Args,
        image: &Image,
        mounts: Vec<Mount>,
    ) -> anyhow::Result<Container> {
        let config = &image.config().config;
        let mut env = containers::image_env(image);
        accounts::add_home(&mut env, &self.layers, self.user.uid);
        set_default(&mut env, "PATH", || Some(PATH.into()));
        if io::stdout().is_terminal() {
            set_default(&mut env, "TERM", || environment::variable("TERM"));
        }
        for variable in &args.env {
            set(&mut env, variable)?;
        }
        let path = env.iter().find(|(name, _)| name == "PATH");
        let path = path.map(|(_, value)| value.to_string_lossy().into_owned());
        let mut words = command(args, image)?;
        let program = words.remove(0).to_string_lossy().into_owned();
        let cwd = Path::new("/").join(&config.working_dir);
        let found = rootfs::program(&self.layers, &path.unwrap_or_default(), &program);
        let found = found.ok_or_else(|| no_program(&program, image))?;
        words.insert(0, cwd.join(found).into());
        Ok(Container {
            root: Root::Layers(self.layers.clone()),
            mounts,
            user: self.user,
            capabilities: Vec::new(),
            args: words,
            env,
            cwd,
            network: match args.network {
                Network::Host => sandbox::Network::Host,
                Network::None => sandbox::Network::None,
            },
        })
    }
}

/// The user that most images for buildpacks have, and that this one may name.
fn guess(image: &Image) -> User {
    let id = |name: &str| image.config().env(name)?.parse().ok();
    User {
        uid: id("CNB_USER_ID").unwrap_or(1000),
        gid: id("CNB_GROUP_ID").unwrap_or(1000),
    }
}

/// Returns program and arguments. Arguments of the user's take the place of the image's.
fn command(args: &Args, image: &Image) -> anyhow::Result<Vec<OsString>> {
    let config = &image.config().config;
    let words = |list: &[String]| list.iter().map(OsString::from).collect::<Vec<_>>();
    let (mut command, defaults) = match &args.entrypoint {
        Some(entrypoint) => (vec![entrypoint.into()], Vec::new()),
        None => (words(&config.entrypoint), words(&config.cmd)),
    };
    if args.words.is_empty() {
        command.extend(defaults);
    } else {
        command.extend(args.words.iter().cloned());
    }
    if command.is_empty() {
        bail!(
            "{} does not say what to start\nname a program: --entrypoint PROGRAM",
            args.image
        );
    }
    Ok(command)
}

fn no_program(name: &str, image: &Image) -> anyhow::Error {
    let build = image.label(labels::BUILD_METADATA);
    let build = build.and_then(|label| BuildMetadata::from_label(label).ok());
    let processes = build.and_then(|(build, _)| build.processes);
    let types: Vec<_> = processes
        .unwrap_or_default()
        .into_iter()
        .map(|process| process.process_type)
        .collect();
    let hint = if types.is_empty() {
        String::new()
    } else {
        format!("\nits process types are: {}", types.join(", "))
    };
    anyhow!("the image has no process and no program {name}{hint}")
}

fn set_default(
    env: &mut Vec<(OsString, OsString)>,
    name: &str,
    value: impl FnOnce() -> Option<OsString>,
) {
    if env.iter().all(|(known, _)| known != name)
        && let Some(value) = value()
    {
        env.push((name.into(), value));
    }
}

/// Sets a variable as `--env` says.
fn set(env: &mut Vec<(OsString, OsString)>, text: &str) -> anyhow::Result<()> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(OsString::from(value))),
        None => (text, environment::variable(text)),
    };
    if name.is_empty() {
        bail!("invalid --env {text:?}: it has no name");
    }
    env.retain(|(known, _)| known != name);
    env.extend(value.map(|value| (name.into(), value)));
    Ok(())
}
