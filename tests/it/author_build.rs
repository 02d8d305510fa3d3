//! What the author of a buildpack reads when it breaks a rule while it builds: the whole log, written by hand.
//!
//! The last line is the reference's. The lines before it say which buildpack, which file and line, what is wrong and
//! what to do.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;
use tests::build::Build;
use tests::program::{Ran, requires_root};

/// A class of failure.
struct Case {
    /// Buildpack API.
    api: &'static str,
    /// The plan's one entry; none if empty.
    asked_for: &'static str,
    /// What `bin/build` does in the folder of its layers.
    does: &'static str,
    /// What is done to the buildpack before.
    spoil: fn(&Build),
    code: i32,
    /// The log. `{B}` is the buildpack's folder, `{L}` that of its layers.
    log: &'static str,
}

/// A buildpack that breaks a rule in what it leaves.
const fn leaves(does: &'static str, log: &'static str) -> Case {
    Case {
        api: "0.10",
        asked_for: "",
        does,
        spoil: |_| {},
        code: 52,
        log,
    }
}

/// A buildpack whose program fails.
const fn fails(does: &'static str, log: &'static str) -> Case {
    Case {
        code: 51,
        ..leaves(does, log)
    }
}

/// A buildpack whose program cannot be started.
const fn cannot_start(spoil: fn(&Build), log: &'static str) -> Case {
    Case {
        spoil,
        ..fails("", log)
    }
}

/// A whole target, so that nothing has to be said of it.
const ANALYZED: &str = "[run-image.target]\nos = \"linux\"\narch = \"amd64\"\n[run-image.target.distro]\nname = \"debian\"\nversion = \"12\"\n";

const PROGRAM: &str = "buildpacks/acme_hello/1.0.0/bin/build";

fn program(build: &Build, text: &str) {
    build.write(PROGRAM, text);
}

const CASES: &[Case] = &[
    // The program.
    cannot_start(
        |build| fs::remove_file(build.path(PROGRAM)).unwrap(),
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build: is missing, or a link to nowhere
ERROR: to fix it: put a program bin/build into the buildpack and package it again
ERROR: failed to build: fork/exec {B}/bin/build: no such file or directory
",
    ),
    cannot_start(
        |build| fs::set_permissions(build.path(PROGRAM), Permissions::from_mode(0o644)).unwrap(),
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build: may not be run by user 65534: its owner is user 0 and its mode 0644
ERROR: to fix it: chmod 755 bin/build, then package the buildpack again
ERROR: failed to build: fork/exec {B}/bin/build: permission denied
",
    ),
    cannot_start(
        |build| program(build, "#!/opt/no/bash -e\necho hello\n"),
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build:1: its interpreter /opt/no/bash is not in the build image
ERROR: to fix it: name one that is, such as /bin/sh, or add /opt/no/bash to the build image
ERROR: failed to build: fork/exec {B}/bin/build: no such file or directory
",
    ),
    cannot_start(
        |build| program(build, "#!/bin/sh\r\necho hello\r\n"),
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build:1: lines end in CR LF, so its interpreter is \"/bin/sh\\r\", which is not in the build image
ERROR: to fix it: save bin/build with line ends of Unix (LF)
ERROR: failed to build: fork/exec {B}/bin/build: no such file or directory
",
    ),
    cannot_start(
        |build| program(build, "echo no interpreter\n"),
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build: is neither a script that begins with #! nor a program for this machine
ERROR: to fix it: begin a script with a line such as #!/usr/bin/env bash; build a program for the machine that it runs on
ERROR: failed to build: fork/exec {B}/bin/build: exec format error
",
    ),
    fails(
        "echo looking for a JDK; exit 6",
        "\
looking for a JDK
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build: ended with exit code 6
ERROR: to fix it: its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)
ERROR: failed to build: exit status 6
",
    ),
    fails(
        "exit 127",
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build: ended with exit code 127: a command that it called was not found
ERROR: to fix it: its output above names the command; add it to the build image, or its folder to PATH
ERROR: failed to build: exit status 127
",
    ),
    fails(
        "kill -KILL $$",
        "\
ERROR: buildpack acme/hello@1.0.0: {B}/bin/build: was ended by signal 9 (killed)
ERROR: to fix it: most often the build container has too little memory: give it more, or let the buildpack use less
ERROR: failed to build: signal: killed
",
    ),
    // Metadata of layers.
    leaves(
        "printf '[types]\nlaunch = \n' > jdk.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/jdk.toml:2: expected value but found '\\n' instead
ERROR: to fix it: correct jdk.toml: it is read as TOML, and build, launch and cache below [types] are true or false
ERROR: failed to build: failed to process buildpack layer: failed to decode layer metadata file: toml: line 2 (last key \"types.launch\"): expected value but found '\\n' instead
",
    ),
    leaves(
        "printf '[types]\ncache = true\nlaunch = \"yes\"\n' > jdk.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/jdk.toml:3: \"types.launch\" is a string, not true or false
ERROR: to fix it: correct jdk.toml: it is read as TOML, and build, launch and cache below [types] are true or false
ERROR: failed to build: failed to process buildpack layer: failed to decode layer metadata file: toml: line 3 (last key \"types.launch\"): incompatible types: TOML value has type string; destination has type boolean
",
    ),
    leaves(
        "printf '# of old\nlaunch = true\n' > jdk.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/jdk.toml:2: \"launch\" stands outside of the table [types]
ERROR: to fix it: write a line [types] above launch
ERROR: failed to build: failed to process buildpack layer: failed to decode layer metadata file: the launch, cache and build flags should be in the types table of {L}/jdk.toml
",
    ),
    leaves(
        "mkdir -p jdk jdk.ignore/old; touch jdk.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/jdk: jdk.toml sets none of build, launch and cache, but the folder cannot be renamed to jdk.ignore: directory not empty
ERROR: to fix it: to keep the layer, set one of them below [types]; else remove jdk or jdk.ignore before bin/build ends
ERROR: failed to build: failed to process buildpack layer: failed to rename layer directory: rename {L}/jdk {L}/jdk.ignore: directory not empty
",
    ),
    leaves(
        "mkdir -p jdk/env.build; ln -s nowhere jdk/env.build/JAVA_HOME; printf '[types]\nbuild = true\n' > jdk.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/jdk/env.build/JAVA_HOME: a file of the environment cannot be read: no such file or directory
ERROR: to fix it: remove it, or make it a file that the building user may read
ERROR: failed to build: apply env files from dir '{L}/jdk/env.build': stat {L}/jdk/env.build/JAVA_HOME: no such file or directory
",
    ),
    leaves(
        "printf '[metadata]\nseen = [1,\n' > store.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/store.toml:2: unexpected EOF; expected value
ERROR: to fix it: correct store.toml: it is read as TOML, and build, launch and cache below [types] are true or false
ERROR: failed to build: failed to process buildpack layer: failed to decode layer metadata file: toml: line 2 (last key \"metadata.seen\"): unexpected EOF; expected value
",
    ),
    // build.toml.
    leaves(
        "printf '[unmet]\nname = \"jre\"\n' > build.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/build.toml:1: \"unmet\" is a table, not an array
ERROR: to fix it: build.toml has [[unmet]] with a name: correct the key's value
ERROR: failed to build: toml: line 1 (last key \"unmet\"): incompatible types: TOML value has type map[string]any; destination has type slice
",
    ),
    Case {
        asked_for: "jre",
        ..leaves(
            "printf '[[unmet]]\nname = \"jre\"\n[[unmet]]\n' > build.toml",
            "\
ERROR: buildpack acme/hello@1.0.0: {L}/build.toml:3: [[unmet]] has no name
ERROR: to fix it: name what the plan of this buildpack asks for: jre
ERROR: failed to build: unmet.name is required
",
        )
    },
    leaves(
        "printf '[[unmet]]\nname = \"node\"\n' > build.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/build.toml:2: \"node\" cannot be unmet: the plan of this buildpack does not ask for it
ERROR: to fix it: remove the entry: the plan of this buildpack asks for nothing
ERROR: failed to build: unmet.name 'node' must match a requested dependency
",
    ),
    leaves(
        "printf '[[bom]]\nname = \"jre\"\nversion = \"21\"\n' > build.toml; touch build.sbom.cdx.json",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/build.toml:3: \"version\" is no key of [[bom]]
ERROR: to fix it: move it to [bom.metadata], or better write SBOM files: [[bom]] is deprecated
ERROR: failed to build: bom entry 'jre' has a top level version which is not allowed. The buildpack should instead set metadata.version
",
    ),
    // launch.toml. The reference names the line of the last key of a name, whichever process is wrong.
    leaves(
        "printf '[[processes]]\ntype = \"web\"\ncommand = \"java\"\n[[processes]]\ntype = \"job\"\ncommand = [\"x\"]\n' > launch.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.toml:3: \"processes.command\" is a string, not an array
ERROR: to fix it: with Buildpack API 0.10 a command is an array of strings: command = [\"java\", \"-jar\", \"app.jar\"]
ERROR: failed to build: toml: line 6 (last key \"processes.command\"): incompatible types: TOML value has type string; destination has type slice
",
    ),
    Case {
        api: "0.8",
        ..leaves(
            "printf '[[processes]]\ntype = \"web\"\ncommand = [\"java\"]\n' > launch.toml",
            "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.toml:3: \"processes.command\" is an array, not a string
ERROR: to fix it: with Buildpack API 0.8 a command is one string, the rest goes into args: command = \"java\"
ERROR: failed to build: toml: line 3 (last key \"processes.command\"): incompatible types: TOML value has type []any; destination has type string
",
        )
    },
    Case {
        api: "0.8",
        ..leaves(
            "printf '[[processes]]\ntype = \"web\"\ncommand = \"java\"\n\n[[processes]]\ntype = \"job\"\n' > launch.toml",
            "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.toml:5: the process has no \"command\"
ERROR: to fix it: with Buildpack API 0.8 a command is one string, the rest goes into args: command = \"java\"
ERROR: failed to build: toml: incompatible types: TOML value has type <nil>; destination has type string
",
        )
    },
    leaves(
        "printf '[[processes]]\ntype = \"web\"\ncommand = [\"java\"]\ndirect = false\n' > launch.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.toml:4: \"processes.direct\" is gone since Buildpack API 0.9
ERROR: to fix it: remove the key: with Buildpack API 0.10 no process is started by a shell; where one is needed, command = [\"bash\", \"-c\", \"...\"]
ERROR: failed to build: process.direct is not supported on this buildpack version
",
    ),
    leaves(
        "printf '[[processes]]\ntype = \"web\"\ndefault = true\n[[processes]]\ntype = \"job\"\ndefault = true\n' > launch.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.toml:6: process \"job\" is a second default, beside \"web\"
ERROR: to fix it: leave default = true in one process alone
ERROR: failed to build: multiple default process types aren't allowed
",
    ),
    leaves(
        "printf '[[labels]]\nkey = \"maintainers\"\nvalue = 3\n' > launch.toml",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.toml:3: \"labels.value\" is an integer, not a string
ERROR: to fix it: launch.toml has [[processes]], [[slices]] and [[labels]]: correct the key's value
ERROR: failed to build: toml: line 3 (last key \"labels.value\"): incompatible types: TOML value has type int64; destination has type string
",
    ),
    // SBOMs.
    leaves(
        "echo {} > launch.sbom.spdx.json",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.sbom.spdx.json: is application/spdx+json, but sbom-formats lists application/vnd.cyclonedx+json
ERROR: to fix it: add \"application/spdx+json\" to sbom-formats of [buildpack] in {B}/buildpack.toml
ERROR: failed to build: validating SBOM file '{L}/launch.sbom.spdx.json' for buildpack: 'acme/hello@1.0.0': undeclared SBOM media type: 'application/spdx+json'
",
    ),
    leaves(
        "echo {} > launch.sbom.cyclonedx.json",
        "\
ERROR: buildpack acme/hello@1.0.0: {L}/launch.sbom.cyclonedx.json: its name stands for no SBOM format
ERROR: to fix it: end the name in one of sbom.cdx.json, sbom.spdx.json, sbom.syft.json
ERROR: failed to build: unsupported SBOM file format: '{L}/launch.sbom.cyclonedx.json'
",
    ),
    // The buildpack itself, and the folder of its layers.
    Case {
        spoil: |build| fs::remove_dir_all(build.path("buildpacks/acme_hello")).unwrap(),
        ..leaves(
            "",
            "\
ERROR: buildpack acme/hello@1.0.0: {B}/buildpack.toml: cannot be read: no such file or directory
ERROR: to fix it: add the buildpack to the builder, or detect again: group.toml lists it
ERROR: failed to build: open {B}/buildpack.toml: no such file or directory
",
        )
    },
    Case {
        spoil: |build| {
            build.write("buildpacks/acme_hello/1.0.0/buildpack.toml", "api = \"0.10\"\n[buildpack]\nversion = 1.0\n");
        },
        ..leaves(
            "",
            "\
ERROR: buildpack acme/hello@1.0.0: {B}/buildpack.toml:3: \"buildpack.version\" is a number with a point, not a string
ERROR: to fix it: correct the buildpack's descriptor
ERROR: failed to build: toml: line 3 (last key \"buildpack.version\"): incompatible types: TOML value has type float64; destination has type string
",
        )
    },
    Case {
        spoil: |build| build.write("layers/acme_hello", "in the way"),
        ..leaves(
            "",
            "\
ERROR: buildpack acme/hello@1.0.0: {L}: the folder for its layers cannot be made: not a directory
ERROR: to fix it: remove what is in its place, or let the building user write there
ERROR: failed to build: mkdir {L}: not a directory
",
        )
    },
    // What has no effect, though the reference says nothing of it.
    Case {
        code: 0,
        ..leaves(
            r#"mkdir scratch store jdk jdk/env.build
printf '[types]\nbuild = true\nlunch = true\n' > jdk.toml
touch jdk/env.build/PATH.before jdk/env.build/PATH.prepend tool.sbom.cdx.json
printf '[metadata]\n' > store.toml
cat > launch.toml <<'END'
[[process]]
type = "lost"
[[processes]]
type = "web"
command = ["old"]
[[processes]]
type = "web"
command = ["new"]
workingdir = "/"
[[slices]]
paths = ["static", "/workspace/data"]
END"#,
            "\
Warning: buildpack acme/hello@1.0.0: {L}/jdk/env.build/PATH.before: sets nothing: \".before\" is no action; use .override, .default, .append or .prepend with .delim, or no suffix
Warning: buildpack acme/hello@1.0.0: {L}/jdk.toml:3: \"lunch\" means nothing in types; the keys are build, launch, cache
Warning: buildpack acme/hello@1.0.0: {L}/launch.toml:1: \"process\" means nothing here; the keys are processes, slices, labels, bom
Warning: buildpack acme/hello@1.0.0: {L}/launch.toml:7: process \"web\" is here a second time, and the first is lost; give each process of the file a type of its own
Warning: buildpack acme/hello@1.0.0: {L}/launch.toml:9: \"workingdir\" means nothing in processes; the keys are type, command, args, direct, default, working-dir, exec-env
Warning: buildpack acme/hello@1.0.0: {L}/launch.toml:11: slice \"/workspace/data\" takes no file, because it is absolute; write it relative to the app's folder
Warning: buildpack acme/hello@1.0.0: {L}/scratch: has no scratch.toml, so it is in no image, cache or environment; write scratch.toml with [types], or keep such files out of <layers>
Warning: buildpack acme/hello@1.0.0: {L}/store: store.toml, a file of the buildpack's own, is this layer's metadata, too; give the layer another name
Warning: buildpack acme/hello@1.0.0: {L}/tool.sbom.cdx.json: is ignored: there is no tool.toml that it could belong to; name it after a layer without a dot in its name, or launch or build
",
        )
    },
];

#[test]
fn root_a_rule_that_is_broken_is_explained() {
    if !requires_root() {
        return;
    }
    for case in CASES {
        let build = Build::new();
        build.buildpack(
            "acme/hello",
            &format!("#!/bin/bash\nset -e\ncd $1\n{}\n", case.does),
        );
        build.write(
            "buildpacks/acme_hello/1.0.0/buildpack.toml",
            &format!(
                "api = \"{}\"\n[buildpack]\nid = \"acme/hello\"\nversion = \"1.0.0\"\nsbom-formats = [\"application/vnd.cyclonedx+json\"]\n",
                case.api
            ),
        );
        build.write(
            "layers/group.toml",
            &format!(
                "[[group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\napi = \"{}\"\n",
                case.api
            ),
        );
        let plan = match case.asked_for {
            "" => String::new(),
            name => format!(
                "[[entries]]\nproviders = [{{id = \"acme/hello\"}}]\nrequires = [{{name = \"{name}\"}}]\n"
            ),
        };
        build.write("layers/plan.toml", &plan);
        build.write("layers/analyzed.toml", ANALYZED);
        (case.spoil)(&build);
        let [_, _, _, mut builder, _] = build.all_phases();
        let ran = Ran::of(&mut builder);
        let path = |name: &str| build.path(name).display().to_string();
        let expected = case
            .log
            .replace("{B}", &path("buildpacks/acme_hello/1.0.0"))
            .replace("{L}", &path("layers/acme_hello"));
        assert_eq!(ran.text, expected);
        assert_eq!(ran.code, case.code, "{expected}");
    }
}

/// Below Platform API 0.10 a command is one text, which an absent one cannot be.
#[test]
fn root_a_process_without_a_command_is_explained() {
    if !requires_root() {
        return;
    }
    let mut build = Build::new();
    build.api = "0.9";
    build.buildpack(
        "acme/hello",
        "#!/bin/sh\nprintf '[[processes]]\ntype = \"web\"\n' > $1/launch.toml\n",
    );
    build.write(
        "layers/group.toml",
        "[[group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\napi = \"0.10\"\n",
    );
    build.write("layers/plan.toml", "");
    build.write("layers/analyzed.toml", ANALYZED);
    let folders = ["app", "layers", "platform", "buildpacks"]
        .map(|name| (format!("-{name}"), build.path(name)));
    let mut builder = build.phase("builder", &[]);
    for (flag, folder) in folders {
        builder.arg(flag).arg(folder);
    }
    let ran = Ran::of(&mut builder);
    let expected = "ERROR: failed to build: process \"web\" of buildpack acme/hello has no command, which Platform API 0.9 cannot say\n";
    assert_eq!((ran.code, ran.text.as_str()), (52, expected));
}
