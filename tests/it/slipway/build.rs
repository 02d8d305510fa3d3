//! What `slipway build` takes and what buildpacks get of it.

use fs_err as fs;
use tests::desk::Desk;
use tests::image;
use tests::program::requires;

/// A desk at which everything that these tests need is there.
#[test]
fn root_buildpacks_get_the_user_s_variables_in_pack_s_order() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    desk.write(
        "app/project.toml",
        "[_]\nschema-version = \"0.2\"\n\
         [[io.buildpacks.build.env]]\nname = \"A\"\nvalue = \"project\"\n\
         [[io.buildpacks.build.env]]\nname = \"B\"\nvalue = \"project\"\n\
         [[io.buildpacks.build.env]]\nname = \"C\"\nvalue = \"project\"\n",
    );
    desk.write("work/variables", "# a comment\nB=file\nC=file\nD\n");
    let env = desk.buildpack("env", "echo \"A=$A B=$B C=$C D=$D E=$E\"");
    let args = [
        "--buildpack",
        env.to_str().unwrap(),
        "--env-file",
        "variables",
        "--env",
        "C=flag",
        "-e",
        "E",
    ];
    let usual = [
        "build",
        "oci:app",
        "--path",
        "../app",
        "--builder",
        "sample-builder",
    ];
    let mut slipway = desk.slipway(&[&usual[..], &args[..]].concat());
    let said = tests::program::Ran::of(slipway.env("D", "caller").env("E", "caller")).ok();
    assert!(
        said.contains("[builder] A=project B=file C=flag D=caller E=caller"),
        "{said}"
    );
}

#[test]
fn root_the_app_is_what_the_descriptor_includes() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    desk.write("app/secret.key", "x");
    desk.write("app/deep/kept.txt", "x");
    desk.write(
        "app/project.toml",
        "[_]\nschema-version = \"0.2\"\n[io.buildpacks]\nexclude = [\"*.key\"]\n",
    );
    let list = desk.buildpack("list", "find . -type f | sort | tr '\\n' ' '; echo");
    let said = desk.build("app", &["-b", list.to_str().unwrap()]).ok();
    assert!(
        said.contains("[builder] ./deep/kept.txt ./hello.sh ./project.toml"),
        "{said}"
    );
}

/// Whoever builds where the app is has the image there, and would have each image in the next one.
#[test]
fn root_the_image_before_is_no_part_of_the_app() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let list = desk.buildpack("list", "find . -type f | sort | tr '\\n' ' '; echo");
    let list = list.to_str().unwrap();
    let usual = ["build", "oci:../app/images/new", "--path", "../app"];
    let args = [&usual[..], &["--builder", "sample-builder", "-b", list]].concat();
    for _ in 0..2 {
        let said = desk.run(&args).ok();
        assert!(said.contains("[builder] ./hello.sh \n"), "{said}");
    }
    assert!(desk.path("app/images/new/index.json").is_file());
}

#[test]
fn root_an_inline_buildpack_of_the_descriptor_runs() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    desk.write(
        "app/project.toml",
        "[_]\nschema-version = \"0.2\"\n\
         [[io.buildpacks.group]]\nid = \"me/inline\"\n\
         [io.buildpacks.group.script]\napi = \"0.10\"\nshell = \"/bin/bash\"\ninline = \"echo inline here in $PWD\"\n\
         [[io.buildpacks.post.group]]\nid = \"slipway/hello\"\n",
    );
    let said = desk.build("app", &[]).ok();
    let inline = said.find("[builder] inline here in /workspace");
    let hello = said.find("---> Hello buildpack");
    assert!(inline.is_some() && inline < hello, "{said}");
    let metadata = image::read(&desk.path("work/app")).label("io.buildpacks.build.metadata");
    let ids: Vec<_> = metadata["buildpacks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["me/inline", "slipway/hello"]);
}

#[test]
fn root_volumes_are_read_only_unless_asked() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    desk.write("data/file", "from outside");
    fs::create_dir(desk.path("out")).unwrap();
    tests::program::run("chmod", &["0777", desk.path("out").to_str().unwrap()]);
    let volumes = desk.buildpack(
        "volumes",
        "cat /data/file; echo\n! touch /data/new 2>/dev/null && echo 'data is read-only'\necho written >/out/file\ncat /platform/bindings/it/type",
    );
    desk.write("binding/type", "tested");
    let at = |name: &str, rest: &str| format!("{}:{rest}", desk.path(name).display());
    let said = desk.build(
        "app",
        &[
            "-b",
            volumes.to_str().unwrap(),
            "--volume",
            &at("data", "/data"),
            "--volume",
            &at("out", "/out:rw"),
            "--volume",
            &at("binding", "/platform/bindings/it"),
        ],
    );
    let said = said.ok();
    assert!(said.contains("[builder] from outside"), "{said}");
    assert!(said.contains("[builder] data is read-only"), "{said}");
    assert!(said.contains("[builder] tested"), "{said}");
    assert_eq!(
        fs::read_to_string(desk.path("out/file")).unwrap(),
        "written\n"
    );
}

#[test]
fn root_the_build_runs_apart_from_the_machine() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let probe = desk.buildpack(
        "probe",
        "id -u; id -g; id -G\ngrep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr '\\t' ' '\n\
         ls /proc | grep -c '^[0-9]' \nenv | cut -d= -f1 | sort | tr '\\n' ' '; echo",
    );
    let usual = [
        "build",
        "oci:app",
        "--path",
        "../app",
        "--builder",
        "sample-builder",
        "-b",
        probe.to_str().unwrap(),
    ];
    let mut slipway = desk.slipway(&usual);
    // What the caller has is nobody's business.
    slipway
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env("CNB_REGISTRY_AUTH", "{\"x\":\"secret\"}");
    let said = tests::program::Ran::of(&mut slipway).ok();
    for line in [
        "[builder] 1000\n[builder] 1000\n[builder] 1000\n",
        "[builder] CapEff: 0000000000000000",
        "[builder] CapBnd: 0000000000000000",
        "[builder] NoNewPrivs: 1",
        "[builder] Seccomp: 2",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(
        !said.contains("AWS_SECRET") && !said.contains("REGISTRY_AUTH"),
        "{said}"
    );
}

#[test]
fn root_without_a_network_there_is_only_a_loopback() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let net = desk.buildpack(
        "net",
        "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n'; echo .",
    );
    let net = net.to_str().unwrap();
    let said = desk.build("app", &["-b", net, "--network", "none"]).ok();
    assert!(said.contains("[builder] lo."), "{said}");
}

#[test]
fn root_an_archive_is_an_app_too() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    if !requires(&["zip"]) {
        return;
    }
    let app = desk.path("app");
    let zip = desk.path("work/app.zip");
    let script = format!("cd {} && zip -q {} hello.sh", app.display(), zip.display());
    tests::program::run("sh", &["-c", &script]);
    desk.run(&[
        "build",
        "oci:zipped",
        "--path",
        "app.zip",
        "--builder",
        "sample-builder",
    ])
    .ok();
    desk.build("plain", &[]).ok();
    let names = |layout: &str| image::read(&desk.path(layout)).config["history"].clone();
    assert_eq!(names("work/zipped"), names("work/plain"));
}

#[test]
fn root_further_places_reports_and_sboms() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let sbom = desk.buildpack(
        "sbom",
        "printf '{}' >\"$CNB_LAYERS_DIR/launch.sbom.cdx.json\"\nprintf '[[processes]]\\ntype=\"web\"\\ncommand=[\"bash\"]\\n[[processes]]\\ntype=\"other\"\\ncommand=[\"bash\"]\\n' >\"$CNB_LAYERS_DIR/launch.toml\"",
    );
    let dir = sbom.join("buildpack.toml");
    let text =
        fs::read_to_string(&dir).unwrap() + "sbom-formats = [\"application/vnd.cyclonedx+json\"]\n";
    fs::write(&dir, text).unwrap();
    desk.build(
        "app:one",
        &[
            "-b",
            sbom.to_str().unwrap(),
            "--tag",
            "oci:other/second:two",
            "--report-output-dir",
            "report",
            "--sbom-output-dir",
            "sboms",
            "--default-process",
            "other",
            "--creation-time",
            "86400",
            "--workspace",
            "src",
        ],
    )
    .ok();
    let (first, second) = (desk.path("work/app"), desk.path("work/other/second"));
    let (first, second) = (image::read(&first), image::read(&second));
    assert_eq!(first.config, second.config);
    assert_eq!(first.config["created"], "1970-01-02T00:00:00Z");
    assert_eq!(
        first.config["config"]["Entrypoint"][0],
        "/cnb/process/other"
    );
    assert_eq!(first.config["config"]["WorkingDir"], "/src");
    let report = fs::read_to_string(desk.path("work/report/report.toml")).unwrap();
    assert!(report.contains(first.digest()), "{report}");
    let sbom = desk.path("work/sboms/launch/test_sbom/sbom.cdx.json");
    assert_eq!(fs::read_to_string(sbom).unwrap(), "{}");
    let names = |layout: &str| {
        let index = fs::read_to_string(desk.path(layout).join("index.json")).unwrap();
        let index: serde_json::Value = serde_json::from_str(&index).unwrap();
        index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].clone()
    };
    assert_eq!(names("work/app"), "one");
    assert_eq!(names("work/other/second"), "two");
}

#[test]
fn root_caches_are_kept_where_the_user_says_and_cleared_when_asked() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let bind = ["--cache", "type=build;format=bind;source=kept"];
    let first = desk.build("app", &bind).ok();
    assert!(first.contains("this is the first build"), "{first}");
    assert!(desk.path("work/kept/build-cache").is_dir());
    let second = desk.build("app", &bind).ok();
    assert!(second.contains("this is build number 2"), "{second}");
    let cleared = desk
        .build("app", &[&bind[..], &["--clear-cache"]].concat())
        .ok();
    assert!(cleared.contains("this is the first build"), "{cleared}");
    let volume = ["--cache", "type=build;format=volume;name=mine"];
    desk.build("app", &volume).ok();
    assert!(desk.path("home/volumes/mine/committed").is_dir());
}

#[test]
fn root_stale_blobs_go_with_the_build_that_replaces_them() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let app = desk.path("work/app");
    desk.build("app", &[]).ok();
    desk.write("app/new", "more");
    desk.build("app", &[]).ok();
    let layers = image::read(&app).manifest["layers"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(
        fs::read_dir(app.join("blobs/sha256")).unwrap().count(),
        layers + 2
    );
    desk.run(&["layout", "verify", "app"]).ok();
}

#[test]
fn root_runtimes_that_people_trust_run_the_same_build() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    if !requires(&["runc"]) {
        return;
    }
    desk.build("ours", &[]).ok();
    desk.build("theirs", &["--runtime", "runc"]).ok();
    let digest = |name: &str| image::read(&desk.path(name)).digest().to_owned();
    assert_eq!(digest("work/ours"), digest("work/theirs"));
    assert_eq!(desk.remains(), [""; 0]);
}

#[test]
fn root_the_builder_s_own_lifecycle_can_be_asked_for() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let said = desk.build("app", &["--lifecycle", "builder"]).ok();
    assert!(said.contains("Successfully built"), "{said}");
}

#[test]
fn root_how_much_is_said() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let quiet = desk.build("app", &["--quiet"]).ok();
    assert!(
        quiet.starts_with("Successfully built image oci:app (sha256:"),
        "{quiet}"
    );
    let timed = desk.build("app", &["--timestamps"]).ok();
    let stamped = timed
        .lines()
        .all(|line| line.as_bytes().get(4) == Some(&b'/') || line.starts_with("  "));
    assert!(stamped, "{timed}");
    assert!(timed.contains(" [builder] ---> Hello buildpack"), "{timed}");
    assert!(!timed.contains('\x1b'), "{timed}");
}

#[test]
fn root_unpacked_layers_go_with_their_builder() {
    let Some(desk) = Desk::of_root(&[]) else {
        return;
    };
    let unpacked = desk.path("repo/.slipway/layers/root/sha256");
    let count = || fs::read_dir(&unpacked).unwrap().count();
    desk.build("app", &[]).ok();
    let all = count();
    assert!(all > 1, "{all}");
    let said = desk.run(&["layout", "prune"]).ok();
    assert_eq!(
        (said.as_str(), count()),
        ("unpacked layers removed: 0\n", all)
    );

    // `slipway/bash-run/latest:v1` lies in the layout of `slipway/bash-run:latest`.
    let images = desk.path("repo/index.docker.io");
    let builder = images.join("library/sample-builder/latest");
    let within = images.join("slipway/bash-run/latest/v1");
    fs::rename(&builder, &within).unwrap();
    let said = desk.run(&["layout", "prune"]).ok();
    assert_eq!(said, "unpacked layers removed: 0\n");

    // The base is the run image's too, and stays.
    fs::remove_dir_all(&within).unwrap();
    let said = desk.run(&["layout", "prune"]).ok();
    let removed = format!("unpacked layers removed: {}\n", all - 1);
    assert!(said.ends_with(&removed), "{said}");
    assert_eq!(count(), 1);
}
