//! The program that the helper runs: a sealed copy of this one, in memory.
//!
//! A container's program can name the file that its runtime runs from (`#!/proc/self/exe`), and in a user namespace it
//! has the very ids that own that file. A copy that the kernel lets nobody write to leaves nothing to overwrite.

use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use fs_err::File;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Returns a path by which this process can start the copy, which is made once.
pub(super) fn sealed() -> io::Result<PathBuf> {
    static COPY: OnceLock<std::fs::File> = OnceLock::new();
    let copy = if let Some(copy) = COPY.get() {
        copy
    } else {
        let made = copy()?;
        COPY.get_or_init(|| made)
    };
    Ok(PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd())))
}

fn copy() -> io::Result<std::fs::File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag and let every such file be executed.
    let memory = memfd_create("sandbox", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("sandbox", flags))?;
    let mut memory = std::fs::File::from(memory);
    // Of std's own type, for which the kernel copies by itself.
    let (mut program, _) = File::open("/proc/self/exe")?.into_parts();
    io::copy(&mut program, &mut memory)?;
    memory.rewind()?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&memory, seals)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn nobody_can_write_to_the_copy() {
        let path = sealed().unwrap();
        assert_eq!(
            fs_err::metadata(&path).unwrap().len(),
            fs_err::metadata("/proc/self/exe").unwrap().len()
        );
        let mut file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        for result in [file.write_all(b"x"), file.set_len(1), file.set_len(1 << 40)] {
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        }
        // Another call returns the same.
        assert_eq!(sealed().unwrap(), path);
    }
}
