//! The environment of the process: the launcher's own, then what layers add by their directories and files
//! (BPL-002 to BPL-017, BPL-020 to BPL-022; BPX-024, BPX-025).
//!
//! Names and values are bytes, never trimmed and never expanded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::error::{Context as _, Result};
use crate::files::{self, Entry};
use crate::inputs::{Environment, HIDDEN};
use crate::layers::Layers;

/// Directories on PATH that hold nothing but the launcher.
const LAUNCHER_DIRS: [&[u8]; 2] = [b"/cnb/process", b"/cnb/lifecycle"];

/// The children of a layer that are put in front of a path variable at launch.
const LAYER_PATHS: [(&str, &str); 2] = [("bin", "PATH"), ("lib", "LD_LIBRARY_PATH")];

/// Variables by name.
#[derive(Debug)]
pub(crate) struct Env(Environment);

impl Env {
    /// Returns the launcher's environment without what only concerns the launcher.
    pub(crate) fn at_launch(mut environment: Environment) -> Self {
        environment.retain(|name, _| !HIDDEN.iter().any(|hidden| name == *hidden));
        if let Some(path) = environment.get_mut(OsStr::new("PATH")) {
            let elements = path.as_bytes().split(|&byte| byte == b':');
            let kept: Vec<_> = elements
                .filter(|element| !LAUNCHER_DIRS.contains(element))
                .collect();
            *path = OsString::from_vec(kept.join(&b':'));
        }
        Self(environment)
    }

    /// Applies what the layers add. For each buildpack the paths of all its layers come before the files of all
    /// its layers, so a file that replaces PATH discards the `bin` of a later layer too.
    pub(crate) fn apply_layers(&mut self, layers: Layers<'_>) -> Result<()> {
        for of_buildpack in layers.by_buildpack() {
            let of_buildpack = of_buildpack.context("add layer root")?;
            for layer in &of_buildpack {
                self.add_paths(layer).context("add layer root")?;
            }
            for layer in &of_buildpack {
                let dirs =
                    std::iter::once(layer.join("env")).chain(layers.kind(layer, "env.launch"));
                for dir in dirs {
                    self.apply_dir(&dir)
                        .context(format_args!("apply env files from dir '{}'", dir.display()))
                        .context("add layer env")?;
                }
            }
        }
        Ok(())
    }

    /// Returns a value; an unset variable is an empty one.
    pub(crate) fn get(&self, name: impl AsRef<OsStr>) -> &OsStr {
        self.0
            .get(name.as_ref())
            .map_or(OsStr::new(""), OsString::as_os_str)
    }

    pub(crate) fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.0.insert(name.into(), value.into());
    }

    /// Returns all variables as `name=value`, in order of name.
    pub(crate) fn assignments(&self) -> impl Iterator<Item = OsString> {
        self.0
            .iter()
            .map(|(name, value)| concat([name, OsStr::new("="), value]))
    }

    fn add_paths(&mut self, layer: &Path) -> Result<()> {
        let current_dir = || std::env::current_dir().context("getwd");
        let layer = if layer.is_absolute() {
            layer.to_path_buf()
        } else {
            current_dir()?.join(layer)
        };
        for (child, variable) in LAYER_PATHS {
            let path = files::clean(&layer.join(child));
            if files::find(&path)?.is_some() {
                let old = self.get(variable);
                let delimiter = if old.is_empty() { "" } else { ":" };
                self.set(
                    variable,
                    concat([path.as_os_str(), OsStr::new(delimiter), old]),
                );
            }
        }
        Ok(())
    }

    fn apply_dir(&mut self, dir: &Path) -> Result<()> {
        for Entry { name, path, is_dir } in files::entries(dir)? {
            if is_dir || files::stat(&path)?.is_dir() {
                continue;
            }
            let content = OsString::from_vec(files::read(&path)?);
            let delimiter = |variable: &OsStr, default: &str| {
                let file = dir.join(concat([variable, OsStr::new(".delim"), OsStr::new("")]));
                files::read(&file).map_or_else(|_| default.into(), OsString::from_vec)
            };
            self.apply(&name, content, delimiter);
        }
        Ok(())
    }

    /// Applies one file: its name says which variable and how, and `delimiter` knows what stands between the old
    /// value and the new one, given the variable and what it is if nothing says so.
    fn apply(
        &mut self,
        file_name: &OsStr,
        content: OsString,
        delimiter: impl Fn(&OsStr, &str) -> OsString,
    ) {
        let (variable, suffix) = split_name(file_name);
        let old = self.get(variable);
        let value = match suffix {
            None | Some(b"override") => content,
            Some(b"default" | b"append" | b"prepend" | b"") if old.is_empty() => content,
            Some(b"append") => concat([old, &delimiter(variable, ""), &content]),
            Some(b"prepend") => concat([&content, &delimiter(variable, ""), old]),
            // A name that ends in a dot still means what the oldest APIs meant by no suffix (LCH-016).
            Some(b"") => concat([&content, &delimiter(variable, ":"), old]),
            Some(_) => return,
        };
        self.set(variable, value);
    }
}

/// Splits a file name into the variable and, if there is a dot, what follows the first one.
fn split_name(file_name: &OsStr) -> (&OsStr, Option<&[u8]>) {
    let mut parts = file_name.as_bytes().splitn(2, |&byte| byte == b'.');
    let variable = parts.next().unwrap_or_default();
    (OsStr::from_bytes(variable), parts.next())
}

fn concat(parts: [&OsStr; 3]) -> OsString {
    parts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::api::{BuildpackApi, Version};
    use crate::metadata::Buildpack;

    fn env(variables: &[(&str, &str)]) -> Env {
        Env::at_launch(
            variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }

    #[test]
    fn the_launchers_own_variables_are_hidden() {
        let env = env(&[
            ("CNB_LAYERS_DIR", "x"),
            ("CNB_APP_DIR", "x"),
            ("CNB_PROCESS_TYPE", "x"),
            ("CNB_PLATFORM_API", "x"),
            ("CNB_DEPRECATION_MODE", "x"),
            ("CNB_EXEC_ENV", "test"),
            ("CNB_NO_COLOR", "1"),
            ("CNB_OTHER", ""),
            ("HOME", "/root"),
        ]);
        let assignments: Vec<_> = env.assignments().collect();
        assert_eq!(
            assignments,
            [
                "CNB_EXEC_ENV=test",
                "CNB_NO_COLOR=1",
                "CNB_OTHER=",
                "HOME=/root"
            ]
        );
    }

    #[test]
    fn the_launchers_own_directories_leave_path() {
        for (path, expected) in [
            ("/cnb/process:/usr/bin:/cnb/lifecycle:/bin", "/usr/bin:/bin"),
            ("/bin:/cnb/process", "/bin"),
            (
                "/cnb/process/:/cnb/process/web:/cnb",
                "/cnb/process/:/cnb/process/web:/cnb",
            ),
            ("/cnb/process:/cnb/lifecycle", ""),
            (":/bin:", ":/bin:"),
            ("", ""),
        ] {
            assert_eq!(
                env(&[("PATH", path)]).assignments().next(),
                Some(format!("PATH={expected}").into()),
                "{path}"
            );
        }
        assert_eq!(
            env(&[]).assignments().next(),
            None,
            "an unset PATH stays unset"
        );
        assert_eq!(
            env(&[("OTHER", "/cnb/process")]).get("OTHER"),
            "/cnb/process"
        );
    }

    /// What files do to a variable; `buildpack::env` has the same table.
    const ENV_FILES: &str = include_str!("../../tests/tables/env-files.toml");

    /// Each has a row at least.
    const RULES: [&str; 12] = [
        "BPL-007", "BPL-008", "BPL-009", "BPL-010", "BPL-011", "BPL-012", "BPL-013", "BPL-014",
        "BPL-015", "BPL-016", "BPL-017", "LCH-016",
    ];

    #[test]
    fn file_names_say_what_a_file_does() {
        let table: toml::Table = ENV_FILES.parse().unwrap();
        for rule in RULES {
            let mut cases = table["case"].as_array().unwrap().iter();
            assert!(
                cases.any(|case| case["rule"].as_str() == Some(rule)),
                "{rule}"
            );
        }
        for case in table["case"].as_array().unwrap() {
            let tree = Tree::new(&[]);
            for (name, content) in case["files"].as_table().unwrap() {
                let path = tree.path("a/x").join(name.replace("own/", "env.launch/"));
                fs_err::create_dir_all(path.parent().unwrap()).unwrap();
                fs_err::write(path, content.as_str().unwrap()).unwrap();
            }
            let value = |key: &str| case.get(key).map(|value| value.as_str().unwrap());
            let before: Vec<_> = value("before").map(|v| ("HOME", v)).into_iter().collect();
            let mut env = env(&before);
            tree.apply(&mut env, None).unwrap();
            let got = env
                .0
                .get(OsStr::new("HOME"))
                .map(|value| value.to_str().unwrap());
            assert_eq!(got, value("after"), "{case}");
        }
    }

    /// Layers of buildpacks a and b as files with their content; what ends in a slash is a directory.
    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &[u8])]) -> Self {
            let temp = tempfile::tempdir().unwrap();
            for (name, content) in files {
                let path = temp.path().join(name);
                if name.ends_with('/') {
                    fs_err::create_dir_all(path).unwrap();
                } else {
                    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
                    fs_err::write(path, content).unwrap();
                }
            }
            Self(temp)
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn apply(&self, env: &mut Env, process_type: Option<&str>) -> Result<()> {
            let api = BuildpackApi::supported(Version::parse("0.10").unwrap()).unwrap();
            let buildpacks = ["a", "b"].map(|id| Buildpack { id: id.into(), api });
            env.apply_layers(Layers::new(self.0.path(), &buildpacks, process_type))
        }
    }

    #[test]
    fn layer_directories_go_in_front_of_paths() {
        let tree = Tree::new(&[
            ("a/x/bin/tool", b""),
            ("a/x/include/h", b""),
            ("a/x/pkgconfig/p", b""),
            ("a/y/bin", b"a file counts too"),
            ("a/y/lib/", b""),
            ("b/z/bin/", b""),
            ("b/dangling/", b""),
        ]);
        fs_err::os::unix::fs::symlink("nowhere", tree.path("b/dangling/bin")).unwrap();
        let mut env = env(&[("PATH", "/bin")]);
        tree.apply(&mut env, None).unwrap();
        let root = tree.0.path().display();
        let expected = [
            format!("LD_LIBRARY_PATH={root}/a/y/lib"),
            format!("PATH={root}/b/z/bin:{root}/a/y/bin:{root}/a/x/bin:/bin"),
        ];
        assert_eq!(
            env.assignments().collect::<Vec<_>>(),
            expected.map(OsString::from)
        );
    }

    #[test]
    fn what_layers_add_to_path_stays() {
        let tree = Tree::new(&[
            ("a/x/env/PATH.prepend", b"/cnb/process"),
            ("a/x/env/PATH.delim", b":"),
        ]);
        let mut env = env(&[("PATH", "/cnb/process:/bin")]);
        tree.apply(&mut env, None).unwrap();
        assert_eq!(env.get("PATH"), "/cnb/process:/bin");
    }

    #[test]
    fn paths_of_all_layers_come_before_their_files() {
        let tree = Tree::new(&[
            ("a/x/env/PATH.override", b"/only"),
            ("a/y/bin/", b""),
            ("b/z/bin/", b""),
        ]);
        let mut env = env(&[("PATH", "/bin")]);
        tree.apply(&mut env, None).unwrap();
        assert_eq!(env.get("PATH"), tree.path("b/z/bin:/only").as_os_str());
    }

    #[test]
    fn files_are_applied_in_order() {
        let files: [(&str, &[u8]); 8] = [
            ("a/x/env/V.append", b"1"),
            ("a/x/env.build/V", b"never"),
            ("a/x/env.launch/V.append", b"2"),
            ("a/x/env.launch/web/V.append", b"3"),
            ("a/x/env.launch/other/V.append", b"never"),
            ("a/y/env/V.append", b"4"),
            ("b/x/env/V.append", b"5\n"),
            ("b/x/env/V.prepend", b"0"),
        ];
        let tree = Tree::new(&files);
        for (process_type, expected) in [(Some("web"), "012345\n"), (None, "01245\n")] {
            let mut env = env(&[]);
            tree.apply(&mut env, process_type).unwrap();
            assert_eq!(env.get("V"), expected);
        }
    }

    #[test]
    fn files_of_one_directory_see_the_ones_before() {
        // BPL-015: NAME, .append, .default, .override, .prepend
        let tree = Tree::new(&[
            ("a/x/env/V", b"1"),
            ("a/x/env/V.append", b"2"),
            ("a/x/env/V.default", b"never"),
            ("a/x/env/V.prepend", b"0"),
            ("a/x/env/W.default", b"d"),
            ("a/x/env/W.override", b"o"),
        ]);
        let mut env = env(&[("V", "user")]);
        tree.apply(&mut env, None).unwrap();
        assert_eq!(
            (env.get("V"), env.get("W")),
            (OsStr::new("012"), OsStr::new("o"))
        );
    }

    #[test]
    fn a_delimiter_holds_for_its_own_directory() {
        let tree = Tree::new(&[
            ("a/x/env/V.delim", b"-"),
            ("a/x/env/V.append", b"1"),
            ("a/x/env.launch/V.append", b"2"),
        ]);
        let mut env = env(&[("V", "0")]);
        tree.apply(&mut env, None).unwrap();
        assert_eq!(env.get("V"), "0-12");
    }

    #[test]
    fn values_are_bytes() {
        let tree = Tree::new(&[("a/x/env/V", b"\xff $HOME\0 \n")]);
        let mut env = env(&[]);
        tree.apply(&mut env, None).unwrap();
        assert_eq!(env.get("V").as_bytes(), b"\xff $HOME\0 \n");
    }

    #[test]
    fn links_to_files_are_followed_and_links_to_directories_skipped() {
        let tree = Tree::new(&[("a/x/env/", b""), ("file", b"linked"), ("dir/V", b"never")]);
        fs_err::os::unix::fs::symlink(tree.path("file"), tree.path("a/x/env/LINK")).unwrap();
        fs_err::os::unix::fs::symlink(tree.path("dir"), tree.path("a/x/env/DIR")).unwrap();
        let mut env = env(&[]);
        tree.apply(&mut env, None).unwrap();
        assert_eq!(env.assignments().collect::<Vec<_>>(), ["LINK=linked"]);
    }

    #[test]
    fn what_cannot_be_read_names_the_directory() {
        let tree = Tree::new(&[("a/x/env/", b"")]);
        fs_err::os::unix::fs::symlink("nowhere", tree.path("a/x/env/LINK")).unwrap();
        let error = tree.apply(&mut env(&[]), None).unwrap_err().to_string();
        let dir = tree.path("a/x/env");
        assert!(
            error.starts_with(&format!(
                "add layer env: apply env files from dir '{}': ",
                dir.display()
            )),
            "{error}"
        );
    }
}
