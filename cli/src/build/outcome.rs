//! What comes of a build: what detection decided, the files that the user asked for, and the last line.

use std::path::Path;

use anyhow::{Context as _, bail};
use fs_err as fs;
use layout::name::name_of_layout_path;
use platform::files::analyzed;

use super::destination::{Destinations, Kind};
use super::elsewhere::Delivered;
use super::leftovers;
use super::phases::IMAGES;
use super::run_image::RunImage;

/// Returns the run image that detection chose instead of the one it was given; fails where a Dockerfile would have to
/// be executed, which nothing here does yet.
pub(super) fn after_detection(
    layers: &Path,
    run_image: &RunImage,
) -> anyhow::Result<Option<String>> {
    let generated = layers.join("generated");
    if has_build_dockerfile(&generated) {
        bail!(
            "an image extension wants to change the build image, and Dockerfiles are not executed yet\nbuild without it, or put what it adds into the builder"
        );
    }
    let found = analyzed::parse(&leftovers::read(layers, "analyzed.toml")?)?;
    let Some(run) = found.run_image else {
        return Ok(None);
    };
    if run.extend {
        bail!(
            "an image extension wants to change the run image, and Dockerfiles are not executed yet\nbuild without it, or name an image that has what it adds: --run-image IMAGE"
        );
    }
    // In a layout an image is called by its place.
    let place = run_image.reference().layout_path(Path::new(IMAGES));
    if run.image.is_empty() || run.image == run_image.name() || Path::new(&run.image) == place {
        return Ok(None);
    }
    let named = name_of_layout_path(Path::new(&run.image), Path::new(IMAGES));
    Ok(Some(named.map_or(run.image, |reference| reference.name())))
}

/// Looks for what extensions generate: `<generated>/<extension>/build.Dockerfile`, before 0.13
/// `<generated>/build/<extension>/Dockerfile`.
fn has_build_dockerfile(generated: &Path) -> bool {
    let has = |dir: &Path, file: &str| {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        entries.into_iter().any(|it| it.path().join(file).exists())
    };
    has(generated, "build.Dockerfile") || has(&generated.join("build"), "Dockerfile")
}

/// Copies `report.toml` to where the user wants it.
pub(super) fn copy_report(layers: &Path, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    let report = leftovers::read(layers, "report.toml");
    let report = report.context("failed to copy the report; the image is there")?;
    Ok(fs::write(dir.join("report.toml"), report)?)
}

/// Copies the SBOM files, those of the build and those of the image, to where the user wants them.
pub(super) fn copy_sboms(layers: &Path, dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    leftovers::copy(layers, "sbom", dir)
        .context("failed to copy the SBOM files; the image is there")
}

/// Says what was made, and what can be done with it.
pub(super) fn success(
    destinations: &Destinations,
    delivered: Option<&Delivered>,
) -> anyhow::Result<String> {
    let first = destinations.first();
    let typed = first.typed();
    let (digest, is_whole) = match (first.dir(), delivered) {
        (Some(dir), _) => {
            let image = layout::Layout::at(dir).image(&layout::Selector::default())?;
            let image = image.context("the image is not where it was written to")?;
            (image.digest().clone(), layout_is_whole(&image))
        }
        (None, Some(delivered)) => (delivered.digest.clone(), true),
        (None, None) => bail!("the image was not written anywhere"),
    };
    let mut lines = vec![format!("Successfully built image {typed} ({digest})")];
    lines.extend(
        destinations
            .iter()
            .skip(1)
            .map(|more| format!("also as {}", more.typed())),
    );
    let typed = match destinations.kind() {
        Kind::Layouts => typed.to_owned(),
        Kind::Registry => format!("docker://{}", typed.trim_start_matches("docker://")),
        Kind::Daemon => format!(
            "docker-daemon:{}",
            typed.trim_start_matches("docker-daemon:")
        ),
    };
    if is_whole {
        lines.push(format!("run it:   slipway run {typed}"));
    } else {
        lines.push("it is sparse: who has the run image can add its layers".to_owned());
    }
    lines.push(format!("look in:  slipway inspect {typed}"));
    Ok(lines.join("\n  "))
}

fn layout_is_whole(image: &layout::Image) -> bool {
    let mut layers = image.layers();
    layers.all(|(_, layer)| image.blobs().path(&layer.digest).is_some())
}
