//! Where Dockerfiles lie for the extender (IMX-012, IMX-027, IMX-031, DET-034, DET-035).
//!
//! ```text
//! from 0.13 on   <generated>/<escaped id>/run.Dockerfile, build.Dockerfile, extend-config.toml, contexts
//! before         <generated>/run/<escaped id>/Dockerfile, extend-config.toml   and the same below build
//! ```

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use buildpack::{extend_config, syscall_text};
use tempfile::TempDir;
use tracing::debug;

use super::{Generated, Inputs};

/// The folder that extensions write into.
#[derive(Debug)]
pub(super) enum OutputFolder<'a> {
    /// `<generated>` itself.
    Generated(&'a Path),
    /// A folder that what counts is copied from.
    Temporary(TempDir),
}

impl<'a> OutputFolder<'a> {
    pub(super) fn new(inputs: &Inputs<'a>) -> anyhow::Result<Self> {
        if inputs.api.has_folder_per_extension() {
            return Ok(Self::Generated(inputs.generated_dir));
        }
        let folder = tempfile::Builder::new()
            .prefix("cnb-extensions-generated.")
            .tempdir()?;
        Ok(Self::Temporary(folder))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Generated(path) => path,
            Self::Temporary(dir) => dir.path(),
        }
    }
}

/// Puts each Dockerfile where the extender looks for it, and ignored ones where it does not.
pub(super) fn place(inputs: &Inputs<'_>, dockerfiles: &[Generated]) -> anyhow::Result<()> {
    for generated in dockerfiles {
        if !inputs.api.has_folder_per_extension() {
            copy(inputs.generated_dir, generated)?;
        } else if generated.ignored {
            let path = &generated.dockerfile.path;
            fs_err::rename(path, ignored_name(path))
                .map_err(|e| syscall_text::Error::new("rename", path, e))
                .with_context(|| format!("failed to rename Dockerfile at {}", path.display()))?;
        }
    }
    Ok(())
}

fn copy(generated_dir: &Path, generated: &Generated) -> anyhow::Result<()> {
    let source = &generated.dockerfile.path;
    let dir = generated_dir
        .join(generated.dockerfile.kind.name())
        .join(generated.extension.escaped_id());
    syscall_text::make_dirs(&dir)?;
    let mut target = dir.join("Dockerfile");
    if generated.ignored {
        target = ignored_name(&target);
    }
    debug!("Copying {} to {}", source.display(), target.display());
    fs_err::copy(source, &target)
        .with_context(|| format!("failed to copy Dockerfile at {}", source.display()))?;

    let config = source.with_file_name(extend_config::FILE_NAME);
    match fs_err::copy(&config, dir.join(extend_config::FILE_NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error)
            .with_context(|| format!("failed to copy extend config at {}", config.display())),
        _ => Ok(()),
    }
}

fn ignored_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".ignore");
    name.into()
}
