//! The JSON of the labels, byte for byte. Texts come from the rules (EXP-076 to EXP-081).

use platform::{labels, version};

use crate::kit::{Build, config_text, metadata_of};

const RUN: &str =
    "[[images]]\nimage = \"one\"\nmirrors = [\"m.example.org/one\"]\n[[images]]\nimage = \"two\"\n";
const STACK: &str = "[run-image]\nimage = \"stacked\"\nmirrors = [\"m.example.org/stacked\"]\n";

fn label(build: &Build, key: &str) -> String {
    build.export().unwrap().label(key).unwrap().to_owned()
}

#[test]
fn the_run_image_is_recorded_from_the_file_of_each_api() {
    let one = r#""image":"one","mirrors":["m.example.org/one"]"#;
    let two = r#""image":"two""#;
    let stacked = r#""image":"stacked","mirrors":["m.example.org/stacked"]"#;
    for minor in 7..=15 {
        for (name, from_run) in [
            ("one", one),
            ("two:latest", two),
            ("m.example.org/one", one),
            ("other", one),
        ] {
            let mut build = Build::at(minor);
            build.write("run.toml", RUN);
            build.write("stack.toml", STACK);
            build.flags.stack_path = build.path("stack.toml");
            let run_image = build.analyzed.run_image.as_mut().unwrap();
            name.clone_into(&mut run_image.image);
            let reference = run_image.reference.clone();
            let image = build.export().unwrap();
            let top = image.diff_ids()[0].to_string();
            let (below, recorded) = if minor < 12 {
                (String::new(), stacked)
            } else {
                (format!(",{from_run}"), from_run)
            };
            let expected = format!(
                r#","runImage":{{"topLayer":"{top}","reference":"{reference}"{below}}},"stack":{{"runImage":{{{recorded}}}}}}}"#
            );
            let found = image.label(labels::LIFECYCLE_METADATA).unwrap();
            assert!(
                found.ends_with(&expected),
                "0.{minor} {name}: {expected} in {found}"
            );
        }
        let found = label(&Build::at(minor), labels::LIFECYCLE_METADATA);
        assert!(
            found.ends_with(r#","stack":{"runImage":{}}}"#),
            "0.{minor}: {found}"
        );
    }
}

#[test]
fn the_lifecycle_label_has_its_keys_in_their_order() {
    let mut build = Build::at(10);
    build.buildpack("acme/bare");
    build.write("layers/sbom/launch/f", "x");
    build.layer("a", "launch = true\nbuild = true", &[("f", "1")]);
    let types = "[types]\nlaunch = true\n";
    build.write(
        "layers/acme_one/dep.toml",
        &format!("{types}[metadata]\nz = \"<é>\"\nwhole = 1.0\nhalf = 1.5\nint = 9007199254740993\na = {{ y = [1, true], b = 2024-01-02T03:04:05Z }}\n"),
    );
    build.write(
        "layers/acme_one/store.toml",
        "[metadata]\nkept = \"yes\"\nagain = 2.0\n",
    );
    let image = build.export().unwrap();
    let record = metadata_of(&image);
    let sha = |layer: &str| record.buildpacks[0].layers[layer].sha.clone();
    let data = r#"{"a":{"b":"2024-01-02T03:04:05Z","y":[1,true]},"half":1.5,"int":9007199254740993,"whole":1,"z":"\u003cé\u003e"}"#;
    let expected = format!(
        concat!(
            r#"{{"app":[{{"sha":"{app}"}}],"sbom":{{"sha":"{sbom}"}},"buildpacks":["#,
            r#"{{"key":"acme/one","version":"1.0.0","layers":{{"#,
            r#""a":{{"sha":"{a}","data":null,"build":true,"launch":true,"cache":false}},"#,
            r#""dep":{{"sha":"{dep}","data":{data},"build":false,"launch":true,"cache":false}}}},"#,
            r#""store":{{"metadata":{{"again":2,"kept":"yes"}}}}}},"#,
            r#"{{"key":"acme/bare","version":"1.0.0","layers":{{}}}}],"#,
            r#""config":{{"sha":"{config}"}},"launcher":{{"sha":"{launcher}"}},"process-types":{{"sha":"{types}"}},"runImage":{{"#,
        ),
        app = record.app[0],
        sbom = record.sbom.as_ref().unwrap(),
        a = sha("a"),
        dep = sha("dep"),
        data = data,
        config = record.config,
        launcher = record.launcher,
        types = record.process_types,
    );
    let found = image.label(labels::LIFECYCLE_METADATA).unwrap();
    assert!(found.starts_with(&expected), "{expected}\n{found}");

    // Escaped for its own JSON, and once more as a text in the config.
    let config = config_text(&build.output());
    assert!(config.contains(r#"\"z\":\"\\u003cé\\u003e\""#), "{config}");
}

/// The label is made of the file and of what was built into the lifecycle.
#[test]
fn the_build_label_at_every_api() {
    let file = r#"
buildpack-default-process-type = "web"
[[bom]]
name = "dep"
[bom.metadata]
v = 1
[bom.buildpack]
id = "acme/one"
version = "1.0.0"
[[buildpacks]]
id = "acme/one"
version = "1.0.0"
api = "0.10"
homepage = "https://example.org"
[[processes]]
type = "web"
command = ["serve", "now"]
direct = true
buildpack-id = "acme/one"
working-dir = "/w"
exec-env = ["production"]
"#;
    let (commit, repository) = (version::COMMIT, version::REPOSITORY);
    let launcher = format!(
        r#""launcher":{{"version":"{}","source":{{"git":{{"repository":"{repository}","commit":"{commit}"}}}}}}"#,
        version::VERSION
    );
    let buildpacks =
        r#""buildpacks":[{"id":"acme/one","version":"1.0.0","homepage":"https://example.org"}]"#;
    let bom = r#""bom":[{"name":"dep","metadata":{"v":1},"buildpack":{"id":"acme/one","version":"1.0.0"}}],"#;
    let rest = r#""direct":true,"buildpackID":"acme/one","working-dir":"/w","exec-env":["production"]}],"buildpack-default-process-type":"web"}"#;
    for minor in 7..=15 {
        let build = Build::at(minor);
        build.metadata(file);
        let bom = if minor < 9 { bom } else { "" };
        let command = if minor < 10 {
            r#""serve","args":["now"]"#
        } else {
            r#"["serve","now"],"args":null"#
        };
        let expected = format!(
            r#"{{{bom}{buildpacks},{launcher},"processes":[{{"type":"web","command":{command},{rest}"#
        );
        assert_eq!(label(&build, labels::BUILD_METADATA), expected, "0.{minor}");
        for (text, processes) in [("", "null"), ("processes = []\n", "[]")] {
            build.metadata(text);
            let bom = if minor < 9 { r#""bom":null,"# } else { "" };
            let expected =
                format!(r#"{{{bom}"buildpacks":null,{launcher},"processes":{processes}}}"#);
            assert_eq!(label(&build, labels::BUILD_METADATA), expected, "0.{minor}");
        }
    }
}

#[test]
fn the_project_label_is_the_source_of_the_file() {
    let build = Build::new();
    assert_eq!(label(&build, labels::PROJECT_METADATA), "{}");
    let text = "[source]\ntype = \"git\"\n[source.version]\ncommit = \"abc\"\n[source.metadata]\nurl = \"u&v\"\n[other]\nx = 1\n";
    build.write("layers/project-metadata.toml", text);
    let expected =
        r#"{"source":{"type":"git","version":{"commit":"abc"},"metadata":{"url":"u\u0026v"}}}"#;
    assert_eq!(label(&build, labels::PROJECT_METADATA), expected);
    build.write("layers/project-metadata.toml", "");
    assert_eq!(label(&build, labels::PROJECT_METADATA), "{}");
}

/// What the label cannot say is an error, not a hole in it.
#[test]
fn metadata_that_json_lacks_fails_the_export() {
    let build = Build::new();
    let text = "[types]\nlaunch = true\n[metadata]\nx = nan\n";
    build.write("layers/acme_one/dep.toml", text);
    let failure = build.export().unwrap_err();
    let text = format!("{:#}", failure.error);
    assert!(text.contains("json: unsupported value: NaN"), "{text}");
    assert!(text.contains("acme/one:dep"), "{text}");
}
