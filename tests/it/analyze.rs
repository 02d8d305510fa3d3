//! The analyzer as a program: what it says of a previous image and a run image, and what it writes of them.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::image::{self, INDEX, MANIFEST};
use tests::program::{Ran, ours};

const METADATA: &str = "io.buildpacks.lifecycle.metadata";

/// A layout directory and a layers directory.
struct Analysis {
    dir: TempDir,
}

impl Analysis {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("layers")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where an image of one word lies.
    fn image(&self, name: &str) -> PathBuf {
        self.path(&format!("oci/index.docker.io/library/{name}/latest"))
    }

    /// Writes an image; returns the digest of its manifest.
    fn write(&self, name: &str, config: &Value, tars: &[Vec<u8>]) -> String {
        let layout = self.image(name);
        let layers: Vec<_> = tars
            .iter()
            .map(|tar| image::blob(&layout, "application/vnd.oci.image.layer.v1.tar", tar))
            .collect();
        let mut config = config.clone();
        let ids: Vec<_> = tars.iter().map(|tar| image::digest(tar)).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": ids});
        let config = image::blob(
            &layout,
            "application/vnd.oci.image.config.v1+json",
            config.to_string().as_bytes(),
        );
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let manifest = image::blob(&layout, MANIFEST, manifest.to_string().as_bytes());
        let digest = manifest["digest"].as_str().unwrap().to_owned();
        image::index(&layout, INDEX, &[manifest]);
        digest
    }

    /// Writes a previous image with a metadata label, or without one.
    fn previous(&self, label: Option<&str>, tars: &[Vec<u8>]) -> String {
        let labels = label.map_or_else(|| json!({}), |label| json!({METADATA: label}));
        let config = json!({"os": "linux", "architecture": "amd64", "config": {"Labels": labels}});
        self.write("app", &config, tars)
    }

    /// Runs as the user who is here, so that nobody's rights matter.
    fn run(&self, api: &str, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let owner = fs::metadata(self.dir.path()).unwrap();
        let mut command = Command::new(ours("analyzer"));
        command
            .env_clear()
            .env("CNB_PLATFORM_API", api)
            .env("CNB_EXPERIMENTAL_MODE", "quiet")
            .env("CNB_NO_COLOR", "true")
            .env("CNB_USE_LAYOUT", "true")
            .env("CNB_LAYOUT_DIR", self.path("oci"))
            .env("CNB_LAYERS_DIR", self.path("layers"))
            .env("CNB_USER_ID", owner.uid().to_string())
            .env("CNB_GROUP_ID", owner.gid().to_string())
            .envs(variables.iter().copied())
            .args(args)
            .args(["-run-image", "run", "app"]);
        Ran::of(&mut command)
    }

    fn analyzed(&self) -> toml::Table {
        let text = fs::read_to_string(self.path("layers/analyzed.toml")).unwrap();
        text.parse().unwrap()
    }
}

fn keys(value: &toml::Value) -> Vec<&str> {
    value
        .as_table()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Returns a tar with one file at an absolute path, as SBOM layers have them.
fn tar_with(path: &Path, text: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    let name = path.to_str().unwrap().as_bytes();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append(&header, text.as_bytes()).unwrap();
    tar.into_inner().unwrap()
}

fn linux() -> Value {
    json!({"os": "linux", "architecture": "arm64", "variant": "v8", "config": {"Labels": {
        "io.buildpacks.base.distro.name": "debian", "io.buildpacks.base.distro.version": "12",
    }}})
}

/// ANA-014 (none there), ANA-018, ANA-019 (an empty image's target), ANA-024.
#[test]
fn images_that_are_not_there_are_no_error() {
    for (api, run_image) in [
        ("0.11", &["reference"][..]),
        ("0.12", &["image", "reference", "target"]),
    ] {
        let analysis = Analysis::new();
        let ran = analysis.run(api, &[], &[]);
        let not_found = |name: &str| {
            format!(
                "Image with name \"{}\" not found\n",
                analysis.image(name).display()
            )
        };
        assert_eq!(
            (ran.code, ran.text),
            (0, not_found("app") + &not_found("run")),
            "{api}"
        );
        let analyzed = analysis.analyzed();
        assert_eq!(analyzed["image"]["reference"].as_str(), Some(""));
        assert_eq!(analyzed["run-image"]["reference"].as_str(), Some(""));
        assert_eq!(keys(&analyzed["run-image"]), run_image, "{api}");
        assert!(!analyzed.contains_key("build-image"));
        if let Some(target) = analyzed["run-image"].get("target") {
            assert_eq!(target["os"].as_str(), Some("linux"));
            assert_eq!(target["arch"].as_str(), Some(image::this_architecture()));
            assert_eq!(keys(target), ["arch", "os"]);
        }
    }
}

/// ANA-014 (found), ANA-018, ANA-019 (name and target), ANA-024 (the record in the log).
#[test]
fn images_that_are_there_are_recorded_by_digest() {
    for api in ["0.7", "0.11", "0.12", "0.15"] {
        let analysis = Analysis::new();
        let (previous, run) = (
            analysis.previous(None, &[]),
            analysis.write("run", &linux(), &[]),
        );
        let ran = analysis.run(api, &["-log-level", "debug"], &[]);
        assert_eq!(ran.code, 0, "{}", ran.text);
        let (app_path, run_path) = (analysis.image("app"), analysis.image("run"));
        let app_reference = format!("{}@{previous}", app_path.display());
        let run_reference = format!("{}@{run}", run_path.display());
        for reference in [&app_reference, &run_reference] {
            let line = format!("Found image with identifier \"{reference}\"\n");
            assert!(
                ran.text.contains(&line),
                "{line} is missing in {}",
                ran.text
            );
        }
        let analyzed = analysis.analyzed();
        assert_eq!(
            analyzed["image"]["reference"].as_str(),
            Some(&*app_reference)
        );
        let recorded = &analyzed["run-image"];
        assert_eq!(recorded["reference"].as_str(), Some(&*run_reference));
        let logged = ran
            .text
            .split("Run image info in analyzed metadata is: \n")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .unwrap_or_else(|| panic!("no record in {}", ran.text));
        let logged: Value = serde_json::from_str(logged).unwrap();
        assert_eq!(logged["Reference"], json!(run_reference));
        if ["0.7", "0.11"].contains(&api) {
            assert_eq!(keys(recorded), ["reference"], "{api}");
            continue;
        }
        assert_eq!(recorded["image"].as_str(), run_path.to_str());
        let target = &recorded["target"];
        let field = |name: &str| target[name].as_str().unwrap();
        assert_eq!(
            (field("os"), field("arch"), field("arch-variant")),
            ("linux", "arm64", "v8")
        );
        let distro = &target["distro"];
        assert_eq!(
            (distro["name"].as_str(), distro["version"].as_str()),
            (Some("debian"), Some("12"))
        );
    }
}

/// ANA-020, and only from 0.12 on.
#[test]
fn a_run_image_says_which_system_it_is_for() {
    for (api, code) in [("0.11", 0), ("0.12", 32)] {
        let analysis = Analysis::new();
        analysis.write("run", &json!({"architecture": "amd64", "config": {}}), &[]);
        let ran = analysis.run(api, &[], &[]);
        assert_eq!(ran.code, code, "{}", ran.text);
        let error = "ERROR: failed to analyze: failed to find OS in run image config\n";
        assert_eq!(ran.text.ends_with(error), code == 32, "{}", ran.text);
        assert_eq!(analysis.path("layers/analyzed.toml").exists(), code == 0);
    }
}

/// ANA-016, ANA-017.
#[test]
fn metadata_comes_from_the_label_of_the_previous_image() {
    let label = r#"{"buildpacks":[{"key":"acme/one","version":"1","layers":{"dep":{"sha":"sha256:1","launch":true}}}],"runImage":{"topLayer":"sha256:2","reference":"r"}}"#;
    for (label, keeps_reference, keeps_layers) in [
        (Some(label), true, true),
        (Some(""), true, false),
        (None, true, false),
        (Some("{}"), true, false),
        (Some("{\"buildpacks\": 3}"), false, false),
        (Some("no JSON"), false, false),
    ] {
        let analysis = Analysis::new();
        let digest = analysis.previous(label, &[]);
        let ran = analysis.run("0.13", &[], &[]);
        assert_eq!(ran.code, 0, "{label:?}: {}", ran.text);
        let analyzed = analysis.analyzed();
        let reference = format!("{}@{digest}", analysis.image("app").display());
        let expected = if keeps_reference { &*reference } else { "" };
        assert_eq!(
            analyzed["image"]["reference"].as_str(),
            Some(expected),
            "{label:?}"
        );
        let buildpacks = analyzed["metadata"]
            .get("buildpacks")
            .and_then(toml::Value::as_array);
        let sha = buildpacks
            .and_then(|list| list.first())
            .map(|one| one["layers"]["dep"]["sha"].as_str().unwrap());
        assert_eq!(sha, keeps_layers.then_some("sha256:1"), "{label:?}");
        let top = analyzed["metadata"]["run-image"]["top-layer"].as_str();
        assert_eq!(
            top,
            Some(if keeps_layers { "sha256:2" } else { "" }),
            "{label:?}"
        );
    }
}

const SBOM_LINE: &str = "Restoring data for SBOM from previous image\n";

/// ANA-021, ANA-022: by API, by flag and by either variable; the metadata is written all the same.
#[test]
fn the_previous_sbom_is_laid_out_unless_layers_are_skipped() {
    for (api, args, variables, restored) in [
        ("0.7", &[][..], &[][..], false),
        ("0.8", &[], &[], true),
        ("0.15", &[], &[], true),
        ("0.8", &[], &[("CNB_SKIP_LAYERS", "true")], false),
        ("0.8", &[], &[("CNB_SKIP_RESTORE", "true")], false),
        ("0.9", &["-skip-layers"], &[], false),
        (
            "0.9",
            &["-skip-layers=false"],
            &[("CNB_SKIP_LAYERS", "true")],
            true,
        ),
    ] {
        let analysis = Analysis::new();
        let file = analysis.path("layers/sbom/launch/acme_one/sbom.cdx.json");
        let tar = tar_with(&file, "{}");
        let label = json!({"sbom": {"sha": image::digest(&tar)}}).to_string();
        analysis.previous(Some(&label), std::slice::from_ref(&tar));
        let ran = analysis.run(api, args, variables);
        assert_eq!(ran.code, 0, "{}", ran.text);
        assert_eq!(
            ran.text.contains(SBOM_LINE),
            restored,
            "{api} {args:?} {variables:?}: {}",
            ran.text
        );
        assert_eq!(file.exists(), restored, "{api} {args:?} {variables:?}");
        let sha = analysis.analyzed()["metadata"]["sbom"]["sha"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(sha, image::digest(&tar));
    }
}

/// ANA-021, where we differ: what cannot be unpacked is a warning, and nothing leaves the layers directory.
#[test]
fn a_previous_sbom_that_cannot_be_laid_out_is_a_warning() {
    let analysis = Analysis::new();
    let outside = analysis.path("outside.json");
    let tar = tar_with(&outside, "{}");
    let missing = format!("sha256:{}", "0".repeat(64));
    for sha in [image::digest(&tar), missing] {
        let label = json!({"sbom": {"sha": sha}}).to_string();
        analysis.previous(Some(&label), std::slice::from_ref(&tar));
        let ran = analysis.run("0.13", &[], &[]);
        assert_eq!(ran.code, 0, "{}", ran.text);
        let warning = format!(
            "Warning: Not restoring SBOM of previous image {}",
            analysis.image("app").display()
        );
        assert!(
            ran.text.contains(&(SBOM_LINE.to_owned() + &warning)),
            "{}",
            ran.text
        );
        assert!(!outside.exists());
    }
}

/// ANA-013: 32 for what is read, 1 for the file that is written.
#[test]
fn failures_have_the_code_of_their_class() {
    let analysis = Analysis::new();
    fs::create_dir_all(analysis.image("run")).unwrap();
    fs::write(analysis.image("run").join("index.json"), "no JSON").unwrap();
    let ran = analysis.run("0.13", &[], &[]);
    assert_eq!(ran.code, 32, "{}", ran.text);
    assert!(
        ran.text
            .contains("ERROR: failed to initialize analyzer: getting run image: "),
        "{}",
        ran.text
    );
    fs::remove_dir_all(analysis.image("run")).unwrap();
    // A folder in the place of the file: nobody can write that, root neither.
    fs::create_dir(analysis.path("layers/analyzed.toml")).unwrap();
    let ran = analysis.run("0.13", &[], &[]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text.contains("ERROR: failed to write analyzed file: "),
        "{}",
        ran.text
    );
}
