//! The border of each program: the Platform API, flags, usage, version, levels and colours, last lines, exit codes.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tests::program::ours;

const PHASES: [&str; 7] = [
    "analyzer", "detector", "restorer", "builder", "exporter", "creator", "rebaser",
];

/// What a program did, its two outputs apart.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Runs a program with these variables and no other.
fn run(program: &Path, args: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = Command::new(program);
    command.env_clear().args(args);
    let output = command
        .envs(variables.iter().copied())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a phase at a Platform API, without colours.
fn phase(name: &str, api: &str, args: &[&str]) -> Said {
    let variables = [("CNB_PLATFORM_API", api), ("CNB_NO_COLOR", "true")];
    run(&ours(name), args, &variables)
}

/// Returns what a program says on standard output that fails for one reason.
fn failed(code: i32, text: &str) -> Said {
    Said {
        code,
        out: format!("ERROR: {text}\n"),
        err: String::new(),
    }
}

/// COM-003, COM-004, COM-005: before flags are looked at, and with every program alike. Colours are not off yet.
#[test]
fn without_a_platform_api_nothing_runs() {
    let unset = "failed to get platform API version; please set 'CNB_PLATFORM_API' to specify the desired platform API version";
    let unparsable = |value| format!("failed to parse platform API '{value}'");
    let unsupported = |value| {
        format!(
            "failed to set platform API: platform API version '{value}' is incompatible with the lifecycle"
        )
    };
    for (value, text) in [
        (None, unset.to_owned()),
        (Some(""), unset.to_owned()),
        (Some(" \t"), unset.to_owned()),
        (Some("abc"), unparsable("abc")),
        (Some("0.12.1"), unparsable("0.12.1")),
        (Some("0.6"), unsupported("0.6")),
        (Some("0.16"), unsupported("0.16")),
    ] {
        let variables: Vec<_> = value
            .map(|value| ("CNB_PLATFORM_API", value))
            .into_iter()
            .collect();
        let expected = Said {
            code: 11,
            out: format!("\u{1b}[31;1mERROR: \u{1b}[0m{text}\n"),
            err: String::new(),
        };
        for name in PHASES.into_iter().chain(["launcher"]) {
            for args in [
                &[][..],
                &["-version"],
                &["-nonsense"],
                &["-no-color", "-help"],
            ] {
                let said = run(&ours(name), args, &variables);
                assert_eq!(said, expected, "{name} {args:?} {value:?}");
            }
        }
    }
}

/// COM-011: whatever else was typed, and at any level.
#[test]
fn the_version_is_printed_before_the_level_is_looked_at() {
    for name in PHASES {
        for args in [
            &["-version"][..],
            &["--version=true", "-log-level", "fatal"],
            &["-log-level=nonsense", "-version", "a", "b", "c"],
        ] {
            let said = phase(name, "0.7", args);
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{name} {args:?}");
            let version = said.out.strip_suffix('\n').unwrap();
            assert!(version.starts_with("0.21.17+slipway."), "{name}: {version}");
            assert!(!version.contains(char::is_whitespace), "{name}: {version}");
        }
        assert_ne!(phase(name, "0.7", &["-version=false", "-x"]).code, 0);
    }
}

/// COM-013.
#[test]
fn usage_goes_to_standard_error() {
    let mut rows = vec![
        (&["-h"][..], 0, ""),
        (&["-help"], 0, ""),
        (&["--help"], 0, ""),
        (
            &["-nonsense"],
            2,
            "flag provided but not defined: -nonsense\n",
        ),
        (&["-log-level"], 2, "flag needs an argument: -log-level\n"),
        (
            &["-no-color=maybe"],
            2,
            "invalid boolean value \"maybe\" for -no-color: parse error\n",
        ),
        (&["---x"], 2, "bad flag syntax: ---x\n"),
    ];
    for name in PHASES {
        if !["detector", "builder"].contains(&name) {
            let text = "invalid value \"x\" for flag -uid: parse error\n";
            rows.push((&["-uid", "x"], 2, text));
        }
        for (args, code, message) in &rows {
            let said = phase(name, "0.13", args);
            assert_eq!(
                (said.code, said.out.as_str()),
                (*code, ""),
                "{name} {args:?}"
            );
            let head = format!("{message}Usage of lifecycle:\n  {name} [flags]");
            assert!(said.err.starts_with(&head), "{name} {args:?}: {}", said.err);
            assert!(said.err.contains("\n  -log-level string\n"), "{}", said.err);
        }
        rows.truncate(7);
    }
}

/// A platform that speaks an older API learns what it would have to do.
#[test]
fn a_flag_of_a_newer_api_says_since_when_it_is_there() {
    let said = phase("restorer", "0.11", &["-layout", "-layout-dir", "/l"]);
    assert_eq!((said.code, said.out.as_str()), (2, ""));
    let lines: Vec<_> = said.err.lines().take(3).collect();
    let expected = [
        "flag provided but not defined: -layout",
        "-layout is a flag since 0.12, and CNB_PLATFORM_API is 0.11; CNB_USE_LAYOUT counts at every API",
        "Usage of lifecycle:",
    ];
    assert_eq!(lines, expected);
}

/// COM-028: too many or too few arguments, and inputs that make no sense; `--` ends flags.
#[test]
fn arguments_that_make_no_sense_exit_3() {
    let unexpected = "failed to parse arguments: received unexpected arguments";
    let none = "failed to parse arguments: received 0 arguments, but expected 1";
    let two = "failed to parse arguments: received 2 arguments, but expected 1";
    let bad = "failed to resolve inputs: could not parse reference: BAD";
    for (name, args, text) in [
        ("detector", &["x"][..], unexpected),
        ("builder", &["--", "x"], unexpected),
        (
            "restorer",
            &["x"],
            "failed to parse arguments: received unexpected Args",
        ),
        ("analyzer", &[], none),
        ("analyzer", &["a", "b"], two),
        ("analyzer", &["-run-image=run", "BAD"], bad),
        ("creator", &[], none),
        ("creator", &["a", "b"], two),
        (
            "exporter",
            &[],
            "failed to parse arguments: at least one image argument is required",
        ),
        (
            "exporter",
            &["-run-image", "x", "app"],
            "failed to resolve inputs: -run-image is unsupported",
        ),
    ] {
        assert_eq!(
            phase(name, "0.12", args),
            failed(3, text),
            "{name} {args:?}"
        );
    }
}

/// COM-014: each of them is warned of, and is an argument like any other.
#[test]
fn flags_behind_arguments_are_warned_of() {
    let warning = |argument| {
        format!(
            "Warning: Warning: unconsumed flag-like positional arg: \n\t{argument}\n\t This will not be interpreted as a flag.\n\t Did you mean to put this before the first positional argument?\n"
        )
    };
    let said = phase("analyzer", "0.12", &["app", "-daemon", "other", "--x=y"]);
    let count = "ERROR: failed to parse arguments: received 4 arguments, but expected 1\n";
    let expected = warning("-daemon") + &warning("--x=y") + count;
    assert_eq!((said.code, said.out), (3, expected));
}

/// COM-027, COM-030, COM-031, COM-032, COM-035: which lines a level lets through, on which output, and how they look.
#[test]
fn levels_filter_what_is_said_on_standard_output() {
    let debug = "Starting detector...\nParsing inputs...\n";
    let warning = "Warning: Warning: unconsumed flag-like positional arg: \n\t-x\n\t This will not be interpreted as a flag.\n\t Did you mean to put this before the first positional argument?\n";
    let error = "ERROR: failed to parse arguments: received unexpected arguments\n";
    for (level, expected) in [
        ("debug", [warning, debug, error].concat()),
        ("DEBUG", [warning, debug, error].concat()),
        ("info", [warning, error].concat()),
        ("warn", [warning, error].concat()),
        ("Warning", [warning, error].concat()),
        ("error", error.to_owned()),
        ("fatal", String::new()),
    ] {
        let expected = Said {
            code: 3,
            out: expected,
            err: String::new(),
        };
        let by_flag = phase("detector", "0.12", &["-log-level", level, "--", "-x"]);
        assert_eq!(by_flag, expected, "{level}");
        let variables = [
            ("CNB_PLATFORM_API", "0.12"),
            ("CNB_NO_COLOR", "1"),
            ("CNB_LOG_LEVEL", level),
        ];
        let by_variable = run(&ours("detector"), &["--", "-x"], &variables);
        assert_eq!(by_variable, expected, "{level}");
    }
    for name in PHASES {
        let refused = failed(1, "failed to parse log level: invalid level");
        assert_eq!(phase(name, "0.12", &["-log-level=loud"]), refused, "{name}");
        assert_eq!(phase(name, "0.12", &["-log-level="]), refused, "{name}");
    }
    // What is said before the level is known is said at any level.
    let early = run(&ours("detector"), &[], &[("CNB_LOG_LEVEL", "fatal")]);
    assert!(
        early.out.contains("failed to get platform API version"),
        "{early:?}"
    );
}

/// Info lines have no prefix and are there from `info` on.
#[test]
fn information_is_for_info_and_debug() {
    let info = "No run metadata found at path \"/nowhere/run.toml\"\n";
    let error = "ERROR: failed to resolve inputs: -run-image is required when there is no run metadata available\n";
    for (level, expected) in [("info", [info, error].concat()), ("warn", error.to_owned())] {
        let args = ["-log-level", level, "-run", "/nowhere/run.toml", "app"];
        let said = phase("analyzer", "0.12", &args);
        assert_eq!((said.code, said.out), (3, expected), "{level}");
    }
}

/// COM-032, COM-033: only prefixes are coloured, also without a terminal, unless they shall not be.
#[test]
fn colours_are_on_unless_they_are_turned_off() {
    let start =
        "\u{1b}[33;1mWarning: \u{1b}[0mWarning: unconsumed flag-like positional arg: \n\t-x\n";
    let end =
        "\n\u{1b}[31;1mERROR: \u{1b}[0mfailed to parse arguments: received unexpected arguments\n";
    let api = ("CNB_PLATFORM_API", "0.12");
    for (args, variables, colours) in [
        (&["--", "-x"][..], &[api][..], true),
        (
            &["-no-color=false", "x", "-x"],
            &[api, ("CNB_NO_COLOR", "true")],
            true,
        ),
        (&["--", "-x"], &[api, ("CNB_NO_COLOR", "nonsense")], true),
        (&["-no-color", "--", "-x"], &[api], false),
        (&["--", "-x"], &[api, ("CNB_NO_COLOR", "1")], false),
    ] {
        let said = run(&ours("detector"), args, variables);
        assert_eq!(said.code, 3);
        assert_eq!(
            said.out.contains('\u{1b}'),
            colours,
            "{args:?} {variables:?}"
        );
        if colours {
            assert!(said.out.starts_with(start), "{said:?}");
            assert!(said.out.ends_with(end), "{said:?}");
        }
    }
}

/// COM-009, COM-010.
#[test]
fn one_file_is_every_phase() {
    let dir = tempfile::tempdir().unwrap();
    let api = [("CNB_PLATFORM_API", "0.12"), ("CNB_NO_COLOR", "true")];
    let lifecycle = ours("lifecycle");
    for (name, subcommand) in [
        ("detector", "detect"),
        ("analyzer", "analyze"),
        ("restorer", "restore"),
        ("builder", "build"),
        ("exporter", "export"),
        ("creator", "create"),
        ("rebaser", "rebase"),
    ] {
        let alone = run(&ours(name), &["-h"], &api);
        let link = dir.path().join(name);
        symlink(&lifecycle, &link).unwrap();
        assert_eq!(run(&link, &["-h"], &api), alone, "{name}");
        let with_extension = dir.path().join(format!("{name}.exe"));
        symlink(&lifecycle, &with_extension).unwrap();
        assert_eq!(run(&with_extension, &["-h"], &api), alone, "{name}.exe");

        let head = (
            format!("  {name} [flags]"),
            format!("  {subcommand} [flags]"),
        );
        let by_subcommand = Said {
            err: alone.err.replace(&head.0, &head.1),
            ..alone
        };
        assert_ne!(by_subcommand.err, "");
        for word in [subcommand.to_owned(), format!("/x/{subcommand}")] {
            assert_eq!(
                run(&lifecycle, &[&word, "-h"], &api),
                by_subcommand,
                "{word}"
            );
        }
    }
    let extend = run(&lifecycle, &["extend"], &api);
    assert_eq!(extend.code, 102, "{extend:?}");
    let other = dir.path().join("other");
    symlink(&lifecycle, &other).unwrap();
    for program in [&lifecycle, &other] {
        assert_eq!(run(program, &[], &api).code, 3);
        assert_eq!(run(program, &["-version"], &[]).code, 0);
        assert!(
            run(program, &["-version"], &[])
                .out
                .starts_with("0.21.17+slipway.")
        );
        let unknown = run(program, &["/x/frobnicate"], &api);
        let expected = "failed to recognize phase: frobnicate \nValid phases: detect, analyze, restore, build, export, rebase, create, extend\n";
        assert_eq!(unknown.code, 3);
        assert!(unknown.out.ends_with(expected), "{unknown:?}");
        assert_eq!(run(program, &["frobnicate"], &[]).code, 11);
        assert!(
            run(program, &[], &[])
                .out
                .ends_with("failed to parse arguments\n")
        );
    }
}

/// What platforms send today: Tekton gives every flag a value, empty where it has none. Each gets as far as without them.
#[test]
fn empty_values_of_todays_platforms_are_none() {
    let args = |empty: &[&'static str]| [empty, &["-run-image=run", "-layout", "app"]].concat();
    let empty = [
        "-tag=",
        "-cache-image=",
        "-cache-dir=",
        "-launch-cache=",
        "-process-type=",
        "-previous-image=",
        "-insecure-registry=",
        "-skip-restore=false",
        "-daemon=false",
        "-parallel=false",
    ];
    let variables = [
        ("CNB_PLATFORM_API", "0.13"),
        ("CNB_NO_COLOR", "true"),
        ("CNB_CACHE_IMAGE", ""),
        ("CNB_INSECURE_REGISTRIES", "registry.example.org,"),
    ];
    let with = run(&ours("creator"), &args(&empty), &variables);
    let without = run(&ours("creator"), &args(&[]), &variables[..2]);
    let missing = "ERROR: failed to resolve inputs: -layout-dir is required with -layout; set it or CNB_LAYOUT_DIR\n";
    assert!(with.out.ends_with(missing), "{with:?}");
    assert_eq!(with, without);
}
