//! Which images are read, and where the result goes.

use serde_json::json;

use crate::kit::{Layouts, Sample, digest, metadata, read, snapshot};

/// REB-001.
#[test]
fn further_names_are_tags_of_the_same_image() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    layouts
        .rebase("0.12", &["app", "app:two", "acme/other"])
        .map_err(|it| it.error)
        .unwrap();
    let image = read(&layouts.app());
    for (place, tag) in [
        ("index.docker.io/library/app/two", "two"),
        ("index.docker.io/acme/other/latest", "latest"),
    ] {
        let other = read(&layouts.path(place));
        assert_eq!(other.manifest, image.manifest, "{place}");
        let name = &other.descriptor["annotations"]["org.opencontainers.image.ref.name"];
        assert_eq!(name, tag, "{place}");
    }
}

/// REB-005.
#[test]
fn the_previous_image_is_only_read() {
    let before = "index.docker.io/library/before/latest";
    for (api, args, variables) in [
        ("0.11", &["-previous-image=before", "app"][..], &[][..]),
        ("0.15", &["-previous-image", "before", "app"], &[]),
        ("0.7", &["app"], &[("CNB_PREVIOUS_IMAGE", "before")]),
    ] {
        let layouts = Layouts::with(&Sample::app("0.12"));
        let mut previous = Sample::app("0.12").label("mine", "before");
        previous.layers[2] = "another app";
        layouts.put(before, &previous);
        let untouched = snapshot(&layouts.path(before));
        layouts
            .rebase_with(api, args, variables)
            .map_err(|it| it.error)
            .unwrap();
        let image = read(&layouts.app());
        assert_eq!(image.label("mine"), Some("before"), "{api}");
        assert_eq!(image.diff_ids()[1], digest("another app"), "{api}");
        assert_eq!(snapshot(&layouts.path(before)), untouched, "{api}");

        // Listed as an output it is written as well.
        let args: Vec<_> = args.iter().copied().chain(["before"]).collect();
        layouts
            .rebase_with(api, &args, variables)
            .map_err(|it| it.error)
            .unwrap();
        assert_eq!(
            read(&layouts.path(before)).manifest,
            image.manifest,
            "{api}"
        );
    }
    // Without it, what is written is what is read.
    let layouts = Layouts::with(&Sample::app("0.12").label("mine", "app"));
    layouts.put(before, &Sample::app("0.12").label("mine", "before"));
    layouts
        .rebase("0.12", &["app", "before"])
        .map_err(|it| it.error)
        .unwrap();
    assert_eq!(read(&layouts.path(before)).label("mine"), Some("app"));
}

/// REB-008, REB-009.
#[test]
fn without_a_name_the_app_image_s_own_run_image_is_taken() {
    let near = "near.example.org/run/latest";
    let (hub, stacked) = (
        "index.docker.io/library/run/latest",
        "index.docker.io/library/stacked/latest",
    );
    let both = json!({"image": "run", "mirrors": ["far.example.org/run", "near.example.org/run"]});
    let none = json!({});
    let stack = json!({"image": "stacked", "mirrors": ["near.example.org/run"]});
    for (api, run_image, app, expected) in [
        ("0.12", &both, "app", hub),
        ("0.12", &both, "near.example.org/app", near),
        ("0.12", &both, "elsewhere.example.org/app", hub),
        ("0.12", &none, "app", stacked),
        ("0.12", &none, "near.example.org/app", near),
        ("0.11", &both, "app", stacked),
        ("0.11", &both, "near.example.org/app", near),
        ("0.7", &both, "elsewhere.example.org/app", stacked),
    ] {
        let sample = Sample::app("0.12").metadata(&metadata(run_image, &stack));
        let layouts = Layouts::with(&sample);
        for (place, layer) in [(near, "near"), (hub, "hub"), (stacked, "stacked")] {
            layouts.put(place, &Sample::base(&[layer]));
        }
        let registry = if app == "app" {
            "index.docker.io/library/app"
        } else {
            app
        };
        let place = format!("{registry}/latest");
        layouts.put(&place, &sample);
        layouts.rebase(api, &[app]).map_err(|it| it.error).unwrap();
        let reference = read(&layouts.path(&place)).metadata()["runImage"]["reference"].clone();
        let expected = layouts.path(expected).display().to_string();
        assert!(
            reference.as_str().unwrap().starts_with(&expected),
            "{api} {app}: {reference}"
        );
    }
}

/// REB-005, REB-008: the registry that counts is that of the image that is read.
#[test]
fn mirrors_are_chosen_for_the_image_that_is_read() {
    let run_image = json!({"image": "run", "mirrors": ["near.example.org/run"]});
    let layouts = Layouts::with(&Sample::app("0.12"));
    layouts.put("near.example.org/run/latest", &Sample::base(&["near"]));
    let sample = Sample::app("0.12").metadata(&metadata(&run_image, &run_image));
    layouts.put("near.example.org/before/latest", &sample);
    layouts
        .rebase("0.12", &["-previous-image=near.example.org/before", "app"])
        .map_err(|it| it.error)
        .unwrap();
    assert_eq!(read(&layouts.app()).diff_ids()[0], digest("near"));
    // A path has no registry; the output has.
    let path = layouts
        .path("near.example.org/before/latest")
        .display()
        .to_string();
    layouts
        .rebase("0.12", &["-previous-image", &path, "app"])
        .map_err(|it| it.error)
        .unwrap();
    assert_eq!(read(&layouts.app()).diff_ids()[0], digest("new"));
}

/// REB-003.
#[test]
fn the_old_flag_names_the_run_image_too() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    let metadata = metadata(&json!({"image": "other"}), &json!({"image": "run"}));
    layouts.put(
        "index.docker.io/library/app/latest",
        &Sample::app("0.12").metadata(&metadata),
    );
    layouts.put(
        "index.docker.io/library/other/latest",
        &Sample::base(&["other"]),
    );
    let image = layouts.rebased("0.15", &["-image=run"]);
    assert_eq!(image.diff_ids()[0], digest("new"));
}
