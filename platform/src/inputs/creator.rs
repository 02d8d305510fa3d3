//! Flags, variables and defaults of the creator (CRE-001 to CRE-003).

use layout::layer::Compression;
use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::images::read_access;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    AnalyzedFlag, AppFlag, BuildImageFlag, CacheFlags, CommonFlags, ExecEnvVariable, ExportFlags,
    ExtensionsFlag, GeneratedFlag, GroupFlag, ImageFlags, LaunchCacheFlag, LayersFlag, ModuleFlags,
    OrderFlags, ParallelFlag, PlanFlag, PreviousImageFlag, RunFlag, RunImageFlag, StackFlag,
    TagFlag, UserFlags,
};
use crate::inputs::names::{self, Names};
use crate::inputs::resolve::{self, Layers, absolute, absolute_if_any, some};
use crate::inputs::{Common, ImageSource, User, variables};

/// What the creator was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as after its volumes are handed over.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-app`.
    pub app_dir: PathBuf,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-platform`.
    pub platform_dir: PathBuf,
    /// `-buildpacks`.
    pub buildpacks_dir: PathBuf,
    /// `CNB_EXTENSIONS_DIR`.
    pub extensions_dir: PathBuf,
    /// `-build-config`.
    pub build_config_dir: PathBuf,
    /// `CNB_GENERATED_DIR`.
    pub generated_dir: PathBuf,
    /// `CNB_EXTENDED_DIR`.
    pub extended_dir: PathBuf,
    /// `-order`.
    pub order_path: PathBuf,
    /// `-system`.
    pub system_path: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-stack`.
    pub stack_path: PathBuf,
    /// `CNB_ANALYZED_PATH`.
    pub analyzed_path: PathBuf,
    /// `CNB_GROUP_PATH`.
    pub group_path: PathBuf,
    /// `CNB_PLAN_PATH`.
    pub plan_path: PathBuf,
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
    /// `-skip-restore`.
    pub skip_restore: bool,
    /// The image argument.
    pub output_image: String,
    /// `-previous-image`, else the output image.
    pub previous_image: String,
    /// `-run-image`, else from run.toml or stack.toml.
    pub run_image: String,
    /// `-tag`.
    pub tags: Vec<String>,
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
    before_help = " <image>",
    about = "analyzes, detects, restores, builds and exports, all in one"
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
    modules: ModuleFlags,
    #[command(flatten)]
    extensions: ExtensionsFlag,
    #[command(flatten)]
    generated: GeneratedFlag,
    #[command(flatten)]
    order: OrderFlags,
    #[command(flatten)]
    run: RunFlag,
    #[command(flatten)]
    stack: StackFlag,
    #[command(flatten)]
    analyzed: AnalyzedFlag,
    #[command(flatten)]
    group: GroupFlag,
    #[command(flatten)]
    plan: PlanFlag,
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
    run_image: RunImageFlag,
    #[command(flatten)]
    build_image: BuildImageFlag,
    #[command(flatten)]
    tag: TagFlag,
    /// leave out layers and cache of previous builds
    #[arg(long, env = variables::SKIP_RESTORE, action = clap::ArgAction::Set, default_value = "false")]
    skip_restore: bool,
    #[command(flatten)]
    exec_env: ExecEnvVariable,
}

/// CRE-002, CRE-003.
const GATES: &[Gate] = &[
    Gate::since("build-config", 11),
    Gate::since("launcher-sbom", 11),
    Gate::since("run", 12),
    Gate::since("layout", 12),
    Gate::since("layout-dir", 12),
    Gate::since("insecure-registry", 13),
    Gate::since("system", 15),
    Gate::never("analyzed"),
    Gate::never("group"),
    Gate::never("plan"),
    Gate::never("extensions"),
    Gate::never("generated"),
    Gate::never("extended"),
    Gate::never("build-image"),
    Gate::never("exec-env"),
];

/// Image names that have been checked.
struct ImageNames {
    output: String,
    previous: String,
    run: String,
    tags: Vec<String>,
    cache: Option<String>,
}

fn resolve(given: Given<Flags>, invocation: &Invocation) -> Result<Inputs, Failure> {
    let flags = given.flags;
    let output = names::only_image(&given.positionals)?;
    let layout = flags.images.layout;
    let images = ImageSource::from(flags.images);
    let layers = Layers::new(flags.layers.layers);
    let cache_dir = absolute_if_any(flags.cache.cache_dir.as_ref())?;
    let launch_cache_dir = absolute_if_any(flags.launch_cache.launch_cache.as_ref())?;
    names::require_image(&output)?;
    let names = ImageNames {
        previous: some(flags.previous_image.previous_image).unwrap_or_else(|| output.clone()),
        run: names::run_image(
            invocation.api,
            flags.run_image.run_image,
            &output,
            &flags.run.run,
            &flags.stack.stack,
            &read_access(&images, &invocation.variables),
        )?,
        output,
        tags: resolve::without_empty(flags.tag.tag),
        cache: some(flags.cache.cache_image),
    };
    resolve::warn_without_cache(cache_dir.as_ref(), names.cache.as_ref());
    resolve::warn_of_launch_cache(launch_cache_dir.as_ref(), &images);
    names.check(some(flags.build_image.build_image).as_deref(), &images)?;
    resolve::warn_of_parallel(
        flags.parallel.parallel,
        cache_dir.as_ref(),
        names.cache.as_ref(),
    );
    resolve::check_layout(layout, &images, &invocation.variables)?;
    let compression = resolve::compression(&images, &invocation.variables)?;
    Ok(Inputs {
        common: Common::from(flags.common),
        user: User::try_from(flags.user)?,
        images,
        app_dir: absolute(&flags.app.app)?,
        layers_dir: layers.dir()?,
        platform_dir: absolute(&flags.modules.platform)?,
        buildpacks_dir: absolute(&flags.modules.buildpacks)?,
        extensions_dir: absolute(&flags.extensions.extensions)?,
        build_config_dir: absolute(&flags.modules.build_config)?,
        generated_dir: absolute(&layers.place(&flags.generated.generated))?,
        extended_dir: layers.place(&flags.export.extended),
        order_path: layers.order(&flags.order.order),
        system_path: flags.order.system,
        run_path: flags.run.run,
        stack_path: flags.stack.stack,
        analyzed_path: layers.place(&flags.analyzed.analyzed),
        group_path: layers.place(&flags.group.group),
        plan_path: layers.place(&flags.plan.plan),
        report_path: layers.place(&flags.export.report.report),
        project_metadata_path: layers.place(&flags.export.project_metadata),
        launcher_path: flags.export.launcher,
        launcher_sbom_dir: flags.export.launcher_sbom,
        cache_dir,
        launch_cache_dir,
        cache_image: names.cache,
        process_type: some(flags.export.process_type),
        parallel: flags.parallel.parallel,
        skip_restore: flags.skip_restore,
        output_image: names.output,
        previous_image: names.previous,
        run_image: names.run,
        tags: names.tags,
        exec_env: flags.exec_env.exec_env,
        source_date_epoch: invocation
            .variables
            .get(variables::SOURCE_DATE_EPOCH)
            .map(str::to_owned),
        compression,
    })
}

impl ImageNames {
    fn check(&self, build: Option<&str>, images: &ImageSource) -> Result<(), Failure> {
        Names {
            output: &self.output,
            tags: &self.tags,
            previous: Some(&self.previous),
            build,
            run: Some(&self.run),
            cache: self.cache.as_deref(),
        }
        .check(images)
    }
}

/// The definitions, for the page that lists them.
#[cfg(test)]
pub(crate) fn sheet() -> flags::testing::Sheet {
    (flags::command::<Flags>(), GATES)
}

#[cfg(test)]
mod tests;
