//! Changing `config.toml` in place: order, comments and whatever is not known here stay as they are.
//!
//! Keys count in any case, because they do where the file is read. Lists of tables may be written as such or as inline
//! tables. What stands above a thing that is removed, a comment, stays.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml_edit::{
    Array, ArrayOfTables, DocumentMut, InlineTable, Item, Key, RawString, Table, TableLike, Value,
};

/// The file, being changed.
#[derive(Debug)]
pub(crate) struct Edit {
    path: PathBuf,
    document: DocumentMut,
    /// Windows' line ends and mark at the beginning, which the document does not remember.
    has_carriage_returns: bool,
    has_mark: bool,
}

impl Edit {
    pub(super) fn begin(path: &Path, text: &str) -> anyhow::Result<Self> {
        let document = text.parse::<DocumentMut>();
        Ok(Self {
            path: path.to_owned(),
            document: document
                .with_context(|| format!("failed to read config {}", path.display()))?,
            has_carriage_returns: text.contains("\r\n"),
            has_mark: text.starts_with(MARK),
        })
    }

    /// Writes the file, whole or not at all; a new one is for its owner alone.
    pub(crate) fn save(self) -> anyhow::Result<()> {
        // A link to the file, as people who share their settings have, stays one.
        let path = fs_err::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        platform::files::replace::with_text(&path, &self.text(), 0o600)
            .with_context(|| format!("failed to write config {}", self.path.display()))
    }

    fn text(&self) -> String {
        let text = self.document.to_string();
        let text = match text.strip_prefix(MARK) {
            None if self.has_mark => format!("{MARK}{text}"),
            _ => text,
        };
        if self.has_carriage_returns {
            text.replace("\r\n", "\n").replace('\n', "\r\n")
        } else {
            text
        }
    }

    /// Sets a value of the top level.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        let table = self.document.as_table_mut();
        set(table, key, value.into());
    }

    /// Removes something of the top level; returns whether it was there.
    pub(crate) fn unset(&mut self, key: &str) -> bool {
        let table = self.document.as_table_mut();
        let Some(key) = spelled(table, key) else {
            return false;
        };
        let next = self.after(&key);
        let Some((name, item)) = self.document.as_table_mut().remove_entry(&key) else {
            return false;
        };
        self.keep(next.as_deref(), &above(&name, &item));
        true
    }

    /// Sets a value of a table.
    pub(crate) fn set_in(&mut self, table: &str, key: &str, value: &str) {
        let top = self.document.as_table_mut();
        let name = spelled(top, table).unwrap_or_else(|| table.to_owned());
        let item = top.entry(&name).or_insert(Item::Table(Table::new()));
        if let Some(table) = item.as_table_like_mut() {
            // These keys are data: they count as they are.
            match table.get_mut(key) {
                Some(item) => replace(item, value.into()),
                None => drop(table.insert(key, Item::Value(value.into()))),
            }
        }
    }

    /// Removes a value of a table, and the table with its last one; returns whether it was there.
    pub(crate) fn unset_in(&mut self, table: &str, key: &str) -> bool {
        let top = self.document.as_table_mut();
        let name = spelled(top, table).unwrap_or_else(|| table.to_owned());
        let item = top.get_mut(&name).and_then(Item::as_table_like_mut);
        let Some(entries) = item else { return false };
        let was_there = entries.remove(key).is_some();
        if entries.is_empty() {
            self.unset(&name);
        }
        was_there
    }

    /// Sets a value of the table in a list whose `name` is `of`; adds one if there is none.
    pub(crate) fn set_of(&mut self, list: &str, (name, of): (&str, &str), key: &str, value: Value) {
        let top = self.document.as_table_mut();
        let list = spelled(top, list).unwrap_or_else(|| list.to_owned());
        let tables = ArrayOfTables::new();
        match top.entry(&list).or_insert(Item::ArrayOfTables(tables)) {
            Item::ArrayOfTables(tables) => {
                let place = tables.iter().position(|it| is(it, name, of));
                if let Some(table) = place.and_then(|place| tables.get_mut(place)) {
                    set(table, key, value);
                } else {
                    let mut table = Table::new();
                    set(&mut table, name, of.into());
                    set(&mut table, key, value);
                    tables.push(table);
                }
            }
            Item::Value(Value::Array(items)) => {
                let place = items.iter().position(|it| is_inline(it, name, of));
                let item = place.and_then(|place| items.get_mut(place));
                if let Some(table) = item.and_then(Value::as_inline_table_mut) {
                    set(table, key, value);
                } else {
                    let mut table = InlineTable::new();
                    set(&mut table, name, of.into());
                    set(&mut table, key, value);
                    items.push(table);
                }
            }
            _ => {}
        }
    }

    /// Removes the tables in a list whose `name` is `of`, and the list with its last one.
    pub(crate) fn remove_of(&mut self, list: &str, (name, of): (&str, &str)) {
        let top = self.document.as_table_mut();
        let Some(list) = spelled(top, list) else {
            return;
        };
        let mut comments = String::new();
        let is_empty = match top.get_mut(&list) {
            Some(Item::ArrayOfTables(tables)) => {
                let all = std::mem::take(tables);
                for mut table in all {
                    let comment = text(table.decor().prefix()).to_owned();
                    if is(&table, name, of) {
                        comments = joined(&comments, &comment);
                    } else {
                        table.decor_mut().set_prefix(joined(&comments, &comment));
                        comments.clear();
                        tables.push(table);
                    }
                }
                tables.is_empty()
            }
            Some(Item::Value(Value::Array(items))) => {
                items.retain(|it| !is_inline(it, name, of));
                items.is_empty()
            }
            _ => false,
        };
        let next = self.after(&list);
        if is_empty {
            self.unset(&list);
        }
        self.keep(next.as_deref(), &comments);
    }

    /// Returns what follows something of the top level.
    fn after(&self, key: &str) -> Option<String> {
        let keys = self.document.iter().map(|(key, _)| key);
        keys.skip_while(|it| *it != key).nth(1).map(str::to_owned)
    }

    /// Puts what stood above something that is gone above what came next, or at the end.
    fn keep(&mut self, next: Option<&str>, comment: &str) {
        if !comment.contains('#') {
            return;
        }
        let table = self.document.as_table_mut();
        let Some(next) = next else {
            let end = joined(
                comment,
                self.document.trailing().as_str().unwrap_or_default(),
            );
            self.document.set_trailing(end);
            return;
        };
        let decor = match table.get_mut(next) {
            Some(Item::Table(table)) => Some(table.decor_mut()),
            Some(Item::ArrayOfTables(tables)) => tables.get_mut(0).map(Table::decor_mut),
            _ => None,
        };
        if let Some(decor) = decor {
            let below = text(decor.prefix()).to_owned();
            decor.set_prefix(joined(comment, &below));
        } else if let Some(mut key) = table.key_mut(next) {
            let decor = key.leaf_decor_mut();
            let below = text(decor.prefix()).to_owned();
            decor.set_prefix(joined(comment, &below));
        }
    }
}

const MARK: char = '\u{feff}';

/// Returns a list of texts.
pub(crate) fn texts(items: &[String]) -> Value {
    Value::Array(items.iter().map(String::as_str).collect::<Array>())
}

/// Returns how a key is spelled in a table.
fn spelled(table: &dyn TableLike, key: &str) -> Option<String> {
    let has = |wanted: &dyn Fn(&str) -> bool| {
        let mut keys = table.iter().map(|(key, _)| key);
        keys.find(|key| wanted(key)).map(str::to_owned)
    };
    has(&|it| it == key).or_else(|| has(&|it| it.eq_ignore_ascii_case(key)))
}

fn set(table: &mut dyn TableLike, key: &str, value: Value) {
    let key = spelled(table, key).unwrap_or_else(|| key.to_owned());
    match table.get_mut(&key) {
        Some(item) => replace(item, value),
        None => drop(table.insert(&key, Item::Value(value))),
    }
}

/// Replaces a value, but not the space and the comment around it.
fn replace(item: &mut Item, mut value: Value) {
    if let Item::Value(before) = item {
        *value.decor_mut() = before.decor().clone();
    }
    *item = Item::Value(value);
}

fn is_inline(value: &Value, name: &str, of: &str) -> bool {
    value
        .as_inline_table()
        .is_some_and(|table| is(table, name, of))
}

fn is(table: &dyn TableLike, name: &str, of: &str) -> bool {
    let value = spelled(table, name).and_then(|key| table.get(&key)?.as_str());
    value == Some(of)
}

/// Returns what stands above an item.
fn above(key: &Key, item: &Item) -> String {
    let decor = match item {
        Item::Table(table) => Some(table.decor()),
        Item::ArrayOfTables(tables) => tables.get(0).map(Table::decor),
        _ => Some(key.leaf_decor()),
    };
    text(decor.and_then(|decor| decor.prefix())).to_owned()
}

fn text(raw: Option<&RawString>) -> &str {
    raw.and_then(RawString::as_str).unwrap_or_default()
}

/// Joins what stood above two things; a blank line between them is enough.
fn joined(comment: &str, below: &str) -> String {
    if comment.contains('#') {
        format!("{comment}{below}")
    } else {
        below.to_owned()
    }
}

#[cfg(test)]
mod tests;
