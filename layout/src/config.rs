//! The image config (OCI config.md, and Docker's keys beside it), in the reference's key order (EXP-061).
//!
//! Own types instead of `oci-spec`'s: that crate's key order changes from run to run. Keys that
//! the reference does not know (`container_config`, `Healthcheck.StartInterval`, ...) and
//! `container` are dropped, as it drops them. Empty values are left out, but for `architecture`,
//! `created`, `os`, `rootfs` and `config`.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Not;

use serde::{Deserialize, Serialize, Serializer};

use crate::digest::DiffId;
use crate::json;
use crate::manifest::Platform;

/// When images say that they were made, where nobody asks for another time (EXP-063, REB-023).
pub const CREATED: &str = "1980-01-01T00:00:01Z";

/// An image config document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// CPU architecture in Go's words.
    pub architecture: String,
    /// Who made the image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// RFC 3339 time of creation.
    #[serde(serialize_with = "time_or_zero")]
    pub created: Option<String>,
    /// Version of the Docker that made the image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub docker_version: String,
    /// One entry a layer, and entries without layers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Operating system in Go's words.
    pub os: String,
    /// diffIDs, base first.
    #[serde(rename = "rootfs", with = "rootfs")]
    pub diff_ids: Vec<DiffId>,
    /// How a container of this image is started.
    pub config: ContainerConfig,
    /// Version of the operating system.
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Variant of the CPU.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Features that the operating system must have.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

/// The `config` section: what a container gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// Attach to standard error.
    #[serde(skip_serializing_if = "Not::not")]
    pub attach_stderr: bool,
    /// Attach to standard input.
    #[serde(skip_serializing_if = "Not::not")]
    pub attach_stdin: bool,
    /// Attach to standard output.
    #[serde(skip_serializing_if = "Not::not")]
    pub attach_stdout: bool,
    /// Arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// How to tell that a container is healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Domain name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domainname: String,
    /// Command line before the arguments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// `NAME=value`, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Host name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hostname: String,
    /// Name of the image.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Instructions for images that are made from this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// Keep standard input open.
    #[serde(skip_serializing_if = "Not::not")]
    pub open_stdin: bool,
    /// Close standard input after the first client.
    #[serde(skip_serializing_if = "Not::not")]
    pub stdin_once: bool,
    /// Give the process a terminal.
    #[serde(skip_serializing_if = "Not::not")]
    pub tty: bool,
    /// `user[:group]`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Paths that hold data.
    #[serde(with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub volumes: BTreeSet<String>,
    /// Absolute path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// `port[/protocol]`.
    #[serde(with = "set", skip_serializing_if = "BTreeSet::is_empty")]
    pub exposed_ports: BTreeSet<String>,
    /// The command line is escaped already (Windows).
    #[serde(skip_serializing_if = "Not::not")]
    pub args_escaped: bool,
    /// No network.
    #[serde(skip_serializing_if = "Not::not")]
    pub network_disabled: bool,
    /// MAC address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// Signal that stops the container.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Shell of the shell form of instructions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
}

/// How to tell that a container is healthy (Docker); times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// The check; empty means inherited.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Time between checks.
    #[serde(skip_serializing_if = "is_default")]
    pub interval: i64,
    /// Time that a check may take.
    #[serde(skip_serializing_if = "is_default")]
    pub timeout: i64,
    /// Time to start up.
    #[serde(skip_serializing_if = "is_default")]
    pub start_period: i64,
    /// Failures in a row that count.
    #[serde(skip_serializing_if = "is_default")]
    pub retries: i64,
}

/// How one layer came about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// Who made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// RFC 3339 time.
    #[serde(serialize_with = "time_or_zero")]
    pub created: Option<String>,
    /// The command that made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Free text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// True where no layer belongs to this entry.
    #[serde(skip_serializing_if = "Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Reads a config document.
    pub fn from_slice(bytes: &[u8]) -> serde_json::Result<Self> {
        json::from_slice(bytes)
    }

    /// Returns the document's text.
    pub fn to_json(&self) -> serde_json::Result<String> {
        json::to_string(self)
    }

    /// Returns the value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.config.labels.get(key).map(String::as_str)
    }

    /// Returns the value of a variable, the last one if it is there more than once.
    pub fn env(&self, name: &str) -> Option<&str> {
        let mut values = self.config.env.iter().rev();
        values.find_map(|entry| value_of(entry, name))
    }

    /// Sets a variable in place, or appends it. Further entries of the same name are removed.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let is_name = |entry: &String| entry == name || value_of(entry, name).is_some();
        let env = &mut self.config.env;
        let Some(first) = env.iter().position(is_name) else {
            env.push(entry);
            return;
        };
        let mut at = 0..;
        env.retain(|entry| at.next().is_none_or(|at| at <= first) || !is_name(entry));
        env[first] = entry;
    }

    /// Returns what the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
    }

    /// Leaves one history entry a layer: those that have a layer if their number fits, else blank ones (EXP-065).
    pub fn normalize_history(&mut self) {
        self.history.retain(|entry| !entry.empty_layer);
        if self.history.len() != self.diff_ids.len() {
            self.history = vec![History::default(); self.diff_ids.len()];
        }
    }
}

fn value_of<'a>(entry: &'a str, name: &str) -> Option<&'a str> {
    entry.strip_prefix(name)?.strip_prefix('=')
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Go cannot leave a time out: one that was never set is written as the year 1.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn time_or_zero<S: Serializer>(time: &Option<String>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(time.as_deref().unwrap_or("0001-01-01T00:00:00Z"))
}

/// `{"type":"layers","diff_ids":[...]}`.
mod rootfs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::digest::DiffId;

    #[derive(Serialize)]
    struct Written<'a> {
        r#type: &'static str,
        diff_ids: &'a [DiffId],
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Read {
        diff_ids: Vec<DiffId>,
    }

    pub(super) fn serialize<S: Serializer>(diff_ids: &[DiffId], out: S) -> Result<S::Ok, S::Error> {
        let r#type = "layers";
        Written { r#type, diff_ids }.serialize(out)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<DiffId>, D::Error> {
        Ok(Read::deserialize(from)?.diff_ids)
    }
}

/// `{"key":{},...}`, whose values mean nothing.
mod set {
    use std::collections::{BTreeMap, BTreeSet};

    use serde::{Deserialize as _, Deserializer, Serialize, Serializer};

    #[derive(Serialize)]
    struct Nothing {}

    pub(super) fn serialize<S: Serializer>(
        keys: &BTreeSet<String>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_map(keys.iter().map(|key| (key, Nothing {})))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeSet<String>, D::Error> {
        let map = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
        Ok(map.into_keys().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EXP-061: every key that is kept, in the order in which they are written.
    const FULL: &str = concat!(
        r#"{"architecture":"arm64","author":"me","created":"2024-05-06T07:08:09Z","docker_version":"20","#,
        r#""history":[{"author":"a","created":"2024-05-06T07:08:09Z","created_by":"b \u0026\u0026 c","comment":"d","empty_layer":true},"#,
        r#"{"created":"0001-01-01T00:00:00Z"}],"os":"linux","#,
        r#""rootfs":{"type":"layers","diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]},"#,
        r#""config":{"AttachStderr":true,"AttachStdin":true,"AttachStdout":true,"Cmd":["c"],"#,
        r#""Healthcheck":{"Test":["CMD","true"],"Interval":1,"Timeout":2,"StartPeriod":3,"Retries":4},"#,
        r#""Domainname":"d","Entrypoint":["e"],"Env":["A=1"],"Hostname":"h","Image":"i","Labels":{"a":"1","b":"\u003c"},"#,
        r#""OnBuild":["RUN x"],"OpenStdin":true,"StdinOnce":true,"Tty":true,"User":"u","Volumes":{"/a":{},"/b":{}},"WorkingDir":"/w","#,
        r#""ExposedPorts":{"80/tcp":{}},"ArgsEscaped":true,"NetworkDisabled":true,"MacAddress":"m","StopSignal":"SIGTERM","Shell":["sh"]},"#,
        r#""os.version":"10","variant":"v8","os.features":["f"]}"#
    );

    #[test]
    fn a_full_config_survives_byte_for_byte() {
        let config = ImageConfig::from_slice(FULL.as_bytes()).unwrap();
        assert_eq!(config.to_json().unwrap(), FULL);
    }

    #[test]
    fn an_empty_config_keeps_five_keys() {
        let expected = r#"{"architecture":"","created":"0001-01-01T00:00:00Z","os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}"#;
        for text in [
            "{}",
            r#"{"config":null,"rootfs":null,"history":null,"created":null,"architecture":null}"#,
            r#"{"config":{"Labels":null,"Env":null,"ExposedPorts":null,"Cmd":[],"Healthcheck":null},"rootfs":{"diff_ids":null}}"#,
            r#"{"container":"x","container_config":{"Cmd":["x"]},"id":"x","moby.buildkit.x":1}"#,
        ] {
            let config = ImageConfig::from_slice(text.as_bytes()).unwrap();
            assert_eq!(config.to_json().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn keys_that_the_reference_drops_are_dropped() {
        let text = r#"{"config":{"Healthcheck":{"Test":["NONE"],"StartInterval":5},"Volumes":{"/v":{"x":1}},"Memory":1}}"#;
        let config = ImageConfig::from_slice(text.as_bytes()).unwrap();
        let expected = r#""config":{"Healthcheck":{"Test":["NONE"]},"Volumes":{"/v":{}}}"#;
        let written = config.to_json().unwrap();
        assert!(written.contains(expected), "{written}");
    }

    #[test]
    fn damaged_configs_are_errors() {
        for text in [
            "",
            "[]",
            r#"{"rootfs":{"diff_ids":["sha256:1"]}}"#,
            r#"{"rootfs":{"diff_ids":["../../etc"]}}"#,
            r#"{"history":{}}"#,
            r#"{"config":{"Env":"A=1"}}"#,
        ] {
            assert!(ImageConfig::from_slice(text.as_bytes()).is_err(), "{text}");
        }
    }

    /// EXP-068: existing order kept, replaced in place or appended.
    #[test]
    fn variables_are_replaced_in_place_or_appended() {
        let cases: [(&[&str], &[&str]); 5] = [
            (&[], &["X=new"]),
            (&["A=1", "X=old", "B=2"], &["A=1", "X=new", "B=2"]),
            (&["XX=1", "X"], &["XX=1", "X=new"]),
            (&["X=a=b"], &["X=new"]),
            (&["X=1", "A=1", "X=2"], &["X=new", "A=1"]),
        ];
        for (before, after) in cases {
            let mut config = ImageConfig::default();
            config.config.env = before.iter().map(ToString::to_string).collect();
            config.set_env("X", "new");
            assert_eq!(config.config.env, after);
            assert_eq!(config.env("X"), Some("new"));
        }
        let mut config = ImageConfig::default();
        config.config.env = vec!["X=1".to_owned(), "X=a=b".to_owned()];
        assert_eq!(config.env("X"), Some("a=b"));
        assert_eq!(config.env("Y"), None);
    }

    /// EXP-065.
    #[test]
    fn history_has_one_entry_a_layer() {
        let entry = |text: &str, empty_layer| History {
            created_by: text.to_owned(),
            empty_layer,
            ..History::default()
        };
        let cases = [
            (
                vec![entry("a", false), entry("env", true), entry("b", false)],
                vec!["a", "b"],
            ),
            (vec![entry("a", false)], vec!["", ""]),
            (vec![], vec!["", ""]),
        ];
        for (history, expected) in cases {
            let mut config = ImageConfig {
                history,
                diff_ids: vec![DiffId(crate::digest::sha256(b"")); 2],
                ..ImageConfig::default()
            };
            config.normalize_history();
            let found: Vec<_> = config
                .history
                .iter()
                .map(|it| it.created_by.as_str())
                .collect();
            assert_eq!(found, expected);
        }
    }
}
