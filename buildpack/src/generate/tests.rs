use tempfile::TempDir;

use super::*;
use crate::plan::Require;
use crate::program;

const BUILD: &str = "ARG base_image\nFROM ${base_image}\nRUN x\n";

/// An extension on disk, an app and a platform folder.
struct Bench {
    root: TempDir,
    module: Descriptor,
    plan: BuildpackPlan,
    warnings: Vec<String>,
    output: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["app", "platform/env", "build-config/env", "module/bin"] {
            fs_err::create_dir_all(root.path().join(dir)).unwrap();
        }
        Self {
            module: Descriptor {
                id: "acme/curl".to_owned(),
                version: "1.0".to_owned(),
                dir: root.path().join("module"),
                extension: true,
                ..Descriptor::default()
            },
            root,
            plan: BuildpackPlan::default(),
            warnings: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Makes an extension whose `bin/generate` is a script; `$O` is its output folder.
    fn running(script: &str) -> Self {
        let bench = Self::new();
        let text = format!("#!/bin/bash\nset -e\nO=$1\n{script}\n");
        program::install(&bench.path("module/bin/generate"), &text, "755");
        bench
    }

    /// Makes an extension without `bin/generate` that brings files along.
    fn bringing(files: &[(&str, &str)]) -> Self {
        let bench = Self::new();
        for (name, text) in files {
            bench.write(&format!("module/generate/{name}"), text);
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn generate(&mut self, api: &str) -> Result<GenerateOutputs, Error> {
        let target = Target {
            os: "linux".to_owned(),
            arch: "arm64".to_owned(),
            ..Target::default()
        };
        let outer = [
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("SECRET".into(), "outer".into()),
            ("HOME".into(), "/home/x".into()),
        ];
        let inputs = GenerateInputs {
            app_dir: &self.path("app"),
            output_dir: &self.path("generated"),
            platform_dir: &self.path("platform"),
            build_config_dir: &self.path("build-config"),
            env: &BuildEnv::from_outer(outer),
            target: &target,
        };
        let api = BuildpackApi::parse(api).unwrap();
        self.output.clear();
        generate(
            &self.module,
            api,
            &self.plan,
            &inputs,
            &mut self.output,
            &mut |warning| self.warnings.push(warning),
        )
    }

    /// Generates, and returns what the program said.
    fn lines(&mut self, api: &str) -> Vec<String> {
        self.generate(api).unwrap();
        let text = String::from_utf8_lossy(&self.output).into_owned();
        text.lines().map(str::to_owned).collect()
    }

    /// Generates, and returns why the outputs were refused.
    fn refused(&mut self) -> (String, Advice) {
        match self.generate("0.10") {
            Err(Error::Outputs(fault)) => (fault.to_string(), *fault.advice),
            other => panic!("expected bad outputs, got {other:?}"),
        }
    }
}

#[test]
fn the_program_gets_three_arguments_and_the_app_as_its_folder() {
    let mut bench = Bench::running("echo $#; echo $0; echo $1; echo $2; cat $3; pwd; cat");
    bench.plan.entries = vec![Require {
        name: "curl".to_owned(),
        ..Require::default()
    }];
    let expected = [
        "3".to_owned(),
        bench.shown("module/bin/generate"),
        bench.shown("generated/acme_curl"),
        bench.shown("platform"),
        "[[entries]]".to_owned(),
        "  name = \"curl\"".to_owned(),
        bench.shown("app"),
    ];
    assert_eq!(bench.lines("0.9"), expected);
    assert_eq!(bench.generate("0.9").unwrap().met, ["curl"]);
    // The plan is gone afterwards.
    let mut bench = Bench::running("echo $3");
    let plan = bench.lines("0.9").remove(0);
    assert!(!Path::new(&plan).exists(), "{plan}");
}

#[test]
fn paths_are_variables_at_every_api_and_targets_from_0_10_on() {
    let mut bench = Bench::running(
        "[ \"$CNB_BP_PLAN_PATH\" = \"$3\" ]; env | sort | grep -E '^(CNB_|HOME|SECRET)' | grep -v PLAN_PATH",
    );
    let paths = [
        format!("CNB_EXTENSION_DIR={}", bench.shown("module")),
        format!("CNB_OUTPUT_DIR={}", bench.shown("generated/acme_curl")),
        format!("CNB_PLATFORM_DIR={}", bench.shown("platform")),
    ];
    let targets = ["CNB_TARGET_ARCH=arm64", "CNB_TARGET_OS=linux"].map(str::to_owned);
    for api in ["0.7", "0.9", "0.10", "0.12"] {
        let mut expected = paths.to_vec();
        if ["0.10", "0.12"].contains(&api) {
            expected.extend(targets.clone());
        }
        expected.push("HOME=/home/x".to_owned());
        assert_eq!(bench.lines(api), expected, "{api}");
    }
}

#[test]
fn the_user_s_variables_are_given_unless_the_extension_clears_them() {
    for (clear_env, user) in [(false, "from the user"), (true, "")] {
        let mut bench = Bench::running("echo \"$USERS\"; echo \"$BUILDERS\"");
        bench.module.clear_env = clear_env;
        bench.write("platform/env/USERS", "from the user");
        bench.write("build-config/env/BUILDERS", "from the builder");
        assert_eq!(bench.lines("0.10"), [user, "from the builder"]);
    }
}

#[test]
fn both_streams_are_passed_on() {
    let mut bench = Bench::running("echo out; echo err >&2; echo out");
    assert_eq!(bench.lines("0.10"), ["out", "err", "out"]);
}

#[test]
fn a_program_that_fails_is_told_from_bad_outputs() {
    let mut bench = Bench::running("echo BAD > $O/build.Dockerfile; exit 4");
    assert!(
        matches!(bench.generate("0.10"), Err(Error::Extension(fault)) if fault.to_string() == "exit status 4")
    );

    let mut bench = Bench::running("");
    let program = bench.path("module/bin/generate");
    program::install(&program, "#!/bin/bash\n", "644");
    let expected = format!("fork/exec {}: permission denied", program.display());
    assert!(
        matches!(bench.generate("0.10"), Err(Error::Extension(fault)) if fault.to_string() == expected)
    );

    let mut bench = Bench::running("");
    bench.write("generated", "no folder");
    let expected = format!("mkdir {}: not a directory", bench.shown("generated"));
    let found = bench.generate("0.10");
    assert!(
        matches!(&found, Err(Error::Outputs(fault)) if fault.to_string() == expected),
        "{found:?}"
    );
}

#[test]
fn outputs_are_found_in_the_extension_s_own_folder() {
    let mut bench = Bench::running(
        "printf 'FROM run:2\\nRUN x\\n' > $O/run.Dockerfile
         printf 'ARG base_image\\nFROM ${base_image}\\n' > $O/build.Dockerfile
         mkdir -p $O/context.run $O/context.build; echo other > $O/context",
    );
    let dockerfile = |kind: Kind, new_base: Option<&str>, extends| Dockerfile {
        kind,
        path: bench.path("generated/acme_curl").join(kind.file_name()),
        effect: Effect {
            new_base: new_base.map(str::to_owned),
            extends,
        },
    };
    let expected = GenerateOutputs {
        dockerfiles: vec![
            dockerfile(Kind::Run, Some("run:2"), true),
            dockerfile(Kind::Build, None, false),
        ],
        contexts: vec![
            bench.path("generated/acme_curl/context.build"),
            bench.path("generated/acme_curl/context.run"),
        ],
        met: vec![],
    };
    // IMX-024: run.Dockerfile may extend at every API, 0.9 included.
    for api in ["0.9", "0.10", "0.12"] {
        assert_eq!(bench.generate(api).unwrap(), expected, "{api}");
    }
    assert_eq!(
        Bench::running("").generate("0.10").unwrap(),
        GenerateOutputs::default()
    );
}

#[test]
fn without_a_program_the_folder_generate_is_the_output() {
    let mut bench = Bench::bringing(&[
        ("build.Dockerfile", BUILD),
        (
            "extend-config.toml",
            "[[build.args]]\nname = 'a'\nvalue = 'b'\n",
        ),
        ("context/file", "text"),
    ]);
    let found = bench.generate("0.10").unwrap();
    let dir = bench.path("generated/acme_curl");
    assert_eq!(found.dockerfiles[0].path, dir.join("build.Dockerfile"));
    assert_eq!(found.contexts, [dir.join("context")]);
    assert_eq!(
        fs_err::read_to_string(dir.join("build.Dockerfile")).unwrap(),
        BUILD
    );
    assert!(dir.join("extend-config.toml").exists());
    assert_eq!(
        fs_err::read_to_string(dir.join("context/file")).unwrap(),
        "text"
    );
    // No folder, no output.
    assert_eq!(
        Bench::new().generate("0.10").unwrap(),
        GenerateOutputs::default()
    );
    // With a program the folder is nothing special.
    let mut bench = Bench::running("");
    bench.write("module/generate/build.Dockerfile", BUILD);
    assert_eq!(bench.generate("0.10").unwrap(), GenerateOutputs::default());
}

#[test]
fn a_broken_rule_names_extension_file_and_line() {
    let cases = [
        (
            "build.Dockerfile",
            "FROM ${base_image}\n",
            "failed to parse build.Dockerfile for extension acme/curl: build.Dockerfile did not start with required ARG command",
            ":1: there is no ARG in front of FROM",
        ),
        (
            "run.Dockerfile",
            "FROM a\nPEPPER x\n",
            "failed to parse run.Dockerfile for extension acme/curl: dockerfile parse error on line 2: unknown instruction: PEPPER",
            ":2: unknown instruction: PEPPER",
        ),
        (
            "run.Dockerfile",
            "",
            "failed to parse run.Dockerfile for extension acme/curl: file with no instructions",
            ": holds no instruction",
        ),
        (
            "extend-config.toml",
            "[[run.args]]\nname = 'user_id'\n",
            "validating extend config: invalid content: arg with name \"user_id\" is not allowed",
            ":2: sets user_id, which is for the lifecycle to set",
        ),
    ];
    for (name, text, expected, problem) in cases {
        let mut bench = Bench::bringing(&[(name, text)]);
        let (said, advice) = bench.refused();
        assert_eq!(said, expected);
        let place = bench.path("module/generate").join(name);
        assert_eq!(advice.to_string(), format!("{}{problem}", place.display()));
        // What breaks a rule goes nowhere.
        let generated = bench.path("generated/acme_curl");
        assert_eq!(fs_err::read_dir(generated).unwrap().count(), 0);
    }
}

#[test]
fn a_context_is_for_both_images_or_for_one() {
    let table: [(&[&str], bool); 7] = [
        (&[], true),
        (&["context"], true),
        (&["context.build"], true),
        (&["context.run"], true),
        (&["context.build", "context.run"], true),
        (&["context", "context.build"], false),
        (&["context", "context.run"], false),
    ];
    for (folders, fine) in table {
        let scripts: Vec<_> = folders
            .iter()
            .map(|name| format!("mkdir $O/{name}\n"))
            .collect();
        let script = scripts.concat();
        let mut bench = Bench::running(&script);
        if fine {
            assert_eq!(
                bench.generate("0.11").unwrap().contexts.len(),
                folders.len()
            );
            continue;
        }
        let (said, advice) = bench.refused();
        assert_eq!(
            said,
            "image-specific context dir is provided together with a shared context"
        );
        assert!(advice.path.ends_with(folders[1]), "{advice:?}");
        // A file of that name is no context.
        let script = script.replacen("mkdir $O/context\n", "touch $O/context\n", 1);
        assert_eq!(
            Bench::running(&script)
                .generate("0.11")
                .unwrap()
                .contexts
                .len(),
            1
        );
    }
}

/// The config is checked first, then run.Dockerfile, then build.Dockerfile, then the contexts.
#[test]
fn what_is_wrong_first_is_said() {
    let all = [
        ("extend-config.toml", "[[run.args]]\nname = 'user_id'\n"),
        ("run.Dockerfile", ""),
        ("build.Dockerfile", ""),
        ("context/x", ""),
        ("context.run/x", ""),
    ];
    let expected = [
        "extend-config.toml",
        "run.Dockerfile",
        "build.Dockerfile",
        "context.run",
    ];
    for (at, name) in expected.into_iter().enumerate() {
        let (_, advice) = Bench::bringing(&all[at..]).refused();
        assert!(advice.path.ends_with(name), "{advice:?}");
    }
}

#[test]
fn warnings_are_given_also_where_the_file_is_refused() {
    let mut bench = Bench::bringing(&[("build.Dockerfile", "FROM ${base_image}\nCMD x\n")]);
    bench.refused();
    let expected = "build.Dockerfile command CMD on line 2 is not recommended";
    assert_eq!(bench.warnings, [expected]);
}

#[test]
fn names_that_nobody_looks_for_are_warned_of() {
    let files = [
        ("Dockerfile", "call it run.Dockerfile or build.Dockerfile"),
        ("build.dockerfile", "call it build.Dockerfile"),
        ("Context.run/x", "call it context.run"),
        ("Extend-Config.toml", "call it extend-config.toml"),
        ("run.Dockerfile", ""),
        ("context/x", ""),
        ("notes", ""),
    ];
    let texts = files.map(|(name, _)| (name, "FROM a\n"));
    let mut bench = Bench::bringing(&texts);
    bench.generate("0.10").unwrap();
    let expected = files.iter().filter(|(_, remedy)| !remedy.is_empty());
    let mut expected: Vec<_> = expected
        .map(|(name, remedy)| {
            let place = bench
                .path("module/generate")
                .join(name.trim_end_matches("/x"));
            let place = place.display();
            format!("extension acme/curl@1.0: {place}: is not looked at under this name; {remedy}")
        })
        .collect();
    expected.sort();
    bench.warnings.sort();
    assert_eq!(bench.warnings, expected);
}
