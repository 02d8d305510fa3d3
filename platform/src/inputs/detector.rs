//! Flags, variables and defaults of the detector (DET-001 to DET-006).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::Common;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    AnalyzedFlag, AppFlag, CommonFlags, ExecEnvVariable, ExtensionsFlag, GeneratedFlag, GroupFlag,
    LayersFlag, ModuleFlags, OrderFlags, PlanFlag, RunFlag,
};
use crate::inputs::resolve::{self, Layers, absolute};

/// What the detector was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// `-app`.
    pub app_dir: PathBuf,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-platform`.
    pub platform_dir: PathBuf,
    /// `-buildpacks`.
    pub buildpacks_dir: PathBuf,
    /// `-extensions`.
    pub extensions_dir: PathBuf,
    /// `-build-config`.
    pub build_config_dir: PathBuf,
    /// `-generated`.
    pub generated_dir: PathBuf,
    /// `-order`.
    pub order_path: PathBuf,
    /// `-system`.
    pub system_path: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-analyzed`.
    pub analyzed_path: PathBuf,
    /// `-group`.
    pub group_path: PathBuf,
    /// `-plan`.
    pub plan_path: PathBuf,
    /// `CNB_EXEC_ENV`.
    pub exec_env: String,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let Some(given) = flags::parse::<Flags>(invocation, GATES)? else {
        return Ok(None);
    };
    resolve(given).map(Some)
}

#[derive(Debug, clap::Args)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
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
    analyzed: AnalyzedFlag,
    #[command(flatten)]
    group: GroupFlag,
    #[command(flatten)]
    plan: PlanFlag,
    #[command(flatten)]
    exec_env: ExecEnvVariable,
}

/// DET-002 to DET-006.
const GATES: &[Gate] = &[
    Gate::since("analyzed", 10),
    Gate::since("extensions", 10),
    Gate::since("generated", 10),
    Gate::since("build-config", 11),
    Gate::since("run", 12),
    Gate::since("system", 15),
    Gate::never("exec-env"),
];

fn resolve(given: Given<Flags>) -> Result<Inputs, Failure> {
    let flags = given.flags;
    if !given.positionals.is_empty() {
        return Err(resolve::misused(anyhow::anyhow!(
            "received unexpected arguments"
        )));
    }
    let layers = Layers::new(flags.layers.layers);
    Ok(Inputs {
        common: Common::from(flags.common),
        app_dir: absolute(&flags.app.app)?,
        layers_dir: layers.dir()?,
        platform_dir: absolute(&flags.modules.platform)?,
        buildpacks_dir: absolute(&flags.modules.buildpacks)?,
        extensions_dir: absolute(&flags.extensions.extensions)?,
        build_config_dir: absolute(&flags.modules.build_config)?,
        generated_dir: absolute(&layers.place(&flags.generated.generated))?,
        order_path: layers.order(&flags.order.order),
        system_path: flags.order.system,
        run_path: flags.run.run,
        analyzed_path: layers.place(&flags.analyzed.analyzed),
        group_path: layers.place(&flags.group.group),
        plan_path: layers.place(&flags.plan.plan),
        exec_env: flags.exec_env.exec_env,
    })
}
