//! Who puts files on disk and removes them: this process, or a helper that is root inside a user namespace.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::Path;
use std::process::Stdio;

use layout::DiffId;
use layout::layer::{self, Limits, Opaque, Owners, Unpack};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;

use super::Error;
use super::lock::Writer;
use crate::engine::{self, Task};
use crate::way::Way;

/// As much as a pipe holds where nobody has changed the limit for users.
const PIPE: usize = 1 << 20;

#[derive(Debug)]
pub(super) enum Hands {
    /// This process, for files that are its user's or that root may give away.
    Own(Owners, Opaque),
    /// Root inside a way's maps.
    Mapped(Way),
}

impl Hands {
    pub(super) fn of(way: &Way) -> Self {
        match way {
            Way::Root => Self::Own(Owners::Kept, Opaque::Trusted),
            Way::ManyIds(_) => Self::Mapped(way.clone()),
            Way::OneId(_) => Self::own(),
        }
    }

    /// Returns those for this user's own files.
    pub(super) fn own() -> Self {
        Self::Own(Owners::Caller, Opaque::User)
    }

    /// Unpacks a tar into an empty directory. Nobody else gets `writer` while anybody still writes there.
    pub(super) fn unpack(
        &self,
        mut tar: Box<dyn Read + Send>,
        diff_id: &DiffId,
        dir: &Path,
        limits: Limits,
        writer: &Writer,
    ) -> Result<(), Error> {
        let layer = |source| Error::Layer {
            diff_id: diff_id.clone(),
            source: Box::new(source),
        };
        match self {
            &Self::Own(owners, opaque) => {
                let how = Unpack {
                    owners,
                    opaque,
                    limits,
                };
                layer::unpack(&mut *tar, dir, &how).map_err(layer)
            }
            Self::Mapped(way) => {
                let task = Task::Unpack {
                    dir: dir.to_path_buf(),
                    bytes: limits.bytes,
                    entries: limits.entries,
                };
                let (theirs, ours) =
                    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
                // A smaller one does as well, only slower.
                rustix::pipe::fcntl_setpipe_size(&ours, PIPE).ok();
                let held = vec![writer.hold()?];
                std::thread::scope(|scope| {
                    let feeder = scope.spawn(move || feed(&mut *tar, ours.into()));
                    let done = engine::inside_holding(way, task, theirs.into(), held);
                    let fed = feeder.join();
                    // What is wrong with the layer tells more than what the helper made of it.
                    fed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                        .map_err(|error| layer(layer::Error::Archive(error)))?;
                    done.map_err(|source| Error::Helper {
                        diff_id: diff_id.clone(),
                        source: Box::new(source),
                    })
                })
            }
        }
    }

    /// Removes a directory, if it is there.
    pub(super) fn remove(&self, dir: &Path) -> Result<(), Error> {
        match self {
            Self::Mapped(way) if dir.is_symlink() || dir.exists() => {
                engine::inside(way, Task::Remove(dir.to_path_buf()), Stdio::null()).map_err(
                    |source| Error::Remove {
                        path: dir.to_path_buf(),
                        source: Box::new(source),
                    },
                )
            }
            Self::Mapped(_) => Ok(()),
            Self::Own(..) => match layer::remove(dir) {
                Ok(()) => Ok(()),
                Err(layer::Error::Io(error)) => Err(Error::Io(error)),
                Err(error) => Err(Error::Io(io::Error::other(error))),
            },
        }
    }
}

/// Unpacks what a helper reads from its standard input; what [`Hands::unpack`] asks for.
pub(crate) fn unpack_stdin(dir: &Path, bytes: u64, entries: u64) -> Result<(), layer::Error> {
    let how = Unpack {
        owners: Owners::Kept,
        opaque: Opaque::User,
        limits: Limits { bytes, entries },
    };
    layer::unpack(&mut io::stdin(), dir, &how)
}

/// Writes all of `input` to a pipe, or as much as is read from it: whoever stops says why.
fn feed(input: &mut dyn Read, mut pipe: File) -> io::Result<()> {
    let mut part = vec![0; PIPE / 4];
    loop {
        let len = input.read(&mut part)?;
        if len == 0 {
            return Ok(());
        }
        match pipe.write_all(&part[..len]) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
}

/// Tells if an overlay should show nothing below this layer; it does not look for that at the top itself.
pub(super) fn hides_all(layer: &Path) -> Result<bool, io::Error> {
    for opaque in [Opaque::User, Opaque::Trusted] {
        let mut value = [0_u8; 2];
        match rustix::fs::lgetxattr(layer, opaque.attribute(), &mut value) {
            Ok(len) => return Ok(&value[..len] == b"y"),
            // None; or of a layer whose top nobody can read but a root of the image that is not we.
            Err(Errno::NODATA | Errno::NOTSUP | Errno::ACCESS | Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
