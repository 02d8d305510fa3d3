//! The finished image becomes part of one layout, and of one more per further name (EXP-082 to EXP-084, LAY-022 to LAY-028).

use std::path::Path;

use anyhow::{Context as _, anyhow};
use buildpack::decode;
use buildpack::group::GroupElement;
use buildpack::sbom::BomEntry;
use layout::editor::{CommitOptions, Committed};
use layout::{Layout, Selector};
use platform::PlatformApi;
use platform::files::Report;
use serde::Deserialize;

use crate::app_image::AppImage;

/// Where an image goes.
#[derive(Clone, Debug)]
pub struct Output {
    /// The layout.
    pub layout: Layout,
    /// The tag, or the digest of a name by digest (LAY-024).
    pub ref_name: String,
}

impl Output {
    fn name(&self) -> String {
        self.layout.path().display().to_string()
    }
}

/// Commits the image, and copies it to where the other names are. If one of those fails the others stay (EXP-083).
pub(crate) fn save(
    image: AppImage<'_>,
    output: &Output,
    additional: &[Output],
) -> anyhow::Result<Report> {
    let name = output.name();
    let _timer = platform::log::timer(&format!("Saving {name}..."));
    tracing::info!("Saving {name}...");
    let options = CommitOptions {
        ref_name: output.ref_name.clone(),
        sparse: false,
    };
    let committed = image.editor.commit(image.update, &options)?;
    let copies = copy_all(output, &committed, additional)?;

    tracing::info!("*** Images ({name}@{}):", committed.digest);
    tracing::info!("      {name}");
    let mut report = Report {
        tags: vec![name],
        digest: committed.digest.to_string(),
        manifest_size: committed.manifest_size,
        ..Report::default()
    };
    let mut failed = Vec::new();
    for (name, copied) in copies {
        match copied {
            Ok(()) => {
                tracing::info!("      {name}");
                report.tags.push(name);
            }
            Err(error) => {
                tracing::info!("      {name} - {error:#}");
                failed.push(format!("{name}: {error:#}"));
            }
        }
    }
    tracing::debug!("\n*** Manifest Size: {}", committed.manifest_size);
    if !committed.missing.is_empty() {
        let count = committed.missing.len();
        tracing::info!(
            "The image is sparse: {count} layer(s) of the run image are not in its layout, and not in this one"
        );
    }
    if failed.is_empty() {
        Ok(report)
    } else {
        Err(anyhow!("failed to save {}", failed.join("; ")))
    }
}

fn copy_all(
    output: &Output,
    committed: &Committed,
    additional: &[Output],
) -> anyhow::Result<Vec<(String, anyhow::Result<()>)>> {
    if additional.is_empty() {
        return Ok(Vec::new());
    }
    let selector = Selector {
        digest: Some(committed.digest.clone()),
        ..Selector::default()
    };
    let image = output.layout.image(&selector)?;
    let image = image.with_context(|| format!("{} is gone again", output.name()))?;
    let copies = additional.iter().map(|other| {
        // `app` and `app:latest` are the same place.
        let copied = if other.layout.path() == output.layout.path() {
            Ok(())
        } else {
            other.layout.copy_from(&image, &other.ref_name)
        };
        (other.name(), copied.map_err(anyhow::Error::from))
    });
    Ok(copies.collect())
}

/// Returns the build BOM for the report; from 0.9 on it is in the layers directory instead (COM-078).
pub(crate) fn build_bom(
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
