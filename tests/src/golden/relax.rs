//! What is free where a case is not compared strictly.
//!
//! The wording of errors and warnings, the text of documents whose values are compared, modes inside of layouts, empty
//! values, Docker's or OCI's spelling of a media type, and two things that the reference gets wrong in layouts.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::case::Case;
use super::fixture::{CONFIG, DOCKER_CONFIG, DOCKER_LAYER, Fixture, LAYER};
use crate::image::{DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST};

/// Digest of an image with nothing in it, by which the reference names the run image of a layout.
const EMPTY_IMAGE: &str = "sha256:9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";

const MEDIA_TYPES: [(&str, &str); 4] = [
    (DOCKER_LIST, INDEX),
    (DOCKER_MANIFEST, MANIFEST),
    (DOCKER_CONFIG, CONFIG),
    (DOCKER_LAYER, LAYER),
];

/// What is free in the snapshots of one case.
#[derive(Debug)]
pub struct Relax<'a> {
    case: &'a Case,
    run_images: HashSet<String>,
}

impl<'a> Relax<'a> {
    /// Looks at the run images of a case.
    pub fn new(case: &'a Case) -> Self {
        let run_images = manifests(case).into_iter().map(|(_, digest)| digest);
        let run_images = run_images.chain([EMPTY_IMAGE.to_owned()]).collect();
        Self { case, run_images }
    }

    /// Returns a snapshot without what is free.
    pub fn snapshot(&self, name: &str, snapshot: Value) -> Value {
        let mut snapshot = self.run_reference(without_texts(snapshot), &mut Vec::new());
        if let Some(Value::Object(tree)) = snapshot.get_mut("tree") {
            // The reference leaves an empty folder in its cache.
            tree.remove("cache/staging");
            drop_report_digest(tree);
        }
        if let Some(Value::Object(images)) = snapshot.get_mut("images") {
            let ignored = &self.case.ignore_images;
            images.retain(|image, _| {
                let image = format!("{name}/{image}");
                !ignored.iter().any(|pattern| pattern.occurs_in(&image))
            });
            for image in images.values_mut() {
                oci_spelling(image);
            }
        }
        without_empty(snapshot).unwrap_or_default()
    }

    // Where the run image lies in a layout, its digest is its own or that of an empty image.
    fn run_reference(&self, value: Value, way: &mut Vec<String>) -> Value {
        match value {
            Value::Object(members) => members
                .into_iter()
                .map(|(key, value)| {
                    way.push(key);
                    let value = self.run_reference(value, way);
                    (way.pop().expect("it was pushed"), value)
                })
                .collect(),
            Value::Array(values) => values
                .into_iter()
                .map(|value| self.run_reference(value, way))
                .collect(),
            Value::String(text) if is_run_reference(way) => {
                let in_layout = |name: &str| name.contains("/layout-repo/");
                match text.rsplit_once('@') {
                    Some((name, digest)) if in_layout(name) && self.run_images.contains(digest) => {
                        format!("{name}@<run image>").into()
                    }
                    _ => text.into(),
                }
            }
            other => other,
        }
    }
}

/// Returns platform and digest of each manifest of the run images that a case has in layouts.
pub fn manifests(case: &Case) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for spec in case.image.iter().filter(|spec| spec.layout.is_some()) {
        let fixture = Fixture::new(spec);
        let manifests = fixture.manifests();
        found.extend(manifests.map(|(platform, digest)| (platform.to_owned(), digest.to_owned())));
    }
    found
}

/// Returns a step without the wording of errors and warnings. That there is an error stays.
pub fn step(mut step: Value) -> Value {
    const ERROR: &str = "ERROR: (text)";
    let Some(Value::Array(log)) = step.get_mut("log") else {
        return step;
    };
    let mut kept = Vec::new();
    for line in log.drain(..) {
        let text = line.as_str().unwrap_or_default();
        if text.starts_with("ERROR") {
            if !kept.contains(&json!(ERROR)) {
                kept.push(json!(ERROR));
            }
        } else if !text.starts_with("Warning") {
            kept.push(line);
        }
    }
    *log = kept;
    step
}

// `runImage.reference` of a label, `[metadata.run-image] reference` of analyzed.toml.
fn is_run_reference(way: &[String]) -> bool {
    let way: Vec<_> = way.iter().rev().map(String::as_str).take(3).collect();
    matches!(
        way[..],
        ["reference", "runImage", ..] | ["reference", "run-image", "metadata"]
    )
}

// The digest of the manifest that was written, whichever layout it is in: the reference leaves it out.
fn drop_report_digest(tree: &mut Map<String, Value>) {
    for (name, file) in tree {
        let Some(Value::Object(image)) = file.pointer_mut("/toml/image") else {
            continue;
        };
        let is_written = |digest: &Value| {
            digest
                .as_str()
                .is_some_and(|it| it.starts_with("<manifest "))
        };
        if name.ends_with("report.toml") && image.get("digest").is_some_and(is_written) {
            image.remove("digest");
        }
    }
}

fn without_texts(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let is_document = members.contains_key("toml") || members.contains_key("json");
            let is_layout = members.contains_key("oci-layout");
            members
                .into_iter()
                .filter(|(key, _)| match key.as_str() {
                    "labels_raw" => false,
                    "raw" => !is_document,
                    "modes" => !is_layout,
                    _ => true,
                })
                .map(|(key, value)| (key, without_texts(value)))
                .collect()
        }
        Value::Array(values) => values.into_iter().map(without_texts).collect(),
        other => other,
    }
}

fn oci_spelling(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let is_media_type =
                    ["mediaType", "configMediaType", "contentType"].contains(&key.as_str());
                let spelling = MEDIA_TYPES.iter().find(|(docker, _)| value == docker);
                match spelling {
                    Some((_, oci)) if is_media_type => *value = (*oci).into(),
                    _ => oci_spelling(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(oci_spelling),
        _ => {}
    }
}

// In objects; an entry of a list counts by its place.
fn without_empty(value: Value) -> Option<Value> {
    let value = match value {
        Value::Object(members) => members
            .into_iter()
            .filter_map(|(key, value)| Some((key, without_empty(value)?)))
            .collect(),
        Value::Array(values) => values
            .into_iter()
            .map(|value| {
                let empty = match &value {
                    Value::Object(_) => json!({}),
                    Value::Array(_) => json!([]),
                    other => other.clone(),
                };
                without_empty(value).unwrap_or(empty)
            })
            .collect(),
        other => other,
    };
    let is_empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    (!is_empty).then_some(value)
}
