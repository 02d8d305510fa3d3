//! Docker's `config.json`: `auths`, `credHelpers`, `credsStore`.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::helper::{self, Found};
use super::secret::{Credentials, Secret};
use super::{Error, at, hostname};

/// Names that stand for Docker Hub; the first is what helpers know.
const DOCKER_HUB: [&str; 3] = [
    "https://index.docker.io/v1/",
    "index.docker.io",
    "docker.io",
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Config {
    auths: BTreeMap<String, Option<Entry>>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<Secret>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
    registrytoken: Option<Secret>,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = fs_err::read(path).map_err(Error::Read)?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Config {
            path: path.to_owned(),
            reason: at(&error),
        })
    }

    /// Returns the names with a path that there are credentials for, as podman writes them: `quay.io/team`.
    pub(super) fn namespaces(&self) -> impl Iterator<Item = &str> {
        let names = self.auths.iter().filter(|(key, entry)| {
            let has_path = key.contains('/') && !key.contains("://");
            let entry = entry.as_ref().map(Entry::credentials);
            has_path && !matches!(entry, None | Some(Ok(Credentials::Anonymous)))
        });
        names.map(|(key, _)| key.as_str())
    }

    /// Asks the registry's helper, then the store of all registries, then looks into the file itself.
    ///
    /// A namespace of a registry is in the file alone.
    pub(super) fn credentials(&self, registry: &str, path: &Path) -> Result<Credentials, Error> {
        let own = [registry];
        let keys = if registry == DOCKER_HUB[1] {
            &DOCKER_HUB[..]
        } else {
            &own
        };
        let helper = keys.iter().find_map(|key| self.cred_helpers.get(*key));
        let is_namespace = registry.contains('/');
        let helper = helper.or(self.creds_store.as_ref().filter(|_| !is_namespace));
        if let Some(name) = helper.filter(|it| !it.is_empty()) {
            match helper::get(name, keys[0])? {
                Some(Found { user, secret }) if user == "<token>" => {
                    return Ok(Credentials::IdentityToken(secret));
                }
                Some(Found { user, secret }) => {
                    return Ok(Credentials::of_password(&user, secret.reveal()));
                }
                None => {}
            }
        }
        match self.entry(keys) {
            Some((key, entry)) => entry.credentials().map_err(|reason| Error::Config {
                path: path.to_owned(),
                reason: format!("{reason} of {key}"),
            }),
            None => Ok(Credentials::Anonymous),
        }
    }

    /// Exact keys come before those that are the registry's but for scheme and path.
    fn entry(&self, keys: &[&str]) -> Option<(&str, &Entry)> {
        let exact = keys.iter().find_map(|key| self.auths.get_key_value(*key));
        let similar = || {
            let mut all = self.auths.iter();
            all.find(|(key, _)| keys.contains(&hostname(key)))
        };
        let (key, entry) = exact.or_else(similar)?;
        Some((key, entry.as_ref()?))
    }
}

impl Entry {
    fn credentials(&self) -> Result<Credentials, &'static str> {
        let given = |secret: &Option<Secret>| {
            let secret = secret.as_ref();
            secret.filter(|it| !it.reveal().is_empty()).cloned()
        };
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Credentials::RegistryToken(token));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Credentials::IdentityToken(token));
        }
        if let Some(auth) = given(&self.auth) {
            return decoded(auth.reveal()).ok_or("`auth` is not Base64 of user:password");
        }
        Ok(match (given(&self.username), given(&self.password)) {
            (Some(user), Some(password)) => {
                Credentials::of_password(user.reveal(), password.reveal())
            }
            _ => Credentials::Anonymous,
        })
    }
}

/// Old versions of Docker filled the password up with zero bytes.
fn decoded(auth: &str) -> Option<Credentials> {
    let bytes = BASE64_STANDARD.decode(auth.trim()).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials::of_password(user, password.trim_matches('\0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(config: &str, registry: &str) -> Result<Option<String>, String> {
        let config: Config = serde_json::from_str(config).unwrap();
        let credentials = config.credentials(registry, Path::new("/x/config.json"));
        let credentials = credentials.map_err(|error| error.to_string())?;
        Ok(credentials.header().map(|it| it.reveal().to_owned()))
    }

    #[test]
    fn entries_say_who_we_are_in_several_ways() {
        let cases = [
            (r#"{"auth":"dTpw"}"#, Some("Basic dTpw")),
            (r#"{"auth":"dTpwAAA="}"#, Some("Basic dTpw")),
            (
                r#"{"username":"u","password":"p:q"}"#,
                Some("Basic dTpwOnE="),
            ),
            (
                r#"{"auth":"dTo=","identitytoken":"id"}"#,
                Some("X-Identity id"),
            ),
            (
                r#"{"registrytoken":"t","identitytoken":"id"}"#,
                Some("Bearer t"),
            ),
            (r#"{"auth":"","username":"u"}"#, None),
            ("{}", None),
            ("null", None),
        ];
        for (entry, expected) in cases {
            let config = format!(r#"{{"auths":{{"r.example":{entry}}},"other":1}}"#);
            let found = header(&config, "r.example").unwrap();
            assert_eq!(found.as_deref(), expected, "{entry}");
        }
        let error = header(
            r#"{"auths":{"r.example":{"auth":"c2VjcmV0"}}}"#,
            "r.example",
        );
        assert_eq!(
            error.unwrap_err(),
            "failed to parse /x/config.json: `auth` is not Base64 of user:password of r.example"
        );
    }

    #[test]
    fn keys_are_hosts_or_urls() {
        let config = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"aDpw"},"https://r.example/v2/x":{"auth":"djpw"},"r.example":{"auth":"eDpw"},"http://s.example:5000":{"auth":"czpw"}}}"#;
        for (registry, expected) in [
            ("index.docker.io", Some("Basic aDpw")),
            ("r.example", Some("Basic eDpw")),
            ("s.example:5000", Some("Basic czpw")),
            ("s.example", None),
            ("registry-1.docker.io", None),
        ] {
            let found = header(config, registry).unwrap();
            assert_eq!(found.as_deref(), expected, "{registry}");
        }
        let old = r#"{"auths":{"docker.io":{"auth":"aDpw"}}}"#;
        let found = header(old, "index.docker.io").unwrap();
        assert_eq!(found.as_deref(), Some("Basic aDpw"));
    }
}
