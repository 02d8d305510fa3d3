//! Layout mode in every phase that has it: what switches it on, which image is at which path, what is written where.

use std::process::Command;

use fs_err as fs;
use serde_json::{Value, json};
use tests::build::{Build, snapshot};
use tests::image::{self, INDEX, Sample};
use tests::program::{Ran, requires, requires_root};

/// Phases that read or write images.
const CONNECTED: [&str; 5] = ["analyzer", "restorer", "exporter", "creator", "rebaser"];

/// Returns a build that was exported once, so that each phase can run by itself.
fn built() -> Build {
    let build = Build::new();
    build.until_export();
    Ran::of(&mut build.exporter()).ok();
    build
}

/// Returns a phase as it is called for the image `app`.
fn called(build: &Build, phase: &str, api: &str) -> Command {
    match phase {
        "restorer" => build.by_variables(phase, api, &[]),
        "exporter" | "rebaser" => build.by_variables(phase, api, &["app"]),
        _ => build.by_variables(phase, api, &["-run-image", "run", "app"]),
    }
}

fn toml_of(build: &Build, name: &str) -> toml::Table {
    fs::read_to_string(build.path(name))
        .unwrap()
        .parse()
        .unwrap()
}

/// LAY-001: the variables at an API that does not have the flags.
#[test]
fn root_variables_switch_layout_mode_on_at_every_api() {
    if !requires_root() {
        return;
    }
    for api in ["0.7", "0.11", "0.15"] {
        let build = built();
        fs::write(build.path("stack.toml"), "[run-image]\nimage = \"run\"\n").unwrap();
        for phase in CONNECTED {
            let mut command = called(&build, phase, api);
            let stack = build.path("stack.toml");
            let ran = Ran::of(command.env("CNB_STACK_PATH", &stack));
            if phase == "rebaser" && api != "0.15" {
                // It found the image, which an API of stacks has built on none.
                let text = "stack not defined on app image\n";
                assert!(ran.text.ends_with(text), "{api}: {}", ran.text);
                continue;
            }
            assert_eq!(ran.code, 0, "{phase} {api}: {}", ran.text);
        }
    }
}

/// LAY-002.
#[test]
fn root_layout_mode_is_an_experiment_but_for_the_restorer() {
    if !requires_root() {
        return;
    }
    let build = built();
    let warning = "Warning: Platform requested experimental feature 'export to OCI layout format'";
    let error = "ERROR: experimental features are disabled by CNB_EXPERIMENTAL_MODE=error\n";
    for phase in CONNECTED {
        for (mode, code) in [
            (None, 1),
            (Some(""), 1),
            (Some("error"), 1),
            (Some("warn"), 0),
            (Some("quiet"), 0),
            (Some("anything"), 0),
        ] {
            let mut command = called(&build, phase, "0.13");
            command.env_remove("CNB_EXPERIMENTAL_MODE");
            let ran = Ran::of(command.envs(mode.map(|mode| ("CNB_EXPERIMENTAL_MODE", mode))));
            let what = format!("{phase} {mode:?}: {}", ran.text);
            let is_gated = phase != "restorer";
            assert_eq!(ran.code, if is_gated { code } else { 0 }, "{what}");
            let is_warned = is_gated && [Some("warn"), Some("anything")].contains(&mode);
            assert_eq!(ran.text.contains(warning), is_warned, "{what}");
            assert_eq!(ran.text.ends_with(error), is_gated && code == 1, "{what}");
        }
    }
}

/// LAY-003, where the specification is followed rather than the reference.
#[test]
fn root_layout_mode_without_its_directory_exits_3() {
    if !requires_root() {
        return;
    }
    let build = built();
    let before = snapshot(&build.path("layout"));
    for phase in CONNECTED {
        let ran = Ran::of(called(&build, phase, "0.13").env_remove("CNB_LAYOUT_DIR"));
        assert_eq!(ran.code, 3, "{phase}: {}", ran.text);
        let text = "-layout-dir is required with -layout; set it or CNB_LAYOUT_DIR\n";
        assert!(ran.text.ends_with(text), "{phase}: {}", ran.text);
    }
    assert_eq!(snapshot(&build.path("layout")), before);
}

/// LAY-004.
#[test]
fn root_a_layout_wins_over_a_daemon() {
    if !requires_root() {
        return;
    }
    let build = built();
    for phase in CONNECTED {
        // What the restorer looks up: the target of an image that extensions will extend.
        if phase == "restorer" {
            extended(&build, false);
        } else {
            build.write("layers/group.toml", GROUP);
        }
        let ran = Ran::of(called(&build, phase, "0.13").env("CNB_USE_DAEMON", "true"));
        assert_eq!(ran.code, 0, "{phase}: {}", ran.text);
    }
}

/// LAY-007.
#[test]
fn root_images_are_read_at_paths_but_written_by_name() {
    if !requires_root() {
        return;
    }
    let build = built();
    // Below the directory as a text, not as a path.
    let run = build.path("layout-Of/Run");
    image::plain(&run);
    let previous = build.path("layout/Before");
    fs::rename(build.app_image(), &previous).unwrap();
    let args = [
        "-run-image",
        run.to_str().unwrap(),
        "-previous-image",
        previous.to_str().unwrap(),
        "app",
    ];
    Ran::of(&mut build.by_variables("analyzer", "0.13", &args)).ok();
    let analyzed = toml_of(&build, "layers/analyzed.toml");
    let reference =
        |path: &std::path::Path| format!("{}@{}", path.display(), image::read(path).digest());
    assert_eq!(
        analyzed["image"]["reference"].as_str(),
        Some(&*reference(&previous))
    );
    assert_eq!(
        analyzed["run-image"]["reference"].as_str(),
        Some(&*reference(&run))
    );
    Ran::of(&mut build.by_variables("exporter", "0.13", &["app"])).ok();
    assert!(build.app_image().join("index.json").is_file());

    // A name that begins like the directory is a name all the same.
    let mut exporter = build.by_variables("exporter", "0.13", &["layout/app"]);
    Ran::of(exporter.env("CNB_LAYOUT_DIR", "layout")).ok();
    let mapped = "layout/index.docker.io/layout/app/latest/index.json";
    assert!(build.path(mapped).is_file());
    assert!(!build.path("layout/app").exists());
}

/// LAY-008, LAY-013: what is not there is not found, and is no error.
#[test]
fn root_an_absent_image_is_not_found() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    fs::remove_file(build.run_image().join("oci-layout")).unwrap();
    let log = Ran::of(&mut called(&build, "analyzer", "0.13")).ok();
    let path = build.app_image().display().to_string();
    assert!(
        log.contains(&format!("Image with name \"{path}\" not found\n")),
        "{log}"
    );
    let analyzed = toml_of(&build, "layers/analyzed.toml");
    assert_eq!(analyzed["image"]["reference"].as_str(), Some(""));
    let found = format!(
        "{}@{}",
        build.run_image().display(),
        image::read(&build.run_image()).digest()
    );
    assert_eq!(
        analyzed["run-image"]["reference"].as_str(),
        Some(&*found),
        "without oci-layout"
    );

    fs::remove_file(build.run_image().join("index.json")).unwrap();
    Ran::of(&mut called(&build, "analyzer", "0.13")).ok();
    let analyzed = toml_of(&build, "layers/analyzed.toml");
    assert_eq!(analyzed["run-image"]["reference"].as_str(), Some(""));
}

/// LAY-013, LAY-014.
#[test]
fn root_analyzed_toml_names_path_and_digest() {
    if !requires_root() {
        return;
    }
    let build = built();
    let absolute = build.path("layout").display().to_string();
    for (dir, shown) in [
        (absolute.clone(), &*absolute),
        (format!("{absolute}/"), &absolute),
        ("layout".to_owned(), "layout"),
        ("layout/".to_owned(), "layout"),
    ] {
        for api in ["0.11", "0.12"] {
            let mut phase = called(&build, "analyzer", api);
            Ran::of(phase.env("CNB_LAYOUT_DIR", &dir)).ok();
            let analyzed = toml_of(&build, "layers/analyzed.toml");
            let path = |name: &str| format!("{shown}/index.docker.io/library/{name}/latest");
            let reference = |name, dir: &std::path::Path| {
                format!("{}@{}", path(name), image::read(dir).digest())
            };
            let app = reference("app", &build.app_image());
            assert_eq!(
                analyzed["image"]["reference"].as_str(),
                Some(&*app),
                "{dir} {api}"
            );
            let run = analyzed["run-image"].as_table().unwrap();
            let reference = reference("run", &build.run_image());
            assert_eq!(run["reference"].as_str(), Some(&*reference), "{dir} {api}");
            let image = run.get("image").and_then(toml::Value::as_str);
            let expected = (api == "0.12").then(|| path("run"));
            assert_eq!(image, expected.as_deref(), "{dir} {api}");
        }
        // Later phases find it from the same directory.
        let ran = Ran::of(called(&build, "exporter", "0.12").env("CNB_LAYOUT_DIR", &dir));
        assert_eq!(ran.code, 0, "{dir}: {}", ran.text);
    }
}

/// LAY-015, better: what may be a path may be a run image.
#[test]
fn root_capitals_and_ports_are_no_matter_in_a_layout_s_path() {
    if !requires_root() {
        return;
    }
    let build = built();
    image::plain(&build.path("layout/localhost:5000/run/latest"));
    fs::rename(build.path("layout"), build.path("Layout")).unwrap();
    for phase in ["analyzer", "exporter", "creator"] {
        let args = if phase == "exporter" {
            &["app"][..]
        } else {
            &["-run-image", "localhost:5000/run", "app"]
        };
        let mut command = build.by_variables(phase, "0.13", args);
        let ran = Ran::of(command.env("CNB_LAYOUT_DIR", build.path("Layout")));
        assert_eq!(ran.code, 0, "{phase}: {}", ran.text);
    }
    let analyzed = toml_of(&build, "layers/analyzed.toml");
    let run_image = analyzed["run-image"]["image"].as_str().unwrap();
    assert!(
        run_image.ends_with("/Layout/localhost:5000/run/latest"),
        "{run_image}"
    );
}

/// LAY-016.
#[test]
fn root_only_the_path_of_an_identifier_counts() {
    if !requires_root() {
        return;
    }
    let build = built();
    let run = build.run_image().display().to_string();
    let app = build.app_image().display().to_string();
    let hex = "9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
    let bad = |kind, identifier: &str| {
        Some(format!(
            "failed to parsing {kind} image reference: identifier {identifier} does not have the format '[path]@[digest]'"
        ))
    };
    let other = format!("{run}@sha256:{hex}");
    let twice = format!("/a@b{other}");
    for (previous, run_image, expected) in [
        ("", &*other, None),
        (&*format!("{app}@sha256:{hex}"), &other, None),
        ("", &run, bad("run", &run)),
        ("", &twice, bad("run", &twice)),
        (&app, &other, bad("previous", &app)),
    ] {
        let analyzed = format!(
            "[image]\nreference = \"{previous}\"\n[run-image]\nreference = \"{run_image}\"\n"
        );
        build.write("layers/analyzed.toml", &analyzed);
        let ran = Ran::of(&mut called(&build, "exporter", "0.13"));
        assert_eq!(
            ran.code,
            i32::from(expected.is_some()),
            "{analyzed}: {}",
            ran.text
        );
        let expected = expected.unwrap_or_default();
        assert!(ran.text.contains(&expected), "{analyzed}: {}", ran.text);
    }
}

/// LAY-017, LAY-018.
#[test]
fn root_the_label_knows_the_run_image() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.write(
        "run.toml",
        "[[images]]\nimage = \"first\"\nmirrors = [\"m.example.org/first\"]\n[[images]]\nimage = \"run\"\n",
    );
    build.hand_over_report();
    Ran::of(&mut called(&build, "creator", "0.12")).ok();
    let metadata = image::read(&build.app_image()).label("io.buildpacks.lifecycle.metadata");
    let run = image::read(&build.run_image());
    let expected = json!({
        "topLayer": run.config["rootfs"]["diff_ids"][0],
        "reference": format!("{}@{}", build.run_image().display(), run.digest()),
        "image": "first",
        "mirrors": ["m.example.org/first"],
    });
    assert_eq!(metadata["runImage"], expected);
}

/// LAY-019, LAY-028.
#[test]
fn root_exporter_names_paths() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.until_export();
    let path = build.app_image().display().to_string();
    let reusing = format!("Reusing layers from image '{path}'\n");
    let first = Ran::of(&mut build.exporter()).ok();
    assert!(!first.contains("Reusing layers from image"), "{first}");
    assert!(
        first.contains(&format!("Using app image: {path}\n")),
        "{first}"
    );
    let two = build
        .path("layout/index.docker.io/acme/two/2")
        .display()
        .to_string();
    Ran::of(&mut called(&build, "analyzer", "0.13")).ok();
    let second = Ran::of(&mut build.by_variables("exporter", "0.13", &["app", "acme/two:2"])).ok();
    let app = image::read(&build.app_image());
    let images = format!(
        "*** Images ({path}@{}):\n      {path}\n      {two}\n",
        app.digest()
    );
    for line in [&reusing, &format!("Using app image: {path}\n"), &images] {
        assert!(second.contains(line), "{line} in {second}");
    }
    let report = fs::read_to_string(build.path("report/report.toml")).unwrap();
    let expected = format!(
        "[image]\n  tags = [\"{path}\", \"{two}\"]\n  digest = \"{}\"\n  manifest-size = {}\n",
        app.digest(),
        app.descriptor["size"]
    );
    assert_eq!(report, expected);
}

/// LAY-020: an image that lacks base layers is a run image, a previous image and an app image like others.
#[test]
fn root_sparse_images_serve_again() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let dir = build.run_image();
    fs::remove_dir_all(&dir).unwrap();
    let sparse = Sample {
        sparse: true,
        ..Sample::plain()
    };
    image::index(&dir, INDEX, &[sparse.write(&dir)]);
    let run = image::read(&dir);
    let mut digests = Vec::new();
    for _ in 0..2 {
        build.forget_layers();
        build.create().ok();
        let app = image::read(&build.app_image());
        let base = &app.manifest["layers"][0];
        assert_eq!(base["digest"], run.manifest["layers"][0]["digest"]);
        assert_eq!(
            app.config["rootfs"]["diff_ids"][0],
            run.config["rootfs"]["diff_ids"][0]
        );
        let blob = base["digest"].as_str().unwrap().replace(':', "/");
        assert!(!build.app_image().join("blobs").join(blob).exists());
        digests.push(app.digest().to_owned());
    }
    assert_eq!(digests[0], digests[1]);
}

/// LAY-021.
#[test]
fn root_an_image_needs_no_other_layout() {
    if !requires_root() {
        return;
    }
    let build = built();
    fs::remove_dir_all(build.run_image()).unwrap();
    let app = image::read(&build.app_image());
    let layers = app.manifest["layers"].as_array().unwrap();
    assert!(layers.len() > 3);
    for layer in layers {
        image::read_blob(&build.app_image(), layer);
    }
}

/// LAY-006, LAY-024.
#[test]
fn root_annotations_name_tag_or_digest() {
    if !requires_root() {
        return;
    }
    let hex = "9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
    let build = Build::new();
    build.until_export();
    let mut digests = Vec::new();
    for (name, place, expected) in [
        (
            "app".to_owned(),
            "app/latest".to_owned(),
            "latest".to_owned(),
        ),
        ("app:v1".to_owned(), "app/v1".to_owned(), "v1".to_owned()),
        (
            format!("app@sha256:{hex}"),
            format!("app/sha256/{hex}"),
            format!("sha256:{hex}"),
        ),
        (
            format!("other:v1@sha256:{hex}"),
            format!("other/sha256/{hex}"),
            format!("sha256:{hex}"),
        ),
    ] {
        Ran::of(&mut build.by_variables("exporter", "0.13", &[&name])).ok();
        let app = image::read(&build.path("layout/index.docker.io/library").join(place));
        let annotation = json!({"org.opencontainers.image.ref.name": expected});
        assert_eq!(app.descriptor["annotations"], annotation, "{name}");
        assert_eq!(app.manifest["annotations"], annotation, "{name}");
        digests.push(app.digest().to_owned());
    }
    assert_eq!(digests[2], digests[3], "the same but for the place");
    digests.truncate(3);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 3, "the name is part of the manifest");
}

/// LAY-012.
#[test]
fn foreign_no_phase_opens_a_connection() {
    if !(requires_root() && requires(&["strace"])) {
        return;
    }
    let build = built();
    let trace = build.path("trace");
    for phase in CONNECTED {
        let inner = called(&build, phase, "0.15");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=socket,connect", "-o"])
            .arg(&trace)
            .arg(inner.get_program())
            .args(inner.get_args())
            .env_clear()
            .envs(
                inner
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(build.path(""));
        Ran::of(&mut command).ok();
        let calls = fs::read_to_string(&trace).unwrap();
        assert!(!calls.contains("AF_INET"), "{phase}: {calls}");
    }
    // A cache image is looked for in a registry, layouts or not.
    let ran =
        Ran::of(called(&build, "creator", "0.15").env("CNB_CACHE_IMAGE", "127.0.0.1:1/cache"));
    assert_eq!(ran.code, 1, "{}", ran.text);
    let expected = "no answer from 127.0.0.1:1";
    assert!(ran.text.contains(expected), "{}", ran.text);
}

const GROUP: &str = "[[group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\napi = \"0.10\"\n";

/// Has an extension in the group, and no target in analyzed.toml.
fn extended(build: &Build, extend: bool) {
    let group = format!(
        "{GROUP}[[group-extensions]]\nid = \"acme/extension\"\nversion = \"1\"\napi = \"0.10\"\n"
    );
    build.write("layers/group.toml", &group);
    let run = build.run_image().display().to_string();
    let analyzed =
        format!("[run-image]\nreference = \"before\"\nimage = \"{run}\"\nextend = {extend}\n");
    build.write("layers/analyzed.toml", &analyzed);
}

/// LAY-029.
#[test]
fn root_the_restorer_refreshes_the_target_and_pulls_nothing() {
    if !requires_root() {
        return;
    }
    let build = built();
    for extend in [false, true] {
        extended(&build, extend);
        Ran::of(&mut called(&build, "restorer", "0.12")).ok();
        let analyzed = toml_of(&build, "layers/analyzed.toml");
        let run = analyzed["run-image"].as_table().unwrap();
        let run_image = image::read(&build.run_image());
        let reference = format!("{}@{}", build.run_image().display(), run_image.digest());
        assert_eq!(run["reference"].as_str(), Some(&*reference));
        assert_eq!(run["target"]["os"].as_str(), Some("linux"));
        assert_eq!(
            run["target"]["arch"].as_str(),
            Some(image::this_architecture())
        );
        assert_eq!(run["target"]["distro"]["name"].as_str(), Some("debian"));

        // One that is known stays.
        let text = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
        build.write("layers/analyzed.toml", &text.replace("debian", "known"));
        Ran::of(&mut called(&build, "restorer", "0.12")).ok();
        let analyzed = toml_of(&build, "layers/analyzed.toml");
        assert_eq!(
            analyzed["run-image"]["target"]["distro"]["name"].as_str(),
            Some("known")
        );
    }
}

/// LAY-030, and said: SBOMs are not restored from a layout that lacks their layer.
#[test]
fn root_without_the_sbom_layer_no_sbom_is_restored() {
    if !requires_root() {
        return;
    }
    for is_there in [true, false] {
        let build = Build::new();
        // Not in the cache, which would have the SBOM too.
        let launch_only =
            tests::build::BUILD_HELLO.replace("launch = true\\ncache = true", "launch = true");
        let script = launch_only + "echo '{}' > \"$layers/greeting.sbom.cdx.json\"\n";
        build.buildpack("acme/hello", &script);
        let descriptor = build.path("buildpacks/acme_hello/1.0.0/buildpack.toml");
        let text = fs::read_to_string(&descriptor).unwrap();
        let sbom = "sbom-formats = [\"application/vnd.cyclonedx+json\"]\n";
        fs::write(&descriptor, text + sbom).unwrap();
        build.create().ok();
        build.forget_layers();
        if !is_there {
            let app = image::read(&build.app_image());
            let sbom = app.label("io.buildpacks.lifecycle.metadata")["sbom"]["sha"].clone();
            let diff_ids = app.config["rootfs"]["diff_ids"].as_array().unwrap();
            let at = diff_ids.iter().position(|it: &Value| *it == sbom).unwrap();
            let digest = app.manifest["layers"][at]["digest"].as_str().unwrap();
            let blob = digest.replace(':', "/");
            fs::remove_file(build.app_image().join("blobs").join(blob)).unwrap();
        }
        for phase in ["analyzer", "restorer"] {
            build.write("layers/group.toml", GROUP);
            let cache = build.path("cache");
            Ran::of(called(&build, phase, "0.12").env("CNB_CACHE_DIR", &cache)).ok();
        }
        let file = build.path("layers/acme_hello/greeting.sbom.cdx.json");
        assert_eq!(file.exists(), is_there);
    }
}
