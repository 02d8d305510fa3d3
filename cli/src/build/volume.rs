//! `--volume SOURCE:TARGET[:OPTIONS]`: folders of the machine that the build sees.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, bail};
use sandbox::Mount;

use super::cache::is_name;

/// Folders that belong to the build itself.
const SENSITIVE: [&str; 3] = ["/cnb", "/layers", "/workspace"];

/// Returns the mount that a value asks for; named volumes are below `volumes` and made if they are missing.
pub(crate) fn parse(value: &str, volumes: &Path) -> anyhow::Result<Mount> {
    parts(value, volumes).with_context(|| {
        format!("invalid --volume {value:?}\nuse SOURCE:TARGET[:ro|rw], SOURCE a path or a name")
    })
}

fn parts(value: &str, volumes: &Path) -> anyhow::Result<Mount> {
    let parts: Vec<_> = value.split(':').collect();
    let (source, target, options) = match parts[..] {
        [source, target] => (source, target, "ro"),
        [source, target, options] => (source, target, options),
        _ => bail!("it has no two or three parts"),
    };
    let mut read_only = true;
    for option in options.split(',') {
        match option {
            "ro" => read_only = true,
            "rw" => read_only = false,
            _ => bail!("there is no option {option:?}: use ro or rw"),
        }
    }
    let path = Path::new(target);
    let mut inner = path.components().skip(1);
    if !path.is_absolute() || path == Path::new("/") {
        bail!("the target {target:?} is no absolute path below /");
    }
    if !inner.all(|part| matches!(part, Component::Normal(_))) {
        bail!("the target {target:?} must not contain '..'");
    }
    Ok(Mount::Bind {
        source: find(source, volumes)?,
        target: path.to_owned(),
        read_only,
    })
}

/// A source is a path if it looks like one, else the name of a volume.
fn find(source: &str, volumes: &Path) -> anyhow::Result<PathBuf> {
    if source.starts_with(['/', '.', '~']) {
        let path = std::path::absolute(source)?;
        if !path.exists() {
            bail!("there is no {}", path.display());
        }
        return Ok(path);
    }
    if !is_name(source) {
        bail!("the source {source:?} is neither a path nor a name of a volume");
    }
    let volume = volumes.join(source);
    fs_err::create_dir_all(&volume)?;
    Ok(volume)
}

/// Returns what the user should know of a mount: it may hide or change what the build itself needs.
pub(crate) fn warning(mount: &Mount) -> Option<String> {
    let Mount::Bind { target, .. } = mount else {
        return None;
    };
    let sensitive = SENSITIVE.iter().any(|dir| target.starts_with(dir));
    sensitive.then(|| format!("Mounting to a sensitive directory '{}'", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_names() {
        let dir = tempfile::tempdir().unwrap();
        let volumes = dir.path().join("volumes");
        let here = dir.path().display().to_string();
        for (value, source, target, read_only) in [
            (
                format!("{here}:/data"),
                dir.path().to_owned(),
                "/data",
                true,
            ),
            (
                format!("{here}:/a/b:rw"),
                dir.path().to_owned(),
                "/a/b",
                false,
            ),
            (
                format!("{here}:/a:rw,ro"),
                dir.path().to_owned(),
                "/a",
                true,
            ),
            (
                "mine:/data:rw".to_owned(),
                volumes.join("mine"),
                "/data",
                false,
            ),
        ] {
            let mount = parse(&value, &volumes).unwrap();
            let Mount::Bind {
                source: found,
                target: place,
                read_only: only,
            } = mount
            else {
                panic!("{value}");
            };
            assert_eq!((found, place, only), (source, target.into(), read_only));
        }
        assert!(volumes.join("mine").is_dir());
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for (value, needle) in [
            ("/tmp", "two or three parts"),
            ("/tmp:/a:ro:x", "two or three parts"),
            ("/tmp:relative", "no absolute path"),
            ("/tmp:/", "no absolute path"),
            ("/tmp:/a/../../etc", "must not contain"),
            ("/nowhere/at/all:/a", "there is no /nowhere/at/all"),
            ("a/b:/a", "neither a path nor a name"),
            ("/tmp:/a:z", "there is no option"),
        ] {
            let error = format!("{:#}", parse(value, dir.path()).unwrap_err());
            assert!(error.contains(needle), "{value}: {error}");
        }
    }

    #[test]
    fn folders_of_the_build_itself_are_worth_a_warning() {
        let dir = tempfile::tempdir().unwrap();
        for (target, expected) in [
            ("/cnb/x", true),
            ("/layers", true),
            ("/workspace/a", true),
            ("/cnbx", false),
            ("/platform/bindings/a", false),
        ] {
            let mount = parse(&format!("/tmp:{target}"), dir.path()).unwrap();
            assert_eq!(warning(&mount).is_some(), expected, "{target}");
        }
    }
}
