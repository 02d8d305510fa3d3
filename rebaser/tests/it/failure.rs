//! How a rebase fails, and that nothing is changed then.

use fs_err as fs;
use serde_json::json;

use crate::kit::{Layouts, METADATA, Sample, digest, ending, snapshot};

const RUN: &str = "index.docker.io/library/run/latest";
const APP: &str = "index.docker.io/library/app/latest";

/// Checks how a rebase of `app` fails, and that it leaves everything as it was.
fn check(layouts: &Layouts, args: &[&str], code: u8, expected: &str) {
    fs::write(layouts.report(), "earlier").unwrap();
    let before = snapshot(&layouts.root());
    let (found, text) = ending(layouts.rebase("0.12", args));
    assert_eq!(found, code, "{text}");
    assert!(
        text.starts_with(expected),
        "{text} should begin with {expected}"
    );
    assert_eq!(snapshot(&layouts.root()), before, "{text}");
    assert_eq!(fs::read(layouts.report()).unwrap(), b"earlier", "{text}");
}

/// REB-006, REB-007.
#[test]
fn what_is_wrong_with_the_app_image_is_said() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let nothing = "failed to set app image: failed to access image to rebase";
    check(&layouts, &["absent"], 72, nothing);
    check(&layouts, &["-previous-image=absent", "app"], 72, nothing);
    fs::write(layouts.path(APP).join("index.json"), "{").unwrap();
    check(&layouts, &["app"], 72, nothing);

    let label = "failed to set app image: failed to unmarshal context of label 'io.buildpacks.lifecycle.metadata'";
    for garbage in [
        "{]",
        "[]",
        "1",
        r#"{"runImage": 1}"#,
        r#"{"buildpacks": {}}"#,
        r#"{"stack": {"runImage": {"mirrors": "run"}}}"#,
    ] {
        let layouts = Layouts::with(&Sample::app("0.12").label(METADATA, garbage));
        check(&layouts, &["app"], 72, label);
        check(&layouts, &["-run-image=run", "app"], 72, label);
    }
}

/// REB-007.
#[test]
fn without_a_run_image_there_is_a_way_out() {
    let text = "failed to set app image: failed to parse arguments: -run-image is required when there is no run image metadata available";
    for metadata in [
        json!({}),
        json!({"runImage": {"image": ""}, "stack": {"runImage": {"mirrors": ["run"]}}}),
    ] {
        let layouts = Layouts::with(&Sample::app("0.12").metadata(&metadata));
        check(&layouts, &["app"], 72, text);
    }
    let layouts = Layouts::with(&Sample::app("0.12").label(METADATA, ""));
    check(&layouts, &["app"], 72, text);
}

/// REB-010.
#[test]
fn what_is_wrong_with_the_run_image_is_said() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let path = layouts.path("index.docker.io/library/gone/latest");
    let gone = format!(
        "failed to access run image: there is no image in {}",
        path.display()
    );
    check(&layouts, &["-run-image=gone", "app"], 1, &gone);
    layouts.put(RUN, &Sample::base(&[]));
    check(
        &layouts,
        &["app"],
        1,
        "failed to access run image: image has no layers",
    );
    fs::write(layouts.path(RUN).join("index.json"), "{").unwrap();
    check(&layouts, &["app"], 1, "failed to access run image: ");
}

/// REB-017.
#[test]
fn an_image_that_does_not_stand_on_its_run_image_is_refused() {
    let text = "failed to rebase: rebase app image: could not find base layer in image";
    for top in ["", "nonsense", &digest("elsewhere")] {
        let metadata = json!({"runImage": {"topLayer": top, "image": "run"}});
        let layouts = Layouts::with(&Sample::app("0.12").metadata(&metadata));
        check(&layouts, &["app"], 72, text);
    }
}

/// REB-012 to REB-015.
#[test]
fn images_that_do_not_fit_are_refused() {
    let stack = "io.buildpacks.stack.id";
    let mixins = "io.buildpacks.stack.mixins";
    let run = || Sample::base(&["new"]);
    let target = |it: &str| format!(r#"{{"os":"linux","arch":"{it}"}}"#);
    let constraints = format!(
        "unable to satisfy target os/arch constraints; new run image: {}, old run image: {}; please provide -force to override",
        target("arm64"),
        target("amd64")
    );
    for (app, run, force_helps, expected) in [
        (
            Sample::app("0.11"),
            run(),
            false,
            "stack not defined on app image",
        ),
        (
            Sample::app("0.11")
                .label(stack, "a")
                .label(mixins, r#"["m"]"#),
            run().label(stack, "a"),
            false,
            "missing required mixin(s): m",
        ),
        (
            Sample::app("0.12").label("io.buildpacks.rebasable", "false"),
            run(),
            true,
            "app image is not marked as rebasable; please provide -force to override",
        ),
        (
            Sample::app("0.12"),
            run().with("architecture", json!("arm64")),
            true,
            &constraints,
        ),
    ] {
        let layouts = Layouts::with(&app);
        layouts.put(RUN, &run);
        let expected = format!("failed to rebase: {expected}");
        check(&layouts, &["app"], 72, &expected);
        if force_helps {
            layouts.rebased("0.12", &["-force"]);
        } else {
            check(&layouts, &["-force", "app"], 72, &expected);
        }
    }
}

/// REB-025.
#[test]
fn a_report_that_cannot_be_written_is_a_failed_rebase() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let (code, text) = ending(layouts.rebase("0.12", &["-report=/dev/null/report.toml", "app"]));
    assert_eq!(code, 72);
    assert!(
        text.starts_with("failed to write rebase report: "),
        "{text}"
    );
}

/// REB-025.
#[test]
fn a_place_that_cannot_be_written_is_a_failed_rebase() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let way = layouts.path("index.docker.io/library/app/two");
    fs::write(&way, "a file in the way").unwrap();
    let (code, text) = ending(layouts.rebase("0.12", &["app", "app:two", "app:three"]));
    assert_eq!(code, 72);
    assert!(
        text.starts_with("failed to rebase: ") && text.contains("app/two"),
        "{text}"
    );
    // As in an export the others stay.
    assert!(
        layouts
            .path("index.docker.io/library/app/three/index.json")
            .is_file()
    );
    let (code, text) = ending(layouts.rebase("0.12", &["-previous-image=app", "app:two"]));
    assert_eq!(code, 72);
    assert!(text.starts_with("failed to rebase: "), "{text}");
}

/// A daemon and a registry that nobody reaches: the registry is asked first when the image is wanted, the daemon before
/// anything else.
#[test]
fn a_store_that_nobody_reaches_is_named() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let name = "127.0.0.1:1/app";
    for (daemon, code, expected) in [
        (
            "false",
            72,
            "failed to set app image: failed to access image to rebase: ",
        ),
        ("true", 1, "failed to initialize docker client: "),
    ] {
        let variables = [
            ("CNB_USE_LAYOUT", "false"),
            ("CNB_USE_DAEMON", daemon),
            ("DOCKER_HOST", "tcp://127.0.0.1:1"),
        ];
        let (found, text) = ending(layouts.rebase_with("0.12", &[name], &variables));
        assert_eq!(found, code, "{text}");
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("127.0.0.1:1"), "{text}");
    }
}

/// LAY-002, LAY-003.
#[test]
fn layout_mode_has_its_conditions() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    for (variable, code) in [
        (("CNB_EXPERIMENTAL_MODE", ""), 1),
        (("CNB_LAYOUT_DIR", ""), 3),
    ] {
        let (found, text) = ending(layouts.rebase_with("0.12", &["app"], &[variable]));
        assert_eq!(found, code, "{text}");
    }
}
