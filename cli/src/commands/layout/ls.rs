//! `slipway layout ls`: what a layout holds, for people and for programs.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use layout::index::Entry;
use layout::manifest::Platform;
use layout::{Image, Layout};
use serde::Serialize;

use crate::text::{Format, printable, size};

/// List the images of a layout and their layers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway layout ls my-app
  slipway layout ls my-app --output json")]
pub(crate) struct Args {
    /// Directory of the layout
    dir: PathBuf,
    /// How to print it
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let dir = &args.dir;
    let layout = Layout::at(dir);
    let entries = layout.images()?.ok_or_else(|| super::absent(dir))?;
    let images = entries
        .iter()
        .map(|entry| Listed::new(&layout, entry))
        .collect::<anyhow::Result<Vec<_>>>()?;
    match args.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&images)?)?,
        Format::Text if images.is_empty() => writeln!(out, "{} holds no image", dir.display())?,
        Format::Text => images.iter().try_for_each(|image| image.print(out))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An image as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    ref_name: Option<String>,
    digest: String,
    size: u64,
    platform: Option<Platform>,
    /// False for an image that the index lists although its manifest is elsewhere.
    present: bool,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    digest: String,
    media_type: String,
    size: u64,
    diff_id: String,
    created_by: Option<String>,
    /// False for a layer that a sparse image leaves out.
    present: bool,
}

impl Listed {
    fn new(layout: &Layout, entry: &Entry) -> anyhow::Result<Self> {
        let descriptor = &entry.descriptor;
        let blobs = layout.blobs();
        let present = blobs.path(&descriptor.digest).is_some();
        let layers = if present {
            let image = entry.open(blobs);
            layers(&image.with_context(|| format!("failed to open image {}", descriptor.digest))?)
        } else {
            Vec::new()
        };
        Ok(Self {
            ref_name: entry.ref_name.clone(),
            digest: descriptor.digest.to_string(),
            size: descriptor.size,
            platform: entry.platform.clone(),
            present,
            layers,
        })
    }

    fn print(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let name = self.ref_name.as_deref().unwrap_or("(no name)");
        let platform = self.platform.clone().unwrap_or_default();
        let absent = if self.present {
            ""
        } else {
            "  (not in this layout)"
        };
        writeln!(
            out,
            "{}  {}  {platform}{absent}",
            printable(name),
            self.digest
        )?;
        for (number, layer) in self.layers.iter().enumerate() {
            let created_by = layer.created_by.as_deref().unwrap_or_default();
            let absent = if layer.present { "" } else { "  (left out)" };
            writeln!(
                out,
                "{number:>4}  {:>9}  {}  {}{absent}",
                size(layer.size),
                layer.diff_id,
                printable(created_by)
            )?;
        }
        Ok(())
    }
}

fn layers(image: &Image) -> Vec<Layer> {
    let config = image.config();
    let mut history: Vec<_> = config.history.iter().filter(|it| !it.empty_layer).collect();
    if history.len() != image.diff_ids().len() {
        history.clear();
    }
    let created_by = |number: usize| {
        let entry = history.get(number)?;
        (!entry.created_by.is_empty()).then(|| entry.created_by.clone())
    };
    let layer =
        |(number, (diff_id, layer)): (usize, (&layout::DiffId, &layout::Descriptor))| Layer {
            digest: layer.digest.to_string(),
            media_type: layer.media_type.to_string(),
            size: layer.size,
            diff_id: diff_id.to_string(),
            created_by: created_by(number),
            present: image.blobs().path(&layer.digest).is_some(),
        };
    image.layers().enumerate().map(layer).collect()
}
