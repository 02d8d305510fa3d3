//! Flags, variables and defaults of the rebaser (REB-001 to REB-005).

use std::path::PathBuf;

use crate::entry::Invocation;
use crate::exit::Failure;
use crate::inputs::flags::{self, Gate, Given};
use crate::inputs::groups::{
    BuildImageFlag, CacheFlags, CommonFlags, ImageFlags, LayersFlag, OldRunImageFlag,
    PreviousImageFlag, ReportFlag, RunImageFlag, UserFlags,
};
use crate::inputs::names::{self, Names};
use crate::inputs::resolve::{self, Layers, some};
use crate::inputs::{Common, ImageSource, User, Variables, variables};

/// What the rebaser was told, resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// Log level and colours.
    pub common: Common,
    /// Who it runs as.
    pub user: User,
    /// Where images are.
    pub images: ImageSource,
    /// `-report`.
    pub report_path: PathBuf,
    /// First image argument: the image to write.
    pub output_image: String,
    /// Further image arguments.
    pub additional_names: Vec<String>,
    /// `-previous-image`: the image to rebase, where it is not the one to write.
    pub previous_image: Option<String>,
    /// `-run-image`, or `-image`.
    pub run_image: Option<String>,
    /// `-force`.
    pub force: bool,
}

/// Parses and resolves; `None` where the version or the usage was asked for and printed.
pub fn parse(invocation: &Invocation) -> Result<Option<Inputs>, Failure> {
    let Some(given) = flags::parse::<Flags>(invocation, GATES)? else {
        return Ok(None);
    };
    resolve(given, invocation).map(Some)
}

#[derive(Debug, clap::Args)]
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
    report: ReportFlag,
    #[command(flatten)]
    previous_image: PreviousImageFlag,
    #[command(flatten)]
    run_image: RunImageFlag,
    #[command(flatten)]
    old_run_image: OldRunImageFlag,
    /// rebase though the images say that they do not fit
    #[arg(long, env = variables::FORCE_REBASE, action = clap::ArgAction::Set, default_value = "false")]
    force: bool,
    #[command(flatten)]
    build_image: BuildImageFlag,
    #[command(flatten)]
    cache: CacheFlags,
}

/// REB-002, and layout mode from the API on that it has elsewhere.
const GATES: &[Gate] = &[
    Gate::since("previous-image", 11),
    Gate::since("force", 12),
    Gate::since("layout", 12),
    Gate::since("layout-dir", 12),
    Gate::since("insecure-registry", 13),
    Gate::never("layers"),
    Gate::never("build-image"),
    Gate::never("cache-dir"),
    Gate::never("cache-image"),
];

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
    let images = ImageSource::from(flags.images);
    names::require_image(&output_image)?;
    let run_image = run_image(
        some(flags.run_image.run_image),
        some(flags.old_run_image.image),
        &invocation.variables,
    )?;
    let previous_image = some(flags.previous_image.previous_image);
    Names {
        output: &output_image,
        tags: &additional_names,
        previous: previous_image.as_deref(),
        build: some(flags.build_image.build_image).as_deref(),
        run: run_image.as_deref(),
        cache: some(flags.cache.cache_image).as_deref(),
    }
    .check(&images)?;
    resolve::check_layout(layout, &images, &invocation.variables)?;
    Ok(Inputs {
        common: Common::from(flags.common),
        user: User::try_from(flags.user)?,
        images,
        report_path: Layers::new(flags.layers.layers).place(&flags.report.report),
        output_image,
        additional_names,
        previous_image,
        run_image,
        force: flags.force,
    })
}

/// Returns the run image: the deprecated flag's, unless another was asked for as well (REB-003).
fn run_image(
    run_image: Option<String>,
    deprecated: Option<String>,
    variables: &Variables,
) -> Result<Option<String>, Failure> {
    if deprecated.is_none() {
        return Ok(run_image);
    }
    if run_image.as_deref() != variables.get(variables::RUN_IMAGE) {
        return Err(resolve::unresolved(anyhow::anyhow!(
            "supply only one of -run-image or (deprecated) -image"
        )));
    }
    Ok(deprecated)
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

    /// Flag, field, what it takes, APIs, variable, default
    /// (REB-002, COM-016, COM-017).
    const TABLE: &str = r#"
        report             report_path          Path       all    CNB_REPORT_PATH          "/layers/report.toml"
        previous-image     previous_image       TextIfAny  0.11-  CNB_PREVIOUS_IMAGE       None
        run-image          run_image            TextIfAny  all    CNB_RUN_IMAGE            None
        image              run_image            TextIfAny  all    -                        None
        force              force                Switch     0.12-  CNB_FORCE_REBASE         false
        daemon             daemon               Switch     all    CNB_USE_DAEMON           false
        insecure-registry  insecure_registries  List       0.13-  CNB_INSECURE_REGISTRIES  []
    "#;

    #[test]
    fn each_flag_fills_its_field() {
        let base = Base {
            arguments: &["app"],
            ..Base::default()
        };
        let table = [TABLE, COMMON, USER].concat();
        check_table::<Flags, _>(GATES, &table, base, parse);
        check_layout::<Flags, _>(GATES, base, parse);
    }

    #[test]
    fn flags_follow_the_api() {
        check_flags::<Flags>(
            GATES,
            "daemon gid image log-level no-color report run-image uid version",
            &[
                ("previous-image", 11, 99),
                ("force layout layout-dir", 12, 99),
                ("insecure-registry", 13, 99),
            ],
        );
    }

    #[test]
    fn an_image_is_wanted() {
        let resolve = |text: &str| (3, format!("failed to resolve inputs: {text}"));
        let count = "failed to parse arguments: at least one image argument is required";
        for (args, expected) in [
            (&[][..], (3, count.to_owned())),
            (&[""], resolve("image argument is required")),
            (&["Bad Ref"], resolve("could not parse reference: Bad Ref")),
            (&["app", "TAG"], resolve("could not parse reference: TAG")),
            (
                &["-run-image=RUN", "app"],
                resolve("could not parse reference: RUN"),
            ),
            (
                &["-image=RUN", "app"],
                resolve("could not parse reference: RUN"),
            ),
            (
                &["-previous-image=PREV", "app"],
                resolve("could not parse reference: PREV"),
            ),
            (
                &["app", "r.example.org/app"],
                resolve("writing to multiple registries is unsupported"),
            ),
        ] {
            assert_eq!(ending(parse(&call(13, args, &[]))), expected, "{args:?}");
        }
        for (name, bad) in [("CNB_CACHE_IMAGE", "CACHE"), ("CNB_BUILD_IMAGE", "BUILD")] {
            let expected = resolve(&format!("could not parse reference: {bad}"));
            let call = call(13, &["app"], &[(name, bad)]);
            assert_eq!(ending(parse(&call)), expected, "{name}");
        }
    }

    #[test]
    fn one_run_image_is_wanted() {
        let both = "failed to resolve inputs: supply only one of -run-image or (deprecated) -image";
        for (args, variable, expected) in [
            (&["app"][..], "", Ok(None)),
            (&["app"], "v1", Ok(Some("v1"))),
            (&["-run-image=a1", "app"], "v1", Ok(Some("a1"))),
            (&["-image=b1", "app"], "", Ok(Some("b1"))),
            (&["-image=b1", "app"], "v1", Ok(Some("b1"))),
            (&["-image=b1", "-run-image=v1", "app"], "v1", Ok(Some("b1"))),
            (&["-image=b1", "-run-image=a1", "app"], "v1", Err(both)),
            (&["-image=b1", "-run-image=a1", "app"], "", Err(both)),
            (&["-image=b1", "-run-image=b1", "app"], "", Err(both)),
            (&["-image=", "-run-image=a1", "app"], "", Ok(Some("a1"))),
        ] {
            let parsed = parse(&call(13, args, &[("CNB_RUN_IMAGE", variable)]));
            let found = parsed.map(|it| it.unwrap().run_image).map_err(|failure| {
                assert_eq!(failure.code as u8, 3);
                format!("{:#}", failure.error)
            });
            let expected = expected.map(|it| it.map(str::to_owned));
            assert_eq!(found, expected.map_err(str::to_owned), "{args:?}");
        }
    }

    #[test]
    fn flags_and_variables_resolve() {
        let pairs = [
            ("CNB_USE_LAYOUT", "1"),
            ("CNB_LAYOUT_DIR", "oci"),
            ("CNB_EXPERIMENTAL_MODE", "quiet"),
            ("CNB_PREVIOUS_IMAGE", "oci/before"),
            ("CNB_FORCE_REBASE", "true"),
            ("CNB_LAYERS_DIR", "/l"),
            ("CNB_USER_ID", "7"),
            ("CNB_GROUP_ID", "8"),
        ];
        // Variables count at every API.
        let args = ["-no-color", "app", "app:1", ""];
        let inputs = parse(&call(7, &args, &pairs)).unwrap().unwrap();
        let expected = Inputs {
            common: Common {
                log_level: "info".to_owned(),
                no_color: true,
            },
            user: User { uid: 7, gid: 8 },
            images: ImageSource {
                layout_dir: Some("oci".into()),
                ..ImageSource::default()
            },
            report_path: "/l/report.toml".into(),
            output_image: "app".to_owned(),
            additional_names: vec!["app:1".to_owned()],
            previous_image: Some("oci/before".to_owned()),
            run_image: None,
            force: true,
        };
        assert_eq!(inputs, expected);
    }

    #[test]
    fn the_report_has_a_place() {
        for (args, pairs, expected) in [
            (&["app"][..], &[][..], "/layers/report.toml"),
            (&["app"], &[("CNB_LAYERS_DIR", "rel")], "rel/report.toml"),
            (&["app"], &[("CNB_REPORT_PATH", "/r")], "/r"),
            (&["-report=/f", "app"], &[("CNB_REPORT_PATH", "/r")], "/f"),
        ] {
            let inputs = parse(&call(12, args, pairs)).unwrap().unwrap();
            assert_eq!(inputs.report_path, PathBuf::from(expected), "{args:?}");
        }
        let text = "flag provided but not defined: -layers";
        let refused = ending(parse(&call(15, &["-layers=/l", "app"], &[])));
        assert_eq!(refused, (2, text.to_owned()));
    }
}
