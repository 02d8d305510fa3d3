//! A zip archive as a source.
//!
//! Every name is checked before anything is written, whether it is taken or not. Entries are then made in the order of
//! their paths, each in directories that were made here: no link is ever on the way.
//!
//! - Of two entries of one name the later counts, as if both were unpacked; where one is a directory it is an error.
//! - Modes are Unix's if the archive was made there, without set-id bits. Otherwise files and directories are 0755: nobody
//!   knows what can be executed, and what is not executable does no harm (pack makes them 0777).
//! - Together the files may have [`MAX_RATIO`] times the archive's bytes, or [`ALWAYS_ALLOWED`] if that is more. No bytes
//!   may serve two entries. A file that is longer than it says is an error.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use rustix::fs::Timespec;
use zip::read::ZipFileEntry;
use zip::result::ZipError;
use zip::{CompressionMethod, DateTime, ZipArchive};

use super::{Error, create, create_dir, create_link, finish};
use crate::filter::Filter;

/// How many bytes of files a byte of archive may stand for. Texts reach 20, zeros 1000.
pub(super) const MAX_RATIO: u128 = 200;
/// How many bytes any archive may hold.
pub(super) const ALWAYS_ALLOWED: u128 = 1 << 30;

/// The longest name or link target that a system takes.
const PATH_MAX: usize = 4096;

type Zip = ZipArchive<BufReader<fs::File>>;

pub(super) fn unpack(path: &Path, filter: &Filter, target: &Path) -> Result<(), Error> {
    let file = fs::File::open(path)?;
    let size = u128::from(file.metadata()?.len());
    let broken = |source| Error::Archive {
        path: path.to_owned(),
        source,
    };
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    if zip.has_overlapping_entries().map_err(broken)? {
        let text = "bytes of it belong to more than one entry";
        return Err(broken(ZipError::InvalidArchive(text.into())));
    }
    let mut unpacking = Unpacking {
        path,
        target,
        entries: BTreeMap::new(),
        dirs: Vec::new(),
    };
    unpacking.plan(&zip, filter)?;
    unpacking.check_size((size * MAX_RATIO).max(ALWAYS_ALLOWED))?;
    unpacking.make_all(&mut zip)
}

struct Unpacking<'a> {
    path: &'a Path,
    target: &'a Path,
    /// What is taken, by its path in the app.
    entries: BTreeMap<PathBuf, Entry>,
    /// The directories that are being filled, each in the one before.
    dirs: Vec<(PathBuf, u32, Option<SystemTime>)>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    index: usize,
    kind: Kind,
    mode: u32,
    size: u64,
    modified: Option<SystemTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link,
}

impl Unpacking<'_> {
    fn plan(&mut self, zip: &Zip, filter: &Filter) -> Result<(), Error> {
        for index in 0..zip.len() {
            let entry = zip.by_index_data(index);
            let entry = entry.map_err(|source| Error::Archive {
                path: self.path.to_owned(),
                source,
            })?;
            // Its bytes: not all who write UTF-8 say so, and other encodings are not named.
            let raw = entry.name_raw();
            let name = String::from_utf8_lossy(raw).into_owned();
            let refuse = |problem| self.refuse(&name, problem);
            let path = clean(raw).map_err(refuse)?;
            let (kind, mode) = kind_and_mode(&entry, name.ends_with('/')).map_err(refuse)?;
            if path.as_os_str().is_empty() {
                match kind {
                    Kind::Directory => continue,
                    _ => return Err(refuse("has no name".to_owned())),
                }
            }
            if !filter.takes(&path, kind == Kind::Directory) {
                continue;
            }
            check_readable(&entry).map_err(refuse)?;
            let planned = Entry {
                index,
                kind,
                mode,
                size: entry.size(),
                modified: entry.last_modified().and_then(time),
                name,
            };
            if let Some(before) = self.entries.insert(path.clone(), planned)
                && (before.kind == Kind::Directory) != (kind == Kind::Directory)
            {
                let problem = "is there twice, as a directory and not as one";
                return Err(self.refuse(&before.name, problem.to_owned()));
            }
        }
        Ok(())
    }

    fn check_size(&self, limit: u128) -> Result<(), Error> {
        let size = self.entries.values().map(|it| u128::from(it.size)).sum();
        if size > limit {
            return Err(Error::TooLarge {
                path: self.path.to_owned(),
                size,
                limit,
            });
        }
        Ok(())
    }

    fn make_all(&mut self, zip: &mut Zip) -> Result<(), Error> {
        let entries = std::mem::take(&mut self.entries);
        for (path, entry) in &entries {
            let parent = path.parent().unwrap_or(Path::new(""));
            self.leave_for(path)?;
            self.enter(parent, &entries, entry)?;
            let to = self.target.join(path);
            match entry.kind {
                Kind::Directory => {
                    create_dir(&to)?;
                    self.dirs.push((path.clone(), entry.mode, entry.modified));
                }
                Kind::File => self.make_file(zip, entry, &to)?,
                Kind::Link => {
                    let link = self.read_link(zip, entry)?;
                    create_link(&link, &to, entry.modified.and_then(timespec))?;
                }
            }
        }
        self.leave_for(Path::new(""))
    }

    /// Finishes the directories that a path is not in.
    fn leave_for(&mut self, path: &Path) -> Result<(), Error> {
        while let Some((dir, mode, modified)) = self.dirs.pop_if(|(dir, ..)| !path.starts_with(dir))
        {
            let made = fs::File::open(self.target.join(dir))?;
            finish(&made, mode, modified)?;
        }
        Ok(())
    }

    /// Makes the directories down to `dir` that have no entry of their own.
    fn enter(
        &mut self,
        dir: &Path,
        entries: &BTreeMap<PathBuf, Entry>,
        entry: &Entry,
    ) -> Result<(), Error> {
        let made = self.dirs.last().map_or(Path::new(""), |(dir, ..)| dir);
        let missing: Vec<_> = dir.ancestors().take_while(|it| *it != made).collect();
        for dir in missing.into_iter().rev() {
            if let Some(above) = entries.get(dir) {
                let problem = format!("is below {:?}, which is no directory", above.name);
                return Err(self.refuse(&entry.name, problem));
            }
            create_dir(&self.target.join(dir))?;
            self.dirs.push((dir.to_owned(), 0o755, None));
        }
        Ok(())
    }

    fn make_file(&self, zip: &mut Zip, entry: &Entry, to: &Path) -> Result<(), Error> {
        let reader = zip.by_index(entry.index);
        let reader = reader.map_err(|error| self.refuse(&entry.name, cannot(&error)))?;
        let mut file = create(to)?;
        // One byte more than there should be also makes the reader check what it read.
        let mut reader = reader.take(entry.size.saturating_add(1));
        let mut source = Source {
            reader: &mut reader,
            error: None,
        };
        let copied = io::copy(&mut source, &mut file);
        if let Some(error) = source.error {
            return Err(self.refuse(&entry.name, cannot(&error)));
        }
        if copied? != entry.size {
            let problem = format!("does not have the {} bytes that it declares", entry.size);
            return Err(self.refuse(&entry.name, problem));
        }
        Ok(finish(&file, entry.mode, entry.modified)?)
    }

    fn read_link(&self, zip: &mut Zip, entry: &Entry) -> Result<PathBuf, Error> {
        let mut target = Vec::new();
        let read = match zip.by_index(entry.index) {
            Ok(reader) => reader
                .take(PATH_MAX as u64)
                .read_to_end(&mut target)
                .map_err(|error| cannot(&error)),
            Err(error) => Err(cannot(&error)),
        };
        read.map_err(|problem| self.refuse(&entry.name, problem))?;
        if target.is_empty() || target.len() >= PATH_MAX || target.contains(&0) {
            let problem = "is a symbolic link that cannot be made".to_owned();
            return Err(self.refuse(&entry.name, problem));
        }
        Ok(OsString::from_vec(target).into())
    }

    fn refuse(&self, name: &str, problem: String) -> Error {
        Error::Entry {
            path: self.path.to_owned(),
            entry: name.to_owned(),
            problem,
        }
    }
}

/// Tells errors of the archive from those of the disk that it is unpacked to.
struct Source<'a, R> {
    reader: &'a mut R,
    error: Option<io::Error>,
}

impl<R: io::Read> io::Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer).map_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.error = Some(error);
            }
            kind.into()
        })
    }
}

fn cannot(error: &dyn std::error::Error) -> String {
    format!("cannot be read: {error}")
}

/// Returns an entry's name as a path of plain components; empty for the top itself.
fn clean(name: &[u8]) -> Result<PathBuf, String> {
    let parts = || name.split(|&byte| byte == b'/');
    let has_drive = matches!(name, [letter, b':', ..] if letter.is_ascii_alphabetic());
    let problem = if name.len() >= PATH_MAX {
        "has a name that is too long"
    } else if name.contains(&0) {
        "has a NUL byte in its name"
    } else if name.contains(&b'\\') {
        "has a backslash in its name, which may mean a directory or not"
    } else if name.starts_with(b"/") {
        "has an absolute path"
    } else if has_drive {
        "begins with a drive letter"
    } else if parts().any(|part| part == b"..") {
        "has \"..\" in its path"
    } else {
        let parts = parts().filter(|part| !part.is_empty() && *part != b".");
        return Ok(parts.map(OsStr::from_bytes).collect());
    };
    Err(problem.to_owned())
}

fn kind_and_mode(entry: &ZipFileEntry<'_>, has_slash: bool) -> Result<(Kind, u32), String> {
    const UNIX: [u8; 2] = [3, 19];
    const DOS_DIRECTORY: u32 = 0x10;
    let attributes = entry.external_attributes();
    let mode = if UNIX.contains(&(entry.system() as u8)) {
        attributes >> 16
    } else {
        0
    };
    let kind = match mode & 0o170_000 {
        0o040_000 => Kind::Directory,
        0 | 0o100_000 if has_slash => Kind::Directory,
        0 if mode == 0 && attributes & DOS_DIRECTORY != 0 => Kind::Directory,
        0 | 0o100_000 => Kind::File,
        0o120_000 if !has_slash => Kind::Link,
        _ => return Err("is neither file, directory nor symbolic link".to_owned()),
    };
    Ok((kind, if mode == 0 { 0o755 } else { mode & 0o777 }))
}

fn check_readable(entry: &ZipFileEntry<'_>) -> Result<(), String> {
    if entry.encrypted() {
        return Err("is encrypted".to_owned());
    }
    match entry.compression() {
        CompressionMethod::Stored | CompressionMethod::Deflated => Ok(()),
        other => Err(format!(
            "is compressed by {other}; only deflate is known here"
        )),
    }
}

/// Returns a time of DOS, which has no zone, as if it were UTC: the same everywhere.
fn time(time: DateTime) -> Option<SystemTime> {
    let days = days_since_1970(time.year(), time.month(), time.day())?;
    let seconds =
        u64::from(time.hour()) * 3600 + u64::from(time.minute()) * 60 + u64::from(time.second());
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400 + seconds))
}

fn days_since_1970(year: u16, month: u8, day: u8) -> Option<u64> {
    // Years begin in March, so that the day that leap years add is their last.
    let (year, month) = match month {
        1 | 2 => (u64::from(year).checked_sub(1)?, u64::from(month) + 9),
        _ => (u64::from(year), u64::from(month).checked_sub(3)?),
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400;
    let in_year = (153 * month + 2) / 5 + u64::from(day);
    // 1 March of year 0 is 719469 days before 1 January 1970.
    (days + in_year).checked_sub(719_469)
}

fn timespec(time: SystemTime) -> Option<Timespec> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timespec {
        tv_sec: i64::try_from(since.as_secs()).ok()?,
        tv_nsec: 0,
    })
}

#[cfg(test)]
mod tests;
