//! gzip in members of a fixed size.
//!
//! Each member is the compressed form of the next [`MEMBER_LEN`] bytes of the tar and of nothing
//! else, so members can be made on any number of threads, in any order, with the same bytes. A gzip
//! file may be several members one after the other (RFC 1952, section 2.2); every header has no name,
//! no time and no operating system.

use libdeflater::{CompressionLvl, Compressor};

use super::Error;

/// Bytes of tar in one member. Four times as many would save a quarter of a percent and cost memory per thread.
pub(super) const MEMBER_LEN: usize = 1 << 20;

/// The level unless a caller says otherwise.
///
/// Measured on a tree of 1.56 GB in 72,465 entries (a JDK, a Go distribution, documentation), hashes included:
/// level 1 gave 467 MB in 10.0 CPU seconds, level 2 457 MB in 12.1, level 3 450 MB in 12.6;
/// `tar | pigz -1 -p2 | sha256sum` gave 494 MB in 20.1.
pub(super) const DEFAULT_LEVEL: u8 = 1;

/// Returns the level in libdeflate's terms.
pub(super) fn level(level: u8) -> Result<CompressionLvl, Error> {
    match level {
        1..=12 => CompressionLvl::new(level.into()).map_err(|_| Error::Level(level)),
        _ => Err(Error::Level(level)),
    }
}

/// Makes members, one at a time.
pub(super) struct Gzip(Compressor);

impl Gzip {
    pub(super) fn new(level: CompressionLvl) -> Self {
        Self(Compressor::new(level))
    }

    /// Returns `bytes` as one member.
    pub(super) fn member(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut member = vec![0; self.0.gzip_compress_bound(bytes.len())];
        let len = self
            .0
            .gzip_compress(bytes, &mut member)
            .expect("the buffer is as long as the compressor says that it can need");
        member.truncate(len);
        member
    }
}
