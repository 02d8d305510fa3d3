//! Files of an archive on their way to a daemon.

use std::io::{self, Read, Write};

use crate::http::Upload;

/// A block of a tar, empty.
const BLOCK: [u8; 512] = [0; 512];

/// A layer's tar on its way to the daemon.
pub(super) struct LayerUpload {
    pub(super) upload: Upload,
    /// Why the daemon takes no more.
    pub(super) failed: Option<io::Error>,
}

impl LayerUpload {
    /// Sends something, and remembers if it was the daemon that failed.
    pub(super) fn send(
        &mut self,
        send: impl FnOnce(&mut Upload) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.failed.is_none()
            && let Err(error) = send(&mut self.upload)
        {
            self.failed = Some(error);
        }
        match self.failed {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for LayerUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(|upload| upload.write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader of so many bytes, no fewer and no more, that remembers if it was the one that failed.
pub(super) struct Exact<'r> {
    inner: &'r mut dyn Read,
    left: u64,
    pub(super) failed: bool,
}

impl<'r> Exact<'r> {
    pub(super) fn new(inner: &'r mut dyn Read, size: u64) -> Self {
        Self {
            inner,
            left: size,
            failed: false,
        }
    }
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let changed = |how: &str| {
            let problem = format!("a file became {how} while it was read");
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem))
        };
        let most = usize::try_from(self.left).map_or(buffer.len(), |it| it.min(buffer.len()));
        // At its end as well, where a reader that checks what it reads says so.
        let read = match self.inner.read(&mut buffer[..most.max(1)]) {
            Ok(0) if self.left > 0 => changed("shorter"),
            Ok(read) if read > most => changed("longer"),
            read => read,
        };
        self.left -= read.as_ref().map_or(0, |it| *it as u64);
        self.failed |= read.is_err();
        read
    }
}

/// Sends a file's header.
pub(super) fn begin_file(out: &mut Upload, name: &str, size: u64) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// Fills a file's last block up.
pub(super) fn end_file(out: &mut Upload, size: u64) -> io::Result<()> {
    let last = size % BLOCK.len() as u64;
    match usize::try_from(last) {
        Ok(last) if last > 0 => out.write_all(&BLOCK[last..]),
        _ => Ok(()),
    }
}

/// Sends the end of the archive.
pub(super) fn end_archive(out: &mut Upload) -> io::Result<()> {
    out.write_all(&[BLOCK; 2].concat())
}
