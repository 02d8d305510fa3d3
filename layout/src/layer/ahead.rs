//! Reading ahead: whatever it takes to get bytes (decompression, hashing) is done by a thread of its own.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

/// Bytes that are handed over at once, and how many such parts may wait.
const PART: usize = 256 << 10;
const WAITING: usize = 8;

/// What a thread read, in order; its error comes in the place of the bytes that could not be read.
#[derive(Debug)]
pub(super) struct Ahead {
    parts: Receiver<io::Result<Vec<u8>>>,
    /// Parts that were read, to be filled again.
    empty: SyncSender<Vec<u8>>,
    part: Vec<u8>,
    begin: usize,
}

impl Ahead {
    /// Begins to read `input`, to its end or until this is dropped.
    pub(super) fn spawn<'scope>(
        scope: &'scope Scope<'scope, '_>,
        input: &'scope mut (dyn Read + Send),
    ) -> Self {
        let (full, parts) = sync_channel(WAITING);
        let (empty, again) = sync_channel(WAITING + 2);
        scope.spawn(move || read(input, &full, &again));
        Self {
            parts,
            empty,
            part: Vec::new(),
            begin: 0,
        }
    }
}

fn read(
    input: &mut (dyn Read + Send),
    full: &SyncSender<io::Result<Vec<u8>>>,
    again: &Receiver<Vec<u8>>,
) {
    loop {
        let mut part = again.try_recv().unwrap_or_default();
        part.clear();
        part.reserve_exact(PART);
        let result = (&mut *input).take(PART as u64).read_to_end(&mut part);
        let is_last = part.is_empty() || result.is_err();
        // Bytes in front of an error are of use to nobody: they are not those that were promised.
        if full.send(result.map(|_| part)).is_err() || is_last {
            return;
        }
    }
}

impl BufRead for Ahead {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.begin == self.part.len() {
            // The thread's last part is an error or empty, and it is asked no further.
            let next = self.parts.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            let read = std::mem::replace(&mut self.part, next);
            self.begin = 0;
            // Nobody takes it: the thread is done.
            self.empty.try_send(read).ok();
        }
        Ok(&self.part[self.begin..])
    }

    fn consume(&mut self, len: usize) {
        self.begin += len;
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.fill_buf()?.read(buffer)?;
        self.consume(len);
        Ok(len)
    }
}
