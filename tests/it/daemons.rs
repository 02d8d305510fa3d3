//! Whole builds against a daemon, docker's and podman's: the creator, phases one by one, the launch cache, a rebase.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Command;

use fs_err as fs;
use serde_json::Value;
use tests::build::{Build, GID, UID};
use tests::engine::{Daemon, KINDS, Kind, Relay};
use tests::image::{self, INDEX, Sample};
use tests::program::{Ran, requires, run};
use tests::registry::Registry;

/// A build whose images are in a daemon.
struct Site {
    build: Build,
    daemon: Daemon,
    host: String,
}

impl Site {
    /// A daemon with the run image in it, `example.org/run:1`; none where something for it is missing.
    fn of(kind: Kind) -> Option<Self> {
        if !requires(&["skopeo"]) {
            return None;
        }
        let daemon = Daemon::start(kind)?;
        let site = Self {
            host: daemon.host(),
            daemon,
            build: Build::new(),
        };
        let launch_cache = site.build.path("launch-cache");
        fs::create_dir(&launch_cache).unwrap();
        chown(&launch_cache, Some(UID), Some(GID)).unwrap();
        site.build
            .write("run.toml", "[[images]]\nimage = \"example.org/run:1\"\n");
        site.build.hand_over_report();
        site.load("example.org/run:1", Sample::plain());
        Some(site)
    }

    /// Has the daemon load an image.
    fn load(&self, name: &str, sample: Sample) {
        let layout = self.build.path("to-load");
        let archive = self.build.path("to-load.tar");
        let manifest = sample.write(&layout);
        image::index(&layout, INDEX, &[manifest]);
        let from = format!("oci:{}", layout.display());
        let to = format!("docker-archive:{}:{name}", archive.display());
        run("skopeo", &["--insecure-policy", "copy", "-q", &from, &to]);
        self.daemon.run(&["load", "-i", archive.to_str().unwrap()]);
        fs::remove_dir_all(layout).unwrap();
        fs::remove_file(archive).unwrap();
    }

    fn phase(&self, name: &str, args: &[&str]) -> Command {
        let connected = !["detector", "builder"].contains(&name);
        let switch: &[&str] = if connected { &["-daemon"] } else { &[] };
        let args = [switch, args].concat();
        let mut command = self.build.by_variables(name, "0.13", &args);
        command.env_remove("CNB_USE_LAYOUT");
        command.env("DOCKER_HOST", &self.host);
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> String {
        Ran::of(&mut self.phase(name, args)).ok()
    }

    fn until_export(&self, launch_cache: &[&str]) -> String {
        let args = [launch_cache, &["example.org/app"]].concat();
        let mut log = self.run("analyzer", &args);
        let dir = self.build.path("cache");
        let cache = ["-cache-dir", dir.to_str().unwrap()];
        log += &self.run("detector", &[]);
        log += &self.run("restorer", &cache);
        log + &self.run("builder", &[])
    }

    /// Exports with the cache directory.
    fn export(&self, more: &[&str]) -> Ran {
        let dir = self.build.path("cache");
        let cache = ["-cache-dir", dir.to_str().unwrap()];
        Ran::of(&mut self.phase("exporter", &[&cache, more].concat()))
    }

    /// Returns what the daemon's own client says of an image.
    fn inspect(&self, name: &str) -> Value {
        let text = self.daemon.run(&["image", "inspect", name]);
        let mut all: Value = serde_json::from_str(&text).unwrap();
        all[0].take()
    }

    /// Returns an image's ID without the algorithm.
    fn id(&self, name: &str) -> String {
        let found = self.inspect(name);
        let id = found["Id"].as_str().unwrap();
        id.trim_start_matches("sha256:").to_owned()
    }

    fn toml(&self, file: &str) -> toml::Value {
        let text = fs::read_to_string(self.build.path(file)).unwrap();
        toml::Value::Table(text.parse().unwrap())
    }

    fn launch_cache(&self) -> String {
        self.build.path("launch-cache").display().to_string()
    }
}

/// Returns two megabytes that are larger than everything else that is said.
fn squares() -> String {
    let squares = (0..200_000_u64).map(|it| (it * it).to_string());
    squares.collect::<Vec<_>>().join("\n")
}

/// Returns the names of the tars in the launch cache.
fn kept_in(site: &Site) -> Vec<String> {
    let committed = site.build.path("launch-cache/committed");
    let entries = fs::read_dir(committed).unwrap();
    let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Returns the names that the layers above the run image have there.
fn own_layers(site: &Site) -> Vec<String> {
    let layers = |name: &str| {
        let found = site.inspect(name);
        let layers = found["RootFS"]["Layers"].as_array().unwrap().clone();
        let names = layers
            .iter()
            .map(|it| format!("{}.tar", it.as_str().unwrap()));
        names.collect::<Vec<_>>()
    };
    let base = layers("example.org/run:1").len();
    let mut own = layers("example.org/app").split_off(base);
    own.sort();
    own.dedup();
    own
}

/// COM-072, EXP-078, EXP-082, EXP-084, EXP-088: phase by phase, and again with nothing changed.
#[test]
fn foreign_phases_build_in_a_daemon() {
    for kind in KINDS {
        let Some(site) = Site::of(kind) else {
            return;
        };
        site.until_export(&[]);
        let run_id = site.id("example.org/run:1");
        let analyzed = site.toml("layers/analyzed.toml");
        assert_eq!(analyzed["run-image"]["reference"].as_str(), Some(&*run_id));
        assert_eq!(
            analyzed["run-image"]["image"].as_str(),
            Some("example.org/run:1")
        );
        let log = site
            .export(&["example.org/app", "other.example/app:two"])
            .ok();

        let id = site.id("example.org/app:latest");
        assert_eq!(site.id("other.example/app:two"), id);
        assert!(
            log.contains(&format!(
                "*** Images ({}):\n      example.org/app\n      other.example/app:two\n",
                &id[..12]
            )),
            "{log}"
        );
        let report = site.toml("report/report.toml");
        assert_eq!(report["image"]["image-id"].as_str(), Some(&*id));
        assert!(report["image"].get("digest").is_none(), "{report}");
        assert_eq!(report["image"]["tags"].as_array().unwrap().len(), 2);
        let found = site.inspect("example.org/app");
        assert_eq!(
            found["Config"]["Entrypoint"],
            serde_json::json!(["/cnb/process/web"])
        );
        let label = found["Config"]["Labels"]["io.buildpacks.lifecycle.metadata"].as_str();
        let label: Value = serde_json::from_str(label.unwrap()).unwrap();
        assert_eq!(label["runImage"]["reference"], run_id);

        let log = site.until_export(&[]);
        assert!(
            log.contains("Restoring data for SBOM from previous image"),
            "{log}"
        );
        let analyzed = site.toml("layers/analyzed.toml");
        assert_eq!(analyzed["image"]["reference"].as_str(), Some(&*id));
        let log = site.export(&["-log-level=debug", "example.org/app"]).ok();
        assert!(
            log.contains(&format!("Reusing layers from image with id '{id}'")),
            "{log}"
        );
        assert!(!log.contains("Adding layer"), "{log}");
        assert!(log.contains(&format!("*** Image ID: {id}")), "{log}");
        assert_eq!(site.id("example.org/app"), id);
    }
}

/// CRE-001 to CRE-013, with a launch cache; what the daemon has is not sent again.
#[test]
fn foreign_the_creator_builds_in_a_daemon() {
    let Some(mut site) = Site::of(Kind::Docker) else {
        return;
    };
    // Larger than everything that is said beside the layers.
    site.build.write("app/large", &squares());
    let relay = Relay::to(&site.daemon, u64::MAX);
    site.host = relay.host();
    let (cache, launch_cache) = (site.build.path("cache"), site.launch_cache());
    let args = [
        "-cache-dir",
        cache.to_str().unwrap(),
        "-launch-cache",
        &launch_cache,
        "-run-image",
        "example.org/run:1",
        "example.org/app",
    ];
    let log = site.run("creator", &args);
    assert!(log.contains("making a greeting"), "{log}");
    let id = site.id("example.org/app");
    assert!(relay.sent() > 1_000_000);

    site.build.forget_layers();
    let log = site.run("creator", &args);
    assert!(log.contains("reusing the greeting"), "{log}");
    assert!(!log.contains("Adding layer"), "{log}");
    assert_eq!(site.id("example.org/app"), id);
    assert!(relay.sent() < 300_000);
}

/// COM-091: a cache image makes its own layers of what a daemon got.
#[test]
fn foreign_a_cache_image_is_in_a_registry_with_daemons_too() {
    let (Some(site), true) = (Site::of(Kind::Docker), Registry::is_possible()) else {
        return;
    };
    let registry = Registry::start();
    let cache = registry.name("cache");
    let run = "example.org/run:1";
    let args = ["-cache-image", &cache, "-run-image", run, "example.org/app"];
    let log = site.run("creator", &args);
    assert!(log.contains("making a greeting"), "{log}");
    let tags = registry.tags();
    assert_eq!(tags.len(), 1);
    site.build.forget_layers();
    let log = site.run("creator", &args);
    assert!(log.contains("reusing the greeting"), "{log}");
    assert_eq!(registry.tags(), tags);
}

/// ANA-023, COM-094, EXP-088: a cache as the field has it, used and renewed.
#[test]
fn foreign_a_launch_cache_has_the_layers_of_the_image() {
    let Some(site) = Site::of(Kind::Docker) else {
        return;
    };
    let dir = site.launch_cache();
    let args = ["-launch-cache", dir.as_str()];
    site.until_export(&args);
    site.export(&[&args[..], &["example.org/app"]].concat())
        .ok();
    assert_eq!(kept_in(&site), own_layers(&site));

    // A layer that changes takes the place of the one before; the others stay, and nothing is fetched for them.
    site.until_export(&args);
    site.build.write("app/new", "new\n");
    site.export(&[&args[..], &["example.org/app"]].concat())
        .ok();
    assert_eq!(kept_in(&site), own_layers(&site));

    // One that is no directory, and one that nobody can write.
    site.build.write("file", "");
    let file = site.build.path("file").display().to_string();
    let ran = Ran::of(&mut site.phase("analyzer", &["-launch-cache", &file, "example.org/app"]));
    assert_eq!(ran.code, 1, "{}", ran.text);
    let ran = Ran::of(&mut site.phase(
        "analyzer",
        &["-launch-cache", "/no/such/dir", "example.org/app"],
    ));
    assert_eq!(ran.code, 32, "{}", ran.text);
    let expected =
        "ERROR: failed to initialize analyzer: getting previous image: creating launch cache: ";
    assert!(ran.text.contains(expected), "{}", ran.text);
}

/// REB-006, REB-018, REB-025.
#[test]
fn foreign_an_image_of_a_daemon_is_rebased() {
    for kind in KINDS {
        let Some(site) = Site::of(kind) else {
            return;
        };
        site.until_export(&[]);
        site.export(&["example.org/app"]).ok();
        let before = site.inspect("example.org/app");
        let patched = Sample {
            content: Some("patched"),
            ..Sample::plain()
        };
        site.load("example.org/run:1", patched);
        let run = site.id("example.org/run:1");
        site.run(
            "rebaser",
            &["-force", "example.org/app", "example.org/app:two"],
        );
        let after = site.inspect("example.org/app");
        assert_ne!(after["Id"], before["Id"]);
        assert_eq!(site.id("example.org/app:two"), site.id("example.org/app"));
        let layers = |found: &Value| found["RootFS"]["Layers"].as_array().unwrap()[1..].to_vec();
        assert_eq!(layers(&after), layers(&before));
        let label = after["Config"]["Labels"]["io.buildpacks.lifecycle.metadata"].as_str();
        let label: Value = serde_json::from_str(label.unwrap()).unwrap();
        assert_eq!(label["runImage"]["reference"], run);
        let report = site.toml("report/report.toml");
        assert_eq!(
            report["image"]["image-id"].as_str(),
            Some(&*site.id("example.org/app"))
        );

        for (args, code, expected) in [
            (
                &["example.org/nothing"][..],
                72,
                "failed to set app image: failed to access image to rebase: ",
            ),
            (
                &["-run-image", "example.org/nothing", "example.org/app"],
                1,
                "failed to access run image: ",
            ),
        ] {
            let ran = Ran::of(&mut site.phase("rebaser", args));
            assert_eq!(ran.code, code, "{}", ran.text);
            assert!(
                ran.text.contains(&format!("ERROR: {expected}")),
                "{}",
                ran.text
            );
        }
    }
}

/// COM-045, COM-039: root's socket is of use to a phase that is not root any more; without one the phase ends at once.
#[test]
fn foreign_the_socket_is_opened_before_the_user_is_switched() {
    let Some(site) = Site::of(Kind::Docker) else {
        return;
    };
    fs::set_permissions(site.daemon.socket(), Permissions::from_mode(0o600)).unwrap();
    site.until_export(&[]);
    site.export(&["example.org/app"]).ok();
    for phase in ["analyzer", "restorer", "exporter", "rebaser", "creator"] {
        let args: &[&str] = match phase {
            "restorer" => &[],
            "creator" => &["-run-image", "example.org/run:1", "example.org/app"],
            _ => &["example.org/app"],
        };
        let mut command = site.phase(phase, args);
        let ran = Ran::of(command.env("DOCKER_HOST", "unix:///no/such/socket"));
        assert_eq!(ran.code, 1, "{phase}: {}", ran.text);
        let expected = "ERROR: failed to initialize docker client: ";
        assert!(ran.text.contains(expected), "{phase}: {}", ran.text);
        assert!(
            ran.text.contains("unix:///no/such/socket"),
            "{phase}: {}",
            ran.text
        );
    }
}

/// A daemon that goes away in mid-load: the image before stays, and so does the report.
#[test]
fn foreign_a_load_that_breaks_off_leaves_the_image_before() {
    let Some(mut site) = Site::of(Kind::Docker) else {
        return;
    };
    site.until_export(&[]);
    site.export(&["example.org/app"]).ok();
    let before = site.id("example.org/app");
    let report = fs::read(site.build.path("report/report.toml")).unwrap();
    site.build.write("app/large", &squares());
    site.until_export(&[]);
    let relay = Relay::to(&site.daemon, 500_000);
    let host = std::mem::replace(&mut site.host, relay.host());
    let launch_cache = site.launch_cache();
    let ran = site.export(&["-launch-cache", &launch_cache, "example.org/app"]);
    assert_eq!(ran.code, 62, "{}", ran.text);
    assert!(
        ran.text.contains("ERROR: failed to export: "),
        "{}",
        ran.text
    );
    assert!(ran.text.contains(&site.host), "{}", ran.text);
    assert_eq!(site.id("example.org/app"), before);
    assert_eq!(
        fs::read(site.build.path("report/report.toml")).unwrap(),
        report
    );
    assert_eq!(kept_in(&site), Vec::<String>::new());
    site.host = host;
    site.export(&["example.org/app"]).ok();
    assert_ne!(site.id("example.org/app"), before);
}
