//! The variables that `slipway` itself obeys, read here and nowhere else in this crate.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::bail;

/// Returns the folder of `config.toml`: `$SLIPWAY_HOME`, else `$PACK_HOME`, else `~/.pack` if it is there, else `~/.slipway`.
pub(crate) fn home() -> anyhow::Result<PathBuf> {
    for name in ["SLIPWAY_HOME", "PACK_HOME"] {
        if let Some(path) = variable(name) {
            return Ok(PathBuf::from(path));
        }
    }
    let Some(user) = variable("HOME") else {
        bail!("there is no place for settings: set HOME or SLIPWAY_HOME to a folder");
    };
    let user = PathBuf::from(user);
    let packs = user.join(".pack");
    Ok(if packs.is_dir() {
        packs
    } else {
        user.join(".slipway")
    })
}

/// Returns a variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this crate that reads variables"
)]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns what says how to reach the network through a proxy, in both spellings, as builds need it too.
pub(crate) fn proxies() -> Vec<(OsString, OsString)> {
    let names = ["http_proxy", "https_proxy", "no_proxy"];
    let names = names
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
    names
        .filter_map(|name| variable(&name).map(|value| (name.into(), value)))
        .collect()
}
