//! Targets, execution environments and system buildpacks (BPD-016 to BPD-019, BPD-025, BPD-049 to BPD-055).

use buildpack::target::Target;
use fs_err as fs;
use platform::files::System;

use super::bench::{Bench, log_of, ubuntu};
use crate::order::tests::element;

const ARM: &str = "[[targets]]\nos = 'linux'\narch = 'arm64'\n";

/// BPD-017: an error without having run, which fails its group as an error.
#[test]
fn a_required_module_without_a_matching_target_is_an_error() {
    for api in ["0.12", "0.15"] {
        let mut bench = Bench::new();
        bench.api = api;
        bench.passing(&["a"]);
        bench.buildpack("arm", ARM, ":");
        bench.order(&["a arm"]);
        let detected = bench.detect();
        assert_eq!(detected.ran, ["a@1"]);
        let error = r#"info unable to satisfy target os/arch constraints; run image: {"os":"linux","arch":"amd64","distro":{"name":"ubuntu","version":"22.04"}}, buildpack: [{"os":"linux","arch":"arm64"}]"#;
        let expected = [
            "info ======== Error: arm@1 ========",
            error,
            "debug ======== Results ========",
            "debug pass: a@1",
            "info err:  arm@1",
        ];
        assert_eq!(detected.lines, expected);
        assert_eq!(detected.failure().0, 21);
    }
}

/// BPD-018: it runs, and may pass.
#[test]
fn an_optional_module_runs_whatever_its_targets() {
    let mut bench = Bench::new();
    bench.passing(&["a"]);
    bench.buildpack("arm", ARM, ":");
    bench.extension("x", ARM, ":");
    bench.extensions(&["x"]);
    bench.order(&["a arm?"]);
    assert_eq!(bench.participants(), "x | a arm");
    assert_eq!(bench.detect().ran, ["a@1", "arm@1", "x@1"]);
}

/// BPD-016: below Platform API 0.12 nothing is matched, and no target matches everything.
#[test]
fn targets_count_from_platform_api_0_12_on() {
    for (api, outcome) in [
        ("0.7", "arm"),
        ("0.10", "arm"),
        ("0.11", "arm"),
        ("0.12", "exit 21"),
        ("0.13", "exit 21"),
    ] {
        let mut bench = Bench::new();
        bench.api = api;
        bench.buildpack("arm", ARM, ":");
        bench.order(&["arm"]);
        assert_eq!(bench.participants(), outcome, "{api}");
    }
    let mut bench = Bench::new();
    bench.passing(&["bare"]);
    // Without bin/build nothing is inferred.
    fs::remove_file(bench.path("buildpacks/bare/1/bin/build")).unwrap();
    bench.target = Some(Target {
        os: "plan9".into(),
        ..ubuntu()
    });
    bench.order(&["bare"]);
    assert_eq!(bench.participants(), "bare");
    // With it, linux is.
    bench.passing(&["linux"]);
    bench.order(&["linux"]);
    assert_eq!(bench.participants(), "exit 21");
}

/// DET-020: whatever a buildpack of old says of stacks.
#[test]
fn stacks_and_mixins_do_not_count() {
    for api in ["0.7", "0.11", "0.12", "0.15"] {
        let mut bench = Bench::new();
        bench.api = api;
        bench.buildpack(
            "a",
            "[[stacks]]\nid = 'acme.stack'\nmixins = ['run:tool', 'tool']\n",
            ":",
        );
        bench.order(&["a"]);
        assert_eq!(bench.participants(), "a", "{api}");
    }
}

/// BPD-019: what analyzed.toml does not say comes from the build container, which is said once.
#[test]
fn a_target_without_a_distribution_is_completed_once() {
    let mut bench = Bench::new();
    fs::write(bench.path("os-release"), "ID=debian\nVERSION_ID=12\n").unwrap();
    let debian = "[[targets]]\n[[targets.distros]]\nname = 'debian'\nversion = '12'\n";
    bench.buildpack("a", debian, "env | grep ^CNB_TARGET_ | sort");
    bench.buildpack("b", debian, ":");
    bench.order(&["a b"]);
    bench.target = None;
    let (detected, log) = log_of(|| bench.detect());
    let reading =
        "INFO target distro name/version labels not found, reading /etc/os-release file\n";
    assert_eq!(log.matches(reading).count(), 1, "{log}");
    let arch = platform::target::this_architecture();
    let variables = format!(
        "debug CNB_TARGET_ARCH={arch}\nCNB_TARGET_DISTRO_NAME=debian\nCNB_TARGET_DISTRO_VERSION=12\nCNB_TARGET_OS=linux\n"
    );
    assert!(detected.lines.contains(&variables), "{:?}", detected.lines);
    assert_eq!(bench.participants(), "a b");

    // With a distribution nothing is looked up, not even what is missing beside it.
    bench.target = Some(Target {
        os: String::new(),
        ..ubuntu()
    });
    let (detected, log) = log_of(|| bench.detect());
    assert!(!log.contains("os-release"), "{log}");
    assert_eq!(detected.failure().0, 21, "debian is wanted");
}

/// BPD-025: by the API of the buildpack alone.
#[test]
fn target_variables_do_not_depend_on_the_platform_api() {
    for (platform_api, buildpack_api, count) in
        [("0.7", "0.10", 4), ("0.15", "0.10", 4), ("0.15", "0.9", 0)]
    {
        let mut bench = Bench::new();
        bench.api = platform_api;
        bench.buildpack_of(buildpack_api, "a", "", "env | grep -c ^CNB_TARGET_; exit 0");
        bench.order(&["a"]);
        let lines = bench.detect().lines;
        assert_eq!(
            lines[1],
            format!("debug {count}\n"),
            "{platform_api} {buildpack_api}"
        );
    }
}

/// BPD-052, BPD-053, BPD-054: APIs of platform and buildpack, the list, and whether the module is in the group.
#[test]
fn modules_for_other_execution_environments_are_left_out() {
    let table = [
        ("0.15", "0.12", "['test']", false),
        ("0.15", "0.12", "['test', 'development']", false),
        ("0.15", "0.12", "['test', 'production']", true),
        ("0.15", "0.12", "['*']", true),
        ("0.15", "0.12", "['test', '*']", true),
        ("0.15", "0.12", "[]", true),
        ("0.15", "0.12", "['Production']", false),
        ("0.15", "0.11", "['test']", true),
        ("0.15", "0.10", "['test']", true),
        ("0.14", "0.12", "['test']", true),
        ("0.7", "0.12", "['test']", true),
    ];
    for (platform_api, buildpack_api, list, taken) in table {
        for optional in ["", "?"] {
            let mut bench = Bench::new();
            bench.api = platform_api;
            bench.passing(&["a"]);
            let descriptor = format!("exec-env = {list}\n");
            bench.buildpack_of(buildpack_api, "b", &descriptor, ":");
            bench.order(&[&format!("a b{optional}")]);
            let detected = bench.detect();
            let row = (platform_api, buildpack_api, list, optional);
            assert_eq!(detected.ran.len(), if taken { 2 } else { 1 }, "{row:?}");
            let group = if taken { "a b" } else { "a" };
            assert_eq!(detected.groups(), [group], "{row:?}");
            // Not counted either: nobody is said to be missing.
            let counts = detected
                .lines
                .iter()
                .filter(|line| line.contains("participating"));
            assert_eq!(counts.count(), 0, "{row:?}");
            assert_eq!(bench.participants(), group, "{row:?}");
        }
    }
}

/// BPD-052: extensions too; with any value of the variable; and what is said.
#[test]
fn execution_environments_are_free_words() {
    let mut bench = Bench::new();
    bench.api = "0.15";
    bench.exec_env = "odd/one";
    bench.passing(&["a"]);
    bench.extension("x", "", ":");
    let text = "api = '0.12'\n[extension]\nid = 'x'\nversion = '1'\nexec-env = ['test', 'ci']\n";
    fs::write(bench.path("extensions/x/1/extension.toml"), text).unwrap();
    bench.buildpack_of("0.12", "odd", "exec-env = ['odd/one']\n", ":");
    bench.extensions(&["x"]);
    bench.order(&["a odd"]);
    let (detected, log) = log_of(|| bench.detect());
    assert_eq!(detected.ran, ["a@1", "odd@1"]);
    let said = "DEBUG Skipping x@1 due to execution environment mismatch; current: odd/one, buildpack supports: [test ci]\n";
    assert!(log.contains(said), "{log}");
    assert_eq!(bench.participants(), "a odd");
}

/// BPD-055: the list on a group's element is no key of ours.
#[test]
fn execution_environments_of_group_elements_do_not_count() {
    let mut bench = Bench::new();
    bench.api = "0.15";
    bench.passing(&["a", "b"]);
    let inner = "[[order]]\n[[order.group]]\nid = 'b'\nversion = '1'\nexec-env = ['test']\n";
    bench.buildpack_of("0.12", "meta", inner, "exit 9");
    bench.order_text(
        "[[order]]\n[[order.group]]\nid = 'a'\nversion = '1'\nexec-env = ['test']\n\
         [[order.group]]\nid = 'meta'\nversion = '1'\n",
    );
    assert_eq!(bench.participants(), "a b");
}

/// BPD-049, BPD-050: around each group of the order, none of a composite; required; behind the extensions.
#[test]
fn system_buildpacks_stand_around_every_group() {
    let table: &[(&str, &[&str], &[&str])] = &[
        (
            "0.15",
            &["a n", "a"],
            &["x pre a n post", "pre a n post", "x pre a post"],
        ),
        ("0.14", &["a n", "a"], &["x a n", "a n", "x a"]),
        // Only the id counts where one is there already.
        ("0.15", &["a pre@2"], &["x a pre post"]),
        ("0.15", &["post@2 a"], &["x pre post a"]),
        ("0.15", &["meta"], &["x pre a post"]),
    ];
    for (api, order, groups) in table {
        let mut bench = Bench::new();
        bench.api = api;
        bench.passing(&["a", "pre@1", "pre@2", "post@1", "post@2"]);
        bench.buildpack("n", "", "exit 100");
        bench.extension("x", "", ":");
        bench.composite("meta", &["a"]);
        bench.system = System {
            pre: vec![element("pre")],
            post: vec![element("post")],
        };
        bench.extensions(&["x"]);
        bench.order(order);
        assert_eq!(bench.detect().groups(), *groups, "{api} {order:?}");
    }
    let mut bench = Bench::new();
    bench.api = "0.15";
    bench.passing(&["a"]);
    bench.buildpack("n", "", "exit 100");
    bench.system.post.push(element("n"));
    bench.order(&["a"]);
    assert_eq!(
        bench.participants(),
        "exit 20",
        "system buildpacks are required"
    );
}

/// DET-010: said where some are missing from a group.
#[test]
fn system_buildpacks_are_counted_in_the_log() {
    let table: &[(&str, &str, &[&str])] = &[
        ("0.15", "a", &["Prepending 2", "Appending 1"]),
        ("0.15", "a pre@2 post@2", &["Prepending 1"]),
        ("0.15", "pre more post", &[]),
        ("0.14", "a", &[]),
    ];
    for (api, group, lines) in table {
        let mut bench = Bench::new();
        bench.api = api;
        bench.passing(&["a", "pre@1", "pre@2", "more", "post@1", "post@2"]);
        bench.system = System {
            pre: vec![element("pre"), element("more")],
            post: vec![element("post")],
        };
        bench.order(&[group]);
        let (_, log) = log_of(|| bench.detect());
        let expected = lines
            .iter()
            .map(|what| format!("DEBUG {what} system buildpack(s) to group\n"));
        let said = log
            .lines()
            .filter(|line| line.contains("system buildpack(s)"))
            .map(|line| format!("{line}\n"));
        assert!(said.eq(expected), "{api} {group}: {log}");
    }
}
