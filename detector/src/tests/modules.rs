//! Modules that are missing, cannot be read or want another API (BPD-001, BPD-007, BPD-008, BPD-010, BPD-077, BPD-078).

use fs_err as fs;

use super::bench::Bench;
use crate::order::tests::element;

/// BPD-007, BPD-078: whatever its place in the order, before anything runs.
#[test]
fn an_unsupported_api_in_the_order_ends_detection_before_it_begins() {
    let refused = |kind: &str, label: &str, api: &str| {
        format!(
            "failed to set API for {kind} '{label}': buildpack API version '{api}' is incompatible with the lifecycle"
        )
    };
    for api in ["0.6", "0.13", "0.99", "1.0"] {
        let mut bench = Bench::new();
        bench.passing(&["a"]);
        bench.buildpack_of(api, "new", "", ":");
        bench.order(&["a", "a new?"]);
        let detected = bench.detect();
        assert!(detected.ran.is_empty(), "{api}");
        assert_eq!(detected.failure(), (12, refused("Buildpack", "new@1", api)));
    }

    let mut bench = Bench::new();
    bench.passing(&["a"]);
    let descriptor = "api = '0.13'\n[extension]\nid = 'x'\nversion = '1'\n";
    bench.extension("x", "", ":");
    fs::write(bench.path("extensions/x/1/extension.toml"), descriptor).unwrap();
    bench.extensions(&["x"]);
    bench.order(&["a"]);
    let detected = bench.detect();
    assert!(detected.ran.is_empty());
    assert_eq!(
        detected.failure(),
        (12, refused("Extension", "x@1", "0.13"))
    );
}

/// BPD-007: system.toml's modules only where it counts.
#[test]
fn apis_of_system_buildpacks_are_verified_where_they_take_part() {
    for (platform_api, expected) in [("0.14", "a"), ("0.15", "exit 12")] {
        for in_front in [true, false] {
            let mut bench = Bench::new();
            bench.api = platform_api;
            bench.passing(&["a"]);
            bench.buildpack_of("0.99", "sys", "", ":");
            let side = if in_front {
                &mut bench.system.pre
            } else {
                &mut bench.system.post
            };
            side.push(element("sys"));
            bench.order(&["a"]);
            assert_eq!(bench.participants(), expected, "{platform_api} {in_front}");
        }
    }
}

/// BPD-008: what only a composite leads to is run as it is.
#[test]
fn apis_inside_composites_are_not_verified() {
    let mut bench = Bench::new();
    bench.buildpack_of("0.99", "new", "", ":");
    bench.composite("meta", &["new"]);
    bench.order(&["meta"]);
    let found = bench.detect().end.unwrap();
    assert_eq!(found.group.group[0].api, "0.99");
}

/// BPD-010: code 1 where the order lists the module, 22 where a composite does.
#[test]
fn a_missing_descriptor_ends_detection() {
    let mut bench = Bench::new();
    bench.passing(&["a"]);
    bench.composite("meta", &["acme/ghost@2"]);
    let path = bench.path("buildpacks/acme_ghost/2/buildpack.toml");
    let cause = format!("open {}: no such file or directory", path.display());

    bench.order(&["a", "a acme/ghost@2?"]);
    let detected = bench.detect();
    assert!(detected.ran.is_empty());
    let (code, text) = detected.failure();
    assert_eq!(code, 1);
    let expected = format!("failed to initialize detector: {cause}");
    assert!(text.starts_with(&expected), "{text}");

    bench.order(&["a meta", "a"]);
    let (code, text) = bench.detect().failure();
    assert_eq!(code, 22);
    assert!(
        text.starts_with(&format!("failed to detect: {cause}")),
        "{text}"
    );

    bench.order(&["a"]);
    bench.extensions(&["x"]);
    let path = bench.path("extensions/x/1/extension.toml");
    let expected = format!(
        "failed to initialize detector: open {}: no such file or directory",
        path.display()
    );
    let (code, text) = bench.detect().failure();
    assert_eq!(code, 1);
    assert!(text.starts_with(&expected), "{text}");
}

/// BPD-077: ids that are folders of `<layers>` are not refused.
#[test]
fn no_id_is_refused() {
    let mut bench = Bench::new();
    bench.passing(&["app", "config", "generated", "sbom"]);
    bench.order(&["app config generated sbom"]);
    assert_eq!(bench.participants(), "app config generated sbom");
}
