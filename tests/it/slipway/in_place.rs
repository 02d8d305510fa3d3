//! Where nothing lets anybody make a container: inside a container of the builder the phases run in place.

use fs_err as fs;
use tests::desk::Desk;
use tests::image;

/// Runs a command in a container of the builder, whose filter of system calls is like Docker's own.
fn in_builder(desk: &Desk, script: &str, user: &str) -> tests::program::Ran {
    let at = |name: &str, rest: &str| format!("{}:{rest}", desk.path(name).display());
    desk.run(&[
        "run",
        "sample-builder",
        "--user",
        user,
        "--volume",
        &at("bin", "/slipway"),
        "--volume",
        &at("app", "/app"),
        "--volume",
        &at("outside", "/outside:rw"),
        "--volume",
        &at("repo/index.docker.io", "/images/index.docker.io"),
        "-e",
        "SLIPWAY_HOME=/outside/home",
        "--entrypoint",
        "/bin/bash",
        "--",
        "-c",
        script,
    ])
}

fn desk() -> Option<Desk> {
    let desk = Desk::of_root(&[])?;
    desk.write(
        "outside/home/config.toml",
        "layout-repo-dir = \"/outside/repo\"\n",
    );
    fs::create_dir(desk.path("outside/repo")).unwrap();
    tests::program::run(
        "chown",
        &["-R", "1000:1000", desk.path("outside").to_str().unwrap()],
    );
    tests::program::run("chmod", &["0755", desk.path("").to_str().unwrap()]);
    Some(desk)
}

const BUILD: &str = "/slipway/slipway build oci:/outside/app --path /app --verbose \
     --builder oci:/images/index.docker.io/library/sample-builder/latest \
     --run-image oci:/images/index.docker.io/slipway/bash-run/latest";

#[test]
fn root_inside_a_container_of_the_builder_the_phases_run_in_place() {
    let Some(desk) = desk() else { return };
    let ran = in_builder(&desk, &format!("{BUILD} && {BUILD}"), "1000:1000");
    let said = ran.ok();
    assert!(said.contains("the phases run in place"), "{said}");
    assert!(said.contains("this is the first build"), "{said}");
    assert!(said.contains("this is build number 2"), "{said}");
    let built = image::read(&desk.path("outside/app"));
    desk.run(&["layout", "verify", "../outside/app"]).ok();

    // The same layers as a build in containers has.
    desk.build("app", &[]).ok();
    let contained = image::read(&desk.path("work/app"));
    assert_eq!(built.config["rootfs"], contained.config["rootfs"]);
}

#[test]
fn root_inside_another_container_the_error_says_what_is_in_the_way() {
    let Some(desk) = desk() else { return };
    let script = format!("mkdir /tmp/mine && cd /tmp/mine && {BUILD}");
    let ran = in_builder(
        &desk,
        &script.replace("--verbose", "--buildpack /app/absent"),
        "1000:1000",
    );
    assert_eq!(ran.code, 1, "{}", ran.text);
    let ran = in_builder(&desk, &format!("{BUILD} --network none"), "1000:1000");
    assert_eq!(ran.code, 1, "{}", ran.text);
    for needle in [
        "lets nobody make a container",
        "one id:",
        "in place the build has the network",
    ] {
        assert!(ran.text.contains(needle), "{needle}: {}", ran.text);
    }
}
