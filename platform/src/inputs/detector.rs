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
#[command(
    before_help = "",
    about = "finds the buildpacks that build the app, and writes group.toml and plan.toml"
)]
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

/// The definitions, for the page that lists them.
#[cfg(test)]
pub(crate) fn sheet() -> flags::testing::Sheet {
    (flags::command::<Flags>(), GATES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::flags::testing::{Base, COMMON, call, check_flags, check_table, ending};

    #[test]
    fn flags_follow_the_api() {
        check_flags::<Flags>(
            GATES,
            // DET-002
            "app buildpacks group layers log-level no-color order plan platform version",
            &[
                // DET-003
                ("analyzed extensions generated", 10, 99),
                // DET-004
                ("build-config", 11, 99),
                // DET-005
                ("run", 12, 99),
                // DET-006
                ("system", 15, 99),
            ],
        );
    }

    /// Flag, field, what it takes, APIs, variable, default
    /// (DET-002, DET-003, DET-004, DET-005, DET-006, COM-020, COM-021, COM-022, COM-024).
    const TABLE: &str = r#"
        app           app_dir           Dir   all    CNB_APP_DIR           "/workspace"
        layers        layers_dir        Dir   all    CNB_LAYERS_DIR        "/layers"
        platform      platform_dir      Dir   all    CNB_PLATFORM_DIR      "/platform"
        buildpacks    buildpacks_dir    Dir   all    CNB_BUILDPACKS_DIR    "/cnb/buildpacks"
        build-config  build_config_dir  Dir   0.11-  CNB_BUILD_CONFIG_DIR  "/cnb/build-config"
        extensions    extensions_dir    Dir   0.10-  CNB_EXTENSIONS_DIR    "/cnb/extensions"
        generated     generated_dir     Dir   0.10-  CNB_GENERATED_DIR     "/layers/generated"
        analyzed      analyzed_path     Path  0.10-  CNB_ANALYZED_PATH     "/layers/analyzed.toml"
        group         group_path        Path  all    CNB_GROUP_PATH        "/layers/group.toml"
        plan          plan_path         Path  all    CNB_PLAN_PATH         "/layers/plan.toml"
        order         order_path        Path  all    CNB_ORDER_PATH        "/cnb/order.toml"
        system        system_path       Path  0.15-  CNB_SYSTEM_PATH       "/cnb/system.toml"
        run           run_path          Path  0.12-  CNB_RUN_PATH          "/cnb/run.toml"
        exec-env      exec_env          Text  none   CNB_EXEC_ENV          "production"
    "#;

    #[test]
    fn each_flag_fills_its_field() {
        let table = [TABLE, COMMON].concat();
        check_table::<Flags, _>(GATES, &table, Base::default(), parse);
    }

    #[test]
    fn places_follow_layers() {
        let inputs = parse(&call(15, &["-layers", "/l", "-app=/a/../b/"], &[]))
            .unwrap()
            .unwrap();
        let expected = Inputs {
            common: Common {
                log_level: "info".to_owned(),
                no_color: false,
            },
            app_dir: "/b".into(),
            layers_dir: "/l".into(),
            platform_dir: "/platform".into(),
            buildpacks_dir: "/cnb/buildpacks".into(),
            extensions_dir: "/cnb/extensions".into(),
            build_config_dir: "/cnb/build-config".into(),
            generated_dir: "/l/generated".into(),
            order_path: "/cnb/order.toml".into(),
            system_path: "/cnb/system.toml".into(),
            run_path: "/cnb/run.toml".into(),
            analyzed_path: "/l/analyzed.toml".into(),
            group_path: "/l/group.toml".into(),
            plan_path: "/l/plan.toml".into(),
            exec_env: "production".to_owned(),
        };
        assert_eq!(inputs, expected);
    }

    #[test]
    fn relative_layers_make_relative_files() {
        let inputs = parse(&call(15, &["-layers", "l", "-order", "o.toml"], &[]))
            .unwrap()
            .unwrap();
        let here = std::env::current_dir().unwrap();
        assert_eq!(inputs.layers_dir, here.join("l"));
        assert_eq!(inputs.generated_dir, here.join("l/generated"));
        assert_eq!(inputs.group_path, PathBuf::from("l/group.toml"));
        assert_eq!(inputs.order_path, PathBuf::from("o.toml"));
    }

    #[test]
    fn arguments_are_refused() {
        for (args, expected) in [
            (
                &["x"][..],
                (
                    3,
                    "failed to parse arguments: received unexpected arguments",
                ),
            ),
            (
                &["-log-level", "loud"],
                (1, "failed to parse log level: invalid level"),
            ),
            (
                &["-log-level="],
                (1, "failed to parse log level: invalid level"),
            ),
            (&["-nope"], (2, "flag provided but not defined: -nope")),
            (
                &["-exec-env", "test"],
                (2, "flag provided but not defined: -exec-env"),
            ),
        ] {
            let ending = ending(parse(&call(15, args, &[])));
            assert_eq!(ending, (expected.0, expected.1.to_owned()), "{args:?}");
        }
    }

    #[test]
    fn usage_and_version_end_the_phase() {
        for args in [["-h"], ["-help"], ["-version"]] {
            assert_eq!(parse(&call(15, &args, &[])).unwrap(), None, "{args:?}");
        }
    }
}
