//! `buildpack.toml` and `extension.toml`, and where they are on disk (BPD-001 to BPD-013).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::api::Version;
use crate::group::escape_id;
use crate::order::OrderGroup;
use crate::target::{Distro, TargetSpec};
use crate::{decode, syscall_text};

/// What a module says of itself. Extensions use the same fields, without an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Descriptor {
    /// API as written.
    pub api: String,
    /// Id.
    pub id: String,
    /// Human-readable name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Where to read about it.
    pub homepage: String,
    /// True: the user's environment is not given to it.
    pub clear_env: bool,
    /// Media types of SBOMs that it may write.
    pub sbom_formats: Vec<String>,
    /// Execution environments that it is for; none means all.
    pub exec_env: Vec<String>,
    /// Groups of a composite buildpack.
    pub order: Vec<OrderGroup>,
    /// What it runs on, inferred where nothing was declared (BPD-011 to BPD-013).
    pub targets: Vec<TargetSpec>,
    /// True for `extension.toml`.
    pub extension: bool,
    /// Absolute path of the folder that holds the file.
    pub dir: PathBuf,
}

impl Descriptor {
    /// Reads a `buildpack.toml`.
    pub fn read_buildpack(path: &Path) -> Result<Self, Error> {
        let file: BuildpackFile = decode::from_file(path)?;
        let mut targets = file.targets;
        if targets.is_empty() {
            targets = targets_of_stacks(&file.api, &file.stacks);
        }
        let mut descriptor = Self {
            order: file.order,
            targets,
            ..Self::new(file.api, file.buildpack, path)?
        };
        if descriptor.targets.is_empty() && descriptor.has_program(&["build"])? {
            descriptor.targets.push(linux());
        }
        Ok(descriptor)
    }

    /// Reads an `extension.toml`.
    pub fn read_extension(path: &Path) -> Result<Self, Error> {
        let file: ExtensionFile = decode::from_file(path)?;
        let mut descriptor = Self {
            targets: file.targets,
            extension: true,
            ..Self::new(file.api, file.extension, path)?
        };
        if descriptor.targets.is_empty() {
            let for_linux = descriptor.has_program(&["detect", "generate"])?;
            let target = if for_linux {
                linux()
            } else {
                TargetSpec::default()
            };
            descriptor.targets.push(target);
        }
        Ok(descriptor)
    }

    /// Returns whether it is a composite buildpack, which never runs itself (BPD-006).
    pub fn is_composite(&self) -> bool {
        !self.order.is_empty()
    }

    /// Returns `id@version`.
    pub fn label(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    fn new(api: String, info: Info, path: &Path) -> Result<Self, Error> {
        let dir = path.parent().unwrap_or(Path::new("/"));
        let dir =
            std::path::absolute(dir).map_err(|e| syscall_text::Error::new("getwd", dir, e))?;
        Ok(Self {
            api,
            id: info.id,
            name: info.name,
            version: info.version,
            homepage: info.homepage,
            clear_env: info.clear_env,
            sbom_formats: info.sbom_formats,
            exec_env: info.exec_env,
            dir,
            ..Self::default()
        })
    }

    /// Returns whether `bin` holds one of the names.
    fn has_program(&self, names: &[&str]) -> Result<bool, Error> {
        let bin = self.dir.join("bin");
        if fs_err::metadata(&bin).is_err() {
            return Ok(false);
        }
        let entries = syscall_text::read_dir(&bin)?;
        Ok(entries
            .iter()
            .any(|e| names.iter().any(|name| e.name == *name)))
    }
}

/// The folders that modules are in.
#[derive(Clone, Debug)]
pub struct Modules {
    /// `<dir>/<escaped id>/<version>/buildpack.toml`.
    pub buildpacks: PathBuf,
    /// `<dir>/<escaped id>/<version>/extension.toml`.
    pub extensions: PathBuf,
}

impl Modules {
    /// Reads a buildpack's descriptor.
    pub fn buildpack(&self, id: &str, version: &str) -> Result<Descriptor, Error> {
        if self.buildpacks.as_os_str().is_empty() {
            return Err(Error::NoFolder("buildpacks"));
        }
        Descriptor::read_buildpack(&self.buildpack_path(id, version))
    }

    /// Returns where a buildpack's descriptor is.
    pub fn buildpack_path(&self, id: &str, version: &str) -> PathBuf {
        let dir = self.buildpacks.join(escape_id(id)).join(version);
        dir.join("buildpack.toml")
    }

    /// Reads an extension's descriptor.
    pub fn extension(&self, id: &str, version: &str) -> Result<Descriptor, Error> {
        if self.extensions.as_os_str().is_empty() {
            return Err(Error::NoFolder("extensions"));
        }
        Descriptor::read_extension(&self.extension_path(id, version))
    }

    /// Returns where an extension's descriptor is.
    pub fn extension_path(&self, id: &str, version: &str) -> PathBuf {
        let dir = self.extensions.join(escape_id(id)).join(version);
        dir.join("extension.toml")
    }
}

/// Why a descriptor could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `open <path>: no such file or directory`, as the reference says it.
    #[error("open {}: {reason}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's words, in small letters.
        reason: String,
    },
    /// Any other failed call.
    #[error(transparent)]
    Syscall(syscall_text::Error),
    /// Not what a descriptor looks like.
    #[error(transparent)]
    Decode(#[from] decode::Error),
    /// The platform did not say where modules are.
    #[error("missing {0} directory")]
    NoFolder(&'static str),
}

impl From<syscall_text::Error> for Error {
    fn from(error: syscall_text::Error) -> Self {
        match error.operation {
            "open" => Self::Open {
                reason: syscall_text::reason(&error.cause),
                path: error.path,
            },
            _ => Self::Syscall(error),
        }
    }
}

impl From<decode::FileError> for Error {
    fn from(error: decode::FileError) -> Self {
        match error {
            decode::FileError::Syscall(e) => e.into(),
            decode::FileError::Decode(e) => e.into(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct BuildpackFile {
    api: String,
    buildpack: Info,
    order: Vec<OrderGroup>,
    targets: Vec<TargetSpec>,
    stacks: Vec<Stack>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ExtensionFile {
    api: String,
    extension: Info,
    targets: Vec<TargetSpec>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Info {
    id: String,
    name: String,
    version: String,
    homepage: String,
    clear_env: bool,
    sbom_formats: Vec<String>,
    exec_env: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Stack {
    id: String,
}

/// Returns what stacks of old stand for: bionic, and "any" (BPD-011, BPD-012).
fn targets_of_stacks(api: &str, stacks: &[Stack]) -> Vec<TargetSpec> {
    let bionic_counts = stacks.len() == 1
        || api.parse().is_ok_and(|v: Version| {
            v >= Version {
                major: 0,
                minor: 10,
            }
        });
    stacks
        .iter()
        .filter_map(|stack| match stack.id.as_str() {
            "*" => Some(TargetSpec::default()),
            "io.buildpacks.stacks.bionic" if bionic_counts => Some(bionic()),
            _ => None,
        })
        .collect()
}

fn bionic() -> TargetSpec {
    TargetSpec {
        arch: "amd64".to_owned(),
        distros: vec![Distro {
            name: "ubuntu".to_owned(),
            version: "18.04".to_owned(),
        }],
        ..linux()
    }
}

fn linux() -> TargetSpec {
    TargetSpec {
        os: "linux".to_owned(),
        ..TargetSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn modules(file: &str, text: &str, programs: &[&str]) -> (TempDir, Modules) {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("acme_java/1.0");
        fs_err::create_dir_all(&dir).unwrap();
        fs_err::write(dir.join(file), text).unwrap();
        for program in programs {
            fs_err::create_dir_all(dir.join("bin")).unwrap();
            fs_err::write(dir.join("bin").join(program), "").unwrap();
        }
        let modules = Modules {
            buildpacks: root.path().to_owned(),
            extensions: root.path().to_owned(),
        };
        (root, modules)
    }

    /// BPD-001: from each folder by escaped id and version as written.
    #[test]
    fn modules_are_found_by_id_and_version() {
        let root = tempfile::tempdir().unwrap();
        let modules = Modules {
            buildpacks: root.path().join("b"),
            extensions: root.path().join("e"),
        };
        for (id, version, place) in [
            ("java", "1", "java/1"),
            ("acme/java/x", "v1.0+k_2", "acme_java_x/v1.0+k_2"),
        ] {
            for (folder, file, table) in [
                ("b", "buildpack.toml", "buildpack"),
                ("e", "extension.toml", "extension"),
            ] {
                let dir = root.path().join(folder).join(place);
                fs_err::create_dir_all(&dir).unwrap();
                let text = format!("api = '0.10'\n[{table}]\nid = '{id}'\nname = '{folder}'\n");
                fs_err::write(dir.join(file), text).unwrap();
            }
            let buildpack = modules.buildpack(id, version).unwrap();
            assert_eq!((buildpack.id.as_str(), buildpack.name.as_str()), (id, "b"));
            assert_eq!(buildpack.dir, root.path().join("b").join(place));
            let extension = modules.extension(id, version).unwrap();
            assert_eq!((extension.id.as_str(), extension.name.as_str()), (id, "e"));
            // As written: neither shortened nor completed.
            for other in ["1.0", "v1", "01", ""] {
                modules.buildpack(id, other).unwrap_err();
                modules.extension(id, other).unwrap_err();
            }
        }
    }

    /// BPD-002: programs run elsewhere than where the file was found.
    #[test]
    fn the_root_of_a_module_is_absolute() {
        let (root, _) = modules("buildpack.toml", "api = '0.10'\n", &[]);
        let here = std::env::current_dir().unwrap();
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        let relative = up.join(root.path().strip_prefix("/").unwrap());
        let path = relative.join("acme_java/1.0/buildpack.toml");
        assert!(path.is_relative());
        let dir = Descriptor::read_buildpack(&path).unwrap().dir;
        assert!(dir.is_absolute(), "{}", dir.display());
        let expected = fs_err::canonicalize(root.path().join("acme_java/1.0")).unwrap();
        assert_eq!(fs_err::canonicalize(&dir).unwrap(), expected);
    }

    #[test]
    fn every_key_that_counts_is_read_and_the_rest_ignored() {
        let text = r#"
api = "0.10"
other = 1
[buildpack]
id = "acme/java"
name = "Java"
version = "1.0"
homepage = "https://example.com"
clear-env = true
sbom-formats = ["application/spdx+json"]
exec-env = ["test"]
keywords = ["x"]
[[buildpack.licenses]]
type = 1
[metadata]
pre-package = true
[[order]]
[[order.group]]
id = "a"
version = "1"
optional = true
exec-env = ["test"]
[[order.group]]
id = "b"
[[targets]]
os = "linux"
arch = "arm64"
arch-variant = "v8"
variant = "v7"
[[targets.distros]]
name = "ubuntu"
version = "22.04"
[[stacks]]
id = "*"
mixins = 7
"#;
        let (root, modules) = modules("buildpack.toml", text, &["build"]);
        let read = modules.buildpack("acme/java", "1.0").unwrap();
        assert_eq!(read.label(), "acme/java@1.0");
        assert_eq!(
            [&read.api, &read.name, &read.homepage],
            ["0.10", "Java", "https://example.com"]
        );
        assert!(read.clear_env && read.is_composite() && !read.extension);
        assert_eq!(read.sbom_formats, ["application/spdx+json"]);
        assert_eq!(read.exec_env, ["test"]);
        let [a, b] = &read.order[0].group[..] else {
            panic!("{:?}", read.order);
        };
        assert_eq!((a.label(), a.optional), ("a@1".to_owned(), true));
        assert_eq!((b.label(), b.optional), ("b@".to_owned(), false));
        let [target] = &read.targets[..] else {
            panic!("{:?}", read.targets);
        };
        assert_eq!(
            [&target.os, &target.arch, &target.arch_variant],
            ["linux", "arm64", "v8"]
        );
        assert_eq!(target.distros[0].name, "ubuntu");
        assert_eq!(target.distros[0].version, "22.04");
        assert_eq!(read.dir, root.path().join("acme_java/1.0"));
    }

    #[test]
    fn targets_are_inferred_where_none_are_declared() {
        let bionic_stack = "[[stacks]]\nid = 'io.buildpacks.stacks.bionic'\n";
        let any_stack = "[[stacks]]\nid = '*'\n";
        let other_stack = "[[stacks]]\nid = 'other'\n";
        let any = TargetSpec::default;
        let cases: [(&str, String, &[&str], Vec<TargetSpec>); 12] = [
            // BPD-014: the key of the specification is none of ours.
            (
                "0.12",
                "[[targets]]\nvariant = 'v7'\n".to_owned(),
                &["build"],
                vec![any()],
            ),
            // COM-080, BPD-003: of stacks the id counts.
            ("0.9", bionic_stack.to_owned(), &["build"], vec![bionic()]),
            (
                "0.9",
                format!("{bionic_stack}{other_stack}"),
                &["build"],
                vec![linux()],
            ),
            (
                "0.10",
                format!("{bionic_stack}{other_stack}"),
                &["build"],
                vec![bionic()],
            ),
            (
                "0.9",
                format!("{bionic_stack}{any_stack}"),
                &["build"],
                vec![any()],
            ),
            (
                "0.12",
                format!("{any_stack}{bionic_stack}{any_stack}"),
                &[],
                vec![any(), bionic(), any()],
            ),
            ("0.7", any_stack.to_owned(), &["build"], vec![any()]),
            ("0.12", other_stack.to_owned(), &[], vec![]),
            ("0.12", String::new(), &["build", "detect"], vec![linux()]),
            ("0.12", String::new(), &["build.bat", "build.exe"], vec![]),
            (
                "0.12",
                "[[targets]]\nos = 'x'\n[[stacks]]\nid = '*'\n".to_owned(),
                &["build"],
                vec![TargetSpec {
                    os: "x".to_owned(),
                    ..any()
                }],
            ),
            ("bad", bionic_stack.to_owned() + other_stack, &[], vec![]),
        ];
        for (api, text, programs, expected) in cases {
            let (_root, modules) = modules(
                "buildpack.toml",
                &format!("api = '{api}'\n{text}"),
                programs,
            );
            assert_eq!(
                modules.buildpack("acme/java", "1.0").unwrap().targets,
                expected,
                "{api} {text}"
            );
        }
    }

    #[test]
    fn extensions_have_targets_of_their_own_and_never_an_order() {
        let text = "api = '0.9'\n[extension]\nid = 'acme/java'\nclear-env = true\n[[order]]\n[[stacks]]\nid = 'io.buildpacks.stacks.bionic'\n";
        let cases: [(&[&str], TargetSpec); 5] = [
            (&[], TargetSpec::default()),
            (&["build"], TargetSpec::default()),
            (&["generate"], linux()),
            (&["detect"], linux()),
            (&["detect", "generate"], linux()),
        ];
        for (programs, target) in cases {
            let (_root, modules) = modules("extension.toml", text, programs);
            let read = modules.extension("acme/java", "1.0").unwrap();
            assert_eq!(read.targets, [target], "{programs:?}");
            assert!(read.extension && read.clear_env && !read.is_composite());
        }
    }

    /// IMX-002, IMX-003: the rest is as in a buildpack's file; targets that are declared stay as they are.
    #[test]
    fn an_extension_says_what_a_buildpack_says() {
        let text = r#"
api = "0.10"
[extension]
id = "acme/java"
name = "Java"
version = "1.0"
homepage = "https://example.com"
clear-env = true
exec-env = ["test"]
[[targets]]
arch = "arm64"
[[targets]]
os = "freebsd"
[[order]]
[[order.group]]
id = "a"
version = "1"
"#;
        let (root, modules) = modules("extension.toml", text, &["detect", "generate"]);
        let read = modules.extension("acme/java", "1.0").unwrap();
        let target = |os: &str, arch: &str| TargetSpec {
            os: os.to_owned(),
            arch: arch.to_owned(),
            ..TargetSpec::default()
        };
        let expected = Descriptor {
            api: "0.10".to_owned(),
            id: "acme/java".to_owned(),
            name: "Java".to_owned(),
            version: "1.0".to_owned(),
            homepage: "https://example.com".to_owned(),
            clear_env: true,
            exec_env: vec!["test".to_owned()],
            targets: vec![target("", "arm64"), target("freebsd", "")],
            extension: true,
            dir: root.path().join("acme_java/1.0"),
            ..Descriptor::default()
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn errors_are_worded_as_the_reference_words_them() {
        let (root, modules) = modules("buildpack.toml", "", &[]);
        let error = modules.buildpack("acme/java", "2.0").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "open {}/acme_java/2.0/buildpack.toml: no such file or directory",
                root.path().display()
            )
        );
        let path = root.path().join("acme_java/1.0/buildpack.toml");
        let cases = [
            (
                "[buildpack]\n[[buildpack.exec-env]]\nname = 'test'\n",
                "toml: line 2 (last key \"buildpack.exec-env\"): incompatible types: TOML value has type map[string]any; destination has type string",
            ),
            (
                "api = 0.9\n",
                "toml: line 1 (last key \"api\"): incompatible types: TOML value has type float64; destination has type string",
            ),
            (
                "\n[buildpack]\nclear-env = 'yes'\n",
                "toml: line 3 (last key \"buildpack.clear-env\"): incompatible types: TOML value has type string; destination has type boolean",
            ),
            (
                "= 1\n",
                "toml: line 1: unexpected '=': key name appears blank",
            ),
        ];
        for (text, expected) in cases {
            fs_err::write(&path, text).unwrap();
            let error = modules.buildpack("acme/java", "1.0").unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
        }
        let nowhere = Modules {
            buildpacks: PathBuf::new(),
            extensions: PathBuf::new(),
        };
        let error = nowhere.buildpack("a", "1").unwrap_err();
        assert_eq!(error.to_string(), "missing buildpacks directory");
    }
}
