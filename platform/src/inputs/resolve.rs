//! From flags to inputs: places below the layers directory, absolute directories, image names (COM-021 to COM-023,
//! COM-028, COM-051, COM-052, COM-062, ANA-007 to ANA-010).
//!
//! No registry is asked for anything here: every run image candidate counts as readable, as with a daemon or a layout.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow};
use layout::Reference;
use layout::name::layout_path_to_read;

use crate::api::PlatformApi;
use crate::exit::{ExitCode, Failure};
use crate::experimental::{self, Feature};
use crate::files;
use crate::inputs::groups::{CommonFlags, ImageFlags, UserFlags};
use crate::inputs::{Common, ImageSource, User, Variables, variables};
use crate::run_image;

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
                .ok_or_else(|| unresolved(anyhow!("{flag} {value} is out of range")))
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

/// The images that a phase was told, to be checked all at once.
#[derive(Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) output: &'a str,
    pub(crate) tags: &'a [String],
    pub(crate) previous: Option<&'a str>,
    pub(crate) build: Option<&'a str>,
    pub(crate) run: Option<&'a str>,
    pub(crate) cache: Option<&'a str>,
}

impl Names<'_> {
    /// Checks every name, then that all of the output's are in one registry (COM-051, COM-052).
    pub(crate) fn check(&self, images: &ImageSource) -> Result<(), Failure> {
        let mut registries = Vec::new();
        for name in std::iter::once(self.output).chain(self.tags.iter().map(String::as_str)) {
            registries.push(Reference::parse(name).map_err(unresolved)?.registry);
        }
        let readable = |name| match &images.layout_dir {
            Some(dir) => layout_path_to_read(name, dir).map(drop),
            None => Reference::parse(name).map(drop),
        };
        self.previous.map_or(Ok(()), readable).map_err(unresolved)?;
        if let Some(name) = self.build {
            Reference::parse(name).map_err(unresolved)?;
        }
        self.run.map_or(Ok(()), readable).map_err(unresolved)?;
        if let Some(name) = self.cache {
            Reference::parse(name).map_err(unresolved)?;
        }
        if !images.daemon && registries.iter().any(|one| *one != registries[0]) {
            return Err(unresolved(anyhow!(
                "writing to multiple registries is unsupported"
            )));
        }
        Ok(())
    }
}

/// Returns the one image argument (ANA-001, CRE-001).
pub(crate) fn only_image(positionals: &[String]) -> Result<String, Failure> {
    let [image] = positionals else {
        let count = positionals.len();
        return Err(misused(anyhow!(
            "received {count} arguments, but expected 1"
        )));
    };
    Ok(image.clone())
}

/// Checks that an image argument says something.
pub(crate) fn require_image(image: &str) -> Result<(), Failure> {
    if image.is_empty() {
        return Err(unresolved(anyhow!("image argument is required")));
    }
    Ok(())
}

/// Returns the run image as given, else from run.toml or stack.toml (ANA-008, ANA-009).
pub(crate) fn run_image(
    api: PlatformApi,
    given: Option<String>,
    output: &str,
    run_path: &Path,
    stack_path: &Path,
) -> Result<String, Failure> {
    if let Some(given) = some(given) {
        return Ok(given);
    }
    let registry = Reference::parse(output).map_err(unresolved)?.registry;
    let run = files::run::read(api, run_path, stack_path).map_err(|it| unresolved(it.error))?;
    if run.images.is_empty() && api.has_run_toml() {
        return Err(unresolved(anyhow!(
            "-run-image is required when there is no run metadata available"
        )));
    }
    let first = run.images.into_iter().next().unwrap_or_default();
    run_image::choose(&first, &registry, &|_| true).map_err(|it| unresolved(it.error))
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

/// Ends every phase's reading of its inputs; what follows is the phase's own.
pub(crate) fn done<T>(inputs: T) -> Option<T> {
    tracing::debug!("Ensuring privileges...");
    Some(inputs)
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
        for (uid, expected) in [
            (0, Some(0)),
            (1001, Some(1001)),
            (-1, None),
            (4_294_967_295, None),
        ] {
            let user = User::try_from(UserFlags { uid, gid: 0 });
            assert_eq!(user.as_ref().ok().map(|user| user.uid), expected);
            if let Err(failure) = user {
                assert_eq!(failure.code, ExitCode::InvalidArgs);
                assert_eq!(
                    text(&failure),
                    format!("failed to resolve inputs: -uid {uid} is out of range")
                );
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

    #[test]
    fn names_are_checked() {
        let layout = ImageSource {
            layout_dir: Some("/Dir".into()),
            ..ImageSource::default()
        };
        let daemon = ImageSource {
            daemon: true,
            ..ImageSource::default()
        };
        let registry = ImageSource::default();
        let names = Names {
            output: "app",
            ..Names::default()
        };
        let foreign = ["r.example.org/app".to_owned()];
        let home = ["docker.io/library/app:2".to_owned()];
        let bad = |name| {
            Some(format!(
                "failed to resolve inputs: could not parse reference: {name}"
            ))
        };
        let many = Some(
            "failed to resolve inputs: writing to multiple registries is unsupported".to_owned(),
        );
        for (names, images, expected) in [
            (Names { ..names }, &registry, None),
            (
                Names {
                    output: "UPPER",
                    ..names
                },
                &registry,
                bad("UPPER"),
            ),
            (
                Names {
                    output: "UPPER",
                    ..names
                },
                &layout,
                bad("UPPER"),
            ),
            (
                Names {
                    output: "UPPER",
                    ..names
                },
                &daemon,
                bad("UPPER"),
            ),
            (
                Names {
                    previous: Some("Bad Prev"),
                    ..names
                },
                &daemon,
                bad("Bad Prev"),
            ),
            (
                Names {
                    run: Some("Bad Run"),
                    ..names
                },
                &layout,
                bad("Bad Run"),
            ),
            (
                Names {
                    build: Some("B"),
                    ..names
                },
                &registry,
                bad("B"),
            ),
            (
                Names {
                    cache: Some("C"),
                    ..names
                },
                &registry,
                bad("C"),
            ),
            (
                Names {
                    run: Some("/Dir/Run"),
                    ..names
                },
                &layout,
                None,
            ),
            (
                Names {
                    run: Some("/Dir/Run"),
                    ..names
                },
                &registry,
                bad("/Dir/Run"),
            ),
            (
                Names {
                    tags: &home,
                    ..names
                },
                &registry,
                None,
            ),
            (
                Names {
                    tags: &foreign,
                    ..names
                },
                &registry,
                many.clone(),
            ),
            (
                Names {
                    tags: &foreign,
                    ..names
                },
                &layout,
                many,
            ),
            (
                Names {
                    tags: &foreign,
                    ..names
                },
                &daemon,
                None,
            ),
        ] {
            let got = names.check(images).err().map(|failure| text(&failure));
            assert_eq!(got, expected, "{names:?} {images:?}");
        }
    }

    #[test]
    fn given_run_image_is_taken() {
        let api = PlatformApi::negotiate(Some("0.12")).unwrap();
        let no = Path::new("/nowhere");
        let given = run_image(api, Some("run".to_owned()), "app", no, no).unwrap();
        assert_eq!(given, "run");
    }

    #[test]
    fn run_image_comes_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run.toml");
        let stack = dir.path().join("stack.toml");
        fs_err::write(
            &run,
            "[[images]]\nimage = \"one\"\nmirrors = [\"r.example.org/one\"]\n[[images]]\nimage = \"r.example.org/two\"\n",
        )
        .unwrap();
        fs_err::write(&stack, "[run-image]\nimage = \"s.example.org/stack\"\n").unwrap();
        for (api, output, expected) in [
            ("0.12", "app", "one"),
            ("0.12", "r.example.org/app", "r.example.org/one"),
            ("0.12", "s.example.org/app", "one"),
            ("0.11", "app", "s.example.org/stack"),
        ] {
            let api = PlatformApi::negotiate(Some(api)).unwrap();
            let given = Some(String::new());
            assert_eq!(
                run_image(api, given, output, &run, &stack).unwrap(),
                expected
            );
        }
        let no = dir.path().join("no.toml");
        for (api, expected) in [
            (
                "0.12",
                "failed to resolve inputs: -run-image is required when there is no run metadata available",
            ),
            (
                "0.11",
                "failed to resolve inputs: missing run image metadata (-run-image)",
            ),
        ] {
            let api = PlatformApi::negotiate(Some(api)).unwrap();
            let failure = run_image(api, None, "app", &no, &no).unwrap_err();
            assert_eq!(failure.code, ExitCode::InvalidArgs);
            assert_eq!(text(&failure), expected);
        }
    }
}
