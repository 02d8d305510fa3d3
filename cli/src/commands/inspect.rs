//! `slipway inspect`: what an image says of itself, and which buildpack made what of it.

mod seen;

use std::io::{self, Write};
use std::process::ExitCode;

use layout::Image;

use crate::config::Config;
use crate::environment;
use crate::images::ImageName;
use crate::images::stores::{self, Stores};
use crate::text::{self, Format, printable};
use seen::{Layer, Module, Process, Seen};

/// Show how an image was built and how it starts
#[derive(Debug, clap::Args)]
#[command(visible_alias = "inspect-image")]
#[command(after_help = "\
Examples:
  slipway inspect oci:my-app
  slipway inspect oci:my-app --output json")]
pub(crate) struct Args {
    /// Image to show: oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-daemon:NAME, docker://NAME, or a name, which is looked for in
    /// the layout repo and then in its registry
    image: String,
    /// How to print it
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
    #[command(flatten)]
    registries: stores::Registries,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let config = Config::read(&environment::home()?)?;
    let stores = Stores::new(&config, &args.registries, None)?;
    let name = ImageName::parse(&args.image)?;
    let image: Image = name.view(&stores, None)?;
    let is_elsewhere = name.is_elsewhere(&image);
    let present = |layer: &_| is_elsewhere || matches!(image.blobs().open(layer), Ok(Some(_)));
    let seen = Seen::of(&args.image, &image, &present)?;
    match args.output {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&seen)?)?,
        Format::Text => print(&seen, out)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints in the order, and under the headings, that people know from pack.
fn print(seen: &Seen, out: &mut dyn Write) -> io::Result<()> {
    let mut line = |key: &str, value: &str| writeln!(out, "{key}: {}", printable(value));
    line("Image", &seen.image)?;
    line("Digest", &seen.digest)?;
    line("Platform", &seen.platform.to_string())?;
    let (size, layers) = (text::size(seen.size), seen.layers.len());
    line("Size", &format!("{size} in {layers} layers"))?;
    for (key, value) in [
        ("Created", &seen.created),
        ("Stack", &seen.stack),
        ("User", &seen.user),
        ("Work Dir", &seen.working_dir),
        ("Execution Environment", &seen.exec_env),
    ] {
        if !value.is_empty() {
            line(key, value)?;
        }
    }
    line("Rebasable", &seen.rebasable.to_string())?;
    line("SBOM", &seen.sbom.to_string())?;
    print_base(seen, out)?;
    if seen.built_by_buildpacks {
        modules("Buildpacks", &seen.buildpacks, out)?;
        if !seen.extensions.is_empty() {
            modules("Extensions", &seen.extensions, out)?;
        }
        processes(&seen.processes, out)?;
    } else {
        writeln!(out, "\nThis image was not built by buildpacks.")?;
        line_of("Entrypoint", &seen.entrypoint, out)?;
        line_of("Cmd", &seen.cmd, out)?;
    }
    layers_table(&seen.layers, out)?;
    writeln!(out, "\nVariables:")?;
    if seen.env.is_empty() {
        writeln!(out, "  (none)")?;
    }
    for variable in &seen.env {
        writeln!(out, "  {}", printable(variable))?;
    }
    Ok(())
}

fn print_base(seen: &Seen, out: &mut dyn Write) -> io::Result<()> {
    let base = &seen.run_image;
    if !base.top_layer.is_empty() {
        writeln!(out, "\nBase Image:")?;
        if !base.reference.is_empty() {
            writeln!(out, "  Reference: {}", printable(&base.reference))?;
        }
        writeln!(out, "  Top Layer: {}", printable(&base.top_layer))?;
    }
    if seen.built_by_buildpacks {
        writeln!(out, "\nRun Images:")?;
        if base.image.is_empty() {
            writeln!(out, "  (none)")?;
        } else {
            writeln!(out, "  {}", printable(&base.image))?;
        }
        for mirror in &base.mirrors {
            writeln!(out, "  {}", printable(mirror))?;
        }
    }
    Ok(())
}

fn modules(title: &str, modules: &[Module], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{title}:")?;
    if modules.is_empty() {
        return writeln!(out, "  (none)");
    }
    let row = |module: &Module| {
        let homepage = if module.homepage.is_empty() {
            "-"
        } else {
            &module.homepage
        };
        [
            module.id.clone(),
            module.version.clone(),
            homepage.to_owned(),
        ]
    };
    text::table(out, ["ID", "VERSION", "HOMEPAGE"], modules.iter().map(row))
}

fn processes(processes: &[Process], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nProcesses:")?;
    if processes.is_empty() {
        return writeln!(out, "  (none)");
    }
    let row = |process: &Process| {
        let default = if process.default { " (default)" } else { "" };
        let shell = if process.direct { "" } else { "bash" };
        [
            format!("{}{default}", process.r#type),
            shell.to_owned(),
            process.command.join(" "),
            process.args.join(" "),
            process.working_dir.clone(),
        ]
    };
    let head = ["TYPE", "SHELL", "COMMAND", "ARGS", "WORK DIR"];
    text::table(out, head, processes.iter().map(row))
}

fn line_of(key: &str, words: &[String], out: &mut dyn Write) -> io::Result<()> {
    if words.is_empty() {
        return Ok(());
    }
    writeln!(out, "{key}: {}", printable(&words.join(" ")))
}

fn layers_table(layers: &[Layer], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nLayers:")?;
    if layers.is_empty() {
        return writeln!(out, "  (none)");
    }
    let row = |layer: &Layer| {
        let absent = if layer.present { "" } else { " (left out)" };
        let by = match (layer.buildpack.as_str(), layer.name.as_str()) {
            ("", _) => String::new(),
            (id, name) => format!("{id}:{name}"),
        };
        [
            layer.kind.to_string(),
            by,
            format!("{}{absent}", text::size(layer.size)),
            layer.diff_id.clone(),
        ]
    };
    let head = ["KIND", "MADE BY", "SIZE", "DIFF ID"];
    text::table(out, head, layers.iter().map(row))
}
