//! From flags to an image: reads what a platform gave, opens images and cache, exports, writes `report.toml`
//! (EXP-001 to EXP-008, EXP-021 to EXP-024, LAY-001 to LAY-021).

use std::path::{Component, Path};
use std::sync::Arc;

use anyhow::anyhow;
use buildpack::group::Group;
use cache::{Cache, VolumeCache};
use layout::layer::Owner;
use platform::entry::Invocation;
use platform::experimental::{self, Feature};
use platform::files::Analyzed;
use platform::files::metadata::LauncherRecord;
use platform::images::{ImageStore, LayerTars, NamedImage, Recorded};
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
    let references = references(&analyzed).map(|(_, reference)| reference);
    let store = ImageStore::new(&flags.images, &invocation.variables)?.with_credentials_for(
        names(&flags).chain(references),
        flags.cache_image.as_deref(),
    );
    let user = flags.user;
    let dirs = [
        flags.cache_dir.as_deref(),
        flags.launch_cache_dir.as_deref(),
    ];
    privileges::own(user.uid, user.gid, &dirs)?;
    own_outputs(&store, &flags);
    let opened = Opened::of(&store, &analyzed, &flags);
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    let group = files::group::read(&flags.group_path)?;
    for module in &group.group {
        platform::api::verify_module("Buildpack", module)?;
    }
    let (image, dir) = (flags.cache_image.as_deref(), flags.cache_dir.as_deref());
    let cache = Cache::configured(image, dir, &store, invocation.api)?;
    if has_extended_layers(&flags.extended_dir) && !invocation.api.has_stable_dockerfiles() {
        let mode = invocation.variables.get(variables::EXPERIMENTAL_MODE);
        experimental::guard(Feature::Dockerfiles, mode)?;
    }
    let images = Images {
        store: &store,
        opened: &opened,
        analyzed: &analyzed,
    };
    export(invocation.api, &flags, &group, &images, cache)
}

/// Returns the names of the images that are written.
pub fn names(flags: &Flags) -> impl Iterator<Item = &str> {
    let additional = flags.additional_names.iter();
    std::iter::once(&flags.output_image)
        .chain(additional)
        .map(String::as_str)
}

/// Makes the user of the build own the layouts that will be written, where that user could not write them.
/// Names that make no sense are for [`export`] to refuse.
pub fn own_outputs(store: &ImageStore, flags: &Flags) {
    let Ok((output, additional)) = outputs(store, flags) else {
        return;
    };
    for output in std::iter::once(&output).chain(&additional) {
        if let Some(path) = output.layout_path() {
            privileges::own_layout(flags.user.uid, flags.user.gid, path);
        }
    }
}

/// The images that an export starts from.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    /// Where they are.
    pub store: &'a ImageStore,
    /// Those that are open already.
    pub opened: &'a Opened,
    /// What the analyzer found of them.
    pub analyzed: &'a Analyzed,
}

/// Images that were opened before: in layouts with the rights which the platform gave the phase, because the user of the
/// build may have fewer.
#[derive(Debug, Default)]
pub struct Opened(Vec<NamedImage>);

impl Opened {
    /// Takes images that were looked up by name.
    pub fn of_images(images: impl IntoIterator<Item = NamedImage>) -> Self {
        Self(images.into_iter().filter(|it| it.image.is_some()).collect())
    }

    /// Opens what `analyzed.toml` names, but only where layouts are: a build could write that file.
    /// What cannot be opened is for [`export`] to say.
    fn of(store: &ImageStore, analyzed: &Analyzed, flags: &Flags) -> Self {
        let Some(layout_dir) = &flags.images.layout_dir else {
            return Self::default();
        };
        let is_in = |path: &Path| {
            let climbs = path.components().any(|part| part == Component::ParentDir);
            !climbs && path.starts_with(layout_dir)
        };
        let opened = references(analyzed).filter_map(|(_, reference)| {
            let recorded = store.recorded(reference).ok()?;
            let image = is_in(Path::new(recorded.name())).then(|| store.open(&recorded, None))?;
            Some(image.ok()?.hold())
        });
        Self::of_images(opened)
    }
}

impl Images<'_> {
    fn open(
        &self,
        recorded: &Recorded,
        tars: Option<Arc<dyn LayerTars>>,
    ) -> Result<NamedImage, Failure> {
        let mut opened = self.opened.0.iter();
        if let Some(image) = opened.find(|it| it.reference() == recorded.reference()) {
            return Ok(image.clone());
        }
        let opened = self.store.open(recorded, tars);
        opened.map_err(|cause| Failure::new(ExitCode::Failed, "create new app image", cause))
    }
}

/// Exports what is on disk: the way that the exporter and the creator share.
pub fn export(
    api: PlatformApi,
    flags: &Flags,
    group: &Group,
    images: &Images<'_>,
    cache: Option<Cache>,
) -> Result<(), Failure> {
    let project = files::project_metadata::read(&flags.project_metadata_path)?;
    let Images {
        store, analyzed, ..
    } = *images;
    refuse_extended_layers(api, flags, analyzed)?;
    let (output, additional) = outputs(store, flags)?;
    let (previous, run) = recorded(store, analyzed)?;
    say_what_is_used(store, previous.as_ref(), &output);
    let launch_cache = launch_cache(store, flags)?;
    let previous_image = match &previous {
        Some(previous) => {
            let tars = launch_cache.as_ref().map(VolumeCache::tars);
            images.open(previous, tars)?.image
        }
        None => None,
    };
    let run_image = images.open(&run, None)?;
    let run_toml = files::run::read(api, &flags.run_path, &flags.stack_path)?;
    let run_image_record = platform::run_image::for_export(api, &run_toml, analyzed, &|| {
        files::metadata::read(&flags.layers_dir)
    })?;
    let run_image_reference = run_image.reference().to_owned();
    let run_image = run_image.image.ok_or_else(|| no_run_image(store, &run))?;
    let outputs = crate::run(Inputs {
        api,
        buildpacks: &group.group,
        before: &analyzed.metadata,
        previous_image: previous_image.as_ref(),
        run_image: &run_image,
        run_image_reference,
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
        launch_cache,
        parallel: flags.parallel,
    })?;
    files::report::write(&flags.report_path, &outputs.report)
        .map_err(|cause| Failure::new(ExitCode::Export, "write export report", cause))
}

fn say_what_is_used(store: &ImageStore, previous: Option<&Recorded>, output: &Output) {
    match previous {
        Some(previous) if store.is_daemon() => {
            debug!("Reusing layers from image with id '{}'", previous.name());
        }
        Some(previous) => info!("Reusing layers from image '{}'", previous.name()),
        None => {}
    }
    if let Some(path) = output.layout_path() {
        info!("Using app image: {}", path.display());
    }
}

/// Opens the cache of what a daemon has (COM-094).
fn launch_cache(store: &ImageStore, flags: &Flags) -> Result<Option<VolumeCache>, Failure> {
    let dir = flags.launch_cache_dir.as_deref();
    dir.filter(|_| store.is_daemon())
        .map(VolumeCache::open)
        .transpose()
        .map_err(|cause| Failure::new(ExitCode::Failed, "create launch cache", cause))
}

/// A registry says that there is none when it is asked, anything else when its layers are wanted (EXP-008).
fn no_run_image(store: &ImageStore, run: &Recorded) -> Failure {
    let cause = anyhow!("there is no image in {}", run.name());
    if store.is_registry() {
        return Failure::new(ExitCode::Failed, "create new app image", cause);
    }
    failed(cause.context("get run image top layer SHA"))
}

/// Returns where the image goes; in a layout directory names beside the first each get their own path too.
fn outputs(store: &ImageStore, flags: &Flags) -> Result<(Output, Vec<Output>), Failure> {
    let output = |name: &String| {
        store
            .output(name)
            .map_err(|cause| Failure::new(ExitCode::InvalidArgs, "resolve inputs", cause))
    };
    let additional = flags.additional_names.iter().map(output);
    let additional = additional.collect::<Result<_, Failure>>()?;
    Ok((output(&flags.output_image)?, additional))
}

/// Returns which image each reference is of, and the references that are there.
fn references(analyzed: &Analyzed) -> impl Iterator<Item = (&'static str, &str)> {
    let run = analyzed.run_image.as_ref().map(|run| &run.reference);
    let previous = analyzed.previous_image.as_ref();
    let references = [("previous", previous), ("run", run)];
    let references = references.into_iter();
    references.filter_map(|(what, reference)| Some((what, reference?.as_str())))
}

/// Returns the previous image, if there is one, and the run image.
fn recorded(
    store: &ImageStore,
    analyzed: &Analyzed,
) -> Result<(Option<Recorded>, Recorded), Failure> {
    let read = |what: &str, reference: &str| {
        store.recorded(reference).map_err(|cause| {
            let action = format!("parsing {what} image reference");
            Failure::new(ExitCode::Failed, &action, cause)
        })
    };
    let reference = |of: &str| references(analyzed).find(|(what, _)| *what == of);
    let run = reference("run").map_or("", |(_, reference)| reference);
    let run = read("run", run)?;
    let previous = reference("previous").filter(|(_, reference)| !reference.is_empty());
    let previous = previous.map(|(what, reference)| read(what, reference));
    Ok((previous.transpose()?, run))
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
    use platform::inputs::{ImageSource, Variables};

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_previous_image_may_be_absent_a_run_image_may_not() {
        let run_image = RunImage {
            reference: format!("/run@{DIGEST}"),
            ..RunImage::default()
        };
        let layouts = ImageSource {
            layout_dir: Some("/layouts".into()),
            ..ImageSource::default()
        };
        let store = ImageStore::new(&layouts, &Variables::default()).expect("a store");
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
            match (recorded(&store, &analyzed), expected) {
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
