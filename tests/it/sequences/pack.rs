//! pack, for a daemon and for a registry: one container with a builder that it trusts, else one for each phase.

use std::os::unix::fs::chown;

use fs_err as fs;
use tests::build::BUILD_HELLO;
use tests::container::{DOCKER, From, Site, USER};
use tests::engine::{Daemon, Kind};
use tests::program::{requires, requires_optimised, requires_root, run};
use tests::registry::basic_header;

use super::{Cluster, all_ok, assert_again, digest_of};
use crate::callers::pack::{pack, pack_volumes};
use crate::callers::{RUN, grep_the_digest, site_of};

/// Where pack's containers find the daemon.
const SOCKET: &str = "/var/run/docker.sock";

/// What is different between the targets of a build.
struct Target<'a> {
    site: &'a Site,
    /// Flags of the phases that reach images.
    flags: &'a str,
    run: &'a str,
    env: String,
    /// The daemon's socket, if it is a daemon.
    socket: Option<String>,
}

impl Target<'_> {
    /// The one line for a trusted builder.
    fn creator(&self, options: &str, name: &str) -> Vec<String> {
        let (flags, run) = (self.flags, self.run);
        vec![format!(
            "/cnb/lifecycle/creator {flags} -app /workspace -cache-dir /cache -run-image {run} {options} {name}"
        )]
    }

    /// The five lines for others.
    fn phases(&self, name: &str) -> Vec<String> {
        let (flags, run) = (self.flags, self.run);
        let daemon = flags.split(' ').next().unwrap();
        vec![
            format!(
                "/cnb/lifecycle/analyzer {flags} -run /layers/run.toml -run-image {run} {name}"
            ),
            "/cnb/lifecycle/detector -app /workspace".to_owned(),
            format!("/cnb/lifecycle/restorer -cache-dir /cache {daemon}"),
            "/cnb/lifecycle/builder -app /workspace".to_owned(),
            format!(
                "/cnb/lifecycle/exporter {flags} -app /workspace -cache-dir /cache -run /layers/run.toml {name}"
            ),
        ]
    }

    /// Runs one build with new volumes, which are root's until a phase hands them over.
    fn build(&self, lines: &[String]) -> String {
        let site = self.site;
        pack_volumes(site);
        let run = format!("[[images]]\nimage = \"{}\"\n", self.run);
        site.file("layers/run.toml", &run, 0, 0o755);
        chown(site.path("layers"), Some(0), Some(0)).unwrap();
        let ids = [
            format!("CNB_USER_ID={USER}"),
            format!("CNB_GROUP_ID={USER}"),
        ];
        let is_alone = lines.len() > 1;
        all_ok(lines, |line| {
            if line.contains("/detector") || line.contains("/builder") {
                let container = pack(site, From::Builder).user(USER, DOCKER);
                return container.line(line);
            }
            let from = if is_alone {
                From::Lifecycle
            } else {
                From::Builder
            };
            let mut container = pack(site, from)
                .env(&[&self.env, &ids[0], &ids[1]])
                .bind("cache", "/cache", "rw");
            if let Some(socket) = &self.socket {
                container = container.bind(socket, SOCKET, "rw").bind(
                    "launch-cache",
                    "/launch-cache",
                    "rw",
                );
            }
            container.line(line)
        })
    }

    /// Builds twice and returns the log of the second.
    fn twice(&self, lines: &[String]) -> String {
        fs::remove_dir_all(self.site.path("cache")).ok();
        self.site.folder("cache", 0);
        let log = self.build(lines);
        assert!(log.contains("making a greeting"), "{log}");
        let log = self.build(lines);
        assert_again(&log);
        log
    }
}

/// Gives a daemon the run image, as pack does before it builds.
fn load_run_image(daemon: &Daemon, site: &Site) {
    let layout = format!("oci:{}:latest", site.run_image("run", 0).display());
    let archive = site.path("run.tar");
    let place = format!("docker-archive:{}:{RUN}", archive.display());
    run("skopeo", &["copy", "--quiet", &layout, &place]);
    daemon.run(&["load", "-i", archive.to_str().unwrap()]);
}

fn with_a_daemon(kind: Kind) {
    // The daemon starts what was built, so the launcher must not need libraries that the run image lacks.
    if !(requires_root() && requires(&["runc", "umoci", "skopeo"]) && requires_optimised()) {
        return;
    }
    let Some(daemon) = Daemon::start(kind) else {
        return;
    };
    let site = site_of(BUILD_HELLO, RUN);
    site.folder("launch-cache", 0);
    load_run_image(&daemon, &site);
    let target = Target {
        site: &site,
        flags: "-daemon -launch-cache /launch-cache",
        run: RUN,
        env: "CNB_REGISTRY_AUTH={}".to_owned(),
        socket: Some(daemon.socket().display().to_string()),
    };
    let check = |name: &str| {
        let id = daemon.run(&["image", "inspect", "--format", "{{.Id}}", name]);
        let report = fs::read_to_string(site.path("layers/report.toml")).unwrap();
        let report: toml::Table = report.parse().unwrap();
        let reported = report["image"]["image-id"].as_str().unwrap();
        let hex = |it: &str| it.trim_end().trim_start_matches("sha256:").to_owned();
        assert_eq!(hex(reported), hex(&id));
        let answer = daemon.run(&["run", "--rm", "--network", "none", name]);
        assert_eq!(answer, "hello\n");
        hex(&id)
    };
    target.twice(&target.creator("", "trusted"));
    let trusted = check("trusted");
    target.twice(&target.phases("untrusted"));
    check("untrusted");

    let options = "-tag trusted:two -gid 1000 -uid 1000 -previous-image trusted -process-type web";
    let log = target.build(&target.creator(options, "trusted:one"));
    assert!(!log.contains("Adding layer"), "{log}");
    assert_eq!(check("trusted:one"), trusted);
    assert_eq!(check("trusted:two"), trusted);
}

#[test]
fn root_pack_builds_into_docker() {
    with_a_daemon(Kind::Docker);
}

#[test]
fn root_pack_builds_into_podman() {
    with_a_daemon(Kind::Podman);
}

/// `--publish`: the containers get the credentials in a variable.
#[test]
fn root_pack_publishes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let auth = format!(
        "CNB_REGISTRY_AUTH={{\"{}\":\"{}\"}}",
        cluster.registry.address(),
        basic_header()
    );
    let run = cluster.name("team/run:1.2");
    let target = Target {
        site: &cluster.site,
        flags: "",
        run: &run,
        env: auth,
        socket: None,
    };
    let check = |name: &str| {
        let image = cluster.check_app(name);
        let digest = digest_of(name);
        assert_eq!(image.digest(), digest);
        grep_the_digest(&cluster.site.path("layers/report.toml"), &digest);
        digest
    };
    let trusted = cluster.name("team/trusted");
    target.twice(&target.creator("", &trusted));
    let digest = check(&trusted);
    let untrusted = cluster.name("team/untrusted:latest");
    target.twice(&target.phases(&untrusted));
    check(&untrusted);

    let options = format!(
        "-tag {trusted}:two -gid 1000 -uid 1000 -insecure-registry {} -previous-image {trusted} -process-type web \
         -cache-image {}",
        cluster.registry.address(),
        cluster.name("team/cache:latest")
    );
    let log = target.build(&target.creator(&options, &format!("{trusted}:one")));
    assert!(!log.contains("Adding layer"), "{log}");
    for tag in ["one", "two"] {
        assert_eq!(digest_of(&format!("{trusted}:{tag}")), digest);
    }
    assert!(digest_of(&cluster.name("team/cache:latest")).starts_with("sha256:"));
}
