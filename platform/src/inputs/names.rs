//! Image names that a platform gives, and the run image where it gives none (COM-051, COM-052, COM-062, ANA-001,
//! ANA-007 to ANA-010).
//!
//! Which of several run images can be read is the caller's answer ([`crate::images::read_access`]).

use std::path::Path;

use anyhow::anyhow;
use layout::Reference;
use layout::name::layout_path_to_read;

use crate::api::PlatformApi;
use crate::exit::Failure;
use crate::inputs::ImageSource;
use crate::inputs::resolve::{misused, some, unresolved};
use crate::{files, run_image as candidates};

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
    readable: &dyn Fn(&str) -> bool,
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
    candidates::choose(&first, &registry, readable).map_err(|it| unresolved(it.error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    fn text(failure: &Failure) -> String {
        format!("{:#}", failure.error)
    }

    /// Returns good names but for one.
    fn with<'a>(field: &str, name: &'a str) -> Names<'a> {
        let mut names = Names {
            output: "app",
            ..Names::default()
        };
        match field {
            "previous" => names.previous = Some(name),
            "build" => names.build = Some(name),
            "run" => names.run = Some(name),
            "cache" => names.cache = Some(name),
            _ => names.output = name,
        }
        names
    }

    fn places() -> [ImageSource; 3] {
        let registry = ImageSource::default();
        let mut daemon = registry.clone();
        daemon.daemon = true;
        let mut layout = registry.clone();
        layout.layout_dir = Some("/Dir".into());
        [registry, daemon, layout]
    }

    #[test]
    fn names_are_checked() {
        for (field, name, registry, daemon, layout) in [
            ("output", "app:1", true, true, true),
            ("output", "UPPER", false, false, false),
            ("output", "/Dir/App", false, false, false),
            ("previous", "Bad Prev", false, false, false),
            ("previous", "/Dir/Prev", false, false, true),
            ("build", "B", false, false, false),
            ("run", "Bad Run", false, false, false),
            ("run", "/Dir/Run", false, false, true),
            ("cache", "C", false, false, false),
        ] {
            for (images, good) in places().iter().zip([registry, daemon, layout]) {
                let bad = format!("failed to resolve inputs: could not parse reference: {name}");
                let got = with(field, name).check(images).err();
                let expected = (!good).then_some(bad);
                assert_eq!(got.as_ref().map(text), expected, "{field} {images:?}");
            }
        }
    }

    #[test]
    fn output_is_in_one_registry() {
        let many = "failed to resolve inputs: writing to multiple registries is unsupported";
        for (tag, one) in [
            ("docker.io/library/app:2", true),
            ("acme/other", true),
            ("r.example.org/app", false),
        ] {
            for images in places() {
                let tags = [tag.to_owned()];
                let mut names = with("output", "app");
                names.tags = &tags;
                let got = names.check(&images).err();
                let expected = (!one && !images.daemon).then(|| many.to_owned());
                assert_eq!(got.as_ref().map(text), expected, "{tag} {images:?}");
            }
        }
    }

    #[test]
    fn given_run_image_is_taken() {
        let api = PlatformApi::at(12);
        let no = Path::new("/nowhere");
        let given = run_image(api, Some("run".to_owned()), "app", no, no, &|_| false).unwrap();
        assert_eq!(given, "run");
    }

    /// COM-026: the file's own failure would exit 1.
    #[test]
    fn a_run_toml_that_cannot_be_read_is_an_input_that_makes_no_sense() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file.toml");
        fs_err::write(&file, "images = 1\nrun-image = 1").unwrap();
        for (minor, what) in [(12, "run"), (11, "stack")] {
            let api = PlatformApi::at(minor);
            let failure = run_image(api, None, "app", &file, &file, &|_| true).unwrap_err();
            assert_eq!(failure.code, ExitCode::InvalidArgs);
            let start = format!("failed to resolve inputs: failed to read {what} file: toml: ");
            assert!(text(&failure).starts_with(&start), "{}", text(&failure));
        }
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
        for (minor, output, expected) in [
            (12, "app", "one"),
            (12, "r.example.org/app", "r.example.org/one"),
            (12, "s.example.org/app", "one"),
            (11, "app", "s.example.org/stack"),
        ] {
            let api = PlatformApi::at(minor);
            let given = Some(String::new());
            assert_eq!(
                run_image(api, given, output, &run, &stack, &|_| true).unwrap(),
                expected
            );
        }
        let no = dir.path().join("no.toml");
        for (minor, expected) in [
            (
                12,
                "failed to resolve inputs: -run-image is required when there is no run metadata available",
            ),
            (
                11,
                "failed to resolve inputs: missing run image metadata (-run-image)",
            ),
        ] {
            let api = PlatformApi::at(minor);
            let failure = run_image(api, None, "app", &no, &no, &|_| true).unwrap_err();
            assert_eq!(failure.code, ExitCode::InvalidArgs);
            assert_eq!(text(&failure), expected);
        }
    }
}
