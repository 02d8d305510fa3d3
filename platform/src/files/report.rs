//! `report.toml` (COM-078, EXP-084).

use std::path::Path;

use buildpack::sbom::BomEntry;

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Build BOM entries, below 0.9 only.
    pub build_bom: Vec<BomEntry>,
    /// Names or paths, in argument order.
    pub tags: Vec<String>,
    /// Image id, from a daemon only.
    pub image_id: String,
    /// Manifest digest.
    pub digest: String,
    /// Bytes of the manifest.
    pub manifest_size: u64,
}

/// Writes the file, whole or not at all.
pub fn write(path: &Path, report: &Report) -> anyhow::Result<()> {
    let _ = (path, report);
    todo!()
}
