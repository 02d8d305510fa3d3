use std::os::unix::ffi::OsStringExt as _;

use super::testing::call;
use super::*;
use crate::inputs::groups::{CommonFlags, ImageFlags, UserFlags};

#[derive(Debug, clap::Args)]
struct Flags {
    #[command(flatten)]
    common: CommonFlags,
    #[command(flatten)]
    user: UserFlags,
    #[command(flatten)]
    images: ImageFlags,
    /// where the app is
    #[arg(long, env = variables::APP_DIR, default_value = "/workspace", value_parser = path())]
    app: PathBuf,
    /// old file
    #[arg(long, env = variables::STACK_PATH, value_parser = path())]
    stack: Option<PathBuf>,
    /// leave layers out
    #[arg(long, env = variables::SKIP_LAYERS, action = clap::ArgAction::Set, default_value = "false")]
    skip_layers: bool,
}

const GATES: &[Gate] = &[
    Gate::since("insecure-registry", 13),
    Gate::before("stack", 12),
    Gate::never("skip-layers"),
];

fn flags(args: &[&str], pairs: &[(&str, &str)]) -> Flags {
    read::<Flags>(&call(13, args, pairs), GATES)
        .unwrap()
        .0
        .flags
}

#[test]
fn flag_beats_variable_beats_default() {
    for (args, pairs, expected) in [
        (&[][..], &[][..], "/workspace"),
        (&[], &[("CNB_APP_DIR", "/variable")], "/variable"),
        (&[], &[("CNB_APP_DIR", "")], "/workspace"),
        (&["-app", "/flag"], &[("CNB_APP_DIR", "/variable")], "/flag"),
        (&["-app", "/one", "-app=/two"], &[], "/two"),
        (&["-app="], &[("CNB_APP_DIR", "/variable")], ""),
    ] {
        assert_eq!(
            flags(args, pairs).app,
            PathBuf::from(expected),
            "{args:?} {pairs:?}"
        );
    }
}

#[test]
fn malformed_variables_are_false_or_zero() {
    for (value, expected) in [
        ("1", true),
        ("t", true),
        ("T", true),
        ("TRUE", true),
        ("true", true),
        ("True", true),
        ("0", false),
        ("f", false),
        ("F", false),
        ("FALSE", false),
        ("false", false),
        ("False", false),
        ("yes", false),
        ("tRUE", false),
        ("", false),
    ] {
        assert_eq!(
            flags(&[], &[("CNB_NO_COLOR", value)]).common.no_color,
            expected,
            "{value}"
        );
    }
    for (value, expected) in [
        ("1001", 1001),
        ("0x3e9", 0),
        ("abc", 0),
        ("", 0),
        ("-1", -1),
    ] {
        assert_eq!(
            flags(&[], &[("CNB_USER_ID", value)]).user.uid,
            expected,
            "{value}"
        );
    }
    let flags = flags(
        &["-no-color=false", "-uid", "0x3e9"],
        &[("CNB_NO_COLOR", "1")],
    );
    assert!(!flags.common.no_color);
    assert_eq!(flags.user.uid, 1001);
}

#[test]
fn two_variables_skip() {
    assert!(!flags(&[], &[]).skip_layers);
    assert!(flags(&[], &[("CNB_SKIP_LAYERS", "true")]).skip_layers);
    assert!(flags(&[], &[("CNB_SKIP_RESTORE", "true")]).skip_layers);
    assert!(
        flags(
            &[],
            &[("CNB_SKIP_RESTORE", "true"), ("CNB_SKIP_LAYERS", "false")]
        )
        .skip_layers
    );
}

#[test]
fn lists_follow_their_variable() {
    let flags = flags(
        &["-insecure-registry", "c", "-insecure-registry=d"],
        &[("CNB_INSECURE_REGISTRIES", "a,b")],
    );
    assert_eq!(flags.images.insecure_registry, ["a", "b", "c", "d"]);
}

/// The first line is the reference's, the second ours: what to do instead.
#[test]
fn flags_of_other_apis_are_unknown_and_say_whose_they_are() {
    let rows: &[(u32, &[&str], Option<&str>)] = &[
        (
            12,
            &["-insecure-registry", "a"],
            Some(
                "-insecure-registry\n-insecure-registry is a flag since 0.13, and CNB_PLATFORM_API is 0.12; \
                 CNB_INSECURE_REGISTRIES counts at every API",
            ),
        ),
        (13, &["-insecure-registry", "a"], None),
        (15, &["-insecure-registry", "a"], None),
        (11, &["-stack", "a"], None),
        (
            12,
            &["--stack=a"],
            Some("-stack\n-stack is a flag before 0.12, and CNB_PLATFORM_API is 0.12"),
        ),
        (
            7,
            &["-skip-layers"],
            Some("-skip-layers\nCNB_SKIP_LAYERS has no flag; set the variable"),
        ),
        (
            15,
            &["-skip-layers"],
            Some("-skip-layers\nCNB_SKIP_LAYERS has no flag; set the variable"),
        ),
        (15, &["-other"], Some("-other")),
    ];
    for (minor, args, refused) in rows {
        let result = read::<Flags>(&call(*minor, args, &[]), GATES);
        let refused =
            refused.map(|text| Refusal::Wrong(format!("flag provided but not defined: {text}")));
        assert_eq!(result.err(), refused, "0.{minor} {args:?}");
    }
}

/// A path may be any bytes, a text may not; what stands in a variable stays there.
#[test]
fn bytes_are_no_text() {
    let bytes = || OsString::from_vec(b"a\xff".to_vec());
    let refused = |args: &[OsString], pairs: &[(&str, OsString)]| {
        let mut call = call(13, &[], &[]);
        call.args = args.to_vec();
        let pairs = pairs.iter().cloned();
        call.variables = Variables::from_pairs(pairs.map(|(name, value)| (name.into(), value)));
        read::<Flags>(&call, GATES).err()
    };
    let wrong = |text: &str| Some(Refusal::Wrong(text.to_owned()));
    assert_eq!(refused(&["-app".into(), bytes()], &[]), None);
    assert_eq!(refused(&[], &[("CNB_APP_DIR", bytes())]), None);
    assert_eq!(
        refused(&["-log-level".into(), bytes()], &[]),
        wrong(r#"invalid value "a\xff" for flag -log-level: not UTF-8"#)
    );
    assert_eq!(
        refused(&["-insecure-registry".into(), bytes()], &[]),
        wrong(r#"invalid value "a\xff" for flag -insecure-registry: not UTF-8"#)
    );
    let variable = [("CNB_LOG_LEVEL", bytes())];
    assert_eq!(
        refused(&[], &variable),
        wrong("invalid value of CNB_LOG_LEVEL: not UTF-8")
    );
    assert_eq!(refused(&["-log-level=info".into()], &variable), None);
}

#[test]
fn variables_count_where_the_flag_does_not() {
    let call = call(
        12,
        &[],
        &[("CNB_STACK_PATH", "/s"), ("CNB_INSECURE_REGISTRIES", "a")],
    );
    let flags = read::<Flags>(&call, GATES).unwrap().0.flags;
    assert_eq!(flags.stack, Some(PathBuf::from("/s")));
    assert_eq!(flags.images.insecure_registry, ["a"]);
}
