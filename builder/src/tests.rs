mod bench;

use std::process::Command;

use buildpack::decode;
use fs_err as fs;

use super::*;
use bench::Bench;

/// Every Platform API.
const APIS: std::ops::RangeInclusive<u32> = 7..=15;

#[test]
fn buildpacks_run_in_the_order_of_the_group_and_are_the_ones_that_it_names() {
    let mut bench = Bench::new().with("z", "echo z").with("a", "echo a 1");
    bench.install("a", "2", "0.10", "", "echo a 2");
    bench.install("m", "1", "0.10", "", "echo never asked for");
    bench.group.group.push(GroupElement {
        version: "2".to_owned(),
        ..bench.group.group[1].clone()
    });
    assert_eq!(bench.printed(13), "z\na 1\na 2\n");
}

#[test]
fn every_api_is_verified_before_anything_is_done() {
    let mut bench = Bench::of("echo ran").with_api("0.13", "b", "", "");
    fs::create_dir(bench.path("layers/sbom")).unwrap();
    let text = "failed to set API for Buildpack 'b@1': buildpack API version '0.13' is incompatible with the lifecycle";
    assert_eq!(bench.failure(13), (ExitCode::BuildpackApi, text.to_owned()));
    assert_eq!(bench.output, "");
    assert!(bench.path("layers/sbom").exists());
}

#[test]
fn the_sboms_of_the_build_before_go_first_and_everything_else_stays() {
    let mut bench = Bench::of("ls $L/..");
    for file in ["sbom/launch/a/sbom.cdx.json", "other/file", "group.toml"] {
        let path = bench.path("layers").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    // At every API, the ones without SBOMs included.
    assert_eq!(bench.printed(7), "a\ngroup.toml\nother\n");
    assert!(bench.path("layers/other/file").exists());
}

#[test]
fn a_buildpack_that_fails_ends_the_build_at_once() {
    for (script, cause) in [
        ("exit 7", "exit status 7"),
        ("exit 100", "exit status 100"),
        ("kill -TERM $$", "signal: terminated"),
    ] {
        let mut bench = Bench::of(&format!("echo first\n{script}")).with("b", "echo second");
        let expected = (ExitCode::Buildpack, format!("failed to build: {cause}"));
        assert_eq!(bench.failure(13), expected);
        assert_eq!(bench.output, "first\n");
        assert_eq!(bench.command(13), Err(expected));
        assert!(!bench.path("layers/config").exists());
    }
    let mut bench = Bench::of("");
    let program = bench.path("buildpacks/a/1/bin/build");
    fs::remove_file(&program).unwrap();
    let text = format!(
        "failed to build: fork/exec {}: no such file or directory",
        program.display()
    );
    assert_eq!(bench.failure(13), (ExitCode::Buildpack, text));
}

/// What a buildpack leaves, and how the failure begins.
#[test]
fn whatever_else_goes_wrong_has_a_code_of_its_own() {
    let types = "echo '[types]\nbuild = true' > $L/l.toml";
    let table = [
        (
            "echo 'a =' > $L/launch.toml",
            "failed to process buildpack layer: failed to decode layer metadata file: toml: line 1",
        ),
        (
            "echo 'launch = true' > $L/l.toml",
            "failed to process buildpack layer: failed to decode layer metadata file: the launch, cache and build flags should be in the types table of ",
        ),
        (
            "mkdir -p $L/l $L/l.ignore/x; touch $L/l.toml",
            "failed to process buildpack layer: failed to rename layer directory: rename ",
        ),
        (
            &format!("{types}; mkdir -p $L/l/env; ln -s no $L/l/env/A"),
            "apply env files from dir '",
        ),
        (
            "echo 'processes = 1' > $L/launch.toml",
            "toml: line 1 (last key \"processes\"): incompatible types: ",
        ),
        (
            "echo 'unmet = 1' > $L/build.toml",
            "toml: line 1 (last key \"unmet\"): incompatible types: ",
        ),
        (
            "echo '[[unmet]]\nname = \"x\"' > $L/build.toml",
            "unmet.name 'x' must match a requested dependency",
        ),
        (
            "echo '[[bom]]\nname = \"x\"\nversion = \"1\"' > $L/launch.toml",
            "bom entry 'x' has a top level version which is not allowed.",
        ),
        (
            "echo '[[processes]]\ndefault = true\ntype = \"a\"\n[[processes]]\ndefault = true\ntype = \"b\"' > $L/launch.toml",
            "multiple default process types aren't allowed",
        ),
        ("touch $L/launch.sbom.spdx.json", "validating SBOM file '"),
        (
            "touch $L/launch.sbom.odd.json",
            "unsupported SBOM file format: '",
        ),
        ("rm -r $L; touch $L", "failed to process buildpack layer: "),
    ];
    for (script, begin) in table {
        let mut bench = Bench::of(script).with("b", "echo second");
        let (code, text) = bench.failure(13);
        assert_eq!(code, ExitCode::Build, "{script}");
        let begin = format!("failed to build: {begin}");
        assert!(text.starts_with(&begin), "{script}: {text}");
        assert_eq!(bench.output, "", "{script}");
    }
    let mut bench = Bench::of("");
    fs::remove_dir_all(bench.path("buildpacks/a")).unwrap();
    let text = format!(
        "failed to build: open {}/buildpacks/a/1/buildpack.toml: no such file or directory",
        bench.root.path().display()
    );
    assert_eq!(bench.failure(13), (ExitCode::Build, text));
}

/// Three buildpacks can bring `x`, two of them `y`; the last one alone brings `z`. Who asks in two entries gets both.
const PLAN: &str = r#"
[[entries]]
providers = [{id = "a", version = "9"}, {id = "b", version = "1"}, {id = "c", version = "1"}]
requires = [{name = "x", metadata = {n = 1}}, {name = "x"}]
[[entries]]
providers = [{id = "a", version = "1"}, {id = "c", version = "1"}]
requires = [{name = "y"}]
[[entries]]
providers = [{id = "c", version = "1"}, {id = "a", extension = true}]
requires = [{name = "z"}]
"#;

#[test]
fn what_is_met_is_withheld_and_what_is_unmet_is_offered_to_the_next() {
    let names = "echo $(sed -n 's/.*name = //p' $3)";
    let unmet =
        |name: &str| format!("{names}; echo '[[unmet]]\nname = \"{name}\"' > $L/build.toml");
    let table = [
        // All of it is met by the first.
        (
            names.to_owned(),
            names.to_owned(),
            "\"x\" \"x\" \"y\"\n\n\"z\"\n",
        ),
        (
            unmet("x"),
            names.to_owned(),
            "\"x\" \"x\" \"y\"\n\"x\" \"x\"\n\"z\"\n",
        ),
        (
            unmet("y"),
            names.to_owned(),
            "\"x\" \"x\" \"y\"\n\n\"y\" \"z\"\n",
        ),
        // What nobody brings in the end is no error.
        (
            unmet("x"),
            unmet("x"),
            "\"x\" \"x\" \"y\"\n\"x\" \"x\"\n\"x\" \"x\" \"z\"\n",
        ),
    ];
    for (a, b, expected) in table {
        let mut bench = Bench::of(&a).with("b", &b).with("c", names);
        if expected.ends_with("\"x\" \"x\" \"z\"\n") {
            bench = Bench::of(&a).with("b", &b).with("c", &unmet("x"));
        }
        bench.plan = PLAN;
        assert_eq!(bench.printed(13), expected, "{a}\n{b}");
    }
}

#[test]
fn labels_and_slices_of_all_buildpacks_stand_one_behind_the_other() {
    let label = |value: &str| {
        format!(
            "echo '[[labels]]\nkey = \"k\"\nvalue = \"{value}\"\n[[slices]]\npaths = [\"{value}\"]' > $L/launch.toml"
        )
    };
    let mut bench = Bench::of(&label("1")).with("b", "").with("c", &label("1"));
    bench = bench.with("d", &label("2"));
    let metadata = bench.run(13).unwrap();
    let labels: Vec<_> = metadata
        .labels
        .iter()
        .map(|l| (l.key.as_str(), l.value.as_str()))
        .collect();
    assert_eq!(labels, [("k", "1"), ("k", "1"), ("k", "2")]);
    let slices: Vec<_> = metadata.slices.iter().map(|s| s.paths.join(" ")).collect();
    assert_eq!(slices, ["1", "1", "2"]);
}

#[test]
fn processes_of_all_buildpacks_become_one_list_by_type() {
    let processes = |text: &str| format!("echo '{text}' > $L/launch.toml");
    let first = "[[processes]]\ntype = \"web\"\ncommand = [\"old\"]\nargs = [\"x\"]\nexec-env = [\"test\"]\n[[processes]]\ntype = \"job\"\ncommand = [\"j\"]\ndefault = true";
    let second = "[[processes]]\ntype = \"web\"\ncommand = [\"new\", \"b\"]\nexec-env = [\"*\"]\ndefault = true\n[[processes]]\ntype = \"Zeta\"\ncommand = []";
    let mut bench = Bench::of(&processes(first)).with("b", &processes(second));
    let metadata = bench.run(13).unwrap();
    assert_eq!(metadata.default_process_type, "web");
    let found: Vec<_> = metadata
        .processes
        .unwrap()
        .into_iter()
        .map(|p| {
            (
                p.process_type,
                p.command.join(" "),
                p.args,
                p.buildpack_id,
                p.exec_env.join(" "),
                p.default,
            )
        })
        .collect();
    let row = |name: &str, command: &str, id: &str, exec_env: &str| {
        (
            name.to_owned(),
            command.to_owned(),
            None,
            id.to_owned(),
            exec_env.to_owned(),
            false,
        )
    };
    // Nothing of the first "web" is left; an execution environment neither chooses nor is filled in.
    assert_eq!(
        found,
        [
            row("Zeta", "", "b", ""),
            row("job", "j", "a", ""),
            row("web", "new b", "b", "*"),
        ]
    );
}

/// The builder leaves it to the exporter to refuse types.
#[test]
fn types_of_processes_may_be_anything() {
    let mut bench = Bench::of(
        "echo '[[processes]]\ncommand = [\"x\"]\n[[processes]]\ntype = \"a/b:c d\"' > $L/launch.toml",
    );
    let processes = bench.run(15).unwrap().processes.unwrap();
    let types: Vec<_> = processes.iter().map(|p| p.process_type.as_str()).collect();
    assert_eq!(types, ["", "a/b:c d"]);
}

#[test]
fn the_target_is_that_of_the_run_image_with_what_it_lacks_from_the_build_image() {
    let script = "echo $CNB_TARGET_OS $CNB_TARGET_ARCH $CNB_TARGET_ARCH_VARIANT $CNB_TARGET_DISTRO_NAME $CNB_TARGET_DISTRO_VERSION";
    let whole = "os = 'linux'\narch = 'arm64'\narch-variant = 'v8'\n[distro]\nname = 'debian'\nversion = '12'\n";
    let table = [
        (Some(whole), "linux arm64 v8 debian 12\n".to_owned()),
        (
            Some("os = 'linux'\narch = 'arm64'\n"),
            "linux arm64 linux 9\n".to_owned(),
        ),
        (None, format!("linux {} linux 9\n", go_architecture())),
    ];
    for (target, expected) in table {
        let mut bench = Bench::of(script);
        bench.target = target.map(|text| decode::from_str(text).unwrap());
        assert_eq!(bench.printed(13), expected, "{target:?}");
    }
}

fn go_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    }
}

#[test]
fn the_execution_environment_is_given_at_every_platform_api() {
    for api in APIS {
        let mut bench = Bench::new()
            .with_api("0.11", "a", "", "echo ${CNB_EXEC_ENV-none}")
            .with_api("0.12", "b", "", "echo ${CNB_EXEC_ENV-none}");
        assert_eq!(bench.printed(api), "none\nproduction\n");
        bench.exec_env = "test";
        assert_eq!(bench.printed(api), "none\ntest\n");
    }
}

#[test]
fn the_environment_grows_from_buildpack_to_buildpack() {
    let layer = |value: &str| {
        format!(
            "mkdir -p $L/l/env.build $L/l/bin; printf {value} | tee $L/l/env.build/HOME > $L/l/env.build/A.append; printf '[types]\nbuild = true' > $L/l.toml"
        )
    };
    let show = "echo $HOME $A ${PATH%:/usr/bin:/bin}";
    let mut bench = Bench::of(&format!("{show}; {}", layer("1")))
        .with("b", &format!("{show}; {}", layer("2")))
        .with("c", show)
        .with_api("0.10", "d", "clear-env = true", show);
    fs::create_dir(bench.path("platform/env")).unwrap();
    fs::write(bench.path("platform/env/HOME"), "user").unwrap();
    let layers = bench.path("layers").display().to_string();
    let expected = format!(
        "user /usr/bin:/bin\nuser 1 {layers}/a/l/bin\nuser 12 {layers}/b/l/bin:{layers}/a/l/bin\n2 12 {layers}/b/l/bin:{layers}/a/l/bin\n"
    );
    assert_eq!(bench.printed(13), expected);
}

#[test]
fn sboms_are_copied_after_all_buildpacks_ran_from_0_8_on() {
    let script = "cd $L; for f in launch build l lc c none stray; do echo {} > $f.sbom.cdx.json; done; echo {} > launch.sbom.syft.json
echo '[types]
launch = true' > l.toml; echo '[types]
launch = true
cache = true' > lc.toml; echo '[types]
cache = true' > c.toml; touch none.toml";
    let formats =
        "sbom-formats = [\"application/vnd.cyclonedx+json\", \"application/vnd.syft+json\"]";
    let expected = [
        "build/acme_a/c/sbom.cdx.json",
        "build/acme_a/none/sbom.cdx.json",
        "build/acme_a/sbom.cdx.json",
        "cache/acme_a/c/sbom.cdx.json",
        "cache/acme_a/lc/sbom.cdx.json",
        "launch/acme_a/l/sbom.cdx.json",
        "launch/acme_a/lc/sbom.cdx.json",
        "launch/acme_a/sbom.cdx.json",
        "launch/acme_a/sbom.syft.json",
    ];
    for (api, expected) in [(7, &[][..]), (8, &expected)] {
        let mut bench = Bench::new()
            .with_api("0.10", "acme_a", formats, script)
            .with("b", "ls $L/..");
        bench.group.group[0].id = "acme/a".to_owned();
        assert_eq!(bench.printed(api), "acme_a\nb\n");
        let sbom = bench.path("layers/sbom");
        let found = Command::new("find")
            .arg(&sbom)
            .args(["-type", "f", "-printf", "%P\n"])
            .output();
        let found = String::from_utf8(found.unwrap().stdout).unwrap();
        let mut found: Vec<_> = found.lines().collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{api}");
    }
    // They are looked at where they are not copied, too.
    let mut bench = Bench::of(script);
    assert_eq!(bench.failure(7).0, ExitCode::Build);
}

#[test]
fn tables_of_old_are_files_from_0_9_on_and_in_metadata_before() {
    let script = "echo '[[bom]]\nname = \"dep\"\n[bom.metadata]\nn = 1' > $L/launch.toml; echo '[[bom]]\nname = \"tool\"' > $L/build.toml";
    let mut bench = Bench::of(script);
    let names = |metadata: BuildMetadata| -> Vec<_> {
        metadata
            .bom
            .into_iter()
            .map(|b| (b.name, b.buildpack.label()))
            .collect()
    };
    assert_eq!(
        names(bench.run(8).unwrap()),
        [("dep".to_owned(), "a@1".to_owned())]
    );
    assert!(!bench.path("layers/sbom/launch").exists());
    assert_eq!(names(bench.run(9).unwrap()), []);
    assert_eq!(
        bench.text("layers/sbom/launch/sbom.legacy.json"),
        "[{\"name\":\"dep\",\"metadata\":{\"n\":1},\"buildpack\":{\"id\":\"a\",\"version\":\"1\"}}]\n"
    );
    assert_eq!(
        bench.text("layers/sbom/build/sbom.legacy.json"),
        "[{\"name\":\"tool\",\"metadata\":null,\"buildpack\":{\"id\":\"a\",\"version\":\"1\"}}]\n"
    );
    let mut bench = Bench::of("");
    bench.run(9).unwrap();
    for kind in ["launch", "build"] {
        assert_eq!(
            bench.text(&format!("layers/sbom/{kind}/sbom.legacy.json")),
            "null\n"
        );
    }
}

#[test]
fn metadata_names_what_ran_without_saying_that_it_was_optional() {
    let mut bench = Bench::of("echo '[[processes]]\ntype = \"web\"\ncommand = [\"a\", \"b\"]\nargs = []\ndefault = true' > $L/launch.toml").with("b", "");
    bench.group.group[0].optional = true;
    bench.group.group[1].homepage = "https://example.org".to_owned();
    bench.group.group_extensions.push(GroupElement {
        id: "e".to_owned(),
        version: "1".to_owned(),
        api: "0.9".to_owned(),
        optional: true,
        extension: true,
        ..GroupElement::default()
    });
    bench.command(13).unwrap();
    let expected = r#"buildpack-default-process-type = "web"

[[buildpacks]]
  id = "a"
  version = "1"
  api = "0.10"

[[buildpacks]]
  id = "b"
  version = "1"
  api = "0.10"
  homepage = "https://example.org"

[[extensions]]
  id = "e"
  version = "1"
  api = "0.9"

[[processes]]
  type = "web"
  command = ["a", "b"]
  args = []
  direct = true
  buildpack-id = "a"
"#;
    assert_eq!(bench.text("layers/config/metadata.toml"), expected);
}

#[test]
fn metadata_that_cannot_be_written_is_no_fault_of_a_buildpack() {
    let bench = Bench::of("");
    fs::write(bench.path("layers/config"), "").unwrap();
    let (code, text) = bench.command(13).unwrap_err();
    assert_eq!(code, ExitCode::Failed);
    assert!(
        text.starts_with("failed to write build metadata file: "),
        "{text}"
    );
}

#[test]
fn a_process_without_a_command_fails_where_a_command_is_one_text() {
    let script = "echo '[[processes]]\ntype = \"web\"\ncommand = []' > $L/launch.toml";
    Bench::of(script).command(10).unwrap();
    let bench = Bench::of(script);
    let (code, text) = bench.command(9).unwrap_err();
    assert_eq!(code, ExitCode::Build);
    assert_eq!(
        text,
        "failed to build: process \"web\" of buildpack a has no command, which Platform API 0.9 cannot say"
    );
    assert!(!bench.path("layers/config").exists());
}
