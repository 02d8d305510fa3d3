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

use super::inside::{Failure, Inside, Name, Parents};
use super::read::{Archive, Head};
use super::{Error, Extract, walk};

type Input<'a> = Archive<BufReader<&'a mut dyn Read>>;

pub(super) fn extract(tar: &mut dyn Read, extract: &Extract<'_>) -> Result<(), Error> {
    let mut unpacking = Unpacking::begin(extract)?;
    let mut archive = Archive::new(BufReader::with_capacity(256 * 1024, tar));
    while let Some(head) = archive.next_head().map_err(Error::Archive)? {
        unpacking.entry(&head, &mut archive)?;
    }
    archive.finish().map_err(Error::Archive)?;
    unpacking.finish()
}

struct Unpacking {
    root: PathBuf,
    within: PathBuf,
    inside: Inside,
    /// Directories made here, with the modes that they get when all is in them.
    modes: Vec<(Name, u32)>,
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
            inside: Inside::open(&within, Parents::Umask)?,
            within,
            modes: Vec::new(),
        })
    }

    fn entry(&mut self, head: &Head, archive: &mut Input<'_>) -> Result<(), Error> {
        let path = Path::new(OsStr::from_bytes(&head.name));
        if let Some(kind) = unsupported(head) {
            let entry = path.to_path_buf();
            return Err(Error::Unsupported { entry, kind });
        }
        let is_dir = head.kind == EntryType::Directory;
        let name = match self.place(path, path)? {
            Place::Within(name) => name,
            Place::Above if is_dir => return Ok(()),
            Place::Above => return Err(self.outside(path, path)),
        };
        if is_dir {
            if self
                .inside
                .make_dir(&name)
                .map_err(|e| self.failure(path, e))?
            {
                self.modes.push((name, head.mode));
            }
            return Ok(());
        }
        match head.kind {
            EntryType::Symlink => self.inside.make_symlink(&name, &head.link),
            EntryType::Fifo => self.inside.make_fifo(&name, head.mode),
            EntryType::Link => {
                let target = Path::new(OsStr::from_bytes(&head.link));
                match self.place(path, target)? {
                    Place::Within(target) => self.inside.make_hard_link(&name, &target),
                    Place::Above => return Err(self.outside(path, target)),
                }
            }
            _ => return self.file(path, &name, head.mode, archive),
        }
        .map_err(|error| self.failure(path, error))
    }

    fn file(
        &mut self,
        path: &Path,
        name: &Name,
        mode: u32,
        archive: &mut Input<'_>,
    ) -> Result<(), Error> {
        let file = self.inside.make_file(name);
        let mut file = file.map_err(|error| self.failure(path, error))?;
        loop {
            let part = archive.fill().map_err(Error::Archive)?;
            if part.is_empty() {
                break;
            }
            io::Write::write_all(&mut file, part)
                .map_err(|error| self.failure(path, error.into()))?;
            let len = part.len();
            archive.consume(len);
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
            Failure::Owner(owner) => Error::Owner {
                entry: entry.to_path_buf(),
                uid: owner.uid.into(),
                gid: owner.gid.into(),
            },
            Failure::Io(error) => Error::Io(io::Error::new(
                error.kind(),
                format!("failed to unpack {}: {error}", entry.display()),
            )),
        }
    }
}

/// Returns what is not unpacked about an entry.
fn unsupported(head: &Head) -> Option<&'static str> {
    match head.kind {
        _ if head.sparse => Some("a sparse file"),
        EntryType::Block | EntryType::Char => Some("a device"),
        EntryType::Directory
        | EntryType::Fifo
        | EntryType::Link
        | EntryType::Regular
        | EntryType::Symlink => None,
        _ => Some("of an unknown kind"),
    }
}
