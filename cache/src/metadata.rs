//! What a cache holds, and the JSON line that says so (COM-090).

use std::collections::BTreeMap;

use platform::files::analyzed::{BuildpackLayers, LayerRecord};
use serde::{Deserialize, Serialize};

/// Name of the file, and of the label of a cache image.
pub(crate) const NAME: &str = "io.buildpacks.lifecycle.cache.metadata";

/// What the cache holds, by buildpack (COM-090).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheMetadata {
    /// diffID of the SBOM layer; empty where there is none.
    pub sbom: String,
    /// By buildpack, in group order.
    pub buildpacks: Vec<CachedBuildpack>,
}

/// One buildpack's cached layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CachedBuildpack {
    /// Buildpack id.
    pub id: String,
    /// Buildpack version.
    pub version: String,
    /// By layer name.
    pub layers: BTreeMap<String, LayerRecord>,
}

impl CacheMetadata {
    /// Returns a buildpack's record, if it has one.
    pub fn buildpack(&self, id: &str) -> Option<&CachedBuildpack> {
        self.buildpacks.iter().find(|buildpack| buildpack.id == id)
    }

    /// Parses the JSON; what cannot be decoded counts as empty.
    pub(crate) fn from_json(json: &[u8]) -> Self {
        let document: Option<Document> = layout::json::from_slice(json).ok();
        document.unwrap_or_default().into()
    }

    /// Returns the JSON, without a newline.
    pub(crate) fn to_json(&self) -> String {
        layout::json::to_string(&Document::from(self))
            .expect("texts and JSON values can be written as JSON")
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Document {
    sbom: Sbom,
    /// `null` where there is none, as Go writes a list that was never made.
    buildpacks: Option<Vec<BuildpackLayers>>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Sbom {
    sha: String,
}

impl From<Document> for CacheMetadata {
    fn from(document: Document) -> Self {
        let cached = |buildpack: BuildpackLayers| CachedBuildpack {
            id: buildpack.id,
            version: buildpack.version,
            layers: buildpack.layers,
        };
        let buildpacks = document.buildpacks.unwrap_or_default();
        Self {
            sbom: document.sbom.sha,
            buildpacks: buildpacks.into_iter().map(cached).collect(),
        }
    }
}

impl From<&CacheMetadata> for Document {
    fn from(metadata: &CacheMetadata) -> Self {
        let record = |buildpack: &CachedBuildpack| BuildpackLayers {
            id: buildpack.id.clone(),
            version: buildpack.version.clone(),
            layers: buildpack.layers.clone(),
            store: None,
        };
        let buildpacks = &metadata.buildpacks;
        Self {
            sbom: Sbom {
                sha: metadata.sbom.clone(),
            },
            buildpacks: (!buildpacks.is_empty()).then(|| buildpacks.iter().map(record).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn buildpack(id: &str, layers: &[(&str, LayerRecord)]) -> CachedBuildpack {
        CachedBuildpack {
            id: id.to_owned(),
            version: "1.0.0".to_owned(),
            layers: layers
                .iter()
                .map(|(name, record)| ((*name).to_owned(), record.clone()))
                .collect(),
        }
    }

    /// Key order of COM-090; `data` is null where there is none, layer names are sorted.
    #[test]
    fn the_line_has_the_keys_of_the_reference() {
        let both = LayerRecord {
            sha: "sha256:b".to_owned(),
            build: true,
            launch: true,
            cache: true,
            ..LayerRecord::default()
        };
        let alone = LayerRecord {
            sha: "sha256:a".to_owned(),
            data: json!({"c": "d", "a": 1}),
            cache: true,
            ..LayerRecord::default()
        };
        let metadata = CacheMetadata {
            sbom: String::new(),
            buildpacks: vec![
                buildpack("acme/one", &[("cacheonly", alone), ("both", both)]),
                buildpack("acme/two", &[]),
            ],
        };
        let expected = concat!(
            r#"{"sbom":{"sha":""},"buildpacks":["#,
            r#"{"key":"acme/one","version":"1.0.0","layers":{"#,
            r#""both":{"sha":"sha256:b","data":null,"build":true,"launch":true,"cache":true},"#,
            r#""cacheonly":{"sha":"sha256:a","data":{"a":1,"c":"d"},"build":false,"launch":false,"cache":true}}},"#,
            r#"{"key":"acme/two","version":"1.0.0","layers":{}}]}"#
        );
        assert_eq!(metadata.to_json(), expected);
        assert_eq!(CacheMetadata::from_json(expected.as_bytes()), metadata);
    }

    #[test]
    fn what_cannot_be_decoded_is_empty() {
        let deep = format!("{{\"buildpacks\":{}", "[".repeat(100_000));
        let table = [
            "",
            "{bad",
            "null",
            "[]",
            "\"text\"",
            r#"{"sbom":3}"#,
            r#"{"buildpacks":{"key":"x"}}"#,
            r#"{"buildpacks":[{"layers":{"x":{"cache":"yes"}}}]}"#,
            r#"{"buildpacks":[{"layers":{"x":{"data":1e999}}}]}"#,
            &deep,
        ];
        for json in table {
            let found = CacheMetadata::from_json(json.as_bytes());
            assert_eq!(found, CacheMetadata::default(), "{json:.40}");
        }
    }

    #[test]
    fn what_is_missing_or_null_is_empty_and_what_is_unknown_is_ignored() {
        let json = r#"{"sbom":null,"buildpacks":[{"key":"x","layers":null,"store":{"metadata":{"a":1}},"new":[]}]}"#;
        let found = CacheMetadata::from_json(json.as_bytes());
        assert_eq!(found.sbom, "");
        let expected = CachedBuildpack {
            id: "x".to_owned(),
            ..CachedBuildpack::default()
        };
        assert_eq!(found.buildpacks, [expected]);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            CacheMetadata::from_json(&bytes);
        }

        #[test]
        fn json_and_back_is_the_same(
            sbom in ".*",
            names in prop::collection::btree_map(".{0,6}", (".{0,6}", any::<[bool; 3]>(), any::<i64>()), 0..4),
        ) {
            let record = |(sha, [build, launch, cache], number): (String, [bool; 3], i64)| LayerRecord {
                sha, data: json!({"n": number}), build, launch, cache,
            };
            let layers = names.into_iter().map(|(name, parts)| (name, record(parts))).collect();
            let buildpacks = vec![CachedBuildpack { layers, ..CachedBuildpack::default() }];
            let metadata = CacheMetadata { sbom, buildpacks };
            prop_assert_eq!(CacheMetadata::from_json(metadata.to_json().as_bytes()), metadata);
        }
    }
}
