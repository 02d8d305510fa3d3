//! From flags to an image: reads what a platform gave, opens images and cache, exports, writes `report.toml`
//! (EXP-001 to EXP-008, EXP-021 to EXP-024, LAY-001 to LAY-021).

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow};
use buildpack::group::Group;
use cache::VolumeCache;
use layout::layer::Owner;
use layout::{Digest, Image, Layout, Selector};
use platform::entry::Invocation;
use platform::experimental::{self, Feature};
use platform::files::Analyzed;
use platform::files::metadata::LauncherRecord;
use platform::images::NamedImage;
use platform::inputs::exporter::{self, Inputs as Flags};
use platform::inputs::variables;
use platform::output::Output;
use platform::{ExitCode, Failure, PlatformApi, files, privileges, version};
use tracing::{debug, info};

use crate::{Inputs, created};

/// Runs the phase as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = exporter::parse(invocation)? else {
        return Ok(());
    };
    let analyzed = files::analyzed::read(&flags.analyzed_path)?;
    debug!("Ensuring privileges...");
    let user = flags.user;
    let dirs = [
        flags.cache_dir.as_deref(),
        flags.launch_cache_dir.as_deref(),
    ];
    privileges::own(user.uid, user.gid, &dirs)?;
    own_outputs(&flags);
    let opened = Opened::of(&analyzed, &flags);
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    let group = files::group::read(&flags.group_path)?;
    for module in &group.group {
        platform::api::verify_module("Buildpack", module)?;
    }
    let cache = cache::configured(flags.cache_image.as_deref(), flags.cache_dir.as_deref())?;
    if has_extended_layers(&flags.extended_dir) && !invocation.api.has_stable_dockerfiles() {
        let mode = invocation.variables.get(variables::EXPERIMENTAL_MODE);
        experimental::guard(Feature::Dockerfiles, mode)?;
    }
    export(invocation.api, &flags, &group, &analyzed, &opened, cache)
}

/// Makes the user of the build own the layouts that will be written, where that user could not write them.
/// Names that make no sense are for [`export`] to refuse.
pub fn own_outputs(flags: &Flags) {
    let Some(Ok((output, additional))) = flags
        .images
        .layout_dir
        .as_deref()
        .map(|layout_dir| outputs(flags, layout_dir))
    else {
        return;
    };
    for output in std::iter::once(&output).chain(&additional) {
        privileges::own_layout(flags.user.uid, flags.user.gid, output.layout.path());
    }
}

/// Images that were opened with the rights which the platform gave the phase: the user of the build may have fewer.
#[derive(Debug, Default)]
pub struct Opened(Vec<(String, Image)>);

impl Opened {
    /// Takes images that were looked up by name.
    pub fn of_images(images: impl IntoIterator<Item = NamedImage>) -> Self {
        let opened = images.into_iter().filter_map(|named| {
            let reference = named.reference();
            named.image.map(|image| (reference, image))
        });
        Self(opened.collect())
    }

    /// Opens what `analyzed.toml` names, but only where layouts are: a build could write that file.
    /// What cannot be opened is for [`export`] to say.
    fn of(analyzed: &Analyzed, flags: &Flags) -> Self {
        let is_in = |path: &Path| {
            let layout_dir = flags.images.layout_dir.as_deref();
            let climbs = path.components().any(|part| part == Component::ParentDir);
            !climbs && layout_dir.is_some_and(|layout_dir| path.starts_with(layout_dir))
        };
        let run = analyzed.run_image.as_ref().map(|run| &run.reference);
        let references = [analyzed.previous_image.as_ref(), run];
        let opened = references.into_iter().flatten().filter_map(|reference| {
            let identifier = Identifier::parse(reference).ok()?;
            let image = is_in(&identifier.path).then(|| identifier.open())?.ok()??;
            Some((reference.clone(), image.hold()))
        });
        Self(opened.collect())
    }

    fn image(&self, identifier: &Identifier) -> Result<Option<Image>, Failure> {
        let reference = format!("{}@{}", identifier.path.display(), identifier.digest);
        let mut opened = self.0.iter();
        match opened.find(|(name, _)| *name == reference) {
            Some((_, image)) => Ok(Some(image.clone())),
            None => identifier.open(),
        }
    }
}

/// Exports what is on disk: the way that the exporter and the creator share.
pub fn export(
    api: PlatformApi,
    flags: &Flags,
    group: &Group,
    analyzed: &Analyzed,
    opened: &Opened,
    cache: Option<VolumeCache>,
) -> Result<(), Failure> {
    let project = files::project_metadata::read(&flags.project_metadata_path)?;
    let layout_dir = layout_dir(flags)?;
    let (output, additional) = outputs(flags, layout_dir)?;
    let (previous, run) = identifiers(analyzed)?;
    if let Some(previous) = &previous {
        info!("Reusing layers from image '{}'", previous.path.display());
    }
    info!("Using app image: {}", output.layout.path().display());
    let previous_image = match &previous {
        Some(previous) => opened.image(previous)?,
        None => None,
    };
    let run_image = opened.image(&run)?;
    let run_toml = files::run::read(api, &flags.run_path, &flags.stack_path)?;
    let run_image_record = platform::run_image::for_export(api, &run_toml, analyzed, &|| {
        files::metadata::read(&flags.layers_dir)
    })?;
    refuse_extended_layers(api, flags, analyzed)?;
    let run_image = run_image.ok_or_else(|| {
        let path = run.path.display();
        failed(anyhow!(
            "get run image top layer SHA: there is no image in {path}"
        ))
    })?;
    let outputs = crate::run(Inputs {
        api,
        buildpacks: &group.group,
        before: &analyzed.metadata,
        previous_image: previous_image.as_ref(),
        run_image: &run_image,
        run_image_reference: format!("{}@{}", run.path.display(), run_image.digest()),
        run_image_record,
        project: &project,
        launcher: &launcher_record(),
        layers_dir: &flags.layers_dir,
        app_dir: &flags.app_dir,
        launcher_path: &flags.launcher_path,
        launcher_sbom_dir: &flags.launcher_sbom_dir,
        owner: Owner {
            uid: flags.user.uid,
            gid: flags.user.gid,
        },
        process_type: flags.process_type.as_deref(),
        exec_env: &flags.exec_env,
        created: &created(api, flags),
        output: &output,
        additional: &additional,
        cache,
        compression: flags.compression,
    })?;
    files::report::write(&flags.report_path, &outputs.report)
        .map_err(|cause| Failure::new(ExitCode::Export, "write export report", cause))
}

/// Returns the directory of layouts; there is nothing else to export to yet.
fn layout_dir(flags: &Flags) -> Result<&Path, Failure> {
    flags.images.layout_dir.as_deref().ok_or_else(|| {
        let target = if flags.images.daemon { "a daemon" } else { "a registry" };
        failed(anyhow!(
            "this lifecycle cannot export to {target} yet; export to an OCI layout with -layout and -layout-dir"
        ))
    })
}

/// Returns where the image goes; names beside the first each get their own path too.
fn outputs(flags: &Flags, layout_dir: &Path) -> Result<(Output, Vec<Output>), Failure> {
    let output = |name: &String| {
        Output::named(name, layout_dir)
            .map_err(|cause| Failure::new(ExitCode::InvalidArgs, "resolve inputs", cause))
    };
    let additional = flags.additional_names.iter().map(output);
    let additional = additional.collect::<Result<_, Failure>>()?;
    Ok((output(&flags.output_image)?, additional))
}

/// `<path>@<digest>`, as the analyzer writes it for images in layouts (LAY-016).
#[derive(Debug, PartialEq, Eq)]
struct Identifier {
    path: PathBuf,
    digest: Digest,
}

/// Returns the identifiers of the previous image, if there is one, and of the run image.
fn identifiers(analyzed: &Analyzed) -> Result<(Option<Identifier>, Identifier), Failure> {
    let run = analyzed
        .run_image
        .as_ref()
        .map(|image| image.reference.as_str());
    let run = Identifier::parse(run.unwrap_or_default())
        .map_err(|cause| Failure::new(ExitCode::Failed, "parsing run image reference", cause))?;
    let previous = analyzed
        .previous_image
        .as_deref()
        .filter(|reference| !reference.is_empty());
    let previous = previous
        .map(Identifier::parse)
        .transpose()
        .map_err(|cause| {
            Failure::new(ExitCode::Failed, "parsing previous image reference", cause)
        })?;
    Ok((previous, run))
}

impl Identifier {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let describe = || format!("identifier {text} does not have the format '[path]@[digest]'");
        let (path, digest) = text.split_once('@').with_context(describe)?;
        Ok(Self {
            path: path.into(),
            digest: digest.parse().with_context(describe)?,
        })
    }

    /// Opens the image. The digest chooses among several; what replaced it since the analysis is taken as well, as the
    /// reference does.
    fn open(&self) -> Result<Option<Image>, Failure> {
        let layout = Layout::at(&self.path);
        let exact = Selector {
            digest: Some(self.digest.clone()),
            ..Selector::default()
        };
        layout
            .image(&exact)
            .or_else(|error| {
                debug!("{error}");
                layout.image(&Selector::default())
            })
            .map_err(|cause| Failure::new(ExitCode::Failed, "create new app image", cause))
    }
}

/// Returns whether the extender left layers for the run image.
fn has_extended_layers(extended_dir: &Path) -> bool {
    let entries = fs_err::read_dir(extended_dir.join("run"));
    entries.is_ok_and(|mut entries| entries.next().is_some())
}

/// What image extensions ask for would be lost, so nothing is exported (EXP-021, EXP-022, IMX-053).
fn refuse_extended_layers(
    api: PlatformApi,
    flags: &Flags,
    analyzed: &Analyzed,
) -> Result<(), Failure> {
    let shall_be_extended = analyzed
        .run_image
        .as_ref()
        .is_some_and(|image| image.extend);
    let extended = flags.extended_dir.join("run");
    if !api.has_run_toml() {
        return Ok(());
    }
    if has_extended_layers(&flags.extended_dir) {
        return Err(failed(anyhow!(
            "this lifecycle cannot add layers of image extensions to an image yet; leave extensions out of the order, or empty {}",
            extended.display()
        )));
    }
    if shall_be_extended {
        return Err(failed(anyhow!(
            "an image extension wants the run image extended, and there is no extended run image in {}: \
             this lifecycle cannot extend images yet; leave that extension out of the order",
            extended.display()
        )));
    }
    Ok(())
}

fn launcher_record() -> LauncherRecord {
    LauncherRecord {
        version: version::VERSION.to_owned(),
        repository: version::REPOSITORY.to_owned(),
        commit: version::COMMIT.to_owned(),
    }
}

fn created(api: PlatformApi, flags: &Flags) -> String {
    let epoch = flags.source_date_epoch.as_deref();
    created::created(epoch.filter(|_| api.has_source_date_epoch()))
}

fn failed(cause: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Export, "export", cause)
}

#[cfg(test)]
mod tests {
    use platform::files::analyzed::RunImage;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn identifiers_are_path_and_digest() {
        let good = format!("/Layout/localhost:5000/App/latest@{DIGEST}");
        let parsed = Identifier::parse(&good).expect("identifier");
        assert_eq!(parsed.path, Path::new("/Layout/localhost:5000/App/latest"));
        assert_eq!(parsed.digest.to_string(), DIGEST);
        let twice = format!("/a@b/c@{DIGEST}");
        for bad in ["", "/path", "/path@", "/path@latest", &twice] {
            let error = Identifier::parse(bad).expect_err(bad).to_string();
            assert_eq!(
                error,
                format!("identifier {bad} does not have the format '[path]@[digest]'")
            );
        }
    }

    #[test]
    fn a_previous_image_may_be_absent_a_run_image_may_not() {
        let run_image = RunImage {
            reference: format!("/run@{DIGEST}"),
            ..RunImage::default()
        };
        let cases = [
            (None, Some(run_image.clone()), Ok(false)),
            (Some(""), Some(run_image.clone()), Ok(false)),
            (
                Some("app"),
                Some(run_image.clone()),
                Err("parsing previous"),
            ),
            (
                Some("/a@sha256:0"),
                Some(run_image),
                Err("parsing previous"),
            ),
            (None, Some(RunImage::default()), Err("parsing run")),
            (None, None, Err("parsing run")),
        ];
        for (previous_image, run_image, expected) in cases {
            let analyzed = Analyzed {
                previous_image: previous_image.map(str::to_owned),
                run_image,
                ..Analyzed::default()
            };
            match (identifiers(&analyzed), expected) {
                (Ok((previous, _)), Ok(expected)) => assert_eq!(previous.is_some(), expected),
                (Err(failure), Err(expected)) => {
                    assert_eq!(failure.code, ExitCode::Failed);
                    assert!(failure.error.to_string().contains(expected));
                }
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        }
    }
}
