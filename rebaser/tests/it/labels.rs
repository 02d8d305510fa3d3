//! What a rebased image says of its base, and which bases it may have.

use serde_json::{Value, json};

use crate::kit::{Layouts, METADATA, Sample, digest, ending, metadata};

const RUN: &str = "index.docker.io/library/run/latest";

/// REB-018, to the byte: known keys in the label's order, `app` as it was.
#[test]
fn the_metadata_label_is_written_anew() {
    let old = |app: &str| {
        format!(
            r#"{{"unknown":1,"stack":{{"runImage":{{"image":"s","mirrors":["run"]}}}},"runImage":{{"reference":"r","topLayer":"{}","image":"i","x":2}},"process-types":{{"sha":"p"}},"launcher":{{"sha":"l"}},"config":{{"sha":"c"}},"buildpacks":[{{"key":"k","version":"1","layers":{{"dep":{{"sha":"d","data":{{"b":1.5,"a":[1,"<"]}},"build":false,"launch":true,"cache":true,"y":3}}}},"store":{{"metadata":{{"m":true}}}}}}],"sbom":{{"sha":"b"}},"app":{app}}}"#,
            digest("base two")
        )
    };
    for (app, kept) in [
        (r#"[{"sha":"a","more":1}]"#, r#"[{"more":1,"sha":"a"}]"#),
        (r#"{"sha":"a"}"#, r#"{"sha":"a"}"#),
        (r#""a""#, r#""a""#),
        ("null", "null"),
        ("[]", "[]"),
    ] {
        let sample = Sample::app("0.12").label(METADATA, &old(app));
        let layouts = Layouts::with(&sample);
        let image = layouts.rebased("0.12", &["-run-image=run"]);
        let path = layouts.path(RUN);
        let run = crate::kit::read(&path);
        let reference = format!(
            "{}@{}",
            path.display(),
            run.descriptor["digest"].as_str().unwrap()
        );
        let expected = format!(
            r#"{{"app":{kept},"sbom":{{"sha":"b"}},"buildpacks":[{{"key":"k","version":"1","layers":{{"dep":{{"sha":"d","data":{{"a":[1,"\u003c"],"b":1.5}},"build":false,"launch":true,"cache":true}}}},"store":{{"metadata":{{"m":true}}}}}}],"config":{{"sha":"c"}},"launcher":{{"sha":"l"}},"process-types":{{"sha":"p"}},"runImage":{{"topLayer":"{}","reference":"{reference}","image":"i"}},"stack":{{"runImage":{{"image":"s","mirrors":["run"]}}}}}}"#,
            digest("new")
        );
        assert_eq!(image.label(METADATA), Some(&*expected));
    }
}

/// REB-018: the layer of the new run image that is on top, of several.
#[test]
fn the_top_layer_is_the_last_of_the_new_run_image() {
    let layouts = Layouts::with(&Sample::app("0.12"));
    layouts.put(RUN, &Sample::base(&["one", "two", "three"]));
    let image = layouts.rebased("0.12", &[]);
    assert_eq!(image.metadata()["runImage"]["topLayer"], digest("three"));
    // So the next rebase finds it.
    layouts.put(RUN, &Sample::base(&["four"]));
    let image = layouts.rebased("0.12", &[]);
    assert_eq!(
        *image.diff_ids(),
        json!([digest("four"), digest("app"), digest("launcher")])
    );
}

/// REB-019, REB-020.
#[test]
fn labels_of_the_base_follow_the_run_image() {
    let stack = "io.buildpacks.stack.";
    let base = "io.buildpacks.base.";
    let mut app = Sample::app("0.12");
    let mut run = Sample::base(&["new"]);
    for prefix in [stack, base] {
        app = app
            .label(&format!("{prefix}old"), "app")
            .label(&format!("{prefix}both"), "app");
        run = run
            .label(&format!("{prefix}new"), "run")
            .label(&format!("{prefix}both"), "run");
    }
    for other in [
        "io.buildpacks.stack",
        "io.buildpacks.stacks.x",
        "io.buildpacks.baseline",
    ] {
        app = app.label(other, "app");
        run = run.label(other, "run");
    }
    for (api, follows) in [
        ("0.7", false),
        ("0.11", false),
        ("0.12", true),
        ("0.15", true),
    ] {
        let layouts = Layouts::with(&app);
        layouts.put(RUN, &run);
        let image = layouts.rebased(api, &[]);
        let label =
            |prefix: &str, end: &str| image.label(&format!("{prefix}{end}")).map(str::to_owned);
        let all = |prefix| ["old", "both", "new"].map(|end| label(prefix, end));
        let some = |it: &str| Some(it.to_owned());
        assert_eq!(all(stack), [None, some("run"), some("run")], "{api}");
        let expected = if follows {
            [None, some("run"), some("run")]
        } else {
            [some("app"), some("app"), None]
        };
        assert_eq!(all(base), expected, "{api}");
        for other in [
            "io.buildpacks.stack",
            "io.buildpacks.stacks.x",
            "io.buildpacks.baseline",
        ] {
            assert_eq!(image.label(other), Some("app"), "{api}");
        }
    }
}

/// REB-016.
#[test]
fn the_new_run_image_is_one_that_the_app_image_knows() {
    let hex = "9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
    let digested = format!("run@sha256:{hex}");
    let place = format!("index.docker.io/library/run/sha256/{hex}");
    for (run_image, stack, name) in [
        (json!({"image": "run"}), Value::Null, "run"),
        (
            json!({"image": "run"}),
            Value::Null,
            "docker.io/library/run:latest",
        ),
        (
            json!({"image": "a/b", "mirrors": ["c/d", "run"]}),
            Value::Null,
            "run",
        ),
        (json!({"image": "a/b"}), json!({"image": "run"}), "run"),
        (
            json!({}),
            json!({"image": "a/b", "mirrors": ["run:latest"]}),
            "run",
        ),
        (json!({"image": "run"}), Value::Null, &digested),
        (json!({"image": digested}), Value::Null, "run"),
    ] {
        let layouts = Layouts::with(&Sample::app("0.12").metadata(&metadata(&run_image, &stack)));
        layouts.put(&place, &Sample::base(&["new"]));
        let image = layouts.rebased("0.12", &["-run-image", name]);
        let record = image.metadata();
        assert_eq!(record["runImage"]["image"], run_image["image"], "{name}");
        assert_eq!(
            record["runImage"]["mirrors"], run_image["mirrors"],
            "{name}"
        );
        assert_eq!(
            record["stack"]["runImage"]["mirrors"], stack["mirrors"],
            "{name}"
        );
    }
    // By its path in the layout directory, as analyzed.toml names it.
    let layouts = Layouts::with(&Sample::app("0.12"));
    let path = layouts.path(RUN);
    let image = layouts.rebased("0.12", &["-run-image", path.to_str().unwrap()]);
    assert_eq!(image.metadata()["runImage"]["image"], "run");
}

/// REB-016.
#[test]
fn another_run_image_needs_force() {
    let reference = |layouts: &Layouts| {
        let path = layouts.path("index.docker.io/library/other/latest");
        let run = crate::kit::read(&path);
        format!(
            "{}@{}",
            path.display(),
            run.descriptor["digest"].as_str().unwrap()
        )
    };
    for (run_image, stack, known) in [
        (
            json!({"image": "a/b", "mirrors": ["c/d"]}),
            json!({"image": "e/f"}),
            r#"{"topLayer":"TOP","reference":"REFERENCE","image":"a/b","mirrors":["c/d"]}"#,
        ),
        (
            json!({}),
            json!({"image": "e/f", "mirrors": ["g/h"]}),
            r#"{"image":"e/f","mirrors":["g/h"]}"#,
        ),
        (json!({}), Value::Null, "not found"),
    ] {
        let layouts = Layouts::with(&Sample::app("0.12").metadata(&metadata(&run_image, &stack)));
        layouts.put(
            "index.docker.io/library/other/latest",
            &Sample::base(&["new"]),
        );
        let known = known
            .replace("TOP", &digest("new"))
            .replace("REFERENCE", &reference(&layouts));
        let text = format!(
            "failed to rebase: rebase app image: new base image 'other' not found in existing run image metadata: {known}; please provide -force to override"
        );
        let args = ["-run-image=other", "app"];
        assert_eq!(ending(layouts.rebase("0.12", &args)), (72, text));

        // The names of run images are no matter below 0.12.
        if !stack.is_null() {
            let untouched =
                Layouts::with(&Sample::app("0.12").metadata(&metadata(&json!({}), &stack)));
            untouched.put(
                "index.docker.io/library/other/latest",
                &Sample::base(&["new"]),
            );
            let image = untouched.rebased("0.11", &["-run-image=other"]);
            assert_ne!(image.metadata()["stack"]["runImage"]["image"], "other");
        }

        let image = layouts.rebased("0.12", &["-run-image=other", "-force"]);
        let record = image.metadata();
        assert_eq!(record["runImage"]["image"], "other");
        assert_eq!(record["runImage"].get("mirrors"), None);
        assert_eq!(record["stack"], json!({"runImage": {"image": "other"}}));
        assert_eq!(record["runImage"]["reference"], reference(&layouts));
    }
}

/// REB-016: an image that cannot be rebased at all says so first.
#[test]
fn the_name_is_looked_at_after_the_layers() {
    let metadata = json!({"runImage": {"topLayer": digest("nowhere"), "image": "run"}});
    let layouts = Layouts::with(&Sample::app("0.12").metadata(&metadata));
    layouts.put(
        "index.docker.io/library/other/latest",
        &Sample::base(&["new"]),
    );
    let (code, text) = ending(layouts.rebase("0.12", &["-run-image=other", "app"]));
    assert_eq!(code, 72);
    assert!(
        text.contains("could not find base layer in image"),
        "{text}"
    );
}

/// REB-011: the API of the app image decides, not the one that the platform speaks.
#[test]
fn what_is_compared_depends_on_the_app_image() {
    let stack = "io.buildpacks.stack.id";
    let (same_stack, other_stack) = (
        Sample::base(&["new"])
            .label(stack, "s")
            .with("architecture", json!("arm64")),
        Sample::base(&["new"]).label(stack, "other"),
    );
    for (app_api, by_stack) in [
        ("", true),
        ("0.3", true),
        ("0.11", true),
        ("0.12", false),
        ("0.15", false),
    ] {
        for api in ["0.7", "0.11", "0.12", "0.15"] {
            let mut app = Sample::app(app_api).label(stack, "s");
            if app_api.is_empty() {
                app.config["config"]["Env"] = json!(["PATH=/bin"]);
            }
            // One fits by stack, the other by target.
            for (run, fits) in [(&same_stack, by_stack), (&other_stack, !by_stack)] {
                let layouts = Layouts::with(&app);
                layouts.put(RUN, run);
                let result = layouts.rebase(api, &["app"]);
                assert_eq!(result.is_ok(), fits, "{app_api} {api} {:?}", run.labels);
            }
        }
    }
    let layouts = Layouts::with(&Sample::app("new"));
    let (code, text) = ending(layouts.rebase("0.12", &["app"]));
    assert_eq!(
        (code, &*text),
        (
            72,
            "failed to rebase: failed to get app image platform API: could not parse 'new' as version"
        )
    );
}
