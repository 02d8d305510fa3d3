//! A built image on a new run image: what the rebaser says, writes and warns of, and what others read of it.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use fs_err as fs;
use serde_json::{Value, json};
use tests::build::{Build, GID, UID};
use tests::image::{self, INDEX, Sample};
use tests::program::{self, Ran, requires, requires_root, run};

/// Puts another run image in the place of the one that the app was built on.
pub(crate) fn put_run_image(build: &Build, sample: Sample) {
    let dir = build.run_image();
    fs::remove_dir_all(&dir).unwrap();
    let manifest = Sample {
        content: Some("new"),
        ..sample
    }
    .write(&dir);
    image::index(&dir, INDEX, &[manifest]);
}

/// Returns a build whose run image has changed since.
fn outdated() -> Build {
    let build = Build::new();
    build.create().ok();
    put_run_image(&build, Sample::plain());
    build
}

fn layers(image: &image::Written) -> Vec<Value> {
    image.manifest["layers"].as_array().unwrap().clone()
}

/// REB-025.
#[test]
fn root_rebaser_says_where_the_image_is() {
    if !requires_root() {
        return;
    }
    let build = outdated();
    let before = image::read(&build.app_image());
    let text = Ran::of(build.rebaser().args(["-log-level=debug", "app", "app:two"])).ok();
    let after = image::read(&build.app_image());
    let path = build.app_image().display().to_string();
    let two = build
        .path("layout/index.docker.io/library/app/two")
        .display()
        .to_string();
    let expected = format!(
        "Saving {path}...\n*** Images ({path}@{}):\n      {path}\n      {two}\n\n*** Manifest Size: {}\n",
        after.digest(),
        after.descriptor["size"],
    );
    let without_times: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("Timer: "))
        .collect();
    assert!(without_times.ends_with(&expected), "{text}");
    assert!(text.contains("Timer: Rebaser started at"), "{text}");

    assert_ne!(after.digest(), before.digest());
    assert_eq!(layers(&after)[1..], layers(&before)[1..]);
    for layer in layers(&after) {
        image::read_blob(&build.app_image(), &layer);
    }
    let metadata = after.label("io.buildpacks.lifecycle.metadata");
    let run_image = build.run_image().display().to_string();
    let reference = format!("{run_image}@{}", image::read(&build.run_image()).digest());
    assert_eq!(metadata["runImage"]["reference"], json!(reference));
    let report = fs::metadata(build.path("report/report.toml")).unwrap();
    assert_eq!(
        (report.uid(), report.gid()),
        (UID, GID),
        "it ran as that user"
    );
}

/// REB-014, REB-015, REB-016: what would be refused is said where the platform insists.
#[test]
fn root_force_turns_doubts_into_warnings() {
    if !requires_root() {
        return;
    }
    let build = outdated();
    let label = "io.buildpacks.rebasable";
    let mut app = image::read(&build.app_image());
    app.config["config"]["Labels"][label] = json!("false");
    let dir = build.app_image();
    let config = image::blob(
        &dir,
        "application/vnd.oci.image.config.v1+json",
        app.config.to_string().as_bytes(),
    );
    app.manifest["config"] = config;
    let manifest = image::blob(&dir, image::MANIFEST, app.manifest.to_string().as_bytes());
    image::index(&dir, INDEX, &[manifest]);
    let other = build.path("layout/index.docker.io/library/other/latest");
    let sample = Sample {
        architecture: "s390x",
        ..Sample::plain()
    };
    let manifest = sample.write(&other);
    image::index(&other, INDEX, &[manifest]);

    let insist = |args: &[&str]| Ran::of(build.rebaser().args(args));
    let refused = insist(&["-run-image=other", "app"]);
    assert_eq!(refused.code, 72);
    let error = "ERROR: failed to rebase: app image is not marked as rebasable; please provide -force to override\n";
    assert!(refused.text.ends_with(error), "{}", refused.text);

    let text = insist(&["-run-image=other", "-force", "app"]).ok();
    let here = image::this_architecture();
    let distro = r#""distro":{"name":"debian","version":"12"}"#;
    for warning in [
        "Warning: app image is not marked as rebasable\n".to_owned(),
        format!(
            r#"Warning: unable to satisfy target os/arch constraints; new run image: {{"os":"linux","arch":"s390x",{distro}}}, old run image: {{"os":"linux","arch":"{here}",{distro}}}"#
        ) + "\n",
        "Warning: rebase app image: new base image 'other' not found in existing run image metadata: {".to_owned(),
    ] {
        assert!(text.contains(&warning), "{warning} in {text}");
    }
    assert!(!text.contains("please provide -force"), "{text}");
    assert_eq!(
        image::read(&build.app_image()).config["architecture"],
        "s390x"
    );
}

#[test]
fn root_a_sparse_run_image_is_said() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.create().ok();
    let sparse = Sample {
        sparse: true,
        ..Sample::plain()
    };
    put_run_image(&build, sparse);
    let text = Ran::of(build.rebaser().arg("app")).ok();
    assert!(text.contains("The image is sparse: 1 layer(s)"), "{text}");
}

/// As an export: images are read with the platform's rights, and what is written is the user's.
#[test]
fn root_layouts_of_others_can_be_read_and_written() {
    if !requires_root() {
        return;
    }
    let build = outdated();
    let others = build.path("layout");
    let owned = |ids: &str, modes: &str| {
        Ran::of(Command::new("chown").args(["-R", ids]).arg(&others)).ok();
        Ran::of(Command::new("chmod").args(["-R", modes]).arg(&others)).ok();
    };
    owned("0:0", "u=rwX,go=");
    Ran::of(Command::new("chmod").arg("755").args([
        others.clone(),
        others.join("index.docker.io"),
        others.join("index.docker.io/library"),
        others.join("index.docker.io/library/app"),
    ]))
    .ok();
    Ran::of(build.rebaser().args(["-previous-image=app", "acme/two"])).ok();
    Ran::of(build.rebaser().arg("app")).ok();
    for place in ["library/app/latest", "acme/two/latest"] {
        let dir = build.path("layout/index.docker.io").join(place);
        let rebased = image::read(&dir);
        for layer in layers(&rebased) {
            image::read_blob(&dir, &layer);
        }
        assert_eq!(fs::metadata(dir.join("index.json")).unwrap().uid(), UID);
    }
}

/// The multi-call program rebases by both names.
#[test]
fn root_lifecycle_rebases() {
    if !requires_root() {
        return;
    }
    for by_subcommand in [false, true] {
        let build = outdated();
        let before = image::read(&build.app_image()).digest().to_owned();
        let rebaser = build.rebaser();
        let program = program::ours("lifecycle");
        let link = build.path("rebaser");
        std::os::unix::fs::symlink(&program, &link).unwrap();
        let mut command = Command::new(if by_subcommand { program } else { link });
        command
            .args(by_subcommand.then_some("rebase"))
            .args(rebaser.get_args())
            .arg("app")
            .env_clear();
        let envs = rebaser
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        Ran::of(command.envs(envs)).ok();
        assert_ne!(image::read(&build.app_image()).digest(), before);
    }
}

#[test]
fn foreign_skopeo_and_umoci_read_what_was_rebased() {
    if !(requires_root() && requires(&["skopeo", "umoci"])) {
        return;
    }
    // A Docker base below an OCI app: readers refuse a mixture.
    let build = Build::new();
    build.create().ok();
    let docker = Sample {
        docker: true,
        ..Sample::plain()
    };
    put_run_image(&build, docker);
    Ran::of(build.rebaser().args(["app", "app:two"])).ok();
    let digest = image::read(&build.app_image()).digest().to_owned();
    for tag in ["latest", "two"] {
        let layout = build.path("layout/index.docker.io/library/app").join(tag);
        let reference = format!("oci:{}:{tag}", layout.display());
        let inspected: Value =
            serde_json::from_str(&run("skopeo", &["inspect", &reference])).unwrap();
        assert_eq!(inspected["Digest"], *digest);
        // A copy reads every blob and checks it.
        let copy = build.path(&format!("copy-{tag}"));
        run(
            "skopeo",
            &["copy", "-q", &reference, &format!("dir:{}", copy.display())],
        );

        let bundle = build.path(&format!("bundle-{tag}"));
        let image = format!("{}:{tag}", layout.display());
        run(
            "umoci",
            &["unpack", "--image", &image, bundle.to_str().unwrap()],
        );
        let rootfs = bundle.join("rootfs");
        assert_eq!(fs::read(rootfs.join("etc/marker")).unwrap(), b"new");
        let app = build.path("app/hello.txt");
        let app = rootfs.join(app.strip_prefix("/").unwrap());
        assert_eq!(fs::read(app).unwrap(), b"hello\n");
    }
}
