//! What a helper and the program that started it say to each other: JSON in frames, over a socket.
//!
//! ```text
//! program ── Order ──► helper          what to do
//! helper  ── Unshared ──► program      "write my id maps"         (many ids only)
//! program ── Mapped ──► helper
//! helper  ── Started, Ended, Failed ──► program
//! program ── Signal ──► helper         at any time while the container runs
//! ```
//!
//! Either side learns of the other's end, however it came about, by the end of the stream.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{RecvFlags, SendFlags, recv, send};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Order;
use super::fault::Fault;

/// From the program to its helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Order(Box<Order>),
    Mapped,
    Signal(i32),
}

/// From the helper to the program.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    Unshared,
    /// A container's program runs.
    Started,
    /// It ended, or the task is done.
    Ended(Ended),
    Failed(Fault),
}

/// How a container's program, or a task, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
}

/// No message is longer: what is read is not believed to be of any size.
const LIMIT: usize = 16 << 20;

/// Sends a message.
pub(crate) fn tell(socket: impl AsFd, message: &impl Serialize) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= LIMIT)
        .ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut frame = length.to_le_bytes().to_vec();
    frame.extend(body);
    let mut rest = frame.as_slice();
    while !rest.is_empty() {
        match send(&socket, rest, SendFlags::NOSIGNAL) {
            Ok(sent) => rest = &rest[sent..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Waits for a message; none if the other side is gone.
pub(crate) fn hear<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if !fill(&socket, &mut length)? {
        return Ok(None);
    }
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > LIMIT {
        return Err(io::Error::other("the message is too long"));
    }
    let mut body = vec![0; length];
    if !fill(&socket, &mut body)? {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&body)?))
}

fn fill(socket: impl AsFd, mut buffer: &mut [u8]) -> io::Result<bool> {
    while !buffer.is_empty() {
        match recv(&socket, &mut *buffer, RecvFlags::empty()) {
            Ok((_, 0)) | Err(rustix::io::Errno::CONNRESET) => return Ok(false),
            Ok((_, received)) => buffer = &mut buffer[received..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn messages_arrive_one_by_one_and_then_the_end() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        for signal in [1, 64] {
            tell(&ours, &Request::Signal(signal)).unwrap();
        }
        drop(ours);
        for wanted in [1, 64] {
            let heard = hear(&theirs).unwrap();
            assert!(
                matches!(heard, Some(Request::Signal(it)) if it == wanted),
                "{heard:?}"
            );
        }
        assert!(hear::<Request>(&theirs).unwrap().is_none());
    }

    #[test]
    fn what_is_no_message_is_an_error_or_the_end() {
        // A length, and what follows it.
        let table: [(u32, &[u8], bool); 4] = [
            (u32::MAX, b"", true),
            (3, b"{}}", true),
            (9, br#""Nothing""#, true),
            // Cut off.
            (9, b"{", false),
        ];
        for (length, body, fails) in table {
            let (mut ours, theirs) = UnixStream::pair().unwrap();
            ours.write_all(&length.to_le_bytes()).unwrap();
            ours.write_all(body).unwrap();
            drop(ours);
            let heard = hear::<Request>(&theirs);
            assert_eq!(heard.is_err(), fails, "{length} {heard:?}");
        }
    }
}
