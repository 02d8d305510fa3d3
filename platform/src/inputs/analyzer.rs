//! Flags, variables and defaults of the analyzer (ANA-001 to ANA-010).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::images::read_access;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    AnalyzedFlag, BuildImageFlag, CacheFlags, CommonFlags, ImageFlags, LaunchCacheFlag, LayersFlag,
    ParallelFlag, PreviousImageFlag, RunFlag, RunImageFlag, SkipLayersFlag, StackFlag, TagFlag,
    UserFlags,
};
use crate::inputs::names::{self, Names};
use crate::inputs::resolve::{self, Layers, absolute_if_any, some};
use crate::inputs::{Common, ImageSource, User};

/// What the analyzer was told, resolved.
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
    /// `CNB_CACHE_DIR`, to hand over.
    pub cache_dir: Option<PathBuf>,
    /// `-launch-cache`.
    pub launch_cache_dir: Option<PathBuf>,
    /// `-cache-image`.
    pub cache_image: Option<String>,
    /// The image argument.
    pub output_image: String,
    /// `-previous-image`, else the output image.
    pub previous_image: String,
    /// `-run-image`, else from run.toml or stack.toml.
    pub run_image: String,
    /// `-tag`.
    pub tags: Vec<String>,
    /// `-skip-layers`.
    pub skip_layers: bool,
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
    about = "finds the image of the previous build and the run image, and writes analyzed.toml"
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
    run: RunFlag,
    #[command(flatten)]
    stack: StackFlag,
    #[command(flatten)]
    cache: CacheFlags,
    #[command(flatten)]
    launch_cache: LaunchCacheFlag,
    #[command(flatten)]
    skip: SkipLayersFlag,
    #[command(flatten)]
    parallel: ParallelFlag,
    #[command(flatten)]
    previous_image: PreviousImageFlag,
    #[command(flatten)]
    run_image: RunImageFlag,
    #[command(flatten)]
    build_image: BuildImageFlag,
    #[command(flatten)]
    tag: TagFlag,
}

/// ANA-002 to ANA-006.
const GATES: &[Gate] = &[
    Gate::since("launch-cache", 9),
    Gate::since("skip-layers", 9),
    Gate::before("stack", 12),
    Gate::since("run", 12),
    Gate::since("layout", 12),
    Gate::since("layout-dir", 12),
    Gate::since("insecure-registry", 13),
    Gate::never("cache-dir"),
    Gate::never("parallel"),
    Gate::never("build-image"),
];

/// The checks, in the order of ANA-010.
fn resolve(given: Given<Flags>, invocation: &Invocation) -> Result<Inputs, Failure> {
    let flags = given.flags;
    let output_image = names::only_image(&given.positionals)?;
    let layout = flags.images.layout;
    let layers = Layers::new(flags.layers.layers);
    let images = ImageSource::from(flags.images);
    let cache_dir = absolute_if_any(flags.cache.cache_dir.as_ref())?;
    let cache_image = some(flags.cache.cache_image);
    let launch_cache_dir = absolute_if_any(flags.launch_cache.launch_cache.as_ref())?;
    let tags = resolve::without_empty(flags.tag.tag);
    names::require_image(&output_image)?;
    let previous_image =
        some(flags.previous_image.previous_image).unwrap_or_else(|| output_image.clone());
    let run_image = names::run_image(
        invocation.api,
        flags.run_image.run_image,
        &output_image,
        &flags.run.run,
        &flags.stack.stack,
        &read_access(&images, &invocation.variables),
    )?;
    resolve::warn_of_launch_cache(launch_cache_dir.as_ref(), &images);
    Names {
        output: &output_image,
        tags: &tags,
        previous: Some(&previous_image),
        build: some(flags.build_image.build_image).as_deref(),
        run: Some(&run_image),
        cache: cache_image.as_deref(),
    }
    .check(&images)?;
    resolve::warn_of_parallel(
        flags.parallel.parallel,
        cache_dir.as_ref(),
        cache_image.as_ref(),
    );
    resolve::check_layout(layout, &images, &invocation.variables)?;
    Ok(Inputs {
        common: Common::from(flags.common),
        user: User::try_from(flags.user)?,
        images,
        layers_dir: layers.dir()?,
        analyzed_path: layers.place(&flags.analyzed.analyzed),
        cache_dir,
        launch_cache_dir,
        cache_image,
        output_image,
        previous_image,
        run_image,
        tags,
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
        Base, COMMON, USER, call, check_experiment, check_flags, check_layout, check_table, ending,
    };
    use crate::log::captured;

    #[test]
    fn flags_follow_the_api() {
        check_flags::<Flags>(
            GATES,
            "analyzed cache-image daemon gid layers log-level no-color previous-image run-image tag uid version",
            &[
                ("launch-cache skip-layers", 9, 99),
                ("stack", 7, 12),
                ("run layout layout-dir", 12, 99),
                ("insecure-registry", 13, 99),
            ],
        );
    }

    /// Flag, field, what it takes, APIs, variable, default
    /// (ANA-002, ANA-003, ANA-004, ANA-005, ANA-006, ANA-007, COM-016, COM-017, COM-019).
    const TABLE: &str = r#"
        layers             layers_dir           Dir        all    CNB_LAYERS_DIR           "/layers"
        analyzed           analyzed_path        Path       all    CNB_ANALYZED_PATH        "/layers/analyzed.toml"
        cache-dir          cache_dir            DirIfAny   none   CNB_CACHE_DIR            None
        cache-image        cache_image          TextIfAny  all    CNB_CACHE_IMAGE          None
        launch-cache       launch_cache_dir     DirIfAny   0.9-   CNB_LAUNCH_CACHE_DIR     None
        daemon             daemon               Switch     all    CNB_USE_DAEMON           false
        insecure-registry  insecure_registries  List       0.13-  CNB_INSECURE_REGISTRIES  []
        tag                tags                 List       all    -                        []
        previous-image     previous_image       Text       all    CNB_PREVIOUS_IMAGE       "app"
        run-image          run_image            Text       all    CNB_RUN_IMAGE            "base"
        skip-layers        skip_layers          Switch     0.9-   CNB_SKIP_LAYERS          false
        skip-layers        skip_layers          Switch     0.9-   CNB_SKIP_RESTORE         false
    "#;

    #[test]
    fn each_flag_fills_its_field() {
        let base = Base {
            pairs: &[("CNB_RUN_IMAGE", "base")],
            arguments: &["app"],
        };
        let table = [TABLE, COMMON, USER].concat();
        check_table::<Flags, _>(GATES, &table, base, parse);
        check_layout::<Flags, _>(GATES, base, parse);
    }

    #[test]
    fn flags_and_variables_resolve() {
        let pairs = [
            ("CNB_USE_LAYOUT", "true"),
            ("CNB_LAYOUT_DIR", "oci"),
            ("CNB_EXPERIMENTAL_MODE", "quiet"),
            ("CNB_USER_ID", "1001"),
            ("CNB_GROUP_ID", "1000"),
            ("CNB_CACHE_DIR", "/c"),
            ("CNB_RUN_IMAGE", "run"),
            ("CNB_SKIP_RESTORE", "true"),
        ];
        let args = [
            "-tag",
            "two",
            "-tag=",
            "-previous-image=",
            "-cache-image=",
            "-launch-cache=/x/y/..",
            "app",
        ];
        let inputs = parse(&call(11, &args, &pairs)).unwrap().unwrap();
        let expected = Inputs {
            common: Common {
                log_level: "info".to_owned(),
                no_color: false,
            },
            user: User {
                uid: 1001,
                gid: 1000,
            },
            images: ImageSource {
                layout_dir: Some("oci".into()),
                ..ImageSource::default()
            },
            layers_dir: "/layers".into(),
            analyzed_path: "/layers/analyzed.toml".into(),
            cache_dir: Some("/c".into()),
            launch_cache_dir: Some("/x".into()),
            cache_image: None,
            output_image: "app".to_owned(),
            previous_image: "app".to_owned(),
            run_image: "run".to_owned(),
            tags: vec!["two".to_owned()],
            skip_layers: true,
        };
        assert_eq!(inputs, expected);
    }

    #[test]
    fn checks_come_in_order() {
        let layout = [("CNB_USE_LAYOUT", "1"), ("CNB_LAYOUT_DIR", "/d")];
        let resolve = |text| (3, format!("failed to resolve inputs: {text}"));
        let parse_args = |text| (3, format!("failed to parse arguments: {text}"));
        let disabled = "experimental features are disabled by CNB_EXPERIMENTAL_MODE=error";
        for (args, expected) in [
            (&[][..], parse_args("received 0 arguments, but expected 1")),
            (
                &["a", "b"],
                parse_args("received 2 arguments, but expected 1"),
            ),
            (
                &["-run-image=BAD", ""],
                resolve("image argument is required"),
            ),
            (
                &["-run-image=BAD", "UPPER"],
                resolve("could not parse reference: UPPER"),
            ),
            (
                &["-run-image=Bad Run", "app"],
                resolve("could not parse reference: Bad Run"),
            ),
            (
                &["-run-image=run", "-tag=BAD", "app"],
                resolve("could not parse reference: BAD"),
            ),
            (
                &["-run-image=run", "-tag=other.example.org/tag:1", "app"],
                resolve("writing to multiple registries is unsupported"),
            ),
            (&["-run-image=run", "app"], (1, disabled.to_owned())),
        ] {
            assert_eq!(
                ending(parse(&call(13, args, &layout))),
                expected,
                "{args:?}"
            );
        }
    }

    #[test]
    fn oddities_are_said() {
        let flag_like = "WARN Warning: unconsumed flag-like positional arg: \n\t-daemon\n\t This will not be interpreted as a flag.\n\t Did you mean to put this before the first positional argument?\n";
        let launch = "WARN Ignoring -launch-cache, only intended for use with -daemon\n";
        let parallel = "WARN Parallel export has been enabled, but it has not taken effect because no cache has been specified.\n";
        for (args, pairs, expected) in [
            (&["app", "-daemon"][..], &[][..], flag_like),
            (&["-run-image=run", "-launch-cache=/l", "app"], &[], launch),
            (
                &["-run-image=run", "-launch-cache=/l", "-daemon", "app"],
                &[],
                "",
            ),
            (
                &["-run-image=run", "app"],
                &[("CNB_PARALLEL_EXPORT", "1")],
                parallel,
            ),
        ] {
            let (_, log) = captured(|| parse(&call(13, args, pairs)));
            let said = log
                .replace("DEBUG Starting tester...\n", "")
                .replace("DEBUG Parsing inputs...\n", "");
            assert_eq!(said, expected, "{args:?}");
        }
    }

    /// COM-036, COM-038, LAY-001.
    #[test]
    fn layouts_are_an_experiment_at_every_api() {
        check_experiment(&[("CNB_RUN_IMAGE", "run")], parse);
    }
}
