mod bench;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use bench::Bench;

const APIS: [&str; 6] = ["0.7", "0.8", "0.9", "0.10", "0.11", "0.12"];

#[test]
fn the_program_gets_three_arguments_the_app_as_its_folder_and_an_empty_input() {
    let mut bench = Bench::new("echo $#; echo $0; echo $1; echo $2; basename $3; pwd; cat; cat $3");
    let shown = |name: &str| bench.path(name).display().to_string();
    let expected = [
        "3".to_owned(),
        shown("module/bin/build"),
        shown("layers/acme_java"),
        shown("platform"),
        "plan.toml".to_owned(),
        shown("app"),
    ];
    for api in APIS {
        assert_eq!(bench.lines(api), expected, "{api}");
    }
}

#[test]
fn the_layers_folder_is_made_with_its_parents_and_open_to_what_the_umask_allows() {
    // What the kernel makes of 0777 here.
    let probe = tempfile::tempdir().unwrap();
    fs_err::create_dir(probe.path().join("plain")).unwrap();
    let mode = |path: &Path| fs_err::metadata(path).unwrap().permissions().mode();
    let plain = mode(&probe.path().join("plain"));
    let mut bench = Bench::new("cd $L");
    bench.module.id = "acme/java/jre".to_owned();
    fs_err::remove_dir(bench.path("layers")).unwrap();
    bench.build("0.10").unwrap();
    assert_eq!(mode(&bench.path("layers")), plain);
    assert_eq!(mode(&bench.path("layers/acme_java_jre")), plain);
}

#[test]
fn the_plan_holds_what_is_required_and_is_gone_afterwards() {
    let mut bench = Bench::new("cat $3; echo $3").requiring(&["jre"]);
    bench.plan.entries[0]
        .metadata
        .insert("build".to_owned(), true.into());
    let lines = bench.lines("0.10");
    assert_eq!(
        lines[..4],
        [
            "[[entries]]",
            "  name = \"jre\"",
            "  [entries.metadata]",
            "    build = true"
        ]
    );
    // <temporary folder>/<escaped id>/plan.toml, another one each time.
    let folder = |path: &str| Path::new(path).ancestors().nth(2).unwrap().to_owned();
    assert!(!folder(&lines[4]).exists());
    let again = bench.lines("0.10");
    assert_ne!(folder(&lines[4]), folder(&again[4]));
}

#[test]
fn each_api_sets_its_variables() {
    let mut bench = Bench::new("compgen -e | grep ^CNB_ | sort | tr '\\n' ' '");
    let paths = "CNB_BP_PLAN_PATH CNB_BUILDPACK_DIR";
    let rest = "CNB_LAYERS_DIR CNB_PLATFORM_DIR";
    let target = "CNB_TARGET_ARCH CNB_TARGET_OS";
    let cases = [
        // BPB-005
        ("0.7", "CNB_BUILDPACK_DIR".to_owned()),
        // BPB-004; BPD-026: no target
        ("0.8", format!("{paths} {rest}")),
        ("0.9", format!("{paths} {rest}")),
        // BPB-006, COM-083
        ("0.10", format!("{paths} {rest} {target}")),
        // BPD-028: no execution environment
        ("0.11", format!("{paths} {rest} {target}")),
        // BLD-019, COM-024
        ("0.12", format!("{paths} CNB_EXEC_ENV {rest} {target}")),
    ];
    for (api, expected) in cases {
        assert_eq!(bench.lines(api), [expected + " "], "{api}");
    }
    let mut bench = Bench::new(
        "[ $1 = $CNB_LAYERS_DIR ] && [ $2 = $CNB_PLATFORM_DIR ] && [ $3 = $CNB_BP_PLAN_PATH ]
echo $CNB_BUILDPACK_DIR $CNB_EXEC_ENV $CNB_TARGET_OS/$CNB_TARGET_ARCH",
    );
    let expected = format!("{} test linux/arm64", bench.path("module").display());
    assert_eq!(bench.lines("0.12"), [expected]);
}

/// Who sets a variable, from the first to the last; each row's winner is the last one that may.
#[test]
fn the_environment_is_made_in_one_order() {
    // Layers of the buildpack before, <platform>/env, <build-config>/env (whose files are defaults unless they say `override`).
    let set_by = [
        (
            "layers/acme_java/l/env",
            "HOME HOSTNAME A CNB_BUILDPACK_DIR",
        ),
        ("platform/env", "HOSTNAME A CNB_STACK_ID CNB_BUILDPACK_DIR"),
        (
            "build-config/env",
            "A.override CNB_STACK_ID CNB_BUILDPACK_DIR.override",
        ),
    ];
    let cases = [
        (false, "outer layers platform build-config"),
        (true, "outer layers layers build-config"),
    ];
    for (clear_env, expected) in cases {
        let mut bench = Bench::new(
            "echo $HTTP_PROXY $HOME $HOSTNAME $A; echo $CNB_STACK_ID; echo $PATH; echo $CNB_BUILDPACK_DIR",
        );
        bench.module.clear_env = clear_env;
        for (folder, names) in set_by {
            fs_err::create_dir_all(bench.path(folder)).unwrap();
            let value = folder.split('/').next().unwrap();
            for name in names.split(' ') {
                fs_err::write(bench.path(folder).join(name), value).unwrap();
            }
        }
        fs_err::create_dir(bench.layers().join("l/bin")).unwrap();
        for (folder, path) in [("platform", "/user"), ("build-config", "/operator")] {
            let file = if folder == "platform" {
                "PATH"
            } else {
                "PATH.prepend"
            };
            fs_err::write(bench.path(folder).join("env").join(file), path).unwrap();
        }
        fs_err::write(bench.path("build-config/env/PATH.delim"), ":").unwrap();
        let outer = ["HTTP_PROXY", "HOME", "HOSTNAME"].map(|name| (name.into(), "outer".into()));
        bench.env = BuildEnv::from_outer(
            [("PATH".into(), "/usr/bin:/bin".into())]
                .into_iter()
                .chain(outer),
        );
        let layer = bench.layers().join("l");
        bench.env.add_build_layer(&layer).unwrap();
        let lines = bench.lines("0.10");
        assert_eq!(lines[0], expected);
        // A default of the operator's yields to the user, and counts where the user is not asked.
        assert_eq!(
            lines[1],
            if clear_env {
                "build-config"
            } else {
                "platform"
            }
        );
        let user = if clear_env { "" } else { "/user:" };
        let layer = layer.display();
        assert_eq!(
            lines[2],
            format!("/operator:{user}{layer}/bin:/usr/bin:/bin")
        );
        assert_eq!(lines[3], bench.path("module").display().to_string());
    }
}

#[test]
fn existing_layers_stay_and_both_streams_come_through() {
    let mut bench = Bench::new("cat $L/kept/file; echo err >&2; echo out");
    fs_err::create_dir_all(bench.layers().join("kept")).unwrap();
    fs_err::write(bench.layers().join("kept/file"), "kept\n").unwrap();
    assert_eq!(bench.lines("0.10"), ["kept", "err", "out"]);
}

/// What becomes of a `bin/build`, and the system's word for it.
type Spoilt = (fn(&Path), &'static str);

#[test]
fn a_program_that_ends_badly_is_the_buildpack_s_fault() {
    let cases = [
        ("exit 7", "exit status 7".to_owned()),
        ("kill -9 $$", "signal: killed".to_owned()),
    ];
    for (script, expected) in cases {
        // Its outputs are not looked at.
        let mut bench = Bench::new(&format!("echo '= 1' > $L/a.toml\n{script}"));
        match bench.build("0.10") {
            Err(Error::Buildpack(fault)) => assert_eq!(fault.to_string(), expected),
            other => panic!("{script}: {other:?}"),
        }
    }
    let spoilt: [Spoilt; 4] = [
        (
            |program| fs_err::remove_file(program).unwrap(),
            "no such file or directory",
        ),
        (
            |program| fs_err::set_permissions(program, Permissions::from_mode(0o644)).unwrap(),
            "permission denied",
        ),
        (
            |program| program::install(program, "#!/no/such/shell\n", "755"),
            "no such file or directory",
        ),
        (
            |program| program::install(program, "echo no shell is named\n", "755"),
            "exec format error",
        ),
    ];
    for (spoil, reason) in spoilt {
        let mut bench = Bench::new("");
        let program = bench.path("module/bin/build");
        spoil(&program);
        let error = bench.build("0.10").unwrap_err();
        assert!(matches!(error, Error::Buildpack(_)));
        let expected = format!("fork/exec {}: {reason}", program.display());
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn layers_without_types_are_set_aside() {
    let mut bench = Bench::new(
        "cd $L; mkdir none launch store build kept lone b l; touch none.toml gone.toml launch.toml store.toml
echo '[types]
cache = true' | tee kept.toml build.toml > /dev/null; echo '[types]
build = true' > b.toml; echo '[types]
launch = true' > l.toml",
    );
    bench.build("0.10").unwrap();
    let there = |name: &str| bench.layers().join(name).exists();
    let expected = [
        ("none", false),
        ("none.ignore", true),
        // Their files are taken for the metadata of layers that have these reserved names (BPB-025).
        ("launch", false),
        ("launch.ignore", true),
        ("store.ignore", true),
        ("build", true),
        ("build.ignore", false),
        ("kept", true),
        ("b", true),
        ("l", true),
        // Without a toml.
        ("lone", true),
        ("lone.ignore", false),
        ("gone.ignore", false),
    ];
    for (name, is_there) in expected {
        assert_eq!(there(name), is_there, "{name}");
    }
}

#[test]
fn a_layer_that_cannot_be_set_aside_fails_the_build() {
    let mut bench = Bench::new("cd $L; mkdir -p a a.ignore/x; touch a.toml");
    let dir = bench.layers().join("a").display().to_string();
    assert_eq!(
        bench.refused("0.10"),
        format!(
            "failed to process buildpack layer: failed to rename layer directory: rename {dir} {dir}.ignore: directory not empty"
        )
    );
}

#[test]
fn every_toml_file_is_scanned_as_a_layer_s() {
    for file in ["a.toml", "launch.toml", "build.toml", "store.toml"] {
        let mut bench = Bench::new(&format!("echo '[a' > $L/{file}"));
        assert_eq!(
            bench.refused("0.10"),
            "failed to process buildpack layer: failed to decode layer metadata file: toml: line 2: expected '.' or ']' to end table name, but got '\\n' instead"
        );
        let mut bench = Bench::new(&format!("echo 'launch = true' > $L/{file}"));
        assert_eq!(
            bench.refused("0.10"),
            format!(
                "failed to process buildpack layer: failed to decode layer metadata file: the launch, cache and build flags should be in the types table of {}",
                bench.layers().join(file).display()
            )
        );
    }
}

#[test]
fn a_file_named_like_a_suffix_and_links_in_a_circle_do_no_harm() {
    let mut bench = Bench::new("touch $L/.toml");
    bench.build("0.10").unwrap();
    assert!(bench.layers().is_dir());
    let mut bench = Bench::new("ln -s a.toml $L/a.toml");
    assert!(
        bench
            .refused("0.10")
            .ends_with("a.toml: too many levels of symbolic links")
    );
}

#[test]
fn build_layers_change_the_environment_of_later_buildpacks_in_order_of_their_files() {
    let mut bench = Bench::new(
        "echo $PATH; cd $L; mkdir -p {node,node-modules,launch-only,cache-only,lone}/bin node/env; echo -n 1 > node/env/A
echo '[types]
build = true
[metadata]
exec-env = [\"other\"]' | tee node.toml > node-modules.toml
for type in launch cache; do echo \"[types]
$type = true\" > $type-only.toml; done",
    );
    assert_eq!(bench.lines("0.10"), ["/usr/bin:/bin"]);
    let layers = bench.layers().display().to_string();
    // "node-modules.toml" precedes "node.toml", so that node's folder ends up in front.
    let path = format!("{layers}/node/bin:{layers}/node-modules/bin:/usr/bin:/bin");
    assert_eq!(
        bench.env.variables()[std::ffi::OsStr::new("PATH")],
        path.as_str()
    );
    assert_eq!(bench.env.variables()[std::ffi::OsStr::new("A")], "1");
    // The next one sees it.
    assert_eq!(bench.lines("0.10"), [path]);
}

#[test]
fn an_env_folder_that_cannot_be_read_fails_the_build() {
    let mut bench = Bench::new(
        "cd $L; mkdir -p a/env; ln -s nowhere a/env/A; echo '[types]
build = true' > a.toml",
    );
    let env = bench.layers().join("a/env").display().to_string();
    assert_eq!(
        bench.refused("0.10"),
        format!("apply env files from dir '{env}': stat {env}/A: no such file or directory")
    );
}

#[test]
fn names_that_are_not_unmet_are_met() {
    let cases: [(&str, Result<&[&str], &str>); 5] = [
        ("", Ok(&["a", "b", "a"])),
        ("[[unmet]]\nname = \"a\"", Ok(&["b"])),
        ("[[unmet]]\nname = \"a\"\n[[unmet]]\nname = \"b\"", Ok(&[])),
        ("[[unmet]]", Err("unmet.name is required")),
        (
            "[[unmet]]\nname = \"c\"",
            Err("unmet.name 'c' must match a requested dependency"),
        ),
    ];
    for (text, expected) in cases {
        let mut bench =
            Bench::new(&format!("echo '{text}' > $L/build.toml")).requiring(&["a", "b", "a"]);
        match expected {
            Ok(names) => assert_eq!(bench.build("0.10").unwrap().met, names, "{text}"),
            Err(error) => assert_eq!(bench.refused("0.10"), error, "{text}"),
        }
    }
}

#[test]
fn launch_toml_gives_labels_processes_and_slices() {
    let mut bench = Bench::new(
        r#"cat > $L/launch.toml <<'END'
[[labels]]
key = "k"
value = "v"
[[processes]]
type = "web"
command = ["a", "b"]
default = true
working-dir = "rel"
[[slices]]
paths = ["static/*"]
END"#,
    );
    let outputs = bench.build("0.9").unwrap();
    assert_eq!(outputs.labels[0].key, "k");
    assert_eq!(outputs.slices[0].paths, ["static/*"]);
    let process = &outputs.processes[0];
    assert_eq!(process.command, ["a", "b"]);
    assert_eq!(
        (process.buildpack_id.as_str(), process.working_dir.as_str()),
        ("acme/java", "rel")
    );
    assert!(process.default && process.direct && process.args.is_none());
    assert!(bench.warnings.is_empty());
}

#[test]
fn the_oldest_api_drops_working_directories_and_says_so() {
    let script = "echo '[[processes]]
type = \"web\"
command = \"a\"
working-dir = \"x\"
[[processes]]
type = \"plain\"
command = \"a\"' > $L/launch.toml";
    let mut bench = Bench::new(script);
    let outputs = bench.build("0.7").unwrap();
    assert!(outputs.processes.iter().all(|p| p.working_dir.is_empty()));
    assert_eq!(
        bench.warnings,
        [
            "Warning: process working directory isn't supported in this buildpack api version. Ignoring working directory for process 'web'"
        ]
    );
    assert_eq!(
        Bench::new(script).build("0.8").unwrap().processes[0].working_dir,
        "x"
    );
}

#[test]
fn one_process_may_be_the_default() {
    let process = |name: &str, default: bool| {
        format!("[[processes]]\ntype = \"{name}\"\ndefault = {default}\n")
    };
    let cases = [
        (process("a", true) + &process("b", false), true),
        (process("a", true) + &process("a", true), false),
        (process("a", true) + &process("b", true), false),
        // The first one's type is all that is kept of it.
        (process("", true) + &process("b", true), true),
        (process("a", true) + &process("", true), false),
        (
            process("a", true) + &process("b", false) + &process("c", true),
            false,
        ),
    ];
    for (text, is_fine) in cases {
        let mut bench = Bench::new(&format!("echo '{text}' > $L/launch.toml"));
        if is_fine {
            bench.build("0.10").unwrap();
        } else {
            let error = "multiple default process types aren't allowed";
            assert_eq!(bench.refused("0.10"), error, "{text}");
        }
    }
}

#[test]
fn tables_of_old_are_collected_with_a_warning_unless_sboms_stand_beside_them() {
    let script = "echo '[[bom]]
name = \"launch-dep\"
metadata = {version = \"1\"}' > $L/launch.toml
echo '[[bom]]
name = \"build-dep\"' > $L/build.toml";
    let mut bench = Bench::new(script);
    let outputs = bench.build("0.10").unwrap();
    assert_eq!(outputs.launch_bom[0].name, "launch-dep");
    assert_eq!(outputs.launch_bom[0].buildpack.label(), "acme/java@1.0");
    assert_eq!(outputs.build_bom[0].name, "build-dep");
    assert_eq!(outputs.build_bom[0].metadata, None);
    // Twice for build.toml, once for launch.toml.
    assert_eq!(bench.warnings.len(), 3);
    assert!(bench.warnings[0].starts_with("BOM table is deprecated in this buildpack api version, though it remains supported for backwards compatibility."));

    let mut bench = Bench::new(&format!("{script}\ntouch $L/launch.sbom.cdx.json"));
    bench.module.sbom_formats = vec!["application/vnd.cyclonedx+json".to_owned()];
    bench.build("0.10").unwrap();
    assert!(bench.warnings.is_empty());

    // The warning comes before the failure: once each, as the first look at build.toml fails.
    for file in ["launch.toml", "build.toml"] {
        let mut bench = Bench::new(&format!(
            "echo 'bom = [{{name=\"dep\", version=\"1\"}}]' > $L/{file}"
        ));
        assert_eq!(
            bench.refused("0.10"),
            "bom entry 'dep' has a top level version which is not allowed. The buildpack should instead set metadata.version"
        );
        assert_eq!(bench.warnings.len(), 1, "{file}");
    }
}

#[test]
fn sboms_are_listed_with_or_without_launch_toml() {
    let mut bench = Bench::new(
        "cd $L; touch launch.sbom.cdx.json l.sbom.cdx.json stray.sbom.odd.json; echo '[types]
launch = true
cache = true' > l.toml",
    );
    bench.module.sbom_formats = vec!["application/vnd.cyclonedx+json;version=1.4".to_owned()];
    let outputs = bench.build("0.10").unwrap();
    assert!(outputs.labels.is_empty() && outputs.processes.is_empty() && outputs.slices.is_empty());
    let sboms = outputs.sboms;
    let shown: Vec<_> = sboms
        .iter()
        .map(|s| (s.layer.as_deref(), s.kinds.clone(), s.path.clone()))
        .collect();
    assert_eq!(
        shown,
        [
            (
                Some("l"),
                vec!["launch", "cache"],
                bench.layers().join("l.sbom.cdx.json")
            ),
            (
                None,
                vec!["launch"],
                bench.layers().join("launch.sbom.cdx.json")
            ),
        ]
    );
    bench.module.sbom_formats.clear();
    assert_eq!(
        bench.refused("0.10"),
        format!(
            "validating SBOM file '{}' for buildpack: 'acme/java@1.0': undeclared SBOM media type: 'application/vnd.cyclonedx+json'",
            bench.layers().join("l.sbom.cdx.json").display()
        )
    );
}

#[test]
fn a_layers_folder_that_cannot_be_made_is_named() {
    let mut bench = Bench::new("");
    fs_err::write(bench.path("layers/acme_java"), "").unwrap();
    let path = bench.layers().display().to_string();
    assert_eq!(
        bench.refused("0.10"),
        format!("mkdir {path}: not a directory")
    );
}
