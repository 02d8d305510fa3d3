//! The program that the helper runs: a sealed copy of this one, in memory.
//!
//! A container's program can name the file that its runtime runs from (`#!/proc/self/exe`), and in a user namespace it
//! has the very ids that own that file. A copy that the kernel lets nobody write to leaves nothing to overwrite.

use std::io::{self, Seek as _};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use fs_err::File;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

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
    seal(&memory)?;
    Ok(memory)
}

/// Lets nobody change a file in memory any more.
///
/// The kernel refuses while anything holds a page of it, and gives up after a fifth of a second. That may be the kernel
/// itself, which moves pages about where memory is short.
fn seal(memory: &std::fs::File) -> io::Result<()> {
    const TRIES: usize = 20;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    for _ in 1..TRIES {
        match fcntl_add_seals(memory, seals) {
            Err(Errno::BUSY) => thread::sleep(Duration::from_millis(50)),
            result => return Ok(result?),
        }
    }
    Ok(fcntl_add_seals(memory, seals)?)
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

    #[test]
    fn a_page_that_somebody_holds_for_a_while_is_waited_for() {
        let memory = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        let mut memory = std::fs::File::from(memory);
        memory.write_all(&[1; 4096]).unwrap();
        // What is in a pipe by splice(2) is the page itself.
        let (out, into) = rustix::pipe::pipe().unwrap();
        let mut begin = 0;
        let flags = rustix::pipe::SpliceFlags::empty();
        let held = rustix::pipe::splice(&memory, Some(&mut begin), &into, None, 4096, flags);
        assert_eq!(held.unwrap(), 4096);
        let writable = SealFlags::WRITE;
        assert_eq!(fcntl_add_seals(&memory, writable), Err(Errno::BUSY));
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(500));
                drop((out, into));
            });
            seal(&memory).unwrap();
        });
        assert!(memory.write_all(b"x").is_err());
    }
}
