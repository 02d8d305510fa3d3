//! The restorer as a program: which metadata, layers and SBOM files come back, and what it says of it.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::PathBuf;
use std::process::Command;

use fs_err as fs;
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::image;
use tests::program::{Ran, ours, requires_root};

/// A layers directory, a cache and what the analyzer found.
struct Restoring {
    dir: TempDir,
    api: &'static str,
    /// `buildpacks` of the previous image's label.
    previous: Value,
    /// `buildpacks` of the cache's metadata.
    cached: Value,
    /// Digest of the cache's SBOM layer.
    cached_sbom: String,
}

impl Restoring {
    fn new(api: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["layers/acme_one", "layers/acme_two", "cache/committed"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let restoring = Self {
            dir,
            api,
            previous: json!([]),
            cached: json!([]),
            cached_sbom: String::new(),
        };
        let group = "[[group]]\nid = \"acme/one\"\nversion = \"1\"\napi = \"0.10\"\n[[group]]\nid = \"acme/two\"\nversion = \"1\"\napi = \"0.10\"\n";
        restoring.write("layers/group.toml", group);
        restoring
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// Puts a layer with one file into the cache; returns its diffID.
    fn cache_layer(&self, buildpack: &str, layer: &str) -> String {
        let folder = self.path(&format!("layers/{buildpack}/{layer}"));
        let tar = Tar::default()
            .add(&folder, b'5', 0o755, "")
            .add(&folder.join("file"), b'0', 0o640, "from the cache")
            .end();
        self.cache_tar(&tar)
    }

    fn cache_tar(&self, tar: &[u8]) -> String {
        let digest = image::digest(tar);
        self.write(&format!("cache/committed/{digest}.tar"), tar);
        digest
    }

    /// Runs as the user who is here, so that nobody's rights matter.
    fn run(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let analyzed = json!({
            "image": {"reference": ""},
            "run-image": {"reference": "r", "target": {"os": "linux", "arch": "amd64"}},
            "metadata": {"buildpacks": self.previous},
        });
        if !self.path("layers/analyzed.toml").exists() {
            self.write("layers/analyzed.toml", toml::to_string(&analyzed).unwrap());
        }
        let cached = json!({"sbom": {"sha": self.cached_sbom}, "buildpacks": self.cached});
        self.write(
            "cache/committed/io.buildpacks.lifecycle.cache.metadata",
            cached.to_string(),
        );
        self.run_without_files(args, variables)
    }

    fn run_without_files(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let owner = fs::metadata(self.dir.path()).unwrap();
        let mut command = Command::new(ours("restorer"));
        command
            .env_clear()
            .env("CNB_PLATFORM_API", self.api)
            .env("CNB_NO_COLOR", "true")
            .env("CNB_LAYERS_DIR", self.path("layers"))
            .env("CNB_CACHE_DIR", self.path("cache"))
            .env("CNB_USE_LAYOUT", "true")
            .env("CNB_LAYOUT_DIR", self.path("oci"))
            .env("CNB_USER_ID", owner.uid().to_string())
            .env("CNB_GROUP_ID", owner.gid().to_string())
            .envs(variables.iter().copied())
            .args(args);
        Ran::of(&mut command)
    }
}

/// A tar written field by field.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn add(mut self, path: &std::path::Path, kind: u8, mode: u32, text: &str) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(text.len() as u64);
        header.set_mode(mode);
        header.set_uid(4321);
        header.set_gid(4321);
        let name = path.to_str().unwrap().as_bytes();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// One layer of one buildpack, as label and cache metadata have it.
fn buildpack(key: &str, layer: &str, record: &Value) -> Value {
    json!({"key": key, "version": "1", "layers": {layer: record}})
}

fn record(sha: &str, build: bool, launch: bool, cache: bool) -> Value {
    let data = json!({"number": 3, "text": "t"});
    // analyzed.toml and the cache's JSON have other words for it.
    json!({"sha": sha, "build": build, "launch": launch, "cache": cache, "data": data, "metadata": data})
}

/// RES-001, RES-007: arguments, the group and its APIs; extensions are not looked at.
#[test]
fn what_it_needs_is_checked() {
    let restoring = Restoring::new("0.13");
    let ran = restoring.run(&["app"], &[]);
    let arguments = "ERROR: failed to parse arguments: received unexpected Args\n";
    assert_eq!(
        (ran.code, ran.text.ends_with(arguments)),
        (3, true),
        "{}",
        ran.text
    );

    let unsupported = "[[group]]\nid = \"acme/one\"\nversion = \"1\"\napi = \"0.6\"\n";
    let extension = "[[group-extensions]]\nid = \"acme/ext\"\nversion = \"1\"\napi = \"0.6\"\n";
    for (group, code, text) in [
        (Some("no = toml = 1"), 1, "ERROR: failed to read group file"),
        (None, 1, "ERROR: failed to read group file"),
        (
            Some(unsupported),
            12,
            "ERROR: failed to set API for Buildpack 'acme/one@1': buildpack API version '0.6' is incompatible with the lifecycle\n",
        ),
        (Some(extension), 0, ""),
    ] {
        match group {
            Some(group) => restoring.write("layers/group.toml", group),
            None => fs::remove_file(restoring.path("layers/group.toml")).unwrap(),
        }
        let ran = restoring.run(&[], &[]);
        assert_eq!(ran.code, code, "{group:?}: {}", ran.text);
        assert!(ran.text.contains(text), "{group:?}: {}", ran.text);
    }
}

/// RES-008.
#[test]
fn an_analyzed_file_that_cannot_be_used_is_left_alone() {
    let restoring = Restoring::new("0.13");
    restoring.write("layers/analyzed.toml", "no = toml = 1");
    let ran = restoring.run(&[], &[]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text
            .contains("Warning: Not using analyzed data, usable file not found: "),
        "{}",
        ran.text
    );
    assert_eq!(
        restoring.read("layers/analyzed.toml").unwrap(),
        "no = toml = 1"
    );

    // Missing: that is no reason for a warning, and it is there afterwards.
    fs::remove_file(restoring.path("layers/analyzed.toml")).unwrap();
    let ran = restoring.run_without_files(&[], &[]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        !ran.text.contains("Not using analyzed data"),
        "{}",
        ran.text
    );
    assert!(
        restoring
            .read("layers/analyzed.toml")
            .unwrap()
            .contains("[metadata")
    );

    // Nobody can write a file where a link leads into a folder that is not there.
    fs::remove_file(restoring.path("layers/analyzed.toml")).unwrap();
    symlink(
        "nowhere/analyzed.toml",
        restoring.path("layers/analyzed.toml"),
    )
    .unwrap();
    let ran = restoring.run_without_files(&[], &[]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text
            .contains("ERROR: failed to write analyzed metadata: "),
        "{}",
        ran.text
    );
}

/// RES-014: with layers and without.
#[test]
fn stores_come_back_also_where_layers_are_skipped() {
    for args in [&[][..], &["-skip-layers"]] {
        let mut restoring = Restoring::new("0.13");
        restoring.previous = json!([
            {"key": "acme/one", "version": "1", "layers": {}, "store": {"metadata": {"number": 3}}},
            {"key": "acme/two", "version": "1", "layers": {}},
            {"key": "acme/gone", "version": "1", "layers": {}, "store": {"metadata": {"number": 4}}},
        ]);
        let ran = restoring.run(args, &[]);
        assert_eq!(ran.code, 0, "{}", ran.text);
        let store: toml::Table = restoring
            .read("layers/acme_one/store.toml")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(store["metadata"]["number"], toml::Value::Integer(3));
        assert!(!restoring.path("layers/acme_two/store.toml").exists());
        assert!(!restoring.path("layers/acme_gone").exists());
    }
}

/// RES-015: nothing but stores, and what others left of cached layers goes.
#[test]
fn skipping_layers_restores_none() {
    for (args, variables) in [
        (&["-skip-layers"][..], &[][..]),
        (&[], &[("CNB_SKIP_LAYERS", "true")]),
        (&[], &[("CNB_SKIP_RESTORE", "true")]),
    ] {
        let mut restoring = Restoring::new("0.13");
        let sha = restoring.cache_layer("acme_one", "both");
        restoring.previous = json!([buildpack(
            "acme/one",
            "both",
            &record(&sha, false, true, true)
        )]);
        restoring.cached = restoring.previous.clone();
        fs::create_dir(restoring.path("layers/acme_one/both")).unwrap();
        restoring.write("layers/acme_one/both/left", "behind");
        restoring.write("layers/acme_one/both.toml", "");
        restoring.write("layers/acme_one/other.toml", "");
        let ran = restoring.run(args, variables);
        assert_eq!(ran.code, 0, "{}", ran.text);
        assert_eq!(
            ran.text,
            "Skipping buildpack layer analysis\nRemoving \"acme/one:both\", wrong sha\n"
        );
        assert!(!restoring.path("layers/acme_one/both").exists());
        assert!(!restoring.path("layers/acme_one/both.toml").exists());
        assert!(
            restoring.path("layers/acme_one/other.toml").exists(),
            "the cache does not know it"
        );
    }
}

/// RES-016, RES-017, RES-018, BPB-065 to BPB-067: what comes back of one layer, by what label and cache say of it.
#[test]
fn metadata_comes_back_by_where_it_was_kept() {
    const IMAGE: &str = "Restoring metadata for \"acme/one:layer\" from app image\n";
    const CACHE: &str = "Restoring metadata for \"acme/one:layer\" from cache\n";
    // API; build, launch and cache in the label, then in the cache; the line that says where it came from.
    for (api, label, cached, expected) in [
        // RES-016
        ("0.13", Some((false, true, false)), None, Some(IMAGE)),
        ("0.13", Some((true, false, false)), None, None),
        ("0.13", Some((true, true, false)), None, None),
        ("0.13", Some((false, true, true)), None, None),
        (
            "0.13",
            Some((false, true, true)),
            Some((false, true, false)),
            None,
        ),
        (
            "0.13",
            Some((false, true, true)),
            Some((false, true, true)),
            Some(IMAGE),
        ),
        (
            "0.13",
            Some((true, true, true)),
            Some((true, true, true)),
            Some(IMAGE),
        ),
        // RES-017
        ("0.13", None, Some((false, false, true)), Some(CACHE)),
        ("0.13", None, Some((true, false, true)), Some(CACHE)),
        ("0.13", None, Some((true, false, false)), None),
        ("0.13", None, Some((false, true, true)), None),
        ("0.7", None, Some((false, true, true)), None),
        // RES-018
        ("0.14", None, Some((false, false, true)), Some(CACHE)),
        ("0.14", None, Some((false, true, true)), Some(CACHE)),
        ("0.14", None, Some((false, true, false)), None),
        (
            "0.14",
            Some((false, true, true)),
            Some((false, true, true)),
            Some(IMAGE),
        ),
        // The image has a layer of that name, though not one that comes back.
        (
            "0.14",
            Some((true, false, true)),
            Some((false, true, true)),
            None,
        ),
    ] {
        let mut restoring = Restoring::new(api);
        let sha = restoring.cache_layer("acme_one", "layer");
        let one = |(build, launch, cache)| {
            json!([buildpack(
                "acme/one",
                "layer",
                &record(&sha, build, launch, cache)
            )])
        };
        restoring.previous = label.map_or_else(|| json!([]), one);
        restoring.cached = cached.map_or_else(|| json!([]), one);
        let ran = restoring.run(&["-log-level=debug"], &[]);
        let case = format!("{api} {label:?} {cached:?}: {}", ran.text);
        assert_eq!(ran.code, 0, "{case}");
        let said: Vec<_> = [IMAGE, CACHE]
            .into_iter()
            .filter(|line| ran.text.contains(line))
            .collect();
        assert_eq!(said, Vec::from_iter(expected), "{case}");
        // RES-019: the metadata alone, with its integers; no types, no .sha.
        let file = restoring.read("layers/acme_one/layer.toml");
        assert_eq!(file.is_some(), expected.is_some(), "{case}");
        if let Some(file) = file {
            let table: toml::Table = file.parse().unwrap();
            let metadata: toml::Table = "[metadata]\nnumber = 3\ntext = \"t\"\n".parse().unwrap();
            assert_eq!(table, metadata, "{case}");
        }
        assert!(!restoring.path("layers/acme_one/layer.sha").exists());
        // RES-020: data comes where the cache keeps the layer.
        let data = restoring.path("layers/acme_one/layer/file").exists();
        let keeps = cached.is_some_and(|(_, _, cache)| cache);
        assert_eq!(data, expected.is_some() && keeps, "{case}");
        let launch = "Not restoring \"acme/one:layer\" from cache, marked as launch=true\n";
        let left_to_the_image = matches!(cached, Some((_, true, true))) && expected != Some(CACHE);
        assert_eq!(ran.text.contains(launch), left_to_the_image, "{case}");
    }
}

/// RES-020: the layer of the image is another one than the cache has.
#[test]
fn a_layer_that_changed_since_is_removed() {
    let mut restoring = Restoring::new("0.13");
    let sha = restoring.cache_layer("acme_one", "both");
    let other = image::digest(b"another");
    restoring.previous = json!([buildpack(
        "acme/one",
        "both",
        &record(&other, false, true, true)
    )]);
    restoring.cached = json!([buildpack(
        "acme/one",
        "both",
        &record(&sha, false, true, true)
    )]);
    fs::create_dir(restoring.path("layers/acme_one/both")).unwrap();
    restoring.write("layers/acme_one/both.sha", "old");
    let ran = restoring.run(&[], &[]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(
        ran.text.contains("Removing \"acme/one:both\", wrong sha\n"),
        "{}",
        ran.text
    );
    for gone in ["both", "both.toml", "both.sha"] {
        assert!(
            !restoring.path(&format!("layers/acme_one/{gone}")).exists(),
            "{gone}"
        );
    }
}

/// RES-021, RES-026: every layer comes back, at the paths in the archive, owned by who restores.
#[test]
fn data_comes_back_at_its_own_paths() {
    let mut restoring = Restoring::new("0.13");
    let layers = [("acme/one", "a"), ("acme/one", "b"), ("acme/two", "c")];
    let mut cached = Vec::new();
    for (id, layer) in layers {
        let sha = restoring.cache_layer(&id.replace('/', "_"), layer);
        cached.push(buildpack(id, layer, &record(&sha, true, false, true)));
    }
    // Two layers of one buildpack stand in one entry.
    let second = cached.remove(1);
    cached[0]["layers"]["b"] = second["layers"]["b"].clone();
    restoring.cached = json!(cached);
    let ran = restoring.run(&[], &[]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let mine = fs::metadata(restoring.dir.path()).unwrap();
    for (id, layer) in layers {
        let line = format!("Restoring data for \"{id}:{layer}\" from cache\n");
        assert!(ran.text.contains(&line), "{line} {}", ran.text);
        let file = restoring.path(&format!("layers/{}/{layer}/file", id.replace('/', "_")));
        assert_eq!(fs::read_to_string(&file).unwrap(), "from the cache");
        let file = fs::metadata(&file).unwrap();
        assert_eq!((file.uid(), file.gid()), (mine.uid(), mine.gid()));
        assert_eq!(file.mode() & 0o7777, 0o640);
    }
}

/// RES-022: a warning, exit 0, and the metadata stays so that the buildpack sees what is missing.
#[test]
fn a_cached_layer_that_is_missing_or_damaged_is_skipped() {
    for damage in ["missing", "changed"] {
        let mut restoring = Restoring::new("0.13");
        let sha = restoring.cache_layer("acme_one", "layer");
        restoring.cached = json!([buildpack(
            "acme/one",
            "layer",
            &record(&sha, true, false, true)
        )]);
        let tar = format!("cache/committed/{sha}.tar");
        let reason = if damage == "missing" {
            fs::remove_file(restoring.path(&tar)).unwrap();
            format!("failed to find cache layer with SHA '{sha}'")
        } else {
            restoring.write(&tar, "other");
            let found = image::digest(b"other");
            format!("expected layer contents to have SHA '{sha}'; found '{found}'")
        };
        let ran = restoring.run(&[], &[]);
        assert_eq!(ran.code, 0, "{}", ran.text);
        let warning = format!("Warning: Skipping restore for layer acme/one:layer: {reason}\n");
        assert!(ran.text.contains(&warning), "{warning} {}", ran.text);
        assert!(restoring.path("layers/acme_one/layer.toml").exists());
        assert!(!restoring.path("layers/acme_one/layer").exists());
    }
}

/// RES-023: it is there, and yet not for the user who restores.
#[test]
fn root_a_cached_layer_that_may_not_be_opened_is_fatal() {
    if !requires_root() {
        return;
    }
    let mut restoring = Restoring::new("0.13");
    let sha = restoring.cache_layer("acme_one", "layer");
    let kept = record(&sha, true, false, true);
    restoring.cached = json!([buildpack("acme/one", "layer", &kept)]);
    restoring.run(&["-skip-layers"], &[]);
    let mut give = Command::new("chown");
    Ran::of(give.args(["-R", "65534:65534"]).arg(restoring.dir.path())).ok();
    let tar = restoring.path(&format!("cache/committed/{sha}.tar"));
    chown(&tar, Some(0), Some(0)).unwrap();
    fs::set_permissions(&tar, Permissions::from_mode(0o600)).unwrap();
    let ran = restoring.run_without_files(&["-uid=65534", "-gid=65534"], &[]);
    assert_eq!(ran.code, 42, "{}", ran.text);
    let error = format!(
        "ERROR: failed to restore: restoring data: restoring layer acme/one:layer: failed to get cache layer with SHA '{sha}': "
    );
    assert!(ran.text.contains(&error), "{}", ran.text);
}

/// RES-024, RES-025: from cache and image to beside the layers, launch over cache; a missing tar is a warning here.
#[test]
fn sboms_come_back_beside_their_layers() {
    let mut restoring = Restoring::new("0.13");
    let sbom = restoring.path("layers/sbom");
    let cached = sbom.join("cache");
    let tar = Tar::default()
        .add(
            &cached.join("acme_one/layer/sbom.cdx.json"),
            b'0',
            0o644,
            "cached cdx",
        )
        .add(
            &cached.join("acme_one/layer/sbom.spdx.json"),
            b'0',
            0o644,
            "cached spdx",
        )
        .add(
            &cached.join("acme_gone/layer/sbom.cdx.json"),
            b'0',
            0o644,
            "no such buildpack",
        )
        .end();
    restoring.cached_sbom = restoring.cache_tar(&tar);
    for (name, text) in [
        ("acme_one/layer/sbom.cdx.json", "launch cdx"),
        ("acme_one/layer/other.json", "no SBOM"),
        ("acme_one/sbom.cdx.json", "the buildpack's own"),
        ("acme_two/deep/sbom.syft.json", "two"),
    ] {
        let path = format!("layers/sbom/launch/{name}");
        fs::create_dir_all(restoring.path(&path).parent().unwrap()).unwrap();
        restoring.write(&path, text);
    }
    let ran = restoring.run(&[], &[]);
    assert_eq!(
        (ran.code, &*ran.text),
        (0, "Restoring data for SBOM from cache\n")
    );
    let read = |name: &str| restoring.read(&format!("layers/{name}"));
    assert_eq!(
        read("acme_one/layer.sbom.cdx.json").as_deref(),
        Some("launch cdx")
    );
    assert_eq!(
        read("acme_one/layer.sbom.spdx.json").as_deref(),
        Some("cached spdx")
    );
    assert_eq!(read("acme_two/deep.sbom.syft.json").as_deref(), Some("two"));
    let mut names: Vec<_> = fs::read_dir(restoring.path("layers/acme_one"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["layer.sbom.cdx.json", "layer.sbom.spdx.json"]);
    assert!(!restoring.path("layers/acme_gone").exists());
    assert!(!sbom.exists());

    // Where we differ from the reference, which ends with 42.
    fs::remove_file(restoring.path(&format!("cache/committed/{}.tar", restoring.cached_sbom)))
        .unwrap();
    let ran = restoring.run(&[], &[]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    let missing = format!(
        "Warning: Not restoring SBOM from cache: retrieving layer with SHA '{0}': failed to find cache layer with SHA '{0}'\n",
        restoring.cached_sbom
    );
    assert!(ran.text.contains(&missing), "{}", ran.text);
}

/// RES-024, RES-025: below 0.8 there are no SBOM files.
#[test]
fn old_platforms_have_no_sboms() {
    let mut restoring = Restoring::new("0.7");
    let file = restoring.path("layers/sbom/cache/acme_one/layer/sbom.cdx.json");
    restoring.cached_sbom =
        restoring.cache_tar(&Tar::default().add(&file, b'0', 0o644, "{}").end());
    let ran = restoring.run(&[], &[]);
    assert_eq!((ran.code, &*ran.text), (0, ""));
    assert!(!file.exists());
}

/// RES-029: without any cache, metadata of the image and stores come back; a cache that cannot be set up exits 1.
#[test]
fn without_a_cache_what_the_image_kept_comes_back() {
    let mut restoring = Restoring::new("0.13");
    restoring.previous = json!([{
        "key": "acme/one", "version": "1", "store": {"metadata": {"kept": true}},
        "layers": {"run": record("sha256:1", false, true, false), "both": record("sha256:2", false, true, true)},
    }]);
    let ran = restoring.run(&[], &[("CNB_CACHE_DIR", "")]);
    assert_eq!(ran.code, 0, "{}", ran.text);
    assert!(restoring.path("layers/acme_one/run.toml").exists());
    assert!(!restoring.path("layers/acme_one/both.toml").exists());
    assert!(restoring.path("layers/acme_one/store.toml").exists());
    let ran = restoring.run(&[], &[("CNB_CACHE_DIR", "/nowhere/cache")]);
    assert_eq!(ran.code, 1, "{}", ran.text);
    assert!(
        ran.text.contains("ERROR: failed to create volume cache: "),
        "{}",
        ran.text
    );
}

/// RES-029: 42 where restoring itself fails.
#[test]
fn what_cannot_be_restored_exits_42() {
    let mut restoring = Restoring::new("0.13");
    restoring.previous = json!([buildpack(
        "acme/one",
        "run",
        &record("sha256:1", false, true, false)
    )]);
    // A folder in the place of the file: nobody can write that, root neither.
    fs::create_dir(restoring.path("layers/acme_one/run.toml")).unwrap();
    let ran = restoring.run(&[], &[]);
    assert_eq!(ran.code, 42, "{}", ran.text);
    assert!(
        ran.text.contains("ERROR: failed to restore: "),
        "{}",
        ran.text
    );
}

/// RES-030.
#[test]
fn the_execution_environment_changes_nothing() {
    let restored = |exec_env: &[(&str, &str)]| {
        let mut restoring = Restoring::new("0.15");
        let sha = restoring.cache_layer("acme_one", "layer");
        restoring.cached = json!([buildpack(
            "acme/one",
            "layer",
            &record(&sha, true, false, true)
        )]);
        let ran = restoring.run(&[], exec_env);
        (
            ran.code,
            ran.text,
            restoring.path("layers/acme_one/layer/file").exists(),
        )
    };
    let production = restored(&[]);
    assert_eq!((production.0, production.2), (0, true), "{}", production.1);
    assert_eq!(restored(&[("CNB_EXEC_ENV", "test")]), production);
}

/// RES-010: from 0.14 on, only for names that run.toml lists; a port where nobody listens gives none.
#[test]
fn access_to_the_run_image_is_checked_from_0_14_on() {
    for (api, name, code) in [
        ("0.13", "127.0.0.1:1/run", 0),
        ("0.14", "127.0.0.1:1/run", 1),
        ("0.14", "127.0.0.1:1/mirror", 1),
        ("0.14", "127.0.0.1:1/other", 0),
        ("0.14", "", 0),
    ] {
        let restoring = Restoring::new(api);
        restoring.write(
            "run.toml",
            "[[images]]\nimage = \"127.0.0.1:1/run\"\nmirrors = [\"127.0.0.1:1/mirror\"]\n",
        );
        restoring.write(
            "layers/analyzed.toml",
            format!("[run-image]\nreference = \"\"\nimage = \"{name}\"\n"),
        );
        let run_path = restoring.path("run.toml");
        let ran = restoring.run(
            &[],
            &[
                ("CNB_RUN_PATH", run_path.to_str().unwrap()),
                ("CNB_USE_LAYOUT", ""),
            ],
        );
        assert_eq!(ran.code, code, "{api} {name}: {}", ran.text);
        let expected = format!("ERROR: selected run image '{name}' is not accessible\n");
        let is_said = ran.text.ends_with(&expected);
        assert_eq!(is_said, code == 1, "{api} {name}: {}", ran.text);
    }
}

/// RES-012: a group with extensions needs the target of the run image; one that is not there exits 1.
#[test]
fn a_target_that_extensions_need_is_looked_up() {
    for (api, present, code) in [
        ("0.9", false, 0),
        ("0.11", true, 0),
        ("0.12", true, 0),
        ("0.12", false, 1),
    ] {
        let restoring = Restoring::new(api);
        let layout = restoring.path("oci/index.docker.io/library/run/latest");
        if present {
            image::plain(&layout);
        }
        let extension =
            "[[group-extensions]]\nid = \"acme/ext\"\nversion = \"1\"\napi = \"0.10\"\n";
        restoring.write("layers/group.toml", extension);
        restoring.write(
            "layers/analyzed.toml",
            "[run-image]\nreference = \"switched\"\nimage = \"run\"\n",
        );
        let ran = restoring.run(&[], &[]);
        assert_eq!(ran.code, code, "{api} {present}: {}", ran.text);
        if code == 1 {
            assert!(
                ran.text.contains("ERROR: failed to get run image run\n"),
                "{}",
                ran.text
            );
            continue;
        }
        let analyzed: toml::Table = restoring
            .read("layers/analyzed.toml")
            .unwrap()
            .parse()
            .unwrap();
        let reference = analyzed["run-image"]["reference"].as_str().unwrap();
        if !present {
            assert_eq!(reference, "switched");
            continue;
        }
        let digest = image::read(&layout).digest().to_owned();
        assert_eq!(reference, format!("{}@{digest}", layout.display()));
        assert_eq!(analyzed["run-image"].get("target").is_some(), api == "0.12");
    }
}
