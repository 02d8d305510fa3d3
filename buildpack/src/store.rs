//! `store.toml`: what a buildpack keeps between builds (BPB-051).

use std::path::Path;

/// Reads the `[metadata]` of `<dir>/store.toml`; `None` when the file is absent.
pub fn read(buildpack_layers_dir: &Path) -> Result<Option<toml::Table>, crate::layer::Error> {
    let _ = buildpack_layers_dir;
    todo!()
}

/// Writes `<dir>/store.toml`, making the folder.
pub fn write(
    buildpack_layers_dir: &Path,
    metadata: &toml::Table,
) -> Result<(), crate::layer::Error> {
    let _ = (buildpack_layers_dir, metadata);
    todo!()
}
