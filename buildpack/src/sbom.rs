//! Software bills of materials by media type (BPB-056 to BPB-061), and the older `[[bom]]` tables (BPB-052 to BPB-055).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::fault::{Advice, Fault};
use crate::group::GroupElement;
use crate::layer::LayerMetadata;
use crate::syscall_text;

/// File name extensions of SBOMs, in the reference's order: cdx, spdx, syft.
pub const EXTENSIONS: [&str; 3] = ["sbom.cdx.json", "sbom.spdx.json", "sbom.syft.json"];

/// Media types that [`EXTENSIONS`] stand for, in the same order (BPB-056).
pub const MEDIA_TYPES: [&str; 3] = [
    "application/vnd.cyclonedx+json",
    "application/spdx+json",
    "application/vnd.syft+json",
];

/// An SBOM file that a buildpack wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbomFile {
    /// Who wrote it.
    pub buildpack_id: String,
    /// Its layer; `None` for `launch.sbom.*` and `build.sbom.*`.
    pub layer: Option<String>,
    /// Where it belongs: any of `launch`, `build`, `cache` (BPB-060, BPB-061).
    pub kinds: Vec<&'static str>,
    /// The file.
    pub path: PathBuf,
    /// `sbom.cdx.json` and its kin.
    pub file_name: &'static str,
}

/// An entry of a `[[bom]]` table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BomEntry {
    /// Name of the dependency.
    #[serde(default)]
    pub name: String,
    /// Free-form; `None` where the buildpack gave none, which JSON shows as null.
    #[serde(default)]
    pub metadata: Option<toml::Table>,
    /// Who wrote it.
    #[serde(default)]
    pub buildpack: GroupElement,
}

/// An entry as a buildpack writes it, with the version that it must not have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct RawBomEntry {
    name: String,
    version: String,
    metadata: Option<toml::Table>,
}

/// Returns which entry has a version, and the complaint about it (BPB-052).
pub(crate) fn versioned(raw: &[RawBomEntry]) -> Option<(usize, String)> {
    let index = raw.iter().position(|entry| !entry.version.is_empty())?;
    let text = format!(
        "bom entry '{}' has a top level version which is not allowed. The buildpack should instead set metadata.version",
        raw[index].name
    );
    Some((index, text))
}

/// Returns entries with their author.
pub(crate) fn bom_entries(raw: &[RawBomEntry], module: &Descriptor) -> Vec<BomEntry> {
    let author = GroupElement {
        id: module.id.clone(),
        version: module.version.clone(),
        ..GroupElement::default()
    };
    let entries = raw.iter().map(|entry| BomEntry {
        name: entry.name.clone(),
        metadata: entry.metadata.clone(),
        buildpack: author.clone(),
    });
    entries.collect()
}

/// What is said of a `[[bom]]` without SBOM files (BPB-053).
pub(crate) const BOM_IS_DEPRECATED: &str = "BOM table is deprecated in this buildpack api version, though it remains supported for backwards compatibility. \
     Buildpack authors should write BOM information to <layer>.sbom.<ext>, launch.sbom.<ext>, or build.sbom.<ext>.";

/// Returns the paths of all files that look like SBOMs: `*.sbom.*.json`.
pub(crate) fn candidates(buildpack_layers_dir: &Path) -> Result<Vec<PathBuf>, syscall_text::Error> {
    let entries = syscall_text::read_dir_if_present(buildpack_layers_dir)?;
    let looks_like_one = |name: &str| {
        let rest = name.split_once(".sbom.").map(|(_, rest)| rest);
        rest.is_some_and(|rest| rest.strip_suffix(".json").is_some())
    };
    let found = entries
        .into_iter()
        .filter(|entry| entry.name.to_str().is_some_and(looks_like_one));
    Ok(found.map(|entry| entry.path).collect())
}

/// Says where each candidate belongs, and refuses what the buildpack did not declare (BPB-056 to BPB-061).
pub(crate) fn files(
    candidates: &[PathBuf],
    module: &Descriptor,
    layers: &BTreeMap<String, LayerMetadata>,
) -> Result<Vec<SbomFile>, Fault> {
    let mut files = Vec::new();
    for path in candidates {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let layer = name.split('.').next().unwrap_or_default();
        let Some((layer, kinds)) = belongs_to(layer, layers) else {
            continue;
        };
        files.push(SbomFile {
            buildpack_id: module.id.clone(),
            layer,
            kinds,
            path: path.clone(),
            file_name: validated(path, name, module)?,
        });
    }
    Ok(files)
}

/// Returns layer and kinds of a file by the first part of its name; `None` where no such layer has a toml.
fn belongs_to(
    first: &str,
    layers: &BTreeMap<String, LayerMetadata>,
) -> Option<(Option<String>, Vec<&'static str>)> {
    match first {
        "launch" => return Some((None, vec!["launch"])),
        "build" => return Some((None, vec!["build"])),
        _ => {}
    }
    let types = layers.get(first)?;
    let mut kinds = vec![if types.launch { "launch" } else { "build" }];
    if types.cache {
        kinds.push("cache");
    }
    Some((Some(first.to_owned()), kinds))
}

/// Returns the standard name of an SBOM whose media type was declared.
fn validated(path: &Path, name: &str, module: &Descriptor) -> Result<&'static str, Fault> {
    let known = EXTENSIONS
        .into_iter()
        .zip(MEDIA_TYPES)
        .find(|(extension, _)| {
            name.strip_suffix(extension)
                .is_some_and(|rest| rest.ends_with('.'))
        });
    let Some((extension, media_type)) = known else {
        let remedy = format!("end the name in one of {}", EXTENSIONS.join(", "));
        return Err(Fault::new(
            format!("unsupported SBOM file format: '{}'", path.display()),
            Advice::new(path, "its name stands for no SBOM format", remedy),
        ));
    };
    is_declared(media_type, &module.sbom_formats).map_err(|refusal| {
        let text = format!(
            "validating SBOM file '{}' for buildpack: '{}': {}",
            path.display(),
            module.label(),
            refusal.reason
        );
        let remedy = format!(
            "{} in {}",
            refusal.remedy,
            module.dir.join("buildpack.toml").display()
        );
        Fault::new(text, Advice::new(path, refusal.problem, remedy))
    })?;
    Ok(extension)
}

/// Why a media type is refused: the reference's words, plain ones, and what to do in `buildpack.toml`.
struct Refusal {
    reason: String,
    problem: String,
    remedy: String,
}

fn is_declared(media_type: &str, declared: &[String]) -> Result<(), Refusal> {
    for format in declared {
        // Parameters, such as a version, do not count.
        let declared_type = format.split(';').next().unwrap_or_default().trim();
        if declared_type.is_empty() {
            return Err(Refusal {
                reason: "parsing declared media type: mime: no media type".to_owned(),
                problem: "sbom-formats holds an empty media type".to_owned(),
                remedy: "remove it from sbom-formats".to_owned(),
            });
        }
        if declared_type.eq_ignore_ascii_case(media_type) {
            return Ok(());
        }
    }
    let listed = if declared.is_empty() {
        "nothing".to_owned()
    } else {
        declared.join(", ")
    };
    Err(Refusal {
        reason: format!("undeclared SBOM media type: '{media_type}'"),
        problem: format!("is {media_type}, but sbom-formats lists {listed}"),
        remedy: format!("add \"{media_type}\" to sbom-formats of [buildpack]"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode;

    fn module(formats: &[&str]) -> Descriptor {
        Descriptor {
            id: "acme/java".to_owned(),
            version: "1.0".to_owned(),
            homepage: "https://example.com".to_owned(),
            sbom_formats: formats.iter().map(|f| (*f).to_owned()).collect(),
            ..Descriptor::default()
        }
    }

    fn layers() -> BTreeMap<String, LayerMetadata> {
        let layer = |build, launch, cache| LayerMetadata {
            build,
            launch,
            cache,
            metadata: None,
        };
        BTreeMap::from([
            ("l".to_owned(), layer(true, true, false)),
            ("lc".to_owned(), layer(false, true, true)),
            ("c".to_owned(), layer(false, false, true)),
            ("none".to_owned(), layer(false, false, false)),
            // Never found by its SBOMs: their names are read up to the first dot.
            ("a.b".to_owned(), layer(false, true, false)),
        ])
    }

    /// Layer, kinds and standard name.
    type Place = (Option<&'static str>, &'static [&'static str], &'static str);

    const ALL: [&str; 3] = [
        "application/vnd.cyclonedx+json;version=1.4",
        "application/spdx+json",
        "application/vnd.syft+json",
    ];

    #[test]
    fn files_belong_where_their_layer_s_types_say() {
        let cases: [(&str, Option<Place>); 9] = [
            (
                "launch.sbom.cdx.json",
                Some((None, &["launch"], "sbom.cdx.json")),
            ),
            (
                "build.sbom.spdx.json",
                Some((None, &["build"], "sbom.spdx.json")),
            ),
            (
                "l.sbom.syft.json",
                Some((Some("l"), &["launch"], "sbom.syft.json")),
            ),
            (
                "lc.sbom.cdx.json",
                Some((Some("lc"), &["launch", "cache"], "sbom.cdx.json")),
            ),
            (
                "c.sbom.cdx.json",
                Some((Some("c"), &["build", "cache"], "sbom.cdx.json")),
            ),
            (
                "none.sbom.cdx.json",
                Some((Some("none"), &["build"], "sbom.cdx.json")),
            ),
            // No toml: ignored, whatever its format.
            ("other.sbom.odd.json", None),
            // A layer ends at the first dot.
            (
                "l.x.sbom.cdx.json",
                Some((Some("l"), &["launch"], "sbom.cdx.json")),
            ),
            ("a.b.sbom.cdx.json", None),
        ];
        for (name, expected) in cases {
            let found = files(&[PathBuf::from("/l").join(name)], &module(&ALL), &layers()).unwrap();
            let shown = found
                .first()
                .map(|f| (f.layer.as_deref(), f.kinds.as_slice(), f.file_name));
            assert_eq!(shown, expected, "{name}");
        }
    }

    #[test]
    fn only_declared_media_types_are_taken() {
        let cases = [
            (
                "l.sbom.cdx.json",
                vec!["application/vnd.cyclonedx+json"],
                None,
            ),
            (
                "l.sbom.cdx.json",
                vec!["Application/VND.cyclonedx+json ; version=1.4"],
                None,
            ),
            (
                "l.sbom.cdx.json",
                vec!["application/spdx+json"],
                Some(
                    "validating SBOM file '/l/l.sbom.cdx.json' for buildpack: 'acme/java@1.0': undeclared SBOM media type: 'application/vnd.cyclonedx+json'",
                ),
            ),
            (
                "l.sbom.spdx.json",
                vec![],
                Some(
                    "validating SBOM file '/l/l.sbom.spdx.json' for buildpack: 'acme/java@1.0': undeclared SBOM media type: 'application/spdx+json'",
                ),
            ),
            (
                "l.sbom.syft.json",
                vec!["a/b"],
                Some(
                    "validating SBOM file '/l/l.sbom.syft.json' for buildpack: 'acme/java@1.0': undeclared SBOM media type: 'application/vnd.syft+json'",
                ),
            ),
            (
                "l.sbom.odd.json",
                ALL.to_vec(),
                Some("unsupported SBOM file format: '/l/l.sbom.odd.json'"),
            ),
        ];
        for (name, formats, expected) in cases {
            let found = files(
                &[PathBuf::from("/l").join(name)],
                &module(&formats),
                &layers(),
            );
            let found = found.err().map(|fault| fault.to_string());
            assert_eq!(found.as_deref(), expected, "{name} {formats:?}");
        }
    }

    #[test]
    fn candidates_are_named_like_sboms() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("deeper")).unwrap();
        fs_err::write(dir.path().join("deeper/c.sbom.cdx.json"), "").unwrap();
        for name in [
            "b.sbom.cdx.json",
            "a.sbom.x.y.json",
            "a.sbom.json",
            "sbom.cdx.json",
            "a.sbom.cdx.xml",
            "a.toml",
        ] {
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        let found = candidates(dir.path()).unwrap();
        assert_eq!(
            found,
            [
                dir.path().join("a.sbom.x.y.json"),
                dir.path().join("b.sbom.cdx.json")
            ]
        );
    }

    #[test]
    fn bom_entries_get_their_author_and_may_not_have_a_version() {
        let raw = RawBomEntry {
            name: "dep".to_owned(),
            ..RawBomEntry::default()
        };
        let entries = bom_entries(std::slice::from_ref(&raw), &module(&[]));
        assert_eq!(versioned(std::slice::from_ref(&raw)), None);
        assert_eq!(
            serde_json::to_string(&entries).unwrap(),
            r#"[{"name":"dep","metadata":null,"buildpack":{"id":"acme/java","version":"1.0"}}]"#
        );
        assert_eq!(
            encode::to_string(&BTreeMap::from([("bom", entries)])).unwrap(),
            "[[bom]]\n  name = \"dep\"\n  [bom.buildpack]\n    id = \"acme/java\"\n    version = \"1.0\"\n"
        );
        let with_version = RawBomEntry {
            version: "1".to_owned(),
            ..raw.clone()
        };
        let complaint = "bom entry 'dep' has a top level version which is not allowed. The buildpack should instead set metadata.version";
        assert_eq!(
            versioned(&[raw, with_version]),
            Some((1, complaint.to_owned()))
        );
    }
}
