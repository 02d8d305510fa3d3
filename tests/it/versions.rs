//! What the two APIs in force let through: modules of other Buildpack APIs, features that are experiments.

use std::os::unix::fs::PermissionsExt as _;

use fs_err as fs;
use tests::build::Build;
use tests::program::{Ran, requires_root};

/// Writes an order with an extension in it, and the extension.
pub(crate) fn add_extension(build: &Build, api: &str) {
    let dir = "extensions/acme_ext/1.0.0";
    build.write(
        &format!("{dir}/extension.toml"),
        &format!("{api}[extension]\nid = \"acme/ext\"\nversion = \"1.0.0\"\n"),
    );
    for program in ["detect", "generate"] {
        let path = format!("{dir}/bin/{program}");
        build.write(&path, "#!/bin/sh\nexit 0\n");
        let mode = std::fs::Permissions::from_mode(0o755);
        fs::set_permissions(build.path(&path), mode).unwrap();
    }
    let order = "[[order]]\n[[order.group]]\nid = \"acme/hello\"\nversion = \"1.0.0\"\n\
                 [[order-extensions]]\n[[order-extensions.group]]\nid = \"acme/ext\"\nversion = \"1.0.0\"\n";
    build.write("order.toml", order);
}

/// Returns the last line.
fn last(ran: &Ran) -> &str {
    ran.text.lines().last().unwrap_or_default()
}

/// COM-007, COM-008: which module, which kind, and the same code in every phase that reads a group.
#[test]
fn root_modules_of_other_apis_exit_12() {
    if !requires_root() {
        return;
    }
    let texts = |kind: &str, id: &str| {
        [
            (
                "api = \"9.9\"\n",
                format!(
                    "ERROR: failed to set API for {kind} '{id}@1.0.0': buildpack API version '9.9' is incompatible with the lifecycle"
                ),
            ),
            (
                "",
                format!(
                    "ERROR: failed to parse buildpack API '<nil>' for {} '{id}@1.0.0'",
                    kind.to_lowercase()
                ),
            ),
            (
                "api = \"new\"\n",
                format!(
                    "ERROR: failed to parse buildpack API '<nil>' for {} '{id}@1.0.0'",
                    kind.to_lowercase()
                ),
            ),
        ]
    };
    let whole = Build::new();
    whole.until_export();
    for (api, expected) in texts("Buildpack", "acme/hello") {
        for phase in ["restorer", "builder", "exporter"] {
            let element = "id = \"acme/hello\"\nversion = \"1.0.0\"\n";
            whole.write("layers/group.toml", &format!("[[group]]\n{element}{api}"));
            let ran = Ran::of(&mut whole.by_hand(phase));
            assert_eq!((ran.code, last(&ran)), (12, &*expected), "{phase} {api}");
        }
        let build = Build::new();
        let text = format!("{api}[buildpack]\nid = \"acme/hello\"\nversion = \"1.0.0\"\n");
        build.write("buildpacks/acme_hello/1.0.0/buildpack.toml", &text);
        let ran = Ran::of(&mut build.by_hand("detector"));
        assert_eq!((ran.code, last(&ran)), (12, &*expected), "{api}");
    }
    for (api, expected) in texts("Extension", "acme/ext") {
        let build = Build::new();
        add_extension(&build, api);
        let mut detector = build.by_hand("detector");
        let ran = Ran::of(detector.arg("-extensions").arg(build.path("extensions")));
        assert_eq!((ran.code, last(&ran)), (12, &*expected), "{api}");
    }
}

/// COM-038: image extensions are an experiment below 0.13, in the detector and, where they left layers, in the exporter.
#[test]
fn root_dockerfiles_are_an_experiment_below_0_13() {
    if !requires_root() {
        return;
    }
    let feature = "Platform requested experimental feature 'Dockerfiles'\n";
    let disabled = "ERROR: experimental features are disabled by CNB_EXPERIMENTAL_MODE=error";
    let exporting = Build::new();
    exporting.until_export();
    exporting.write("layers/extended/run/sha256:00/file", "");
    exporting.write("analyzed.toml", "[run-image]\nreference = \"run\"\n");
    for (api, mode, said) in [
        ("0.12", "", "ERROR: "),
        ("0.12", "error", "ERROR: "),
        ("0.12", "warn", "Warning: "),
        ("0.12", "quiet", ""),
        ("0.13", "error", ""),
    ] {
        let refused = said == "ERROR: ";
        let mut build = Build::new();
        build.api = api;
        add_extension(&build, "api = \"0.10\"\n");
        let mut detector = build.by_hand("detector");
        detector.arg("-extensions").arg(build.path("extensions"));
        let ran = Ran::of(detector.env("CNB_EXPERIMENTAL_MODE", mode));
        let asked = format!("{said}{feature}");
        assert_eq!(
            ran.text.contains(&asked),
            !said.is_empty(),
            "{api} {mode}: {}",
            ran.text
        );
        assert_eq!(
            ran.text.contains(feature),
            !said.is_empty(),
            "{api} {mode}: {}",
            ran.text
        );
        assert_eq!(
            (ran.code, last(&ran)) == (1, disabled),
            refused,
            "{api} {mode}: {}",
            ran.text
        );
        assert_eq!(
            build.path("layers/group.toml").exists(),
            !refused,
            "{api} {mode}"
        );

        // Layouts are an experiment too, so here it is a registry; the exporter gets that far.
        let mut exporter = exporting.phase("exporter", &["app"]);
        exporter
            .env("CNB_PLATFORM_API", api)
            .env("CNB_EXPERIMENTAL_MODE", mode)
            .env("CNB_LAYERS_DIR", exporting.path("layers"))
            .env("CNB_ANALYZED_PATH", exporting.path("analyzed.toml"));
        let ran = Ran::of(&mut exporter);
        assert_eq!(
            ran.text.contains(&asked),
            !said.is_empty(),
            "{api} {mode}: {}",
            ran.text
        );
        assert_eq!(
            (ran.code, last(&ran)) == (1, disabled),
            refused,
            "{api} {mode}: {}",
            ran.text
        );
        assert_ne!(ran.code, 0, "{api} {mode}: {}", ran.text);
    }
}
