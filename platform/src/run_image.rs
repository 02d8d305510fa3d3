//! Which run image, and what of it is recorded (COM-062 to COM-065, ANA-008, ANA-009).
//!
//! Asks no registry: whether an image can be read is the caller's answer.

use layout::Reference;

use crate::api::PlatformApi;
use crate::exit::{ExitCode, Failure};
use crate::files::{Analyzed, BuildMetadata, LayersMetadata, RunImageForExport, RunToml};

/// Chooses among an image and its mirrors: those on `registry` that `readable` accepts first (COM-062).
pub fn choose(
    image: &RunImageForExport,
    registry: &str,
    readable: &dyn Fn(&str) -> bool,
) -> Result<String, Failure> {
    let fail = |text: &str| Failure::message(ExitCode::InvalidArgs, text);
    if image.image.is_empty() {
        return Err(fail("missing run image metadata (-run-image)"));
    }
    let candidates = || names(image);
    let is_near = |name: &&str| Reference::parse(name).is_ok_and(|it| it.registry == registry);
    candidates()
        .filter(is_near)
        .find(|name| readable(name))
        .or_else(|| candidates().find(|name| readable(name)))
        .map(str::to_owned)
        .ok_or_else(|| fail("failed to find accessible run image"))
}

/// Returns whether two names mean the same image, digests aside (COM-063).
pub fn same_name(one: &str, other: &str) -> bool {
    without_digest(one) == without_digest(other)
}

/// Returns whether an image or one of its mirrors has a name (COM-063).
pub fn contains(image: &RunImageForExport, name: &str) -> bool {
    names(image).any(|known| same_name(known, name))
}

/// Returns what the exporter records of the run image (COM-064, COM-065). `metadata` is called only where it is needed.
pub fn for_export(
    api: PlatformApi,
    run: &RunToml,
    analyzed: &Analyzed,
    metadata: &dyn Fn() -> Result<BuildMetadata, Failure>,
) -> Result<RunImageForExport, Failure> {
    let Some(first) = run.images.first() else {
        return Ok(RunImageForExport::default());
    };
    if !api.has_run_toml() {
        return Ok(first.clone());
    }
    let name = analyzed
        .run_image
        .as_ref()
        .map_or("", |run_image| run_image.image.as_str());
    if let Some(known) = run.images.iter().find(|image| contains(image, name)) {
        return Ok(known.clone());
    }
    // An extension may have switched the run image to one that run.toml does not know.
    if metadata()?.extensions.is_empty() {
        Ok(first.clone())
    } else {
        Ok(RunImageForExport {
            image: name.to_owned(),
            mirrors: Vec::new(),
        })
    }
}

/// Returns what an app image records of its run image: what a rebase chooses from (REB-008, REB-009).
pub fn for_rebase(api: PlatformApi, app: &LayersMetadata) -> Option<&RunImageForExport> {
    let recorded = Some(&app.run_image.image).filter(|_| api.has_run_toml());
    let mut candidates = recorded.into_iter().chain(&app.stack);
    candidates.find(|candidate| !candidate.image.is_empty())
}

fn names(image: &RunImageForExport) -> impl Iterator<Item = &str> {
    std::iter::once(&image.image)
        .chain(&image.mirrors)
        .map(String::as_str)
}

/// Returns a name in full without its digest; text that is no name stays as it is.
fn without_digest(name: &str) -> String {
    let undigested = if name.contains("@sha256:") {
        name.split('@').next().unwrap_or(name)
    } else {
        name
    };
    Reference::parse(undigested).map_or_else(|_| name.to_owned(), |reference| reference.name())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use buildpack::group::GroupElement;

    use super::*;
    use crate::files::analyzed::RunImage;

    fn image(names: &[&str]) -> RunImageForExport {
        RunImageForExport {
            image: names[0].to_owned(),
            mirrors: names[1..].iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn near_images_come_first() {
        let candidates = [
            "run",
            "Bad Name",
            "a.example.org/run",
            "b.example.org/one",
            "b.example.org/two",
        ];
        for (registry, unreadable, expected) in [
            ("index.docker.io", &[][..], Ok("run")),
            ("a.example.org", &[], Ok("a.example.org/run")),
            ("b.example.org", &[], Ok("b.example.org/one")),
            (
                "b.example.org",
                &["b.example.org/one"],
                Ok("b.example.org/two"),
            ),
            ("c.example.org", &[], Ok("run")),
            ("a.example.org", &["a.example.org/run"], Ok("run")),
            (
                "a.example.org",
                &["a.example.org/run", "run"],
                Ok("Bad Name"),
            ),
            (
                "a.example.org",
                &candidates,
                Err("failed to find accessible run image"),
            ),
        ] {
            let readable = |name: &str| !unreadable.contains(&name);
            let chosen = choose(&image(&candidates), registry, &readable);
            let chosen = chosen.map_err(|failure| failure.error.to_string());
            assert_eq!(
                chosen,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{registry} {unreadable:?}"
            );
        }
        let failure = choose(&image(&["", "mirror"]), "r", &|_| true).unwrap_err();
        assert_eq!(
            failure.error.to_string(),
            "missing run image metadata (-run-image)"
        );
        assert_eq!(failure.code, ExitCode::InvalidArgs);
    }

    #[test]
    fn names_are_compared_in_full() {
        let hex = "9bff545fd88403019875bc484da593c84761e6c89bae9058b76d1054d54548d0";
        for (one, other, expected) in [
            ("run", "index.docker.io/library/run:latest", true),
            ("docker.io/acme/run", "acme/run:latest", true),
            ("run:1", "run:2", false),
            (&format!("run@sha256:{hex}"), "run", true),
            (
                &format!("run:1@sha256:{hex}"),
                &format!("run:1@sha256:{}", hex.replace('9', "8")),
                true,
            ),
            ("r.example.org/run", "run", false),
            ("Bad Name", "Bad Name", true),
            ("Bad Name", "bad name", false),
            ("", "", true),
            ("", "run", false),
        ] {
            assert_eq!(same_name(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn a_rebase_chooses_from_what_is_recorded() {
        let nothing = image(&[""]);
        for (minor, recorded, stack, expected) in [
            (
                12,
                image(&["run", "mirror"]),
                Some(image(&["stack"])),
                Some("run"),
            ),
            (12, nothing.clone(), Some(image(&["stack"])), Some("stack")),
            (12, nothing.clone(), Some(nothing.clone()), None),
            (12, nothing.clone(), None, None),
            (11, image(&["run"]), Some(image(&["stack"])), Some("stack")),
            (11, image(&["run"]), None, None),
        ] {
            let mut app = LayersMetadata {
                stack,
                ..LayersMetadata::default()
            };
            app.run_image.image = recorded;
            let found = for_rebase(PlatformApi::at(minor), &app);
            let found = found.map(|it| it.image.as_str());
            assert_eq!(found, expected, "0.{minor} {app:?}");
        }
    }

    #[test]
    fn recorded_image_follows_the_files() {
        let run = RunToml {
            images: vec![image(&["one", "m.example.org/one"]), image(&["two"])],
        };
        for (minor, run, used, extensions, expected) in [
            (
                12,
                &RunToml::default(),
                "two",
                0,
                RunImageForExport::default(),
            ),
            (12, &run, "two:latest", 1, image(&["two"])),
            (
                12,
                &run,
                "m.example.org/one",
                0,
                image(&["one", "m.example.org/one"]),
            ),
            (12, &run, "other", 0, image(&["one", "m.example.org/one"])),
            (12, &run, "other", 1, image(&["other"])),
            (12, &run, "", 0, image(&["one", "m.example.org/one"])),
            (11, &run, "two", 1, image(&["one", "m.example.org/one"])),
            (
                11,
                &RunToml::default(),
                "two",
                1,
                RunImageForExport::default(),
            ),
        ] {
            let analyzed = Analyzed {
                run_image: Some(RunImage {
                    image: used.to_owned(),
                    ..RunImage::default()
                }),
                ..Analyzed::default()
            };
            let asked = Cell::new(false);
            let metadata = || {
                asked.set(true);
                Ok(BuildMetadata {
                    extensions: vec![GroupElement::default(); extensions],
                    ..BuildMetadata::default()
                })
            };
            let api = PlatformApi::at(minor);
            let recorded = for_export(api, run, &analyzed, &metadata).unwrap();
            assert_eq!(recorded, expected, "0.{minor} {used}");
            // EXP-006: a missing metadata file matters only where it decides.
            let decides = minor == 12 && !run.images.is_empty() && ["other", ""].contains(&used);
            assert_eq!(asked.get(), decides, "0.{minor} {used}");
        }
    }
}
