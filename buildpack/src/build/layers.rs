//! Layer folders after `bin/build`: each `*.toml` is read as layer metadata, ignored layers are set aside (BPB-021 to BPB-025).

use std::io;
use std::path::Path;

use crate::fault::{Advice, Fault};
use crate::layer::{self, LayerMetadata};
use crate::syscall_text;

/// Scans every `*.toml`, `launch.toml` and its kin included, and renames the folders of ignored layers.
/// Returns name and metadata in the order of the file names.
pub(super) fn scan(layers: &Path) -> Result<Vec<(String, LayerMetadata)>, Fault> {
    found_in(layers).map_err(|fault| fault.context("failed to process buildpack layer"))
}

fn found_in(layers: &Path) -> Result<Vec<(String, LayerMetadata)>, Fault> {
    let mut found = Vec::new();
    let entries = syscall_text::read_dir_if_present(layers).map_err(|e| unreadable(layers, &e))?;
    for entry in entries.iter().filter(|entry| !entry.kind.is_dir()) {
        let name = entry.name.to_string_lossy();
        // A file called ".toml" would make a layer of the whole folder.
        let Some(layer) = name.strip_suffix(".toml").filter(|layer| !layer.is_empty()) else {
            continue;
        };
        let metadata =
            LayerMetadata::read(&entry.path).map_err(|e| bad_metadata(&entry.path, &e))?;
        if metadata.is_ignored() {
            set_aside(layers, layer)
                .map_err(|fault| fault.context("failed to rename layer directory"))?;
        }
        found.push((layer.to_owned(), metadata));
    }
    Ok(found)
}

fn unreadable(path: &Path, error: &syscall_text::Error) -> Fault {
    let problem = format!("cannot be read: {}", syscall_text::reason(&error.cause));
    let remedy =
        "leave the folder of the buildpack's layers a folder that the building user may read";
    Fault::new(error, Advice::new(path, problem, remedy))
}

fn bad_metadata(path: &Path, error: &layer::Error) -> Fault {
    let name = path.file_name().unwrap_or_default().display();
    let advice = |problem: &str, remedy: String| Advice::new(path, problem, remedy);
    let advice = match error {
        layer::Error::Encode(error) => advice(&error.to_string(), format!("correct {name}")),
        layer::Error::TopLevelFlag { key, line, .. } => advice(
            &format!("\"{key}\" stands outside of the table [types]"),
            format!("write a line [types] above {key}"),
        )
        .at(*line),
        layer::Error::Decode(error) => advice(
            &error.problem,
            format!("correct {name}: it is read as TOML, and build, launch and cache below [types] are true or false"),
        )
        .at(error.line),
        layer::Error::Io(error) => advice(
            &format!("cannot be read: {}", syscall_text::reason(&error.cause)),
            format!("make {name} a file that the building user may read"),
        ),
    };
    Fault::new(error, advice).context("failed to decode layer metadata file")
}

/// Renames `<layer>` to `<layer>.ignore`; a missing one is fine.
fn set_aside(layers: &Path, layer: &str) -> Result<(), Fault> {
    let (dir, target) = (layers.join(layer), layers.join(format!("{layer}.ignore")));
    match fs_err::rename(&dir, &target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let reason = syscall_text::reason(&error);
            let text = format!("rename {} {}: {reason}", dir.display(), target.display());
            let problem = format!(
                "{layer}.toml sets none of build, launch and cache, but the folder cannot be renamed to {layer}.ignore: {reason}"
            );
            let remedy = format!(
                "to keep the layer, set one of them below [types]; else remove {layer} or {layer}.ignore before bin/build ends"
            );
            Err(Fault::new(text, Advice::new(&dir, problem, remedy)))
        }
        _ => Ok(()),
    }
}
