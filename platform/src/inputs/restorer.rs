//! Flags, variables and defaults of the restorer (RES-001 to RES-006).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    AnalyzedFlag, BuildImageFlag, CacheFlags, CommonFlags, GeneratedFlag, GroupFlag, ImageFlags,
    LayersFlag, RunFlag, SkipLayersFlag, UserFlags,
};
use crate::inputs::resolve::{self, Layers, absolute, absolute_if_any, some};
use crate::inputs::{Common, ImageSource, User};

/// What the restorer was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as after its volumes are handed over.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-layers`.
    pub layers_dir: PathBuf,
    /// `-analyzed`.
    pub analyzed_path: PathBuf,
    /// `-group`.
    pub group_path: PathBuf,
    /// `-generated`.
    pub generated_dir: PathBuf,
    /// `-run`.
    pub run_path: PathBuf,
    /// `-cache-dir`.
    pub cache_dir: Option<PathBuf>,
    /// `-cache-image`.
    pub cache_image: Option<String>,
    /// `-build-image`.
    pub build_image: Option<String>,
    /// `-skip-layers`.
    pub skip_layers: bool,
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
    about = "brings back layers of the previous build from the cache and what is known of them"
)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    user: UserFlags,
    #[command(flatten)]
    images: ImageFlags,
    #[command(flatten)]
    layers: LayersFlag,
    #[command(flatten)]
    analyzed: AnalyzedFlag,
    #[command(flatten)]
    group: GroupFlag,
    #[command(flatten)]
    generated: GeneratedFlag,
    #[command(flatten)]
    run: RunFlag,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    build_image: BuildImageFlag,
    #[command(flatten)]
    skip: SkipLayersFlag,
}

/// RES-002 to RES-006.
const GATES: &[Gate] = &[
    Gate::since("build-image", 10),
    Gate::since("daemon", 12),
    Gate::since("generated", 12),
    Gate::since("layout", 12),
    Gate::since("layout-dir", 12),
    Gate::since("insecure-registry", 13),
    Gate::since("run", 14),
];

/// Names are not checked here, and layout mode is no experiment (LAY-002).
fn resolve(given: Given<Flags>) -> Result<Inputs, Failure> {
    let flags = given.flags;
    if !given.positionals.is_empty() {
        return Err(resolve::misused(anyhow::anyhow!(
            "received unexpected Args"
        )));
    }
    let layout = flags.images.layout;
    let layers = Layers::new(flags.layers.layers);
    let images = ImageSource::from(flags.images);
    let cache_dir = absolute_if_any(flags.cache.cache_dir.as_ref())?;
    let cache_image = some(flags.cache.cache_image);
    resolve::warn_without_cache(cache_dir.as_ref(), cache_image.as_ref());
    resolve::require_layout_dir(layout, &images)?;
    Ok(Inputs {
        common: Common::from(flags.common),
        user: User::try_from(flags.user)?,
        images,
        layers_dir: layers.dir()?,
        analyzed_path: layers.place(&flags.analyzed.analyzed),
        group_path: layers.place(&flags.group.group),
        generated_dir: absolute(&layers.place(&flags.generated.generated))?,
        run_path: flags.run.run,
        cache_dir,
        cache_image,
        build_image: some(flags.build_image.build_image),
        skip_layers: flags.skip.skip_layers,
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
    use crate::inputs::flags::testing::{
        Base, COMMON, USER, call, check_flags, check_layout, check_table, ending,
    };
    use crate::log::captured;

    #[test]
    fn flags_follow_the_api() {
        check_flags::<Flags>(
            GATES,
            "analyzed cache-dir cache-image gid group layers log-level no-color skip-layers uid version",
            &[
                ("build-image", 10, 99),
                ("daemon generated layout layout-dir", 12, 99),
                ("insecure-registry", 13, 99),
                ("run", 14, 99),
            ],
        );
    }

    /// Flag, field, what it takes, APIs, variable, default
    /// (RES-002, RES-003, RES-004, RES-005, RES-006, COM-016, COM-019, COM-023).
    const TABLE: &str = r#"
        layers             layers_dir           Dir        all    CNB_LAYERS_DIR           "/layers"
        analyzed           analyzed_path        Path       all    CNB_ANALYZED_PATH        "/layers/analyzed.toml"
        group              group_path           Path       all    CNB_GROUP_PATH           "/layers/group.toml"
        generated          generated_dir        Dir        0.12-  CNB_GENERATED_DIR        "/layers/generated"
        run                run_path             Path       0.14-  CNB_RUN_PATH             "/cnb/run.toml"
        cache-dir          cache_dir            DirIfAny   all    CNB_CACHE_DIR            None
        cache-image        cache_image          TextIfAny  all    CNB_CACHE_IMAGE          None
        build-image        build_image          TextIfAny  0.10-  CNB_BUILD_IMAGE          None
        daemon             daemon               Switch     0.12-  CNB_USE_DAEMON           false
        insecure-registry  insecure_registries  List       0.13-  CNB_INSECURE_REGISTRIES  []
        skip-layers        skip_layers          Switch     all    CNB_SKIP_LAYERS          false
        skip-layers        skip_layers          Switch     all    CNB_SKIP_RESTORE         false
    "#;

    #[test]
    fn each_flag_fills_its_field() {
        let table = [TABLE, COMMON, USER].concat();
        check_table::<Flags, _>(GATES, &table, Base::default(), parse);
        check_layout::<Flags, _>(GATES, Base::default(), parse);
    }

    #[test]
    fn flags_and_variables_resolve() {
        let args = [
            "-cache-dir=/c/",
            "-cache-image=",
            "-build-image",
            "",
            "-skip-layers=false",
            "-layout",
            "-layout-dir",
            "/oci",
            "-uid=1001",
            "-gid=1000",
            "-no-color",
            "-insecure-registry",
            "",
        ];
        let call = call(
            14,
            &args,
            &[("CNB_SKIP_RESTORE", "1"), ("CNB_INSECURE_REGISTRIES", "r,")],
        );
        let inputs = parse(&call).unwrap().unwrap();
        let expected = Inputs {
            common: Common {
                log_level: "info".to_owned(),
                no_color: true,
            },
            user: User {
                uid: 1001,
                gid: 1000,
            },
            images: ImageSource {
                layout_dir: Some("/oci".into()),
                daemon: false,
                insecure_registries: vec!["r".to_owned()],
            },
            layers_dir: "/layers".into(),
            analyzed_path: "/layers/analyzed.toml".into(),
            group_path: "/layers/group.toml".into(),
            generated_dir: "/layers/generated".into(),
            run_path: "/cnb/run.toml".into(),
            cache_dir: Some("/c".into()),
            cache_image: None,
            build_image: None,
            skip_layers: false,
        };
        assert_eq!(inputs, expected);
    }

    #[test]
    fn missing_cache_is_said() {
        let warning = "WARN No cached data will be used, no cache specified.\n";
        for (args, expected) in [
            (&[][..], warning),
            (&["-cache-dir="], warning),
            (&["-cache-dir=/c"], ""),
            (&["-cache-image=c"], ""),
        ] {
            let (_, log) = captured(|| parse(&call(7, args, &[])));
            let said: String = log
                .lines()
                .filter(|line| line.starts_with("WARN"))
                .collect();
            assert_eq!(said, expected.trim_end(), "{args:?}");
        }
    }

    #[test]
    fn arguments_are_refused() {
        assert_eq!(
            ending(parse(&call(12, &["x"], &[]))),
            (
                3,
                "failed to parse arguments: received unexpected Args".to_owned()
            )
        );
        assert_eq!(ending(parse(&call(12, &["-layout"], &[]))).0, 3);
    }

    /// COM-038: what only reads layouts is no experiment.
    #[test]
    fn layouts_need_no_leave() {
        for minor in 7..=15 {
            let pairs = [("CNB_USE_LAYOUT", "1"), ("CNB_LAYOUT_DIR", "/d")];
            let (parsed, log) = captured(|| parse(&call(minor, &[], &pairs)));
            assert!(parsed.unwrap().is_some());
            assert!(!log.contains("experimental"), "{log}");
        }
    }
}
