//! The byte stream of a layer's tar, made as it is asked for, from its beginning or from any [`Place`] in it.
//!
//! Contents are read straight into the caller's buffer, so a layer of any size passes through
//! memory once. A file that is shorter or longer than its entry says ends the stream with an error
//! that names it: a tar with wrong contents is never finished (EXP-037).

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::header::{self, BLOCK};
use super::{Entry, EntryKind, Error};

/// Two blocks of zeros, the end of an archive.
const TRAILER_LEN: usize = 2 * BLOCK;

/// A tar that is not written yet.
#[derive(Debug)]
pub(super) struct Tar<'a> {
    entries: std::slice::Iter<'a, Entry>,
    /// Bytes that are ready, from `sent` on: headers, padding, the trailer.
    ready: Vec<u8>,
    sent: usize,
    folder: Folder<'a>,
    contents: Option<Contents<'a>>,
    ended: bool,
}

impl<'a> Tar<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries: entries.iter(),
            ready: Vec::new(),
            sent: 0,
            folder: Folder::default(),
            contents: None,
            ended: false,
        }
    }

    /// Returns what follows `place`.
    pub(super) fn at(entries: &'a [Entry], place: Place) -> Result<Self, Error> {
        let mut tar = Self::new(&entries[place.entry..]);
        let Some(entry) = tar.entries.next() else {
            tar.end();
            tar.skip_ready(place.skip);
            return Ok(tar);
        };
        header::append(entry, &mut tar.ready)?;
        let headers = tar.ready.len() as u64;
        let EntryKind::File { source, size } = &entry.kind else {
            tar.skip_ready(place.skip);
            return Ok(tar);
        };
        let in_contents = place.skip.saturating_sub(headers);
        if in_contents < *size || in_contents == 0 {
            tar.skip_ready(place.skip);
            tar.open(source, *size, in_contents)?;
        } else {
            // Whoever read the last of the contents saw that they end there.
            tar.ready.clear();
            tar.ready.resize(padding(*size), 0);
            tar.skip_ready(in_contents - size);
        }
        Ok(tar)
    }

    /// Fills `buffer` with the next bytes; returns fewer than its length only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            let room = &mut buffer[filled..];
            if self.sent < self.ready.len() {
                filled += self.take_ready(room);
            } else if let Some(contents) = &mut self.contents {
                filled += contents.read(room)?;
                if contents.left == 0 {
                    self.end_contents()?;
                }
            } else if let Some(entry) = self.entries.next() {
                self.begin(entry)?;
            } else if self.ended {
                break;
            } else {
                self.end();
            }
        }
        Ok(filled)
    }

    /// Writes the whole tar.
    pub(super) fn copy_to(mut self, out: &mut dyn Write) -> Result<(), Error> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let len = self.fill(&mut buffer)?;
            out.write_all(&buffer[..len])?;
            if len < buffer.len() {
                return Ok(());
            }
        }
    }

    fn take_ready(&mut self, room: &mut [u8]) -> usize {
        let ready = &self.ready[self.sent..];
        let len = ready.len().min(room.len());
        room[..len].copy_from_slice(&ready[..len]);
        self.sent += len;
        if self.sent == self.ready.len() {
            self.ready.clear();
            self.sent = 0;
        }
        len
    }

    fn skip_ready(&mut self, len: u64) {
        self.sent = usize::try_from(len).unwrap_or(usize::MAX);
        if self.sent >= self.ready.len() {
            self.ready.clear();
            self.sent = 0;
        }
    }

    fn begin(&mut self, entry: &'a Entry) -> Result<(), Error> {
        header::append(entry, &mut self.ready)?;
        if let EntryKind::File { source, size } = &entry.kind {
            self.open(source, *size, 0)?;
        }
        Ok(())
    }

    /// Goes on with a file's contents, after what is ready.
    fn open(&mut self, source: &'a Path, size: u64, offset: u64) -> Result<(), Error> {
        let contents = Contents {
            file: self
                .folder
                .open(source)
                .map_err(|source_error| Error::Open {
                    path: source.to_path_buf(),
                    source: source_error,
                })?,
            path: source,
            size,
            left: size - offset,
            seen_end: false,
        };
        if size == 0 {
            // Nobody will read of it, and it must be empty all the same.
            return contents.end();
        }
        self.contents = Some(contents);
        Ok(())
    }

    fn end_contents(&mut self) -> Result<(), Error> {
        if let Some(contents) = self.contents.take() {
            self.ready.resize(padding(contents.size), 0);
            contents.end()?;
        }
        Ok(())
    }

    fn end(&mut self) {
        self.ready.resize(TRAILER_LEN, 0);
        self.ended = true;
    }
}

/// A place in a tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Index of the entry that it is in; behind the last one are the zeros at the end.
    entry: usize,
    /// Bytes of the entry, headers included, in front of it.
    skip: u64,
}

/// Where the parts of a tar begin that all but the last have the same length.
#[derive(Debug)]
pub(super) struct Places<'a> {
    entries: &'a [Entry],
    len: u64,
    next: Place,
    /// Bytes of the entry that the next place is in.
    entry_len: Option<u64>,
}

impl<'a> Places<'a> {
    pub(super) fn new(entries: &'a [Entry], len: u64) -> Self {
        Self {
            entries,
            len,
            next: Place { entry: 0, skip: 0 },
            entry_len: None,
        }
    }

    /// Returns the bytes of the entry that the next place is in; `None` behind the end of the tar.
    fn entry_len(&mut self) -> Result<Option<u64>, Error> {
        if self.entry_len.is_none() {
            let len = match self.entries.get(self.next.entry) {
                Some(entry) => entry_len(entry)?,
                None if self.next.entry == self.entries.len() => TRAILER_LEN as u64,
                None => return Ok(None),
            };
            self.entry_len = Some(len);
        }
        Ok(self.entry_len)
    }

    fn advance(&mut self) -> Result<Option<Place>, Error> {
        if self.entry_len()?.is_none() {
            return Ok(None);
        }
        let place = self.next;
        let mut left = self.len;
        while let Some(len) = self.entry_len()? {
            let rest = len - self.next.skip;
            if left < rest {
                self.next.skip += left;
                break;
            }
            left -= rest;
            self.next.entry += 1;
            self.next.skip = 0;
            self.entry_len = None;
        }
        Ok(Some(place))
    }
}

impl Iterator for Places<'_> {
    type Item = Result<Place, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

/// Returns the bytes of the whole tar.
pub(super) fn size(entries: &[Entry]) -> Result<u64, Error> {
    let mut size = TRAILER_LEN as u64;
    for entry in entries {
        size = size.saturating_add(entry_len(entry)?);
    }
    Ok(size)
}

/// Returns the bytes of one entry: headers, contents, padding.
fn entry_len(entry: &Entry) -> Result<u64, Error> {
    let headers = header::len(entry)? as u64;
    Ok(match entry.kind {
        EntryKind::File { size, .. } => headers.saturating_add(size.next_multiple_of(BLOCK as u64)),
        _ => headers,
    })
}

/// Returns how many zeros follow contents.
fn padding(size: u64) -> usize {
    let over = size % BLOCK as u64;
    usize::try_from(over).map_or(0, |over| (BLOCK - over) % BLOCK)
}

/// Opens files. From the second one in a directory on, names are looked up in it and not from `/`: where files are
/// small, that is a good part of what reading one costs.
#[derive(Debug, Default)]
struct Folder<'a> {
    path: Option<&'a [u8]>,
    /// `path`, once a second file is wanted.
    directory: Option<OwnedFd>,
}

impl<'a> Folder<'a> {
    fn open(&mut self, file: &'a Path) -> io::Result<OwnedFd> {
        // Were the file replaced by a FIFO since it was walked, opening it would wait for ever.
        const READ: OFlags = OFlags::RDONLY
            .union(OFlags::NONBLOCK)
            .union(OFlags::CLOEXEC);
        const LOOK_UP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
        let bytes = file.as_os_str().as_bytes();
        let slash = bytes.iter().rposition(|&byte| byte == b'/');
        let (folder, name) = slash.map_or((None, bytes), |slash| {
            (Some(&bytes[..slash]), &bytes[slash + 1..])
        });
        if let Some(path) = folder.filter(|path| !path.is_empty() && !name.is_empty())
            && self.path == folder
        {
            let directory = match self.directory.take() {
                Some(directory) => directory,
                None => rustix::fs::open(path, LOOK_UP, Mode::empty())?,
            };
            let directory = self.directory.insert(directory);
            return Ok(rustix::fs::openat(directory, name, READ, Mode::empty())?);
        }
        self.path = folder;
        self.directory = None;
        Ok(rustix::fs::open(file, READ, Mode::empty())?)
    }
}

/// A file whose bytes are being read.
#[derive(Debug)]
struct Contents<'a> {
    file: OwnedFd,
    path: &'a Path,
    size: u64,
    left: u64,
    /// That nothing follows was seen while the last bytes were read.
    seen_end: bool,
}

impl Contents<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        // One byte more than there may be, if there is room: a system call less for every small file.
        let most = self.left.saturating_add(1);
        let most = usize::try_from(most).map_or(room.len(), |most| most.min(room.len()));
        let offset = self.size - self.left;
        let len = self.read_at(&mut room[..most], offset)?;
        match len as u64 {
            0 => Err(self.changed("shorter")),
            read if read > self.left => Err(self.changed("longer")),
            read => {
                self.left -= read;
                self.seen_end = self.left == 0 && len < most;
                Ok(len)
            }
        }
    }

    fn end(self) -> Result<(), Error> {
        if self.seen_end || self.read_at(&mut [0], self.size)? == 0 {
            return Ok(());
        }
        Err(self.changed("longer"))
    }

    fn read_at(&self, room: &mut [u8], offset: u64) -> Result<usize, Error> {
        match rustix::io::retry_on_intr(|| rustix::io::pread(&self.file, &mut *room, offset)) {
            // A FIFO took the file's place.
            Err(Errno::SPIPE) => Ok(0),
            Err(errno) => Err(Error::Read {
                path: self.path.to_path_buf(),
                source: errno.into(),
            }),
            Ok(len) => Ok(len),
        }
    }

    fn changed(&self, found: &'static str) -> Error {
        Error::Changed {
            path: self.path.to_path_buf(),
            expected: self.size,
            found,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::layer::tests::sha256;

    fn entry(name: &str, mode: u32, kind: EntryKind) -> Entry {
        Entry {
            name: Path::new(name).into(),
            mode,
            uid: 0,
            gid: 0,
            kind,
        }
    }

    fn file(source: &Path, size: u64) -> Entry {
        let source = source.to_path_buf();
        entry(
            "/f",
            0o644,
            EntryKind::File {
                source: source.into(),
                size,
            },
        )
    }

    fn bytes(entries: &[Entry]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        Tar::new(entries).copy_to(&mut bytes)?;
        Ok(bytes)
    }

    /// Whatever is cut where: in headers, in contents, in padding, in the end.
    #[test]
    fn parts_are_those_of_the_whole() {
        let dir = TempDir::new().unwrap();
        let mut entries = vec![entry("/dir", 0o755, EntryKind::Directory)];
        for (number, size) in [0, 1, 511, 512, 513, 5000].into_iter().enumerate() {
            let source = dir.path().join(number.to_string());
            let contents: Vec<u8> = (0..size).map(|it| (it % 251) as u8).collect();
            fs_err::write(&source, contents).unwrap();
            entries.push(file(&source, size));
        }
        entries.push(entry(
            &format!("/{}", "é".repeat(120)),
            0o755,
            EntryKind::Directory,
        ));
        let whole = bytes(&entries).unwrap();
        assert_eq!(whole.len() as u64, size(&entries).unwrap());
        for len in [
            1,
            7,
            256,
            511,
            512,
            513,
            1024,
            4096,
            whole.len(),
            whole.len() + 1,
        ] {
            let mut parts = Vec::new();
            for place in Places::new(&entries, len as u64) {
                let mut part = vec![0; len];
                let tar = Tar::at(&entries, place.unwrap());
                let filled = tar.unwrap().fill(&mut part).unwrap();
                parts.extend_from_slice(&part[..filled]);
            }
            assert!(parts == whole, "parts of {len} bytes");
        }
        assert_eq!(Places::new(&[], 1024).count(), 1);
    }

    #[test]
    fn an_empty_layer_is_two_zero_blocks() {
        // EXP-053
        let empty = bytes(&[]).unwrap();
        assert_eq!(empty, [0; 1024]);
        assert_eq!(
            sha256(&empty),
            "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
        );
    }

    #[test]
    fn the_process_types_layer_is_the_reference_s() {
        // EXP-044
        let target = PathBuf::from("/cnb/lifecycle/launcher");
        let tar = bytes(&[
            entry("/cnb", 0o755, EntryKind::Directory),
            entry("/cnb/process", 0o755, EntryKind::Directory),
            entry("/cnb/process/web", 0o755, EntryKind::Symlink { target }),
        ])
        .unwrap();
        assert_eq!(tar.len(), 2560);
        assert_eq!(
            sha256(&tar),
            "83d85471d9f8a3834b4e27cf701e3f0aef220cc816d9c173c7d32cd73909a590"
        );
    }

    #[test]
    fn contents_are_padded_to_whole_blocks() {
        // EXP-037
        let dir = TempDir::new().unwrap();
        for (size, blocks) in [(0, 0), (1, 1), (511, 1), (512, 1), (513, 2)] {
            let path = dir.path().join(size.to_string());
            fs_err::write(&path, vec![b'x'; size]).unwrap();
            let tar = bytes(&[file(&path, size as u64)]).unwrap();
            assert_eq!(
                super::size(&[file(&path, size as u64)]).unwrap(),
                tar.len() as u64
            );
            let (contents, rest) = tar[512..].split_at(size);
            assert_eq!(tar.len(), 512 * (1 + blocks + 2), "{size}");
            assert!(contents.iter().all(|&byte| byte == b'x'), "{size}");
            assert!(rest.iter().all(|&byte| byte == 0), "{size}");
        }
    }

    #[test]
    fn the_stream_does_not_depend_on_the_size_of_the_buffer() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("f");
        fs_err::write(&path, [7; 1000]).unwrap();
        let entries = [file(&path, 1000), file(&path, 1000)];
        let whole = bytes(&entries).unwrap();
        for len in [1, 511, 512, 513, 4000] {
            let mut tar = Tar::new(&entries);
            let mut pieces = Vec::new();
            let mut buffer = vec![0; len];
            loop {
                let filled = tar.fill(&mut buffer).unwrap();
                pieces.extend_from_slice(&buffer[..filled]);
                if filled < len {
                    break;
                }
            }
            assert_eq!(pieces, whole, "{len}");
        }
    }

    #[test]
    fn a_file_that_changed_is_an_error_that_names_it() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("moving");
        fs_err::write(&path, [7; 1000]).unwrap();
        for (size, found) in [(999, "longer"), (0, "longer"), (1001, "shorter")] {
            let error = bytes(&[file(&path, size)]).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Changed { .. }), "{text}");
            assert!(text.contains("moving") && text.contains(found), "{text}");
        }
    }

    #[test]
    fn a_fifo_in_place_of_a_file_does_not_block() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("fifo");
        let (kind, mode) = (rustix::fs::FileType::Fifo, Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let error = bytes(&[file(&path, 3)]).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
    }
}
