use super::*;
use crate::golden::run::Done;

fn outcome() -> Outcome {
    let file =
        json!({"type": "file", "mode": "0644", "toml": {"a": [1, 2], "b": {"c": "x@sha256:00"}}});
    let layer = json!({"diffID": "sha256:aa", "listing": ["0 0644 0:0 1 0 /a sha=00", "5 0755 0:0 0 0 /b"]});
    let image =
        json!({"manifest": {"schemaVersion": 2}, "config": {"os": "linux"}, "layers": [layer]});
    let images = json!({"repo/app": {"manifests": [{"descriptor": {"size": 1}, "image": image}]}});
    let kept = json!({"type": "file", "mode": "0600"});
    Outcome {
        steps: vec![Done {
            exit: Exit::Code(3),
            log: "one\ntwo\nthree\n".to_owned(),
            shown: Value::Null,
        }],
        snapshots: BTreeMap::from([(
            "final".to_owned(),
            json!({"tree": {"layers/a.toml": file}, "images": images, "deleted": ["layers/old"]}),
        )]),
        all: json!({"tree": {"layers/a.toml": file, "layers/kept": kept}, "images": images}),
        there: ["layers/a.toml", "layers/kept"].map(str::to_owned).into(),
    }
}

fn differences(text: &str) -> Vec<String> {
    let expect: Expect = toml::from_str(text).unwrap();
    expect.differences(&outcome())
}

#[test]
fn what_is_so_passes() {
    let expected = r#"
        changed = ["layers/a.toml", "layers/old", "repo/app"]
        absent = ["layers/old"]
        step = [{ exit = 3, log = ["one", "th[..]"], not_log = ["four"] }]
        file."layers/a.toml" = { type = "file", toml = { a = [1, 2], b.c = "x@sha256:[..]", d = "<absent>" } }
        file."layers/kept".mode = "0600"
        [image."repo/app"]
        descriptor.size = 1
        manifest.schemaVersion = 2
        config.os = "linux"
        layers = [{ diffID = "sha256:aa" }]
        entries = ["0 0644 [..] /a [..]"]
        not_entries = ["[..] /c[..]"]
    "#;
    assert_eq!(differences(expected), [""; 0]);
}

#[test]
fn each_thing_that_is_not_so_is_found() {
    for (expected, what) in [
        ("step = []", "1 steps, but expect.toml has 0"),
        ("step = [{ exit = 0 }]", "expected exit 0, it was 3"),
        (
            "step = [{ exit = 3, log = ['two', 'one'] }]",
            "the log has no line \"one\" there",
        ),
        (
            "step = [{ exit = 3, log = ['thre'] }]",
            "the log has no line \"thre\" there",
        ),
        (
            "step = [{ exit = 3, not_log = ['t[..]o'] }]",
            "the log has a line \"t[..]o\"",
        ),
        (
            "changed = ['layers/a.toml', 'layers/old']",
            "repo/app: changed",
        ),
        (
            "changed = ['layers/a.toml', 'layers/old', 'repo/app', 'x']",
            "x: not changed",
        ),
        ("absent = ['layers/kept']", "layers/kept: it is there"),
        ("file.x.type = 'file'", "x: it is not there"),
        (
            "file.'layers/kept'.mode = '0644'",
            "layers/kept / mode: expected \"0644\", found \"0600\"",
        ),
        (
            "file.'layers/kept'.mode = '<absent>'",
            "layers/kept / mode: found \"0600\"",
        ),
        (
            "file.'layers/kept'.text = []",
            "layers/kept / text: missing",
        ),
        (
            "file.'layers/a.toml'.toml.a = [1]",
            "toml / a: expected [1], found [1,2]",
        ),
        (
            "file.'layers/a.toml'.toml.a = [1, 3]",
            "toml / a / 1: expected 3, found 2",
        ),
        (
            "file.'layers/a.toml'.toml.b.c = 'x@sha256:1[..]'",
            "toml / b / c: expected",
        ),
        (
            "image.other.config.os = 'linux'",
            "other: there is no image",
        ),
        (
            "image.'repo/app'.config.os = 'plan9'",
            "repo/app config / os: expected",
        ),
        (
            "image.'repo/app'.manifest.annotations = {}",
            "repo/app manifest / annotations: missing",
        ),
        (
            "image.'repo/app'.layers = []",
            "repo/app layers: expected []",
        ),
        (
            "image.'repo/app'.descriptor.size = 2",
            "repo/app descriptor / size: expected 2",
        ),
        (
            "image.'repo/app'.entries = ['[..] /c']",
            "repo/app: no layer has \"[..] /c\"",
        ),
        (
            "image.'repo/app'.not_entries = ['[..] /b']",
            "repo/app: a layer has \"[..] /b\"",
        ),
    ] {
        let is_step = expected.starts_with("step");
        let step = if is_step {
            ""
        } else {
            "step = [{ exit = 3 }]\n"
        };
        let found = differences(&format!("{step}{expected}"));
        assert!(
            found.len() == 1 && found[0].contains(what),
            "{expected}: {found:?}"
        );
    }
}

#[test]
fn an_image_with_a_problem_is_never_as_expected() {
    let expect: Expect = toml::from_str("step = [{ exit = 3 }]").unwrap();
    let mut outcome = outcome();
    let changes = outcome.snapshots.get_mut("final").unwrap();
    changes["images"]["repo/app"]["manifests"][0]["image"]["problems"] = json!(["layer 0: no"]);
    let found = expect.differences(&outcome);
    assert!(
        found.len() == 1 && found[0].contains("layer 0: no"),
        "{found:?}"
    );
}

#[test]
fn wildcards_stand_for_anything() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("[..]", "", true),
        ("a[..]", "ab", true),
        ("[..]b", "ab", true),
        ("a[..]b", "ab", true),
        ("ab[..]ba", "aba", false),
        ("a[..]b[..]c", "axbxc", true),
        ("a[..]b[..]c", "axc", false),
        ("a[..]b[..]b", "ab", false),
    ] {
        assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
    }
}
