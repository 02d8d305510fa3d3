//! From flags to a rebased image: finds the images, rebases, writes `report.toml` (REB-001 to REB-010, REB-025).

use std::path::Path;

use anyhow::{Context as _, anyhow};
use layout::index::DISTRO_LABELS;
use layout::name::name_of_layout_path;
use layout::{Image, ImageConfig, Selector};
use platform::entry::Invocation;
use platform::images::{self, NamedImage};
use platform::inputs::rebaser::{self, Inputs as Flags};
use platform::output::Output;
use platform::{ExitCode, Failure, files, privileges};
use tracing::debug;

use crate::app::App;
use crate::{Inputs, RunImage};

/// Rebases as a platform called it.
pub fn command(invocation: &Invocation) -> Result<(), Failure> {
    let Some(flags) = rebaser::parse(invocation)? else {
        return Ok(());
    };
    let layout_dir = layout_dir(&flags)?;
    // With the rights that the platform gave: a layout need not be readable to the user that the phase becomes.
    let app = App::find(invocation.api, &flags).map_err(set_app_image)?;
    let run_image = find_run_image(&flags, &app);
    let output = |name: &String| Output::named(name, layout_dir).map_err(set_app_image);
    let additional = flags.additional_names.iter().map(output);
    let additional = additional.collect::<Result<Vec<_>, Failure>>()?;
    let output = output(&flags.output_image)?;
    debug!("Ensuring privileges...");
    let user = flags.user;
    for output in std::iter::once(&output).chain(&additional) {
        privileges::own_layout(user.uid, user.gid, output.layout.path());
    }
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    let (found, image) = run_image.map_err(access_run_image)?;
    let outputs = crate::run(Inputs {
        api: invocation.api,
        app: &app.image,
        metadata: app.metadata,
        run_image: RunImage {
            name: name_of(&app.run_image, layout_dir),
            reference: found.reference(),
            image: &image,
        },
        force: flags.force,
        output: &output,
        additional: &additional,
    })?;
    files::report::write(&flags.report_path, &outputs.report)
        .map_err(|cause| Failure::new(ExitCode::Rebase, "write rebase report", cause))
}

/// Returns the directory of layouts; there is nowhere else to rebase yet.
fn layout_dir(flags: &Flags) -> Result<&Path, Failure> {
    flags.images.layout_dir.as_deref().ok_or_else(|| {
        let place = if flags.images.daemon { "a daemon" } else { "a registry" };
        set_app_image(anyhow!(
            "this lifecycle cannot rebase images in {place} yet; rebase them in OCI layouts with -layout and -layout-dir"
        ))
    })
}

/// Opens the new run image and its layers; where there are several, the one for what the app was built for.
fn find_run_image(flags: &Flags, app: &App) -> anyhow::Result<(NamedImage, Image)> {
    let selector = selector(app.image.config());
    let found = images::find_among(&flags.images, &app.run_image, &selector)?.hold();
    let image = found.image.clone();
    let image = image.with_context(|| format!("there is no image in {}", found.name))?;
    if image.diff_ids().is_empty() {
        return Err(anyhow!("image has no layers"));
    }
    Ok((found, image))
}

fn selector(app: &ImageConfig) -> Selector {
    let [name, version] = DISTRO_LABELS.map(|key| app.label(key).map(str::to_owned));
    Selector {
        platform: Some(app.platform()).filter(|platform| !platform.os.is_empty()),
        distro: name.zip(version),
        ..Selector::default()
    }
}

/// Returns the name of an image that was given by name, or by its path in the layout directory.
fn name_of(given: &str, layout_dir: &Path) -> String {
    let by_path = name_of_layout_path(Path::new(given), layout_dir);
    by_path.map_or_else(|| given.to_owned(), |name| name.name())
}

/// Everything that is wrong with the app image has this code, a missing run image included (REB-007).
fn set_app_image(cause: impl Into<anyhow::Error>) -> Failure {
    Failure::new(ExitCode::Rebase, "set app image", cause)
}

fn access_run_image(cause: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Failed, "access run image", cause)
}
