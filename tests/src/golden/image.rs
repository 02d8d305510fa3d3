//! Everything worth comparing in an image: manifest, config, and the layers as listings.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::MultiGzDecoder;
use fs_err as fs;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::listing;
use super::symbols::Symbols;
use super::text::sha256;
use crate::registry::Registry;

/// Where blobs come from: a layout, and whatever else holds images.
pub type Blobs<'a> = dyn FnMut(&str) -> Option<Vec<u8>> + 'a;

/// Returns the blobs of a layout.
pub fn blobs_of(layout: &Path) -> impl FnMut(&str) -> Option<Vec<u8>> {
    let blobs = layout.join("blobs");
    move |digest| fs::read(blobs.join(digest.replace(':', "/"))).ok()
}

/// Names the digests of a layout's images. A layout that cannot be read has none.
pub fn learn_layout(layout: &Path, name: &str, step: usize, symbols: &mut Symbols) {
    let Ok(index) = read_json(&layout.join("index.json")) else {
        return;
    };
    for (at, descriptor) in list(&index["manifests"]).iter().enumerate() {
        let number = if at == 0 {
            String::new()
        } else {
            format!("#{at}")
        };
        let label = format!("{name}{number}@{step}");
        learn(
            text(&descriptor["digest"]),
            &label,
            &mut blobs_of(layout),
            symbols,
        );
    }
}

/// Names the digests of a registry's images.
pub fn learn_registry(registry: &Registry, step: usize, symbols: &mut Symbols) {
    for (repository, tag, digest) in registry.tags() {
        let label = format!("{repository}:{tag}@{step}");
        let mut blobs = |digest: &str| registry.blob(&repository, digest);
        learn(&digest, &label, &mut blobs, symbols);
    }
}

/// Shows a registry's images by name.
pub fn show_registry(registry: &Registry, symbols: &Symbols) -> Vec<(String, Value)> {
    let show_one = |(repository, tag, digest): (String, String, String)| {
        let name = format!("registry {repository}:{tag}");
        if symbols.is_fixed(bare(&digest)) {
            return (name, json!({ "fixture": digest }));
        }
        let mut blobs = |digest: &str| registry.blob(&repository, digest);
        let manifest = blobs(&digest).and_then(|bytes| parsed(&bytes));
        let media_type = manifest.unwrap_or_default()["mediaType"].clone();
        let image = show(&digest, &mut blobs, symbols);
        (name, json!({"contentType": media_type, "image": image}))
    };
    registry.tags().into_iter().map(show_one).collect()
}

/// Names the digests of an image's manifest, config and compressed layers.
pub fn learn(digest: &str, label: &str, blobs: &mut Blobs<'_>, symbols: &mut Symbols) {
    let hex = bare(digest);
    if symbols.knows(hex) {
        return;
    }
    let Some(manifest) = blobs(digest).and_then(|bytes| parsed(&bytes)) else {
        return;
    };
    symbols.learn(hex, || format!("<manifest {label}>"));
    let config = text(&manifest["config"]["digest"]);
    symbols.learn(bare(config), || format!("<config {label}>"));
    let config = blobs(config)
        .and_then(|bytes| parsed(&bytes))
        .unwrap_or_default();
    let diff_ids = list(&config["rootfs"]["diff_ids"]);
    for (at, layer) in list(&manifest["layers"]).iter().enumerate() {
        let layer = text(&layer["digest"]);
        let diff_id = diff_ids.get(at).map(text);
        // One that is not compressed has an exact digest.
        if diff_id != Some(layer) {
            let of = diff_id.map_or_else(|| format!("layer {at}"), |id| id[..19].to_owned());
            symbols.learn(bare(layer), || format!("<blob of {of}>"));
        }
    }
}

/// Shows a layout.
pub fn show_layout(layout: &Path, symbols: &Symbols) -> Value {
    let mut shown = Map::new();
    let version = read_json(&layout.join("oci-layout")).unwrap_or_else(Value::String);
    shown.insert("oci-layout".to_owned(), version);
    let mut index = match read_json(&layout.join("index.json")) {
        Ok(Value::Object(index)) => index,
        Ok(other) => return json!({"index": other}),
        Err(why) => {
            shown.insert("index".to_owned(), why.into());
            return shown.into();
        }
    };
    let descriptors = index.remove("manifests").unwrap_or_default();
    shown.insert("index".to_owned(), index.into());
    let mut used = BTreeSet::new();
    let mut read = blobs_of(layout);
    let mut blobs = |digest: &str| {
        used.insert(bare(digest).to_owned());
        read(digest)
    };
    let mut manifests = Vec::new();
    for found in list(&descriptors) {
        let digest = text(&found["digest"]);
        let mut entry = json!({
            "descriptor": descriptor(found, symbols),
            "image": show(digest, &mut blobs, symbols),
        });
        if blobs(digest).is_some_and(|bytes| json!(bytes.len()) != found["size"]) {
            entry["problem"] = "descriptor size is wrong".into();
        }
        manifests.push(entry);
    }
    shown.insert("manifests".to_owned(), manifests.into());
    let there = fs::read_dir(layout.join("blobs/sha256"))
        .into_iter()
        .flatten();
    let unused = there
        .map(|entry| entry.expect("the folder can be read").file_name())
        .filter(|name| !used.contains(&*name.to_string_lossy()))
        .count();
    if unused > 0 {
        shown.insert("unreferenced_blobs".to_owned(), unused.into());
    }
    let modes: Vec<_> = super::tree::modes(layout).into_iter().collect();
    shown.insert("modes".to_owned(), modes.into());
    shown.into()
}

/// Shows an image.
pub fn show(digest: &str, blobs: &mut Blobs<'_>, symbols: &Symbols) -> Value {
    let Some(bytes) = blobs(digest) else {
        return json!({"missing": true});
    };
    let mut problems = Vec::new();
    if sha256(&bytes) != bare(digest) {
        problems.push("manifest does not match its digest".to_owned());
    }
    let Some(Value::Object(mut manifest)) = parsed(&bytes) else {
        return json!({"problem": "manifest is not JSON"});
    };
    if let Some(below) = manifest.get("manifests") {
        let images: Vec<Value> = list(below)
            .iter()
            .map(|found| {
                let image = show(text(&found["digest"]), blobs, symbols);
                json!({"descriptor": descriptor(found, symbols), "image": image})
            })
            .collect();
        let media_type = manifest.get("mediaType");
        return json!({"index": {"mediaType": media_type, "manifests": images}});
    }
    let config_descriptor = manifest.remove("config").unwrap_or_default();
    let config = read_config(&config_descriptor, blobs, &mut problems);
    let diff_ids = list(&config["rootfs"]["diff_ids"]);
    let descriptors = manifest.remove("layers").unwrap_or_default();
    let layers: Vec<Value> = list(&descriptors)
        .iter()
        .enumerate()
        .map(|(at, layer)| {
            let diff_id = diff_ids.get(at).map(text);
            let mut wrong = Vec::new();
            let shown = show_layer(layer, diff_id, blobs, symbols, &mut wrong);
            problems.extend(wrong.into_iter().map(|what| format!("layer {at}: {what}")));
            shown
        })
        .collect();
    if diff_ids.len() != layers.len() {
        problems.push(format!(
            "{} diff_ids but {} layers",
            diff_ids.len(),
            layers.len()
        ));
    }
    let history = list(&config["history"]);
    let filled = history
        .iter()
        .filter(|entry| entry["empty_layer"] != json!(true))
        .count();
    if !history.is_empty() && filled != diff_ids.len() {
        let count = diff_ids.len();
        problems.push(format!(
            "{filled} non-empty history entries but {count} layers"
        ));
    }
    let mut shown = json!({
        "manifest": manifest,
        "configMediaType": config_descriptor["mediaType"],
        "layers": layers,
        "config": show_config(config, symbols),
    });
    if !problems.is_empty() {
        shown["problems"] = problems.into();
    }
    shown
}

fn read_config(descriptor: &Value, blobs: &mut Blobs<'_>, problems: &mut Vec<String>) -> Value {
    let digest = text(&descriptor["digest"]);
    let Some(bytes) = blobs(digest) else {
        problems.push("config blob is missing".to_owned());
        return json!({});
    };
    if json!(bytes.len()) != descriptor["size"] || sha256(&bytes) != bare(digest) {
        problems.push("config size or digest is wrong".to_owned());
    }
    parsed(&bytes).unwrap_or_else(|| {
        problems.push("config is not JSON".to_owned());
        json!({})
    })
}

fn show_layer(
    descriptor: &Value,
    diff_id: Option<&str>,
    blobs: &mut Blobs<'_>,
    symbols: &Symbols,
    problems: &mut Vec<String>,
) -> Value {
    let digest = text(&descriptor["digest"]);
    let media_type = &descriptor["mediaType"];
    let mut shown = json!({"mediaType": media_type});
    if !descriptor["annotations"].is_null() {
        shown["annotations"] = descriptor["annotations"].clone();
    }
    let is_fixed = symbols.is_fixed(bare(digest));
    if is_fixed {
        shown["base_digest"] = digest.into();
    }
    let Some(blob) = blobs(digest) else {
        shown["blob"] = "absent".into();
        if let Some(diff_id) = diff_id {
            shown["diffID"] = diff_id.into();
        }
        return shown;
    };
    if json!(blob.len()) != descriptor["size"] || sha256(&blob) != bare(digest) {
        problems.push("size or digest is wrong".to_owned());
    }
    let compressed = blob.starts_with(b"\x1f\x8b");
    if compressed != text(media_type).ends_with("gzip") {
        problems.push("compression does not fit its media type".to_owned());
    }
    let archive = if compressed {
        let mut archive = Vec::new();
        if let Err(why) = MultiGzDecoder::new(&blob[..]).read_to_end(&mut archive) {
            problems.push(format!("cannot be decompressed: {why}"));
        }
        archive
    } else {
        blob
    };
    let actual = format!("sha256:{}", sha256(&archive));
    if diff_id != Some(&actual) {
        problems.push(format!("config diff_id {diff_id:?} is not its diffID"));
    }
    shown["diffID"] = actual.into();
    if !is_fixed {
        let listing = listing::of(&archive);
        shown["listing"] = listing.lines.into();
        if !listing.texts.is_empty() {
            shown["texts"] = json!(listing.texts);
        }
    }
    shown
}

/// Label with versions of what made the image.
const BUILD_METADATA: &str = "io.buildpacks.build.metadata";

fn show_config(mut config: Value, symbols: &Symbols) -> Value {
    // Sets, which Docker writes as objects of empty objects.
    for key in ["ExposedPorts", "Volumes"] {
        if let Some(Value::Object(set)) = config.pointer(&format!("/config/{key}")) {
            config["config"][key] = set.keys().cloned().collect();
        }
    }
    let mut raw = Map::new();
    if let Some(Value::Object(labels)) = config.pointer_mut("/config/Labels") {
        for (key, label) in labels {
            let text = text(label).to_owned();
            let document = text
                .starts_with(['{', '['])
                .then(|| parsed(text.as_bytes()));
            let Some(mut document) = document.flatten() else {
                let shown = symbols.text(&text);
                *label = if shown.is_empty() {
                    "(empty)".into()
                } else {
                    shown.into()
                };
                continue;
            };
            let mut text = text;
            if key == BUILD_METADATA {
                hide_versions(&mut document);
                text = without_versions(&text);
            }
            *label = json!({"is": "JSON", "json": symbols.value(document)});
            raw.insert(key.clone(), symbols.text(&text).into());
        }
    }
    let mut shown = symbols.value(config);
    if !raw.is_empty() {
        shown["labels_raw"] = raw.into();
    }
    shown
}

fn hide_versions(metadata: &mut Value) {
    for (at, name) in [
        ("/launcher/version", "<version>"),
        ("/launcher/source/git/repository", "<repository>"),
        ("/launcher/source/git/commit", "<commit>"),
    ] {
        if let Some(value) = metadata.pointer_mut(at) {
            *value = name.into();
        }
    }
}

fn without_versions(metadata: &str) -> String {
    static LAUNCHER: LazyLock<Regex> = LazyLock::new(|| {
        let git = r#"\{"repository":"[^"]*","commit":"[^"]*"\}"#;
        let launcher = format!(r#""launcher":\{{"version":"[^"]*","source":\{{"git":{git}\}}\}}"#);
        Regex::new(&launcher).expect("the pattern is right")
    });
    LAUNCHER
        .replace(metadata, r#""launcher":"<launcher>""#)
        .into_owned()
}

fn descriptor(found: &Value, symbols: &Symbols) -> Value {
    let mut shown = found.clone();
    if let Value::Object(members) = &mut shown {
        members.remove("size");
        let digest = symbols.text(text(&found["digest"]));
        members.insert("digest".to_owned(), digest.into());
    }
    shown
}

fn read_json(path: &Path) -> Result<Value, String> {
    let bytes = fs::read(path).map_err(|_| "cannot be read".to_owned())?;
    parsed(&bytes).ok_or_else(|| "is not JSON".to_owned())
}

fn parsed(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn bare(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

#[cfg(test)]
mod tests;
