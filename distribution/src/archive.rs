//! Tars, compressed or not: unpacked to look into, and image layouts written as one (`.cnb` files).

use std::io::{self, BufReader, BufWriter, Cursor, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use fs_err as fs;
use layout::layer::{self, EntryKind, Extract, Layer, Owner};

/// Unpacks a tar or gzip tar into `dir`, never anywhere else; owners in it do not count.
pub fn unpack(file: &Path, dir: &Path) -> Result<(), Error> {
    let place = Extract {
        root: dir,
        within: dir,
    };
    let result = open(file).and_then(|mut tar| layer::extract(&mut tar, &place));
    result.map_err(|source| Error::Unpack {
        file: file.to_owned(),
        source,
    })
}

/// Writes a folder as a tar: names relative to it, owner root, all times the same, so that the bytes depend on the
/// folder's files alone.
pub fn pack(dir: &Path, file: &Path) -> Result<(), Error> {
    let result = entries(dir).and_then(|layer| {
        let mut out = BufWriter::with_capacity(256 << 10, fs::File::create(file)?);
        layer.write_tar(&mut out)?;
        Ok(out.flush()?)
    });
    result.map_err(|source| Error::Pack {
        file: file.to_owned(),
        source,
    })
}

/// Looks at the first bytes rather than the name.
fn open(file: &Path) -> Result<Box<dyn Read>, layer::Error> {
    let mut file = fs::File::open(file)?;
    let mut magic = Vec::new();
    Read::by_ref(&mut file).take(2).read_to_end(&mut magic)?;
    let is_gzip = magic == [0x1f, 0x8b];
    let all = BufReader::with_capacity(64 << 10, Cursor::new(magic).chain(file));
    Ok(if is_gzip {
        Box::new(MultiGzDecoder::new(all))
    } else {
        Box::new(all)
    })
}

fn entries(dir: &Path) -> Result<Layer, layer::Error> {
    let mut entries = layer::walk(dir, Some(Owner { uid: 0, gid: 0 }))?;
    // The folder itself comes first; what is left is below it.
    let Some(top) = entries.first().map(|it| Arc::clone(&it.name)) else {
        return Ok(Layer::default());
    };
    entries.retain(|it| it.name != top);
    for entry in &mut entries {
        entry.mode = match entry.kind {
            EntryKind::Directory => 0o755,
            _ => 0o644,
        };
        if let Ok(below) = entry.name.strip_prefix(&top) {
            entry.name = below.into();
        }
    }
    Ok(Layer { entries })
}

/// Why a tar could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It could not be written.
    #[error("failed to write {}", file.display())]
    Pack {
        /// The tar.
        file: PathBuf,
        /// Why not.
        source: layer::Error,
    },
    /// It could not be unpacked.
    #[error("failed to unpack {}, which should be a tar, compressed with gzip or not", file.display())]
    Unpack {
        /// The tar.
        file: PathBuf,
        /// Why not.
        source: layer::Error,
    },
}

/// Makes a folder of a name that nobody has, below `scratch`, which is made too.
pub(crate) fn new_folder(scratch: &Path) -> io::Result<PathBuf> {
    fs::create_dir_all(scratch)?;
    let folder = tempfile::Builder::new()
        .prefix("unpacked-")
        .tempdir_in(scratch)?;
    Ok(folder.keep())
}
