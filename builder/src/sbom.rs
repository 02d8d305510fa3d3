//! SBOM files of buildpacks, collected under `<layers>/sbom` (BPB-013, BPB-054, BPB-060, BPB-061, BLD-006, BLD-016, BLD-017).

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use buildpack::build::SbomFile;
use buildpack::group::escape_id;
use buildpack::sbom::BomEntry;
use fs_err as fs;
use platform::files::value;
use serde::Serialize;

/// Removes what the last build collected.
pub(crate) fn clear(layers_dir: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(layers_dir.join("sbom")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Copies each file to every folder that it belongs to.
pub(crate) fn copy(layers_dir: &Path, sboms: &[SbomFile]) -> anyhow::Result<()> {
    for sbom in sboms {
        let contents = fs::read(&sbom.path)?;
        for kind in &sbom.kinds {
            let mut dir = layers_dir
                .join("sbom")
                .join(kind)
                .join(escape_id(&sbom.buildpack_id));
            dir.extend(&sbom.layer);
            fs::create_dir_all(&dir)?;
            // Written, not copied with its mode: EXP-052.
            fs::write(dir.join(sbom.file_name), &contents)?;
        }
    }
    Ok(())
}

/// An entry as the legacy files show it.
#[derive(Serialize)]
struct LegacyEntry<'a> {
    name: &'a str,
    /// Null where the buildpack gave none.
    metadata: Option<serde_json::Value>,
    buildpack: LegacyBuildpack<'a>,
}

#[derive(Serialize)]
struct LegacyBuildpack<'a> {
    id: &'a str,
    version: &'a str,
}

/// Writes `<layers>/sbom/<kind>/sbom.legacy.json`: `null` where there is no entry.
pub(crate) fn write_legacy(layers_dir: &Path, kind: &str, bom: &[BomEntry]) -> anyhow::Result<()> {
    let entries: Vec<_> = bom.iter().map(legacy).collect::<Result<_, _>>()?;
    let entries = (!entries.is_empty()).then_some(entries);
    let mut json =
        layout::json::to_string(&entries).with_context(|| format!("encoding {kind} bom"))?;
    json.push('\n');
    let dir = layers_dir.join("sbom").join(kind);
    fs::create_dir_all(&dir)?;
    fs::write(dir.join("sbom.legacy.json"), json)?;
    Ok(())
}

fn legacy(entry: &BomEntry) -> Result<LegacyEntry<'_>, value::Error> {
    let buildpack = LegacyBuildpack {
        id: &entry.buildpack.id,
        version: &entry.buildpack.version,
    };
    let metadata = entry
        .metadata
        .as_ref()
        .map(value::table_to_json)
        .transpose()?;
    Ok(LegacyEntry {
        name: &entry.name,
        metadata,
        buildpack,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_to_every_folder_that_they_belong_to() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("tool.sbom.cdx.json");
        fs::write(&source, "{}").unwrap();
        let sbom = |layer: Option<&str>, kinds: &[&'static str]| SbomFile {
            buildpack_id: "acme/java".into(),
            layer: layer.map(str::to_owned),
            kinds: kinds.to_vec(),
            path: source.clone(),
            file_name: "sbom.cdx.json",
        };
        copy(
            dir.path(),
            &[
                sbom(Some("tool"), &["launch", "cache"]),
                sbom(None, &["build"]),
            ],
        )
        .unwrap();
        for path in [
            "sbom/launch/acme_java/tool/sbom.cdx.json",
            "sbom/cache/acme_java/tool/sbom.cdx.json",
            "sbom/build/acme_java/sbom.cdx.json",
        ] {
            assert!(dir.path().join(path).is_file(), "{path}");
        }
        clear(dir.path()).unwrap();
        assert!(!dir.path().join("sbom").exists());
        clear(dir.path()).unwrap();
    }

    #[test]
    fn without_entries_the_legacy_file_says_null() {
        let dir = tempfile::tempdir().unwrap();
        write_legacy(dir.path(), "launch", &[]).unwrap();
        let text = fs::read_to_string(dir.path().join("sbom/launch/sbom.legacy.json")).unwrap();
        assert_eq!(text, "null\n");
    }
}
