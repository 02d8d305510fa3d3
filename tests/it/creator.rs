//! The creator as a platform sees it: headers, one user, who phases run as.

use std::os::unix::fs::MetadataExt as _;

use fs_err as fs;
use tests::build::{Build, GID, UID};
use tests::program::{Ran, requires_root};

/// CRE-004, CRE-008, CRE-009.
#[test]
fn root_each_phase_has_a_header_in_cyan() {
    if !requires_root() {
        return;
    }
    let all = [
        "ANALYZING",
        "DETECTING",
        "RESTORING",
        "BUILDING",
        "EXPORTING",
    ];
    for (api, skip, restores) in [
        ("0.7", false, true),
        ("0.7", true, false),
        ("0.9", true, false),
        ("0.10", true, true),
        ("0.15", true, true),
        ("0.15", false, true),
    ] {
        let build = Build::new();
        build.hand_over_report();
        for no_color in [false, true] {
            let args = ["-run-image", "run", &format!("-skip-restore={skip}"), "app"];
            let mut command = build.by_variables("creator", api, &args);
            command.env("CNB_NO_COLOR", no_color.to_string());
            let log = Ran::of(&mut command).ok();
            let headers: Vec<_> = log.lines().filter(|line| line.contains("===> ")).collect();
            let expected = all.iter().filter(|name| restores || **name != "RESTORING");
            let expected: Vec<_> = expected
                .map(|name| {
                    let header = format!("===> {name}");
                    if no_color {
                        header
                    } else {
                        format!("\u{1b}[36m{header}\u{1b}[0m")
                    }
                })
                .collect();
            assert_eq!(headers, expected, "{api} {skip} {no_color}");
        }
    }
}

/// CRE-004: the headers stand before what the phases do, not only in this order.
#[test]
fn root_phases_run_in_the_order_of_their_headers() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.hand_over_report();
    let log = Ran::of(build.creator().args(["-log-level=debug", "app"])).ok();
    let mut at = 0;
    for line in [
        "===> ANALYZING",
        "Timer: Analyzer started at",
        "Timer: Analyzer ran for",
        "===> DETECTING",
        "Timer: Detector started at",
        "===> RESTORING",
        "Timer: Restorer started at",
        "===> BUILDING",
        "Timer: Builder started at",
        "making a greeting",
        "===> EXPORTING",
        "Timer: Exporter started at",
        "*** Images",
    ] {
        let found = log[at..].find(line);
        at += found.unwrap_or_else(|| panic!("{line} behind {} in {log}", &log[..at]));
    }
}

/// CRE-012: one user for all, root included.
#[test]
fn root_all_phases_run_as_one_user() {
    if !requires_root() {
        return;
    }
    for (uid, gid) in [(UID, GID), (0, 0)] {
        let build = Build::new();
        let whoami = "#!/usr/bin/env bash\necho \"$(id -u):$(id -g)\" > \"$OUT/PHASE\"\n";
        let out = build.path("out");
        fs::create_dir(&out).unwrap();
        std::os::unix::fs::chown(&out, Some(uid), Some(gid)).unwrap();
        let whoami = whoami.replace("$OUT", out.to_str().unwrap());
        build.buildpack("acme/hello", &whoami.replace("PHASE", "build"));
        let detect = whoami.replace("PHASE", "detect");
        build.write("buildpacks/acme_hello/1.0.0/bin/detect", &detect);
        build.hand_over_report();
        let ids = [uid.to_string(), gid.to_string()];
        Ran::of(
            build
                .creator()
                .args(["-uid", &ids[0], "-gid", &ids[1], "app"]),
        )
        .ok();
        for phase in ["detect", "build"] {
            let ran_as = fs::read_to_string(out.join(phase)).unwrap();
            assert_eq!(ran_as, format!("{uid}:{gid}\n"), "{phase}");
        }
        for file in [
            "layers/analyzed.toml",
            "layers/group.toml",
            "layers/config/metadata.toml",
            "report/report.toml",
            "layout/index.docker.io/library/app/latest/index.json",
        ] {
            let metadata = fs::metadata(build.path(file)).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (uid, gid), "{file}");
        }
    }
}

/// CRE-003: variables of files count though the creator has no flags for them.
#[test]
fn root_files_can_be_elsewhere() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.hand_over_report();
    let mut command = build.creator();
    for name in ["analyzed", "group", "plan"] {
        let variable = format!("CNB_{}_PATH", name.to_uppercase());
        command.env(variable, build.path(&format!("report/{name}.toml")));
    }
    Ran::of(command.arg("app")).ok();
    for name in ["analyzed", "group", "plan"] {
        assert!(
            build.path(&format!("report/{name}.toml")).is_file(),
            "{name}"
        );
        assert!(
            !build.path(&format!("layers/{name}.toml")).exists(),
            "{name}"
        );
    }
}
