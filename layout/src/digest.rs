//! Content digests (OCI image specification, descriptor.md, Digests): made, and checked while reading.
//!
//! A digest that parsed holds only letters, digits, `=`, `_` and `-` after its algorithm, so it is
//! safe as a file name.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use oci_spec::OciSpecError;
pub use oci_spec::image::{Digest, DigestAlgorithm};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// The digest of a layer's uncompressed tar.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DiffId {
    type Err = OciSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Returns the SHA-256 digest of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.finish()
}

/// Computes a digest from bytes as they come.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Returns a hasher for SHA-256, the algorithm of everything written here.
    pub fn sha256() -> Self {
        Self(State::Sha256(sha2::Sha256::new()))
    }

    /// Returns a hasher that can check `digest`; `None` if its algorithm is not supported.
    pub fn of(digest: &Digest) -> Option<Self> {
        match digest.algorithm() {
            DigestAlgorithm::Sha256 => Some(Self::sha256()),
            DigestAlgorithm::Sha384 => Some(Self(State::Sha384(sha2::Sha384::new()))),
            DigestAlgorithm::Sha512 => Some(Self(State::Sha512(sha2::Sha512::new()))),
            _ => None,
        }
    }

    /// Takes the next bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the digest of all bytes.
    pub fn finish(self) -> Digest {
        let text = match self.0 {
            State::Sha256(state) => format!("sha256:{}", hex(&state.finalize())),
            State::Sha384(state) => format!("sha384:{}", hex(&state.finalize())),
            State::Sha512(state) => format!("sha512:{}", hex(&state.finalize())),
        };
        text.parse().expect("a hash in hex is a digest")
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Bytes that are not those that their digest or size promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// Other bytes.
    #[error("{what} is damaged: its digest is {found}, not {expected}")]
    Digest {
        /// What was read.
        what: String,
        /// What it was called.
        expected: Box<Digest>,
        /// What it is.
        found: Box<Digest>,
    },
    /// More or fewer bytes.
    #[error("{what} is damaged: it is {found} than the {expected} bytes of its descriptor")]
    Size {
        /// What was read.
        what: String,
        /// Bytes that its descriptor says.
        expected: u64,
        /// `longer` or `shorter`.
        found: &'static str,
    },
}

/// A reader that fails, at its end at the latest, if the bytes are not those of a digest.
#[derive(Debug)]
pub struct Verified<R> {
    inner: R,
    hasher: Option<Hasher>,
    what: String,
    digest: Digest,
    size: Option<u64>,
    seen: u64,
    failed: Option<Mismatch>,
}

impl<R: Read> Verified<R> {
    /// Checks what `inner` gives against `digest` and, if it is known, `size`; `what` is named in errors.
    ///
    /// Returns `None` if the algorithm of `digest` is not supported.
    pub fn new(inner: R, digest: &Digest, size: Option<u64>, what: String) -> Option<Self> {
        Some(Self {
            inner,
            hasher: Some(Hasher::of(digest)?),
            what,
            digest: digest.clone(),
            size,
            seen: 0,
            failed: None,
        })
    }

    fn check_size(&self) -> Result<(), Mismatch> {
        let found = match self.size {
            Some(size) if self.seen > size => "longer",
            Some(size) if self.seen < size && self.hasher.is_none() => "shorter",
            _ => return Ok(()),
        };
        Err(Mismatch::Size {
            what: self.what.clone(),
            expected: self.size.unwrap_or_default(),
            found,
        })
    }

    fn check_end(&mut self) -> Result<(), Mismatch> {
        let Some(hasher) = self.hasher.take() else {
            return Ok(());
        };
        self.check_size()?;
        let found = hasher.finish();
        if found == self.digest {
            return Ok(());
        }
        Err(Mismatch::Digest {
            what: self.what.clone(),
            expected: Box::new(self.digest.clone()),
            found: Box::new(found),
        })
    }

    fn fail(&mut self, mismatch: Mismatch) -> io::Error {
        self.failed = Some(mismatch.clone());
        io::Error::new(io::ErrorKind::InvalidData, mismatch)
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(mismatch) = self.failed.clone() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, mismatch));
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.inner.read(buffer)?;
        if count == 0 {
            return match self.check_end() {
                Ok(()) => Ok(0),
                Err(mismatch) => Err(self.fail(mismatch)),
            };
        }
        self.seen += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        match self.check_size() {
            Ok(()) => Ok(count),
            Err(mismatch) => Err(self.fail(mismatch)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 example "abc", and the empty message.
    const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const ABC_384: &str = "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7";
    const ABC_512: &str = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                           2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn known_digests() {
        assert_eq!(sha256(b"abc").to_string(), ABC);
        assert_eq!(sha256(b"").to_string(), EMPTY);
        for digest in [ABC, ABC_384, ABC_512] {
            let mut hasher = Hasher::of(&digest.parse().unwrap()).unwrap();
            hasher.write_all(b"a").unwrap();
            hasher.write_all(b"bc").unwrap();
            assert_eq!(hasher.finish().to_string(), digest);
        }
    }

    #[test]
    fn a_diff_id_is_written_as_its_digest() {
        let id: DiffId = ABC.parse().unwrap();
        assert_eq!(id.to_string(), ABC);
    }

    #[test]
    fn a_verified_reader_passes_what_it_was_promised_and_nothing_else() {
        let cases = [
            (b"abc".as_slice(), ABC, Some(3), None),
            (b"abc", ABC, None, None),
            (b"abc", ABC_512, Some(3), None),
            (b"", EMPTY, Some(0), None),
            (b"abd", ABC, Some(3), Some("its digest is")),
            (b"ab", ABC, Some(3), Some("shorter than the 3 bytes")),
            (b"abcd", ABC, Some(3), Some("longer than the 3 bytes")),
        ];
        for (bytes, digest, size, error) in cases {
            let digest = digest.parse().unwrap();
            let mut reader = Verified::new(bytes, &digest, size, "the blob".to_owned()).unwrap();
            let result = io::copy(&mut reader, &mut io::sink());
            match error {
                None => assert_eq!(result.unwrap(), bytes.len() as u64),
                Some(text) => {
                    let found = result.unwrap_err().to_string();
                    assert!(
                        found.contains(text) && found.contains("the blob"),
                        "{found}"
                    );
                    assert!(reader.read(&mut [0; 8]).is_err(), "stays failed");
                }
            }
        }
    }

    #[test]
    fn digests_that_are_no_file_names_do_not_parse() {
        let long = "a".repeat(64);
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:../../etc/passwd",
            "sha256:ba78",
            &format!("sha256:../{}", &long[3..]),
            &format!("../sha256:{long}"),
            &format!("..:{long}"),
            &format!("sha256:{}", long.to_uppercase()),
            "other:../x",
            "other:a/b",
            "a//b:x",
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
