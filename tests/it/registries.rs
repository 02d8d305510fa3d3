//! Whole builds against a registry, each phase a program of its own: reading, writing, and who may.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use fs_err as fs;
use serde_json::Value;
use tests::build::{Build, GID, UID};
use tests::fault_proxy::FaultProxy;
use tests::image::{self, INDEX, Sample};
use tests::program::{Ran, requires_root};
use tests::registry::{PASSWORD, Registry, USER, basic_header};

mod access;
mod base_images;
mod cache_image;
mod faults;
mod rebases;

/// A build whose images are in a registry.
struct Site {
    build: Build,
    registry: Registry,
    /// `host:port` as names have it: the registry's, or that of a proxy in front of it.
    host: String,
    env: Vec<(&'static str, String)>,
}

impl Site {
    /// A registry that anybody may use; none where something for it is missing.
    fn open() -> Option<Self> {
        (requires_root() && Registry::is_possible()).then(|| Self::with(Registry::start()))
    }

    /// A registry with the run image in it, `run:latest`.
    fn with(registry: Registry) -> Self {
        let site = Self {
            build: Build::new(),
            host: registry.address(),
            registry,
            env: Vec::new(),
        };
        let layout = site.build.path("run");
        image::plain(&layout);
        site.take("run:latest", &layout);
        site.build.hand_over_report();
        site
    }

    /// The same, behind a proxy that can fail.
    fn behind_a_proxy() -> Option<(Self, FaultProxy)> {
        let mut site = Self::open()?;
        let proxy = FaultProxy::before(&site.host);
        site.host = proxy.address();
        Some((site, proxy))
    }

    /// Has the registry take in the image of a layout.
    fn take(&self, name: &str, layout: &std::path::Path) {
        let (repository, tag) = name.split_once(':').unwrap();
        let index: Value =
            serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let descriptor = &index["manifests"][0];
        self.registry.take_image(repository, layout, descriptor);
        let manifest = image::read_blob(layout, descriptor);
        let media_type = descriptor["mediaType"].as_str().unwrap();
        self.registry
            .take_manifest(repository, tag, media_type, &manifest);
    }

    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.host)
    }

    /// Returns a command for a phase, told everything but images; `%` in an argument is the registry.
    fn phase(&self, name: &str, args: &[&str]) -> Command {
        self.at("0.13", name, args)
    }

    fn at(&self, api: &str, name: &str, args: &[&str]) -> Command {
        let args: Vec<_> = args.iter().map(|it| it.replace('%', &self.host)).collect();
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut command = self.build.by_variables(name, api, &args);
        command.env_remove("CNB_USE_LAYOUT");
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> Ran {
        Ran::of(&mut self.phase(name, args))
    }

    /// Runs the phases up to the exporter, and returns what they say.
    fn until_export(&self, cache: &[&str]) -> String {
        let mut log = self.run("analyzer", &["-run-image", "%/run", "%/app"]).ok();
        log += &self.run("detector", &[]).ok();
        log += &self.run("restorer", cache).ok();
        log + &self.run("builder", &[]).ok()
    }

    fn toml(&self, file: &str) -> toml::Table {
        let text = fs::read_to_string(self.build.path(file)).unwrap();
        text.parse().unwrap()
    }

    /// Returns the digest that a tag has.
    fn digest(&self, name: &str) -> Option<String> {
        let tags = self.registry.tags().into_iter();
        let mut found = tags.filter(|(repository, tag, _)| format!("{repository}:{tag}") == name);
        found.next().map(|(_, _, digest)| digest)
    }

    fn json(&self, repository: &str, digest: &str) -> Value {
        let bytes = self.registry.blob(repository, digest).expect(digest);
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Returns manifest and config of a tag.
    fn image(&self, name: &str) -> (Value, Value) {
        let (repository, _) = name.split_once(':').unwrap();
        let manifest = self.json(repository, &self.digest(name).expect(name));
        let config = self.json(repository, manifest["config"]["digest"].as_str().unwrap());
        (manifest, config)
    }
}

/// Returns a text in a table of tables; empty where there is none.
fn text<'a>(table: &'a toml::Table, path: &[&str]) -> &'a str {
    let (first, rest) = path.split_first().unwrap();
    let found = table.get(*first);
    let found = rest.iter().fold(found, |it, key| it?.get(key));
    found.and_then(toml::Value::as_str).unwrap_or_default()
}

/// COM-046 to COM-048, COM-072, EXP-008, EXP-078, EXP-082, EXP-084: with every kind of registry, twice.
#[test]
fn root_every_kind_of_registry_serves_a_build() {
    if !(requires_root() && Registry::is_possible()) {
        return;
    }
    for (registry, auth) in [
        (Registry::start(), None),
        (Registry::with_password(), Some(basic_header())),
        (Registry::with_tokens(), Some(basic_header())),
    ] {
        let mut site = Site::with(registry);
        let auth = auth.map(|header| format!(r#"{{"{}":"{header}"}}"#, site.host));
        site.env
            .extend(auth.map(|auth| ("CNB_REGISTRY_AUTH", auth)));
        site.until_export(&[]);
        let log = site
            .run("exporter", &["%/app", "%/app:two", "%/other/app"])
            .ok();

        let analyzed = site.toml("layers/analyzed.toml");
        let run = format!(
            "{}@{}",
            site.name("run"),
            site.digest("run:latest").unwrap()
        );
        assert_eq!(text(&analyzed, &["run-image", "reference"]), run);
        assert_eq!(text(&analyzed, &["run-image", "image"]), site.name("run"));
        assert_eq!(text(&analyzed, &["image", "reference"]), "");

        let digest = site.digest("app:latest").unwrap();
        assert!(log.contains(&format!("*** Images ({digest}):\n")), "{log}");
        let names = ["app", "app:two", "other/app"].map(|it| site.name(it));
        for name in &names {
            assert!(log.contains(&format!("\n      {name}\n")), "{log}");
        }
        assert_eq!(site.digest("app:two").unwrap(), digest);
        assert_eq!(site.digest("other/app:latest").unwrap(), digest);
        let report = site.toml("report/report.toml");
        assert_eq!(text(&report, &["image", "digest"]), digest);
        let tags = report["image"]["tags"].as_array().unwrap();
        assert!(tags.iter().filter_map(toml::Value::as_str).eq(&names));
        let bytes = site.registry.blob("app", &digest).unwrap().len();
        assert_eq!(
            report["image"]["manifest-size"].as_integer(),
            i64::try_from(bytes).ok()
        );
        let (_, config) = site.image("app:latest");
        let label = config["config"]["Labels"]["io.buildpacks.lifecycle.metadata"].as_str();
        let label: Value = serde_json::from_str(label.unwrap()).unwrap();
        assert_eq!(label["runImage"]["reference"], run);

        // Unchanged, so it is the same image again.
        let log = site.until_export(&[]) + &site.run("exporter", &["%/app"]).ok();
        let previous = format!("{}@{digest}", site.name("app"));
        assert!(
            log.contains(&format!("Reusing layers from image '{previous}'")),
            "{log}"
        );
        assert!(!log.contains("Adding layer"), "{log}");
        assert_eq!(site.digest("app:latest").unwrap(), digest);
    }
}

/// COM-048, COM-049: root alone can read the file, and the phase that uses what is in it is not root.
#[test]
fn root_credentials_are_read_before_the_user_is_switched() {
    if !(requires_root() && Registry::is_possible()) {
        return;
    }
    let mut site = Site::with(Registry::with_password());
    let config = site.build.path("docker/config.json");
    let helper = site.build.path("helpers/docker-credential-test");
    let plain =
        serde_json::json!({"auths": {&*site.host: {"username": USER, "password": PASSWORD}}});
    let by_helper = serde_json::json!({"credHelpers": {&*site.host: "test"}});
    let script = format!(
        "#!/bin/sh\n[ \"$(id -u)\" = 0 ] && echo '{{\"Username\":\"{USER}\",\"Secret\":\"{PASSWORD}\"}}'\n"
    );
    site.build.write("helpers/docker-credential-test", &script);
    fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:/usr/bin:/bin", helper.parent().unwrap().display());
    site.env = vec![
        (
            "DOCKER_CONFIG",
            config.parent().unwrap().display().to_string(),
        ),
        ("PATH", path),
    ];
    for text in [plain, by_helper] {
        site.build.write("docker/config.json", &text.to_string());
        fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
        site.until_export(&[]);
        site.run("exporter", &["%/app"]).ok();
        let creator = [
            "-run-image",
            "%/run",
            "-cache-image",
            "%/cache",
            "%/created",
        ];
        site.run("creator", &creator).ok();
        site.run("rebaser", &["-run-image", "%/run", "-force", "%/app"])
            .ok();
        assert_eq!(
            (UID, GID),
            (65534, 1235),
            "nobody, who cannot read the file"
        );
    }
}

/// COM-058, COM-057: the image of this machine's platform, by its own digest; none for it is none at all.
#[test]
fn root_an_index_gives_the_image_of_this_platform() {
    let Some(site) = Site::open() else {
        return;
    };
    let layout = site.build.path("index");
    let of = |architecture| {
        let sample = Sample {
            architecture,
            ..Sample::plain()
        };
        let descriptor = sample.write(&layout);
        site.registry.take_image("multi", &layout, &descriptor);
        descriptor
    };
    let foreign = ["s390x", "riscv64"].map(of);
    let own = of(image::this_architecture());
    let both = [&foreign[..], std::slice::from_ref(&own)].concat();
    for (tag, manifests) in [("both", &both[..]), ("foreign", &foreign)] {
        let index =
            serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let index = index.to_string();
        site.registry
            .take_manifest("multi", tag, INDEX, index.as_bytes());
    }
    site.run("analyzer", &["-run-image", "%/multi:both", "%/app"])
        .ok();
    let analyzed = site.toml("layers/analyzed.toml");
    let expected = format!("{}@{}", site.name("multi"), own["digest"].as_str().unwrap());
    assert_eq!(text(&analyzed, &["run-image", "reference"]), expected);

    let log = site
        .run("analyzer", &["-run-image", "%/multi:foreign", "%/app"])
        .ok();
    assert!(log.contains("s390x"), "{log}");
    let name = site.name("multi:foreign");
    assert!(
        log.contains(&format!("Image with name \"{name}\" not found")),
        "{log}"
    );
    assert_eq!(
        text(
            &site.toml("layers/analyzed.toml"),
            &["run-image", "reference"]
        ),
        ""
    );
}

/// COM-055, COM-062: near the output first, and only what can be read.
#[test]
fn root_the_run_image_is_the_best_mirror_that_can_be_read() {
    let Some(site) = Site::open() else {
        return;
    };
    let name = site.name("run");
    let near = format!(
        "[[images]]\nimage = \"127.0.0.1:1/run\"\nmirrors = [\"127.0.0.1:1/again\", \"{name}\"]\n"
    );
    site.build.write("run.toml", &near);
    site.run("analyzer", &["%/app"]).ok();
    assert_eq!(
        text(&site.toml("layers/analyzed.toml"), &["run-image", "image"]),
        name
    );

    site.build
        .write("run.toml", "[[images]]\nimage = \"127.0.0.1:1/run\"\n");
    let ran = site.run("analyzer", &["%/app"]);
    assert_eq!(ran.code, 3, "{}", ran.text);
    let expected = "ERROR: failed to resolve inputs: failed to find accessible run image\n";
    assert!(ran.text.ends_with(expected), "{}", ran.text);
}

/// COM-053, COM-054: a CA of one's own, and a registry that need not have one.
#[test]
fn root_certificates_are_checked_unless_the_registry_is_declared_insecure() {
    if !(requires_root() && Registry::is_possible()) {
        return;
    }
    let registry = Registry::with_tls();
    let build = Build::new();
    let name = format!(
        "localhost:{}/app",
        registry.address().split_once(':').unwrap().1
    );
    let analyze = |args: &[&str], ca: Option<&std::path::Path>| {
        let args = [args, &["-run-image", &name, &name]].concat();
        let mut command = build.by_variables("analyzer", "0.13", &args);
        command.env_remove("CNB_USE_LAYOUT");
        command.envs(ca.map(|ca| ("SSL_CERT_FILE", ca)));
        Ran::of(&mut command)
    };
    let ran = analyze(&[], None);
    assert_eq!(ran.code, 32, "{}", ran.text);
    assert!(ran.text.contains("SSL_CERT_FILE"), "{}", ran.text);
    analyze(&[], Some(&registry.ca())).ok();
    let (host, _) = name.split_once('/').unwrap();
    analyze(&["-insecure-registry", host], None).ok();
    // Names match exactly.
    assert_eq!(analyze(&["-insecure-registry", "localhost"], None).code, 32);
    assert_eq!(analyze(&["-insecure-registry", ""], None).code, 32);
}
