//! What a daemon answers: a head, and a body that is read as it comes.

use std::io::{self, BufRead as _, ErrorKind, Read};
use std::sync::Arc;

use super::{Client, Connection, hung_up};

/// Bytes that a head may have; a daemon's has some hundred.
const MAX_HEAD: u64 = 64 << 10;

/// The head of an answer, and its body, not read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `200` and the like.
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    /// What follows the head.
    pub(crate) body: Body,
}

/// The body of an answer. Read to its end, it gives the connection back.
#[derive(Debug)]
pub(crate) struct Body {
    connection: Option<Connection>,
    client: Arc<Client>,
    left: Left,
    keep: bool,
}

/// What is still to come.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// So many bytes.
    Bytes(u64),
    /// So many bytes of this chunk, and the line break behind it.
    Chunk(u64),
    /// A chunk's size.
    NextChunk,
    /// Whatever comes before the connection is closed.
    All,
}

impl Answer {
    pub(super) fn read(mut connection: Connection, client: &Arc<Client>) -> io::Result<Self> {
        let mut head = read_head(&mut connection)?;
        while head.status < 200 {
            // `100 Continue`, which nobody asked for, but anybody may send.
            head = read_head(&mut connection)?;
        }
        let left = match (
            head.field("transfer-encoding"),
            head.field("content-length"),
        ) {
            _ if head.status == 204 || head.status == 304 => Left::Bytes(0),
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Left::NextChunk,
            (Some(_), _) => return Err(damaged("a transfer coding other than chunked")),
            (None, Some(length)) => Left::Bytes(parse(length, 10)?),
            (None, None) => Left::All,
        };
        let close = head.field("connection");
        let is_last = head.is_old || close.is_some_and(|it| it.eq_ignore_ascii_case("close"));
        let keep = !is_last && !matches!(left, Left::All);
        let mut body = Body {
            connection: Some(connection),
            client: Arc::clone(client),
            left,
            keep,
        };
        if let Left::Bytes(0) = left {
            body.end();
        }
        Ok(Self {
            status: head.status,
            fields: head.fields,
            body,
        })
    }

    /// Returns a field of the head by its name in small letters.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }

    /// Reads a body that nobody wants, so that the connection can be used again.
    pub(crate) fn skip(self) {
        // One that is long or broken is not worth it.
        io::copy(&mut self.body.take(MAX_HEAD), &mut io::sink()).ok();
    }

    /// Reads a body of at most `most` bytes.
    pub(crate) fn into_bytes(self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.body.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(damaged("an answer of more bytes than it can have"));
        }
        Ok(bytes)
    }
}

struct Head {
    status: u16,
    is_old: bool,
    fields: Vec<(String, String)>,
}

impl Head {
    fn field(&self, name: &str) -> Option<&str> {
        field(&self.fields, name)
    }
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut fields = fields.iter();
    fields.find_map(|(key, value)| (key == name).then_some(value.as_str()))
}

fn read_head(connection: &mut Connection) -> io::Result<Head> {
    let mut left = MAX_HEAD;
    let first = line(connection, &mut left)?;
    let mut words = first.splitn(3, ' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next());
    let is_status = |text: &&str| text.len() == 3;
    let status = status.filter(is_status).and_then(|it| it.parse().ok());
    let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
        return Err(damaged("an answer that is no HTTP"));
    };
    let mut fields = Vec::new();
    loop {
        let line = line(connection, &mut left)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line
            .split_once(':')
            .ok_or(damaged("a field without a name"))?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Head {
        status,
        is_old: version == "HTTP/1.0",
        fields,
    })
}

/// Reads a line, without its break.
fn line(connection: &mut Connection, left: &mut u64) -> io::Result<String> {
    let mut line = Vec::new();
    let mut limited = (&mut connection.stream).take(*left);
    let read = limited.read_until(b'\n', &mut line)?;
    *left -= read as u64;
    if line.pop() != Some(b'\n') {
        return Err(if *left == 0 {
            damaged("a head without an end")
        } else {
            hung_up()
        });
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| damaged("a head that is no text"))
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Left::NextChunk = self.left {
            self.begin_chunk()?;
        }
        let Some(connection) = &mut self.connection else {
            return Ok(0);
        };
        let most = match self.left {
            Left::Bytes(left) | Left::Chunk(left) => left,
            Left::NextChunk | Left::All => u64::MAX,
        };
        let most = usize::try_from(most).map_or(buffer.len(), |most| most.min(buffer.len()));
        let read = connection.stream.read(&mut buffer[..most])?;
        match &mut self.left {
            Left::All if read == 0 => self.end(),
            Left::All | Left::NextChunk => {}
            Left::Bytes(_) | Left::Chunk(_) if read == 0 => return Err(hung_up()),
            Left::Bytes(left) => {
                *left -= read as u64;
                if *left == 0 {
                    self.end();
                }
            }
            Left::Chunk(left) => {
                *left -= read as u64;
                if *left == 0 {
                    self.end_chunk()?;
                }
            }
        }
        Ok(read)
    }
}

impl Body {
    /// Reads a chunk's size; of the last one what follows as well.
    fn begin_chunk(&mut self) -> io::Result<()> {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        let mut left = MAX_HEAD;
        let size = line(connection, &mut left)?;
        let size = size.split(';').next().unwrap_or_default();
        let size = parse(size.trim_end(), 16)?;
        self.left = Left::Chunk(size);
        if size == 0 {
            while !line(connection, &mut left)?.is_empty() {}
            self.end();
        }
        Ok(())
    }

    fn end_chunk(&mut self) -> io::Result<()> {
        let mut end = Vec::new();
        if let Some(connection) = &mut self.connection {
            (&mut connection.stream).take(2).read_to_end(&mut end)?;
        }
        match &end[..] {
            b"\r\n" => {
                self.left = Left::NextChunk;
                Ok(())
            }
            [_, _] => Err(damaged("a chunk that is longer than it says")),
            _ => Err(hung_up()),
        }
    }

    /// Everything is read: the connection is free for the next request.
    fn end(&mut self) {
        self.left = Left::Bytes(0);
        if let Some(connection) = self.connection.take()
            && self.keep
        {
            self.client.give_back(connection);
        }
    }
}

/// Reads a number without a sign.
fn parse(text: &str, radix: u32) -> io::Result<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, radix).ok().filter(|_| digits);
    number.ok_or(damaged("a length that is no number"))
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("there is {what}"))
}
