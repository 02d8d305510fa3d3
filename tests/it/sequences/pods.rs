//! A whole pod, as Kubernetes would start it: kpack's init containers one after another, then the one that reads the report.

use std::process::Command;

use fs_err as fs;
use serde_json::{Value, json};
use tests::build::BUILD_HELLO;
use tests::container::USER;
use tests::engine::{Daemon, Kind};
use tests::program::{Ran, requires, run};

use super::{Cluster, assert_again, digest_of, kpack};

/// The builder as podman knows it.
const BUILDER: &str = "localhost/builder:latest";

/// Podman with the builder; its pods go with it.
struct Kubelet(Daemon);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.run(&["pod", "rm", "--force", "--all"]);
    }
}

impl Kubelet {
    fn start(cluster: &Cluster) -> Option<Self> {
        if !requires(&["catatonit"]) {
            return None;
        }
        let kubelet = Self(Daemon::start(Kind::Podman)?);
        // An emptyDir belongs to whom the folder in the image belongs to.
        cluster.site.folder("builder/rootfs/layers", USER);
        let (root, tar) = (
            cluster.site.path("builder/rootfs"),
            cluster.site.path("b.tar"),
        );
        let (root, tar) = (root.to_str().unwrap(), tar.to_str().unwrap());
        run("tar", &["-C", root, "-cf", tar, "."]);
        let config = fs::read(cluster.site.path("builder/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        let env = config["process"]["env"].as_array().unwrap().iter();
        let env: Vec<_> = env
            .map(|it| format!("--change=ENV {}", it.as_str().unwrap()))
            .collect();
        let env = env.iter().map(String::as_str);
        let words: Vec<_> = ["import", "--quiet"]
            .into_iter()
            .chain(env)
            .chain([tar, BUILDER])
            .collect();
        kubelet.0.run(&words);
        Some(kubelet)
    }
}

/// One container with everything that a careful cluster takes away from it.
fn container(name: &str, command: &[&str], env: &[String], cluster: &Cluster) -> Value {
    let variables = env.iter().map(|it| it.split_once('=').unwrap());
    let env: Vec<_> = variables
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let mounts: Vec<_> = volumes(cluster)
        .iter()
        .map(|(name, place, _)| json!({"name": name, "mountPath": place}))
        .collect();
    json!({
        "name": name, "image": BUILDER, "imagePullPolicy": "Never", "command": command, "env": env,
        "workingDir": "/workspace", "volumeMounts": mounts,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": USER, "runAsGroup": USER, "readOnlyRootFilesystem": true,
            "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
        },
    })
}

/// Name, mount point and source of each volume.
fn volumes(cluster: &Cluster) -> Vec<(&'static str, &'static str, Value)> {
    let host = |name: &str| json!({"hostPath": {"path": cluster.site.path(name)}});
    vec![
        ("workspace", "/workspace", host("workspace")),
        ("layers", "/layers", json!({"emptyDir": {}})),
        ("platform", "/platform", host("platform")),
        ("report", "/var/report", host("report")),
        ("home", "/home/builder", host("home")),
        ("cache", "/cache", host("cache")),
        ("tmp", "/tmp", host("tmp")),
    ]
}

/// Starts a pod, which waits for all init containers to end.
fn play(kubelet: &Kubelet, cluster: &Cluster, lines: &[String]) -> Ran {
    let mut env = kpack::env(cluster).to_vec();
    env.push("CNB_PLATFORM_API=0.9".to_owned());
    // Containers that ended are gone with what they said, so each writes it to a volume.
    let init: Vec<_> = lines
        .iter()
        .enumerate()
        .map(|(number, line)| {
            let script = format!("{line} >/home/builder/{number}.log 2>&1");
            let name = format!("step-{number}");
            container(&name, &["bash", "-c", &script], &env, cluster)
        })
        .collect();
    let read = "grep digest /var/report/report.toml | cut -d'\"' -f2";
    let completion = container("completion", &["bash", "-c", read], &env, cluster);
    let volumes: Vec<_> = volumes(cluster)
        .into_iter()
        .map(|(name, _, source)| {
            let mut volume = source;
            volume["name"] = json!(name);
            volume
        })
        .collect();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "build"},
        "spec": {
            "restartPolicy": "Never", "initContainers": init, "containers": [completion], "volumes": volumes,
        },
    });
    let file = cluster.site.path("pod.yaml");
    fs::write(&file, pod.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let mut podman = Command::new("podman");
    podman.args(["--remote", "--url", &kubelet.0.host()]);
    Ran::of(podman.args(["play", "kube", "--network", "host", file]))
}

/// Runs a pod to its end; the last container prints what it read from the report.
fn run_pod(kubelet: &Kubelet, cluster: &Cluster, lines: &[String]) -> String {
    play(kubelet, cluster, lines).ok();
    kubelet.0.run(&["wait", "build-completion"]);
    let printed = kubelet.0.run(&["logs", "build-completion"]);
    kubelet.0.run(&["pod", "rm", "--force", "build"]);
    kubelet.0.run(&["volume", "rm", "--force", "--all"]);
    printed.trim_end().to_owned()
}

#[test]
fn root_a_pod_builds_twice() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let Some(kubelet) = Kubelet::start(&cluster) else {
        return;
    };
    let app = cluster.name("team/app");
    let cache = "-cache-dir=/cache";
    let build = |previous: Option<&str>| {
        cluster.volume("tmp");
        let lines = kpack::lines(&cluster, cache, previous);
        let printed = run_pod(&kubelet, &cluster, &lines);
        assert_eq!(printed, digest_of(&app));
        let logs = (0..lines.len()).map(|number| {
            let log = cluster.site.path(&format!("home/{number}.log"));
            fs::read_to_string(log).unwrap()
        });
        (logs.collect::<String>(), printed)
    };
    let (log, digest) = build(None);
    assert!(log.contains("making a greeting"), "{log}");
    cluster.check_app(&app);
    cluster.fresh_volumes();
    let (log, again) = build(Some(&format!("{app}@{digest}")));
    assert_again(&log);
    assert_eq!(again, digest);
}

/// The exit code is what the pod's owner sees, and nothing is in the registry.
#[test]
fn root_a_pod_stops_where_a_buildpack_fails() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let buildpack = "builder/rootfs/cnb/buildpacks/acme_hello/1.0.0/bin/build";
    let failing = format!("{BUILD_HELLO}exit 7\n");
    fs::write(cluster.site.path(buildpack), failing).unwrap();
    let Some(kubelet) = Kubelet::start(&cluster) else {
        return;
    };
    cluster.volume("tmp");
    let lines = kpack::lines(&cluster, "-cache-dir=/cache", None);
    let ran = play(&kubelet, &cluster, &lines);
    assert_ne!(ran.code, 0, "{}", ran.text);
    assert!(ran.text.contains("exited with code 51"), "{}", ran.text);
    assert!(!cluster.site.path("report/report.toml").exists());
    let names = cluster.registry.tags().into_iter();
    let names: Vec<_> = names
        .map(|(name, tag, _)| format!("{name}:{tag}"))
        .collect();
    assert_eq!(names, ["team/run:1.2"]);
}
