//! Flags, variables and defaults of the builder (BLD-001, BLD-002).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::Common;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    AnalyzedFlag, AppFlag, CommonFlags, ExecEnvVariable, GroupFlag, LayersFlag, ModuleFlags,
    PlanFlag,
};
use crate::inputs::resolve::{self, Layers, absolute};

/// What the builder was told, resolved.
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
    /// `-build-config`.
    pub build_config_dir: PathBuf,
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
    about = "runs the buildpacks of the group, and writes metadata.toml"
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
    analyzed: AnalyzedFlag,
    #[command(flatten)]
    group: GroupFlag,
    #[command(flatten)]
    plan: PlanFlag,
    #[command(flatten)]
    exec_env: ExecEnvVariable,
}

/// BLD-002.
const GATES: &[Gate] = &[
    Gate::since("build-config", 11),
    Gate::since("analyzed", 12),
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
        build_config_dir: absolute(&flags.modules.build_config)?,
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
            "app buildpacks group layers log-level no-color plan platform version",
            &[("build-config", 11, 99), ("analyzed", 12, 99)],
        );
    }

    /// Flag, field, what it takes, APIs, variable, default
    /// (BLD-002, COM-015, COM-024, COM-086).
    const TABLE: &str = r#"
        app           app_dir           Dir   all    CNB_APP_DIR           "/workspace"
        layers        layers_dir        Dir   all    CNB_LAYERS_DIR        "/layers"
        platform      platform_dir      Dir   all    CNB_PLATFORM_DIR      "/platform"
        buildpacks    buildpacks_dir    Dir   all    CNB_BUILDPACKS_DIR    "/cnb/buildpacks"
        build-config  build_config_dir  Dir   0.11-  CNB_BUILD_CONFIG_DIR  "/cnb/build-config"
        analyzed      analyzed_path     Path  0.12-  CNB_ANALYZED_PATH     "/layers/analyzed.toml"
        group         group_path        Path  all    CNB_GROUP_PATH        "/layers/group.toml"
        plan          plan_path         Path  all    CNB_PLAN_PATH         "/layers/plan.toml"
        exec-env      exec_env          Text  none   CNB_EXEC_ENV          "production"
    "#;

    #[test]
    fn each_flag_fills_its_field() {
        let table = [TABLE, COMMON].concat();
        check_table::<Flags, _>(GATES, &table, Base::default(), parse);
    }

    #[test]
    fn defaults_hold() {
        let inputs = parse(&call(12, &[], &[])).unwrap().unwrap();
        let expected = Inputs {
            common: Common {
                log_level: "info".to_owned(),
                no_color: false,
            },
            app_dir: "/workspace".into(),
            layers_dir: "/layers".into(),
            platform_dir: "/platform".into(),
            buildpacks_dir: "/cnb/buildpacks".into(),
            build_config_dir: "/cnb/build-config".into(),
            analyzed_path: "/layers/analyzed.toml".into(),
            group_path: "/layers/group.toml".into(),
            plan_path: "/layers/plan.toml".into(),
            exec_env: "production".to_owned(),
        };
        assert_eq!(inputs, expected);
    }

    #[test]
    fn variables_count_at_every_api() {
        let call = call(
            7,
            &["-layers", "/l"],
            &[
                ("CNB_BUILD_CONFIG_DIR", "/c"),
                ("CNB_ANALYZED_PATH", "/a.toml"),
                ("CNB_EXEC_ENV", "test"),
                ("CNB_GROUP_PATH", ""),
            ],
        );
        let inputs = parse(&call).unwrap().unwrap();
        assert_eq!(inputs.build_config_dir, PathBuf::from("/c"));
        assert_eq!(inputs.analyzed_path, PathBuf::from("/a.toml"));
        assert_eq!(inputs.group_path, PathBuf::from("/l/group.toml"));
        assert_eq!(inputs.exec_env, "test");
    }

    #[test]
    fn arguments_are_refused() {
        assert_eq!(
            ending(parse(&call(12, &["extra"], &[]))),
            (
                3,
                "failed to parse arguments: received unexpected arguments".to_owned()
            )
        );
    }
}
