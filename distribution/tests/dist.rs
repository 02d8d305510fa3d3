//! What `make dist` makes of programs that are built.
#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fs_err as fs;
use serde_json::Value;

const SLIPWAY: &str = concat!("slipway-", env!("CARGO_PKG_VERSION"));

fn cargo(args: &[&str]) -> Command {
    let mut cargo = tests::program::cargo();
    cargo.args(args).args(["--offline", "--locked"]);
    cargo
}

/// Fills a folder as `make dist` fills target/dist, from programs that are none.
fn made(dir: &Path) -> PathBuf {
    let binaries = dir.join("binaries");
    fs::create_dir_all(&binaries).unwrap();
    let script = "#!/bin/sh\necho \"$1 of $2\"\n";
    for (name, text) in [("lifecycle", "a"), ("launcher", "b"), ("slipway", script)] {
        let program = binaries.join(name);
        fs::write(&program, text).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    let metadata = dir.join("metadata.json");
    // Crates for other machines need not be here.
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host
        .lines()
        .find_map(|it| it.strip_prefix("host: "))
        .unwrap();
    let mut metadata_of = cargo(&["metadata", "--format-version", "1"]);
    let said = metadata_of
        .args(["--filter-platform", host])
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    fs::write(&metadata, said.stdout).unwrap();
    let out = dir.join("out");
    let mut dist = cargo(&["run", "--quiet", "-p", "distribution", "--example", "dist"]);
    dist.arg("--").args([&binaries, &out]);
    let stdin = Stdio::from(fs::File::open(&metadata).unwrap().into_file());
    let ended = dist.stdin(stdin).output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    out
}

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(archive));
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|it| it.path().unwrap().display().to_string())
        .collect()
}

#[test]
fn a_release_is_whole_and_the_same_each_time() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let made = [&first, &second].map(|it| made(it.path()));
    let all = files(&made[0]);
    assert!(all == files(&made[1]));

    let sums = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&made[0])
        .status();
    assert!(sums.unwrap().success());
    let find = |begin: &str, end: &str| {
        let mut all = all.iter();
        let found = all.find(|(name, _)| {
            let name = name.to_str().unwrap();
            name.starts_with(begin) && name.ends_with(end)
        });
        found.unwrap_or_else(|| panic!("{begin}…{end}")).1
    };
    let archive = format!("lifecycle-v{}+linux", platform::version::VERSION);
    let lifecycle = names(find(&archive, ".tgz"));
    let release = names(find(&format!("{SLIPWAY}-linux-"), ".tar.gz"));
    find(&archive, ".tgz.sha256");
    find("lifecycle-image/index.json", "");
    for program in ["lifecycle", "launcher"] {
        for format in ["cdx", "spdx", "syft"] {
            let name = format!("lifecycle/{program}.sbom.{format}.json");
            assert!(lifecycle.contains(&name), "{name}: {lifecycle:?}");
            assert!(release.contains(&format!("{SLIPWAY}/{name}")), "{name}");
        }
    }
    for name in [
        "LICENSE",
        "README.md",
        "slipway",
        "lifecycle/lifecycle.toml",
        "completions/slipway.bash",
        "completions/slipway.fish",
        "completions/_slipway",
    ] {
        assert!(
            release.contains(&format!("{SLIPWAY}/{name}")),
            "{name}: {release:?}"
        );
    }

    let sbom = find("slipway.cdx.json", "");
    let text = String::from_utf8_lossy(sbom);
    let project = tests::program::project().to_str().unwrap();
    assert!(!text.contains(project), "{text}");
    let sbom: Value = serde_json::from_slice(sbom).unwrap();
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    let components = sbom["components"].as_array().unwrap();
    let find = |name: &str| components.iter().find(|it| it["name"] == name);
    let serde = find("serde").unwrap();
    assert_eq!(serde["hashes"][0]["alg"], "SHA-256");
    assert!(
        serde["purl"]
            .as_str()
            .unwrap()
            .starts_with("pkg:cargo/serde@1.")
    );
    assert_eq!(serde["licenses"][0]["expression"], "MIT OR Apache-2.0");
    assert_eq!(find("layout").unwrap().get("purl"), None);
    // Neither macros nor what only tests need.
    for name in ["serde_derive", "syn", "proptest", "libtest-mimic"] {
        assert!(find(name).is_none(), "{name}");
    }
    // Whatever is needed is listed.
    let references: Vec<_> = components.iter().map(|it| &it["bom-ref"]).collect();
    for needs in sbom["dependencies"].as_array().unwrap() {
        for need in needs["dependsOn"].as_array().unwrap() {
            assert!(references.contains(&need), "{need}");
        }
    }
}
