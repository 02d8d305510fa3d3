//! What the author of a buildpack or a builder reads where detection fails: each class of mistake with the whole log.
//! Here what is wrong with files, in `author_program` what is wrong with programs and what they say.
//!
//! The lines of the reference stand as they are; ours are the `ERROR:` lines between its first and its last.

use std::os::unix::fs::MetadataExt as _;

use fs_err as fs;
use tests::build::UID;
use tests::detection::Detection;
use tests::program::is_root;

/// What is wrong, exit code, and the log.
pub(crate) type Row = (fn(&mut Detection), i32, &'static str);

/// Checks each row: buildpack `a` passes, and is all that there is.
/// In a log, `ROOT` is the folder of the test, `USER` who detects, `OWNER` whose the files are.
pub(crate) fn check(rows: &[Row]) {
    let ours = fs::metadata("/proc/self").unwrap().uid();
    let user = if is_root() { UID } else { ours };
    let mut wrong = Vec::new();
    for (break_it, code, log) in rows {
        let mut detection = Detection::new();
        let analyzed = "[run-image]\nreference = \"run\"\n[run-image.target]\nos = \"linux\"\narch = \"amd64\"\n\
                        [run-image.target.distro]\nname = \"ubuntu\"\nversion = \"22.04\"\n";
        detection.write("layers/analyzed.toml", analyzed);
        detection.buildpack("a", "exit 0");
        detection.order(&["a"]);
        break_it(&mut detection);
        let ran = detection.run(&[]);
        let log = log
            .replace("USER", &user.to_string())
            .replace("OWNER", &ours.to_string());
        if (ran.code, &ran.text) != (*code, &log) {
            wrong.push(format!(
                "{}\n--- instead of {code}:\n{log}--- {}\n",
                ran.text, ran.code
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const DESCRIPTOR: &str = "buildpacks/a/1/buildpack.toml";

#[test]
fn detection_cannot_read_its_order() {
    check(&[
        (
            |detection| fs::remove_file(detection.path("order.toml")).unwrap(),
            1,
            "\
ERROR: ROOT/order.toml: cannot be read: no such file or directory
ERROR: to fix it: name the order with -order or CNB_ORDER_PATH
ERROR: failed to initialize detector: reading order: failed to read order file: open ROOT/order.toml: no such file or directory
",
        ),
        (
            |detection| detection.write("order.toml", "[[order]]\n[[order.group]\nid = \"a\"\n"),
            1,
            "\
ERROR: ROOT/order.toml:2: expected end of table array name delimiter ']', but got '\\n' instead
ERROR: to fix it: write [[order]], and below it [[order.group]] with id, version and perhaps optional = true
ERROR: failed to initialize detector: reading order: failed to read order file: toml: line 3 (last key \"order\"): expected end of table array name delimiter ']', but got '\\n' instead
",
        ),
        (
            |detection| detection.write("order.toml", "[[order]]\n[[order.group]]\nid = \"a\"\nversion = 1\n[[order.group]]\nversion = \"1\"\n"),
            1,
            "\
ERROR: ROOT/order.toml:4: \"order.group.version\" is an integer, not a string
ERROR: to fix it: write [[order]], and below it [[order.group]] with id, version and perhaps optional = true
ERROR: failed to initialize detector: reading order: failed to read order file: toml: line 6 (last key \"order.group.version\"): incompatible types: TOML value has type int64; destination has type string
",
        ),
    ]);
}

#[test]
fn detection_cannot_use_system_buildpacks() {
    check(&[
        (
            |detection| {
                detection.api = "0.15";
                detection.write("system.toml", "[system]\npre = \"a\"\n");
            },
            1,
            "\
ERROR: ROOT/system.toml:2: \"system.pre\" is a string, not a table
ERROR: to fix it: write [[system.pre.buildpacks]] and [[system.post.buildpacks]], with id and version each
ERROR: failed to initialize detector: reading system: failed to read system file: toml: line 2 (last key \"system.pre\"): type mismatch for files.SystemBuildpacks: expected table but found string
",
        ),
        (
            |detection| {
                detection.api = "0.15";
                let text = "[[system.post.buildpacks]]\nid = \"a\"\nversion = \"1\"\n\
                            [[system.post.buildpacks]]\nid = \"ghost\"\nversion = \"1\"\n";
                detection.write("system.toml", text);
            },
            1,
            "\
ERROR: ROOT/system.toml:5: names buildpack ghost@1, but there is no ROOT/buildpacks/ghost/1/buildpack.toml
ERROR: to fix it: name a buildpack that is there (a), or add this one to the builder
ERROR: failed to initialize detector: open ROOT/buildpacks/ghost/1/buildpack.toml: no such file or directory
",
        ),
    ]);
}

#[test]
fn detection_has_nothing_to_try() {
    check(&[
        (
            |detection| detection.write("order.toml", "\n"),
            20,
            "\
ERROR: No buildpack groups passed detection.
ERROR: Please check that you are running against the correct path.
ERROR: ROOT/order.toml: holds no [[order]]
ERROR: to fix it: list at least one group: [[order]], and below it [[order.group]] with id and version
ERROR: failed to detect: no buildpacks participating
",
        ),
        (
            |detection| detection.write("order.toml", "\n\n[[order]]\n"),
            20,
            "\
======== Results ========
fail: no viable buildpacks in group
ERROR: No buildpack groups passed detection.
ERROR: Please check that you are running against the correct path.
ERROR: ROOT/order.toml:3: group 1 holds no [[order.group]]
ERROR: to fix it: list at least one buildpack below its [[order]], with id and version
ERROR: failed to detect: no buildpacks participating
",
        ),
    ]);
}

#[test]
fn detection_does_not_find_a_module() {
    check(&[
        (
            |detection| {
                let text = "[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"2\"\n";
                detection.write("order.toml", text);
            },
            1,
            "\
ERROR: ROOT/order.toml:3: names buildpack a@2, but there is no ROOT/buildpacks/a/2/buildpack.toml
ERROR: to fix it: name a version that is there (1), or add this one to the builder
ERROR: failed to initialize detector: open ROOT/buildpacks/a/2/buildpack.toml: no such file or directory
",
        ),
        (
            |detection| {
                detection.buildpack("acme_java", "exit 0");
                detection.order(&["a acme/jvm"]);
            },
            1,
            "\
ERROR: ROOT/order.toml:7: names buildpack acme/jvm@1, but there is no ROOT/buildpacks/acme_jvm/1/buildpack.toml
ERROR: to fix it: name a buildpack that is there (a, acme_java), or add this one to the builder
ERROR: failed to initialize detector: open ROOT/buildpacks/acme_jvm/1/buildpack.toml: no such file or directory
",
        ),
        (
            |detection| {
                let extensions = "[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n\
                                  [[order-extensions]]\n[[order-extensions.group]]\nid = \"x\"\nversion = \"1\"\n";
                detection.write("order.toml", extensions);
            },
            1,
            "\
ERROR: ROOT/order.toml:7: names extension x@1, but there is no ROOT/extensions/x/1/extension.toml
ERROR: to fix it: add the extension to the builder, or name its folder with -extensions or CNB_EXTENSIONS_DIR; ROOT/extensions holds nothing
ERROR: failed to initialize detector: open ROOT/extensions/x/1/extension.toml: no such file or directory
",
        ),
        (
            |detection| {
                let composite = "api = \"0.10\"\n[buildpack]\nid = \"a\"\nversion = \"1\"\n\
                                 [[order]]\n[[order.group]]\nid = \"ghost\"\nversion = \"1\"\n";
                detection.write(DESCRIPTOR, composite);
            },
            22,
            "\
ERROR: ROOT/buildpacks/a/1/buildpack.toml:7: names buildpack ghost@1, but there is no ROOT/buildpacks/ghost/1/buildpack.toml
ERROR: to fix it: name a buildpack that is there (a), or add this one to the builder
ERROR: failed to detect: open ROOT/buildpacks/ghost/1/buildpack.toml: no such file or directory
",
        ),
    ]);
}

#[test]
fn detection_cannot_use_a_descriptor() {
    check(&[
        (
            |detection| detection.write(DESCRIPTOR, "api = \"0.10\n"),
            1,
            "\
ERROR: buildpack a@1: ROOT/buildpacks/a/1/buildpack.toml:1: strings cannot contain newlines
ERROR: to fix it: correct buildpack.toml; it holds api = \"...\", [buildpack] with id and version, and what else is said of a buildpack
ERROR: failed to initialize detector: toml: line 1 (last key \"api\"): strings cannot contain newlines
",
        ),
        (
            |detection| {
                let text = "api = \"0.10\"\n[buildpack]\nid = \"a\"\nversion = 1.0\n";
                detection.write(DESCRIPTOR, text);
            },
            1,
            "\
ERROR: buildpack a@1: ROOT/buildpacks/a/1/buildpack.toml:4: \"buildpack.version\" is a number with a point, not a string
ERROR: to fix it: correct buildpack.toml; it holds api = \"...\", [buildpack] with id and version, and what else is said of a buildpack
ERROR: failed to initialize detector: toml: line 4 (last key \"buildpack.version\"): incompatible types: TOML value has type float64; destination has type string
",
        ),
        (
            |detection| {
                let text = "# from the future\napi = \"0.99\"\n[buildpack]\nid = \"a\"\n";
                detection.write(DESCRIPTOR, text);
            },
            12,
            "\
ERROR: buildpack a@1: ROOT/buildpacks/a/1/buildpack.toml:2: api = \"0.99\" is none that this lifecycle knows
ERROR: to fix it: name one of 0.7, 0.8, 0.9, 0.10, 0.11, 0.12; for a newer one, take a newer lifecycle
ERROR: failed to set API for Buildpack 'a@1': buildpack API version '0.99' is incompatible with the lifecycle
",
        ),
        (
            |detection| detection.write(DESCRIPTOR, "[buildpack]\napi = \"0.10\"\nid = \"a\"\n"),
            12,
            "\
ERROR: buildpack a@1: ROOT/buildpacks/a/1/buildpack.toml: says no api
ERROR: to fix it: write api = \"...\" above the first table, with one of 0.7, 0.8, 0.9, 0.10, 0.11, 0.12
ERROR: failed to parse buildpack API '<nil>' for buildpack 'a@1'
",
        ),
    ]);
}

#[test]
fn detection_cannot_take_a_module() {
    check(&[
        (
            |detection| {
                let composite = "api = \"0.10\"\n[buildpack]\nid = \"meta\"\nversion = \"1\"\n\
                                 [[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n";
                detection.write("buildpacks/meta/1/buildpack.toml", composite);
                detection.write(DESCRIPTOR, "\napi = \"new\"\n[buildpack]\nid = \"a\"\n");
                detection.order(&["meta"]);
            },
            21,
            "\
======== Error: a@1 ========
could not parse 'new' as version
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/buildpack.toml:2: api = \"new\" is none that this lifecycle knows
ERROR: to fix it: name one of 0.7, 0.8, 0.9, 0.10, 0.11, 0.12; for a newer one, take a newer lifecycle
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| {
                let text = "api = \"0.10\"\n[buildpack]\nid = \"a\"\nversion = \"1\"\n\n\
                            [[targets]]\nos = \"linux\"\narch = \"arm64\"\n\
                            [[targets]]\nos = \"linux\"\n[[targets.distros]]\nname = \"debian\"\nversion = \"12\"\n";
                detection.write(DESCRIPTOR, text);
            },
            21,
            "\
======== Error: a@1 ========
unable to satisfy target os/arch constraints; run image: {\"os\":\"linux\",\"arch\":\"amd64\",\"distro\":{\"name\":\"ubuntu\",\"version\":\"22.04\"}}, buildpack: [{\"os\":\"linux\",\"arch\":\"arm64\"},{\"os\":\"linux\",\"arch\":\"\",\"distros\":[{\"name\":\"debian\",\"version\":\"12\"}]}]
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/buildpack.toml:6: is for linux/arm64 or linux/any (debian 12), and the run image is linux/amd64 (ubuntu 22.04)
ERROR: to fix it: list the run image's target under [[targets]], or build on another run image
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| {
                for (id, inner) in [("meta", "one"), ("one", "two"), ("two", "one")] {
                    let composite = format!(
                        "api = \"0.10\"\n[buildpack]\nid = \"{id}\"\nversion = \"1\"\n\
                         [[order]]\n[[order.group]]\nid = \"{inner}\"\nversion = \"1\"\n"
                    );
                    detection.write(&format!("buildpacks/{id}/1/buildpack.toml"), composite);
                }
                detection.order(&["meta"]);
            },
            22,
            "\
ERROR: buildpack one@1: ROOT/buildpacks/one/1/buildpack.toml: leads back to itself: one@1 -> two@1 -> one@1
ERROR: to fix it: leave one of these out of the [[order]] of the one in front of it
ERROR: failed to detect: composite buildpack one@1 contains itself
",
        ),
    ]);
}
