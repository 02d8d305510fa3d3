//! The exporter phase: layers and app become an image (platform.md, exporter).
//!
//! ```text
//! run image ─► launch layers of buildpacks ─► SBOM ─► app slices ─► launcher, config, process types ─► labels, env,
//!                                                                                                       entrypoint
//! <layers> ────────────────┴──────────────────────► build cache                                             │
//!                                                                 layout, registry, daemon ◄─ commit ◄──────┘
//! ```
//!
//! Obeys EXP-001 to EXP-088, but that layers of image extensions are refused. Until [`run`] commits, what is there of
//! image and cache is as it was. `-parallel` sends a cache image at the same time as the app image; a cache in a
//! directory is filled from what is read for the app image anyway.

mod ahead;
mod app_image;
mod build_bom;
mod buildpack_dir;
mod cached_layers;
pub mod command;
mod config;
pub mod created;
mod labels;
mod launch_cache;
mod launcher;
mod layers;
#[cfg(test)]
#[path = "../tests/it/log.rs"]
mod log;
mod pattern;
mod sbom;
mod slices;

use std::path::Path;
use std::thread;

use anyhow::Context as _;
use buildpack::group::GroupElement;
use cache::{Cache, CacheMetadata, VolumeCache};
use layout::layer::{Compression, Layer, Owner, WriteOptions};
use layout::{Image, ImageEditor};
use platform::files::metadata::LauncherRecord;
use platform::files::{
    BuildMetadata, LayersMetadata, ProjectMetadata, Report, RunImageForExport, metadata,
};
use platform::output::{self, Output};
use platform::{ExitCode, Failure, PlatformApi};

use crate::ahead::{Ahead, Promise};
use crate::app_image::{Added, AppImage};
use crate::buildpack_dir::BuildpackDir;
use crate::cached_layers::{AppLayers, Filling};
use crate::launch_cache::LaunchCache;
use crate::slices::AppLayer;

/// What the exporter works on.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// Platform API in force.
    pub api: PlatformApi,
    /// Buildpacks of the group.
    pub buildpacks: &'a [GroupElement],
    /// Metadata of the previous image.
    pub before: &'a LayersMetadata,
    /// The image that layers are taken from where they did not change.
    pub previous_image: Option<&'a Image>,
    /// The image that the app image is based on.
    pub run_image: &'a Image,
    /// Its reference with digest, for the label.
    pub run_image_reference: String,
    /// Its name and mirrors, for the label.
    pub run_image_record: RunImageForExport,
    /// Where the source came from.
    pub project: &'a ProjectMetadata,
    /// What the label says of the launcher.
    pub launcher: &'a LauncherRecord,
    /// `<layers>`, absolute.
    pub layers_dir: &'a Path,
    /// The app, absolute.
    pub app_dir: &'a Path,
    /// The launcher.
    pub launcher_path: &'a Path,
    /// Where the launcher's SBOMs are.
    pub launcher_sbom_dir: &'a Path,
    /// Who owns what comes from layers and app.
    pub owner: Owner,
    /// Process type to start, if the platform asked for one.
    pub process_type: Option<&'a str>,
    /// Value of `CNB_EXEC_ENV`.
    pub exec_env: &'a str,
    /// RFC 3339 time that the image says it was made at.
    pub created: &'a str,
    /// Where the image goes.
    pub output: &'a Output,
    /// Where it goes as well.
    pub additional: &'a [Output],
    /// The build cache, if there is one.
    pub cache: Option<Cache>,
    /// What a daemon would give back slowly, if there is such a cache.
    pub launch_cache: Option<VolumeCache>,
    /// Export app image and cache image at the same time.
    pub parallel: bool,
    /// How layers are compressed.
    pub compression: Compression,
}

/// What the exporter says of what it did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outputs {
    /// For `report.toml`.
    pub report: Report,
}

/// Exports: the image first, then the cache, whose errors are only warnings (EXP-085).
pub fn run(mut inputs: Inputs<'_>) -> Result<Outputs, Failure> {
    let cache = inputs.cache.take().map(Filling::new).transpose();
    let launch_cache = inputs.launch_cache.take().map(LaunchCache::new);
    let inputs = inputs;
    let fail = |cause| Failure::new(ExitCode::Export, "export", cause);
    let (report, cached) = match cache {
        Ok(Some(filling)) if inputs.parallel && !filling.has_taps() => {
            at_once(&inputs, filling, launch_cache).map_err(fail)?
        }
        Ok(mut filling) => {
            let (exported, dirs) = export(&inputs, filling.as_mut(), launch_cache).map_err(fail)?;
            let cached = filling.map_or(Ok(()), |mut filling| {
                let _timer = platform::log::timer("Cache");
                let metadata = fill(&inputs, &mut filling, &dirs, Some(&exported.app))?;
                filling.commit(&metadata)
            });
            (exported.report, cached)
        }
        Err(error) => {
            let (exported, _) = export(&inputs, None, launch_cache).map_err(fail)?;
            (exported.report, Err(error))
        }
    };
    if let Err(error) = cached {
        tracing::warn!("Failed to export cache: {error:#}");
    }
    Ok(Outputs { report })
}

/// Exports image and cache image at the same time; the cache is committed once there is an image.
fn at_once(
    inputs: &Inputs<'_>,
    mut filling: Filling,
    launch_cache: Option<LaunchCache>,
) -> anyhow::Result<(Report, anyhow::Result<()>)> {
    let (exported, filled) = thread::scope(|scope| {
        let filled = scope.spawn(|| {
            let _timer = platform::log::timer("Cache");
            let read = |module| BuildpackDir::read(inputs.layers_dir, module);
            let dirs: Vec<_> = inputs
                .buildpacks
                .iter()
                .map(read)
                .collect::<Result<_, _>>()?;
            fill(inputs, &mut filling, &dirs, None)
        });
        let exported = export(inputs, None, launch_cache);
        let filled = filled.join();
        let filled = filled.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (exported, filled)
    });
    let (exported, _) = exported?;
    let cached = filled.and_then(|metadata| filling.commit(&metadata));
    Ok((exported.report, cached))
}

fn fill(
    inputs: &Inputs<'_>,
    filling: &mut Filling,
    dirs: &[BuildpackDir],
    app: Option<&AppLayers<'_>>,
) -> anyhow::Result<CacheMetadata> {
    filling.fill(inputs.api, inputs.layers_dir, dirs, inputs.owner, app)
}

/// An app image that is in its store.
struct Exported<'a> {
    report: Report,
    app: AppLayers<'a>,
}

fn export<'a>(
    inputs: &Inputs<'a>,
    filling: Option<&mut Filling>,
    launch_cache: Option<LaunchCache>,
) -> anyhow::Result<(Exported<'a>, Vec<BuildpackDir>)> {
    let _timer = platform::log::timer("Exporter");
    if inputs.api.has_lifecycle_sbom() {
        sbom::copy_own(inputs.layers_dir, inputs.launcher_sbom_dir)
            .context("failed to copy SBOMs of lifecycle and launcher")?;
    }
    let top_layer = inputs.run_image.top_layer().with_context(|| {
        format!(
            "get run image top layer SHA: {} has no layers",
            inputs.run_image_reference
        )
    })?;
    let build = metadata::read(inputs.layers_dir)
        .map_err(|failure| failure.error.context("read build metadata"))?;

    let mut record = LayersMetadata::default();
    record.run_image.top_layer = top_layer.to_string();
    record
        .run_image
        .reference
        .clone_from(&inputs.run_image_reference);
    if inputs.api.has_run_toml() {
        record.run_image.image = inputs.run_image_record.clone();
    }
    // Older readers look for the run image here.
    record.stack = Some(inputs.run_image_record.clone());

    let mut image = AppImage::new(
        ImageEditor::from_base(inputs.run_image),
        inputs.output.draft()?,
        inputs.previous_image,
        WriteOptions {
            compression: inputs.compression,
            ..WriteOptions::default()
        },
        launch_cache,
    );
    let dirs = add_layers(inputs, &build, &mut image, &mut record, filling)?;
    configure(inputs, &build, &record, &mut image)?;
    let build_bom = build_bom::read(inputs.api, inputs.layers_dir, inputs.buildpacks)?;
    let AppImage {
        editor,
        draft,
        launch_cache,
        ..
    } = image;
    let saved = output::save(editor, draft, inputs.output, inputs.additional)?;
    if let Some(cache) = launch_cache {
        cache.commit();
    }
    let app = AppLayers::new(inputs.output, &saved.digest, record);
    let report = Report {
        build_bom,
        ..saved.report()?
    };
    Ok((Exported { report, app }, dirs))
}

/// Adds all layers in their order (EXP-009).
fn add_layers(
    inputs: &Inputs<'_>,
    build: &BuildMetadata,
    image: &mut AppImage<'_>,
    record: &mut LayersMetadata,
    filling: Option<&mut Filling>,
) -> anyhow::Result<Vec<BuildpackDir>> {
    // A cache image gets its layers by itself.
    let mut filling = filling.filter(|it| it.has_taps());
    let (before, owner) = (inputs.before, inputs.owner);
    let app_before: Vec<&str> = before.app.iter().map(String::as_str).collect();
    let is_app_compared = image.is_hopeful(&app_before);
    thread::scope(|scope| {
        let ahead = Ahead::start(scope)?;
        let mut begun = Vec::new();
        for module in inputs.buildpacks {
            let dir = BuildpackDir::read(inputs.layers_dir, module);
            let contents = dir
                .as_ref()
                .map(|dir| layers::begin(&ahead, image, dir, before, owner, filling.as_deref()));
            let contents = contents.unwrap_or_default();
            begun.push((dir, contents));
        }
        let (app_dir, slices) = (inputs.app_dir, &build.slices);
        let app = ahead.begin(move || slices::app_layers(app_dir, slices, owner, is_app_compared));

        let mut dirs = Vec::new();
        for (module, (dir, contents)) in inputs.buildpacks.iter().zip(begun) {
            let place = inputs.layers_dir.join(module.escaped_id());
            tracing::debug!("Processing buildpack directory: {}", place.display());
            let dir = dir?;
            let buildpack = layers::add(image, &dir, contents, before, filling.as_deref_mut())?;
            record.buildpacks.push(buildpack);
            dirs.push(dir);
        }
        if inputs.api.has_sbom() {
            record.sbom = add_sbom(inputs, image)?;
        }
        record.app = add_app(app, &app_before, image).context("exporting app layers")?;
        add_launcher(inputs, build, image, record)?;
        Ok(dirs)
    })
}

fn add_sbom(inputs: &Inputs<'_>, image: &mut AppImage<'_>) -> anyhow::Result<Option<String>> {
    let Some(dir) = sbom::directory(inputs.layers_dir, "launch")? else {
        return Ok(None);
    };
    let layer = Layer::of_directory(&dir, Some(inputs.owner))?;
    let id = "buildpacksio/lifecycle:launch.sbom";
    let before = inputs.before.sbom.as_deref();
    let diff_id = image.add(
        id,
        "Software Bill-of-Materials",
        &layer.into(),
        before,
        None,
    )?;
    Ok(Some(diff_id.to_string()))
}

/// Adds the app; a layer of it is reused wherever it was before (EXP-017).
fn add_app(
    layers: Promise<anyhow::Result<Vec<AppLayer>>>,
    before: &[&str],
    image: &mut AppImage<'_>,
) -> anyhow::Result<Vec<String>> {
    tracing::debug!("Adding app layers");
    let layers = layers.wait().context("creating app layers")?;
    let (total, mut reused) = (layers.len(), 0);
    let mut record = Vec::with_capacity(total);
    for app in &layers {
        let added = image
            .add_quietly(&app.created_by, &app.contents, before, None)
            .context("creating app layers")?;
        tracing::debug!("Layer '{}' SHA: {}", app.id, added.diff_id());
        reused += usize::from(matches!(added, Added::Reused(_)));
        record.push(added.diff_id().to_string());
    }
    if reused > 0 {
        tracing::info!("Reused {reused}/{total} app layer(s)");
    }
    if reused < total {
        tracing::info!("Added {}/{total} app layer(s)", total - reused);
    }
    Ok(record)
}

fn add_launcher(
    inputs: &Inputs<'_>,
    build: &BuildMetadata,
    image: &mut AppImage<'_>,
    record: &mut LayersMetadata,
) -> anyhow::Result<()> {
    let before = inputs.before;
    let mut add = |id: &str, created_by: &str, layer: Layer, before: &str| {
        let before = Some(before).filter(|sha| !sha.is_empty());
        let diff_id = image.add(id, created_by, &layer.into(), before, None)?;
        anyhow::Ok(diff_id.to_string())
    };
    let launcher =
        launcher::launcher_layer(inputs.launcher_path).context("creating launcher layers")?;
    record.launcher = add(
        "buildpacksio/lifecycle:launcher",
        "Buildpacks Application Launcher",
        launcher,
        &before.launcher,
    )?;
    let config = Layer::of_directory(&inputs.layers_dir.join("config"), Some(inputs.owner))
        .context("creating layer 'buildpacksio/lifecycle:config'")?;
    record.config = add(
        "buildpacksio/lifecycle:config",
        "Buildpacks Launcher Config",
        config,
        &before.config,
    )?;
    let processes = build.processes.as_deref().unwrap_or_default();
    if !processes.is_empty() {
        let id = "buildpacksio/lifecycle:process-types";
        let links = launcher::process_types_layer(processes)
            .with_context(|| format!("creating layer '{id}'"))?;
        record.process_types = add(id, "Buildpacks Process Types", links, &before.process_types)?;
    }
    Ok(())
}

fn configure(
    inputs: &Inputs<'_>,
    build: &BuildMetadata,
    record: &LayersMetadata,
    image: &mut AppImage<'_>,
) -> anyhow::Result<()> {
    let config = image.editor.config_mut();
    let sources = labels::Sources {
        layers: record,
        build,
        project: inputs.project,
        launcher: inputs.launcher,
        exec_env: inputs.exec_env,
    };
    labels::set(config, inputs.api, &sources);
    config::set_env(config, inputs.api, inputs.layers_dir, inputs.app_dir);
    config::set_start(config, build, inputs.process_type, inputs.app_dir)
        .context("determining entrypoint")?;
    config::set_created(config, inputs.api, inputs.created);
    Ok(())
}
