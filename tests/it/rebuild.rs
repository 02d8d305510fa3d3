//! What a buildpack finds of its last build: files, tables, layers, and what it must not find.

use fs_err as fs;
use serde_json::json;
use tests::build::Build;
use tests::image;
use tests::program::{Ran, requires_root, run};

/// Prints what it finds, then leaves a layer of each kind, SBOMs and a store. `$WORD` is in files and SBOMs.
const BUILD: &str = r#"#!/bin/bash
set -eu
cd "$1"
echo "beside: $(ls ..)"
echo "found: $(echo $(ls))"
for file in *.toml *.json; do [ ! -e $file ] || echo "$file: $(echo $(cat $file))"; done
layer() { mkdir -p $1; cat word > $1/file; printf '[types]\n' > $1.toml; printf '%s = true\n' ${@:2} >> $1.toml; }
layer l launch; layer lb launch build; layer lc launch cache; layer c cache; layer b build
printf '[metadata]\nbig = 9007199254740993\nn = 3\nf = 1.5\nwhen = 2024-01-02T03:04:05Z\n' >> l.toml
for name in launch build l lb lc c b; do cat sbom-word > $name.sbom.cdx.json; done
rm word sbom-word
printf 'top = 1\n[metadata]\nn = 3\n[other]\nx = 1\n' > store.toml
"#;

fn build() -> Build {
    let build = Build::new();
    // What the layers hold is chosen from outside.
    let script = BUILD.replace(
        "echo \"beside",
        "cp \"$OLDPWD/word\" \"$OLDPWD/sbom-word\" .. && mv ../word ../sbom-word . && rm -f ../word\necho \"beside",
    );
    let script = script.replace(
        "found: $(echo $(ls))",
        "found: $(echo $(ls -I word -I sbom-word))",
    );
    build.buildpack("acme/hello", &script);
    build.write(
        "buildpacks/acme_hello/1.0.0/buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"acme/hello\"\nversion = \"1.0.0\"\nsbom-formats = [\"application/vnd.cyclonedx+json\"]\n",
    );
    words(&build, "1", "1");
    build
}

fn words(build: &Build, word: &str, sbom_word: &str) {
    build.write("app/word", word);
    build.write("app/sbom-word", sbom_word);
}

/// Builds once more, and returns what was found.
fn again(build: &Build) -> String {
    build.forget_layers();
    build.create().ok()
}

fn has(log: &str, lines: &[&str]) {
    for line in lines {
        assert!(log.lines().any(|found| found == *line), "{line:?} in {log}");
    }
}

#[test]
fn root_files_and_tables_come_back_as_they_may() {
    if !requires_root() {
        return;
    }
    let build = build();
    has(&build.create().ok(), &["found: "]);
    let store = &image::read(&build.app_image()).label("io.buildpacks.lifecycle.metadata")["buildpacks"]
        [0]["store"];
    assert_eq!(*store, json!({"metadata": {"n": 3}}));
    let log = again(&build);
    has(
        &log,
        &[
            // No layer that is only for building; no folder of "l" and "lb"; no toml of "lb"; no SBOM but those of layers in image or cache.
            "found: c c.sbom.cdx.json c.toml l.sbom.cdx.json l.toml lb.sbom.cdx.json lc lc.sbom.cdx.json lc.toml store.toml",
            // Types never, numbers as they were. A date passes through JSON, which has none.
            "l.toml: [metadata] big = 9007199254740993 f = 1.5 n = 3 when = \"2024-01-02T03:04:05Z\"",
            "c.toml: ",
            "lc.toml: ",
            "store.toml: [metadata] n = 3",
        ],
    );
    // Nothing is left of where SBOMs were collected.
    let beside = log
        .split("beside: ")
        .nth(1)
        .unwrap()
        .split("found: ")
        .next()
        .unwrap();
    assert!(!beside.contains("sbom"), "{beside}");
}

#[test]
fn root_sboms_of_the_image_win_over_those_of_the_cache() {
    if !requires_root() {
        return;
    }
    let build = build();
    build.create().ok();
    let (cache, kept) = (build.path("cache/committed"), build.path("kept"));
    run(
        "cp",
        &["-a", cache.to_str().unwrap(), kept.to_str().unwrap()],
    );
    words(&build, "1", "2");
    again(&build);
    fs::remove_dir_all(&cache).unwrap();
    fs::rename(&kept, &cache).unwrap();
    has(
        &again(&build),
        &[
            "lc.sbom.cdx.json: 2",
            "l.sbom.cdx.json: 2",
            "c.sbom.cdx.json: 1",
        ],
    );
}

#[test]
fn root_a_layer_of_the_image_needs_the_same_layer_in_the_cache() {
    if !requires_root() {
        return;
    }
    let build = build();
    build.create().ok();
    let (cache, kept) = (build.path("cache/committed"), build.path("kept"));
    run(
        "cp",
        &["-a", cache.to_str().unwrap(), kept.to_str().unwrap()],
    );
    words(&build, "2", "1");
    again(&build);
    fs::remove_dir_all(&cache).unwrap();
    fs::rename(&kept, &cache).unwrap();
    let log = again(&build);
    has(&log, &["Removing \"acme/hello:lc\", wrong sha"]);
    let found = log
        .lines()
        .find(|line| line.starts_with("found: "))
        .unwrap();
    assert!(
        found.contains(" l.toml ") && !found.contains("lc "),
        "{found}"
    );
    assert!(!found.contains("lc.toml"), "{found}");
    // Without a cache it is not even looked for.
    fs::remove_dir_all(&cache).unwrap();
    fs::create_dir(&cache).unwrap();
    let log = again(&build);
    assert!(!log.contains("Removing"), "{log}");
    let found = log
        .lines()
        .find(|line| line.starts_with("found: "))
        .unwrap();
    assert!(
        found.contains(" l.toml ") && !found.contains("lc.toml"),
        "{found}"
    );
}

#[test]
fn root_a_layer_that_no_image_lists_comes_from_the_cache_from_0_14_on() {
    if !requires_root() {
        return;
    }
    for (api, comes) in [("0.13", false), ("0.14", true)] {
        let mut build = build();
        build.api = api;
        build.create().ok();
        fs::remove_dir_all(build.app_image()).unwrap();
        let log = again(&build);
        let found = log
            .lines()
            .find(|line| line.starts_with("found: "))
            .unwrap();
        assert!(found.contains("c c.sbom.cdx.json c.toml"), "{found}");
        assert_eq!(found.contains("lc lc."), comes, "{api}: {found}");
        assert!(!found.contains(" l.toml"), "{found}");
    }
}

#[test]
fn root_an_sbom_needs_the_folder_of_its_buildpack() {
    if !requires_root() {
        return;
    }
    let build = Build::new();
    build.buildpack("acme/hello", "#!/bin/sh\necho \"found: $(echo $(ls $1))\"\ncd $1\nmkdir lb\nprintf '[types]\\nlaunch = true\\nbuild = true\\n' > lb.toml\n: > lb.sbom.cdx.json\n");
    build.write(
        "buildpacks/acme_hello/1.0.0/buildpack.toml",
        "api = \"0.10\"\n[buildpack]\nid = \"acme/hello\"\nversion = \"1.0.0\"\nsbom-formats = [\"application/vnd.cyclonedx+json\"]\n",
    );
    build.create().ok();
    build.forget_layers();
    let [mut analyzer, mut detector, mut restorer, mut builder, _] = build.all_phases();
    for phase in [&mut analyzer, &mut detector, &mut restorer] {
        Ran::of(phase).ok();
    }
    // Nothing else made the folder, so that even the SBOM stays away.
    assert!(!build.path("layers/acme_hello").exists());
    assert!(!build.path("layers/sbom").exists());
    has(&Ran::of(&mut builder).ok(), &["found: "]);
}
