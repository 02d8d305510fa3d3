//! What a case looks like at one moment, against its beginning.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use regex::bytes::Regex as BytesRegex;
use serde_json::{Map, Value, json};

use super::image;
use super::listing;
use super::place::Place;
use super::symbols::Symbols;
use super::text::{lines, sha256};
use super::tree::{self, Entries, Entry, Kind};

/// Documents up to this size are parsed.
const DOCUMENT: usize = 200_000;
/// Other texts up to this size are shown.
const TEXT: usize = 4096;

/// What there was before the first step; by default nothing.
#[derive(Debug, Default)]
pub struct Before {
    entries: Entries,
    layouts: BTreeMap<String, String>,
}

impl Before {
    /// Looks at a place.
    pub fn of(place: &Place<'_>) -> Self {
        let layouts = tree::layouts(&place.root)
            .into_iter()
            .map(|name| {
                let fingerprint = tree::fingerprint(&place.root.join(&name));
                (name, fingerprint)
            })
            .collect();
        Self {
            entries: tree::entries(&place.root),
            layouts,
        }
    }

    /// Shows what was made, changed or deleted since, and the images that were written.
    pub fn changes(&self, place: &Place<'_>, symbols: &Symbols) -> Value {
        let after = tree::entries(&place.root);
        let mut files = Map::new();
        for (name, found) in &after {
            let before = self.entries.get(name).map(|before| &before.entry);
            // Links that programs are started through are the harness's.
            let is_ours = name == "process" || name.starts_with("process/");
            if is_ours || before == Some(&found.entry) {
                continue;
            }
            let mut shown = show(name, &found.entry, &found.path, symbols);
            let ignored = &place.case.ignore_mode;
            if ignored.iter().any(|pattern| pattern.occurs_in(name)) {
                shown["mode"] = "(not compared)".into();
            }
            files.insert(name.clone(), shown);
        }
        let mut images = Map::new();
        for name in tree::layouts(&place.root) {
            let layout = place.root.join(&name);
            if self.layouts.get(&name) != Some(&tree::fingerprint(&layout)) {
                images.insert(name, image::show_layout(&layout, symbols));
            }
        }
        if let Some(registry) = place.registry() {
            images.extend(image::show_registry(registry, symbols));
        }
        let gone: Vec<_> = self
            .entries
            .keys()
            .filter(|name| !after.contains_key(*name))
            .collect();
        let mut changes = json!({"tree": files, "images": images});
        if !gone.is_empty() {
            changes["deleted"] = json!(gone);
        }
        changes
    }
}

fn show(name: &str, entry: &Entry, path: &Path, symbols: &Symbols) -> Value {
    let kind = match &entry.kind {
        Kind::Folder => "dir",
        Kind::File(_) => "file",
        Kind::Link(_) => "link",
        Kind::Special => "special",
    };
    let mut shown = json!({"type": kind, "owner": format!("{}:{}", entry.owner.0, entry.owner.1)});
    if let Some(mode) = entry.mode {
        shown["mode"] = format!("{mode:04o}").into();
    }
    match &entry.kind {
        Kind::Link(to) => shown["to"] = to.as_str().into(),
        Kind::File(_) => {
            let bytes = fs::read(path).unwrap();
            let Value::Object(members) = show_content(name, &bytes, symbols) else {
                unreachable!("contents are shown as objects")
            };
            shown.as_object_mut().expect("an object").extend(members);
        }
        Kind::Folder | Kind::Special => {}
    }
    shown
}

fn show_content(name: &str, bytes: &[u8], symbols: &Symbols) -> Value {
    let as_document = show_toml(name, bytes, symbols).or_else(|| show_json(name, bytes, symbols));
    if let Some(document) = as_document {
        return document;
    }
    if has_ending(name, "tar") {
        let listing = listing::of(bytes);
        let mut shown = json!({"sha256": sha256(bytes), "listing": listing.lines});
        if !listing.texts.is_empty() {
            shown["texts"] = json!(listing.texts);
        }
        return shown;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.len() <= TEXT && is_printable(text) => {
            let mut shown = lines(&symbols.text(text));
            if !text.is_empty() && !text.ends_with('\n') {
                shown.push("(no newline at the end)".to_owned());
            }
            json!({"text": shown})
        }
        _ => json!({"sha256": sha256(bytes), "size": bytes.len()}),
    }
}

fn show_toml(name: &str, bytes: &[u8], symbols: &Symbols) -> Option<Value> {
    if !has_ending(name, "toml") || bytes.len() >= DOCUMENT {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let table: toml::Table = toml::from_str(text).ok()?;
    let mut document = symbols.value(json(toml::Value::Table(table)));
    if name.ends_with("/plan.toml")
        && let Some(Value::Array(entries)) = document.get_mut("entries")
        && entries.len() > 1
    {
        // The reference walks a hash map.
        entries.sort_by_key(Value::to_string);
        let raw = ["(order of entries is random in the reference)"];
        return Some(json!({"toml": document, "raw": raw}));
    }
    let mut raw = text.to_owned();
    if name.ends_with("report.toml") {
        if let Some(size) = document.pointer_mut("/image/manifest-size") {
            *size = "<n>".into();
        }
        let size = BytesRegex::new(r"manifest-size = \d+").expect("the pattern is right");
        let hidden = size.replace_all(bytes, &b"manifest-size = <n>"[..]);
        raw = String::from_utf8_lossy(&hidden).into_owned();
    }
    Some(json!({"toml": document, "raw": lines(&symbols.text(&raw))}))
}

fn show_json(name: &str, bytes: &[u8], symbols: &Symbols) -> Option<Value> {
    if !(bytes.starts_with(b"{") || bytes.starts_with(b"[") || has_ending(name, "json")) {
        return None;
    }
    let document: Value = serde_json::from_slice(bytes).ok()?;
    let raw = lines(&symbols.text(std::str::from_utf8(bytes).ok()?));
    Some(json!({"json": symbols.value(document), "raw": raw}))
}

/// Returns TOML as JSON, dates as the recordings have them: a blank between day and time, the offset in digits.
pub fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::Datetime(time) => {
            let time = time.to_string().replace('T', " ");
            let time = time
                .strip_suffix('Z')
                .map(|time| format!("{time}+00:00"))
                .unwrap_or(time);
            time.into()
        }
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => table
            .into_iter()
            .map(|(key, value)| (key, json(value)))
            .collect(),
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
    }
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == ending)
}

fn is_printable(text: &str) -> bool {
    text.chars()
        .all(|char| !char.is_control() || matches!(char, '\n' | '\t'))
}

#[cfg(test)]
mod tests;
