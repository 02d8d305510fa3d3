//! The build BOM of the report (EXP-084).

use std::path::Path;

use buildpack::decode;
use buildpack::group::GroupElement;
use buildpack::sbom::BomEntry;
use platform::PlatformApi;
use serde::Deserialize;

/// Returns the build BOM for the report; from 0.9 on it is in the layers directory instead (COM-078).
pub(crate) fn read(
    api: PlatformApi,
    layers_dir: &Path,
    modules: &[GroupElement],
) -> anyhow::Result<Vec<BomEntry>> {
    let mut bom = Vec::new();
    if api.has_legacy_bom_files() {
        return Ok(bom);
    }
    for module in modules {
        let path = layers_dir.join(module.escaped_id()).join("build.toml");
        match decode::from_file::<BuildToml>(&path) {
            Ok(build) => bom.extend(build.bom.into_iter().map(|entry| BomEntry {
                buildpack: GroupElement {
                    id: module.id.clone(),
                    version: module.version.clone(),
                    ..GroupElement::default()
                },
                ..entry
            })),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bom)
}

/// What counts here of `build.toml`.
#[derive(Debug, Default, Deserialize)]
struct BuildToml {
    #[serde(default)]
    bom: Vec<BomEntry>,
}
