//! What a buildpack left that has no effect: no failure, but seldom what its author meant.
//!
//! A look from outside at files that were read before, so that what counts is decided in one place alone. What cannot be
//! read is passed over here.

use std::collections::BTreeMap;
use std::path::Path;

use crate::decode::Document;
use crate::env;
use crate::fault::Advice;
use crate::layer::LayerMetadata;
use crate::sbom;
use crate::syscall_text::{self, Entry};

type Layers = BTreeMap<String, LayerMetadata>;

/// Files of a buildpack's own, after which no layer should be called.
const OWN_FILES: [&str; 3] = ["launch", "build", "store"];

/// A file, a table in it, keys that count there.
type Table = (&'static str, &'static str, &'static [&'static str]);

/// `*` is `<layer>.toml`.
const TABLES: [Table; 9] = [
    ("launch.toml", "", &["processes", "slices", "labels", "bom"]),
    (
        "launch.toml",
        "processes",
        &[
            "type",
            "command",
            "args",
            "direct",
            "default",
            "working-dir",
            "exec-env",
        ],
    ),
    ("launch.toml", "slices", &["paths"]),
    ("launch.toml", "labels", &["key", "value"]),
    ("build.toml", "", &["unmet", "bom"]),
    ("build.toml", "unmet", &["name"]),
    ("store.toml", "", &["metadata"]),
    ("*", "", &["types", "metadata"]),
    ("*", "types", &["build", "launch", "cache"]),
];

/// Returns what to tell the author, in the order of file names.
pub(super) fn all(dir: &Path, layers: &Layers) -> Vec<Advice> {
    let entries = syscall_text::read_dir(dir).unwrap_or_default();
    let of_entry = |entry: &Entry| {
        let name = entry.name.to_string_lossy();
        if entry.kind.is_dir() {
            return folder(dir, &name, layers);
        }
        match name.strip_suffix(".toml") {
            Some(_) => tables(&entry.path, &name),
            None => Vec::new(),
        }
    };
    let mut found: Vec<_> = entries.iter().flat_map(of_entry).collect();
    for path in sbom::candidates(dir).unwrap_or_default() {
        found.extend(lone_sbom(&path, layers));
    }
    found
}

fn folder(dir: &Path, name: &str, layers: &Layers) -> Vec<Advice> {
    let layer = name.strip_suffix(".ignore").unwrap_or(name);
    let path = dir.join(layer);
    if OWN_FILES.contains(&layer) && layers.contains_key(layer) {
        let problem =
            format!("{layer}.toml, a file of the buildpack's own, is this layer's metadata, too");
        return vec![Advice::new(&path, problem, "give the layer another name")];
    }
    let Some(metadata) = layers.get(layer) else {
        if layer != name {
            return Vec::new();
        }
        let problem = format!("has no {name}.toml, so it is in no image, cache or environment");
        let remedy = format!("write {name}.toml with [types], or keep such files out of <layers>");
        return vec![Advice::new(&path, problem, remedy)];
    };
    if !metadata.build {
        return Vec::new();
    }
    ["env", "env.build"]
        .iter()
        .flat_map(|env| odd_env_files(&path.join(env)))
        .collect()
}

fn odd_env_files(dir: &Path) -> Vec<Advice> {
    let entries = syscall_text::read_dir(dir).unwrap_or_default();
    let files = entries.iter().filter(|entry| !entry.kind.is_dir());
    files
        .filter_map(|entry| {
            let name = entry.name.to_str()?;
            let suffix = env::odd_suffix(name)?;
            let problem = format!("sets nothing: \".{suffix}\" is no action");
            let remedy = "use .override, .default, .append or .prepend with .delim, or no suffix";
            Some(Advice::new(&entry.path, problem, remedy))
        })
        .collect()
}

fn tables(path: &Path, name: &str) -> Vec<Advice> {
    let Ok(document) = Document::open(path) else {
        return Vec::new();
    };
    let file = if TABLES.iter().any(|(file, ..)| *file == name) {
        name
    } else {
        "*"
    };
    let mut found = Vec::new();
    for (_, table, keys) in TABLES.iter().filter(|(of, ..)| *of == file) {
        for (key, line) in document.stray_keys(table, keys) {
            // The files of a buildpack's own are read as metadata of layers, too.
            if table.is_empty() && ["types", "metadata"].contains(&key.as_str()) {
                continue;
            }
            let place = if table.is_empty() {
                "here".to_owned()
            } else {
                format!("in {table}")
            };
            let problem = format!("\"{key}\" means nothing {place}");
            let remedy = format!("the keys are {}", keys.join(", "));
            found.push(Advice::new(path, problem, remedy).at(line));
        }
    }
    if file == "launch.toml" {
        found.extend(double_types(path, &document));
        found.extend(absolute_paths(path, &document));
    }
    found.sort_by_key(|advice| advice.line);
    found
}

/// Of two processes of one type in one file the first is lost.
fn double_types(path: &Path, document: &Document) -> Vec<Advice> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (place, process_type) in document.texts("processes", "type") {
        if seen.contains(&process_type) {
            let problem =
                format!("process {process_type:?} is here a second time, and the first is lost");
            let remedy = "give each process of the file a type of its own";
            found.push(Advice::new(path, problem, remedy).at(document.line_of(&place)));
        }
        seen.push(process_type);
    }
    found
}

/// Slices are compared with paths below the app's folder (BPB-049).
fn absolute_paths(path: &Path, document: &Document) -> Vec<Advice> {
    let absolute = document
        .texts("slices", "paths")
        .into_iter()
        .filter(|(_, pattern)| pattern.starts_with('/'));
    absolute
        .map(|(place, pattern)| {
            let problem = format!("slice {pattern:?} takes no file, because it is absolute");
            let remedy = "write it relative to the app's folder";
            Advice::new(path, problem, remedy).at(document.line_of(&place))
        })
        .collect()
}

fn lone_sbom(path: &Path, layers: &Layers) -> Option<Advice> {
    let name = path.file_name()?.to_str()?;
    let layer = name.split('.').next()?;
    if ["launch", "build"].contains(&layer) || layers.contains_key(layer) {
        return None;
    }
    let problem = format!("is ignored: there is no {layer}.toml that it could belong to");
    let remedy = "name it after a layer without a dot in its name, or launch or build";
    Some(Advice::new(path, problem, remedy))
}
