//! Where images come from and go to beside layouts: registries and a daemon, with what commands and settings say of them.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::Context as _;
use daemon::Engine;
use layout::Reference;
use registry::{Client, Keychain, Options, Trust, keychain};

use crate::config::{Config, PullPolicy};
use crate::environment::variable;
use crate::progress::Pushes;

/// Flags of every command that may speak to a registry.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Registries {
    /// Registry that has no TLS, or a certificate that nobody vouches for; may be repeated
    #[arg(long, value_name = "HOST[:PORT]")]
    insecure_registry: Vec<String>,
}

impl Registries {
    /// Returns the same, with one more registry.
    pub(crate) fn and_insecure(&self, registry: &str) -> Self {
        let mut all = self.clone();
        all.insecure_registry.push(registry.to_owned());
        all
    }
}

/// The stores of one command. Nothing is connected to before an image is asked for.
#[derive(Debug)]
pub(crate) struct Stores<'a> {
    config: &'a Config,
    policy: PullPolicy,
    client: Client,
    docker_host: OsString,
    quiet: bool,
}

impl<'a> Stores<'a> {
    /// Returns those that settings and flags describe; `policy` goes before the one that is set.
    pub(crate) fn new(
        config: &'a Config,
        flags: &Registries,
        policy: Option<PullPolicy>,
    ) -> anyhow::Result<Self> {
        Self::quiet(config, flags, policy, false)
    }

    /// Returns the same, which say nothing while somebody waits if they are `quiet`.
    pub(crate) fn quiet(
        config: &'a Config,
        flags: &Registries,
        policy: Option<PullPolicy>,
        quiet: bool,
    ) -> anyhow::Result<Self> {
        let insecure = config
            .insecure_registries()
            .iter()
            .chain(&flags.insecure_registry);
        let options = Options {
            keychain: Keychain::new(None, keychain::config_file(variable))?,
            insecure: insecure.cloned().collect(),
            trust: Trust::of(variable),
            watch: Arc::new(Pushes { quiet }),
            ..Options::default()
        };
        Ok(Self {
            config,
            policy: policy.map_or_else(|| config.pull_policy(), Ok)?,
            client: Client::new(options),
            docker_host: variable("DOCKER_HOST").unwrap_or_default(),
            quiet,
        })
    }

    /// Returns the settings.
    pub(crate) fn config(&self) -> &'a Config {
        self.config
    }

    /// Returns when images are fetched.
    pub(crate) fn policy(&self) -> PullPolicy {
        self.policy
    }

    /// Returns the client of all registries.
    pub(crate) fn registries(&self) -> &Client {
        &self.client
    }

    /// Returns whether nothing is to be said while somebody waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Returns the daemon, which need not be there: the one that `DOCKER_HOST` names, else Docker's own.
    pub(crate) fn engine(&self) -> anyhow::Result<Engine> {
        Engine::at(&self.docker_host.to_string_lossy()).context("DOCKER_HOST names no daemon")
    }

    /// Returns the name that an image is read by: the mirror's, if the registry has one.
    pub(crate) fn mirrored(&self, name: &Reference) -> Reference {
        let mirrors = self.config.registry_mirrors();
        // Settings name Docker's registry as people do.
        let names = match name.registry.as_str() {
            "index.docker.io" => &["index.docker.io", "docker.io", "*"][..],
            other => &[other, "*"],
        };
        let mirror = names.iter().find_map(|it| mirrors.get(*it));
        Reference {
            registry: mirror.unwrap_or(&name.registry).clone(),
            ..name.clone()
        }
    }
}
