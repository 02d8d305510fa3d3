//! From flags to a rebased image: finds the images, rebases, writes `report.toml` (REB-001 to REB-010, REB-025).

use std::path::Path;

use anyhow::{Context as _, anyhow};
use layout::index::DISTRO_LABELS;
use layout::name::name_of_layout_path;
use layout::{Image, ImageConfig, Selector};
use platform::entry::Invocation;
use platform::images::{ImageStore, NamedImage};
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
    let store = ImageStore::new(&flags.images, &invocation.variables)?;
    // With the rights that the platform gave: a layout need not be readable to the user that the phase becomes, and who
    // the run image belongs to is only known now.
    let app = App::find(invocation.api, &flags, &store).map_err(set_app_image)?;
    let store = store.with_credentials_for(names(&flags, &app), None);
    let run_image = find_run_image(&store, &app);
    let output = |name: &String| store.output(name).map_err(set_app_image);
    let additional = flags.additional_names.iter().map(output);
    let additional = additional.collect::<Result<Vec<_>, Failure>>()?;
    let output = output(&flags.output_image)?;
    debug!("Ensuring privileges...");
    let user = flags.user;
    for path in std::iter::once(&output)
        .chain(&additional)
        .filter_map(Output::layout_path)
    {
        privileges::own_layout(user.uid, user.gid, path);
    }
    privileges::become_user(user.uid, user.gid)?;
    debug!("Executing command...");
    let (found, image) = run_image.map_err(access_run_image)?;
    let outputs = crate::run(Inputs {
        api: invocation.api,
        app: &app.image,
        metadata: app.metadata,
        run_image: RunImage {
            name: name_of(&app.run_image, flags.images.layout_dir.as_deref()),
            reference: found.reference().to_owned(),
            image: &image,
        },
        force: flags.force,
        output: &output,
        additional: &additional,
    })?;
    files::report::write(&flags.report_path, &outputs.report)
        .map_err(|cause| Failure::new(ExitCode::Rebase, "write rebase report", cause))
}

/// Returns the names of all images that are read or written from here on.
fn names<'a>(flags: &'a Flags, app: &'a App) -> impl Iterator<Item = &'a str> {
    let given = [&flags.output_image, &app.run_image];
    let previous = flags.previous_image.as_ref();
    let all = given
        .into_iter()
        .chain(previous)
        .chain(&flags.additional_names);
    all.map(String::as_str)
}

/// Opens the new run image and its layers; where there are several, the one for what the app was built for.
fn find_run_image(store: &ImageStore, app: &App) -> anyhow::Result<(NamedImage, Image)> {
    let selector = selector(app.image.config());
    let found = store.find_among(&app.run_image, &selector)?.hold();
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
fn name_of(given: &str, layout_dir: Option<&Path>) -> String {
    let by_path = layout_dir.and_then(|dir| name_of_layout_path(Path::new(given), dir));
    by_path.map_or_else(|| given.to_owned(), |name| name.name())
}

/// Everything that is wrong with the app image has this code, a missing run image included (REB-007).
fn set_app_image(cause: impl Into<anyhow::Error>) -> Failure {
    Failure::new(ExitCode::Rebase, "set app image", cause)
}

fn access_run_image(cause: anyhow::Error) -> Failure {
    Failure::new(ExitCode::Failed, "access run image", cause)
}
