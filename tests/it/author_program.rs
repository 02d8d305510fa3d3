//! What the author of a buildpack reads where `bin/detect` cannot run, gives no answer or none that fits.

use fs_err as fs;
use tests::detection::Detection;

use crate::author_detect::check;

const DETECT: &str = "buildpacks/a/1/bin/detect";

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
