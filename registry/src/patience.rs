//! How long a registry is waited for: nobody holds a phase for ever by sending a little now and then.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// How long a registry is waited for.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the head of an answer, and for each further part of it: what is silent for longer is broken.
    pub answer: Duration,
    /// For the head of an answer that a registry has to think about, such as to the end of an upload: some copy the blob
    /// once more by then.
    pub thought: Duration,
    /// For all of an answer that is no blob.
    pub document: Duration,
    /// For each further MiB of a blob. There is no limit on the whole of one.
    pub mebibyte: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            answer: Duration::from_secs(60),
            thought: Duration::from_secs(600),
            document: Duration::from_secs(300),
            mebibyte: Duration::from_secs(600),
        }
    }
}

/// Bytes that have to come within [`Patience::mebibyte`].
const LEAST: u64 = 1 << 20;

/// A body that must not come too slowly. Only the time of waiting for it counts, not that of whoever reads it.
pub(crate) struct Paced<R> {
    inner: R,
    patience: Duration,
    waited: Duration,
    /// Bytes since `waited` was zero.
    seen: u64,
}

impl<R: Read> Paced<R> {
    pub(crate) fn new(inner: R, patience: &Patience) -> Self {
        Self {
            inner,
            patience: patience.mebibyte,
            waited: Duration::ZERO,
            seen: 0,
        }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begin = Instant::now();
        let count = self.inner.read(buffer)?;
        self.waited += begin.elapsed();
        self.seen += count as u64;
        if self.seen >= LEAST {
            (self.waited, self.seen) = (Duration::ZERO, 0);
        } else if count > 0 && self.waited > self.patience {
            let problem = "it comes too slowly";
            return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time, after a pause.
    struct Slow(usize);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(2));
            Ok(self.0.min(buffer.len()))
        }
    }

    #[test]
    fn a_trickle_is_no_body() {
        let patience = Patience {
            mebibyte: Duration::from_millis(20),
            ..Patience::default()
        };
        let read = |at_once: usize| {
            let body = Paced::new(Slow(at_once), &patience).take(64 << 20);
            io::copy(
                &mut io::BufReader::with_capacity(1 << 20, body),
                &mut io::sink(),
            )
        };
        assert_eq!(read(1).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(read(1 << 20).unwrap(), 64 << 20);
    }
}
