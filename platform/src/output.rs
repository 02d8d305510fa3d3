//! Where an image goes: into one layout, and into one more per further name (EXP-082 to EXP-084, REB-025, LAY-022 to LAY-028).
//!
//! Exporter and rebaser end in the same way: the same lines in the log, the same report.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use layout::editor::{CommitOptions, Committed};
use layout::name::ParseError;
use layout::{Draft, ImageEditor, Layout, Reference, Selector};

use crate::files::Report;
use crate::log;

/// Where an image goes.
#[derive(Clone, Debug)]
pub struct Output {
    /// The layout.
    pub layout: Layout,
    /// The tag, or the digest of a name by digest (LAY-024).
    pub ref_name: String,
}

impl Output {
    /// Returns the place of a name under a layout directory (LAY-005 to LAY-007: an output is always mapped).
    pub fn named(name: &str, layout_dir: &Path) -> Result<Self, ParseError> {
        let reference = Reference::parse(name)?;
        Ok(Self {
            layout: Layout::at(reference.layout_path(layout_dir)),
            ref_name: reference.identifier().to_owned(),
        })
    }

    /// Begins to write there.
    pub fn draft(&self) -> Result<Box<dyn Draft>, layout::store::Error> {
        Ok(self.layout.update()?.into())
    }

    fn name(&self) -> String {
        self.layout.path().display().to_string()
    }
}

/// Commits the image, and copies it to where the other names are. If one of those fails the others stay (EXP-083).
pub fn save(
    editor: ImageEditor,
    draft: Box<dyn Draft>,
    output: &Output,
    additional: &[Output],
) -> anyhow::Result<Report> {
    let name = output.name();
    let _timer = log::timer(&format!("Saving {name}..."));
    tracing::info!("Saving {name}...");
    let options = CommitOptions {
        ref_name: output.ref_name.clone(),
        sparse: false,
    };
    let committed = editor.commit(draft, &options)?;
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
                failed.push(format!("[{name}: {error:#}]"));
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
        let failed = failed.join(",");
        Err(anyhow!(
            "failed to write image to the following tags: {failed}"
        ))
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
