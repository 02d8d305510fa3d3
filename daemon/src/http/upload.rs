//! A request whose body is sent in chunks while it is made.

use std::io::{self, Write};
use std::sync::Arc;

use super::{Answer, Client, Connection, SHORT};

/// Bytes of a chunk.
const CHUNK: usize = 256 << 10;

/// A request that is being sent. Dropped before its end, it closes the connection: no daemon takes it for whole.
#[derive(Debug)]
pub(crate) struct Upload {
    connection: Connection,
    client: Arc<Client>,
    waiting: Vec<u8>,
}

impl Upload {
    pub(super) fn new(connection: Connection, client: &Arc<Client>) -> Self {
        Self {
            connection,
            client: Arc::clone(client),
            waiting: Vec::with_capacity(CHUNK + 2),
        }
    }

    /// Ends the body and reads the head of the answer.
    pub(crate) fn finish(mut self) -> io::Result<Answer> {
        let sent = self
            .send_waiting()
            .and_then(|()| self.connection.write_all(b"0\r\n\r\n"));
        match sent {
            Ok(()) => Answer::read(self.connection, &self.client),
            Err(error) => self.interrupted().ok_or(error),
        }
    }

    /// Returns the answer of a daemon that did not wait for the end, to which nothing can be sent any more.
    pub(crate) fn interrupted(mut self) -> Option<Answer> {
        // What there is was sent before the daemon stopped to listen.
        self.connection.be_patient(SHORT).ok()?;
        Answer::read(self.connection, &self.client).ok()
    }

    fn send_waiting(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            // A chunk without bytes would be the last one.
            return Ok(());
        }
        let size = format!("{:x}\r\n", self.waiting.len());
        self.waiting.extend_from_slice(b"\r\n");
        let sent = self.connection.write_all(size.as_bytes());
        let sent = sent.and_then(|()| self.connection.write_all(&self.waiting));
        // Also what was not sent: nothing is, after the middle of a chunk.
        self.waiting.clear();
        sent
    }
}

impl Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.waiting.len();
        let taken = &bytes[..room.min(bytes.len())];
        self.waiting.extend_from_slice(taken);
        if self.waiting.len() == CHUNK {
            self.send_waiting()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send_waiting()
    }
}
