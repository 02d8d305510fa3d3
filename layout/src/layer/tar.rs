//! The byte stream of a layer's tar, made as it is asked for.
//!
//! Contents are read straight into the caller's buffer, so a layer of any size passes through
//! memory once. A file that is shorter or longer than its entry says ends the stream with an error
//! that names it: a tar with wrong contents is never finished (EXP-037).

use std::io::{Read as _, Write};
use std::path::Path;

use fs_err::File;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::OFlags;

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
    contents: Option<Contents<'a>>,
    ended: bool,
}

impl<'a> Tar<'a> {
    pub(super) fn new(entries: &'a [Entry]) -> Self {
        Self {
            entries: entries.iter(),
            ready: Vec::new(),
            sent: 0,
            contents: None,
            ended: false,
        }
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
                self.ready.resize(TRAILER_LEN, 0);
                self.ended = true;
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

    fn begin(&mut self, entry: &'a Entry) -> Result<(), Error> {
        header::append(entry, &mut self.ready)?;
        if let EntryKind::File { source, size } = &entry.kind {
            self.contents = Some(Contents::open(source, *size)?);
        }
        Ok(())
    }

    fn end_contents(&mut self) -> Result<(), Error> {
        if let Some(contents) = self.contents.take() {
            self.ready.resize(contents.padding(), 0);
            contents.end()?;
        }
        Ok(())
    }
}

/// Returns the bytes of the whole tar.
pub(super) fn size(entries: &[Entry]) -> Result<u64, Error> {
    let mut size = TRAILER_LEN as u64;
    let mut headers = Vec::new();
    for entry in entries {
        headers.clear();
        header::append(entry, &mut headers)?;
        size += headers.len() as u64;
        if let EntryKind::File { size: contents, .. } = entry.kind {
            size = size.saturating_add(padded(contents));
        }
    }
    Ok(size)
}

/// Returns the bytes of whole blocks for contents.
fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

/// A file whose bytes are being read.
#[derive(Debug)]
struct Contents<'a> {
    file: File,
    path: &'a Path,
    size: u64,
    left: u64,
}

impl<'a> Contents<'a> {
    fn open(path: &'a Path, size: u64) -> Result<Self, Error> {
        let mut options = fs_err::OpenOptions::new();
        options.read(true);
        // Were the file replaced by a FIFO since it was walked, opening it would wait for ever.
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        Ok(Self {
            file: options.open(path).map_err(|source| Error::Open {
                path: path.to_path_buf(),
                source,
            })?,
            path,
            size,
            left: size,
        })
    }

    fn read(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        if self.left == 0 {
            return Ok(0);
        }
        let most = usize::try_from(self.left).map_or(room.len(), |left| left.min(room.len()));
        match self.file.read(&mut room[..most])? {
            0 => Err(self.changed("shorter")),
            len => {
                self.left -= len as u64;
                Ok(len)
            }
        }
    }

    fn end(mut self) -> Result<(), Error> {
        match self.file.read(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.changed("longer")),
        }
    }

    fn padding(&self) -> usize {
        usize::try_from(padded(self.size) - self.size).unwrap_or_default()
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
            name: PathBuf::from(name),
            mode,
            uid: 0,
            gid: 0,
            kind,
        }
    }

    fn file(source: &Path, size: u64) -> Entry {
        let source = source.to_path_buf();
        entry("/f", 0o644, EntryKind::File { source, size })
    }

    fn bytes(entries: &[Entry]) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        Tar::new(entries).copy_to(&mut bytes)?;
        Ok(bytes)
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
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
        let error = bytes(&[file(&path, 3)]).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
    }
}
