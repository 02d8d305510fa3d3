//! Where an image goes: into a layout, a registry or a daemon, and to its further names (EXP-082 to EXP-084, EXP-088,
//! REB-025, LAY-022 to LAY-028).
//!
//! Exporter and rebaser end in the same way: the same lines in the log, the same report.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use daemon::Engine;
use layout::editor::{CommitOptions, Committed};
use layout::name::{Identifier, ParseError};
use layout::{Digest, Draft, Image, ImageEditor, Layout, Reference, Selector, store};
use registry::Client;

use crate::files::Report;
use crate::{images, log};

/// Where an image goes.
#[derive(Clone, Debug)]
pub struct Output {
    /// As logs and reports show it.
    name: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// The layout, and the tag, or the digest of a name by digest (LAY-024).
    Layout(Layout, String),
    Registry(Client, Reference),
    Daemon(Engine, Reference),
}

impl Output {
    /// Returns a place in a layout, by the name that the image has there.
    pub fn in_layout(layout: Layout, ref_name: &str) -> Self {
        Self {
            name: layout.path().display().to_string(),
            place: Place::Layout(layout, ref_name.to_owned()),
        }
    }

    /// Returns the place of a name under a layout directory (LAY-005 to LAY-007: an output is always mapped).
    pub fn named(name: &str, layout_dir: &Path) -> Result<Self, ParseError> {
        let reference = Reference::parse(name)?;
        let layout = Layout::at(reference.layout_path(layout_dir));
        Ok(Self::in_layout(layout, reference.identifier()))
    }

    /// Returns the place of a name in its registry.
    pub fn in_registry(client: Client, name: &str, reference: Reference) -> Self {
        Self {
            name: name.to_owned(),
            place: Place::Registry(client, reference),
        }
    }

    /// Returns the place of a name in a daemon.
    pub fn in_daemon(engine: Engine, name: &str, reference: Reference) -> Self {
        Self {
            name: name.to_owned(),
            place: Place::Daemon(engine, reference),
        }
    }

    /// Returns the directory of the layout, if it is one.
    pub fn layout_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Layout(layout, _) => Some(layout.path()),
            _ => None,
        }
    }

    /// Begins to write there.
    pub fn draft(&self) -> Result<Box<dyn Draft>, store::Error> {
        match &self.place {
            Place::Layout(layout, _) => Ok(layout.update()?.into()),
            Place::Registry(client, name) => Ok(client.push(name).into()),
            Place::Daemon(engine, name) => Ok(engine.draft(name)?.into()),
        }
    }

    /// Returns the image that was just written there, by the digest of its manifest.
    pub fn written(&self, manifest: &Digest) -> anyhow::Result<Image> {
        let image = match &self.place {
            Place::Layout(layout, _) => layout.image(&Selector {
                digest: Some(manifest.clone()),
                ..Selector::default()
            })?,
            Place::Registry(client, name) => {
                let exact = Reference {
                    identifier: Identifier::Digest(manifest.to_string()),
                    ..name.clone()
                };
                client.image(&exact, &Selector::default())?
            }
            Place::Daemon(engine, name) => engine.image(&name.name(), None)?,
        };
        image.with_context(|| format!("{} is gone again", self.name))
    }

    /// Gives an image of the same store this name, too.
    fn take(&self, image: &Image) -> anyhow::Result<()> {
        match &self.place {
            Place::Layout(layout, ref_name) => layout.copy_from(image, ref_name)?,
            Place::Registry(client, name) => client.copy(image, name)?,
            Place::Daemon(engine, name) => engine.tag(image.digest(), name)?,
        }
        Ok(())
    }

    /// `app` and `app:latest` are the same place.
    fn is(&self, other: &Self) -> bool {
        match (&self.place, &other.place) {
            (Place::Layout(one, _), Place::Layout(other, _)) => one.path() == other.path(),
            (Place::Registry(_, one), Place::Registry(_, other))
            | (Place::Daemon(_, one), Place::Daemon(_, other)) => one == other,
            _ => false,
        }
    }
}

/// Commits the image, and gives it its other names. If one of those fails the others stay (EXP-083).
pub fn save(
    editor: ImageEditor,
    draft: Box<dyn Draft>,
    output: &Output,
    additional: &[Output],
) -> anyhow::Result<Saved> {
    let name = &output.name;
    let _timer = log::timer(&format!("Saving {name}..."));
    tracing::info!("Saving {name}...");
    let options = CommitOptions {
        ref_name: match &output.place {
            Place::Layout(_, ref_name) => ref_name.clone(),
            _ => String::new(),
        },
        sparse: false,
    };
    let committed = editor.commit(draft, &options)?;
    let written = Written::of(output, &committed, additional)?;

    tracing::info!("*** Images ({}):", written.shown());
    tracing::info!("      {name}");
    let mut tags = vec![name.clone()];
    let mut failed = Vec::new();
    for (name, copied) in &written.copies {
        match copied {
            Ok(()) => {
                tracing::info!("      {name}");
                tags.push(name.clone());
            }
            Err(error) => {
                tracing::info!("      {name} - {error:#}");
                failed.push(format!("[{name}: {error:#}]"));
            }
        }
    }
    let report = written.report(tags);
    if !committed.missing.is_empty() {
        let count = committed.missing.len();
        tracing::info!(
            "The image is sparse: {count} layer(s) of the run image are not in its layout, and not in this one"
        );
    }
    Ok(Saved {
        digest: committed.digest,
        report,
        failed,
    })
}

/// An image that has its name, but maybe not all of its other names.
#[derive(Debug)]
pub struct Saved {
    /// Of the manifest.
    pub digest: Digest,
    report: Report,
    failed: Vec<String>,
}

impl Saved {
    /// Returns the report; an error where a name could not be written.
    pub fn report(self) -> anyhow::Result<Report> {
        if self.failed.is_empty() {
            return Ok(self.report);
        }
        let failed = self.failed.join(",");
        Err(anyhow!(
            "failed to write image to the following tags: {failed}"
        ))
    }
}

/// What was written, and what became of the other names.
struct Written<'a> {
    output: &'a Output,
    committed: &'a Committed,
    /// What a daemon calls it by.
    id: Option<Digest>,
    copies: Vec<(String, anyhow::Result<()>)>,
}

impl<'a> Written<'a> {
    fn of(
        output: &'a Output,
        committed: &'a Committed,
        additional: &[Output],
    ) -> anyhow::Result<Self> {
        let in_daemon = matches!(output.place, Place::Daemon(..));
        let image = if additional.is_empty() && !in_daemon {
            None
        } else {
            Some(output.written(&committed.digest)?)
        };
        let take = |other: &Output| match &image {
            Some(image) if !other.is(output) => other.take(image),
            _ => Ok(()),
        };
        let copies = additional.iter().map(|it| (it.name.clone(), take(it)));
        Ok(Self {
            copies: copies.collect(),
            id: image.filter(|_| in_daemon).map(|it| it.digest().clone()),
            output,
            committed,
        })
    }

    /// Returns what the image is called by in the log.
    fn shown(&self) -> String {
        let digest = &self.committed.digest;
        match (&self.output.place, &self.id) {
            (Place::Layout(..), _) => format!("{}@{digest}", self.output.name),
            (_, Some(id)) => images::bare(id).chars().take(12).collect(),
            (_, None) => digest.to_string(),
        }
    }

    fn report(&self, tags: Vec<String>) -> Report {
        let committed = self.committed;
        let mut report = Report {
            tags,
            manifest_size: committed.manifest_size,
            ..Report::default()
        };
        match (&self.output.place, &self.id) {
            (_, Some(id)) => {
                report.image_id = images::bare(id);
                tracing::debug!("\n*** Image ID: {}", report.image_id);
            }
            (Place::Registry(..), _) => {
                report.digest = committed.digest.to_string();
                tracing::debug!("\n*** Digest: {}", report.digest);
            }
            _ => report.digest = committed.digest.to_string(),
        }
        tracing::debug!("\n*** Manifest Size: {}", report.manifest_size);
        report
    }
}
