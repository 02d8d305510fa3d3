//! Flags, variables and defaults of the exporter (EXP-001 to EXP-004).

use layout::layer::Compression;
use std::path::{Path, PathBuf};

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::files;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    AnalyzedFlag, AppFlag, BuildImageFlag, CacheFlags, CommonFlags, ExecEnvVariable, ExportFlags,
    GroupFlag, ImageFlags, LaunchCacheFlag, LayersFlag, OldRunImageFlag, ParallelFlag,
    PreviousImageFlag, RunFlag, RunImageFlag, StackFlag, UserFlags,
};
use crate::inputs::names::{self, Names};
use crate::inputs::resolve::{self, Layers, absolute, absolute_if_any, some};
use crate::inputs::{Common, ImageSource, User, Variables, variables};

/// What the exporter was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as, and who owns what it puts into layers.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-app`.
    pub app_dir: PathBuf,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-analyzed`.
    pub analyzed_path: PathBuf,
    /// `-group`.
    pub group_path: PathBuf,
    /// `-extended`.
    pub extended_dir: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-stack`.
    pub stack_path: PathBuf,
    /// `-report`.
    pub report_path: PathBuf,
    /// `-project-metadata`.
    pub project_metadata_path: PathBuf,
    /// `-launcher`.
    pub launcher_path: PathBuf,
    /// `-launcher-sbom`.
    pub launcher_sbom_dir: PathBuf,
    /// `-cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `-launch-cache`.
    pub launch_cache_dir: Option<PathBuf>,
    /// `-cache-image`.
    pub cache_image: Option<String>,
    /// `-process-type`.
    pub process_type: Option<String>,
    /// `-parallel`.
    pub parallel: bool,
    /// First image argument.
    pub output_image: String,
    /// Further image arguments.
    pub additional_names: Vec<String>,
    /// `CNB_EXEC_ENV`.
    pub exec_env: String,
    /// `SOURCE_DATE_EPOCH` as it stands.
    pub source_date_epoch: Option<String>,
    /// `CNB_LAYER_COMPRESSION`.
    pub compression: Compression,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let Some(given) = flags::parse::<Flags>(invocation, GATES)? else {
        return Ok(None);
    };
    resolve(given, invocation).map(Some)
}

#[derive(Debug, clap::Args)]
#[command(
    before_help = " <image> [<image>...]",
    about = "makes the app image of the layers, fills the cache, and writes report.toml"
)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    user: UserFlags,
    #[command(flatten)]
    images: ImageFlags,
    #[command(flatten)]
    app: AppFlag,
    #[command(flatten)]
    layers: LayersFlag,
    #[command(flatten)]
    analyzed: AnalyzedFlag,
    #[command(flatten)]
    group: GroupFlag,
    #[command(flatten)]
    run: RunFlag,
    #[command(flatten)]
    stack: StackFlag,
    #[command(flatten)]
    export: ExportFlags,
    #[command(flatten)]
    parallel: ParallelFlag,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    launch_cache: LaunchCacheFlag,
    #[command(flatten)]
    previous_image: PreviousImageFlag,
    #[command(flatten)]
    build_image: BuildImageFlag,
    #[command(flatten)]
    run_image: RunImageFlag,
    #[command(flatten)]
    old_run_image: OldRunImageFlag,
    #[command(flatten)]
    exec_env: ExecEnvVariable,
}

/// EXP-002.
const GATES: &[Gate] = &[
    Gate::since("launcher-sbom", 11),
    Gate::since("extended", 12),
    Gate::since("layout", 12),
    Gate::since("layout-dir", 12),
    Gate::since("run", 12),
    Gate::before("stack", 12),
    Gate::since("insecure-registry", 13),
    Gate::never("previous-image"),
    Gate::never("build-image"),
    Gate::never("exec-env"),
];

/// The checks, in the order of ANA-010.
fn resolve(given: Given<Flags>, invocation: &Invocation) -> Result<Inputs, Failure> {
    let flags = given.flags;
    let mut names = given.positionals.into_iter();
    let Some(output_image) = names.next() else {
        return Err(resolve::misused(anyhow::anyhow!(
            "at least one image argument is required"
        )));
    };
    let additional_names = resolve::without_empty(names.collect());
    let layout = flags.images.layout;
    let layers = Layers::new(flags.layers.layers);
    let images = ImageSource::from(flags.images);
    let analyzed_path = layers.place(&flags.analyzed.analyzed);
    let cache_dir = absolute_if_any(flags.cache.cache_dir.as_ref())?;
    let cache_image = some(flags.cache.cache_image);
    let launch_cache_dir = absolute_if_any(flags.launch_cache.launch_cache.as_ref())?;
    names::require_image(&output_image)?;
    refuse_run_image(
        flags.run_image.run_image,
        flags.old_run_image.image,
        &invocation.variables,
    )?;
    let run_image = analyzed_run_image(&analyzed_path)?;
    resolve::warn_without_cache(cache_dir.as_ref(), cache_image.as_ref());
    resolve::warn_of_launch_cache(launch_cache_dir.as_ref(), &images);
    Names {
        output: &output_image,
        tags: &additional_names,
        previous: some(flags.previous_image.previous_image).as_deref(),
        build: some(flags.build_image.build_image).as_deref(),
        // In a layout it is a path, which may hold what a name may not.
        run: (!layout).then_some(run_image.as_str()),
        cache: cache_image.as_deref(),
    }
    .check(&images)?;
    resolve::check_layout(layout, &images, &invocation.variables)?;
    let compression = resolve::compression(&images, &invocation.variables)?;
    Ok(Inputs {
        common: Common::from(flags.common),
        user: User::try_from(flags.user)?,
        images,
        app_dir: absolute(&flags.app.app)?,
        layers_dir: layers.dir()?,
        analyzed_path,
        group_path: layers.place(&flags.group.group),
        extended_dir: layers.place(&flags.export.extended),
        run_path: flags.run.run,
        stack_path: flags.stack.stack,
        report_path: layers.place(&flags.export.report.report),
        project_metadata_path: layers.place(&flags.export.project_metadata),
        launcher_path: flags.export.launcher,
        launcher_sbom_dir: flags.export.launcher_sbom,
        cache_dir,
        launch_cache_dir,
        cache_image,
        process_type: some(flags.export.process_type),
        parallel: flags.parallel.parallel,
        output_image,
        additional_names,
        exec_env: flags.exec_env.exec_env,
        source_date_epoch: invocation
            .variables
            .get(variables::SOURCE_DATE_EPOCH)
            .map(str::to_owned),
        compression,
    })
}

/// Refuses flags that name a run image, but for the variable's own value (EXP-003).
fn refuse_run_image(
    run_image: Option<String>,
    image: Option<String>,
    variables: &Variables,
) -> Result<(), Failure> {
    if some(run_image).is_some_and(|name| variables.get(variables::RUN_IMAGE) != Some(&name)) {
        return Err(resolve::unresolved(anyhow::anyhow!(
            "-run-image is unsupported"
        )));
    }
    if some(image).is_some() {
        return Err(resolve::unresolved(anyhow::anyhow!(
            "-image is unsupported"
        )));
    }
    Ok(())
}

/// Returns the reference of the run image that the analyzer found (EXP-004).
fn analyzed_run_image(path: &Path) -> Result<String, Failure> {
    let analyzed = files::analyzed::read(path).map_err(|it| resolve::unresolved(it.error))?;
    analyzed
        .run_image
        .map(|run_image| run_image.reference)
        .filter(|reference| !reference.is_empty())
        .ok_or_else(|| {
            resolve::unresolved(anyhow::anyhow!("run image not found in analyzed metadata"))
        })
}

/// The definitions, for the page that lists them.
#[cfg(test)]
pub(crate) fn sheet() -> flags::testing::Sheet {
    (flags::command::<Flags>(), GATES)
}

#[cfg(test)]
mod tests;
