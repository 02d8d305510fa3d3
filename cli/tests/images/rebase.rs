use layout::{Image, Layout};
use serde_json::json;
use tests::engine::{Daemon, KINDS};
use tests::fault_proxy::FaultProxy;
use tests::registry::Registry;

use crate::kit::{Site, app_image, open, run_image};

/// Returns the diffIDs that an image on `run` has, if its app is that of `app`.
#[track_caller]
fn assert_rebased(image: &Image, app: &Image, run: &Image) {
    assert_eq!(image.diff_ids()[0], run.diff_ids()[0]);
    assert_eq!(image.diff_ids()[1..], app.diff_ids()[1..]);
    let label = image.label("io.buildpacks.lifecycle.metadata").unwrap();
    let label: serde_json::Value = serde_json::from_str(label).unwrap();
    let top = run.top_layer().unwrap().to_string();
    assert_eq!(label["runImage"]["topLayer"], top);
    let reference = label["runImage"]["reference"].as_str().unwrap();
    assert!(
        reference.ends_with(&run.digest().to_string()),
        "{reference}"
    );
    assert_eq!(
        image.label("io.buildpacks.base.id"),
        run.label("io.buildpacks.base.id")
    );
}

#[test]
fn an_app_gets_the_newest_of_its_run_image() {
    let site = Site::with_app();
    let app = open(&site.path("app"));
    let run = site.repo("library/run/latest");
    run_image(&run, "2");
    let out = site.slipway(&["rebase", "oci:app"]).ok();
    assert!(
        out.ends_with("Successfully rebased image oci:app\n"),
        "{out}"
    );
    assert_rebased(&open(&site.path("app")), &app, &open(&run));
    // It keeps its name.
    let images = Layout::at(site.path("app")).images().unwrap().unwrap();
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].ref_name.as_deref(), Some("v1"));
    site.slipway(&["layout", "verify", "app"]).ok();
}

#[test]
fn a_mirror_that_is_here_will_do() {
    let site = Site::with_app();
    site.set("pull-policy = \"never\"\n");
    let app = open(&site.path("app"));
    fs_err::remove_dir_all(site.repo("library/run")).unwrap();
    site.slipway(&["rebase", "oci:app"]).fails_with(&[
        "failed to open the run image run",
        "library/run/latest",
        "name another one: --run-image IMAGE",
    ]);
    let mirror = site.path("home/layout-repo/example.org/mirror/run/latest");
    run_image(&mirror, "2");
    site.slipway(&["rebase", "oci:app"]).ok();
    assert_rebased(&open(&site.path("app")), &app, &open(&mirror));
}

#[test]
fn a_run_image_by_its_path_needs_no_name() {
    let site = Site::with_app();
    let app = open(&site.path("app"));
    run_image(&site.path("new-run"), "2");
    let args = ["rebase", "oci:app", "--run-image", "oci:new-run"];
    site.slipway(&args).ok();
    let rebased = open(&site.path("app"));
    assert_rebased(&rebased, &app, &open(&site.path("new-run")));
}

#[test]
fn the_result_can_go_elsewhere() {
    let site = Site::with_app();
    let app = open(&site.path("app"));
    run_image(&site.repo("library/run/latest"), "2");
    let run = open(&site.repo("library/run/latest"));
    let args = [
        "rebase",
        "rebased:v2",
        "--previous-image",
        "oci:app:v1",
        "--report-output-dir",
        "report",
    ];
    site.slipway(&args).ok();
    assert_eq!(open(&site.path("app")).digest(), app.digest());
    let rebased = open(&site.repo("library/rebased/v2"));
    assert_rebased(&rebased, &app, &run);
    let report = fs_err::read_to_string(site.path("report/report.toml")).unwrap();
    assert!(report.contains(&rebased.digest().to_string()), "{report}");
}

#[test]
fn what_does_not_fit_is_refused_or_forced() {
    let site = Site::new();
    let run = site.repo("library/run/latest");
    run_image(&run, "1");
    run_image(&site.repo("library/other/latest"), "2");
    let dir = site.path("app");
    app_image(&dir, "v1", &run, &|_| {});
    let before = open(&dir);
    let args = ["rebase", "oci:app", "--run-image", "other"];
    let ran = site.slipway(&args);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(
        ran.err.contains("new base image 'other' not found"),
        "{}",
        ran.err
    );
    assert_eq!(open(&dir).digest(), before.digest());
    let forced = site.slipway(&[&args[..], &["--force"]].concat());
    assert_eq!(forced.status, 0, "{}", forced.err);
    assert_ne!(open(&dir).digest(), before.digest());
}

#[test]
fn what_cannot_be_rebased_is_told() {
    let site = Site::with_app();
    let run = site.repo("library/run/latest");
    site.slipway(&["rebase", "run"])
        .fails_with(&["failed to read run", "it was not built by buildpacks"]);
    site.slipway(&["rebase", "oci:absent"])
        .fails_with(&["no OCI image layout in absent"]);
    app_image(&site.path("unnamed"), "v1", &run, &|[metadata, _]| {
        metadata["runImage"]["image"] = json!("");
    });
    site.slipway(&["rebase", "oci:unnamed"])
        .fails_with(&["--run-image IMAGE"]);
    app_image(&site.path("odd"), "v1", &run, &|[metadata, _]| {
        metadata["runImage"]["topLayer"] = json!("sha256:nothing");
    });
    let ran = site.slipway(&["rebase", "oci:odd"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("could not find base layer"), "{}", ran.err);
}

#[test]
fn images_beside_it_are_not_lost() {
    let site = Site::with_app();
    site.slipway(&["layout", "copy", "run", "oci:app:other"])
        .ok();
    let args = ["rebase", "oci:app:v1"];
    site.slipway(&args)
        .fails_with(&["holds other images too", "slipway layout copy oci:app:v1"]);
    let images = Layout::at(site.path("app")).images().unwrap().unwrap();
    assert_eq!(images.len(), 2);
}

#[test]
fn an_app_in_a_registry_is_rebased_there_and_no_layer_of_it_travels() {
    if !Registry::is_possible() {
        return;
    }
    let (registry, site) = (Registry::start(), Site::new());
    let proxy = FaultProxy::before(&registry.address());
    let name = proxy.name("run");
    run_image(&site.path("run"), "1");
    app_image(&site.path("app"), "v1", &site.path("run"), &|[
        metadata,
        _,
    ]| {
        metadata["runImage"]["image"] = json!(name);
    });
    site.push("oci:app", &registry.name("app"));
    run_image(&site.path("run"), "2");
    site.push("oci:run", &registry.name("run"));

    let app = proxy.name("app");
    let more = ["--publish", "--report-output-dir", "report"];
    let out = site.slipway(&[&["rebase", &app], &more[..]].concat()).ok();
    assert!(out.ends_with(&format!("Successfully rebased image {app}\n")));
    let (old, run) = (open(&site.path("app")), open(&site.path("run")));
    for (_, layer) in old.layers().chain(run.layers()) {
        assert!(proxy.seen("GET", layer.digest.as_ref()).is_empty());
    }
    let there = format!("docker://{}", registry.name("app"));
    site.slipway(&["layout", "copy", &there, "oci:back"]).ok();
    let back = open(&site.path("back"));
    assert_rebased(&back, &old, &run);
    let report = fs_err::read_to_string(site.path("report/report.toml")).unwrap();
    assert!(report.contains(&back.digest().to_string()), "{report}");
    site.slipway(&["layout", "verify", "back"]).ok();
    site.slipway(&["rebase", "oci:app", "--publish"])
        .fails_with(&["--publish is for a name in a registry"]);
}

#[test]
fn foreign_an_app_in_a_daemon_is_rebased_there() {
    for kind in KINDS {
        let Some(daemon) = Daemon::start(kind) else {
            return;
        };
        let (host, site) = (daemon.host(), Site::with_app());
        let env = [("DOCKER_HOST", host.as_str())];
        let slipway = |args: &[&str]| site.slipway_with(&env, args);
        slipway(&["layout", "copy", "oci:app", "docker-daemon:app"]).ok();
        run_image(&site.path("run2"), "2");
        slipway(&["layout", "copy", "oci:run2", "docker-daemon:run"]).ok();
        let before = daemon.run(&["image", "inspect", "--format", "{{.Id}}", "app"]);
        slipway(&["rebase", "app"]).ok();
        let after = daemon.run(&["image", "inspect", "--format", "{{.Id}}", "app"]);
        assert_ne!(before, after, "{kind:?}");
        slipway(&["layout", "copy", "docker-daemon:app", "oci:back"]).ok();
        let (back, app) = (open(&site.path("back")), open(&site.path("app")));
        let run = open(&site.path("run2"));
        assert_eq!(back.diff_ids()[0], run.diff_ids()[0], "{kind:?}");
        assert_eq!(back.diff_ids()[1..], app.diff_ids()[1..], "{kind:?}");
        slipway(&["rebase", "absent"]).fails_with(&["has no image absent", &host]);
    }
}
