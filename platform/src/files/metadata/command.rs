//! A process's command: an array from Platform API 0.10, one text below (BLD-014, BLD-015, EXP-049, EXP-080).

use buildpack::encode::Verbatim;
use buildpack::launch::Process;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::PlatformApi;

/// A command as one file or label holds it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Command {
    /// One text.
    Text(String),
    /// Texts.
    List(Vec<String>),
}

/// Returns command and arguments of a process in the form of an API: below 0.10 all but the first element of the
/// command move to the front of the arguments, which are then there even if empty.
pub(super) fn in_form_of(api: PlatformApi, process: &Process) -> (Command, Option<Vec<String>>) {
    let (command, args) = (&process.command, &process.args);
    if api.has_command_arrays() {
        return (Command::List(command.clone()), args.clone());
    }
    let Some((first, more)) = command.split_first() else {
        return (Command::Text(String::new()), args.clone());
    };
    let given = args.iter().flatten();
    let args = more.iter().chain(given).cloned().collect();
    (Command::Text(first.clone()), Some(args))
}

impl Command {
    /// Returns its elements.
    pub(super) fn into_elements(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::List(elements) => elements,
        }
    }

    /// Writes it to TOML with its texts quoted as in JSON, but for U+007F: the reference leaves it as it is, which
    /// no TOML reader takes, its own included.
    pub(super) fn quoted_as_json<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let quoted = |text: &String| {
            layout::json::to_string(text)
                .map(|json| json.replace('\u{7f}', "\\u007f"))
                .map_err(<S::Error as serde::ser::Error>::custom)
        };
        let text = match self {
            Self::Text(text) => quoted(text)?,
            Self::List(elements) => {
                let elements: Result<Vec<_>, _> = elements.iter().map(quoted).collect();
                format!("[{}]", elements?.join(", "))
            }
        };
        Verbatim(text).serialize(serializer)
    }
}

impl Default for Command {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<'de> Deserialize<'de> for Command {
    /// Takes a text or an array, whose elements may be numbers or booleans too.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self::Text(text)),
            toml::Value::Array(items) => Ok(Self::List(items.into_iter().map(text_of).collect())),
            other => Err(serde::de::Error::custom(format!(
                "unknown command type {} with data {other}",
                other.type_str()
            ))),
        }
    }
}

fn text_of(item: toml::Value) -> String {
    match item {
        toml::Value::String(text) => text,
        other => other.to_string(),
    }
}
