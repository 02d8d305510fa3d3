use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::target::Distro;

/// A module on disk, an app and a platform folder.
struct Bench {
    root: TempDir,
    module: Descriptor,
}

impl Bench {
    /// Makes a buildpack whose `bin/detect` is a script.
    fn new(script: &str) -> Self {
        let bench = Self::without_program();
        bench.program(&format!("#!/bin/bash\n{script}\n"), "755");
        bench
    }

    fn without_program() -> Self {
        let root = tempfile::tempdir().unwrap();
        for dir in ["app", "platform/env", "module/bin"] {
            fs_err::create_dir_all(root.path().join(dir)).unwrap();
        }
        let module = Descriptor {
            id: "acme/java".to_owned(),
            version: "1.0".to_owned(),
            dir: root.path().join("module"),
            ..Descriptor::default()
        };
        Self { root, module }
    }

    fn program(&self, text: &str, mode: &str) {
        program::install(&self.path("module/bin/detect"), text, mode);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn detect(&self, api: &str) -> DetectRun {
        let outer = [("PATH", "/usr/bin:/bin"), ("SECRET", "x")];
        let target = Target {
            os: "linux".to_owned(),
            arch: "arm64".to_owned(),
            distro: Some(Distro {
                name: "ubuntu".to_owned(),
                version: String::new(),
            }),
            ..Target::default()
        };
        let inputs = DetectInputs {
            app_dir: &self.path("app"),
            platform_dir: &self.path("platform"),
            build_config_dir: &self.path("build-config"),
            env: &BuildEnv::from_outer(outer.map(|(k, v)| (k.into(), v.into()))),
            target: &target,
            exec_env: "production",
        };
        detect(&self.module, BuildpackApi::parse(api).unwrap(), &inputs)
    }

    fn lines(&self, api: &str) -> Vec<String> {
        let run = self.detect(api);
        assert_eq!(run.code, 0, "{run:?}");
        let text = String::from_utf8(run.output).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn the_program_gets_two_arguments_the_app_as_its_folder_and_an_empty_input() {
    let bench = Bench::new("echo $#; echo $0; echo $1; pwd; cat; stat -c '%a %s' $2; basename $2");
    let shown = |name: &str| bench.path(name).display().to_string();
    let expected = [
        "2".to_owned(),
        shown("module/bin/detect"),
        shown("platform"),
        shown("app"),
        "600 0".to_owned(),
        "plan.toml".to_owned(),
    ];
    for api in ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"] {
        assert_eq!(bench.lines(api), expected, "{api}");
    }
}

#[test]
fn the_plan_s_folder_is_new_for_each_run_and_gone_after_it() {
    let bench = Bench::new("dirname $2; ls $(dirname $2)");
    let (first, second) = (bench.lines("0.10"), bench.lines("0.10"));
    assert_ne!(first[0], second[0]);
    assert_eq!(first[1..], ["plan.toml"]);
    assert!(!Path::new(&first[0]).exists());
}

#[test]
fn each_api_sets_its_variables() {
    let bench = Bench::new("compgen -e | grep -e ^CNB_ -e ^SECRET | sort | tr '\\n' ' '");
    let old = "CNB_BUILDPACK_DIR";
    let paths = "CNB_BUILDPACK_DIR CNB_BUILD_PLAN_PATH CNB_PLATFORM_DIR";
    let target = "CNB_TARGET_ARCH CNB_TARGET_DISTRO_NAME CNB_TARGET_OS";
    let cases = [
        // BPD-024; in each row BPD-029: no other variable comes through
        ("0.7", old.to_owned()),
        // BPD-026: no target
        ("0.8", paths.to_owned()),
        ("0.9", paths.to_owned()),
        // COM-083
        ("0.10", format!("{paths} {target}")),
        // BPD-028: no execution environment
        ("0.11", format!("{paths} {target}")),
    ];
    for (api, expected) in cases {
        assert_eq!(bench.lines(api), [expected + " "], "{api}");
    }
    let newest = bench.lines("0.12").remove(0);
    let words: Vec<_> = newest.split_whitespace().collect();
    assert!(
        words.contains(&"CNB_EXEC_ENV") && words.len() == 7,
        "{newest}"
    );
}

/// BPD-002, BPD-023, BPD-025, BPD-027: each variable and what it holds, where the API has it.
#[test]
fn variables_have_the_values_of_the_arguments() {
    let bench = Bench::new(
        "[ \"$CNB_PLATFORM_DIR\" = $1 ] && echo platform; [ \"$CNB_BUILD_PLAN_PATH\" = $2 ] && echo plan\n\
         echo $CNB_BUILDPACK_DIR\n\
         echo \"$CNB_TARGET_OS/$CNB_TARGET_ARCH/$CNB_TARGET_DISTRO_NAME\" $CNB_EXEC_ENV",
    );
    let dir = bench.module.dir.display().to_string();
    let cases: [(&str, &[&str]); 4] = [
        ("0.7", &[&dir, "//"]),
        ("0.8", &["platform", "plan", &dir, "//"]),
        ("0.10", &["platform", "plan", &dir, "linux/arm64/ubuntu"]),
        (
            "0.12",
            &["platform", "plan", &dir, "linux/arm64/ubuntu production"],
        ),
    ];
    for (api, expected) in cases {
        assert_eq!(bench.lines(api), expected, "{api}");
    }
}

/// BPD-034: over those of the user and of the operator.
#[test]
fn the_lifecycle_s_own_variables_win() {
    let names = [
        "CNB_BUILDPACK_DIR",
        "CNB_BUILD_PLAN_PATH",
        "CNB_EXEC_ENV",
        "CNB_PLATFORM_DIR",
        "CNB_TARGET_ARCH",
        "CNB_TARGET_DISTRO_NAME",
        "CNB_TARGET_OS",
    ];
    let bench = Bench::new("env | grep -e another -e ^OTHER= | sort");
    fs_err::create_dir_all(bench.path("build-config/env")).unwrap();
    for name in names.iter().chain(&["OTHER"]) {
        fs_err::write(bench.path("platform/env").join(name), "another").unwrap();
        let file = format!("{name}.override");
        fs_err::write(bench.path("build-config/env").join(file), "another").unwrap();
    }
    assert_eq!(bench.lines("0.12"), ["OTHER=another"]);
}

#[test]
fn a_module_may_want_a_clear_environment() {
    let mut bench = Bench::new("echo $PATH $A $B $CNB_PLATFORM_DIR");
    fs_err::create_dir_all(bench.path("build-config/env")).unwrap();
    fs_err::write(bench.path("platform/env/A"), "a").unwrap();
    fs_err::write(bench.path("build-config/env/B"), "b").unwrap();
    let platform = bench.path("platform").display().to_string();
    let path = "/usr/bin:/bin";
    assert_eq!(bench.lines("0.8"), [format!("{path} a b {platform}")]);
    bench.module.clear_env = true;
    assert_eq!(bench.lines("0.8"), [format!("{path} b {platform}")]);
}

#[test]
fn the_exit_status_is_the_result() {
    let cases = [
        ("exit 0", 0),
        ("exit 100", FAIL),
        ("exit 7", 7),
        ("kill -9 $$", -1),
    ];
    for (script, code) in cases {
        // The plan of a module that did not pass is not even read.
        let bench = Bench::new(&format!(
            "echo out; echo err >&2; echo out\n[ $1 ] && {script}"
        ));
        let run = bench.detect("0.10");
        assert_eq!((run.code, run.error), (code, None), "{script}");
        assert_eq!(run.output, b"out\nerr\nout\n");
    }
    let run = Bench::new("echo '= 1' > $2; exit 100").detect("0.10");
    assert_eq!((run.code, run.error), (100, None));
}

#[test]
fn what_cannot_be_started_says_why() {
    let bench = Bench::without_program();
    let program = bench.path("module/bin/detect").display().to_string();
    let failed = |bench: &Bench| {
        let run = bench.detect("0.10");
        assert_eq!(run.code, -1);
        run.error.unwrap()
    };
    assert_eq!(
        failed(&bench),
        format!("fork/exec {program}: no such file or directory")
    );
    bench.program("#!/bin/sh\n", "644");
    assert_eq!(
        failed(&bench),
        format!("fork/exec {program}: permission denied")
    );
    // A script must say what runs it.
    bench.program("exit 0\n", "755");
    assert_eq!(
        failed(&bench),
        format!("fork/exec {program}: exec format error")
    );
    bench.program("", "755");
    assert_eq!(
        failed(&bench),
        format!("fork/exec {program}: exec format error")
    );
    bench.program("#!/bin/sh\n", "755");
    fs_err::remove_dir(bench.path("app")).unwrap();
    let app = bench.path("app").display().to_string();
    assert_eq!(
        failed(&bench),
        format!("chdir {app}: no such file or directory")
    );
}

#[test]
fn an_environment_that_cannot_be_read_is_an_error() {
    let bench = Bench::new("exit 0");
    std::os::unix::fs::symlink("nowhere", bench.path("platform/env/A")).unwrap();
    let run = bench.detect("0.10");
    let path = bench.path("platform/env/A");
    let expected = format!("stat {}: no such file or directory", path.display());
    assert_eq!((run.code, run.error), (-1, Some(expected)));
}

/// BPD-038: both lists, metadata, alternatives with the same; nothing at all.
#[test]
fn a_plan_is_read_where_the_module_passes() {
    let bench = Bench::new(
        "printf '[[provides]]\\nname = \"a\"\\n[[requires]]\\nname = \"c\"\\n[requires.metadata]\\nbuild = true\\n\
         [[or]]\\n[[or.provides]]\\nname = \"d\"\\n[[or.requires]]\\nname = \"b\"\\n[or.requires.metadata]\\nbuild = false\\n\
         [[or]]\\n' > $2",
    );
    let plan = bench.detect("0.10").plan;
    assert_eq!(plan.sections.provides[0].name, "a");
    assert_eq!(plan.sections.requires[0].name, "c");
    assert_eq!(
        plan.sections.requires[0].metadata["build"].as_bool(),
        Some(true)
    );
    assert_eq!(plan.or[0].provides[0].name, "d");
    assert_eq!(plan.or[0].requires[0].name, "b");
    assert_eq!(
        plan.or[0].requires[0].metadata["build"].as_bool(),
        Some(false)
    );
    assert_eq!(plan.or[1..], [crate::plan::PlanSections::default()]);
    assert_eq!(
        Bench::new("exit 0").detect("0.10").plan,
        BuildPlan::default()
    );
}

#[test]
fn a_bad_plan_is_an_error_that_keeps_the_output() {
    let cases = [
        (
            "echo 'this is' > $2",
            "toml: line 1: expected '.' or '=', but got 'i' instead",
        ),
        (
            "echo 'provides = 1' > $2",
            "toml: line 1 (last key \"provides\"): incompatible types: TOML value has type int64; destination has type slice",
        ),
        (
            "printf '\\xff' > $2",
            "toml: line 1: invalid UTF-8 byte: 0xff",
        ),
    ];
    for (script, error) in cases {
        let run = Bench::new(&format!("echo out\n{script}")).detect("0.7");
        assert_eq!(
            (run.code, run.error.as_deref()),
            (-1, Some(error)),
            "{script}"
        );
        assert_eq!(run.output, b"out\n");
        assert_eq!(run.plan, BuildPlan::default());
    }
    let run = Bench::new("rm $2").detect("0.10");
    let error = run.error.unwrap();
    assert!(error.starts_with("open ") && error.ends_with("plan.toml: no such file or directory"));
    let advice = run.advice.unwrap();
    assert_eq!(
        advice.problem,
        "removed its build plan, or made it unreadable"
    );
    let run = Bench::new("rm $2; mkdir $2").detect("0.10");
    assert!(run.error.unwrap().ends_with("plan.toml: is a directory"));
}

/// BPD-039: whatever the API, beside `metadata.version` or not, in either place.
#[test]
fn a_version_beside_the_name_is_refused() {
    let error = "buildpack acme/java has a \"version\" key which is not supported. \"metadata.version\" should be used instead";
    for api in ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"] {
        for (entry, refused) in [
            ("[[requires]]\nname = 'x'\nversion = '1'", true),
            (
                "[[requires]]\nname = 'x'\nversion = '1'\nmetadata = {version = '1'}",
                true,
            ),
            (
                "[[or]]\n[[or.requires]]\nversion = '1'\nmetadata = {version = '1'}",
                true,
            ),
            ("[[or]]\n[[or]]\n[[or.requires]]\nversion = '1'", true),
            (
                "[[requires]]\nname = 'x'\nversion = ''\nmetadata = {version = '1'}",
                false,
            ),
            ("[[provides]]\nname = 'x'\nversion = '1'", false),
        ] {
            let run = Bench::new(&format!("cat >$2 <<EOF\n{entry}\nEOF")).detect(api);
            let expected = if refused {
                (-1, Some(error))
            } else {
                (0, None)
            };
            assert_eq!((run.code, run.error.as_deref()), expected, "{api} {entry}");
        }
    }
}

#[test]
fn an_extension_has_a_variable_of_its_own_and_requires_nothing() {
    let mut bench = Bench::new("echo dir:$CNB_EXTENSION_DIR:$CNB_BUILDPACK_DIR");
    bench.module.extension = true;
    assert_eq!(
        bench.lines("0.10"),
        [format!("dir:{}:", bench.module.dir.display())]
    );
    bench.program(
        "#!/bin/sh\necho '[[or]]\n[[or.requires]]\nname=\"x\"' > $2\n",
        "755",
    );
    let run = bench.detect("0.10");
    let error = "extension acme/java outputs \"requires\" which is not allowed";
    assert_eq!((run.code, run.error.as_deref()), (-1, Some(error)));
}

#[test]
fn an_extension_without_a_program_brings_its_plan_along() {
    let mut bench = Bench::without_program();
    bench.module.extension = true;
    assert_eq!(bench.detect("0.10"), DetectRun::default());
    let plan = bench.path("module/detect/plan.toml");
    fs_err::create_dir_all(plan.parent().unwrap()).unwrap();
    fs_err::write(&plan, "[[provides]]\nname = 'a'\n").unwrap();
    assert_eq!(bench.detect("0.10").plan.sections.provides[0].name, "a");
    fs_err::write(&plan, "[[requires]]\nname = 'a'\n").unwrap();
    let run = bench.detect("0.10");
    let error = "extension acme/java outputs \"requires\" which is not allowed";
    assert_eq!((run.code, run.error.as_deref()), (-1, Some(error)));
    fs_err::write(&plan, "= 1").unwrap();
    assert_eq!(bench.detect("0.10").code, -1);
}
