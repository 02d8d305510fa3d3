//! Image extensions, from the order to the image: generation as a program, and what the phases behind it make of it.

use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;
use tests::build::Build;
use tests::detection::Detection;
use tests::image;
use tests::program::{Ran, ours, ours_in, requires_root};

/// A run image that says what it is, so that nothing is looked up.
const ANALYZED: &str = "\
[run-image]
reference = \"/layout/run@sha256:0123\"
image = \"run:1\"
[run-image.target]
os = \"linux\"
arch = \"amd64\"
[run-image.target.distro]
name = \"ubuntu\"
version = \"22.04\"
";

const BUILD: &str = "ARG base_image\nFROM ${base_image}\nRUN x\n";

/// One buildpack `a`, with extensions in front of it.
struct Extensions(Detection);

impl Extensions {
    fn new(api: &'static str) -> Self {
        let mut detection = Detection::new();
        detection.api = api;
        detection.write("layers/analyzed.toml", ANALYZED);
        // The detector, another user, writes it again.
        detection.set_mode("layers/analyzed.toml", 0o666);
        detection.write("run.toml", "[[images]]\nimage = \"run:1\"\n");
        detection.buildpack("a", "exit 0");
        Self(detection)
    }

    /// Writes version 1 of an extension that passes and whose `bin/generate` is this shell script; `$1` is its output.
    fn extension(&self, id: &str, script: &str) {
        let dir = self.bring(id, &[]);
        self.0.program(
            &format!("{dir}/bin/generate"),
            format!("#!/bin/sh\nset -e\n{script}\n"),
        );
    }

    /// Writes an extension without `bin/generate`; returns its folder.
    fn bring(&self, id: &str, files: &[(&str, &str)]) -> String {
        let dir = format!("extensions/{}/1", id.replace('/', "_"));
        let descriptor = format!("api = \"0.10\"\n[extension]\nid = \"{id}\"\nversion = \"1\"\n");
        self.0.write(&format!("{dir}/extension.toml"), descriptor);
        for (name, text) in files {
            self.0.write(&format!("{dir}/generate/{name}"), text);
        }
        dir
    }

    /// Writes an order of these extensions and the buildpack.
    fn order(&self, extensions: &[&str]) {
        let mut text = "[[order]]\n[[order.group]]\nid = \"a\"\nversion = \"1\"\n".to_owned();
        if !extensions.is_empty() {
            text.push_str("[[order-extensions]]\n");
        }
        for id in extensions {
            let element = format!("[[order-extensions.group]]\nid = \"{id}\"\nversion = \"1\"\n");
            text.push_str(&element);
        }
        self.0.write("order.toml", text);
    }

    fn command(&self) -> Command {
        let mut command = self.0.command(&[]);
        // Variables work at every API, unlike flags.
        command
            .env("CNB_EXPERIMENTAL_MODE", "quiet")
            .env("CNB_RUN_PATH", self.0.path("run.toml"));
        command
    }

    fn run(&self) -> Ran {
        let ran = Ran::of(&mut self.command());
        let root = self.0.path("").display().to_string();
        Ran {
            text: ran.text.replace(root.trim_end_matches('/'), "ROOT"),
            ..ran
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path(name)).unwrap()
    }

    fn generated(&self, name: &str) -> PathBuf {
        self.0.path("layers/generated").join(name)
    }

    /// Returns the files below `<generated>`, sorted.
    fn files(&self) -> Vec<String> {
        let files = tests::build::snapshot(&self.0.path("layers/generated"));
        let name = |path: &PathBuf| {
            let inside = path.strip_prefix(self.0.path("layers/generated")).unwrap();
            inside.display().to_string()
        };
        files.iter().map(|(path, _)| name(path)).collect()
    }
}

/// Returns the lines behind the group that detection shows.
fn behind_the_group(text: &str) -> &str {
    let (_, rest) = text.split_once("\na ").expect("the buildpack is named");
    rest.split_once('\n').expect("a line ends").1
}

#[test]
fn extensions_are_experimental_below_0_13() {
    const ERROR: &str = "ERROR: Platform requested experimental feature 'Dockerfiles'\n\
                         Set CNB_EXPERIMENTAL_MODE=warn (or quiet) to allow it.\n\
                         ERROR: experimental features are disabled by CNB_EXPERIMENTAL_MODE=error\n";
    const WARNING: &str = "Warning: Platform requested experimental feature 'Dockerfiles'\n";
    let table: &[(&str, Option<&str>, i32, &str)] = &[
        ("0.10", None, 1, ERROR),
        ("0.12", None, 1, ERROR),
        ("0.12", Some("error"), 1, ERROR),
        ("0.10", Some("warn"), 0, WARNING),
        ("0.12", Some("warn"), 0, WARNING),
        ("0.12", Some("quiet"), 0, ""),
        ("0.12", Some("silent"), 0, WARNING),
        ("0.13", None, 0, ""),
        ("0.13", Some("error"), 0, ""),
        ("0.15", None, 0, ""),
    ];
    for (api, mode, code, said) in table {
        let extensions = Extensions::new(api);
        extensions.bring("x", &[("build.Dockerfile", BUILD)]);
        extensions.order(&["x"]);
        let call = |extensions: &Extensions| {
            let mut command = extensions.command();
            command.env_remove("CNB_EXPERIMENTAL_MODE");
            command.envs(mode.map(|mode| ("CNB_EXPERIMENTAL_MODE", mode)));
            Ran::of(&mut command)
        };
        let ran = call(&extensions);
        assert_eq!(ran.code, *code, "{api} {mode:?}: {}", ran.text);
        let group = if *code == 0 { "x 1\na 1\n" } else { "" };
        assert_eq!(ran.text, format!("{said}{group}"), "{api} {mode:?}");
        assert_eq!(extensions.generated("").exists(), *code == 0);
        // An order without extensions asks for nothing.
        extensions.order(&[]);
        assert_eq!(call(&extensions).text, "a 1\n", "{api} {mode:?}");
    }
}

#[test]
fn extensions_run_in_order_behind_group_and_plan() {
    let extensions = Extensions::new("0.13");
    let layers = extensions.0.path("layers").display().to_string();
    extensions.extension(
        "one",
        &format!("echo one; cp {layers}/group.toml {layers}/plan.toml {layers}/analyzed.toml $1"),
    );
    extensions.extension("two", &format!("echo two; ls {layers}/generated"));
    extensions.order(&["two", "one"]);
    // What both streams say goes to standard output, as it comes.
    let output = extensions.command().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        (output.status.code(), behind_the_group(&text)),
        (Some(0), "two\ntwo\none\n")
    );
    assert_eq!(output.stderr, b"");
    assert_eq!(
        fs::read_to_string(extensions.generated("one/group.toml")).unwrap(),
        extensions.read("layers/group.toml")
    );
    assert!(extensions.generated("one/plan.toml").exists());
    // Files of the end are not written before it.
    assert_eq!(
        fs::read_to_string(extensions.generated("one/analyzed.toml")).unwrap(),
        ANALYZED
    );
    assert_ne!(extensions.read("layers/analyzed.toml"), ANALYZED);
}

#[test]
fn without_an_extension_in_the_group_nothing_is_generated() {
    for order in [&["x"][..], &[]] {
        let extensions = Extensions::new("0.13");
        extensions.extension("x", "echo generating");
        extensions
            .0
            .program("extensions/x/1/bin/detect", "#!/bin/sh\nexit 100\n");
        extensions.order(order);
        let text = extensions.run().ok();
        assert!(!text.contains("generating"), "{text}");
        assert_eq!(extensions.read("layers/analyzed.toml"), ANALYZED);
        assert!(!extensions.generated("").exists());
        assert!(!extensions.read("layers/group.toml").contains("extension"));
    }
}

#[test]
fn standard_error_of_an_extension_goes_to_standard_output() {
    let extensions = Extensions::new("0.13");
    extensions.extension("x", "echo out; echo err >&2; echo out");
    extensions.order(&["x"]);
    let output = extensions.command().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(behind_the_group(&text), "out\nerr\nout\n");
    assert_eq!(output.stderr, b"");
}

#[test]
fn each_extension_writes_into_a_folder_of_its_own() {
    for (api, kept) in [
        ("0.10", false),
        ("0.12", false),
        ("0.13", true),
        ("0.15", true),
    ] {
        let extensions = Extensions::new(api);
        for id in ["acme/one", "acme/two"] {
            extensions.extension(id, "echo $1; touch $1/file");
        }
        extensions.order(&["acme/one", "acme/two"]);
        let text = extensions.run().ok();
        let folders: Vec<_> = behind_the_group(&text).lines().collect();
        if kept {
            let folder = |name: &str| format!("ROOT/layers/generated/{name}");
            assert_eq!(folders, [folder("acme_one"), folder("acme_two")]);
            assert_eq!(extensions.files(), ["acme_one/file", "acme_two/file"]);
            continue;
        }
        assert_ne!(folders[0], folders[1]);
        for folder in folders {
            assert!(!folder.starts_with("ROOT"), "{folder}");
            assert!(!PathBuf::from(folder).exists(), "{folder} is gone");
        }
        assert!(extensions.files().is_empty());
    }
}

#[test]
fn a_program_that_fails_ends_with_91_and_everything_else_with_92() {
    let table: &[(&str, i32, &str)] = &[
        (
            "echo no; exit 4",
            91,
            "no
ERROR: extension x@1: ROOT/extensions/x/1/bin/generate: ended with exit code 4
ERROR: to fix it: its output above says why; if there is none, let it say what it does before it gives up (in bash: set -x)
ERROR: failed to build: exit status 4
",
        ),
        (
            "kill -15 $$",
            91,
            "\
ERROR: extension x@1: ROOT/extensions/x/1/bin/generate: was ended by signal 15 (terminated)
ERROR: to fix it: the program crashed or was told to stop: what it was doing is in its output above
ERROR: failed to build: signal: terminated
",
        ),
        (
            "echo FROM a > $1/run.Dockerfile; echo FROM b >> $1/run.Dockerfile",
            92,
            "\
ERROR: extension x@1: ROOT/layers/generated/x/run.Dockerfile:2: holds a second FROM
ERROR: to fix it: leave one FROM: a Dockerfile of an extension extends one image
ERROR: failed to build: failed to parse run.Dockerfile for extension x: run.Dockerfile is not permitted to use multistage build
",
        ),
    ];
    for (script, code, said) in table {
        let extensions = Extensions::new("0.13");
        extensions.extension("x", script);
        extensions.extension("y", "echo unreached");
        extensions.order(&["x", "y"]);
        let ran = extensions.run();
        assert_eq!((ran.code, behind_the_group(&ran.text)), (*code, *said));
        // Both are there as detection wrote them, and the analyzer's file as it was.
        assert!(
            extensions
                .read("layers/group.toml")
                .contains("group-extensions")
        );
        assert!(extensions.0.path("layers/plan.toml").exists());
        assert_eq!(extensions.read("layers/analyzed.toml"), ANALYZED);
    }
}

#[test]
fn set_up_of_generation_ends_with_1() {
    let extensions = Extensions::new("0.13");
    extensions.extension("x", "echo unreached");
    extensions.order(&["x"]);
    extensions.0.write("run.toml", "images = 1\n");
    let ran = extensions.run();
    assert_eq!(ran.code, 1);
    let said = behind_the_group(&ran.text);
    let expected = "ERROR: failed to initialize generator: failed to read run file: toml: line 1";
    assert!(said.starts_with(expected), "{said}");
    // Without extensions the file is not looked at.
    extensions.order(&[]);
    assert_eq!(extensions.run().ok(), "a 1\n");
}

/// A row for each rule: the files, what is said of them, and where it says to look.
#[test]
fn outputs_that_break_a_rule_are_refused() {
    type Row = (
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
    );
    let table: &[Row] = &[
        // IMX-017, DET-039
        (
            &[(
                "extend-config.toml",
                "[[build.args]]\nname = \"build_id\"\nvalue = \"\"\n",
            )],
            "validating extend config: invalid content: arg with name \"build_id\" is not allowed",
            "extend-config.toml:2: sets build_id, which is for the lifecycle to set\nERROR: to fix it: take it out of [[build.args]]",
        ),
        (
            &[(
                "extend-config.toml",
                "[[run.args]]\nname = \"group_id\"\nvalue = \"\"\n",
            )],
            "validating extend config: invalid content: arg with name \"group_id\" is not allowed",
            "extend-config.toml:2: sets group_id, which is for the lifecycle to set\nERROR: to fix it: take it out of [[run.args]]",
        ),
        // IMX-018, DET-040
        (
            &[("context/x", ""), ("context.run/x", "")],
            "image-specific context dir is provided together with a shared context",
            "context.run: stands beside ROOT/extensions/acme_x/1/generate/context, which is for both images\nERROR: to fix it: keep one folder for both images, context, or one for each, context.build and context.run",
        ),
        // IMX-019
        (
            &[("run.Dockerfile", ""), ("build.Dockerfile", "")],
            "failed to parse run.Dockerfile for extension acme/x: file with no instructions",
            "run.Dockerfile: holds no instruction\nERROR: to fix it: say what shall be done with the image, or leave the file out",
        ),
        // IMX-020
        (
            &[("build.Dockerfile", "# nothing\n")],
            "failed to parse build.Dockerfile for extension acme/x: file with no instructions",
            "build.Dockerfile: holds no instruction\nERROR: to fix it: say what shall be done with the image, or leave the file out",
        ),
        (
            &[("run.Dockerfile", "FROM a\nRNU x\n")],
            "failed to parse run.Dockerfile for extension acme/x: dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)",
            "run.Dockerfile:2: unknown instruction: RNU (did you mean RUN?)\nERROR: to fix it: correct this instruction",
        ),
        (
            &[("run.Dockerfile", "FROM a\nRUN cat <<EOF\nhello\n")],
            "failed to parse run.Dockerfile for extension acme/x: unterminated heredoc",
            "run.Dockerfile:2: the here-document EOF has no end\nERROR: to fix it: end it with a line that holds EOF and nothing else",
        ),
        // IMX-021
        (
            &[("build.Dockerfile", "FROM ${base_image}\n")],
            "failed to parse build.Dockerfile for extension acme/x: build.Dockerfile did not start with required ARG command",
            "build.Dockerfile:1: there is no ARG in front of FROM\nERROR: to fix it: begin with two lines: ARG base_image, and FROM ${base_image}",
        ),
        // IMX-022
        (
            &[("build.Dockerfile", "ARG base_image\nFROM $base_image\n")],
            "failed to parse build.Dockerfile for extension acme/x: build.Dockerfile did not contain required FROM ${base_image} command",
            "build.Dockerfile:2: begins with $base_image\nERROR: to fix it: write FROM ${base_image}: which image is extended is the lifecycle's choice",
        ),
        // IMX-023
        (
            &[(
                "build.Dockerfile",
                "ARG base_image\nFROM ${base_image}\nFROM b\n",
            )],
            "failed to parse build.Dockerfile for extension acme/x: build.Dockerfile is not permitted to use multistage build",
            "build.Dockerfile:3: holds a second FROM\nERROR: to fix it: leave one FROM: a Dockerfile of an extension extends one image",
        ),
        (
            &[("run.Dockerfile", "ARG a\n")],
            "failed to parse run.Dockerfile for extension acme/x: run.Dockerfile should have at least one stage",
            "run.Dockerfile: holds no FROM\nERROR: to fix it: say what is extended: FROM ${base_image}",
        ),
    ];
    for (files, error, advice) in table {
        for api in ["0.12", "0.13"] {
            let extensions = Extensions::new(api);
            extensions.bring("acme/x", files);
            extensions.order(&["acme/x"]);
            let ran = extensions.run();
            assert_eq!(ran.code, 92, "{}", ran.text);
            let expected = format!(
                "ERROR: extension acme/x@1: ROOT/extensions/acme_x/1/generate/{advice}\n\
                 ERROR: failed to build: {error}\n"
            );
            assert_eq!(behind_the_group(&ran.text), expected);
        }
    }
}

#[test]
fn odd_instructions_are_warned_of_and_go_on() {
    let extensions = Extensions::new("0.13");
    extensions.bring(
        "x",
        &[
            (
                "run.Dockerfile",
                "FROM ${base_image}\nRUN a \\\n b\nEXPOSE 1\n",
            ),
            (
                "build.Dockerfile",
                "ARG base_image\nFROM ${base_image}\ncmd a\n",
            ),
        ],
    );
    extensions.order(&["x"]);
    assert_eq!(
        behind_the_group(&extensions.run().ok()),
        "Warning: run.Dockerfile command EXPOSE on line 4 is not recommended\n\
         Warning: build.Dockerfile command CMD on line 3 is not recommended\n"
    );
}

const NO_METADATA: &str = "\
[metadata]
  [metadata.config]
    sha = \"\"
  [metadata.launcher]
    sha = \"\"
  [metadata.process-types]
    sha = \"\"
  [metadata.run-image]
    top-layer = \"\"
    reference = \"\"

[run-image]
";

const TARGET: &str = "  [run-image.target]
    os = \"linux\"
    arch = \"amd64\"
    [run-image.target.distro]
      name = \"ubuntu\"
      version = \"22.04\"
";

/// Which run image is chosen, and what analyzed.toml then says of it, whole.
#[test]
fn extensions_choose_the_run_image() {
    let same = "  reference = \"/layout/run@sha256:0123\"\n  image = \"run:1\"\n";
    let switched = |image: &str| format!("  reference = \"{image}\"\n  image = \"{image}\"\n");
    let extended = "  extend = true\n";
    let keep = "FROM ${base_image}\n";
    let extend = "FROM ${base_image}\nRUN x\n";
    let table: [(&str, &[&str], String); 9] = [
        ("0.13", &[keep], format!("{same}{TARGET}")),
        ("0.13", &[extend], format!("{same}{extended}{TARGET}")),
        ("0.13", &["FROM run:2\n"], switched("run:2")),
        ("0.13", &[extend, "FROM run:2\n"], switched("run:2")),
        (
            "0.13",
            &["FROM run:3\n", "FROM run:2\n", extend],
            switched("run:2") + extended,
        ),
        ("0.12", &["FROM run:1\n"], format!("{same}{TARGET}")),
        // DET-003: without flags for it, the file lies where it always does.
        ("0.9", &["FROM run:2\n"], switched("run:2")),
        ("0.11", &["FROM run:1\n"], switched("run:1")),
        (
            "0.15",
            &["FROM $base_image\nLABEL a=b\n"],
            switched("$base_image") + extended,
        ),
    ];
    for (api, texts, expected) in table {
        let extensions = Extensions::new(api);
        let ids: Vec<_> = (0..texts.len()).map(|at| format!("x{at}")).collect();
        for (id, text) in ids.iter().zip(texts) {
            extensions.bring(id, &[("run.Dockerfile", *text)]);
        }
        extensions.order(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        extensions.run().ok();
        let written = extensions.read("layers/analyzed.toml");
        assert_eq!(
            written,
            format!("{NO_METADATA}{expected}"),
            "{api} {texts:?}"
        );
    }
}

#[test]
fn a_run_image_that_the_platform_does_not_know_is_warned_of() {
    let digest = "@sha256:9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
    let run = "[[images]]\nimage = \"run:1\"\n[[images]]\nimage = \"run:2\"\nmirrors = [\"r.example.org/run:2\"]\n";
    let table = [
        ("run:2".to_owned(), true),
        ("index.docker.io/library/run:2".to_owned(), true),
        ("r.example.org/run:2".to_owned(), true),
        (format!("run:2{digest}"), true),
        ("run:3".to_owned(), false),
        ("other.example.org/run:2".to_owned(), false),
    ];
    for (image, known) in table {
        for api in ["0.11", "0.13"] {
            let extensions = Extensions::new(api);
            extensions.0.write("run.toml", run);
            extensions.bring("x", &[("run.Dockerfile", &format!("FROM {image}\n"))]);
            extensions.order(&["x"]);
            let expected =
                format!("Warning: new runtime base image '{image}' not found in run metadata\n");
            let said = extensions.run().ok();
            let said = behind_the_group(&said).to_owned();
            assert_eq!(
                said,
                if known { String::new() } else { expected },
                "{api} {image}"
            );
            let analyzed = extensions.read("layers/analyzed.toml");
            assert!(
                analyzed.contains(&format!("image = \"{image}\"")),
                "{analyzed}"
            );
        }
    }
}

/// IMX-032, DET-038: only the Dockerfile says that the build image is to be extended.
#[test]
fn the_build_image_is_not_recorded() {
    let extensions = Extensions::new("0.13");
    extensions.bring("x", &[("build.Dockerfile", BUILD)]);
    extensions.order(&["x"]);
    extensions.run().ok();
    assert!(
        !extensions
            .read("layers/analyzed.toml")
            .contains("build-image")
    );
    assert_eq!(extensions.files(), ["x/build.Dockerfile"]);
    // What somebody else wrote about extending it is not kept.
    let analyzed = format!("[build-image]\nreference = \"b\"\nextend = true\n{ANALYZED}");
    extensions.0.write("layers/analyzed.toml", analyzed);
    extensions.run().ok();
    let written = extensions.read("layers/analyzed.toml");
    assert!(
        written.contains("[build-image]\n  reference = \"b\"\n"),
        "{written}"
    );
    assert!(!written.contains("extend"), "{written}");
}

#[test]
fn buildpacks_do_not_see_what_extensions_met() {
    let extensions = Extensions::new("0.13");
    extensions.extension("acme/x", "cp $CNB_BP_PLAN_PATH $1/plan.toml");
    extensions.extension("acme/y", "cp $3 $1/plan.toml");
    for (id, provides) in [("acme_x", "one two"), ("acme_y", "two three")] {
        let plan: Vec<_> = provides
            .split(' ')
            .map(|name| format!("[[provides]]\nname = \"{name}\"\n"))
            .collect();
        extensions.0.write(
            &format!("extensions/{id}/1/detect/plan.toml"),
            plan.concat(),
        );
    }
    let requires: Vec<_> = ["one", "two", "three", "own"]
        .iter()
        .map(|name| format!("[[requires]]\nname = \"{name}\"\n[requires.metadata]\nn = 1\n"))
        .collect();
    let plan = format!("[[provides]]\nname = \"own\"\n{}", requires.concat());
    extensions
        .0
        .buildpack("a", &format!("cat > $2 <<'E'\n{plan}E"));
    extensions.order(&["acme/x", "acme/y"]);
    extensions.run().ok();
    let names = |text: &str| -> Vec<String> {
        let plan: toml::Table = text.parse().unwrap();
        let entries = plan.get("entries").and_then(|it| it.as_array()).cloned();
        let name = |entry: &toml::Value| {
            let requires = entry.get("requires").map_or(entry, |it| &it[0]);
            requires["name"].as_str().unwrap().to_owned()
        };
        entries.unwrap_or_default().iter().map(name).collect()
    };
    assert_eq!(
        names(&extensions.read("layers/generated/acme_x/plan.toml")),
        ["one", "two"]
    );
    // The first that provides a name meets it.
    assert_eq!(
        names(&extensions.read("layers/generated/acme_y/plan.toml")),
        ["three"]
    );
    assert_eq!(names(&extensions.read("layers/plan.toml")), ["own"]);
}

/// IMX-027, IMX-031, DET-034, DET-035: where each Platform API has its files.
#[test]
fn dockerfiles_lie_where_each_api_looks_for_them() {
    let apart = [
        "build/acme_two/Dockerfile",
        "build/acme_two/extend-config.toml",
        "run/acme_one/Dockerfile.ignore",
        "run/acme_two/Dockerfile",
        "run/acme_two/extend-config.toml",
    ];
    let together = [
        "acme_one/run.Dockerfile.ignore",
        "acme_two/build.Dockerfile",
        "acme_two/context/file",
        "acme_two/extend-config.toml",
        "acme_two/run.Dockerfile",
    ];
    let script = "echo 'FROM run:2' > $1/run.Dockerfile; mkdir $1/context; touch $1/context/file
printf 'ARG base_image\\nFROM ${base_image}\\n' > $1/build.Dockerfile
printf '[[build.args]]\\nname = \"a\"\\nvalue = \"b\"\\n' > $1/extend-config.toml";
    for api in ["0.9", "0.10", "0.11", "0.12", "0.13", "0.14", "0.15"] {
        let extensions = Extensions::new(api);
        extensions.extension("acme/one", "printf 'FROM a\\nRUN x\\n' > $1/run.Dockerfile");
        extensions.extension("acme/two", script);
        extensions.order(&["acme/one", "acme/two"]);
        extensions.run().ok();
        let expected = if ["0.13", "0.14", "0.15"].contains(&api) {
            together
        } else {
            apart
        };
        assert_eq!(extensions.files(), expected, "{api}");
    }
}

/// IMX-016: the reference leaves these in the extension's own folder, where no extender looks.
#[test]
fn what_an_extension_brings_along_reaches_generated_too() {
    let extensions = Extensions::new("0.13");
    let files = [
        ("build.Dockerfile", BUILD),
        ("run.Dockerfile", "FROM ${base_image}\nRUN y\n"),
        (
            "extend-config.toml",
            "[[run.args]]\nname = \"a\"\nvalue = \"b\"\n",
        ),
        ("context.build/file", "text"),
    ];
    let dir = extensions.bring("acme/x", &files);
    extensions.bring("switch", &[("run.Dockerfile", "FROM run:2\n")]);
    extensions.order(&["acme/x", "switch"]);
    extensions.run().ok();
    for (name, text) in files {
        // Of what has no effect, only the copy is set aside.
        let copied = name.replace("run.Dockerfile", "run.Dockerfile.ignore");
        assert_eq!(
            extensions.read(&format!("layers/generated/acme_x/{copied}")),
            text
        );
        assert_eq!(extensions.read(&format!("{dir}/generate/{name}")), text);
    }
}

/// Analyzer to exporter, with an extension that goes over to another run image.
#[test]
fn root_a_build_goes_over_to_the_run_image_that_an_extension_names() {
    if !requires_root() {
        return;
    }
    for (api, file) in [
        ("0.12", "run/ext/Dockerfile"),
        ("0.13", "ext/run.Dockerfile"),
        ("0.15", "ext/run.Dockerfile"),
    ] {
        let mut build = Build::new();
        build.api = api;
        let other = build.path("layout/index.docker.io/library/other/latest");
        let mut descriptor = image::Sample::plain().write(&other);
        descriptor["annotations"] = serde_json::json!({"other": "yes"});
        image::index(&other, image::INDEX, &[descriptor]);
        build.write(
            "extensions/ext/1/extension.toml",
            "api = \"0.10\"\n[extension]\nid = \"ext\"\nversion = \"1\"\n",
        );
        build.write("extensions/ext/1/generate/run.Dockerfile", "FROM other\n");
        let order = fs::read_to_string(build.path("order.toml")).unwrap();
        build.write(
            "order.toml",
            &format!("{order}[[order-extensions]]\n[[order-extensions.group]]\nid = \"ext\"\nversion = \"1\"\n"),
        );
        build.hand_over_report();
        let [analyzer, detector, restorer, builder, exporter] = build.all_phases();
        let run = |mut command: Command| {
            command.env("CNB_EXTENSIONS_DIR", build.path("extensions"));
            command.env("CNB_RUN_PATH", build.path("run.toml"));
            Ran::of(&mut command).ok()
        };
        let found = || -> toml::Table {
            let text = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
            text.parse().unwrap()
        };
        run(analyzer);
        run(detector);
        assert!(build.path("layers/generated").join(file).exists(), "{api}");
        assert_eq!(found()["run-image"]["reference"].as_str(), Some("other"));
        assert!(found()["run-image"].get("target").is_none());
        run(restorer);
        let reference = format!("{}@{}", other.display(), image::read(&other).digest());
        let run_image = &found()["run-image"];
        assert_eq!(run_image["reference"].as_str(), Some(reference.as_str()));
        assert_eq!(run_image["image"].as_str(), Some("other"));
        assert_eq!(
            run_image["target"]["distro"]["name"].as_str(),
            Some("debian")
        );
        run(builder);
        run(exporter);
        let app = image::read(&build.app_image());
        let metadata = app.label("io.buildpacks.lifecycle.metadata");
        assert_eq!(metadata["runImage"]["reference"], reference.as_str());
        // run.toml knows another one only.
        assert_eq!(metadata["runImage"]["image"], "other");
        assert!(metadata["runImage"].get("mirrors").is_none());
        let record = app.label("io.buildpacks.build.metadata");
        assert_eq!(record["extensions"][0]["id"], "ext");
    }
}

/// A buildpack in group.toml, and an extension.
const GROUP: &str = "[[group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\napi = \"0.10\"\n";
const EXTENSION: &str = "[[group-extensions]]\nid = \"ext\"\nversion = \"1\"\napi = \"0.10\"\n";

/// IMX-035: where extensions take part and nothing is known of the run image.
#[test]
fn root_the_restorer_looks_an_unknown_run_image_up() {
    if !requires_root() {
        return;
    }
    // API, in the group, target that is known; then whether reference and target are looked up.
    let table = [
        ("0.9", EXTENSION, "", false, false),
        ("0.10", EXTENSION, "", true, false),
        ("0.11", EXTENSION, "", true, false),
        ("0.12", EXTENSION, "", true, true),
        ("0.15", EXTENSION, "", true, true),
        (
            "0.15",
            EXTENSION,
            "[run-image.target]\narch = \"amd64\"\n",
            true,
            true,
        ),
        (
            "0.15",
            EXTENSION,
            "[run-image.target]\nos = \"plan9\"\n",
            false,
            false,
        ),
        ("0.15", "", "", false, false),
    ];
    for (api, extension, target, reference_found, target_found) in table {
        let mut build = Build::new();
        build.api = api;
        build.write("layers/group.toml", &format!("{GROUP}{extension}"));
        let analyzed = format!("[run-image]\nreference = \"run\"\nimage = \"run\"\n{target}");
        build.write("layers/analyzed.toml", &analyzed);
        let mut restorer = build.phase("restorer", &[]);
        restorer
            .arg("-layers")
            .arg(build.path("layers"))
            .args(["-uid", "0", "-gid", "0"])
            .env("CNB_USE_LAYOUT", "true")
            .env("CNB_LAYOUT_DIR", build.path("layout"))
            .env("CNB_RUN_PATH", build.path("run.toml"));
        Ran::of(&mut restorer).ok();
        let text = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
        let written: toml::Table = text.parse().unwrap();
        let run_image = &written["run-image"];
        let path = build.run_image();
        let found = format!("{}@{}", path.display(), image::read(&path).digest());
        let expected = if reference_found {
            found.as_str()
        } else {
            "run"
        };
        assert_eq!(
            run_image["reference"].as_str(),
            Some(expected),
            "{api} {text}"
        );
        assert_eq!(run_image["image"].as_str(), Some("run"), "{api} {text}");
        let distro = run_image.get("target").and_then(|it| it.get("distro"));
        let name = distro.and_then(|distro| distro["name"].as_str());
        assert_eq!(name, target_found.then_some("debian"), "{api} {text}");
    }
}

#[test]
fn there_is_no_extender_yet_and_it_says_so() {
    let extensions = Extensions::new("0.13");
    let program = ours_in("lifecycle", &extensions.0.path("bin"));
    let extender = extensions.0.path("bin/extender");
    fs::os::unix::fs::symlink(&program, &extender).unwrap();
    for (program, args) in [(extender, &[][..]), (program, &["extend"])] {
        let mut command = Command::new(program);
        command.env_clear().env("CNB_PLATFORM_API", "0.13");
        let ran = Ran::of(command.args(args));
        assert_eq!(ran.code, 102, "{}", ran.text);
        let expected = "failed to extend: this lifecycle cannot extend images yet\n";
        assert!(ran.text.ends_with(expected), "{}", ran.text);
    }
}

#[test]
fn every_phase_is_known_by_its_name() {
    let extensions = Extensions::new("0.13");
    for name in [
        "detector", "analyzer", "restorer", "builder", "exporter", "creator", "rebaser", "extender",
    ] {
        let link = extensions.0.path(name);
        fs::os::unix::fs::symlink(ours("lifecycle"), &link).unwrap();
        let mut command = Command::new(&link);
        command.env_clear().env("CNB_PLATFORM_API", "0.13");
        let ran = Ran::of(command.arg("-nonsense"));
        // As a phase it knows its flags, and the extender says that it is not there yet.
        let expected = if name == "extender" { 102 } else { 2 };
        assert_eq!(ran.code, expected, "{name}: {}", ran.text);
    }
}
