//! A layer tar on its way into the cache.

use std::fs::Permissions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use buildpack::syscall_text::Error as SyscallError;
use layout::DiffId;
use layout::layer::Tee;
use tempfile::NamedTempFile;

/// Bytes that wait to be written at once, where they come in their order.
const BUFFER: usize = 256 * 1024;

/// A layer tar on its way into the cache; dropped unfinished, it leaves nothing behind.
///
/// Its bytes come all in their order, or all as a layer's [`Tee`]. Writing to it never fails, because the same bytes are
/// on their way into an image too, and a full cache is no reason to lose that (EXP-085): `finish` says what went wrong.
#[derive(Debug)]
pub struct StagedLayer {
    staging: PathBuf,
    file: BufWriter<NamedTempFile>,
    failure: Option<io::Error>,
}

impl StagedLayer {
    pub(crate) fn new(staging: &Path) -> anyhow::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(".layer-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(staging)
            .map_err(|e| SyscallError::new("open", staging, e))
            .context("create layer file in cache")?;
        Ok(Self {
            staging: staging.to_owned(),
            file: BufWriter::with_capacity(BUFFER, file),
            failure: None,
        })
    }

    /// Names the tar by its diffID. Where that diffID is staged already, this one is dropped.
    pub fn finish(self, diff_id: &DiffId) -> anyhow::Result<()> {
        let path = layer_path(&self.staging, diff_id);
        self.persist(&path)
            .with_context(|| format!("caching layer ({diff_id})"))
    }

    fn persist(self, path: &Path) -> Result<(), SyscallError> {
        if let Some(failure) = self.failure {
            return Err(SyscallError::new("write", path, failure));
        }
        let file = self
            .file
            .into_inner()
            .map_err(|e| SyscallError::new("write", path, e.into_error()))?;
        match file.persist_noclobber(path) {
            Err(e) if e.error.kind() != io::ErrorKind::AlreadyExists => {
                Err(SyscallError::new("rename", path, e.error))
            }
            _ => Ok(()),
        }
    }
}

impl Tee for StagedLayer {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.failure.is_none() {
            let file = self.file.get_mut().as_file_mut();
            self.failure = file.write_all_at(bytes, offset).err();
        }
        Ok(())
    }
}

impl Write for StagedLayer {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if self.failure.is_none() {
            self.failure = self.file.write_all(buf).err();
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns where a layer is in `staging` or `committed`. A digest has no slash and no dot.
pub(crate) fn layer_path(dir: &Path, diff_id: &DiffId) -> PathBuf {
    dir.join(format!("{diff_id}.tar"))
}

#[cfg(test)]
mod tests {
    use layout::digest::sha256;

    use super::*;

    #[test]
    fn what_fails_while_writing_is_told_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let diff_id = DiffId(sha256(b"layer"));
        let mut layer = StagedLayer::new(dir.path()).unwrap();
        layer.failure = Some(rustix::io::Errno::NOSPC.into());
        layer.write_all(b"layer").unwrap();
        let error = layer.finish(&diff_id).unwrap_err();
        let path = layer_path(dir.path(), &diff_id);
        let expected = format!(
            "caching layer ({diff_id}): write {}: no space left on device",
            path.display()
        );
        assert_eq!(format!("{error:#}"), expected);
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_tar_holds_what_was_written_in_any_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * BUFFER + 7).collect();
        let diff_id = DiffId(sha256(&bytes));
        let path = layer_path(dir.path(), &diff_id);
        let mut layer = StagedLayer::new(dir.path()).unwrap();
        for piece in bytes.chunks(1001) {
            layer.write_all(piece).unwrap();
        }
        layer.finish(&diff_id).unwrap();
        assert!(fs_err::read(&path).unwrap() == bytes);

        fs_err::remove_file(&path).unwrap();
        let mut layer = StagedLayer::new(dir.path()).unwrap();
        let pieces: Vec<_> = (0..).step_by(1001).zip(bytes.chunks(1001)).collect();
        for (offset, piece) in pieces.into_iter().rev() {
            layer.write_all_at(piece, offset).unwrap();
        }
        layer.finish(&diff_id).unwrap();
        assert!(fs_err::read(&path).unwrap() == bytes);
    }
}
