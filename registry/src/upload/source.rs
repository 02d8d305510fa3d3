//! Where the bytes of an upload come from: a layer that is being made, or a blob of another store.
//!
//! A layer that is made while it is sent cannot be made again from its middle, so what was sent last is kept for a while.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use layout::blob::Blobs;
use layout::manifest::Descriptor;

/// What is kept of a layer: more than lies on a connection, in the buffers of its ends.
const WINDOW: usize = 16 << 20;

/// Pieces of a layer that wait to be sent.
const WAITING: usize = 4;

/// Bytes of a blob, which may be needed again from some place on.
pub(crate) trait Source: Read {
    /// Goes back, or on, to an offset; returns false if its bytes are gone.
    fn seek(&mut self, offset: u64) -> io::Result<bool>;

    /// Returns the offset of the first byte that can be had again.
    fn oldest(&self) -> u64;

    /// Returns the offset of the next byte.
    fn position(&self) -> u64;

    /// Returns how many bytes are still to come, if that is known.
    fn left(&self) -> Option<u64>;

    /// Returns why reading failed, if it did: an error of the source is none of the connection.
    fn failure(&mut self) -> Option<io::Error>;
}

/// A blob that is made while it is sent: what is written to the pipe comes out of the feed.
pub(crate) fn pipe() -> (Pipe, Feed) {
    let (sender, receiver) = sync_channel(WAITING);
    let feed = Feed {
        receiver,
        window: VecDeque::new(),
        window_len: 0,
        end: 0,
        behind: 0,
        state: State::Open,
    };
    (Pipe(sender), feed)
}

/// The end of a pipe that is written to. Dropped without [`Pipe::end`], the blob is not whole.
#[derive(Debug)]
pub(crate) struct Pipe(SyncSender<Piece>);

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    End,
}

impl Pipe {
    /// Says that this was all.
    pub(crate) fn end(self) {
        // Whoever reads may have failed, and will say so.
        self.0.send(Piece::End).ok();
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Piece::Bytes(bytes.to_vec());
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.send(piece).map_err(closed)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a pipe that is read from; remembers the last bytes of it.
#[derive(Debug)]
pub(crate) struct Feed {
    receiver: Receiver<Piece>,
    window: VecDeque<Vec<u8>>,
    /// Bytes in the window.
    window_len: usize,
    /// Offset behind the window.
    end: u64,
    /// Bytes from where we read to `end`.
    behind: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Ended,
    /// The writer is gone before its end, and says why.
    Abandoned,
}

impl Feed {
    /// Takes the next piece in; returns false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        if self.state == State::Open {
            match self.receiver.recv() {
                Ok(Piece::Bytes(bytes)) => {
                    while self.window_len + bytes.len() > WINDOW
                        && let Some(oldest) = self.window.pop_front()
                    {
                        self.window_len -= oldest.len();
                    }
                    self.window_len += bytes.len();
                    self.end += bytes.len() as u64;
                    self.behind += bytes.len();
                    self.window.push_back(bytes);
                    return Ok(true);
                }
                Ok(Piece::End) => self.state = State::Ended,
                Err(_) => self.state = State::Abandoned,
            }
        }
        match self.state {
            State::Ended => Ok(false),
            _ => Err(abandoned()),
        }
    }
}

fn abandoned() -> io::Error {
    io::Error::other("the layer was not made to its end")
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while self.behind == 0 {
            if !self.fill()? {
                return Ok(0);
            }
        }
        // From the back, where reading nearly always is.
        let mut from_end = 0;
        for piece in self.window.iter().rev() {
            from_end += piece.len();
            if from_end >= self.behind {
                let rest = &piece[from_end - self.behind..];
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                self.behind -= count;
                return Ok(count);
            }
        }
        Err(abandoned())
    }
}

impl Source for Feed {
    fn seek(&mut self, offset: u64) -> io::Result<bool> {
        let behind = self.end.checked_sub(offset);
        let behind = behind.and_then(|it| usize::try_from(it).ok());
        Ok(match behind {
            Some(behind) if behind <= self.window_len => {
                self.behind = behind;
                true
            }
            _ => false,
        })
    }

    fn oldest(&self) -> u64 {
        self.end - self.window_len as u64
    }

    fn position(&self) -> u64 {
        self.end - self.behind as u64
    }

    fn left(&self) -> Option<u64> {
        None
    }

    fn failure(&mut self) -> Option<io::Error> {
        (self.state == State::Abandoned).then(abandoned)
    }
}

/// A blob of another store, which can be opened again.
pub(crate) struct Stored<'a> {
    blobs: &'a Arc<dyn Blobs>,
    blob: &'a Descriptor,
    reader: Box<dyn Read + Send>,
    position: u64,
    failure: Option<io::Error>,
    /// Is told the position.
    watch: Option<Box<dyn FnMut(u64) + 'a>>,
}

impl<'a> Stored<'a> {
    /// Opens a blob; `None` if it is absent.
    pub(crate) fn open(
        blobs: &'a Arc<dyn Blobs>,
        blob: &'a Descriptor,
    ) -> Result<Option<Self>, layout::blob::Error> {
        let reader = blobs.open(blob)?;
        Ok(reader.map(|reader| Self {
            blobs,
            blob,
            reader,
            position: 0,
            failure: None,
            watch: None,
        }))
    }

    /// Returns the same; somebody is told the position whenever it is another one.
    pub(crate) fn watched_by(self, watch: Box<dyn FnMut(u64) + 'a>) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }
}

impl Stored<'_> {
    fn fail(&mut self, error: io::Error) -> io::Error {
        self.failure = Some(error);
        io::Error::other("the blob cannot be read")
    }
}

impl Read for Stored<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buffer) {
            Ok(count) => {
                self.position += count as u64;
                if self.position > self.blob.size {
                    let problem = "it is longer than its descriptor says";
                    return Err(self.fail(io::Error::other(problem)));
                }
                if let Some(watch) = &mut self.watch {
                    watch(self.position);
                }
                Ok(count)
            }
            Err(error) => Err(self.fail(error)),
        }
    }
}

impl Source for Stored<'_> {
    fn seek(&mut self, offset: u64) -> io::Result<bool> {
        if offset == self.position {
            return Ok(true);
        }
        let again = Self::open(self.blobs, self.blob).map_err(io::Error::other)?;
        let Some(again) = again.filter(|_| offset <= self.blob.size) else {
            return Ok(false);
        };
        let watch = self.watch.take();
        *self = Self { watch, ..again };
        let skipped = io::copy(&mut self.by_ref().take(offset), &mut io::sink())?;
        Ok(skipped == offset)
    }

    fn oldest(&self) -> u64 {
        0
    }

    fn position(&self) -> u64 {
        self.position
    }

    fn left(&self) -> Option<u64> {
        Some(self.blob.size.saturating_sub(self.position))
    }

    fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_last_can_be_sent_again() {
        let (mut pipe, mut feed) = pipe();
        let piece = |at: u8| vec![at; WINDOW / 4];
        let writer = std::thread::spawn(move || {
            for at in 0..6 {
                pipe.write_all(&piece(at)).unwrap();
            }
            pipe.end();
        });
        let mut all = Vec::new();
        feed.read_to_end(&mut all).unwrap();
        writer.join().unwrap();
        assert_eq!(all, (0..6).flat_map(piece).collect::<Vec<_>>());
        assert!(feed.failure().is_none());

        let oldest = feed.oldest();
        assert_eq!(oldest, 2 * (WINDOW as u64 / 4));
        for (offset, possible) in [
            (oldest - 1, false),
            (oldest, true),
            (oldest + 5, true),
            (all.len() as u64, true),
            (all.len() as u64 + 1, false),
        ] {
            assert_eq!(feed.seek(offset).unwrap(), possible, "{offset}");
            if possible {
                let mut rest = Vec::new();
                feed.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, all[usize::try_from(offset).unwrap()..]);
            }
        }
    }

    #[test]
    fn a_layer_that_is_not_made_to_its_end_is_no_blob() {
        let (mut pipe, mut feed) = pipe();
        pipe.write_all(b"half").unwrap();
        drop(pipe);
        let error = feed.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), abandoned().to_string());
        assert!(feed.failure().is_some());

        let (mut pipe, feed) = super::pipe();
        drop(feed);
        let error = pipe.write_all(b"half").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
