//! TOML as the launcher decodes it: keys match exactly or else without regard to case, unknown keys are ignored,
//! and an error names the line, a wrong type its key too (BPD-004).

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{Error, Result};

/// A table and where it stands in the document.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a> {
    document: &'a str,
    entries: &'a DeTable<'a>,
    /// The keys that lead here.
    parent: Option<&'a str>,
}

/// One value of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    table: Table<'a>,
    key: &'a str,
    value: &'a Spanned<DeValue<'a>>,
}

/// Parses a document and hands its root table on.
pub(crate) fn document<T>(content: &[u8], read: impl FnOnce(Table<'_>) -> Result<T>) -> Result<T> {
    let document = str::from_utf8(content).map_err(|error| {
        let position = error.valid_up_to();
        let line = line_of(content, position);
        let byte = content.get(position).copied().unwrap_or_default();
        Error::new(format!(
            "toml: line {line}: invalid UTF-8 byte: {byte:#04x}"
        ))
    })?;
    let root = DeTable::parse(document).map_err(|error| {
        let line = line_of(content, error.span().map_or(0, |span| span.start));
        Error::new(format!("toml: line {line}: {}", error.message()))
    })?;
    read(Table {
        document,
        entries: root.get_ref(),
        parent: None,
    })
}

impl<'a> Table<'a> {
    /// Returns the value under a key, if there is one.
    pub(crate) fn field(self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.key == name).or_else(|| {
            self.fields()
                .find(|field| field.key.eq_ignore_ascii_case(name))
        })
    }

    /// Returns all values with their keys.
    pub(crate) fn fields(self) -> impl Iterator<Item = Field<'a>> {
        self.entries.iter().map(move |(key, value)| Field {
            table: self,
            key: key.get_ref(),
            value,
        })
    }

    /// Returns the text under a key, or an empty one.
    pub(crate) fn string(self, name: &str) -> Result<String> {
        self.field(name).map_or(Ok(String::new()), Field::string)
    }

    /// Returns the truth under a key, or false.
    pub(crate) fn boolean(self, name: &str) -> Result<bool> {
        self.field(name)
            .map_or(Ok(false), |field| match field.value.get_ref() {
                DeValue::Boolean(value) => Ok(*value),
                _ => Err(field.mismatch("boolean")),
            })
    }

    /// Returns the texts in the array under a key, or none.
    pub(crate) fn strings(self, name: &str) -> Result<Vec<String>> {
        self.array(name)?.into_iter().map(Field::string).collect()
    }

    /// Returns what is read from each table in the array under a key, or nothing.
    pub(crate) fn tables<T>(
        self,
        name: &str,
        read: impl Fn(Table<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let read_one = |field: Field<'_>| match field.value.get_ref() {
            DeValue::Table(entries) => read(Table {
                entries,
                parent: Some(field.key),
                ..field.table
            }),
            _ => Err(field.mismatch("table")),
        };
        self.array(name)?.into_iter().map(read_one).collect()
    }

    fn array(self, name: &str) -> Result<Vec<Field<'a>>> {
        self.field(name).map_or(Ok(Vec::new()), |field| {
            field.elements().ok_or_else(|| field.mismatch("array"))
        })
    }
}

impl<'a> Field<'a> {
    pub(crate) fn key(self) -> &'a str {
        self.key
    }

    pub(crate) fn value(self) -> &'a DeValue<'a> {
        self.value.get_ref()
    }

    /// Returns the value if it is a text.
    pub(crate) fn string(self) -> Result<String> {
        match self.value() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.mismatch("string")),
        }
    }

    /// Returns the elements if the value is an array.
    pub(crate) fn elements(self) -> Option<Vec<Self>> {
        let elements = self.value().as_array()?;
        Some(
            elements
                .iter()
                .map(|value| Self { value, ..self })
                .collect(),
        )
    }

    /// Says that another type was expected here.
    pub(crate) fn mismatch(self, expected: &str) -> Error {
        let line = line_of(self.table.document.as_bytes(), self.value.span().start);
        let parent = self
            .table
            .parent
            .map(|parent| format!("{parent}."))
            .unwrap_or_default();
        Error::new(format!(
            "toml: line {line} (last key \"{parent}{}\"): incompatible types: TOML value has type {}; \
             destination has type {expected}",
            self.key,
            self.value().type_str(),
        ))
    }
}

/// Returns the number of the line, from 1, that a byte of a document is in.
fn line_of(document: &[u8], offset: usize) -> usize {
    let before = document.get(..offset).unwrap_or(document);
    before.split(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_exactly_or_else_without_case() {
        for (text, found) in [
            ("key = 'exact'", "exact"),
            ("KEY = 'upper'", "upper"),
            ("KEY = 'upper'\nkey = 'exact'", "exact"),
            ("Key = 'mixed'\nother = 1", "mixed"),
            ("keys = 'unknown'", ""),
        ] {
            let value = document(text.as_bytes(), |table| table.string("key")).unwrap();
            assert_eq!(value, found, "{text}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        let nothing = |_: Table<'_>| Ok(());
        for (content, start) in [
            (&b"a = 1\n= ="[..], "toml: line 2: "),
            (b"a = 1\na = 2", "toml: line 2: "),
            (
                b"a = 1\n\nb = '\xff'",
                "toml: line 3: invalid UTF-8 byte: 0xff",
            ),
            (b"a = ", "toml: line 1: "),
        ] {
            let error = document(content, nothing).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_wrong_type_names_line_and_key() {
        for (text, expected) in [
            (
                "\na = 1",
                "toml: line 2 (last key \"a\"): incompatible types: TOML value has type integer; destination has type string",
            ),
            (
                "a = ['x',\n true]",
                "toml: line 2 (last key \"a\"): incompatible types: TOML value has type boolean; destination has type string",
            ),
        ] {
            let read = |table: Table<'_>| match table.field("a").unwrap().elements() {
                Some(elements) => elements
                    .into_iter()
                    .map(Field::string)
                    .collect::<Result<Vec<_>>>()
                    .map(drop),
                None => table.string("a").map(drop),
            };
            let error = document(text.as_bytes(), read).unwrap_err().to_string();
            assert_eq!(error, expected);
        }
    }
}
