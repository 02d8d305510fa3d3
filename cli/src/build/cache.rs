//! The build cache: pack's `--cache` option, and the volumes that stand for Docker's.

use std::fs::TryLockError;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use fs_err as fs;
use fs_err::PathExt as _;
use layout::digest::sha256;

use super::interruption::Interruption;

/// Where a build's cache is, as `--cache` says it: `type=build;format=bind;source=DIR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// A directory.
    Folder(Folder),
    /// An image of this name in a registry.
    Image(String),
}

/// A directory that a cache is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// A directory of slipway's own; without a name it belongs to the image that is built.
    Volume(Option<String>),
    /// `build-cache` below this directory.
    Bind(PathBuf),
}

impl Cache {
    /// Understands the values of `--cache`: the last one for a build counts, those for a launch cache are for daemons.
    pub(crate) fn parse(values: &[String]) -> anyhow::Result<Self> {
        let mut cache = Self::Folder(Folder::Volume(None));
        for value in values {
            if let Some(build) =
                Self::parse_one(value).with_context(|| format!("invalid --cache {value:?}"))?
            {
                cache = build;
            }
        }
        Ok(cache)
    }

    /// `None` for a launch cache.
    fn parse_one(value: &str) -> anyhow::Result<Option<Self>> {
        let mut kind = String::from("build");
        let mut format = String::from("volume");
        let mut source = None;
        for field in value.split(';').filter(|field| !field.is_empty()) {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| anyhow!("field {field:?} must be a key=value pair"))?;
            match key.to_lowercase().as_str() {
                "type" => value.clone_into(&mut kind),
                "format" => value.clone_into(&mut format),
                "name" | "source" => source = Some(value.to_owned()),
                _ => bail!("there is no key {key:?}: use type, format, and name or source"),
            }
        }
        let source = source.filter(|source| !source.is_empty());
        let cache = match (format.as_str(), source) {
            ("volume", Some(name)) if !is_name(&name) => {
                bail!("{name:?} is no name of a volume: use letters, digits, '.', '_' and '-'")
            }
            ("volume", name) => Self::Folder(Folder::Volume(name)),
            ("bind", Some(source)) => Self::Folder(Folder::Bind(source.into())),
            ("bind", None) => bail!("format bind needs source=DIR"),
            ("image", Some(name)) => Self::Image(name),
            ("image", None) => bail!("format image needs name=NAME"),
            (format, _) => bail!("there is no format {format:?}: use bind, image or volume"),
        };
        match kind.as_str() {
            "build" => Ok(Some(cache)),
            "launch" => Ok(None),
            kind => bail!("there is no type {kind:?}: use build or launch"),
        }
    }
}

impl Folder {
    /// Makes and returns the directory; `output` is where the image goes.
    pub(crate) fn dir(&self, volumes: &Path, output: &Path) -> anyhow::Result<PathBuf> {
        let dir = match self {
            Self::Bind(source) => std::path::absolute(source)?.join("build-cache"),
            Self::Volume(Some(name)) => volumes.join(name),
            Self::Volume(None) => volumes.join(volume_of(output)),
        };
        fs::create_dir_all(&dir).context("failed to make the cache")?;
        if !matches!(self, Self::Bind(_)) {
            // What builds write belongs to an id that somebody else of this machine may have.
            fs::set_permissions(volumes, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(dir)
    }
}

/// A build's hold on its cache: no other build uses it meanwhile.
#[derive(Debug)]
pub(crate) struct Held {
    dir: PathBuf,
    _lock: fs::File,
}

impl Held {
    /// Waits until no other build uses the cache, or until the user has enough; tells `waiting` if it has to.
    pub(crate) fn take(
        dir: PathBuf,
        interruption: &Interruption,
        waiting: impl FnOnce(),
    ) -> anyhow::Result<Self> {
        let lock = fs::File::open(&dir)?;
        let mut waiting = Some(waiting);
        while let Err(error) = lock.try_lock() {
            if let TryLockError::Error(error) = error {
                return Err(anyhow::Error::new(error).context("failed to lock the cache"));
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            interruption.check()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Self { dir, _lock: lock })
    }

    /// Returns the directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes all that is in it.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        for entry in self.dir.fs_err_read_dir()? {
            let path = entry?.path();
            super::stage::remove(&path).context("failed to clear the cache")?;
        }
        Ok(())
    }
}

/// Returns the volume of an image that nobody named a cache for: readable, and of no other image.
fn volume_of(output: &Path) -> String {
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().filter(|c| is_name_char(*c)).collect();
    let path = sha256(output.as_os_str().as_encoded_bytes());
    let hex = &path.digest()[..12];
    format!("slipway-cache-{name}-{hex}.build")
}

/// Returns whether a text can be the name of a volume, as Docker's names are.
pub(crate) fn is_name(text: &str) -> bool {
    text.chars().all(is_name_char) && text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> anyhow::Result<Cache> {
        let values: Vec<_> = values.iter().map(|it| (*it).to_owned()).collect();
        Cache::parse(&values)
    }

    #[test]
    fn pack_s_option() {
        let unnamed = || Cache::Folder(Folder::Volume(None));
        let volume = |name: &str| Cache::Folder(Folder::Volume(Some(name.to_owned())));
        let bind = |source: &str| Cache::Folder(Folder::Bind(source.into()));
        let cases: &[(&[&str], Cache)] = &[
            (&[], unnamed()),
            (&["type=build;format=volume"], unnamed()),
            (&["type=build;format=volume;name=mine"], volume("mine")),
            (&["format=volume;name=mine"], volume("mine")),
            (&["type=build;format=bind;source=/a/b"], bind("/a/b")),
            (&["Type=build;FORMAT=bind;Source=x;"], bind("x")),
            (
                &["type=build;format=image;name=example.org/cache:1"],
                Cache::Image("example.org/cache:1".to_owned()),
            ),
            (&["type=launch;format=image;name=x"], unnamed()),
            (
                &["type=launch;format=bind;source=/l", "format=volume;name=a"],
                volume("a"),
            ),
            (
                &["format=volume;name=a", "format=volume;name=b"],
                volume("b"),
            ),
        ];
        for (values, expected) in cases {
            assert_eq!(&parse(values).unwrap(), expected, "{values:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (value, needle) in [
            ("bind", "key=value"),
            ("type=other", "there is no type"),
            ("format=disk", "there is no format"),
            ("format=bind", "needs source"),
            ("format=bind;source=", "needs source"),
            ("format=image", "needs name"),
            ("format=volume;name=../x", "no name of a volume"),
            ("format=volume;name=.hidden", "no name of a volume"),
            ("sorce=x", "there is no key"),
        ] {
            let error = format!("{:#}", parse(&[value]).unwrap_err());
            assert!(error.contains(needle) && error.contains(value), "{error}");
        }
    }

    #[test]
    fn images_of_one_name_in_two_places_share_no_cache() {
        let (a, b) = (
            volume_of(Path::new("/a/app")),
            volume_of(Path::new("/b/app")),
        );
        assert_ne!(a, b);
        assert!(a.starts_with("slipway-cache-app-") && is_name(&a), "{a}");
    }

    #[test]
    fn a_cache_is_used_by_one_build_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::take(
            dir.path().to_owned(),
            &Interruption::listen().unwrap(),
            || panic!("nobody holds it"),
        )
        .unwrap();
        let other = fs::File::open(dir.path()).unwrap();
        assert!(other.try_lock().is_err());
        fs::create_dir_all(dir.path().join("committed/a")).unwrap();
        held.clear().unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        drop(held);
        other.try_lock().unwrap();
    }
}
