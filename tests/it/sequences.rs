//! Platforms of today build as they do in a cluster or on a desktop, twice: every phase in a container of its own, images in
//! a registry that asks for a password or in a daemon, and what a platform reads afterwards.

use std::cell::Cell;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown};

use fs_err as fs;
use serde_json::json;
use tests::build::BUILD_HELLO;
use tests::container::{Container, From, Site, USER};
use tests::image;
use tests::program::{Ran, requires, requires_root, run};
use tests::registry::{self, PASSWORD, Registry, basic_header};

use super::callers::{site_of, whole};

mod kpack;
mod pack;
mod pods;
mod shipwright;
mod tekton;

/// The volumes that begin empty with each build.
const EMPTY: [&str; 5] = ["workspace", "layers", "platform", "report", "home"];

/// A builder with its volumes, and a registry with a password that has the run image.
struct Cluster {
    site: Site,
    registry: Registry,
    /// The name of the run image, by digest.
    run: String,
    /// How many images were pulled, each into a folder of its own.
    pulled: Cell<u32>,
}

impl Cluster {
    /// None where a program for it is missing.
    fn start() -> Option<Self> {
        let is_possible = requires_root()
            && requires(&["runc", "umoci", "skopeo", "jq"])
            && Registry::is_possible();
        is_possible.then(|| Self::with(Registry::with_password()))
    }

    fn with(registry: Registry) -> Self {
        let run = registry.name("team/run:1.2");
        let site = site_of(BUILD_HELLO, &run);
        let layout = site.run_image("run", 0);
        let image = image::read(&layout).descriptor;
        registry.take_image("team/run", &layout, &image);
        let manifest = image::read_blob(&layout, &image);
        registry.take_manifest("team/run", "1.2", image::MANIFEST, &manifest);
        let digest = image["digest"].as_str().unwrap();
        let cluster = Self {
            run: registry.name(&format!("team/run@{digest}")),
            site,
            registry,
            pulled: Cell::new(0),
        };
        cluster.volume("cache");
        // A file system of its own has this folder, and only root may look into it.
        cluster.site.folder("cache/lost+found", 0);
        let lost = cluster.site.path("cache/lost+found");
        fs::set_permissions(lost, Permissions::from_mode(0o700)).unwrap();
        cluster.fresh_volumes();
        cluster
    }

    /// Makes a volume as Kubernetes does for a pod with an fsGroup: root's, and all that is made in it is the group's.
    fn volume(&self, name: &str) {
        let path = self.site.folder(name, 0);
        chown(&path, Some(0), Some(USER)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o2777)).unwrap();
    }

    /// Makes the volumes that live as long as one build, with an app and credentials.
    fn fresh_volumes(&self) {
        for volume in EMPTY {
            fs::remove_dir_all(self.site.path(volume)).ok();
            self.volume(volume);
        }
        let site = &self.site;
        site.file("workspace/hello.txt", "hello\n", USER, 0o644);
        site.folder("home/.docker", USER);
        let auth = basic_header().replace("Basic ", "");
        let config = json!({"auths": {self.registry.address(): {"auth": auth}}});
        site.file("home/.docker/config.json", &config.to_string(), USER, 0o600);
    }

    fn name(&self, image: &str) -> String {
        self.registry.name(image)
    }

    /// A container of a pod: not root, no capabilities, a root file system that cannot be written.
    fn pod(&self, api: &str) -> Container<'_> {
        self.site
            .container(From::Builder)
            .user(USER, &[])
            .read_only()
            .workdir("/workspace")
            .env(&[&format!("CNB_PLATFORM_API={api}")])
            .bind("workspace", "/workspace", "rw")
            .bind("layers", "/layers", "rw")
            .bind("platform", "/platform", "ro")
            .bind("report", "/var/report", "rw")
            .bind("home", "/home/builder", "rw")
            .bind("cache", "/cache", "rw")
    }

    /// Pulls an image, checks all of its blobs and that it starts, and returns it.
    fn check_app(&self, name: &str) -> image::Written {
        let count = self.pulled.get();
        self.pulled.set(count + 1);
        let layout = self.site.path(&format!("pulled-{count}"));
        let place = format!("oci:{}:latest", layout.display());
        let login = format!("--src-creds={}", login());
        let source = format!("docker://{name}");
        let words = ["copy", "--quiet", "--src-tls-verify=false", &login];
        run("skopeo", &[&words[..], &[&source, &place]].concat());
        let image = whole(&layout);
        assert_eq!(self.site.start(&layout, "latest", &[]).ok(), "hello\n");
        image
    }
}

/// Returns user and password of the registry.
fn login() -> String {
    format!("{}:{PASSWORD}", registry::USER)
}

/// Returns the digest that skopeo gets from the registry for a name.
fn digest_of(name: &str) -> String {
    let (login, name) = (format!("--creds={}", login()), format!("docker://{name}"));
    let words = ["inspect", "--tls-verify=false", &login];
    let words = [&words[..], &["--format", "{{.Digest}}", &name]].concat();
    run("skopeo", &words).trim_end().to_owned()
}

/// Fails unless a second build took what the first left, from the cache and from the image before.
#[track_caller]
fn assert_again(log: &str) {
    for line in [
        "Restoring data for \"acme/hello:greeting\" from cache",
        "reusing the greeting",
        "Reusing layer 'acme/hello:greeting'",
        "Reusing cache layer 'acme/hello:scratch'",
    ] {
        assert!(log.contains(line), "{line} in {log}");
    }
    assert!(!log.contains("Adding layer"), "{log}");
}

/// Runs phases until one fails.
#[track_caller]
fn all_ok(lines: &[String], phase: impl Fn(&str) -> Ran) -> String {
    let texts = lines.iter().map(|line| {
        let ran = phase(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.text);
        ran.text
    });
    texts.collect()
}
