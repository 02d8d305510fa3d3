//! The detector as a program: what is shown at which level, what it ends with, and who may run it.

use fs_err as fs;
use tests::build::Build;
use tests::detection::Detection;
use tests::program::{Ran, requires_root};

/// A run image that says what it is, so that nothing is looked up.
const ANALYZED: &str = "[run-image]\nreference = \"run\"\n[run-image.target]\nos = \"linux\"\narch = \"amd64\"\n\
                        [run-image.target.distro]\nname = \"ubuntu\"\nversion = \"22.04\"\n";

fn detection(script: &str) -> Detection {
    let detection = Detection::new();
    detection.write("layers/analyzed.toml", ANALYZED);
    detection.buildpack("a", script);
    detection.buildpack("odd", "echo odd; exit 7");
    detection.order(&["a odd?"]);
    detection
}

const PASSED: &str = "\
======== Output: a@1 ========
hello
======== Output: odd@1 ========
odd
======== Results ========
pass: a@1
err:  odd@1 (7)
Resolving plan... (try #1)
1 of 2 buildpacks participating
a 1
";

const FAILED: &str = "\
======== Output: a@1 ========
hello
======== Output: odd@1 ========
odd
======== Results ========
fail: a@1
err:  odd@1 (7)
";

/// Returns the lines that detection kept back: those without a prefix, but for the phase's own at debug level.
fn kept_back(text: &str) -> String {
    let own = [
        "ERROR: ",
        "Warning: ",
        "Starting ",
        "Parsing ",
        "Ensuring ",
        "Executing ",
        "Timer: ",
        "Checking ",
    ];
    let lines = text
        .lines()
        .filter(|line| !own.iter().any(|prefix| line.starts_with(prefix)));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// BPD-058, DET-023: after a success the level decides, after a failure everything is shown. BPD-073, BPD-074, DET-028,
/// DET-029: what detection ends with.
#[test]
fn what_was_tried_is_shown_by_level_after_a_success_and_whole_after_a_failure() {
    let from_info: String = [
        "======== Output: odd@1 ========\n",
        "odd\n",
        "err:  odd@1 (7)\n",
        "1 of 2 buildpacks participating\n",
        "a 1\n",
    ]
    .concat();
    for (level, passed) in [
        ("debug", PASSED),
        ("info", &from_info),
        ("warn", ""),
        ("error", ""),
    ] {
        let ran = detection("echo hello").run(&["-log-level", level]);
        assert_eq!(ran.code, 0, "{}", ran.text);
        assert_eq!(kept_back(&ran.text), passed, "{level}");

        let ran = detection("echo hello; exit 100").run(&["-log-level", level]);
        assert_eq!(ran.code, 21, "{}", ran.text);
        assert_eq!(kept_back(&ran.text), FAILED, "{level}");
        assert_eq!(
            errors(&ran.text),
            [NO_GROUP, "failed to detect: buildpack(s) failed with err"]
        );

        let without_error = detection("exit 100");
        without_error.order(&["a"]);
        let ran = without_error.run(&["-log-level", level]);
        assert_eq!(ran.code, 20, "{}", ran.text);
        let results = "======== Results ========\nfail: a@1\n";
        assert_eq!(kept_back(&ran.text), results, "{level}");
        assert_eq!(
            errors(&ran.text),
            [
                NO_GROUP,
                "Please check that you are running against the correct path.",
                "failed to detect: no buildpacks participating"
            ]
        );
    }
}

const NO_GROUP: &str = "No buildpack groups passed detection.";

/// Returns the reference's own error lines, without those that we add for the author of a buildpack.
fn errors(text: &str) -> Vec<&str> {
    let errors = text.lines().filter_map(|line| line.strip_prefix("ERROR: "));
    errors
        .filter(|line| {
            ["No buildpack groups", "Please check", "failed to "]
                .iter()
                .any(|start| line.starts_with(start))
        })
        .collect()
}

/// BPD-058: nothing of it comes before the end.
#[test]
fn nothing_is_shown_before_the_end() {
    let detection = detection("echo hello; exit 100");
    let ran = detection.run(&["-log-level", "debug"]);
    let position = |text: &str| {
        ran.text
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {}", ran.text))
    };
    assert!(position("Timer: Detector started") < position("hello"));
    assert!(position("err:  odd@1 (7)") < position(NO_GROUP));
}

/// BPD-009: whatever is to be said of deprecated APIs, nothing is.
#[test]
fn no_supported_buildpack_api_is_deprecated() {
    let apis = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"];
    let detection = detection("exit 0");
    for (at, api) in apis.iter().enumerate() {
        let id = format!("b{at}");
        detection.buildpack(&id, "exit 0");
        let descriptor = format!("api = \"{api}\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n");
        detection.write(&format!("buildpacks/{id}/1/buildpack.toml"), descriptor);
    }
    detection.order(&["b0 b1 b2 b3 b4 b5"]);
    for mode in ["quiet", "warn", "error"] {
        let mut command = detection.command(&[]);
        let ran = Ran::of(command.env("CNB_DEPRECATION_MODE", mode));
        let expected = "b0 1\nb1 1\nb2 1\nb3 1\nb4 1\nb5 1\n";
        assert_eq!((ran.code, ran.text.as_str()), (0, expected), "{mode}");
    }
}

/// DET-007, DET-031: what is read before detection, and what is written behind it.
#[test]
fn files_that_cannot_be_read_or_written_end_with_1() {
    let table = [
        (
            "layers/analyzed.toml",
            "= 1",
            "failed to initialize detector: failed to read analyzed file: toml: line 1",
        ),
        (
            "system.toml",
            "system = 1",
            "failed to initialize detector: reading system: failed to read system file: toml: line 1",
        ),
        (
            "order.toml",
            "order = 1",
            "failed to initialize detector: reading order: failed to read order file: toml: line 1",
        ),
        (
            "buildpacks/a/1/buildpack.toml",
            "",
            "failed to initialize detector: open ROOT/buildpacks/a/1/buildpack.toml: no such file or directory",
        ),
        (
            "layers/group.toml/x",
            "x",
            "failed to write group file: open ROOT/layers/group.toml: is a directory",
        ),
        (
            "layers/plan.toml/x",
            "x",
            "failed to write plan file: open ROOT/layers/plan.toml: is a directory",
        ),
    ];
    for (file, text, expected) in table {
        let mut detection = detection("exit 0");
        detection.api = "0.15";
        let system = detection.path("system.toml").display().to_string();
        match text {
            "" => fs::remove_file(detection.path(file)).unwrap(),
            text => detection.write(file, text),
        }
        let ran = detection.run(&["-system", &system]);
        let last = ran.text.lines().last().unwrap_or_default();
        assert_eq!(ran.code, 1, "{file}: {}", ran.text);
        assert!(last.starts_with(&format!("ERROR: {expected}")), "{last}");
    }
}

/// BPD-075.
#[test]
fn arguments_are_refused() {
    let ran = detection("exit 0").run(&["positional"]);
    let expected = "ERROR: failed to parse arguments: received unexpected arguments";
    assert_eq!((ran.code, ran.text.lines().last()), (3, Some(expected)));
}

/// BPD-075.
#[test]
fn root_is_refused() {
    if !requires_root() {
        return;
    }
    let detection = detection("exit 0");
    let ran = Ran::of(&mut detection.command_as_we_are(&[]));
    let expected = "ERROR: failed to detect: refusing to run as root";
    assert_eq!((ran.code, ran.text.lines().last()), (1, Some(expected)));
    assert!(!detection.path("layers/group.toml").exists());
}

/// BPD-008: what detection lets through, because only a composite names it, ends each phase behind it.
#[test]
fn root_an_unsupported_api_in_the_group_ends_restorer_builder_and_exporter() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.until_export();
    let group = fs::read_to_string(build.path("layers/group.toml")).unwrap();
    build.write("layers/group.toml", &group.replace("\"0.10\"", "\"0.99\""));
    let expected = "ERROR: failed to set API for Buildpack 'acme/hello@1.0.0': buildpack API version '0.99' is incompatible with the lifecycle";
    let [_, _, restorer, builder, exporter] = build.all_phases();
    for mut phase in [restorer, builder, exporter] {
        let ran = Ran::of(&mut phase);
        assert_eq!(ran.code, 12, "{phase:?}: {}", ran.text);
        assert!(ran.text.contains(expected), "{phase:?}: {}", ran.text);
    }
}
