//! What phases say of themselves: frames and timers at debug level, colours of buildpacks, where they look for the
//! distribution.

use fs_err as fs;
use tests::build::{BUILD_HELLO, Build, GID, UID};
use tests::program::{Ran, requires_root};

use crate::versions::add_extension;

/// Returns whether a text is a time as RFC 3339 has it, whole seconds.
fn is_time(text: &str) -> bool {
    let shape = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
    let shape: String = text.chars().map(shape).collect();
    ["0000-00-00T00:00:00Z", "0000-00-00T00:00:00+00:00"].contains(&shape.as_str())
}

/// Checks that a unit is timed: first its start, later its end.
fn assert_timed(log: &str, name: &str) {
    let started = format!("Timer: {name} started at ");
    let ran = format!("Timer: {name} ran for ");
    let line = |start: &str| {
        let mut lines = log.lines().enumerate();
        lines
            .find_map(|(at, line)| Some((at, line.strip_prefix(start)?)))
            .unwrap_or_else(|| panic!("{start} in {log}"))
    };
    let ((start, time), (end, rest)) = (line(&started), line(&ran));
    assert!(start < end, "{log}");
    assert!(is_time(time), "{time}");
    let (duration, time) = rest.split_once(" and ended at ").unwrap();
    assert!(is_time(time), "{time}");
    assert!(
        duration.starts_with(|first: char| first.is_ascii_digit()),
        "{duration}"
    );
    assert!(duration.ends_with('s'), "{duration}");
}

/// Returns a command for the rebaser, from variables alone.
pub(crate) fn rebaser(build: &Build) -> std::process::Command {
    let mut command = build.phase("rebaser", &["app"]);
    command
        .env("CNB_USE_LAYOUT", "true")
        .env("CNB_LAYOUT_DIR", build.path("layout"))
        .env("CNB_REPORT_PATH", build.path("report/report.toml"))
        .env("CNB_RUN_IMAGE", "run")
        .env("CNB_FORCE_REBASE", "true")
        .env("CNB_USER_ID", UID.to_string())
        .env("CNB_GROUP_ID", GID.to_string());
    command
}

/// COM-035.
#[test]
fn root_debug_frames_each_phase_and_times_its_parts() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let saving = format!("Saving {}...", build.app_image().display());
    build.hand_over_report();
    add_extension(&build, "api = \"0.10\"\n");
    for (phase, timers) in [
        ("analyzer", &["Analyzer"][..]),
        ("detector", &["Detector", "Generator"]),
        ("restorer", &["Restorer"]),
        ("builder", &["Builder"]),
        ("exporter", &["Exporter", &saving, "Cache"]),
        ("rebaser", &["Rebaser", &saving]),
    ] {
        let command = || match phase {
            "rebaser" => rebaser(&build),
            _ => build.by_hand(phase),
        };
        let log = |level| {
            let mut command = command();
            command.env("CNB_EXTENSIONS_DIR", build.path("extensions"));
            Ran::of(command.env("CNB_LOG_LEVEL", level)).ok()
        };
        let said = log("debug");
        let mut lines = said.lines();
        for frame in [
            &format!("Starting {phase}..."),
            "Parsing inputs...",
            "Ensuring privileges...",
            "Executing command...",
        ] {
            assert!(lines.any(|line| line == frame), "{frame} in {said}");
        }
        for timer in timers {
            assert_timed(&said, timer);
        }
        let said = log("info");
        for debug in ["Starting ", "Timer: ", "Executing command..."] {
            assert!(!said.contains(debug), "{said}");
        }
    }
}

/// COM-033: what buildpacks print keeps its colours, unless there shall be none.
#[test]
fn root_colours_of_buildpacks_follow_the_platform() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let script =
        format!("{BUILD_HELLO}printf '\\033[32mgreen\\033[0m \\033[1'; printf 'mbold\\n' >&2\n");
    build.buildpack("acme/hello", &script);
    Ran::of(&mut build.by_hand("analyzer")).ok();
    Ran::of(&mut build.by_hand("detector")).ok();
    for (no_color, arguments, expected) in [
        ("", &[][..], "\u{1b}[32mgreen\u{1b}[0m \u{1b}[1mbold\n"),
        ("true", &[], "green bold\n"),
        ("", &["-no-color"], "green bold\n"),
    ] {
        let mut command = build.by_hand("builder");
        command.env("CNB_NO_COLOR", no_color).args(arguments);
        let log = Ran::of(&mut command).ok();
        assert!(log.contains(expected), "{log:?}");
        assert_eq!(
            log.contains('\u{1b}'),
            no_color.is_empty() && arguments.is_empty()
        );
    }
}

/// COM-082, COM-083: each phase that runs buildpacks looks for the distribution itself, says so once, and keeps it to itself.
#[test]
fn root_a_distribution_that_the_image_does_not_name_is_looked_up() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    let script = "#!/bin/sh\necho targets:; env | grep CNB_TARGET_ | sort\n";
    for id in ["acme/hello", "acme/second"] {
        build.buildpack(id, script);
    }
    for id in ["acme_hello", "acme_second"] {
        let detect = build.path(&format!("buildpacks/{id}/1.0.0/bin/detect"));
        fs::write(detect, script).unwrap();
    }
    // Only from Buildpack API 0.10 on are there variables.
    build.write(
        "buildpacks/acme_second/1.0.0/buildpack.toml",
        "api = \"0.9\"\n[buildpack]\nid = \"acme/second\"\nversion = \"1.0.0\"\n[[stacks]]\nid = \"*\"\n",
    );
    build.write(
        "order.toml",
        "[[order]]\n[[order.group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\n[[order.group]]\nid = \"acme/second\"\nversion = \"1.0.0\"\n",
    );
    Ran::of(&mut build.by_hand("analyzer")).ok();
    let named = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
    let (unnamed, _) = named.split_once("  [run-image.target.distro]").unwrap();
    let reading = "target distro name/version labels not found, reading /etc/os-release file\n";

    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of_machine = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches('"').to_owned())
    };
    let [machine_name, machine_version] = ["ID=", "VERSION_ID="].map(of_machine);
    let image = (Some("debian".to_owned()), Some("12".to_owned()));
    for (text, times, (name, version)) in [
        (&*named, 0, image),
        (unnamed, 1, (machine_name, machine_version)),
    ] {
        build.write("layers/analyzed.toml", text);
        for phase in ["detector", "builder"] {
            let mut command = build.by_hand(phase);
            let log = Ran::of(command.env("CNB_LOG_LEVEL", "debug")).ok();
            assert_eq!(log.matches(reading).count(), times, "{phase}: {log}");
            let arch = tests::image::this_architecture();
            let name = name
                .as_ref()
                .map(|name| format!("CNB_TARGET_DISTRO_NAME={name}\n"));
            let version = version
                .as_ref()
                .map(|version| format!("CNB_TARGET_DISTRO_VERSION={version}\n"));
            let expected = [
                format!("CNB_TARGET_ARCH={arch}\n"),
                name.unwrap_or_default(),
                version.unwrap_or_default(),
                "CNB_TARGET_OS=linux\n".to_owned(),
            ];
            assert!(
                log.contains(&expected.concat()),
                "{phase}: {expected:?} in {log}"
            );
            assert_eq!(log.matches("targets:").count(), 2, "{phase}: {log}");
            assert_eq!(log.matches("CNB_TARGET_OS").count(), 1, "{phase}: {log}");
        }
        let after = fs::read_to_string(build.path("layers/analyzed.toml")).unwrap();
        assert_eq!(after, text, "nothing is written back");
    }
}
