//! Layers of a buildpack on disk: `<layers>/<escaped id>/<layer>` and `<layer>.toml` (BPB-020 to BPB-027, EXP-010 to EXP-014).

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::group::escape_id;
use crate::{decode, encode, syscall_text};

/// `<layer>.toml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerMetadata {
    /// For later buildpacks.
    pub build: bool,
    /// In the app image.
    pub launch: bool,
    /// Kept for the next build.
    pub cache: bool,
    /// Free-form `[metadata]`; `None` where the table is absent.
    pub metadata: Option<toml::Value>,
}

impl LayerMetadata {
    /// Reads a file; all false when it is absent.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let document = match decode::Document::open(path) {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            other => other?,
        };
        let file: LayerFile = document.decode()?;
        let misplaced = |key: &&str| document.has_key(key);
        if let Some(key) = ["build", "launch", "cache"].into_iter().find(misplaced) {
            return Err(Error::TopLevelFlag {
                path: path.to_owned(),
                key,
                line: document.line_of(key),
            });
        }
        Ok(Self {
            build: file.types.build,
            launch: file.types.launch,
            cache: file.types.cache,
            metadata: file.metadata,
        })
    }

    /// Returns whether no type is set, so that the layer is ignored (BPB-023).
    pub fn is_ignored(&self) -> bool {
        !self.build && !self.launch && !self.cache
    }
}

/// A layer as found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildpackLayer {
    /// Its buildpack's id.
    pub buildpack_id: String,
    /// Its name.
    pub name: String,
    /// Its folder, whether or not it is there.
    pub path: PathBuf,
}

impl BuildpackLayer {
    /// Returns the layer of that name, which need not be there.
    pub fn new(layers_dir: &Path, buildpack_id: &str, name: &str) -> Self {
        Self {
            buildpack_id: buildpack_id.to_owned(),
            name: name.to_owned(),
            path: layers_dir.join(escape_id(buildpack_id)).join(name),
        }
    }

    /// Returns `<id>:<name>`.
    pub fn identifier(&self) -> String {
        format!("{}:{}", self.buildpack_id, self.name)
    }

    /// Returns `<layer>.toml` beside the folder.
    pub fn toml_path(&self) -> PathBuf {
        self.beside(".toml")
    }

    /// Returns `<layer>.sha` beside the folder.
    pub fn sha_path(&self) -> PathBuf {
        self.beside(".sha")
    }

    /// Reads `<layer>.toml`; all false when it is absent.
    pub fn metadata(&self) -> Result<LayerMetadata, Error> {
        LayerMetadata::read(&self.toml_path())
    }

    /// Writes `<layer>.toml` with `[metadata]` alone, as the restorer does (RES-019).
    pub fn write_restored_metadata(&self, metadata: Option<&toml::Value>) -> Result<(), Error> {
        Ok(encode::to_file(
            &self.toml_path(),
            &RestoredFile { metadata },
        )?)
    }

    /// Returns whether the folder is there.
    pub fn has_contents(&self) -> bool {
        match fs_err::metadata(&self.path) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Removes the folder alone.
    pub fn remove_contents(&self) -> Result<(), Error> {
        let is_dir = self.path.symlink_metadata().is_ok_and(|m| m.is_dir());
        let removed = if is_dir {
            fs_err::remove_dir_all(&self.path)
        } else {
            fs_err::remove_file(&self.path)
        };
        unless_absent(removed, "unlinkat", &self.path)
    }

    /// Removes folder, `.toml` and `.sha` (RES-020).
    pub fn remove(&self) -> Result<(), Error> {
        self.remove_contents()?;
        for file in [self.sha_path(), self.toml_path()] {
            unless_absent(fs_err::remove_file(&file), "remove", &file)?;
        }
        Ok(())
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(suffix);
        path.into()
    }
}

/// Returns the layers of one buildpack: sub-folders, and `.toml` files other than launch, build, store without one, sorted as the exporter wants them (EXP-010).
pub fn layers_of(layers_dir: &Path, buildpack_id: &str) -> Result<Vec<BuildpackLayer>, Error> {
    let dir = layers_dir.join(escape_id(buildpack_id));
    let mut names = BTreeSet::new();
    for entry in syscall_text::read_dir_if_present(&dir)? {
        let name = entry.name.to_string_lossy();
        if entry.kind.is_dir() {
            names.insert(name.into_owned());
        } else if let Some(stem) = name.strip_suffix(".toml")
            && !["launch", "build", "store"].contains(&stem)
        {
            names.insert(stem.to_owned());
        }
    }
    let layers = names
        .iter()
        .map(|name| BuildpackLayer::new(layers_dir, buildpack_id, name));
    Ok(layers.collect())
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] syscall_text::Error),
    /// A bad `<layer>.toml`.
    #[error(transparent)]
    Decode(#[from] decode::Error),
    /// Metadata that TOML cannot hold.
    #[error(transparent)]
    Encode(#[from] encode::Error),
    /// BPB-021.
    #[error("the launch, cache and build flags should be in the types table of {}", path.display())]
    TopLevelFlag {
        /// The file.
        path: PathBuf,
        /// `build`, `launch` or `cache`.
        key: &'static str,
        /// Where it stands.
        line: usize,
    },
}

impl From<decode::FileError> for Error {
    fn from(error: decode::FileError) -> Self {
        match error {
            decode::FileError::Syscall(e) => Self::Io(e),
            decode::FileError::Decode(e) => Self::Decode(e),
        }
    }
}

impl From<encode::FileError> for Error {
    fn from(error: encode::FileError) -> Self {
        match error {
            encode::FileError::Syscall(e) => Self::Io(e),
            encode::FileError::Encode(e) => Self::Encode(e),
        }
    }
}

/// The file as a buildpack writes it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct LayerFile {
    types: Types,
    metadata: Option<toml::Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Types {
    build: bool,
    launch: bool,
    cache: bool,
}

/// The file as it is restored: without types, so that a buildpack must set them again (BPB-063).
#[derive(Serialize)]
struct RestoredFile<'a> {
    metadata: Option<&'a toml::Value>,
}

fn unless_absent(
    result: io::Result<()>,
    operation: &'static str,
    path: &Path,
) -> Result<(), Error> {
    match result {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(syscall_text::Error::new(operation, path, e).into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn layers() -> (tempfile::TempDir, BuildpackLayer) {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("acme_java")).unwrap();
        let layer = BuildpackLayer::new(dir.path(), "acme/java", "jdk");
        (dir, layer)
    }

    #[test]
    fn types_are_booleans_in_their_table() {
        let (_dir, layer) = layers();
        let cases = [
            ("", [false, false, false]),
            ("[types]\n", [false, false, false]),
            ("[types]\nbuild = true\n", [true, false, false]),
            (
                "[types]\nlaunch = true\ncache = true\n",
                [false, true, true],
            ),
            ("[Types]\nLaunch = true\n", [false, true, false]),
            ("other = 1\n[types]\nelse = 'x'\n", [false, false, false]),
            // Top-level keys count in exactly this spelling alone.
            ("Launch = true\n", [false, false, false]),
        ];
        for (text, expected) in cases {
            fs_err::write(layer.toml_path(), text).unwrap();
            let read = layer.metadata().unwrap();
            assert_eq!([read.build, read.launch, read.cache], expected, "{text}");
            assert_eq!(read.is_ignored(), expected == [false; 3]);
        }
    }

    #[test]
    fn an_absent_file_means_nothing() {
        let (_dir, layer) = layers();
        assert_eq!(layer.metadata().unwrap(), LayerMetadata::default());
    }

    #[test]
    fn bad_files_are_refused_in_the_reference_s_words() {
        let (_dir, layer) = layers();
        let path = layer.toml_path();
        let flags = format!(
            "the launch, cache and build flags should be in the types table of {}",
            path.display()
        );
        let cases = [
            ("launch = true\n", flags.as_str()),
            ("cache = 1\n", flags.as_str()),
            ("[build]\n", flags.as_str()),
            (
                "[types]\nlaunch = 'yes'\n",
                "toml: line 2 (last key \"types.launch\"): incompatible types: TOML value has type string; destination has type boolean",
            ),
            (
                "[a\n",
                "toml: line 2: expected '.' or ']' to end table name, but got '\\n' instead",
            ),
        ];
        for (text, expected) in cases {
            fs_err::write(&path, text).unwrap();
            assert_eq!(
                layer.metadata().unwrap_err().to_string(),
                expected,
                "{text}"
            );
        }
        fs_err::write(&path, b"a = \"\xff\"").unwrap();
        let error = layer.metadata().unwrap_err().to_string();
        assert_eq!(
            error,
            "toml: line 1 (last key \"a\"): invalid UTF-8 byte: 0xff"
        );
    }

    #[test]
    fn metadata_keeps_its_types() {
        let (_dir, layer) = layers();
        let text = "[metadata]\n  Key = 3\n  f = 1.0\n  when = 1979-05-27T07:32:00Z\n";
        fs_err::write(layer.toml_path(), text).unwrap();
        let metadata = layer.metadata().unwrap().metadata.unwrap();
        assert_eq!(metadata["Key"], toml::Value::Integer(3));
        layer.write_restored_metadata(Some(&metadata)).unwrap();
        assert_eq!(fs_err::read_to_string(layer.toml_path()).unwrap(), text);
    }

    #[test]
    fn a_restored_file_without_metadata_is_empty() {
        let (_dir, layer) = layers();
        layer.write_restored_metadata(None).unwrap();
        assert_eq!(fs_err::read(layer.toml_path()).unwrap(), b"");
    }

    #[test]
    fn layers_are_folders_and_lone_toml_files_in_order_of_their_names() {
        let (dir, _) = layers();
        let bp = dir.path().join("acme_java");
        for folder in ["node", "node-modules", "store", "both"] {
            fs_err::create_dir(bp.join(folder)).unwrap();
        }
        for file in [
            "both.toml",
            "lone.toml",
            "launch.toml",
            "build.toml",
            "store.toml",
            "x.sha",
        ] {
            fs_err::write(bp.join(file), "").unwrap();
        }
        symlink("node", bp.join("link")).unwrap();
        let names: Vec<_> = layers_of(dir.path(), "acme/java")
            .unwrap()
            .iter()
            .map(BuildpackLayer::identifier)
            .collect();
        assert_eq!(
            names,
            [
                "acme/java:both",
                "acme/java:lone",
                "acme/java:node",
                "acme/java:node-modules",
                "acme/java:store"
            ]
        );
        assert!(layers_of(dir.path(), "no").unwrap().is_empty());
    }

    #[test]
    fn contents_are_there_when_the_path_leads_somewhere() {
        let (_dir, layer) = layers();
        assert!(!layer.has_contents());
        symlink("nowhere", &layer.path).unwrap();
        assert!(!layer.has_contents());
        fs_err::remove_file(&layer.path).unwrap();
        fs_err::create_dir(&layer.path).unwrap();
        assert!(layer.has_contents());
    }

    #[test]
    fn removing_takes_the_files_beside_it_too() {
        let (dir, layer) = layers();
        layer.remove().unwrap();
        fs_err::create_dir_all(layer.path.join("a/b")).unwrap();
        fs_err::write(layer.toml_path(), "").unwrap();
        fs_err::write(layer.sha_path(), "").unwrap();
        layer.remove().unwrap();
        assert_eq!(
            fs_err::read_dir(dir.path().join("acme_java"))
                .unwrap()
                .count(),
            0
        );
        // A link goes, what it leads to stays.
        let kept = dir.path().join("kept");
        fs_err::create_dir(&kept).unwrap();
        symlink(&kept, &layer.path).unwrap();
        layer.remove().unwrap();
        assert!(kept.exists() && !layer.has_contents());
    }
}
