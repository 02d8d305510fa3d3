//! `slipway buildpack new`: the folder of a buildpack to begin with.

use std::io::Write;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use buildpack::{api, encode};
use distribution::module::Module;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde::Serialize;

use crate::commands::builder::target;

/// Write the files of a new buildpack
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  slipway buildpack new acme/java
  slipway buildpack new acme/java --path ./buildpacks/java --version 0.1.0")]
pub(crate) struct Args {
    /// Id of the buildpack, such as acme/java
    id: String,
    /// Directory to make; one named as the last part of the id without it
    #[arg(long, short, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Buildpack API that it speaks
    #[arg(long, short, default_value_t = api::SUPPORTED[api::SUPPORTED.len() - 1].to_string())]
    api: String,
    /// Version of the buildpack
    #[arg(long, short = 'V', default_value = "1.0.0")]
    version: String,
    /// Platform that it runs on; may be repeated
    #[arg(
        long,
        short,
        value_name = "OS[/ARCH[/VARIANT]]",
        default_value = "linux/amd64"
    )]
    target: Vec<String>,
}

const DETECT: &str = "\
#!/usr/bin/env bash
set -euo pipefail

# Exits with 0 if this buildpack has something to do for the app in the working directory, with 100 if not.
exit 0
";

const BUILD: &str = "\
#!/usr/bin/env bash
set -euo pipefail

echo \"---> Hello from a new buildpack\"

# Layers go into $CNB_LAYERS_DIR; how the app is started into launch.toml there:
cat >\"$CNB_LAYERS_DIR/launch.toml\" <<'EOF'
[[processes]]
type = \"web\"
command = [\"bash\", \"-c\", \"echo hello from the app\"]
default = true
EOF
";

#[derive(Serialize)]
struct Descriptor<'a> {
    api: &'a str,
    buildpack: Info<'a>,
    targets: Vec<Target>,
}

/// The key of the variant is the one that a lifecycle reads.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Target {
    os: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    arch: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    arch_variant: String,
}

#[derive(Serialize)]
struct Info<'a> {
    id: &'a str,
    version: &'a str,
    name: &'a str,
}

pub(crate) fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    // Commands are arrays from then on, as the example's is.
    let is_new = |it: &api::BuildpackApi| it.has_direct_processes_only();
    if !api::BuildpackApi::parse(&args.api)
        .as_ref()
        .is_some_and(is_new)
    {
        let known = api::SUPPORTED
            .into_iter()
            .filter_map(api::BuildpackApi::supported);
        let known: Vec<_> = known
            .filter(is_new)
            .map(|it| it.version().to_string())
            .collect();
        bail!(
            "cannot begin a buildpack with Buildpack API {:?}: use one of {}",
            args.api,
            known.join(", ")
        );
    }
    let name = args.id.rsplit('/').next().unwrap_or_default();
    let dir = args.path.as_deref().unwrap_or(Path::new(name));
    if dir.join("buildpack.toml").exists() {
        bail!(
            "there is a buildpack in {}: nothing was written",
            dir.display()
        );
    }
    let targets = args.target.iter().map(|it| target(it)).map(|it| Target {
        os: it.os,
        arch: it.arch,
        arch_variant: it.variant,
    });
    let descriptor = Descriptor {
        api: &args.api,
        buildpack: Info {
            id: &args.id,
            version: &args.version,
            name,
        },
        targets: targets.collect(),
    };
    fs::create_dir_all(dir.join("bin"))?;
    let toml = dir.join("buildpack.toml");
    fs::write(&toml, encode::to_string(&descriptor)?)?;
    if let Err(error) = Module::find(dir) {
        // An id or version that no buildpack can have.
        fs::remove_file(&toml)?;
        return Err(error.into());
    }
    for (name, text) in [("detect", DETECT), ("build", BUILD)] {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o755);
        let mut file = options.open(dir.join("bin").join(name))?;
        file.write_all(text.as_bytes())?;
    }
    writeln!(out, "Successfully created {} in {}", args.id, dir.display())?;
    writeln!(
        out,
        "Use it: slipway build oci:my-app --buildpack {} --builder BUILDER",
        dir.display()
    )?;
    Ok(ExitCode::SUCCESS)
}
