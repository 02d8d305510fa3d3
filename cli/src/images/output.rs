//! Where an image is written to.
//!
//! | typed | directory | name inside | ref name |
//! |---|---|---|---|
//! | `oci:app` | `./app` | `app` | `latest` |
//! | `oci:app:tag1` | `./app` | `app:tag1` | `tag1` |
//! | `oci:/abs/app` | `/abs/app` | `app` | `latest` |
//! | `oci:./app` | `./app` | `app` | `latest` |
//! | `app` | `<layout repo>/index.docker.io/library/app/latest` | `app` | `latest` |
//!
//! This is where pack writes: the directory has no tag in its name. The phases call the image by the name inside, which
//! stands for a path below `/layout-repo`, where the directory is mounted. A layout holds one image: one with another tag
//! replaces it.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use layout::name::Identifier;
use layout::{Reference, Selector};
use tempfile::TempDir;

use super::ImageName;
use crate::config::Config;

/// Where an image is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// The directory of the layout, absolute; it need not exist.
    pub(crate) dir: PathBuf,
    /// What the phases call the image, as typed but for a directory: `app:tag1`.
    pub(crate) name: String,
    /// `org.opencontainers.image.ref.name`.
    pub(crate) ref_name: String,
}

impl Output {
    /// Removes what the image before left, once the new one is there: that old blobs stay is worth a word and no failure.
    pub(crate) fn tidy(&self) {
        if let Err(error) = layout::gc::collect(&layout::Layout::at(&self.dir)) {
            let dir = self.dir.display();
            // Nobody is left to tell if stderr is closed.
            writeln!(io::stderr(), "warning: stale blobs stay in {dir}: {error}").ok();
        }
    }
}

impl ImageName {
    /// Returns the name in a registry that an image of this name is written to; nothing if it goes elsewhere.
    pub(crate) fn published(&self, publish: bool) -> anyhow::Result<Option<Reference>> {
        let reference = match self {
            Self::Registry(name) => name.clone(),
            Self::Named(name) if publish => Reference::parse(name)?,
            _ if publish => bail!("--publish is for a name in a registry, which {self} is not"),
            _ => return Ok(None),
        };
        if let Identifier::Digest(digest) = &reference.identifier {
            return Err(is_digest(digest));
        }
        Ok(Some(reference))
    }

    /// Returns where an image of this name is written to; makes nothing.
    pub(crate) fn output(&self, config: &Config) -> anyhow::Result<Output> {
        let (dir, name) = match self {
            Self::Layout(dir, selector) => {
                let name = name_inside(dir, selector)?;
                (real_or_absolute(dir)?, name)
            }
            Self::Archive(file, _) => bail!(
                "cannot write to the archive {}\nwrite to a directory, then: slipway layout copy oci:DIR oci-archive:{}",
                file.display(),
                file.display()
            ),
            Self::Registry(_) | Self::Daemon(_) => bail!(
                "cannot write to {self} here\nwrite to a directory, then: slipway layout copy oci:DIR {self}"
            ),
            Self::Named(name) => {
                let dir = Reference::parse(name)?.layout_path(&config.layout_repo_dir());
                (std::path::absolute(dir)?, name.clone())
            }
        };
        let reference = Reference::parse(&name).with_context(|| {
            format!(
                "cannot write an image to {}: its name would be '{name}'\n\
                 the last part of the path becomes the image's name: two characters or more of a-z, 0-9, '.', '_' and '-'",
                dir.display()
            )
        })?;
        match reference.identifier {
            Identifier::Tag(ref_name) => Ok(Output {
                dir,
                name,
                ref_name,
            }),
            Identifier::Digest(digest) => Err(is_digest(&digest)),
        }
    }
}

/// Makes a folder in that of a file which is about to be written.
pub(crate) fn beside(file: &Path) -> anyhow::Result<TempDir> {
    let file = std::path::absolute(file)?;
    let dir = file.parent().unwrap_or(Path::new("/"));
    let made = tempfile::Builder::new().prefix(".slipway-").tempdir_in(dir);
    made.with_context(|| format!("failed to make a folder in {}", dir.display()))
}

/// Writes a layout as an archive: the same layout, the same bytes.
pub(crate) fn archive(dir: &Path, file: &Path) -> anyhow::Result<()> {
    let parent = dir.parent().unwrap_or(dir);
    let mut written = tempfile::NamedTempFile::new_in(parent)?;
    let mut tar = tar::Builder::new(io::BufWriter::new(&mut written));
    let mut blobs = Vec::new();
    for algorithm in fs_err::read_dir(dir.join("blobs"))? {
        for blob in fs_err::read_dir(algorithm?.path())? {
            blobs.push(blob?.path());
        }
    }
    blobs.sort();
    let documents = ["oci-layout", "index.json"].map(|it| dir.join(it));
    for path in documents.iter().chain(&blobs) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(fs_err::metadata(path)?.len());
        let name = path.strip_prefix(dir)?;
        tar.append_data(&mut header, name, fs_err::File::open(path)?)?;
    }
    tar.into_inner()?.flush()?;
    let mode = fs_err::metadata(dir.join("index.json"))?
        .permissions()
        .mode()
        & 0o666;
    written
        .as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    written.persist(file)?;
    Ok(())
}

fn name_inside(dir: &Path, selector: &Selector) -> anyhow::Result<String> {
    if let Some(digest) = &selector.digest {
        return Err(is_digest(digest));
    }
    let base = match dir.file_name() {
        Some(name) => name.to_owned(),
        // `.` and `..` have a name elsewhere.
        None => real_or_absolute(dir)?
            .file_name()
            .unwrap_or_default()
            .to_owned(),
    };
    let base = base.to_string_lossy();
    Ok(match &selector.ref_name {
        Some(tag) => format!("{base}:{tag}"),
        None => base.into_owned(),
    })
}

/// Returns why nothing is written under a digest.
pub(crate) fn is_digest(digest: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot write an image as {digest}: its digest comes of what it holds; use a tag")
}

/// A directory that is a link stays one: what it leads to is written.
fn real_or_absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    match fs_err::canonicalize(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(std::path::absolute(dir)?),
        found => Ok(found?),
    }
}
