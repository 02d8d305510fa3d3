//! From flags to inputs: places below the layers directory, absolute directories, layout mode, warnings (COM-021 to
//! COM-023, COM-028, COM-087, COM-094, LAY-001 to LAY-003). Image names are [`super::names`]'.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow};
use layout::layer::Compression;

use crate::exit::{ExitCode, Failure};
use crate::experimental::{self, Feature};
use crate::inputs::groups::{CommonFlags, ImageFlags, UserFlags};
use crate::inputs::{Common, ImageSource, User, Variables, variables};

/// Stands for the layers directory in the default of a path.
const PLACEHOLDER: &[u8] = b"<layers>";

/// Where the order is where there is none below the layers directory.
const BUILDER_ORDER: &str = "/cnb/order.toml";

/// The layers directory as given, which files are placed in.
#[derive(Debug)]
pub(crate) struct Layers(PathBuf);

impl Layers {
    pub(crate) fn new(given: PathBuf) -> Self {
        Self(given)
    }

    /// Returns the layers directory itself.
    pub(crate) fn dir(&self) -> Result<PathBuf, Failure> {
        absolute(&self.0)
    }

    /// Returns a file's place: relative if the layers directory was given so.
    pub(crate) fn place(&self, path: &Path) -> PathBuf {
        let bytes = path.as_os_str().as_bytes();
        let Some(at) = bytes
            .windows(PLACEHOLDER.len())
            .position(|part| part == PLACEHOLDER)
        else {
            return path.to_owned();
        };
        let layers = self.0.as_os_str().as_bytes();
        let mut behind = &bytes[at + PLACEHOLDER.len()..];
        if layers.is_empty() {
            behind = behind.strip_prefix(b"/").unwrap_or(behind);
        }
        PathBuf::from(OsString::from_vec([&bytes[..at], layers, behind].concat()))
    }

    /// Returns the order file: the builder's where the default is not there (COM-022).
    pub(crate) fn order(&self, path: &Path) -> PathBuf {
        let placed = self.place(path);
        if path == Path::new("<layers>/order.toml") && fs_err::metadata(&placed).is_err() {
            return PathBuf::from(BUILDER_ORDER);
        }
        placed
    }
}

/// Returns a directory, absolute; an empty one stays empty.
pub(crate) fn absolute(dir: &Path) -> Result<PathBuf, Failure> {
    if dir.as_os_str().is_empty() {
        return Ok(PathBuf::new());
    }
    let absolute = std::path::absolute(dir)
        .with_context(|| format!("making {} absolute", dir.display()))
        .map_err(unresolved)?;
    Ok(clean(&absolute))
}

/// Returns a directory that need not be given, absolute; an empty one is none.
pub(crate) fn absolute_if_any(dir: Option<&PathBuf>) -> Result<Option<PathBuf>, Failure> {
    dir.filter(|dir| !dir.as_os_str().is_empty())
        .map(|dir| absolute(dir))
        .transpose()
}

/// Takes an empty value for none.
pub(crate) fn some(value: Option<String>) -> Option<String> {
    value.filter(|value| !value.is_empty())
}

/// Takes empty values out of a list.
pub(crate) fn without_empty(values: Vec<String>) -> Vec<String> {
    values
        .into_iter()
        .filter(|value| !value.is_empty())
        .collect()
}

impl From<CommonFlags> for Common {
    fn from(flags: CommonFlags) -> Self {
        Self {
            log_level: flags.log_level,
            no_color: flags.no_color,
        }
    }
}

impl TryFrom<UserFlags> for User {
    type Error = Failure;

    fn try_from(flags: UserFlags) -> Result<Self, Failure> {
        let id = |flag, value: i64| {
            // The highest number means "leave it" to the system's calls.
            u32::try_from(value)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| {
                    let most = u32::MAX - 1;
                    unresolved(anyhow!(
                        "{flag} {value} is out of range: ids are 0 to {most}"
                    ))
                })
        };
        Ok(Self {
            uid: id("-uid", flags.uid)?,
            gid: id("-gid", flags.gid)?,
        })
    }
}

impl From<ImageFlags> for ImageSource {
    fn from(flags: ImageFlags) -> Self {
        Self {
            layout_dir: flags
                .layout_dir
                .filter(|dir| flags.layout && !dir.as_os_str().is_empty()),
            daemon: flags.daemon,
            insecure_registries: without_empty(flags.insecure_registry),
        }
    }
}

/// Checks that layout mode has its directory and may be used (COM-038, LAY-001 to LAY-003).
pub(crate) fn check_layout(
    wanted: bool,
    images: &ImageSource,
    variables: &Variables,
) -> Result<(), Failure> {
    require_layout_dir(wanted, images)?;
    if wanted {
        experimental::guard(
            Feature::LayoutFormat,
            variables.get(variables::EXPERIMENTAL_MODE),
        )?;
    }
    Ok(())
}

/// Checks that layout mode has its directory.
pub(crate) fn require_layout_dir(wanted: bool, images: &ImageSource) -> Result<(), Failure> {
    if wanted && images.layout_dir.is_none() {
        return Err(unresolved(anyhow!(
            "-layout-dir is required with -layout; set it or {}",
            variables::LAYOUT_DIR
        )));
    }
    Ok(())
}

/// Returns how layers are to be compressed: only a layout's may be other than gzip's.
pub(crate) fn compression(
    images: &ImageSource,
    variables: &Variables,
) -> Result<Compression, Failure> {
    let Some(text) = variables.get(variables::LAYER_COMPRESSION) else {
        return Ok(Compression::default());
    };
    if images.layout_dir.is_none() {
        return Err(unresolved(anyhow!(
            "{} is for layouts; unset it, or use -layout with -layout-dir",
            variables::LAYER_COMPRESSION
        )));
    }
    text.parse()
        .with_context(|| format!("{} cannot be obeyed", variables::LAYER_COMPRESSION))
        .map_err(unresolved)
}

/// Warns where there is nothing to restore from or to store in (COM-087).
pub(crate) fn warn_without_cache(dir: Option<&PathBuf>, image: Option<&String>) {
    if dir.is_none() && image.is_none() {
        tracing::warn!("No cached data will be used, no cache specified.");
    }
}

/// Warns where a launch cache has no use (COM-094).
pub(crate) fn warn_of_launch_cache(dir: Option<&PathBuf>, images: &ImageSource) {
    if dir.is_some() && !images.daemon {
        tracing::warn!("Ignoring -launch-cache, only intended for use with -daemon");
    }
}

/// Warns where there is only one thing to export, so nothing to do at once.
pub(crate) fn warn_of_parallel(parallel: bool, dir: Option<&PathBuf>, image: Option<&String>) {
    if parallel && dir.is_none() && image.is_none() {
        tracing::warn!(
            "Parallel export has been enabled, but it has not taken effect because no cache has been specified."
        );
    }
}

/// Inputs that make no sense (COM-028).
pub(crate) fn unresolved(cause: impl Into<anyhow::Error>) -> Failure {
    Failure::new(ExitCode::InvalidArgs, "resolve inputs", cause)
}

/// The wrong number of arguments (COM-028).
pub(crate) fn misused(cause: anyhow::Error) -> Failure {
    Failure::new(ExitCode::InvalidArgs, "parse arguments", cause)
}

/// Takes `..` out by the text alone, as Go's `filepath.Clean` does; `path` is absolute.
fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                cleaned.pop();
            }
            other => cleaned.push(other),
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(failure: &Failure) -> String {
        format!("{:#}", failure.error)
    }

    #[test]
    fn files_are_placed_below_layers() {
        for (layers, path, expected) in [
            ("/layers", "<layers>/group.toml", "/layers/group.toml"),
            ("/l", "/elsewhere/group.toml", "/elsewhere/group.toml"),
            ("rel", "<layers>/group.toml", "rel/group.toml"),
            ("", "<layers>/group.toml", "group.toml"),
            ("/l", "/a/<layers>/<layers>/b", "/a//l/<layers>/b"),
            ("/l", "", ""),
        ] {
            let placed = Layers::new(layers.into()).place(Path::new(path));
            assert_eq!(placed, PathBuf::from(expected), "{layers} {path}");
        }
    }

    #[test]
    fn order_falls_back_to_the_builders() {
        let default = Path::new("<layers>/order.toml");
        let dir = tempfile::tempdir().unwrap();
        let layers = Layers::new(dir.path().to_owned());
        assert_eq!(layers.order(default), Path::new("/cnb/order.toml"));
        assert_eq!(
            layers.order(Path::new("/no/order.toml")),
            Path::new("/no/order.toml")
        );
        let file = dir.path().join("order.toml");
        fs_err::write(&file, "").unwrap();
        assert_eq!(layers.order(default), file);
    }

    #[test]
    fn directories_become_absolute() {
        let here = std::env::current_dir().unwrap();
        for (given, expected) in [
            ("/a/b", PathBuf::from("/a/b")),
            ("/a/../b/./c/", PathBuf::from("/b/c")),
            ("/../a", PathBuf::from("/a")),
            ("a/b", here.join("a/b")),
            (".", here.clone()),
            ("../x", here.parent().unwrap_or(&here).join("x")),
            ("", PathBuf::new()),
        ] {
            // Compared as text: `Path` takes `/b/c/` and `/b/c` for the same.
            let got = absolute(Path::new(given)).unwrap();
            assert_eq!(got.as_os_str(), expected.as_os_str(), "{given}");
        }
        assert_eq!(absolute_if_any(Some(&PathBuf::new())).unwrap(), None);
        assert_eq!(absolute_if_any(None).unwrap(), None);
    }

    #[test]
    fn ids_must_be_ids() {
        for (id, expected) in [
            (0, Some(0)),
            (1001, Some(1001)),
            (4_294_967_294, Some(4_294_967_294)),
            (-1, None),
            (4_294_967_295, None),
        ] {
            let of_user = User::try_from(UserFlags { uid: id, gid: 0 });
            let of_group = User::try_from(UserFlags { uid: 0, gid: id });
            for (flag, user) in [
                ("-uid", of_user.map(|it| it.uid)),
                ("-gid", of_group.map(|it| it.gid)),
            ] {
                match (user, expected) {
                    (Ok(found), Some(expected)) => assert_eq!(found, expected),
                    (Err(failure), None) => {
                        assert_eq!(failure.code, ExitCode::InvalidArgs);
                        assert_eq!(
                            text(&failure),
                            format!(
                                "failed to resolve inputs: {flag} {id} is out of range: ids are 0 to 4294967294"
                            )
                        );
                    }
                    (user, _) => panic!("{flag} {id}: {user:?}"),
                }
            }
        }
    }

    #[test]
    fn layout_mode_needs_a_directory() {
        let flags = |layout, dir: &str| ImageFlags {
            daemon: false,
            layout,
            layout_dir: Some(dir.into()),
            insecure_registry: vec![String::new(), "a".to_owned()],
        };
        let quiet = Variables::default().with(variables::EXPERIMENTAL_MODE, "quiet");
        let off = ImageSource::from(flags(false, "/d"));
        assert_eq!(off.layout_dir, None);
        assert_eq!(off.insecure_registries, ["a"]);
        assert!(check_layout(false, &off, &Variables::default()).is_ok());
        let on = ImageSource::from(flags(true, "d/"));
        assert_eq!(on.layout_dir.as_deref(), Some(Path::new("d/")));
        assert!(check_layout(true, &on, &quiet).is_ok());
        let refused = check_layout(true, &on, &Variables::default()).unwrap_err();
        assert_eq!(refused.code, ExitCode::Failed);
        let without = ImageSource::from(flags(true, ""));
        assert_eq!(
            check_layout(true, &without, &quiet).unwrap_err().code,
            ExitCode::InvalidArgs
        );
    }
}
