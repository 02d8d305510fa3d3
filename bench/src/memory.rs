//! Memory that costs the same whoever writes to it next.
//!
//! What was written before must be on the disk first: once a fifth of the memory waits for it, whoever writes next waits too.
//!
//! A virtual machine may give memory that is free back to its host. Whoever then writes a file waits, page by page, until the
//! host has found other memory: by the gigabyte, that is more than the writing, and which command it hits depends on what
//! was removed before. A machine that has been up for a while has hardly any free memory, because what is not needed
//! holds files that were read once. So that is how it is made here, before each export and push.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use fs_err as fs;

/// Bytes that are read at once.
const PIECE: usize = 1 << 20;

/// What fills the memory: a file of zeros, most of which the disk never sees.
pub(crate) struct Memory {
    zeros: fs::File,
    len: u64,
    next: u64,
    as_it_is: bool,
}

impl Memory {
    /// Makes the file in `dir`. Memory that shall stay `as_it_is` is never filled.
    pub(crate) fn new(dir: &Path, as_it_is: bool) -> anyhow::Result<Self> {
        let path = dir.join("zeros");
        fs::File::create(&path)?;
        let zeros = fs::OpenOptions::new().read(true).write(true).open(path)?;
        // What was read of it a whole memory ago is forgotten, so reading it again takes memory again.
        let len = 2 * bytes("MemTotal")?;
        zeros.set_len(len)?;
        Ok(Self {
            zeros,
            len,
            next: 0,
            as_it_is,
        })
    }

    /// Waits for the disk, then reads the file on until a fiftieth of the memory is free; where a container may not have
    /// all, so much as is free.
    pub(crate) fn fill(&mut self) -> anyhow::Result<()> {
        rustix::fs::sync();
        if self.as_it_is {
            return Ok(());
        }
        let enough = bytes("MemTotal")? / 50;
        let mut left = bytes("MemFree")?;
        let mut piece = vec![0; PIECE];
        while left > 0 && bytes("MemFree")? > enough {
            // As much as takes a few milliseconds, then another look.
            for _ in 0..16 {
                self.zeros.file().read_exact_at(&mut piece, self.next)?;
                self.next = (self.next + PIECE as u64) % (self.len - PIECE as u64);
                left = left.saturating_sub(PIECE as u64);
            }
        }
        Ok(())
    }
}

/// Returns a line of `/proc/meminfo`, in bytes.
fn bytes(name: &str) -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let number = |line: &str| {
        let line = line.strip_prefix(name)?.strip_prefix(':')?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes * 1024)
    };
    text.lines()
        .find_map(number)
        .with_context(|| format!("/proc/meminfo does not say {name}"))
}
