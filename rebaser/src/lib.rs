//! The rebaser: an app image on another run image, nothing built again (platform.md, rebaser).
//!
//! ```text
//! app image ─┬─ layers of its run image ─► dropped
//!            ├─ layers above ────────────────────────┐
//!            └─ config, labels ─► checks ─► updated ─┼─► output, more outputs, report.toml
//! new run image ─┬─ target, stack ──┘                │
//!                └─ layers ──────────────────────────┘
//! ```
//!
//! Obeys REB-001 to REB-025. Layout mode is ours: the reference rebases in registries and daemons only. The blobs of the
//! app's layers are linked, copied or mounted, never packed again; in layouts, blobs of either run image may be absent.

mod app;
pub mod command;
mod labels;
mod validation;

use anyhow::{Context as _, bail};
use layout::config::CREATED;
use layout::{DiffId, History, Image, ImageConfig, ImageEditor};
use platform::files::Report;
use platform::files::analyzed::RebaseMetadata;
use platform::output::{self, Output};
use platform::{ExitCode, Failure, PlatformApi};

/// What the rebaser works on.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// The image to rebase.
    pub app: &'a Image,
    /// What its label says of its layers and its run image.
    pub metadata: RebaseMetadata,
    /// The new run image.
    pub run_image: RunImage<'a>,
    /// Rebase though the images say that they do not fit.
    pub force: bool,
    /// Where the image goes.
    pub output: &'a Output,
    /// Where it goes as well.
    pub additional: &'a [Output],
}

/// A run image by its name.
#[derive(Clone, Debug)]
pub struct RunImage<'a> {
    /// Its name, which the app image should know.
    pub name: String,
    /// Its reference with digest, for the label.
    pub reference: String,
    /// The image.
    pub image: &'a Image,
}

/// What the rebaser says of what it did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// For `report.toml`.
    pub report: Report,
}

/// Rebases. Until the new image is committed, every image is as it was.
pub fn run(inputs: Inputs<'_>) -> Result<Outputs, Failure> {
    rebase(inputs)
        .map(|report| Outputs { report })
        .map_err(|cause| Failure::new(ExitCode::Rebase, "rebase", cause))
}

fn rebase(inputs: Inputs<'_>) -> anyhow::Result<Report> {
    let _timer = platform::log::timer("Rebaser");
    let (app, run_image) = (inputs.app, &inputs.run_image);
    validation::validate(app.config(), run_image.image.config(), inputs.force)?;

    let mut metadata = inputs.metadata;
    let mut editor = ImageEditor::from_base(app);
    editor
        .rebase(&old_top_layer(&metadata)?, run_image.image)
        .context("rebase app image")?;
    let top_layer = run_image.image.top_layer();
    let top_layer = top_layer.context("get rebase run image top layer SHA: it has no layers")?;
    let record = &mut metadata.layers.run_image;
    record.top_layer = top_layer.to_string();
    record.reference.clone_from(&run_image.reference);
    if inputs.api.has_base_labels() {
        labels::check_name(&mut metadata.layers, &run_image.name, inputs.force)?;
    }

    let config = editor.config_mut();
    let new_base = run_image.image.config();
    labels::update(config, new_base, inputs.api, &metadata);
    set_created(config);
    let draft = inputs.output.draft()?;
    output::save(editor, draft, inputs.output, inputs.additional)?.report()
}

/// Returns the diffID of the last layer of the run image that the app image stands on.
fn old_top_layer(metadata: &RebaseMetadata) -> anyhow::Result<DiffId> {
    let top = &metadata.layers.run_image.top_layer;
    let Ok(digest) = top.parse() else {
        bail!(
            "rebase app image: could not find base layer in image: label {} names '{top}'",
            platform::labels::LIFECYCLE_METADATA
        );
    };
    Ok(DiffId(digest))
}

/// Dates image and history; nothing but the date is left of an entry (REB-023).
fn set_created(config: &mut ImageConfig) {
    let created = Some(CREATED.to_owned());
    let entry = History {
        created: created.clone(),
        ..History::default()
    };
    config.created = created;
    config.history = vec![entry; config.diff_ids.len()];
}
