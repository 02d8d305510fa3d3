//! `report.toml` (COM-078, EXP-084).

use std::path::Path;

use anyhow::Context as _;
use buildpack::sbom::BomEntry;
use serde::Serialize;

use super::replace;

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Build BOM entries, below 0.9 only.
    pub build_bom: Vec<BomEntry>,
    /// Names or paths, in argument order.
    pub tags: Vec<String>,
    /// Image id, from a daemon only.
    pub image_id: String,
    /// Manifest digest.
    pub digest: String,
    /// Bytes of the manifest.
    pub manifest_size: u64,
}

/// Writes the file, whole or not at all.
pub fn write(path: &Path, report: &Report) -> anyhow::Result<()> {
    replace::with_toml(path, &ReportFile::from(report)).context("failed to write report file")
}

#[derive(Serialize)]
struct ReportFile<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<BuildTable<'a>>,
    image: ImageTable<'a>,
}

#[derive(Serialize)]
struct BuildTable<'a> {
    bom: &'a [BomEntry],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct ImageTable<'a> {
    tags: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    image_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    digest: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    manifest_size: u64,
}

impl<'a> From<&'a Report> for ReportFile<'a> {
    fn from(report: &'a Report) -> Self {
        let bom = &report.build_bom;
        Self {
            build: (!bom.is_empty()).then_some(BuildTable { bom }),
            image: ImageTable {
                tags: &report.tags,
                image_id: &report.image_id,
                digest: &report.digest,
                manifest_size: report.manifest_size,
            },
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(size: &u64) -> bool {
    *size == 0
}

#[cfg(test)]
mod tests {
    use buildpack::group::GroupElement;

    use super::*;

    #[test]
    fn keys_and_their_order() {
        let layout = Report {
            tags: vec!["/repo/app/latest".to_owned(), "/repo/app/1".to_owned()],
            digest: "sha256:ab".to_owned(),
            manifest_size: 1234,
            ..Report::default()
        };
        let daemon = Report {
            build_bom: vec![BomEntry {
                name: "x".to_owned(),
                metadata: Some(toml::toml! { v = "1" }),
                buildpack: GroupElement {
                    id: "acme/one".to_owned(),
                    version: "1.0.0".to_owned(),
                    ..GroupElement::default()
                },
            }],
            tags: vec!["app".to_owned()],
            image_id: "cd".to_owned(),
            ..Report::default()
        };
        let table = [
            (
                layout,
                r#"[image]
  tags = ["/repo/app/latest", "/repo/app/1"]
  digest = "sha256:ab"
  manifest-size = 1234
"#,
            ),
            (
                daemon,
                r#"[build]

  [[build.bom]]
    name = "x"
    [build.bom.metadata]
      v = "1"
    [build.bom.buildpack]
      id = "acme/one"
      version = "1.0.0"

[image]
  tags = ["app"]
  image-id = "cd"
"#,
            ),
        ];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out/report.toml");
        for (report, expected) in table {
            write(&path, &report).unwrap();
            assert_eq!(fs_err::read_to_string(&path).unwrap(), expected);
        }
    }

    #[test]
    fn errors_say_what_was_written() {
        let message = format!(
            "{:#}",
            write(Path::new("/dev/null/report.toml"), &Report::default()).unwrap_err()
        );
        let expected = "failed to write report file: mkdir /dev/null: ";
        assert!(message.starts_with(expected), "{message}");
    }
}
