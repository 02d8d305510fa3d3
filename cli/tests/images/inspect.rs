use layout::Layout;
use serde_json::{Value, json};

use crate::kit::{Site, app_image, open, run_image};

fn json(site: &Site, image: &str) -> Value {
    let out = site.slipway(&["inspect", image, "--output", "json"]).ok();
    serde_json::from_str(&out).unwrap()
}

#[test]
fn people_see_how_it_starts_and_who_made_what() {
    let site = Site::with_app();
    let out = site.slipway(&["inspect", "oci:app:v1"]).ok();
    let image = open(&site.path("app"));
    let squeezed: Vec<_> = out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let diff_ids = image.diff_ids();
    for expected in [
        "Image: oci:app:v1",
        &format!("Digest: {}", image.digest()),
        "Platform: linux/amd64",
        "User: 1000:1000",
        "Work Dir: /workspace",
        "Rebasable: true",
        "SBOM: true",
        "example.org/mirror/run",
        &format!("Top Layer: {}", diff_ids[0]),
        "acme/java 1.2.3 https://example.org",
        "web (default) java -jar app.jar /workspace/sub",
        "task bash run \"it\"",
        "A=b c",
    ] {
        assert!(
            squeezed.iter().any(|line| line == expected),
            "no {expected:?} in {out}"
        );
    }
    for (diff_id, begin) in diff_ids.iter().zip([
        "run image ",
        "buildpack acme/java:jre ",
        "app ",
        "SBOM ",
        "launcher ",
    ]) {
        let is_row =
            |line: &&String| line.starts_with(begin) && line.ends_with(&diff_id.to_string());
        assert!(
            squeezed.iter().any(|line| is_row(&line)),
            "no {begin:?} in {out}"
        );
    }
    // pack's name of the command.
    assert_eq!(site.slipway(&["inspect-image", "oci:app:v1"]).ok(), out);
}

#[test]
fn programs_get_the_same() {
    let site = Site::with_app();
    let seen = json(&site, "oci:app");
    let image = open(&site.path("app"));
    let run = open(&site.repo("library/run/latest"));
    assert_eq!(seen["digest"], image.digest().to_string());
    assert_eq!(seen["builtByBuildpacks"], true);
    assert_eq!(seen["runImage"]["image"], "run");
    assert_eq!(
        seen["runImage"]["mirrors"],
        json!(["example.org/mirror/run"])
    );
    assert_eq!(seen["runImage"]["digest"], run.digest().to_string());
    assert_eq!(seen["launcherVersion"], "0.21.17");
    assert_eq!(
        seen["processes"],
        json!([
            {"type": "web", "default": true, "direct": true, "command": ["java"], "args": ["-jar", "app.jar"],
             "workingDir": "/workspace/sub", "buildpack": "acme/java", "execEnv": []},
            {"type": "task", "default": false, "direct": false, "command": ["run \"it\""], "args": [],
             "workingDir": "", "buildpack": "acme/java", "execEnv": []},
        ])
    );
    let layers = seen["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 5);
    assert_eq!(layers[1]["kind"], "buildpack");
    assert_eq!(layers[1]["buildpack"], "acme/java");
    assert_eq!(layers[1]["name"], "jre");
    assert_eq!(layers[1]["size"], image.manifest().layers[1].size);
    assert!(layers.iter().all(|it| it["present"] == true));
}

#[test]
fn labels_of_older_lifecycles_are_understood() {
    let site = Site::new();
    let run = site.repo("library/run/latest");
    run_image(&run, "1");
    app_image(&site.path("app"), "v1", &run, &|[metadata, build]| {
        // Platform API 0.7: the stack names the run image, lists are null.
        let run_image = metadata["runImage"].as_object_mut().unwrap();
        run_image.remove("image");
        run_image.remove("mirrors");
        metadata["stack"] = json!({"runImage": {"image": "old-run", "mirrors": null}});
        metadata["sbom"] = Value::Null;
        metadata["app"] = json!("odd");
        build["processes"] = Value::Null;
    });
    let seen = json(&site, "oci:app");
    assert_eq!(seen["runImage"]["image"], "old-run");
    assert_eq!(seen["sbom"], false);
    assert_eq!(seen["processes"], json!([]));
    assert_eq!(seen["layers"][2]["kind"], "other");
    let out = site.slipway(&["inspect", "oci:app"]).ok();
    assert!(out.contains("Processes:\n  (none)"), "{out}");
}

#[test]
fn other_images_and_sparse_ones_can_be_seen_too() {
    let site = Site::new();
    let run = site.repo("library/run/latest");
    run_image(&run, "1");
    let out = site.slipway(&["inspect", "run"]).ok();
    assert!(out.contains("was not built by buildpacks"), "{out}");
    assert_eq!(json(&site, "run")["rebasable"], false);
    let sparse = Layout::at(site.path("sparse"));
    sparse.copy_without_layers_from(&open(&run), "v1").unwrap();
    assert_eq!(json(&site, "oci:sparse")["layers"][0]["present"], false);
    let out = site.slipway(&["inspect", "oci:sparse"]).ok();
    assert!(out.contains("(left out)"), "{out}");
}

#[test]
fn text_of_an_image_does_not_steer_the_terminal() {
    let site = Site::new();
    let run = site.repo("library/run/latest");
    run_image(&run, "1");
    app_image(&site.path("app"), "v1", &run, &|[metadata, build]| {
        let evil = "\u{1b}[2J\r\u{202e}";
        metadata["runImage"]["image"] = json!(evil);
        metadata["runImage"]["topLayer"] = json!(evil);
        metadata["buildpacks"][0]["key"] = json!(evil);
        build["buildpacks"][0]["homepage"] = json!(evil);
        build["processes"][0]["args"] = json!([evil]);
        build["processes"][1]["type"] = json!(evil);
    });
    let out = site.slipway(&["inspect", "oci:app"]).ok();
    let is_bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!out.contains(is_bad), "{out:?}");
    assert!(out.contains('\u{fffd}'), "{out}");
}

#[test]
fn damage_is_told() {
    let site = Site::new();
    let run = site.repo("library/run/latest");
    run_image(&run, "1");
    let dir = site.path("app");
    app_image(&dir, "v1", &run, &|[metadata, _]| *metadata = json!([1]));
    site.slipway(&["inspect", "oci:app"])
        .fails_with(&["label io.buildpacks.lifecycle.metadata"]);
    site.slipway(&["inspect", "oci:app:v2"])
        .fails_with(&["no image named v2 in app"]);
    site.set("pull-policy = \"never\"\n");
    site.slipway(&["inspect", "absent"])
        .fails_with(&["library/absent/latest", "slipway layout copy oci:DIR"]);
}
