use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::golden::run::Done;

const CASE: &str = r#"
description = "a case"
ignore_images = ["^final/other"]
better_files = ["layers/made"]
[[image]]
layout = "layout-repo/run"
[[steps]]
phase = "exporter"
"#;

fn case(more: &str) -> Case {
    toml::from_str(&format!("{CASE}{more}")).unwrap()
}

fn recorded() -> Recorded {
    let steps =
        vec![json!({"phase": "exporter", "exit": 0, "log": ["Adding layer 'a'", "Warning: w"]})];
    let layer = json!({
        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "diffID": "sha256:aa",
        "listing": ["0 0644 0:0 1 0 a sha=00", "end-of-archive bytes: 1024"],
    });
    let reference = "/x/layout-repo/run@sha256:9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
    let labels = json!({"l": {"is": "JSON", "json": {"a": 1, "runImage": {"reference": reference}}}, "m": "n"});
    let image = json!({
        "layers": [layer],
        "config": {"config": {"Labels": labels}, "labels_raw": {"l": "{\"a\":1}"}},
    });
    let snapshot = json!({
        "tree": {
            "layers/a.toml": {"type": "file", "mode": "0644", "owner": "1:1", "raw": ["a = 1"], "toml": {"a": 1, "e": ""}},
            "layers/report.toml": {"type": "file", "mode": "0644", "owner": "1:1", "toml": {"image": {"tags": ["t"]}}},
            "layers/b": {"type": "file", "mode": "0644", "owner": "1:1", "text": ["b"]},
        },
        "images": {
            "repo/app": {"oci-layout": {}, "manifests": [{"image": image}], "modes": ["file 0644 1:1"]},
            "other": {"manifests": []},
        },
        "deleted": ["layers/c"],
    });
    Recorded {
        steps,
        snapshots: BTreeMap::from([("final".to_owned(), snapshot)]),
    }
}

fn same() -> Outcome {
    let recorded = recorded();
    Outcome {
        steps: vec![Done {
            exit: Exit::Code(0),
            log: String::new(),
            shown: recorded.steps[0].clone(),
        }],
        snapshots: recorded.snapshots,
        all: Value::Null,
        there: BTreeSet::new(),
    }
}

fn at(pointer: &'static str) -> impl Fn(&mut Outcome) -> &mut Value {
    move |outcome| {
        let snapshot = outcome.snapshots.get_mut("final").unwrap();
        snapshot
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer}"))
    }
}

fn changed(change: impl FnOnce(&mut Outcome), closeness: Closeness) -> Vec<String> {
    let mut outcome = same();
    change(&mut outcome);
    let found = compare(&case(""), &recorded(), &outcome, closeness);
    found.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_the_same_passes() {
    for closeness in [Closeness::Relaxed, Closeness::Strict] {
        assert_eq!(changed(|_| {}, closeness), [""; 0]);
    }
}

#[test]
fn differences_that_always_count_are_found() {
    type Change = Box<dyn Fn(&mut Outcome)>;
    let set = |pointer: &'static str, value: Value| -> Change {
        Box::new(move |outcome| *at(pointer)(outcome) = value.clone())
    };
    let table: [(&str, Change); 14] = [
        ("step 1 exporter / exit: expected 0, found 1", {
            Box::new(|outcome: &mut Outcome| outcome.steps[0].shown["exit"] = 1.into())
        }),
        ("step 1 exporter / log: lines differ", {
            Box::new(|outcome: &mut Outcome| outcome.steps[0].shown["log"] = json!(["Warning: w"]))
        }),
        (
            "steps: 1 expected, 0 run",
            Box::new(|outcome: &mut Outcome| outcome.steps.clear()),
        ),
        (
            "final: expected",
            Box::new(|outcome: &mut Outcome| outcome.snapshots.clear()),
        ),
        ("diffID: expected \"sha256:aa\", found \"sha256:bb\"", {
            set(
                "/images/repo~1app/manifests/0/image/layers/0/diffID",
                "sha256:bb".into(),
            )
        }),
        ("listing: lines differ", {
            set(
                "/images/repo~1app/manifests/0/image/layers/0/listing/0",
                "0 0644 0:0 1 0 a sha=01".into(),
            )
        }),
        ("Labels / l / json / a: expected 1, found 2", {
            set(
                "/images/repo~1app/manifests/0/image/config/config/Labels/l/json/a",
                2.into(),
            )
        }),
        ("Labels / m: expected \"n\", found \"o\"", {
            set(
                "/images/repo~1app/manifests/0/image/config/config/Labels/m",
                "o".into(),
            )
        }),
        (
            "layers/b / mode: expected \"0644\", found \"0755\"",
            set("/tree/layers~1b/mode", "0755".into()),
        ),
        (
            "layers/b / owner: expected \"1:1\", found \"0:0\"",
            set("/tree/layers~1b/owner", "0:0".into()),
        ),
        (
            "layers/b / text: lines differ",
            set("/tree/layers~1b/text/0", "c".into()),
        ),
        ("layers/a.toml: MISSING", {
            Box::new(|outcome: &mut Outcome| {
                at("/tree")(outcome)
                    .as_object_mut()
                    .unwrap()
                    .remove("layers/a.toml");
            })
        }),
        ("layers/new: UNEXPECTED", {
            Box::new(|outcome: &mut Outcome| {
                at("/tree")(outcome)["layers/new"] = json!({"type": "dir"});
            })
        }),
        (
            "deleted: lines differ",
            set("/deleted/0", "layers/d".into()),
        ),
    ];
    for (what, change) in &table {
        for closeness in [Closeness::Relaxed, Closeness::Strict] {
            let found = changed(change, closeness);
            assert!(
                found.len() == 1 && found[0].contains(what),
                "{closeness:?}: {what}: {found:?}"
            );
        }
    }
}

#[test]
fn differences_that_are_free_are_found_strictly() {
    let own = "/x/layout-repo/run@sha256:89e090d467631ad9aa82b8230076cb5dd7b93ae12a4480ee05d3e9ff72c8bafc";
    let table: [(&str, Value); 8] = [
        ("/tree/layers~1a.toml/raw/0", "a=1".into()),
        ("/tree/layers~1a.toml/toml/e", Value::Null),
        (
            "/tree/layers~1report.toml/toml/image",
            json!({"tags": ["t"], "digest": "<manifest repo/app@1>"}),
        ),
        ("/images/repo~1app/modes/0", "file 0600 1:1".into()),
        (
            "/images/repo~1app/manifests/0/image/layers/0/mediaType",
            "application/vnd.oci.image.layer.v1.tar+gzip".into(),
        ),
        (
            "/images/repo~1app/manifests/0/image/config/labels_raw/l",
            "{ }".into(),
        ),
        (
            "/images/repo~1app/manifests/0/image/config/config/Labels/l/json/runImage/reference",
            own.into(),
        ),
        ("/images/other", json!({"manifests": [1]})),
    ];
    for (pointer, value) in table {
        let change = |outcome: &mut Outcome| *at(pointer)(outcome) = value.clone();
        assert_eq!(changed(change, Closeness::Relaxed), [""; 0], "{pointer}");
        assert_eq!(changed(change, Closeness::Strict).len(), 1, "{pointer}");
    }
    let words = |outcome: &mut Outcome| outcome.steps[0].shown["log"][1] = "Warning: other".into();
    assert_eq!(changed(words, Closeness::Relaxed), [""; 0]);
    assert_eq!(changed(words, Closeness::Strict).len(), 1);
}

#[test]
fn a_digest_that_is_not_the_run_images_is_found() {
    let other = format!("/x/layout-repo/run@sha256:{}", "0".repeat(64));
    let reference =
        "/images/repo~1app/manifests/0/image/config/config/Labels/l/json/runImage/reference";
    let change = |outcome: &mut Outcome| *at(reference)(outcome) = other.as_str().into();
    assert_eq!(changed(change, Closeness::Relaxed).len(), 1);
    let report = "/tree/layers~1report.toml/toml/image";
    let unwritten = |outcome: &mut Outcome| at(report)(outcome)["digest"] = "sha256:00".into();
    assert_eq!(changed(unwritten, Closeness::Relaxed).len(), 1);
}

#[test]
fn that_there_is_an_error_counts() {
    let mut recorded = recorded();
    recorded.steps[0] = json!({"phase": "exporter", "exit": 1, "log": ["ERROR: a", "ERROR: b"]});
    let mut outcome = same();
    for (log, count) in [(json!(["ERROR: c"]), 0), (json!([]), 1)] {
        outcome.steps[0].shown = json!({"phase": "exporter", "exit": 1, "log": log});
        let found = compare(&case(""), &recorded, &outcome, Closeness::Relaxed);
        assert_eq!(found.len(), count, "{found:?}");
    }
}

#[test]
fn other_outcomes_are_accepted_where_the_case_says_so() {
    let mut recorded = recorded();
    recorded.steps[0] = json!({"phase": "exporter", "exit": 2});
    let mut outcome = same();
    let mut count = |case: &Case, exit: Exit, there: &[&str]| {
        outcome.steps[0].shown = json!({"phase": "exporter", "exit": Value::from(&exit)});
        outcome.steps[0].exit = exit;
        outcome.there = there.iter().map(|name| (*name).to_owned()).collect();
        compare(case, &recorded, &outcome, Closeness::Relaxed).len()
    };
    let any_failure = case("accept = \"any-failure\"");
    assert_eq!(count(&any_failure, Exit::Code(1), &[]), 0);
    assert_eq!(count(&any_failure, Exit::Code(0), &[]), 1);
    assert_eq!(count(&any_failure, Exit::Timeout, &[]), 1);
    let better = case("accept = \"better\"");
    assert_eq!(count(&better, Exit::Code(0), &["layers/made"]), 0);
    assert_eq!(count(&better, Exit::Code(0), &[]), 1);
    assert_eq!(count(&better, Exit::Code(1), &["layers/made"]), 1);
    assert_eq!(count(&case(""), Exit::Code(1), &[]), 1);
}
