//! Unpacking a tar without ever leaving one directory (RES-026 to RES-028).
//!
//! Names are taken apart into components and walked from a handle of the directory, one component
//! at a time, never through a symbolic link ([`super::inside`]). So it does not matter what an
//! archive says or what was on disk before: what is not below stays as it was.
//!
//! Differs from the reference on purpose: that one follows links and `..`, and stops at hard links
//! and FIFOs. Devices are refused here too: they need rights that unpacking should not need. Owners
//! and times in the archive are ignored, as there.

use std::ffi::OsStr;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::inside::{Failure, Inside, Name};
use super::{Error, Extract, walk};

type TarEntry<'r, 'a> = tar::Entry<'a, BufReader<&'r mut dyn Read>>;

pub(super) fn extract(tar: &mut dyn Read, extract: &Extract<'_>) -> Result<(), Error> {
    let mut unpacking = Unpacking::begin(extract)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(256 * 1024, tar));
    for entry in archive.entries().map_err(Error::Archive)? {
        unpacking.entry(&mut entry.map_err(Error::Archive)?)?;
    }
    // A reader that checks a digest does so at its end, which is behind the end of the archive.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(Error::Archive)?;
    unpacking.finish()
}

struct Unpacking {
    root: PathBuf,
    within: PathBuf,
    inside: Inside,
    /// Directories made here, with the modes that they get when all is in them.
    modes: Vec<(Name, u32)>,
    buffer: Vec<u8>,
}

/// Where a name in an archive leads.
enum Place {
    /// `within` itself, or a directory above it.
    Above,
    Within(Name),
}

impl Unpacking {
    fn begin(extract: &Extract<'_>) -> Result<Self, Error> {
        let within = walk::absolute(extract.within)?;
        fs_err::create_dir_all(&within)?;
        Ok(Self {
            root: walk::absolute(extract.root)?,
            inside: Inside::open(&within)?,
            within,
            modes: Vec::new(),
            buffer: vec![0; 256 * 1024],
        })
    }

    fn entry(&mut self, entry: &mut TarEntry<'_, '_>) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
        if let Some(kind) = unsupported(entry).map_err(Error::Archive)? {
            return Err(Error::Unsupported { entry: path, kind });
        }
        let is_dir = is_dir(entry);
        let name = match self.place(&path, &path)? {
            Place::Within(name) => name,
            Place::Above if is_dir => return Ok(()),
            Place::Above => return Err(self.outside(&path, &path)),
        };
        let mode = entry.header().mode().map_err(Error::Archive)? & 0o7777;
        if is_dir {
            if self
                .inside
                .make_dir(&name)
                .map_err(|e| self.failure(&path, e))?
            {
                self.modes.push((name, mode));
            }
            return Ok(());
        }
        match kind {
            EntryType::Symlink => self.inside.make_symlink(&name, &link(entry)),
            EntryType::Fifo => self.inside.make_fifo(&name, mode),
            EntryType::Link => {
                let target = link(entry);
                match self.place(&path, Path::new(OsStr::from_bytes(&target)))? {
                    Place::Within(target) => self.inside.make_hard_link(&name, &target),
                    Place::Above => {
                        let target = PathBuf::from(OsStr::from_bytes(&target));
                        return Err(self.outside(&path, &target));
                    }
                }
            }
            _ => return self.file(&path, &name, mode, entry),
        }
        .map_err(|error| self.failure(&path, error))
    }

    fn file(
        &mut self,
        path: &Path,
        name: &Name,
        mode: u32,
        entry: &mut TarEntry<'_, '_>,
    ) -> Result<(), Error> {
        let file = self.inside.make_file(name);
        let mut file = file.map_err(|error| self.failure(path, error))?;
        let mut left = entry.size();
        while left > 0 {
            let len = entry.read(&mut self.buffer).map_err(Error::Archive)?;
            if len == 0 {
                return Err(Error::Archive(io::ErrorKind::UnexpectedEof.into()));
            }
            left = left.saturating_sub(len as u64);
            io::Write::write_all(&mut file, &self.buffer[..len])
                .map_err(|error| self.failure(path, error.into()))?;
        }
        // Last: writing clears the set-id bits.
        rustix::fs::fchmod(&file, mode.into()).map_err(|error| self.failure(path, error.into()))
    }

    /// Gives the new directories their modes: what is below first, which the mode above may hide.
    fn finish(mut self) -> Result<(), Error> {
        for (name, mode) in std::mem::take(&mut self.modes).into_iter().rev() {
            self.inside
                .set_dir_mode(&name, mode)
                .map_err(|error| self.failure(&name.to_path(), error))?;
        }
        Ok(())
    }

    /// Finds where `path`, a name in `entry`, leads.
    fn place(&self, entry: &Path, path: &Path) -> Result<Place, Error> {
        let mut full = self.root.clone();
        for component in path.as_os_str().as_bytes().split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(self.outside(entry, path)),
                name => full.push(OsStr::from_bytes(name)),
            }
        }
        if self.within.starts_with(&full) {
            return Ok(Place::Above);
        }
        full.strip_prefix(&self.within)
            .ok()
            .and_then(Name::new)
            .map(Place::Within)
            .ok_or_else(|| self.outside(entry, path))
    }

    fn outside(&self, entry: &Path, path: &Path) -> Error {
        Error::Outside {
            entry: entry.to_path_buf(),
            path: path.to_path_buf(),
            within: self.within.clone(),
        }
    }

    fn failure(&self, entry: &Path, failure: Failure) -> Error {
        match failure {
            Failure::InTheWay(path) => Error::Blocked {
                entry: entry.to_path_buf(),
                path: self.within.join(path),
            },
            Failure::Io(error) => Error::Io(io::Error::new(
                error.kind(),
                format!("failed to unpack {}: {error}", entry.display()),
            )),
        }
    }
}

/// Returns what is not unpacked about an entry.
fn unsupported(entry: &mut TarEntry<'_, '_>) -> io::Result<Option<&'static str>> {
    let kind = match entry.header().entry_type() {
        EntryType::Block | EntryType::Char => Some("a device"),
        EntryType::Directory
        | EntryType::Fifo
        | EntryType::Link
        | EntryType::Regular
        | EntryType::Symlink => None,
        _ => Some("of an unknown kind"),
    };
    if kind.is_some() {
        return Ok(kind);
    }
    for record in entry.pax_extensions()?.into_iter().flatten() {
        if record?.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(Some("a sparse file"));
        }
    }
    Ok(None)
}

/// Tells if an entry is a directory: by its kind or, in archives older than USTAR, by a slash at its end.
fn is_dir(entry: &TarEntry<'_, '_>) -> bool {
    match entry.header().entry_type() {
        EntryType::Directory => true,
        EntryType::Regular => {
            entry.header().as_bytes()[156] == 0 && entry.path_bytes().ends_with(b"/")
        }
        _ => false,
    }
}

fn link(entry: &TarEntry<'_, '_>) -> Vec<u8> {
    entry.link_name_bytes().unwrap_or_default().into_owned()
}
