//! From flags to `analyzed.toml` (ANA-001 to ANA-013, ANA-023, ANA-024).

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use cache::VolumeCache;
use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::images::{ImageStore, LayerTars, NamedImage};
use platform::inputs::analyzer::{self, Inputs as Flags};
use platform::{ExitCode, Failure, files, privileges};
use tracing::debug;

use crate::{Images, Inputs};

/// Runs the phase as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = analyzer::parse(invocation)? else {
        return Ok(());
    };
    debug!("Ensuring privileges...");
    let store = ImageStore::new(&flags.images, &invocation.variables)?
        .with_credentials_for(names(&flags), flags.cache_image.as_deref());
    let user = flags.user;
    let dirs = [
        Some(flags.layers_dir.as_path()),
        flags.cache_dir.as_deref(),
        flags.launch_cache_dir.as_deref(),
    ];
    privileges::own(user.uid, user.gid, &dirs)?;
    let held = hold_images(&store, &flags);
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    let images = held.unwrap_or_else(|| find_images(&store, &flags))?;
    analyze(invocation, &flags, &store, &images)?;
    Ok(())
}

/// Returns the names of images that are looked up, or of which access is checked.
pub fn names(flags: &Flags) -> impl Iterator<Item = &str> {
    let names = [&flags.output_image, &flags.previous_image, &flags.run_image];
    names.into_iter().chain(&flags.tags).map(String::as_str)
}

/// Looks images in layouts up while the phase still has the rights that the platform gave it: a layout need not be
/// readable to the user of the build. Returns `None` where images are elsewhere, for [`find_images`] later.
pub fn hold_images(store: &ImageStore, flags: &Flags) -> Option<Result<Images, Failure>> {
    let images = || Ok(find_images(store, flags)?.hold());
    store.is_layouts().then(images)
}

/// Checks access to all images, and looks previous image and run image up (ANA-011 to ANA-013).
pub fn find_images(store: &ImageStore, flags: &Flags) -> Result<Images, Failure> {
    check_and_find(store, flags)
        .map_err(|cause| Failure::new(ExitCode::Analyze, "initialize analyzer", cause))
}

fn check_and_find(store: &ImageStore, flags: &Flags) -> anyhow::Result<Images> {
    let read = [&*flags.previous_image, &*flags.run_image];
    let tags = flags.tags.iter().map(String::as_str);
    let write: Vec<_> = std::iter::once(&*flags.output_image).chain(tags).collect();
    store.check_access(&read, &write, flags.cache_image.as_deref())?;
    Ok(Images {
        previous: find_previous(store, flags).context("getting previous image")?,
        run: store.find(&flags.run_image).context("getting run image")?,
    })
}

/// A daemon need not give back what the launch cache has (ANA-023).
fn find_previous(store: &ImageStore, flags: &Flags) -> anyhow::Result<NamedImage> {
    let launch_cache = flags.launch_cache_dir.as_deref();
    let tars = launch_cache.filter(|_| store.is_daemon()).map(tars_in);
    let tars = tars.transpose().context("creating launch cache")?;
    store.find_with_tars(&flags.previous_image, tars)
}

fn tars_in(dir: &Path) -> anyhow::Result<Arc<dyn LayerTars>> {
    Ok(VolumeCache::open(dir)?.tars())
}

/// Analyzes and writes `analyzed.toml`: the way that the analyzer and the creator share.
pub fn analyze(
    invocation: &Invocation,
    flags: &Flags,
    store: &ImageStore,
    images: &Images,
) -> Result<Analyzed, Failure> {
    let analyzed = crate::run(Inputs {
        api: invocation.api,
        store,
        images,
        layers_dir: &flags.layers_dir,
        skip_layers: flags.skip_layers,
    })?;
    files::analyzed::write(&flags.analyzed_path, &analyzed)?;
    Ok(analyzed)
}
