//! What the restorer checks and completes of the run image in `analyzed.toml` (RES-009 to RES-012).

use buildpack::group::Group;
use platform::entry::Invocation;
use platform::files::Analyzed;
use platform::files::analyzed::RunImage;
use platform::inputs::restorer::Inputs as Flags;
use platform::{ExitCode, Failure, PlatformApi, files, images, run_image, target};
use tracing::debug;

/// Checks that the chosen run image can be read, and fills in its target where extensions need it.
pub(crate) fn complete(
    invocation: &Invocation,
    flags: &Flags,
    group: &Group,
    analyzed: &mut Analyzed,
) -> Result<(), Failure> {
    let api = invocation.api;
    if let Some(image) = flags.build_image.as_ref().filter(|_| api.has_extensions()) {
        return Err(not_yet("pull builder image", image));
    }
    let name = analyzed
        .run_image
        .as_ref()
        .map(|image| image.image.clone())
        .unwrap_or_default();
    check_access(api, flags, &name)?;
    let Some(recorded) = &mut analyzed.run_image else {
        return Ok(());
    };
    if recorded.extend && api.has_targets() && flags.images.layout_dir.is_none() {
        return Err(not_yet("pull run image", &name));
    }
    if needs_target(api, recorded, group) {
        debug!("Updating run image info in analyzed metadata...");
        let action = format!("get run image {name}");
        let found = images::find(&flags.images, &name)
            .map_err(|cause| Failure::new(ExitCode::Failed, &action, cause))?;
        let Some(image) = &found.image else {
            return Err(Failure::message(
                ExitCode::Failed,
                format!("failed to {action}"),
            ));
        };
        recorded.reference = found.reference();
        recorded.target = api.has_targets().then(|| target::of_image(image.config()));
    }
    Ok(())
}

/// RES-010: a name that run.toml does not list is accepted unchecked, and in a layout every name can be read.
fn check_access(api: PlatformApi, flags: &Flags, name: &str) -> Result<(), Failure> {
    if !api.checks_run_image_access() {
        return Ok(());
    }
    let run = files::run::read(api, &flags.run_path, &flags.run_path)?;
    let listed = run
        .images
        .iter()
        .flat_map(|image| std::iter::once(&image.image).chain(&image.mirrors))
        .any(|candidate| run_image::same_name(candidate, name));
    if name.is_empty() || !listed || flags.images.layout_dir.is_some() || flags.images.daemon {
        return Ok(());
    }
    Err(not_yet("check access to run image", name))
}

/// RES-012.
fn needs_target(api: PlatformApi, recorded: &RunImage, group: &Group) -> bool {
    let known = recorded
        .target
        .as_ref()
        .is_some_and(|target| !target.os.is_empty());
    api.has_extensions() && !group.group_extensions.is_empty() && !known
}

fn not_yet(action: &str, image: &str) -> Failure {
    let cause =
        anyhow::anyhow!("this lifecycle cannot reach registries yet; use -layout with -layout-dir");
    Failure::new(ExitCode::Failed, &format!("{action} {image}"), cause)
}
