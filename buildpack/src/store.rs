//! `store.toml`: what a buildpack keeps between builds (BPB-051).

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::layer::Error;
use crate::{decode, encode};

/// Reads the `[metadata]` of `<dir>/store.toml`; `None` when the file is absent.
pub fn read(buildpack_layers_dir: &Path) -> Result<Option<toml::Table>, Error> {
    match decode::from_file::<Store>(&buildpack_layers_dir.join(FILE)) {
        Err(error) if error.is_not_found() => Ok(None),
        other => Ok(Some(other?.metadata)),
    }
}

/// Writes `<dir>/store.toml`, making the folder.
pub fn write(buildpack_layers_dir: &Path, metadata: &toml::Table) -> Result<(), Error> {
    let store = Store {
        metadata: metadata.clone(),
    };
    Ok(encode::to_file(&buildpack_layers_dir.join(FILE), &store)?)
}

const FILE: &str = "store.toml";

#[derive(Default, Deserialize, Serialize)]
struct Store {
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    metadata: toml::Table,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_metadata_table_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let bp = dir.path().join("acme_java");
        assert_eq!(read(&bp).unwrap(), None);
        let text = "[metadata]\n  count = 3\n  [metadata.sub]\n    a = \"b\"\n";
        fs_err::create_dir(&bp).unwrap();
        fs_err::write(bp.join(FILE), format!("top = 1\n{text}[other]\n")).unwrap();
        let kept = read(&bp).unwrap().unwrap();
        let copy = dir.path().join("new/deeper");
        write(&copy, &kept).unwrap();
        assert_eq!(fs_err::read_to_string(copy.join(FILE)).unwrap(), text);
    }

    #[test]
    fn an_empty_store_is_an_empty_file() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &toml::Table::new()).unwrap();
        assert_eq!(fs_err::read(dir.path().join(FILE)).unwrap(), b"");
        assert_eq!(read(dir.path()).unwrap(), Some(toml::Table::new()));
    }
}
