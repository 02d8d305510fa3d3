//! Unpacking a whole image layer, owners and whiteouts included, into a directory that is one layer of an overlay
//! (OCI image specification, layer.md).
//!
//! As in [`super::extract`], names are walked one component at a time from a handle of the directory, never through a
//! symbolic link. Here the directory is new and nobody else's, and an entry replaces the one before it that has its name.
//!
//! | in the layer | on disk |
//! |---|---|
//! | `.wh.NAME` | character device 0:0 with that name, unless the layer itself has it |
//! | `.wh..wh..opq` | the attribute `…overlay.opaque` of its directory, `y` |
//! | other `.wh..wh.…` (aufs's own) | nothing |
//! | a directory that a whiteout of the same layer names | that directory, opaque |
//! | a directory that is needed and not listed | `root:root`, 0755 |
//! | devices, extended attributes | nothing: a sandbox has a `/dev` of its own, and overlay's attributes would lead out of it |
//!
//! Directories get owner, mode and time at the end, so that neither a mode nor what is put in changes them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tar::EntryType;

use super::ahead::Ahead;
use super::inside::{self, Attributes, Failure, Inside, Name, Parents};
use super::read::{Archive, Head, Time};
use super::{Error, Owner, Owners, Unpack};

/// Bytes of a name at most: what a program can give to the kernel.
const MAX_NAME: usize = 4096;
/// Components of a name at most. Removing a tree opens one directory for each.
const MAX_DEPTH: usize = 256;

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

pub(super) fn unpack(tar: &mut (dyn Read + Send), dir: &Path, how: &Unpack) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let input = Metered {
            inner: Ahead::spawn(scope, tar),
            left: how.limits.bytes,
            limit: how.limits.bytes,
        };
        let mut archive = Archive::new(input);
        let mut unpacking = Unpacking::begin(dir, how)?;
        while let Some(head) = archive.next_head().map_err(damage)? {
            unpacking.entry(&head, &mut archive)?;
        }
        archive.finish().map_err(damage)?;
        unpacking.finish()
    })
}

pub(super) fn remove(dir: &Path) -> Result<(), Error> {
    let Some(base) = dir.file_name() else {
        return Ok(());
    };
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut parent = Inside::open(parent.unwrap_or(Path::new(".")), Parents::Image)?;
    let name = Name::new(Path::new(base));
    let removed = name.map_or(Ok(()), |name| parent.remove(&name));
    removed.map_err(|failure| failed(dir, Path::new(base), failure))
}

struct Unpacking<'a> {
    how: &'a Unpack,
    dir: &'a Path,
    inside: Inside,
    /// Directories that were listed, with what they get at the end; the top has no name.
    directories: BTreeMap<PathBuf, Attributes>,
    entries: u64,
}

/// What an entry's name means.
enum Place {
    Top,
    Name(Name),
    /// Something of this name is gone.
    Whiteout(Name),
    /// Nothing of the layers below shows in this directory, which may be the top.
    Opaque(Option<Name>),
    Ignored,
}

impl<'a> Unpacking<'a> {
    fn begin(dir: &'a Path, how: &'a Unpack) -> Result<Self, Error> {
        let mut inside = Inside::open(dir, Parents::Image)?;
        let owner = Owner { uid: 0, gid: 0 };
        let top = Attributes {
            owner: (how.owners == Owners::Kept).then_some(owner),
            mode: 0o755,
            mtime: Time::default(),
        };
        // Until the end nobody else can use it; and no group is inherited from it.
        let private = Attributes { mode: 0o700, ..top };
        inside
            .set_dir_attributes(None, &private)
            .map_err(|failure| failed(dir, Path::new("/"), failure))?;
        Ok(Self {
            how,
            dir,
            inside,
            directories: BTreeMap::from([(PathBuf::new(), top)]),
            entries: 0,
        })
    }

    fn entry<R: BufRead>(&mut self, head: &Head, archive: &mut Archive<R>) -> Result<(), Error> {
        let entry = Path::new(OsStr::from_bytes(&head.name));
        match place(self.dir, entry)? {
            Place::Ignored => {}
            Place::Top if head.kind == EntryType::Directory => {
                let attributes = self.attributes(entry, head)?;
                self.directories.insert(PathBuf::new(), attributes);
            }
            Place::Top => return Err(outside(self.dir, entry, entry)),
            Place::Opaque(dir) => self
                .opaque(dir.as_ref())
                .map_err(|failure| self.no_whiteout(entry, failure))?,
            Place::Whiteout(name) => self
                .whiteout(&name)
                .map_err(|failure| self.no_whiteout(entry, failure))?,
            Place::Name(name) => self.make(entry, &name, head, archive)?,
        }
        self.entries += 1;
        let limit = self.how.limits.entries;
        if self.entries + self.inside.made() > limit {
            let what = "files and directories";
            return Err(Error::TooMuch { limit, what });
        }
        Ok(())
    }

    fn make<R: BufRead>(
        &mut self,
        entry: &Path,
        name: &Name,
        head: &Head,
        archive: &mut Archive<R>,
    ) -> Result<(), Error> {
        let refused = |kind| {
            let entry = entry.to_path_buf();
            Err(Error::Unsupported { entry, kind })
        };
        if head.sparse {
            return refused("a sparse file");
        }
        let attributes = self.attributes(entry, head)?;
        let made = match head.kind {
            EntryType::Block | EntryType::Char => Ok(()),
            EntryType::Directory => {
                self.replacing(name, |inside| inside.make_dir(name))
                    .map(|_| {
                        self.directories.insert(name.to_path(), attributes);
                    })
            }
            EntryType::Fifo => self
                .replacing(name, |inside| inside.make_fifo(name, 0o600))
                .and_then(|()| self.inside.set_attributes(name, &attributes, false)),
            EntryType::Link => {
                let target = Path::new(OsStr::from_bytes(&head.link));
                let Place::Name(target) = place(self.dir, target)? else {
                    return Err(outside(self.dir, entry, target));
                };
                self.hard_link(name, &target)
            }
            EntryType::Regular => return self.file(entry, name, &attributes, archive),
            EntryType::Symlink => self
                .replacing(name, |inside| inside.make_symlink(name, &head.link))
                .and_then(|()| self.inside.set_attributes(name, &attributes, true)),
            _ => return refused("of an unknown kind"),
        };
        made.map_err(|failure| failed(self.dir, entry, failure))
    }

    fn file<R: BufRead>(
        &mut self,
        entry: &Path,
        name: &Name,
        attributes: &Attributes,
        archive: &mut Archive<R>,
    ) -> Result<(), Error> {
        let fail = |failure| failed(self.dir, entry, failure);
        let file = self.replacing(name, |inside| inside.make_new_file(name));
        let mut file = file.map_err(fail)?;
        loop {
            let part = archive.fill().map_err(damage)?;
            if part.is_empty() {
                break;
            }
            file.write_all(part).map_err(|error| fail(error.into()))?;
            let len = part.len();
            archive.consume(len);
        }
        inside::set_attributes(&file, attributes).map_err(fail)
    }

    /// Makes a hard link to something of this layer that is no directory.
    fn hard_link(&mut self, name: &Name, target: &Name) -> Result<(), Failure> {
        if self.inside.is_whiteout(target)? {
            return Err(Failure::InTheWay(target.to_path()));
        }
        if name == target {
            return Ok(());
        }
        self.replacing(name, |inside| inside.make_hard_link(name, target))
    }

    /// Marks something as gone. What this layer has itself is not: only what a directory has in the layers below.
    fn whiteout(&mut self, name: &Name) -> Result<(), Failure> {
        match self.through_whiteouts(|inside| inside.make_whiteout(name)) {
            Err(Failure::Io(error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
        match self.inside.make_dir(name) {
            Ok(_) => self.opaque(Some(name)),
            Err(Failure::InTheWay(path)) if path == name.to_path() => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    fn opaque(&mut self, dir: Option<&Name>) -> Result<(), Failure> {
        if let Some(name) = dir {
            self.through_whiteouts(|inside| inside.make_path(&name.to_path()))?;
        }
        let attribute = self.how.opaque.attribute();
        self.inside.set_dir_attribute(dir, attribute, b"y")
    }

    /// Makes something, in place of whatever this layer has there.
    fn replacing<T>(
        &mut self,
        name: &Name,
        make: impl Fn(&mut Inside) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let path = name.to_path();
        match self.through_whiteouts(&make) {
            Err(Failure::InTheWay(other)) if other != path => {
                return Err(Failure::InTheWay(other));
            }
            Err(failure) if failure.is_existence() => {}
            result => return result,
        }
        let below = self.directories.range(path.clone()..);
        let below = below.take_while(|(dir, _)| dir.starts_with(&path));
        for dir in below.map(|(dir, _)| dir.clone()).collect::<Vec<_>>() {
            self.directories.remove(&dir);
        }
        self.inside.remove(name)?;
        make(&mut self.inside)
    }

    /// Makes something; a whiteout where a directory is needed becomes one in which nothing from below shows.
    fn through_whiteouts<T>(
        &mut self,
        make: impl Fn(&mut Inside) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            let (path, name) = match make(&mut self.inside) {
                Err(Failure::InTheWay(path)) => match Name::new(&path) {
                    Some(name) => (path, name),
                    None => return Err(Failure::InTheWay(path)),
                },
                result => return result,
            };
            if !self.inside.is_whiteout(&name)? {
                return Err(Failure::InTheWay(path));
            }
            self.inside.remove(&name)?;
            self.inside.make_path(&path)?;
            let attribute = self.how.opaque.attribute();
            self.inside
                .set_dir_attribute(Some(&name), attribute, b"y")?;
        }
    }

    /// Gives the listed directories what the archive says of them: what is below first, which the mode above may hide.
    fn finish(mut self) -> Result<(), Error> {
        for (dir, attributes) in std::mem::take(&mut self.directories).iter().rev() {
            self.inside
                .set_dir_attributes(Name::new(dir).as_ref(), attributes)
                .map_err(|failure| failed(self.dir, dir, failure))?;
        }
        Ok(())
    }

    fn attributes(&self, entry: &Path, head: &Head) -> Result<Attributes, Error> {
        let owner = match self.how.owners {
            Owners::Caller => None,
            Owners::Kept => match (u32::try_from(head.uid), u32::try_from(head.gid)) {
                (Ok(uid), Ok(gid)) => Some(Owner { uid, gid }),
                _ => {
                    return Err(Error::Owner {
                        entry: entry.to_path_buf(),
                        uid: head.uid,
                        gid: head.gid,
                    });
                }
            },
        };
        Ok(Attributes {
            owner,
            mode: head.mode,
            mtime: head.mtime,
        })
    }

    fn no_whiteout(&self, entry: &Path, failure: Failure) -> Error {
        match failure {
            Failure::Io(source) => Error::Whiteout {
                entry: entry.to_path_buf(),
                dir: self.dir.to_path_buf(),
                source,
            },
            failure => failed(self.dir, entry, failure),
        }
    }
}

/// Finds what a name in an archive means.
fn place(dir: &Path, entry: &Path) -> Result<Place, Error> {
    let refused = |kind| {
        let entry = entry.to_path_buf();
        Err(Error::Unsupported { entry, kind })
    };
    let bytes = entry.as_os_str().as_bytes();
    if bytes.len() > MAX_NAME {
        return refused("named with more than 4096 bytes");
    }
    let is_name = |part: &&[u8]| !matches!(*part, b"" | b".");
    let mut parts: Vec<&[u8]> = bytes.split(|&b| b == b'/').filter(is_name).collect();
    if parts.iter().any(|part| part == b"..") {
        return Err(outside(dir, entry, entry));
    }
    if parts.len() > MAX_DEPTH {
        return refused("more than 256 directories deep");
    }
    let Some(base) = parts.pop() else {
        return Ok(Place::Top);
    };
    if let Some(above) = parts.iter().find(|part| part.starts_with(WHITEOUT)) {
        if above.starts_with(AUFS) {
            return Ok(Place::Ignored);
        }
        return refused("below a whiteout");
    }
    let name = |base: &[u8]| {
        let path: PathBuf = parts.iter().map(|part| OsStr::from_bytes(part)).collect();
        Name::new(&path.join(OsStr::from_bytes(base)))
    };
    if base == OPAQUE {
        let path: PathBuf = parts.iter().map(|part| OsStr::from_bytes(part)).collect();
        return Ok(Place::Opaque(Name::new(&path)));
    }
    if base.starts_with(AUFS) {
        return Ok(Place::Ignored);
    }
    match base.strip_prefix(WHITEOUT) {
        None => Ok(name(base).map_or(Place::Top, Place::Name)),
        // Neither nothing nor a directory above can be gone.
        Some(b"" | b"." | b"..") => refused("a whiteout of no name"),
        Some(base) => Ok(name(base).map_or(Place::Ignored, Place::Whiteout)),
    }
}

fn outside(dir: &Path, entry: &Path, path: &Path) -> Error {
    Error::Outside {
        entry: entry.to_path_buf(),
        path: path.to_path_buf(),
        within: dir.to_path_buf(),
    }
}

fn failed(dir: &Path, entry: &Path, failure: Failure) -> Error {
    match failure {
        Failure::InTheWay(path) => Error::Blocked {
            entry: entry.to_path_buf(),
            path: dir.join(path),
        },
        Failure::Io(error) => Error::Io(io::Error::new(
            error.kind(),
            format!("failed to unpack {}: {error}", entry.display()),
        )),
        Failure::Owner(owner) => Error::Owner {
            entry: entry.to_path_buf(),
            uid: owner.uid.into(),
            gid: owner.gid.into(),
        },
    }
}

/// Passes on so many bytes and no more.
struct Metered<R> {
    inner: R,
    left: u64,
    limit: u64,
}

/// What [`Metered`] fails with.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to more than {0} bytes")]
struct MoreThan(u64);

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let part = self.inner.fill_buf()?;
        let len = usize::try_from(self.left).map_or(part.len(), |left| left.min(part.len()));
        if len == 0 && !part.is_empty() {
            return Err(io::Error::other(MoreThan(self.limit)));
        }
        Ok(&part[..len])
    }

    fn consume(&mut self, len: usize) {
        self.inner.consume(len);
        self.left = self.left.saturating_sub(len as u64);
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buffer)?;
        self.consume(len);
        Ok(len)
    }
}

/// Tells an archive that is too large from one that is damaged.
fn damage(error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(&MoreThan(limit)) => Error::TooMuch {
            limit,
            what: "bytes",
        },
        None => Error::Archive(error),
    }
}
