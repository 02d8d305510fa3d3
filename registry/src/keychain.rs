//! Who we are to a registry: ready headers from the platform, then Docker's configuration (COM-046 to COM-049).
//!
//! The text of `CNB_REGISTRY_AUTH` and the path of `config.json` come from the caller; nothing here reads a variable
//! by itself. Cloud registries are reached through their credential helper programs. No secret is ever in an error, a
//! log line or a `Debug` text.

mod config;
mod helper;
mod secret;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use self::config::Config;
pub use self::helper::Error as HelperError;
pub(crate) use self::secret::{Credentials, Secret};

/// Credentials by registry.
///
/// The configuration file is read when a registry is first asked for that the headers do not name.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    /// Header values as `CNB_REGISTRY_AUTH` has them, by the registry's name.
    headers: BTreeMap<String, Secret>,
    config: Option<Arc<LazyConfig>>,
}

#[derive(Debug)]
struct LazyConfig {
    path: PathBuf,
    read: OnceLock<Config>,
}

impl Keychain {
    /// Takes the text of `CNB_REGISTRY_AUTH`, a JSON object from registry to header, and the path of Docker's
    /// `config.json`; either may be missing. The file is not touched yet.
    pub fn new(headers: Option<&str>, config: Option<PathBuf>) -> Result<Self, Error> {
        let headers: BTreeMap<String, Secret> = match headers {
            Some(text) => serde_json::from_str(text).map_err(|error| Error::Headers(at(&error)))?,
            None => BTreeMap::new(),
        };
        let config = config.map(|path| {
            Arc::new(LazyConfig {
                path,
                read: OnceLock::new(),
            })
        });
        Ok(Self {
            headers: headers
                .into_iter()
                .map(|(key, header)| (hostname(&key).to_owned(), header))
                .collect(),
            config,
        })
    }

    /// Looks the credentials of these registries up now and forgets where from, so that they can be used by whoever may
    /// not read the file or start the helper later (COM-049).
    ///
    /// What cannot be had is returned beside, and those registries are spoken to without credentials, as the reference does.
    #[must_use]
    pub fn resolved<'a>(
        &self,
        registries: impl IntoIterator<Item = &'a str>,
    ) -> (Self, Vec<Error>) {
        let mut resolved = Self {
            headers: self.headers.clone(),
            config: None,
        };
        let mut failures = Vec::new();
        for registry in registries {
            if resolved.headers.contains_key(registry) {
                continue;
            }
            for account in self.accounts(registry) {
                match self.configured(&account) {
                    Ok(credentials) => {
                        if let Some(header) = credentials.header() {
                            resolved.headers.insert(account, header);
                        }
                    }
                    Err(error) => failures.push(error),
                }
            }
        }
        (resolved, failures)
    }

    /// Returns the headers in the form of `CNB_REGISTRY_AUTH`, for a program that is started with them. It is all secret.
    pub fn to_variable(&self) -> String {
        // The variable has registries alone, no namespaces of them.
        let headers = self.headers.iter().filter(|(key, _)| !key.contains('/'));
        let headers = headers.map(|(key, it)| (key, it.reveal()));
        serde_json::to_string(&headers.collect::<BTreeMap<_, _>>())
            .expect("a map of texts is an object")
    }

    /// Returns the registry, and the namespaces of it that have credentials of their own.
    fn accounts(&self, registry: &str) -> Vec<String> {
        let namespaces = self.config().ok().flatten().into_iter();
        let namespaces = namespaces.flat_map(|(config, _)| config.namespaces());
        let is_within = |it: &&str| {
            let path = it.strip_prefix(registry);
            path.is_some_and(|it| it.starts_with('/'))
        };
        let namespaces = namespaces.filter(is_within).map(str::to_owned);
        std::iter::once(registry.to_owned())
            .chain(namespaces)
            .collect()
    }

    /// Returns who is asked for a repository: itself or the folder above it that has credentials, as podman keeps them,
    /// else the registry.
    pub(crate) fn account(&self, registry: &str, repository: &str) -> String {
        let accounts = if self.headers.contains_key(registry) {
            Vec::new()
        } else {
            self.accounts(registry)
        };
        let name = format!("{registry}/{repository}");
        let above = |name: &str| name.rfind('/');
        let mut name = name.as_str();
        while name.len() > registry.len() {
            if self.headers.contains_key(name) || accounts.iter().any(|it| it == name) {
                return name.to_owned();
            }
            name = above(name).map_or(registry, |at| &name[..at]);
        }
        registry.to_owned()
    }

    /// Returns what to say to a registry, or to a namespace of one.
    pub(crate) fn credentials(&self, registry: &str) -> Result<Credentials, Error> {
        match self.headers.get(registry) {
            Some(header) => Credentials::of_header(header.reveal())
                .ok_or_else(|| Error::HeaderKind(registry.to_owned())),
            None => self.configured(registry),
        }
    }

    fn configured(&self, registry: &str) -> Result<Credentials, Error> {
        match self.config()? {
            Some((config, path)) => config.credentials(registry, path),
            None => Ok(Credentials::Anonymous),
        }
    }

    /// Returns the configuration, which is read at the first call, and its path.
    fn config(&self) -> Result<Option<(&Config, &Path)>, Error> {
        let Some(config) = &self.config else {
            return Ok(None);
        };
        if config.read.get().is_none() {
            let read = Config::read(&config.path)?;
            // Another thread may have been quicker with the same file.
            config.read.get_or_init(|| read);
        }
        Ok(config.read.get().map(|read| (read, config.path.as_path())))
    }
}

/// Returns where Docker's configuration is: `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`; else podman's file
/// of the same form. `None` if none of them exists. `variable` gives values of variables.
pub fn config_file(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| {
        variable(name)
            .filter(|it| !it.is_empty())
            .map(PathBuf::from)
    };
    let home = path("HOME");
    let docker = path("DOCKER_CONFIG").or_else(|| Some(home.as_ref()?.join(".docker")));
    let user_config = path("XDG_CONFIG_HOME").or_else(|| Some(home?.join(".config")));
    let candidates = [
        docker.map(|it| it.join("config.json")),
        path("REGISTRY_AUTH_FILE"),
        path("XDG_RUNTIME_DIR").map(|it| it.join("containers/auth.json")),
        user_config.map(|it| it.join("containers/auth.json")),
    ];
    candidates.into_iter().flatten().find(|it| it.is_file())
}

/// Cuts scheme and path off a key: keys are host names in the one tool and URLs in the next.
fn hostname(key: &str) -> &str {
    let key = key.strip_prefix("http://").unwrap_or(key);
    let key = key.strip_prefix("https://").unwrap_or(key);
    key.split('/').next().unwrap_or(key)
}

/// Says where a JSON text is wrong; serde's own words would repeat what stands there.
fn at(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a value of another kind than expected",
        serde_json::error::Category::Eof => "it ends too early",
        _ => "it is not JSON",
    };
    let (line, column) = (error.line(), error.column());
    format!("{kind} at line {line} column {column}")
}

/// Why there are no credentials to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text of the variable is no JSON object of texts.
    #[error("reading auth env var: failed to parse CNB_REGISTRY_AUTH value: {0}")]
    Headers(String),
    /// Neither `Basic`, `Bearer` nor `X-Identity`.
    #[error(
        "parsing auth header: unknown auth type from header of {0} in CNB_REGISTRY_AUTH: it begins with `Basic`, `Bearer` or `X-Identity`"
    )]
    HeaderKind(String),
    /// The configuration cannot be read.
    #[error("failed to read registry credentials")]
    Read(#[source] std::io::Error),
    /// The configuration makes no sense.
    #[error("failed to parse {}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A credential helper did not do what it is for.
    #[error(transparent)]
    Helper(#[from] HelperError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As podman keeps them, also when the file cannot be read any more.
    #[test]
    fn a_namespace_of_a_registry_may_have_credentials_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        let auths = r#"{"auths":{"r.example":{"auth":"YTph"},"r.example/team":{"auth":"Yjpi"},"r.example/team/app":{"auth":"Yzpj"},"r.example/none":{}}}"#;
        fs_err::write(&path, auths).unwrap();
        let keychain = Keychain::new(None, Some(path.clone())).unwrap();
        let (resolved, failures) = keychain.resolved(["r.example"]);
        assert!(failures.is_empty());
        fs_err::remove_file(path).unwrap();
        for keychain in [keychain, resolved] {
            for (repository, expected) in [
                ("team/app", "Basic Yzpj"),
                ("team/app/x", "Basic Yzpj"),
                ("team/application", "Basic Yjpi"),
                ("teams/app", "Basic YTph"),
                ("none", "Basic YTph"),
                ("team", "Basic Yjpi"),
            ] {
                let account = keychain.account("r.example", repository);
                let credentials = keychain.credentials(&account).unwrap();
                let header = credentials.header().unwrap();
                assert_eq!(header.reveal(), expected, "{repository}");
            }
            assert_eq!(keychain.account("s.example", "team/app"), "s.example");
        }
        let headers = r#"{"r.example":"Basic eDp4"}"#;
        let keychain = Keychain::new(Some(headers), None).unwrap();
        assert_eq!(keychain.account("r.example", "team/app"), "r.example");
        assert_eq!(keychain.to_variable(), headers);
    }

    #[test]
    fn headers_are_found_by_the_normalized_name() {
        let text = r#"{"https://index.docker.io/v1/":"Basic dTpw","http://r.example:5000/x":"bearer tok","s.example":"X-Identity id","t.example":"Digest x"}"#;
        let keychain = Keychain::new(Some(text), None).unwrap();
        let header = |registry: &str| {
            let credentials = keychain.credentials(registry).unwrap();
            credentials.header().map(|it| it.reveal().to_owned())
        };
        assert_eq!(header("index.docker.io").as_deref(), Some("Basic dTpw"));
        assert_eq!(header("r.example:5000").as_deref(), Some("Bearer tok"));
        assert_eq!(header("s.example").as_deref(), Some("X-Identity id"));
        assert_eq!(header("docker.io"), None);
        let error = keychain.credentials("t.example").unwrap_err().to_string();
        assert!(
            error.starts_with("parsing auth header: unknown auth type from header"),
            "{error}"
        );
    }

    #[test]
    fn no_secret_is_ever_shown() {
        let secret = "c2VjcmV0OnNlY3JldA==";
        for text in [
            format!(r#"{{"r.example":"Basic {secret}"}}"#),
            format!(r#"{{"r.example":"Digest {secret}"}}"#),
            format!(r#""Basic {secret}""#),
            format!(r#"{{"r.example":{{"auth":"{secret}"}}}}"#),
            format!(r#"{{"r.example":"Basic {secret}"#),
        ] {
            let shown = match Keychain::new(Some(&text), None) {
                Ok(keychain) => format!("{keychain:?} {:?}", keychain.credentials("r.example")),
                Err(error) => {
                    let shown = error.to_string();
                    assert!(
                        shown.starts_with(
                            "reading auth env var: failed to parse CNB_REGISTRY_AUTH value: "
                        ),
                        "{shown}"
                    );
                    format!("{shown} {error:?}")
                }
            };
            assert!(!shown.contains("c2Vj"), "{shown}");
        }
    }

    #[test]
    fn resolved_credentials_need_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let config = r#"{"auths":{"r.example":{"username":"u","password":"p"}},"credHelpers":{"s.example":"no/such"}}"#;
        fs_err::write(&path, config).unwrap();
        let keychain = Keychain::new(Some(r#"{"t.example":"Bearer t"}"#), Some(path.clone()));
        let (resolved, failures) =
            keychain
                .unwrap()
                .resolved(["r.example", "s.example", "t.example", "u.example"]);
        fs_err::remove_file(&path).unwrap();
        assert_eq!(failures.len(), 1, "{failures:?}");
        assert!(
            failures[0].to_string().contains("s.example"),
            "{failures:?}"
        );
        let expected = r#"{"r.example":"Basic dTpw","t.example":"Bearer t"}"#;
        assert_eq!(resolved.to_variable(), expected);
    }

    #[test]
    fn the_configuration_is_where_docker_or_podman_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str| {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "{}").unwrap();
        };
        let root = |path: &str| dir.path().join(path);
        let find = |variables: &[(&str, PathBuf)]| {
            config_file(|name| {
                let found = variables.iter().find(|(it, _)| *it == name);
                found.map(|(_, value)| value.clone().into_os_string())
            })
        };
        let home = ("HOME", root("home"));
        assert_eq!(find(&[]), None);
        assert_eq!(find(std::slice::from_ref(&home)), None);
        write("home/.config/containers/auth.json");
        assert_eq!(
            find(std::slice::from_ref(&home)),
            Some(root("home/.config/containers/auth.json"))
        );
        write("home/.docker/config.json");
        assert_eq!(
            find(std::slice::from_ref(&home)),
            Some(root("home/.docker/config.json"))
        );
        write("docker/config.json");
        assert_eq!(
            find(&[home, ("DOCKER_CONFIG", root("docker"))]),
            Some(root("docker/config.json"))
        );
    }
}
