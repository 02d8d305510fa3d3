use serde_json::json;

use crate::kit::{Site, app_image, open, run_image};

#[test]
fn files_go_where_pack_puts_them() {
    let site = Site::with_app();
    let file = "layers/sbom/launch/acme_java/jre/sbom.cdx.json";
    let args = ["sbom", "download", "oci:app", "--output-dir", "out"];
    let out = site.slipway(&args).ok();
    assert_eq!(out, "out/layers/sbom/launch\n");
    let read = |dir: &str| fs_err::read_to_string(site.path(dir).join(file)).unwrap();
    assert_eq!(read("out"), "{}");
    // By default the current directory; files of an earlier call are replaced.
    fs_err::write(site.path("out").join(file), "old").unwrap();
    site.slipway(&args).ok();
    assert_eq!(read("out"), "{}");
    site.slipway(&["sbom", "download", "oci:app"]).ok();
    assert_eq!(read("."), "{}");
}

#[test]
fn an_image_without_an_sbom_is_told() {
    let site = Site::new();
    let run = site.repo("library/run/latest");
    run_image(&run, "1");
    let download = |image: &str| site.slipway(&["sbom", "download", image]);
    download("run").fails_with(&["run has no SBOM"]);
    let cases = [
        (json!(null), "oci:app has no SBOM"),
        (json!({"sha": ""}), "oci:app has no SBOM"),
        (json!({"sha": "../evil"}), "which it has not"),
        (
            json!({"sha": format!("sha256:{}", "0".repeat(64))}),
            "which it has not",
        ),
    ];
    for (sbom, error) in cases {
        app_image(&site.path("app"), "v1", &run, &|[metadata, _]| {
            metadata["sbom"] = sbom.clone();
        });
        download("oci:app").fails_with(&[error]);
        assert!(!site.path("layers").exists());
    }
}

#[test]
fn a_layer_that_is_left_out_is_told() {
    let site = Site::with_app();
    let image = open(&site.path("app"));
    let sbom = image.diff_ids()[3].clone();
    let blob = image.blobs().path(&image.layer(&sbom).unwrap().digest);
    fs_err::remove_file(blob.unwrap()).unwrap();
    let ran = site.slipway(&["sbom", "download", "oci:app"]);
    ran.fails_with(&[&format!("layer {sbom} is not in app")]);
}
