//! `/platform` of a build: variables that buildpacks get, and this machine's certificates.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use fs_err as fs;
use project::variables;
use sandbox::Mount;

use super::flags::Args;
use crate::containers::read_only;
use crate::environment;

/// Where Debian and what descends from it keep the certificates that they trust; tools built on OpenSSL look there.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Variables by which tools find certificates that do not look there by themselves.
const CERTIFICATE_VARIABLES: [&str; 4] = [
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "SSL_CERT_FILE",
];

/// Returns the mounts by which a build trusts what this machine trusts: behind a proxy with certificates of its own,
/// what an image brings is not enough.
pub(super) fn certificates() -> Vec<Mount> {
    let java = "/etc/ssl/certs/java/cacerts";
    let files = [CERTIFICATES, java].map(Path::new);
    let there = files.into_iter().filter(|file| file.is_file());
    there.map(|file| read_only(file, file)).collect()
}

/// Writes `<platform>/env` and makes the places of what the user mounts below `/platform`, which is read-only inside.
pub(super) fn write(
    platform: &Path,
    descriptor: &[(String, String)],
    args: &Args,
    mounts: &[Mount],
) -> anyhow::Result<()> {
    let env = platform.join("env");
    fs::create_dir_all(&env)?;
    for (name, value) in variables(descriptor, args)? {
        fs::write(env.join(&name), value)
            .with_context(|| format!("failed to hand on the variable {name}"))?;
    }
    for mount in mounts {
        if let Some((target, is_dir)) = place(mount) {
            let path = platform.join(target);
            if is_dir {
                fs::create_dir_all(path)?;
            } else {
                fs::create_dir_all(path.parent().unwrap_or(platform))?;
                fs::write(path, "")?;
            }
        }
    }
    Ok(())
}

/// Returns all variables of the build: later sources win, as in pack.
fn variables(
    descriptor: &[(String, String)],
    args: &Args,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    if Path::new(CERTIFICATES).is_file() {
        let names = CERTIFICATE_VARIABLES.into_iter();
        all.extend(names.map(|name| (name.to_owned(), CERTIFICATES.to_owned())));
    }
    all.extend(descriptor.iter().cloned());
    let caller = |name: &str| environment::variable(name);
    for file in &args.env_file {
        all.extend(variables::read_file(file, &caller)?);
    }
    for entry in &args.env {
        let (name, value) = variables::parse(entry, &caller).context("invalid --env")?;
        all.insert(name, value);
    }
    Ok(all)
}

/// Returns where below `/platform` a mount goes, and whether that is a directory.
fn place(mount: &Mount) -> Option<(PathBuf, bool)> {
    let (target, is_dir) = match mount {
        Mount::Bind { source, target, .. } => (target, source.is_dir()),
        Mount::Tmpfs { target, .. } => (target, true),
    };
    let inner = target.strip_prefix("/platform").ok()?;
    let is_below = inner.components().next().is_some();
    is_below.then(|| (inner.to_owned(), is_dir))
}
