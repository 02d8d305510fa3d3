//! SBOMs: those of lifecycle and launcher are copied among the buildpacks' own, and the directory of those
//! for launch becomes a layer (EXP-018 to EXP-020).

use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use buildpack::sbom::EXTENSIONS;

/// Where the lifecycle's own SBOMs are, and where the launcher's are unless `-launcher-sbom` says otherwise.
pub(crate) const DEFAULT_DIR: &str = "/cnb/lifecycle";

/// Copies the SBOMs of lifecycle and launcher into `<layers>/sbom`.
pub(crate) fn copy_own(layers_dir: &Path, launcher_sbom_dir: &Path) -> anyhow::Result<()> {
    copy_from(Path::new(DEFAULT_DIR), layers_dir, launcher_sbom_dir)
}

fn copy_from(
    default_dir: &Path,
    layers_dir: &Path,
    launcher_sbom_dir: &Path,
) -> anyhow::Result<()> {
    let for_build = layers_dir.join("sbom/build/buildpacksio_lifecycle");
    let for_launch = layers_dir.join("sbom/launch/buildpacksio_lifecycle/launcher");
    copy_known("lifecycle", default_dir, &for_build)?;
    if launcher_sbom_dir.as_os_str().is_empty() || launcher_sbom_dir == default_dir {
        copy_known("launcher", default_dir, &for_launch)
    } else {
        copy_all(launcher_sbom_dir, &for_launch)
    }
}

/// Returns `<layers>/sbom/<kind>` if it is there.
pub(crate) fn directory(layers_dir: &Path, kind: &str) -> anyhow::Result<Option<PathBuf>> {
    let dir = layers_dir.join("sbom").join(kind);
    match fs_err::read_dir(&dir) {
        Ok(_) => {
            tracing::debug!("Found SBOM of type {kind} for at {}", dir.display());
            Ok(Some(dir))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies `<component>.sbom.<format>.json` of each format; a missing one is only worth a warning.
fn copy_known(component: &str, from: &Path, to: &Path) -> anyhow::Result<()> {
    for extension in EXTENSIONS {
        let name = format!("{component}.{extension}");
        let source = from.join(&name);
        match fs_err::metadata(&source) {
            Ok(_) => {
                let target = to.join(extension);
                tracing::debug!("Copying SBOM {name} to {}", target.display());
                fs_err::create_dir_all(to)?;
                copy(&source, &target)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!("Did not find SBOM {name} in {}", from.display());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Copies every file of `from`, not of directories in it, whose name ends as an SBOM's does.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    let listed = fs_err::read_dir(from).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = listed.inspect_err(|_| {
        tracing::warn!("Failed to list contents of directory {}", from.display());
    })?;
    // Unlike directories elsewhere: nobody else may write here, whatever the umask (EXP-052).
    let made = DirBuilder::new().recursive(true).mode(0o755).create(to);
    made.with_context(|| format!("failed to create directory {}", to.display()))?;
    for entry in entries {
        let name = entry.file_name();
        let is_sbom = EXTENSIONS
            .iter()
            .any(|extension| name.as_bytes().ends_with(extension.as_bytes()));
        // A link is followed; what is no file in the end (a pipe, a socket) is no SBOM.
        if is_sbom && fs_err::metadata(entry.path()).is_ok_and(|it| it.is_file()) {
            let (source, target) = (entry.path(), to.join(&name));
            copy(&source, &target).inspect_err(|_| {
                let (source, target) = (source.display(), target.display());
                tracing::warn!("failed while copying SBOM from {source} to {target}");
            })?;
        }
    }
    Ok(())
}

/// Copies a file without its mode, which `fs::copy` would keep (EXP-052).
fn copy(source: &Path, target: &Path) -> io::Result<()> {
    let mut input = fs_err::File::open(source)?;
    let mut output = fs_err::File::create(target)?;
    io::copy(&mut input, &mut output)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::log::logged;

    #[test]
    fn files_of_a_launcher_sbom_dir_are_copied_under_their_names() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        let from = temporary.path().join("from");
        fs_err::create_dir_all(from.join("dir.sbom.cdx.json")).expect("directory");
        for name in [
            "launcher.sbom.cdx.json",
            "x.sbom.spdx.json",
            "sbom.syft.json",
            "sbom.xml",
        ] {
            fs_err::write(from.join(name), name).expect("file");
        }
        let odd_mode = std::fs::Permissions::from_mode(0o700);
        fs_err::set_permissions(from.join("sbom.syft.json"), odd_mode).expect("mode");
        let layers = temporary.path().join("layers");
        copy_own(&layers, &from).expect("copied");

        let to = layers.join("sbom/launch/buildpacksio_lifecycle/launcher");
        let mut names: Vec<_> = fs_err::read_dir(&to)
            .expect("listed")
            .map(|entry| {
                entry
                    .expect("entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "launcher.sbom.cdx.json",
                "sbom.syft.json",
                "x.sbom.spdx.json"
            ]
        );
        let mode = |path: &Path| {
            fs_err::metadata(path)
                .expect("metadata")
                .permissions()
                .mode()
        };
        assert_eq!(
            mode(&to.join("sbom.syft.json")),
            mode(&to.join("x.sbom.spdx.json"))
        );
        assert_eq!(
            directory(&layers, "launch").expect("looked"),
            Some(layers.join("sbom/launch"))
        );
        assert_eq!(directory(&layers, "cache").expect("looked"), None);
    }

    /// Returns what was logged and every file below a directory with its contents.
    fn copied(from: &Path, layers: &Path, launcher: &Path) -> (String, Vec<(String, String)>) {
        let (result, log) = logged(|| copy_from(from, layers, launcher));
        result.expect("copied");
        let (mut files, mut open) = (Vec::new(), vec![layers.join("sbom")]);
        while let Some(dir) = open.pop() {
            for entry in fs_err::read_dir(dir).into_iter().flatten() {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    open.push(path);
                    continue;
                }
                let name = path
                    .strip_prefix(layers)
                    .expect("below")
                    .display()
                    .to_string();
                files.push((name, fs_err::read_to_string(&path).expect("a file")));
            }
        }
        files.sort();
        (log, files)
    }

    /// EXP-019.
    #[test]
    fn known_files_are_copied_under_the_names_of_sboms_and_missing_ones_are_said() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        let from = temporary.path().join("from");
        fs_err::create_dir(&from).expect("directory");
        let build = "sbom/build/buildpacksio_lifecycle";
        let launch = "sbom/launch/buildpacksio_lifecycle/launcher";
        let nothing = temporary.path().join("nothing");
        assert_eq!(copied(&from, &nothing, &from).1, []);
        assert!(!nothing.exists(), "no folder is made for nothing");
        let mut there = 0;
        for (component, folder) in [("lifecycle", build), ("launcher", launch)] {
            for format in ["cdx", "spdx", "syft"] {
                let name = format!("{component}.sbom.{format}.json");
                let layers = temporary.path().join(&name);
                fs_err::write(from.join(&name), &name).expect("file");
                there += 1;
                let (log, files) = copied(&from, &layers, Path::new(""));
                let target = format!("{folder}/sbom.{format}.json");
                assert!(files.contains(&(target.clone(), name.clone())), "{files:?}");
                let line = format!(
                    "DEBUG Copying SBOM {name} to {}\n",
                    layers.join(target).display()
                );
                assert!(log.contains(&line), "{log}");
                assert_eq!(log.matches("WARN Did not find SBOM ").count(), 6 - there);
            }
        }
        fs_err::remove_file(from.join("launcher.sbom.spdx.json")).expect("removed");
        let (log, _) = copied(&from, &temporary.path().join("last"), &from);
        let line = format!(
            "WARN Did not find SBOM launcher.sbom.spdx.json in {}\n",
            from.display()
        );
        assert!(log.contains(&line), "{log}");
    }

    /// EXP-020, EXP-052: another folder's files keep their names; a link is followed, a pipe is left out.
    #[test]
    fn what_a_launcher_sbom_folder_holds_replaces_only_the_launcher_s() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        let (own, other) = (temporary.path().join("own"), temporary.path().join("other"));
        for (dir, name) in [
            (&own, "lifecycle.sbom.cdx.json"),
            (&own, "launcher.sbom.cdx.json"),
            (&other, "kept.sbom.syft.json"),
            (&other, "sbom.cdx.json.bak"),
            (&other, "deeper/sbom.cdx.json"),
        ] {
            let path = dir.join(name);
            fs_err::create_dir_all(path.parent().expect("a folder")).expect("directory");
            fs_err::write(path, name).expect("file");
        }
        let link = other.join("linked.sbom.spdx.json");
        std::os::unix::fs::symlink("kept.sbom.syft.json", link).expect("link");
        let _socket = std::os::unix::net::UnixListener::bind(other.join("x.sbom.cdx.json"));
        let (log, files) = copied(&own, &temporary.path().join("layers"), &other);
        let launch = "sbom/launch/buildpacksio_lifecycle/launcher";
        let expected = [
            (
                "sbom/build/buildpacksio_lifecycle/sbom.cdx.json".to_owned(),
                "lifecycle.sbom.cdx.json",
            ),
            (
                format!("{launch}/kept.sbom.syft.json"),
                "kept.sbom.syft.json",
            ),
            (
                format!("{launch}/linked.sbom.spdx.json"),
                "kept.sbom.syft.json",
            ),
        ];
        assert_eq!(files, expected.map(|(name, text)| (name, text.to_owned())));
        assert!(!log.contains("Did not find SBOM launcher"), "{log}");
    }

    #[test]
    fn an_unlistable_directory_is_an_error() {
        let temporary = tempfile::tempdir().expect("temporary directory");
        assert!(copy_own(temporary.path(), &temporary.path().join("absent")).is_err());
    }
}
