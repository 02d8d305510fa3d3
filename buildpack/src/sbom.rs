//! Software bills of materials by media type (BPB-056 to BPB-061), and the older `[[bom]]` tables (BPB-052 to BPB-055).

use serde::{Deserialize, Serialize};

use crate::group::GroupElement;

/// File name extensions of SBOMs, in the reference's order: cdx, spdx, syft.
pub const EXTENSIONS: [&str; 3] = ["sbom.cdx.json", "sbom.spdx.json", "sbom.syft.json"];

/// An entry of a `[[bom]]` table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BomEntry {
    /// Name of the dependency.
    #[serde(default)]
    pub name: String,
    /// Free-form.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    pub metadata: toml::Table,
    /// Who wrote it.
    #[serde(default)]
    pub buildpack: GroupElement,
}
