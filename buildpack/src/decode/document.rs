//! A parsed TOML text that remembers on which line each key got its value.

use std::collections::HashMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::deserializer::ValueDeserializer;
use super::{Error, FileError, syntax};
use crate::syscall_text;

/// A TOML text, parsed once, decoded as often as needed.
#[derive(Clone, Debug)]
pub struct Document {
    root: toml::Value,
    lines: Lines,
}

/// Line of each dotted key; of several, the last one in the file. Keys below an array stand here with their index too, `a[1].b`.
pub(super) type Lines = HashMap<String, usize>;

impl Document {
    /// Parses a text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        if let Some(error) = syntax::error(text, &errors) {
            return Err(error);
        }
        let mut reader = Reader {
            newlines: text.match_indices('\n').map(|(at, _)| at).collect(),
            lines: Lines::new(),
        };
        let root = reader.table(table.get_ref(), "", "")?;
        Ok(Self {
            root: toml::Value::Table(root),
            lines: reader.lines,
        })
    }

    /// Parses bytes, which need not be text.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(text),
            Err(error) => Err(syntax::not_utf8(bytes, error.valid_up_to())),
        }
    }

    /// Reads and parses a file.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Ok(Self::parse_bytes(&syscall_text::read_file(path)?)?)
    }

    /// Decodes the whole text.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let top = ValueDeserializer::new(&self.root, &self.lines);
        T::deserialize(top).map_err(Error::from)
    }

    /// Returns whether the top level has exactly this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.root.get(key).is_some()
    }

    /// Returns what a table, or each table of an array, holds beside the keys that count in any case; with its line.
    /// The top level is `""`.
    pub(crate) fn stray_keys(&self, name: &str, known: &[&str]) -> Vec<(String, usize)> {
        let tables: Vec<(String, &toml::Table)> = match (name, self.root.get(name)) {
            ("", _) => self
                .root
                .as_table()
                .map(|table| (String::new(), table))
                .into_iter()
                .collect(),
            (_, Some(toml::Value::Table(table))) => vec![(name.to_owned(), table)],
            (_, Some(toml::Value::Array(items))) => (0..)
                .zip(items)
                .filter_map(|(index, item): (usize, _)| {
                    Some((format!("{name}[{index}]"), item.as_table()?))
                })
                .collect(),
            _ => Vec::new(),
        };
        let is_stray = |key: &&String| !known.iter().any(|known| known.eq_ignore_ascii_case(key));
        let place_of = |place: &str, key: &String| (key.clone(), self.line_of(&join(place, key)));
        tables
            .iter()
            .flat_map(|(place, table)| {
                table
                    .keys()
                    .filter(is_stray)
                    .map(|key| place_of(place, key))
            })
            .collect()
    }

    /// Returns the texts that `key` holds, itself or as items, in each table of an array, with their places.
    pub(crate) fn texts<'a>(&'a self, array: &str, key: &str) -> Vec<(String, &'a str)> {
        let items = self.root.get(array).and_then(toml::Value::as_array);
        let mut found = Vec::new();
        for (index, item) in items.into_iter().flatten().enumerate() {
            let place = format!("{array}[{index}].{key}");
            match item.get(key) {
                Some(toml::Value::String(text)) => found.push((place, text.as_str())),
                Some(toml::Value::Array(texts)) => {
                    let texts = texts.iter().enumerate();
                    found.extend(texts.filter_map(|(index, text)| {
                        Some((format!("{place}[{index}]"), text.as_str()?))
                    }));
                }
                _ => {}
            }
        }
        found
    }

    /// Returns the line of a key, `processes[1].direct`, or of an item, `processes[1]`; 0 where it is not there.
    pub fn line_of(&self, place: &str) -> usize {
        self.lines.get(place).copied().unwrap_or_default()
    }
}

/// Walks the parser's tree, noting lines.
struct Reader {
    newlines: Vec<usize>,
    lines: Lines,
}

impl Reader {
    /// `place` is `parent` with the indexes of arrays.
    fn table(
        &mut self,
        table: &DeTable<'_>,
        parent: &str,
        place: &str,
    ) -> Result<toml::Table, Error> {
        let mut values = toml::Table::new();
        for (key, value) in table {
            let (path, place) = (join(parent, key.get_ref()), join(place, key.get_ref()));
            let line = self.line_of(value.span().start);
            let last = self.lines.entry(path.clone()).or_default();
            *last = line.max(*last);
            if place != path {
                self.lines.insert(place.clone(), line);
            }
            let value = self.value(value.get_ref(), &path, &place, line)?;
            values.insert(key.get_ref().clone().into_owned(), value);
        }
        Ok(values)
    }

    fn value(
        &mut self,
        value: &DeValue<'_>,
        path: &str,
        place: &str,
        line: usize,
    ) -> Result<toml::Value, Error> {
        Ok(match value {
            DeValue::String(text) => toml::Value::String(text.clone().into_owned()),
            DeValue::Boolean(value) => toml::Value::Boolean(*value),
            DeValue::Datetime(value) => toml::Value::Datetime(*value),
            DeValue::Integer(value) => i64::from_str_radix(value.as_str(), value.radix())
                .map(toml::Value::Integer)
                .map_err(|_| out_of_range(path, line, &value.to_string(), "int64"))?,
            DeValue::Float(value) => match value.as_str().parse::<f64>() {
                Ok(number)
                    if number.is_finite()
                        || !value.as_str().contains(|c: char| c.is_ascii_digit()) =>
                {
                    toml::Value::Float(number)
                }
                _ => return Err(out_of_range(path, line, value.as_str(), "float64")),
            },
            DeValue::Array(items) => {
                let mut values = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let line = self.line_of(item.span().start);
                    let place = format!("{place}[{index}]");
                    self.lines.insert(place.clone(), line);
                    values.push(self.value(item.get_ref(), path, &place, line)?);
                }
                toml::Value::Array(values)
            }
            DeValue::Table(table) => toml::Value::Table(self.table(table, path, place)?),
        })
    }

    fn line_of(&self, offset: usize) -> usize {
        self.newlines.partition_point(|&newline| newline < offset) + 1
    }
}

/// Returns the dotted name of a key in a table.
pub(super) fn join(parent: &str, key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let quoted = if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        crate::encode::quoted(key)
    };
    if parent.is_empty() {
        quoted
    } else {
        format!("{parent}.{quoted}")
    }
}

fn out_of_range(path: &str, line: usize, number: &str, size: &str) -> Error {
    syntax::at(line, path, &format!("{number} is out of range for {size}"))
}
