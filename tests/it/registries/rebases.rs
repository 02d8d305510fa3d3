//! An app image of a registry on another run image of a registry.

use super::*;

fn app_on(site: &Site, api: &str) {
    site.run("analyzer", &["-run-image", "%/run", "%/app"]).ok();
    site.run("detector", &[]).ok();
    site.run("builder", &[]).ok();
    let name = site.name("run");
    site.build
        .write("run.toml", &format!("[[images]]\nimage = \"{name}\"\n"));
    Ran::of(&mut site.at(api, "exporter", &["%/app"])).ok();
}

/// Has the run image's tag name another image, which can be rebased on.
fn patch(site: &Site) {
    let layout = site.build.path("patched");
    let sample = Sample {
        content: Some("patched"),
        ..Sample::plain()
    };
    let manifest = sample.write(&layout);
    image::index(&layout, INDEX, &[manifest]);
    site.take("run:latest", &layout);
}

/// REB-006, REB-018, REB-025: in place or elsewhere, with further names.
#[test]
fn root_an_image_gets_the_run_image_s_new_layers() {
    let Some(site) = Site::open() else {
        return;
    };
    app_on(&site, "0.12");
    let before = site.image("app:latest");
    patch(&site);
    let args = [
        "-force",
        "-previous-image",
        "%/app",
        "%/new/app",
        "%/new/app:two",
    ];
    let log = site.run("rebaser", &args).ok();
    let digest = site.digest("new/app:latest").unwrap();
    assert!(log.contains(&format!("*** Images ({digest}):")), "{log}");
    assert_eq!(site.digest("new/app:two").as_ref(), Some(&digest));
    assert_eq!(
        text(&site.toml("report/report.toml"), &["image", "digest"]),
        digest
    );
    let after = site.image("new/app:latest");
    let run = site.image("run:latest");
    assert_eq!(after.0["layers"][0]["digest"], run.0["layers"][0]["digest"]);
    let of_app = |manifest: &Value| manifest["layers"].as_array().unwrap()[1..].to_vec();
    assert_eq!(of_app(&after.0), of_app(&before.0));
    let label = after.1["config"]["Labels"]["io.buildpacks.lifecycle.metadata"].as_str();
    let label: Value = serde_json::from_str(label.unwrap()).unwrap();
    let expected = format!(
        "{}@{}",
        site.name("run"),
        site.digest("run:latest").unwrap()
    );
    assert_eq!(label["runImage"]["reference"], expected);
    // The image before is as it was.
    assert_eq!(site.image("app:latest"), before);
}

/// REB-006 to REB-009: what is not there, and what cannot be known.
#[test]
fn root_what_cannot_be_rebased_is_said() {
    let Some(site) = Site::open() else {
        return;
    };
    app_on(&site, "0.12");
    site.take("strange:latest", &site.build.path("run"));
    let report = site.build.path("report/report.toml");
    fs::remove_file(&report).unwrap();
    for (args, code, expected) in [
        (
            &["%/nothing"][..],
            72,
            "failed to set app image: failed to access image to rebase: ",
        ),
        (
            &["-run-image", "%/nothing", "%/app"],
            1,
            "failed to access run image: ",
        ),
        (
            &["-run-image", "127.0.0.1:1/run", "%/app"],
            1,
            "failed to access run image: ",
        ),
        (
            &[
                "-run-image",
                "%/strange",
                "-previous-image",
                "%/app",
                "%/other",
            ],
            72,
            "failed to rebase: ",
        ),
    ] {
        let ran = site.run("rebaser", args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.text);
        assert!(
            ran.text.contains(&format!("ERROR: {expected}")),
            "{args:?}: {}",
            ran.text
        );
        assert!(!report.exists(), "{args:?}");
        assert_eq!(site.digest("other:latest"), None);
    }
    // No mirror of its run image can be read.
    let name = site.name("run");
    site.build
        .write("run.toml", "[[images]]\nimage = \"127.0.0.1:1/run\"\n");
    site.run("exporter", &["%/app"]).ok();
    let ran = site.run("rebaser", &["%/app"]);
    assert_eq!(ran.code, 72, "{name}: {}", ran.text);
    assert!(
        ran.text.contains("failed to find accessible run image"),
        "{}",
        ran.text
    );
}
