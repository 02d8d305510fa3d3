//! pack's documentation of layouts, step by step, with `slipway` in place of `pack`.

use std::path::Path;

use fs_err as fs;
use tests::desk::Desk;
use tests::image;
use tests::program::run;

fn blobs(layout: &Path) -> usize {
    fs::read_dir(layout.join("blobs/sha256")).unwrap().count()
}

#[test]
fn root_the_documentation_of_layouts_works_step_by_step() {
    let Some(desk) = Desk::of_root(&["runc", "skopeo"]) else {
        return;
    };
    // Enable the experimental features, and say where images are saved.
    desk.run(&["config", "experimental", "true"]).ok();
    let config = fs::read_to_string(desk.path("home/config.toml")).unwrap();
    assert!(config.contains("experimental = true"), "{config}");
    assert!(config.contains("layout-repo-dir = "), "{config}");

    // Build the app into a folder of that name.
    let said = desk.build("sample-app", &[]).ok();
    assert!(
        said.contains("Successfully built image oci:sample-app"),
        "{said}"
    );
    let whole = desk.path("work/sample-app");
    for file in ["index.json", "oci-layout", "blobs/sha256"] {
        assert!(whole.join(file).exists(), "{file}");
    }
    let built = image::read(&whole);
    let layers = built.manifest["layers"].as_array().unwrap();
    assert_eq!(blobs(&whole), layers.len() + 2);

    // Build it again without the run image's layers.
    desk.build("sparse-app", &["--sparse"]).ok();
    let sparse = desk.path("work/sparse-app");
    let read = image::read(&sparse);
    assert_eq!(
        read.config["rootfs"]["diff_ids"].as_array().unwrap().len(),
        built.config["rootfs"]["diff_ids"].as_array().unwrap().len()
    );
    let run_image = image::read(&desk.path("repo/index.docker.io/slipway/bash-run/latest"));
    for layer in run_image.manifest["layers"].as_array().unwrap() {
        let hex = layer["digest"]
            .as_str()
            .unwrap()
            .strip_prefix("sha256:")
            .unwrap();
        assert!(whole.join("blobs/sha256").join(hex).exists());
        assert!(!sparse.join("blobs/sha256").join(hex).exists());
    }

    // Unpack it with umoci, and run it with runc.
    let work = desk.path("work");
    let bundle = work.join("bundle");
    let tag = format!("{}:latest", whole.display());
    run(
        "umoci",
        &["unpack", "--image", &tag, bundle.to_str().unwrap()],
    );
    let edited = run(
        "jq",
        &[
            ".process.terminal = false | .linux.namespaces |= map(select(.type != \"network\"))",
            bundle.join("config.json").to_str().unwrap(),
        ],
    );
    fs::write(bundle.join("config.json"), edited).unwrap();
    let id = format!("slipway-walk-{}", std::process::id());
    let root = work.join("runc");
    let said = run(
        "runc",
        &[
            "--root",
            root.to_str().unwrap(),
            "run",
            "-b",
            bundle.to_str().unwrap(),
            &id,
        ],
    );
    assert!(said.contains("Hello from Slipway, world!"), "{said}");
    run("skopeo", &["inspect", &format!("oci:{tag}")]);
}
