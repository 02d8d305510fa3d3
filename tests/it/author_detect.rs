//! What the author of a buildpack reads where detection fails: each class of mistake with the whole log.
//!
//! The lines of the reference stand as they are; ours are the `ERROR:` lines between its first and its last.

use std::os::unix::fs::MetadataExt as _;

use fs_err as fs;
use tests::build::UID;
use tests::detection::Detection;
use tests::program::is_root;

/// What is wrong, exit code, and the log.
type Row = (fn(&Detection), i32, &'static str);

/// Checks each row: buildpack `a` passes, and is all that there is.
/// In a log, `ROOT` is the folder of the test, `USER` who detects, `OWNER` whose the files are.
fn check(rows: &[Row]) {
    let ours = fs::metadata("/proc/self").unwrap().uid();
    let user = if is_root() { UID } else { ours };
    let mut wrong = Vec::new();
    for (break_it, code, log) in rows {
        let detection = Detection::new();
        let analyzed = "[run-image]\nreference = \"run\"\n[run-image.target]\nos = \"linux\"\narch = \"amd64\"\n\
                        [run-image.target.distro]\nname = \"ubuntu\"\nversion = \"22.04\"\n";
        detection.write("layers/analyzed.toml", analyzed);
        detection.buildpack("a", "exit 0");
        detection.order(&["a"]);
        break_it(&detection);
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

const DETECT: &str = "buildpacks/a/1/bin/detect";
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

#[test]
fn detection_cannot_start_a_program() {
    check(&[
        (
            |detection| fs::remove_file(detection.path(DETECT)).unwrap(),
            21,
            "\
======== Error: a@1 ========
fork/exec ROOT/buildpacks/a/1/bin/detect: no such file or directory
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: is missing, or a link to nowhere
ERROR: to fix it: put a program bin/detect into the buildpack and package it again; or, if it shall stand for others, list them under [[order]] in ROOT/buildpacks/a/1/buildpack.toml
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| detection.set_mode(DETECT, 0o644),
            21,
            "\
======== Error: a@1 ========
fork/exec ROOT/buildpacks/a/1/bin/detect: permission denied
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: may not be run by user USER: its owner is user OWNER and its mode 0644
ERROR: to fix it: chmod 755 bin/detect, then package the buildpack again
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| detection.program(DETECT, "#!/usr/local/bin/no-such-shell -eu\n"),
            21,
            "\
======== Error: a@1 ========
fork/exec ROOT/buildpacks/a/1/bin/detect: no such file or directory
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect:1: its interpreter /usr/local/bin/no-such-shell is not in the build image
ERROR: to fix it: name one that is, such as /bin/sh, or add /usr/local/bin/no-such-shell to the build image
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| detection.program(DETECT, "#!/bin/sh\r\nexit 0\r\n"),
            21,
            "\
======== Error: a@1 ========
fork/exec ROOT/buildpacks/a/1/bin/detect: no such file or directory
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect:1: lines end in CR LF, so its interpreter is \"/bin/sh\\r\", which is not in the build image
ERROR: to fix it: save bin/detect with line ends of Unix (LF)
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| detection.program(DETECT, "exit 0\n"),
            21,
            "\
======== Error: a@1 ========
fork/exec ROOT/buildpacks/a/1/bin/detect: exec format error
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: is neither a script that begins with #! nor a program for this machine
ERROR: to fix it: begin a script with a line such as #!/usr/bin/env bash; build a program for the machine that it runs on
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| std::os::unix::fs::symlink("nowhere", detection.path("platform/env")).unwrap(),
            0,
            "a 1\n",
        ),
        (
            |detection| {
                fs::create_dir(detection.path("platform/env")).unwrap();
                std::os::unix::fs::symlink("nowhere", detection.path("platform/env/BP_X")).unwrap();
            },
            21,
            "\
======== Error: a@1 ========
stat ROOT/platform/env/BP_X: no such file or directory
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/platform/env/BP_X: is no variable that can be read: stat ROOT/platform/env/BP_X: no such file or directory
ERROR: to fix it: this is no fault of the buildpack: let each entry here be a file that its user may read
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
    ]);
}

#[test]
fn detection_gets_no_answer_from_a_program() {
    check(&[
        (
            |detection| detection.buildpack("a", "echo looking around; exit 6"),
            21,
            "\
======== Output: a@1 ========
looking around
======== Results ========
err:  a@1 (6)
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: ended with exit code 6; expected is 0 where it takes part, 100 where it does not
ERROR: to fix it: its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| detection.buildpack("a", "no-such-command 2>/dev/null"),
            21,
            "\
======== Results ========
err:  a@1 (127)
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: ended with exit code 127: a command that it called was not found; expected is 0 where it takes part, 100 where it does not
ERROR: to fix it: its output above names the command; add it to the build image, or its folder to PATH
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| detection.buildpack("a", "kill -9 $$"),
            21,
            "\
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: was ended by signal 9 (killed); expected is 0 where it takes part, 100 where it does not
ERROR: to fix it: most often the build container has too little memory: give it more, or let the buildpack use less
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        // Both of two, each once, though one is in two groups.
        (
            |detection| {
                detection.buildpack("a", "exit 1");
                detection.buildpack("b", "exit 2");
                detection.order(&["a b?", "a"]);
            },
            21,
            "\
======== Results ========
err:  a@1 (1)
err:  b@1 (2)
======== Results ========
err:  a@1 (1)
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: ended with exit code 1; expected is 0 where it takes part, 100 where it does not
ERROR: to fix it: its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)
ERROR: buildpack b@1: ROOT/buildpacks/b/1/bin/detect: ended with exit code 2; expected is 0 where it takes part, 100 where it does not
ERROR: to fix it: its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        // Where a group is taken nevertheless, it is a warning.
        (
            |detection| {
                detection.buildpack("b", "exit 2");
                detection.order(&["a b?"]);
            },
            0,
            "\
err:  b@1 (2)
1 of 2 buildpacks participating
a 1
Warning: buildpack b@1: ROOT/buildpacks/b/1/bin/detect: ended with exit code 2; expected is 0 where it takes part, 100 where it does not
Warning: to fix it: its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)
",
        ),
    ]);
}

/// Writes a plan by `bin/detect` of buildpack `a`.
fn plan(detection: &Detection, text: &str) {
    detection.buildpack("a", &format!("cat >$2 <<'EOF'\n{text}\nEOF"));
}

#[test]
fn detection_cannot_use_a_build_plan() {
    check(&[
        (
            |detection| plan(detection, "[[provides]]\nname = java\n"),
            21,
            "\
======== Error: a@1 ========
toml: line 2 (last key \"provides.name\"): expected value but found \"java\" instead
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: line 2 of its build plan: expected value but found \"java\" instead
ERROR: to fix it: to the file that $CNB_BUILD_PLAN_PATH names, write nothing, or [[provides]] and [[requires]] with a name each, and [[or]] with the same two
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| plan(detection, "\nprovides = \"java\"\n"),
            21,
            "\
======== Error: a@1 ========
toml: line 2 (last key \"provides\"): incompatible types: TOML value has type string; destination has type slice
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: line 2 of its build plan: \"provides\" is a string, not an array
ERROR: to fix it: to the file that $CNB_BUILD_PLAN_PATH names, write nothing, or [[provides]] and [[requires]] with a name each, and [[or]] with the same two
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        (
            |detection| plan(detection, "[[requires]]\nname = \"java\"\nversion = \"17\""),
            21,
            "\
======== Error: a@1 ========
buildpack a has a \"version\" key which is not supported. \"metadata.version\" should be used instead
======== Results ========
err:  a@1
ERROR: No buildpack groups passed detection.
ERROR: buildpack a@1: ROOT/buildpacks/a/1/bin/detect: its build plan requires \"java\" with a version beside the name
ERROR: to fix it: write the version one level below: [requires.metadata] version = \"...\"
ERROR: failed to detect: buildpack(s) failed with err
",
        ),
        // An extension that brings its plan along breaks no group: it is left out, with a warning.
        (
            |detection| {
                let order = "[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n\
                             [[order-extensions]]\n[[order-extensions.group]]\nid = \"x\"\nversion = \"1\"\n";
                detection.write("order.toml", order);
                let descriptor = "api = \"0.10\"\n[extension]\nid = \"x\"\nversion = \"1\"\n";
                detection.write("extensions/x/1/extension.toml", descriptor);
                let plan = "[[provides]]\nname = \"tool\"\n\n[[requires]]\nname = \"java\"\n";
                detection.write("extensions/x/1/detect/plan.toml", plan);
            },
            0,
            "\
======== Error: x@1 ========
extension x outputs \"requires\" which is not allowed
err:  x@1
1 of 2 buildpacks participating
a 1
Warning: extension x@1: ROOT/extensions/x/1/detect/plan.toml: its build plan requires \"java\"; extensions only provide
Warning: to fix it: leave [[requires]] out; a buildpack may require it
",
        ),
        (
            |detection| {
                let order = "[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n\
                             [[order-extensions]]\n[[order-extensions.group]]\nid = \"x\"\nversion = \"1\"\n";
                detection.write("order.toml", order);
                let descriptor = "api = \"0.10\"\n[extension]\nid = \"x\"\nversion = \"1\"\n";
                detection.write("extensions/x/1/extension.toml", descriptor);
                detection.write("extensions/x/1/detect/plan.toml", "\n\n[provides]\n");
            },
            0,
            "\
======== Error: x@1 ========
toml: line 3 (last key \"provides\"): incompatible types: TOML value has type map[string]any; destination has type slice
err:  x@1
1 of 2 buildpacks participating
a 1
Warning: extension x@1: ROOT/extensions/x/1/detect/plan.toml:3: \"provides\" is a table, not an array
Warning: to fix it: write [[provides]] with a name each, and [[or]] with the same
",
        ),
    ]);
}

#[test]
fn detection_finds_no_group() {
    check(&[
        (
            |detection| {
                detection.buildpack("a", "echo no pom.xml; exit 100");
                detection.write("app/pom.xm", "");
                detection.order(&["a", "a"]);
            },
            20,
            "\
======== Output: a@1 ========
no pom.xml
======== Results ========
fail: a@1
======== Output: a@1 ========
no pom.xml
======== Results ========
fail: a@1
ERROR: No buildpack groups passed detection.
ERROR: Please check that you are running against the correct path.
ERROR: groups tried: 2; on the app in ROOT/app, which holds main.sh, pom.xm
ERROR: failed to detect: no buildpacks participating
",
        ),
        (
            |detection| {
                detection.buildpack("a", "exit 100");
                fs::remove_file(detection.path("app/main.sh")).unwrap();
            },
            20,
            "\
======== Results ========
fail: a@1
ERROR: No buildpack groups passed detection.
ERROR: Please check that you are running against the correct path.
ERROR: groups tried: 1; on the app in ROOT/app, which holds nothing
ERROR: failed to detect: no buildpacks participating
",
        ),
        (
            |detection| {
                plan(
                    detection,
                    "[[requires]]\nname = \"jre\"\n[[or]]\n[[or.provides]]\nname = \"jar\"",
                );
            },
            20,
            "\
======== Results ========
pass: a@1
Resolving plan... (try #1)
fail: a@1 requires jre
Resolving plan... (try #2)
fail: a@1 provides unused jar
ERROR: No buildpack groups passed detection.
ERROR: Please check that you are running against the correct path.
ERROR: buildpack a@1: requires \"jre\", which neither it nor a module in front of it provides
ERROR: to fix it: put a buildpack in front of it that provides \"jre\", or make it optional
ERROR: buildpack a@1: provides \"jar\", which neither it nor a module behind it requires
ERROR: to fix it: put a buildpack behind it that requires \"jar\", or make it optional
ERROR: groups tried: 1; on the app in ROOT/app, which holds main.sh
ERROR: failed to detect: no buildpacks participating
",
        ),
    ]);
}
