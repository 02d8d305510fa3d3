use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::digest::sha256;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A layout without a disk.
#[derive(Debug, Default)]
struct Memory(HashMap<Digest, Vec<u8>>);

impl Blobs for Memory {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let blob = self.0.get(&blob.digest).cloned();
        Ok(blob.map(|it| Box::new(Cursor::new(it)) as Box<dyn Read + Send>))
    }

    fn path(&self, digest: &Digest) -> Option<PathBuf> {
        self.0.contains_key(digest).then(PathBuf::new)
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

impl Memory {
    fn put(&mut self, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = sha256(&bytes);
        let size = bytes.len();
        self.0.insert(digest.clone(), bytes);
        json!({"mediaType": media_type, "size": size, "digest": digest.to_string()})
    }

    /// Puts an image whose name is a label, for `os/architecture[/variant]`.
    fn image(&mut self, name: &str, platform: &str) -> Value {
        self.image_of(name, platform, ["ubuntu", "24.04"], OCI_MANIFEST)
    }

    fn image_of(&mut self, name: &str, platform: &str, distro: [&str; 2], r#type: &str) -> Value {
        let mut config = platform_json(platform);
        config["config"] = json!({"Labels": {
            "name": name, DISTRO_LABELS[0]: distro[0], DISTRO_LABELS[1]: distro[1],
        }});
        config["rootfs"] = json!({"type": "layers", "diff_ids": null});
        let config = self.put("application/vnd.oci.image.config.v1+json", &config);
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": null});
        self.put(r#type, &manifest)
    }

    fn index(&mut self, r#type: &str, manifests: &[Value]) -> Value {
        self.put(r#type, &json!({"schemaVersion": 2, "manifests": manifests}))
    }
}

fn platform_json(text: &str) -> Value {
    let mut parts = text.split('/');
    let [os, architecture, variant, os_version] =
        [(); 4].map(|()| parts.next().unwrap_or_default());
    json!({"os": os, "architecture": architecture, "variant": variant, "os.version": os_version})
}

fn platform(text: &str) -> Option<Platform> {
    serde_json::from_value(platform_json(text)).unwrap()
}

fn on(mut descriptor: Value, platform: &str) -> Value {
    descriptor["platform"] = platform_json(platform);
    descriptor
}

fn named(mut descriptor: Value, ref_name: &str) -> Value {
    descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": ref_name});
    descriptor
}

/// Returns the label `name` of the chosen image, or the error.
fn chosen(memory: Memory, index: &Value, selector: &Selector) -> Result<String, String> {
    let index: Index = crate::json::from_slice(index.to_string().as_bytes()).unwrap();
    let entry = select(&index, &memory, selector).map_err(|it| it.to_string())?;
    let image = entry.open(std::sync::Arc::new(memory)).unwrap();
    Ok(image.label("name").unwrap().to_owned())
}

fn by_platform(text: &str) -> Selector {
    Selector {
        platform: platform(text),
        ..Selector::default()
    }
}

fn by_name(text: &str) -> Selector {
    Selector {
        ref_name: Some(text.to_owned()),
        platform: platform("linux/amd64"),
        ..Selector::default()
    }
}

type Make = fn(&mut Memory) -> Value;

/// LAY-009 to LAY-011, and what is decided where the reference fails.
#[test]
fn the_right_image_is_chosen() {
    let distro = |name: &str, version: &str| Selector {
        distro: Some((name.to_owned(), version.to_owned())),
        ..by_platform("linux/amd64")
    };

    let cases: Vec<(Make, Selector, Result<&str, &str>)> = vec![
        (flat, by_platform("linux/amd64"), Ok("amd64")),
        (flat, by_platform("linux/arm64"), Ok("arm64")),
        (flat, by_platform("linux/arm64/v8"), Ok("arm64")),
        (flat, by_platform("linux/arm"), Ok("armv7")),
        (flat, by_platform("linux/arm/v6"), Ok("armv6")),
        (flat, by_platform("linux/s390x"), Err("linux/arm64/v8")),
        (
            flat,
            by_platform("windows/amd64"),
            Err("is for windows/amd64"),
        ),
        (flat, by_name("any"), Ok("amd64")),
        (docker, by_platform("linux/amd64"), Ok("amd64")),
        (nested, by_platform("linux/arm64"), Ok("arm64")),
        (nested, by_name("v1"), Ok("amd64")),
        (nested, by_name("v2"), Err("linux/amd64 v1")),
        (
            nested_docker_untyped,
            by_platform("linux/amd64"),
            Ok("amd64"),
        ),
        (single, by_platform("linux/amd64"), Ok("arm64")),
        (single, by_name("any"), Ok("arm64")),
        (without_platforms, by_platform("linux/amd64"), Ok("amd64")),
        (names, by_name("v2"), Ok("new")),
        (names, by_name("v3"), Err("is named v3")),
        (names, by_platform("linux/amd64"), Ok("old")),
        (one_named, by_name("v1"), Ok("v1")),
        (one_named, by_name("v2"), Err("linux/amd64 v1")),
        (two_names, by_platform("linux/amd64"), Ok("both")),
        (two_names, by_name("latest"), Ok("both")),
        (distros, distro("ubuntu", "24.04"), Ok("noble")),
        (distros, distro("ubuntu", "22.04"), Ok("jammy")),
        (
            distros,
            distro("debian", "12"),
            Err("is based on debian 12"),
        ),
        (distros, by_platform("linux/amd64"), Ok("jammy")),
        (
            distros,
            Selector {
                distro: Some(("debian".into(), "12".into())),
                ..by_platform("linux/arm64")
            },
            Ok("arm"),
        ),
        (windows, by_platform("windows/amd64//10.0.2"), Ok("new")),
        (windows, by_platform("windows/amd64"), Ok("old")),
        (with_attestation, by_platform("linux/amd64"), Ok("arm64")),
        (with_foreign, by_platform("linux/amd64"), Ok("arm64")),
        (absent, by_platform("linux/amd64"), Ok("amd64")),
        (empty, by_platform("linux/amd64"), Err("lists no image")),
    ];
    for (number, (make, selector, expected)) in cases.into_iter().enumerate() {
        let mut memory = Memory::default();
        let index = make(&mut memory);
        let found = chosen(memory, &index, &selector);
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "case {number}: {selector:?}"),
            (Err(found), Err(text)) => assert!(found.contains(text), "case {number}: {found}"),
            _ => panic!("case {number}: {found:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn an_architecture_without_a_variant_means_its_most_common_one() {
    for (found, wanted, expected) in [
        ("linux/amd64", "linux/amd64/v1", true),
        ("linux/amd64", "linux/amd64/v3", false),
        ("linux/arm64", "linux/arm64/v8", true),
        ("linux/arm64", "linux/arm64/v9", false),
        ("linux/arm", "linux/arm/v7", true),
        ("linux/arm", "linux/arm/v6", false),
        ("linux/arm64/v8", "linux/arm64", true),
    ] {
        let found_platform = platform(found).unwrap();
        let wanted_platform = platform(wanted).unwrap();
        assert_eq!(
            fits(&found_platform, &wanted_platform),
            expected,
            "{found} for {wanted}"
        );
    }
}

#[test]
fn without_the_most_common_variant_the_first_one_serves() {
    let mut memory = Memory::default();
    let [six, five] = ["linux/arm/v6", "linux/arm/v5"].map(|it| on(memory.image(it, it), it));
    let index = json!({"manifests": [six, five]});
    let found = chosen(memory, &index, &by_platform("linux/arm"));
    assert_eq!(found.as_deref(), Ok("linux/arm/v6"));
}

#[test]
fn by_default_an_image_for_this_machine_is_chosen() {
    let host = Platform::host();
    let mut memory = Memory::default();
    let other = memory.image("other", "linux/other");
    let mine = memory.image("mine", &format!("linux/{}", host.architecture));
    let index = json!({"manifests": [other, mine]});
    assert_eq!(
        chosen(memory, &index, &Selector::default()).unwrap(),
        "mine"
    );
}

#[test]
fn a_digest_means_its_manifest_or_the_images_of_its_index() {
    let mut memory = Memory::default();
    let arm = memory.image("arm64", "linux/arm64");
    let amd = memory.image("amd64", "linux/amd64");
    let old = memory.image("old", "linux/amd64");
    let inner = memory.index(OCI_INDEX, &[arm.clone(), amd]);
    let index = json!({"manifests": [old, inner.clone()]});
    let cases = [
        (arm["digest"].as_str().unwrap().to_owned(), Some("arm64")),
        (inner["digest"].as_str().unwrap().to_owned(), Some("amd64")),
        (sha256(b"unknown").to_string(), None),
    ];
    for (digest, expected) in cases {
        let selector = Selector {
            digest: Some(digest.parse().unwrap()),
            ..by_platform("linux/amd64")
        };
        let memory = Memory(memory.0.clone());
        match expected {
            Some(name) => assert_eq!(chosen(memory, &index, &selector).unwrap(), name),
            None => assert!(
                chosen(memory, &index, &selector)
                    .unwrap_err()
                    .contains(&digest)
            ),
        }
    }
}

/// Real digests cannot name what holds them; blobs that are not checked could pretend to.
#[test]
fn indexes_that_nest_without_end_are_refused() {
    let mut memory = Memory::default();
    let digest = sha256(b"itself");
    let itself = json!({"mediaType": OCI_INDEX, "size": 1, "digest": digest.to_string()});
    let index = json!({"manifests": [itself.clone()]});
    memory.0.insert(digest, index.to_string().into_bytes());
    let error = chosen(memory, &index, &Selector::default()).unwrap_err();
    assert!(error.contains("nested too deep"), "{error}");

    let mut memory = Memory::default();
    let mut inner = memory.image("deep", "linux/amd64");
    for _ in 0..MAX_DEPTH {
        inner = memory.index(OCI_INDEX, &[inner]);
    }
    let index = json!({"manifests": [inner.clone()]});
    let all = Memory(memory.0.clone());
    assert_eq!(chosen(all, &index, &Selector::default()).unwrap(), "deep");
    let deeper = memory.index(OCI_INDEX, &[inner]);
    let index = json!({"manifests": [deeper]});
    let error = chosen(memory, &index, &Selector::default()).unwrap_err();
    assert!(error.contains("nested too deep"), "{error}");
}

/// Ten indexes that each name the one below ten times are a small file and ten thousand million images.
#[test]
fn indexes_that_list_too_much_are_refused() {
    let mut memory = Memory::default();
    let mut inner = memory.image("one", "linux/amd64");
    for _ in 0..MAX_DEPTH {
        let ten: Vec<_> = (0..10)
            .map(|n| named(inner.clone(), &n.to_string()))
            .collect();
        inner = memory.index(OCI_INDEX, &ten);
    }
    let index = json!({"manifests": [inner]});
    let error = chosen(memory, &index, &Selector::default()).unwrap_err();
    assert!(error.contains("more than 10000 images"), "{error}");
}

#[test]
fn a_descriptor_of_nothing_readable_is_an_error_that_names_it() {
    let digest = sha256(b"garbage");
    for (bytes, text) in [
        (Some(b"garbage".to_vec()), "failed to read sha256:"),
        (
            Some(b"{\"manifests\":[],\"layers\":[]}".to_vec()),
            "failed to read sha256:",
        ),
        (None, "is not in memory"),
    ] {
        let mut memory = Memory::default();
        memory.0.extend(bytes.map(|it| (digest.clone(), it)));
        let descriptor = json!({"size": 7, "digest": digest.to_string()});
        let index = json!({"manifests": [descriptor]});
        let error = chosen(memory, &index, &Selector::default()).unwrap_err();
        assert!(error.contains(text) && error.contains("memory"), "{error}");
    }
}

/// A store elsewhere, which counts what it is asked for.
#[derive(Debug, Default)]
struct Remote {
    memory: Memory,
    asked: AtomicUsize,
    is_down: bool,
}

impl Blobs for Remote {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_down {
            return Err(blob::Error::Elsewhere("nobody answers".into()));
        }
        self.memory.open(blob)
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }

    fn location(&self) -> String {
        "r.example/app".to_owned()
    }
}

/// An index of thousands of entries that say nothing must not make us ask thousands of times.
#[test]
fn a_store_elsewhere_is_not_asked_for_ever() {
    let nothing = |n: usize| {
        let digest = sha256(&n.to_be_bytes()).to_string();
        json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest})
    };
    let index = json!({"manifests": (0..1000).map(nothing).collect::<Vec<_>>()});
    let index: Index = crate::json::from_slice(index.to_string().as_bytes()).unwrap();
    for (is_down, asked, expected) in [
        (false, MAX_LOOKS, "neither what they are"),
        (true, 1, "nobody answers"),
    ] {
        let remote = Remote {
            is_down,
            ..Remote::default()
        };
        let error = select(&index, &remote, &Selector::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(remote.asked.into_inner(), asked);
    }
}

#[test]
fn what_others_wrote_is_shown_in_part() {
    let mut memory = Memory::default();
    let bad = format!("\u{1b}[2J{}", "x".repeat(1000));
    let image = memory.image("one", "linux/s390x");
    let many = (0..100).map(|n| named(image.clone(), &format!("{bad}{n}")));
    let other = on(memory.image("two", "linux/arm"), "linux/arm");
    let many: Vec<_> = many.chain([other]).collect();
    let error = chosen(
        memory,
        &json!({"manifests": many}),
        &by_platform("linux/amd64"),
    );
    let error = error.unwrap_err();
    assert!(error.contains("and 71 more"), "{error}");
    assert!(!error.contains('\u{1b}') && error.len() < 10_000, "{error}");
}

fn flat(it: &mut Memory) -> Value {
    let amd = it.image("amd64", "linux/amd64");
    let arm = it.image("arm64", "linux/arm64/v8");
    let arm7 = it.image("armv7", "linux/arm/v7");
    let arm6 = it.image("armv6", "linux/arm/v6");
    json!({"manifests": [on(arm6, "linux/arm/v6"), on(arm7, "linux/arm/v7"), on(arm, "linux/arm64/v8"), on(amd, "linux/amd64")]})
}

fn docker(it: &mut Memory) -> Value {
    let amd = it.image_of("amd64", "linux/amd64", ["", ""], DOCKER_MANIFEST);
    let arm = it.image_of("arm64", "linux/arm64", ["", ""], DOCKER_MANIFEST);
    json!({"mediaType": DOCKER_LIST, "manifests": [on(arm, "linux/arm64"), on(amd, "linux/amd64")]})
}

fn nested(it: &mut Memory) -> Value {
    let amd = it.image("amd64", "linux/amd64");
    let arm = it.image("arm64", "linux/arm64");
    let index = it.index(OCI_INDEX, &[on(arm, "linux/arm64"), on(amd, "linux/amd64")]);
    json!({"manifests": [named(index, "v1")]})
}

fn nested_docker_untyped(it: &mut Memory) -> Value {
    let amd = it.image_of("amd64", "linux/amd64", ["", ""], DOCKER_MANIFEST);
    let arm = it.image_of("arm64", "linux/arm64", ["", ""], DOCKER_MANIFEST);
    let mut index = it.index(
        DOCKER_LIST,
        &[on(arm, "linux/arm64"), on(amd, "linux/amd64")],
    );
    index.as_object_mut().unwrap().remove("mediaType");
    json!({"manifests": [index]})
}

fn single(it: &mut Memory) -> Value {
    let arm = it.image("arm64", "linux/arm64");
    json!({"manifests": [on(arm, "linux/arm64")]})
}

fn without_platforms(it: &mut Memory) -> Value {
    let arm = it.image("arm64", "linux/arm64");
    let amd = it.image("amd64", "linux/amd64");
    json!({"manifests": [arm, amd]})
}

fn names(it: &mut Memory) -> Value {
    let old = it.image("old", "linux/amd64");
    let new = it.image("new", "linux/amd64");
    json!({"manifests": [named(old, "v1"), named(new, "v2")]})
}

fn one_named(it: &mut Memory) -> Value {
    let image = it.image("v1", "linux/amd64");
    json!({"manifests": [named(image, "v1")]})
}

fn two_names(it: &mut Memory) -> Value {
    let arm = it.image("both", "linux/arm64");
    json!({"manifests": [named(arm.clone(), "v1"), named(arm, "latest")]})
}

fn distros(it: &mut Memory) -> Value {
    let jammy = it.image_of("jammy", "linux/amd64", ["ubuntu", "22.04"], OCI_MANIFEST);
    let noble = it.image_of("noble", "linux/amd64", ["ubuntu", "24.04"], OCI_MANIFEST);
    let arm = it.image_of("arm", "linux/arm64", ["ubuntu", "24.04"], OCI_MANIFEST);
    json!({"manifests": [arm, jammy, noble]})
}

fn windows(it: &mut Memory) -> Value {
    let old = it.image("old", "windows/amd64//10.0.1");
    let new = it.image("new", "windows/amd64//10.0.2");
    json!({"manifests": [old, new]})
}

fn with_attestation(it: &mut Memory) -> Value {
    let arm = it.image("arm64", "linux/arm64");
    let mut about = it.image("attestation", "unknown/unknown");
    about["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    json!({"manifests": [on(arm, "linux/arm64"), on(about, "unknown/unknown")]})
}

fn with_foreign(it: &mut Memory) -> Value {
    let arm = it.image("arm64", "linux/arm64");
    let other = it.put("application/vnd.other", &json!({"x": 1}));
    json!({"manifests": [other, arm]})
}

fn absent(it: &mut Memory) -> Value {
    let amd = it.image("amd64", "linux/amd64");
    let digest = sha256(b"elsewhere").to_string();
    let elsewhere = json!({"mediaType": OCI_MANIFEST, "size": 1, "digest": digest});
    json!({"manifests": [elsewhere, on(amd, "linux/amd64")]})
}

fn empty(_: &mut Memory) -> Value {
    json!({"manifests": null})
}
