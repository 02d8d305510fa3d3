//! The builder as a program: its streams, its inputs, its warnings and its exit codes.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use fs_err as fs;
use tests::build::{Build, UID};
use tests::image;
use tests::program::{Ran, requires_root};

const GROUP: &str = "[[group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\napi = \"0.10\"\n";

/// A whole target, so that nothing has to be said of it.
const ANALYZED: &str = "[run-image]\nreference = \"run\"\n[run-image.target]\nos = \"plan9\"\narch = \"mips\"\n[run-image.target.distro]\nname = \"debian\"\nversion = \"12\"\n";

/// Returns a build whose one buildpack runs a script and whose builder is next.
fn detected(script: &str) -> Build {
    let build = Build::new();
    build.buildpack("acme/hello", script);
    build.write("layers/group.toml", GROUP);
    build.write("layers/plan.toml", "");
    build.write("layers/analyzed.toml", ANALYZED);
    build
}

fn builder(build: &Build) -> Command {
    let [_, _, _, builder, _] = build.all_phases();
    builder
}

#[test]
fn root_everything_that_a_buildpack_prints_goes_to_standard_output() {
    if !requires_root() {
        return;
    }
    let build = detected("#!/bin/sh\necho out; echo err >&2; echo again\n");
    let output = builder(&build).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\nerr\nagain\n");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// What is done to a build before its builder runs, how it ends, and a line of its log.
type Row = (fn(&Build), i32, &'static str);

#[test]
fn root_inputs_that_are_missing_or_malformed() {
    if !requires_root() {
        return;
    }
    let table: [Row; 8] = [
        (
            |build| fs::remove_file(build.path("layers/group.toml")).unwrap(),
            1,
            "ERROR: failed to read group file: open ",
        ),
        (
            |build| build.write("layers/group.toml", "[[group"),
            1,
            "ERROR: failed to read group file: toml: ",
        ),
        (
            |build| fs::remove_file(build.path("layers/plan.toml")).unwrap(),
            1,
            "ERROR: failed to read plan file: open ",
        ),
        (
            |build| build.write("layers/plan.toml", "entries = 1"),
            1,
            "ERROR: failed to read plan file: toml: ",
        ),
        (
            |build| fs::remove_file(build.path("layers/analyzed.toml")).unwrap(),
            0,
            "Warning: No analyzed metadata found at path ",
        ),
        (
            |build| build.write("layers/analyzed.toml", "a ="),
            1,
            "ERROR: failed to reading analyzed.toml: ",
        ),
        // The group's APIs come before analyzed.toml.
        (
            |build| {
                build.write("layers/analyzed.toml", "a =");
                build.write("layers/group.toml", &GROUP.replace("0.10", "0.3"));
            },
            12,
            "ERROR: failed to set API for Buildpack 'acme/hello@1.0.0': buildpack API version '0.3' is incompatible with the lifecycle\n",
        ),
        (
            |build| fs::remove_dir_all(build.path("buildpacks/acme_hello")).unwrap(),
            52,
            "ERROR: failed to build: open ",
        ),
    ];
    for (number, (spoil, code, line)) in table.into_iter().enumerate() {
        let build = detected("#!/bin/sh\n");
        spoil(&build);
        let ran = Ran::of(&mut builder(&build));
        assert_eq!(ran.code, code, "{number}: {}", ran.text);
        assert!(ran.text.contains(line), "{number}: {}", ran.text);
        let written = build.path("layers/config/metadata.toml").exists();
        assert_eq!(written, code == 0, "{number}");
    }
    let ran = Ran::of(builder(&detected("#!/bin/sh\n")).arg("more"));
    let expected = "ERROR: failed to parse arguments: received unexpected arguments\n";
    assert_eq!((ran.code, ran.text.as_str()), (3, expected));
}

#[test]
fn root_analyzed_toml_is_read_at_every_api() {
    if !requires_root() {
        return;
    }
    let mut build = detected("#!/bin/sh\necho $CNB_TARGET_OS/$CNB_TARGET_ARCH\n");
    let folder = |name: &str| build.path(name).display().to_string();
    let (app, layers, platform, buildpacks) = (
        folder("app"),
        folder("layers"),
        folder("platform"),
        folder("buildpacks"),
    );
    // The flags that there are at every API.
    let args = [
        "-app",
        &app,
        "-layers",
        &layers,
        "-platform",
        &platform,
        "-buildpacks",
        &buildpacks,
    ];
    for api in ["0.7", "0.11", "0.12", "0.15"] {
        build.api = api;
        assert_eq!(
            Ran::of(&mut build.phase("builder", &args)).ok(),
            "plan9/mips\n",
            "{api}"
        );
    }
}

#[test]
fn root_a_buildpack_that_fails_is_the_last_to_run() {
    if !requires_root() {
        return;
    }
    for (script, cause) in [
        ("exit 9", "exit status 9"),
        ("kill -9 $$", "signal: killed"),
    ] {
        let build = detected(&format!("#!/bin/sh\necho first\n{script}\n"));
        build.buildpack("acme/next", "#!/bin/sh\necho second\n");
        build.write(
            "layers/group.toml",
            &format!("{GROUP}{}", GROUP.replace("hello", "next")),
        );
        let ran = Ran::of(&mut builder(&build));
        assert_eq!(ran.code, 51, "{}", ran.text);
        assert!(ran.text.starts_with("first\n"), "{}", ran.text);
        let end = format!("ERROR: failed to build: {cause}\n");
        assert!(ran.text.ends_with(&end), "{}", ran.text);
        assert!(!ran.text.contains("second"), "{}", ran.text);
        assert!(!build.path("layers/config").exists());
    }
}

#[test]
fn root_what_processes_lose_is_said() {
    if !requires_root() {
        return;
    }
    let script = |body: &str| {
        format!(
            "#!/bin/sh\nprintf '[[processes]]\\ntype = \"web\"\\ncommand = \"x\"\\n{body}\\n' > $1/launch.toml\n"
        )
    };
    let build = detected(&script("default = true\\nworking-dir = \"w\""));
    build.buildpack("acme/next", &script(""));
    for id in ["hello", "next"] {
        let descriptor = build.path(&format!("buildpacks/acme_{id}/1.0.0/buildpack.toml"));
        let text = fs::read_to_string(&descriptor).unwrap();
        fs::write(&descriptor, text.replace("0.10", "0.7")).unwrap();
    }
    let group = GROUP.replace("0.10", "0.7");
    build.write(
        "layers/group.toml",
        &format!("{group}{}", group.replace("hello", "next")),
    );
    let expected = "Warning: Warning: process working directory isn't supported in this buildpack api version. Ignoring working directory for process 'web'\n\
         Warning: Warning: redefining the following default process type with a process not marked as default: web\n";
    assert_eq!(Ran::of(&mut builder(&build)).ok(), expected);
    let metadata = fs::read_to_string(build.path("layers/config/metadata.toml")).unwrap();
    assert!(
        !metadata.contains("working-dir") && !metadata.contains("default"),
        "{metadata}"
    );
}

/// A folder without a toml is in no image and no cache; `exec-env` of a layer is a buildpack's own affair.
#[test]
fn root_types_alone_decide_where_a_layer_goes() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.buildpack(
        "acme/hello",
        r#"#!/bin/sh
cd $1
mkdir lone odd none build
printf '[types]\nlaunch = true\ncache = true\n[metadata]\nexec-env = ["test"]\n' > odd.toml
touch none.toml
printf '[types]\nlaunch = true\n' > build.toml
"#,
    );
    build.create().ok();
    let layers = build.path("layers/acme_hello");
    assert!(layers.join("lone").exists() && layers.join("none.ignore").exists());
    // A layer may be called like a file of the buildpack's own, and that file is its metadata.
    assert!(layers.join("build").exists());
    let metadata = image::read(&build.app_image()).label("io.buildpacks.lifecycle.metadata");
    let names: Vec<_> = metadata["buildpacks"][0]["layers"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["build", "odd"]);
    let cached =
        fs::read_to_string(build.path("cache/committed/io.buildpacks.lifecycle.cache.metadata"))
            .unwrap();
    let cached: serde_json::Value = serde_json::from_str(&cached).unwrap();
    let names: Vec<_> = cached["buildpacks"][0]["layers"]
        .as_object()
        .unwrap()
        .keys()
        .collect();
    assert_eq!(names, ["odd"]);
    assert_eq!(fs::metadata(layers).unwrap().uid(), UID);
}
