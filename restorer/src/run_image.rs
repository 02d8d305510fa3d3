//! What the restorer checks and completes of build image and run image in `analyzed.toml` (RES-009 to RES-013).

use std::path::Path;

use anyhow::Context as _;
use buildpack::group::Group;
use layout::Layout;
use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::files::analyzed::RunImage;
use platform::images::{ImageStore, NamedImage};
use platform::inputs::restorer::Inputs as Flags;
use platform::{ExitCode, Failure, PlatformApi, files, run_image, target};
use tracing::debug;

use crate::command::KANIKO_DIR;

/// Pulls what the extender needs, checks that the chosen run image can be read, and fills in its target where extensions
/// need it.
pub(crate) fn complete(
    invocation: &Invocation,
    flags: &Flags,
    store: &ImageStore,
    group: &Group,
    analyzed: &mut Analyzed,
) -> Result<(), Failure> {
    let api = invocation.api;
    if let Some(image) = flags.build_image.as_ref().filter(|_| api.has_extensions()) {
        debug!("Pulling builder image metadata for {image}...");
        let pulled = pull(store, image, &format!("pull builder image {image}"))?;
        analyzed.build_image = Some(pulled.reference().to_owned());
    }
    let name = analyzed
        .run_image
        .as_ref()
        .map(|image| image.image.clone())
        .unwrap_or_default();
    check_access(api, flags, store, &name)?;
    let Some(recorded) = &mut analyzed.run_image else {
        return Ok(());
    };
    if recorded.extend && api.has_targets() && !store.is_layouts() {
        debug!("Pulling run image metadata for {name}...");
        let pulled = pull(store, &name, &format!("pull run image {name}"))?;
        update(api, recorded, &pulled);
    } else if needs_target(api, recorded, group) {
        debug!("Updating run image info in analyzed metadata...");
        let action = format!("get run image {name}");
        let found = store
            .find(&name)
            .map_err(|cause| Failure::new(ExitCode::Failed, &action, cause))?;
        if found.image.is_none() {
            return Err(Failure::message(
                ExitCode::Failed,
                format!("failed to {action}"),
            ));
        }
        update(api, recorded, &found);
    }
    Ok(())
}

/// Keeps an image from its registry, wherever other images are, where the extender will look for it.
fn pull(store: &ImageStore, name: &str, action: &str) -> Result<NamedImage, Failure> {
    let pulled = || {
        let found = store.find_in_registry(name)?;
        let image = found.image.as_ref().context("failed to get remote image")?;
        let base = Path::new(KANIKO_DIR).join("cache/base");
        let layout = Layout::at(base.join(image.digest().to_string()));
        debug!("Saving image metadata to {}...", layout.path().display());
        layout
            .copy_from(image, "")
            .context("failed to save layout image")?;
        anyhow::Ok(found)
    };
    pulled().map_err(|cause| Failure::new(ExitCode::Failed, action, cause))
}

fn update(api: PlatformApi, recorded: &mut RunImage, found: &NamedImage) {
    let config = found.image.as_ref().map(layout::Image::config);
    found.reference().clone_into(&mut recorded.reference);
    recorded.target = config.filter(|_| api.has_targets()).map(target::of_image);
}

/// RES-010: a name that run.toml does not list is accepted unchecked.
fn check_access(
    api: PlatformApi,
    flags: &Flags,
    store: &ImageStore,
    name: &str,
) -> Result<(), Failure> {
    if !api.checks_run_image_access() {
        return Ok(());
    }
    let run = files::run::read(api, &flags.run_path, &flags.run_path)?;
    let listed = run
        .images
        .iter()
        .flat_map(|image| std::iter::once(&image.image).chain(&image.mirrors))
        .any(|candidate| run_image::same_name(candidate, name));
    if name.is_empty() || !listed || store.can_read(name) {
        return Ok(());
    }
    let text = format!("selected run image '{name}' is not accessible");
    Err(Failure::message(ExitCode::Failed, text))
}

/// RES-012.
fn needs_target(api: PlatformApi, recorded: &RunImage, group: &Group) -> bool {
    let known = recorded
        .target
        .as_ref()
        .is_some_and(|target| !target.os.is_empty());
    api.has_extensions() && !group.group_extensions.is_empty() && !known
}
