//! From flags to an image, through all phases (CRE-001 to CRE-013).

use analyzer::Images;
use buildpack::group::Group;
use cache::Cache;
use exporter::command::Opened;
use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::images::ImageStore;
use platform::inputs::Variables;
use platform::inputs::creator::{self, Inputs as Flags};
use platform::{ExitCode, Failure, log, privileges};
use tracing::debug;

use crate::flags;

/// Runs all phases as a platform called them.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = creator::parse(invocation)? else {
        return Ok(());
    };
    debug!("Ensuring privileges...");
    let analyzer = flags::of_analyzer(&flags);
    let store = ImageStore::new(&flags.images, &invocation.variables)?.with_credentials_for(
        analyzer::command::names(&analyzer),
        flags.cache_image.as_deref(),
    );
    hand_over(&store, &flags)?;
    let held = analyzer::command::hold_images(&store, &analyzer);
    let invocation = become_user(invocation, &flags)?;
    debug!("Executing command...");
    create(&invocation, &flags, &store, held)
}

/// Makes the user of all phases own what that user writes.
fn hand_over(store: &ImageStore, flags: &Flags) -> Result<(), Failure> {
    let user = flags.user;
    let dirs = [
        flags.cache_dir.as_deref(),
        flags.launch_cache_dir.as_deref(),
        Some(flags.layers_dir.as_path()),
    ];
    privileges::own(user.uid, user.gid, &dirs)?;
    // Nothing is made for a user whom the image does not know: such a phase ends at once.
    if privileges::home_of(user.uid).is_ok() {
        exporter::command::own_outputs(store, &flags::of_exporter(flags));
    }
    Ok(())
}

/// Becomes the one user of all phases, and returns the invocation with that user's variables (COM-043).
fn become_user(invocation: &Invocation, flags: &Flags) -> Result<Invocation, Failure> {
    let user = flags.user;
    privileges::become_user(user.uid, user.gid)?;
    let (home, name) = privileges::home_of(user.uid)?;
    let outer = invocation.variables.iter();
    let outer = outer.map(|(name, value)| (name.clone(), value.clone()));
    let own = [
        ("HOME".into(), home.into_os_string()),
        ("USER".into(), name.into()),
    ];
    Ok(Invocation {
        variables: Variables::from_pairs(outer.chain(own)),
        ..invocation.clone()
    })
}

fn create(
    invocation: &Invocation,
    flags: &Flags,
    store: &ImageStore,
    held: Option<Result<Images, Failure>>,
) -> Result<(), Failure> {
    let api = invocation.api;
    let (image, dir) = (flags.cache_image.as_deref(), flags.cache_dir.as_deref());
    let cache = Cache::configured(image, dir, store, api)?;

    log::header("ANALYZING");
    let for_analyzer = flags::of_analyzer(flags);
    let find = || analyzer::command::find_images(store, &for_analyzer);
    let images = held.unwrap_or_else(find)?;
    let analyzed = analyzer::command::analyze(invocation, &for_analyzer, store, &images)?;

    log::header("DETECTING");
    let found = detector::command::detect(invocation, &flags::of_detector(flags), &analyzed)?;
    refuse_extensions(&found.group)?;

    // Below 0.10 a platform that skips restoring gets no store.toml either (CRE-008, CRE-009).
    if !flags.skip_restore || api.restores_store_when_skipping() {
        log::header("RESTORING");
        restore(invocation, flags, &analyzed, &found.group, cache.as_ref())?;
    }

    log::header("BUILDING");
    let builder = flags::of_builder(flags);
    builder::command::build(invocation, &builder, &found.group, &found.plan, &analyzed)?;

    log::header("EXPORTING");
    let exporter = flags::of_exporter(flags);
    let opened = Opened::of_images([images.previous, images.run]);
    let images = exporter::command::Images {
        store,
        opened: &opened,
        analyzed: &analyzed,
    };
    exporter::command::export(api, &exporter, &found.group, &images, cache)
}

/// `group.toml` and `plan.toml` are written by then (CRE-007).
fn refuse_extensions(group: &Group) -> Result<(), Failure> {
    if group.group_extensions.is_empty() {
        return Ok(());
    }
    let cause =
        anyhow::anyhow!("detected order contains extensions which is not supported by the creator");
    Err(Failure::new(ExitCode::Detect, "detect", cause))
}

/// Restores layers; what the restorer does for images is the creator's already (CRE-010).
fn restore(
    invocation: &Invocation,
    flags: &Flags,
    analyzed: &Analyzed,
    group: &Group,
    cache: Option<&Cache>,
) -> Result<(), Failure> {
    restorer::run(restorer::Inputs {
        api: invocation.api,
        buildpacks: &group.group,
        layers_dir: &flags.layers_dir,
        previous: &analyzed.metadata,
        cache,
        skip_layers: flags.skip_restore,
    })
}
