//! What a daemon answers: a head, and a body that is read as it comes.

use std::io::{self, BufRead as _, ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Client, Connection, hung_up, silent};

/// Bytes that a head may have; a daemon's has some hundred.
const MAX_HEAD: u64 = 64 << 10;

/// Heads that may come before the one that counts.
const MAX_INTERIM: usize = 10;

/// The head of an answer, and its body, not read yet.
#[derive(Debug)]
pub(crate) struct Answer {
    /// `200` and the like.
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
    /// Whether the request was sent twice: the daemon may have done at the first what it was asked for.
    pub(crate) is_repeated: bool,
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
        let deadline = Deadline::after(connection.patience);
        let mut head = read_head(&mut connection, deadline)?;
        let mut interim = 0;
        while head.status < 200 {
            // `100 Continue`, which nobody asked for, but anybody may send.
            interim += 1;
            if interim > MAX_INTERIM {
                return Err(damaged("an answer that does not come to its point"));
            }
            head = read_head(&mut connection, deadline)?;
        }
        let (coding, length) = (head.one("transfer-encoding")?, head.one("content-length")?);
        let left = match (coding, length) {
            _ if head.status == 204 || head.status == 304 => Left::Bytes(0),
            (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => Left::NextChunk,
            (Some(_), _) => return Err(damaged("a transfer coding other than chunked")),
            (None, Some(length)) => Left::Bytes(parse(length, 10)?),
            (None, None) => Left::All,
        };
        // Who gives both may have been made to: what comes next is not trusted.
        let is_doubtful = coding.is_some() && length.is_some();
        let is_last = head.is_old || head.closes() || is_doubtful;
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
            is_repeated: false,
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
    fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let fields = self.fields.iter().filter(move |(key, _)| key == name);
        fields.map(|(_, value)| value.as_str())
    }

    /// Returns the value of a field that says the same wherever it stands.
    fn one(&self, name: &'static str) -> io::Result<Option<&str>> {
        let mut all = self.all(name);
        let first = all.next();
        if all.any(|it| Some(it) != first) {
            return Err(damaged(&format!("more than one {name}")));
        }
        Ok(first)
    }

    /// Returns whether the connection ends with this answer.
    fn closes(&self) -> bool {
        let mut options = self.all("connection").flat_map(|it| it.split(','));
        options.any(|it| it.trim().eq_ignore_ascii_case("close"))
    }
}

/// Until when something has to be whole, however often a little of it comes.
#[derive(Clone, Copy)]
struct Deadline(Option<Instant>);

impl Deadline {
    fn after(patience: Duration) -> Self {
        Self(Instant::now().checked_add(patience))
    }

    fn check(self) -> io::Result<()> {
        match self.0 {
            Some(deadline) if Instant::now() > deadline => Err(silent()),
            _ => Ok(()),
        }
    }
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut fields = fields.iter();
    fields.find_map(|(key, value)| (key == name).then_some(value.as_str()))
}

fn read_head(connection: &mut Connection, deadline: Deadline) -> io::Result<Head> {
    let mut left = MAX_HEAD;
    let first = line(connection, &mut left, deadline)?;
    let mut words = first.splitn(3, ' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next());
    let is_status = |text: &&str| text.len() == 3 && text.bytes().all(|it| it.is_ascii_digit());
    let status = status.filter(is_status).and_then(|it| it.parse().ok());
    let (true, Some(status)) = (version.starts_with("HTTP/1."), status) else {
        return Err(damaged("an answer that is no HTTP"));
    };
    let mut fields = Vec::new();
    loop {
        let line = line(connection, &mut left, deadline)?;
        if line.is_empty() {
            break;
        }
        let field = line.split_once(':');
        // Also what stands before the colon with a blank, or goes on with the line above: others read that otherwise.
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|it| it.is_ascii_graphic());
        let field = field.filter(|(name, _)| is_name(name));
        let (name, value) = field.ok_or(damaged("a field without a name"))?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Head {
        status,
        is_old: version == "HTTP/1.0",
        fields,
    })
}

/// Reads a line, without its break.
fn line(connection: &mut Connection, left: &mut u64, deadline: Deadline) -> io::Result<String> {
    let mut line = Vec::new();
    let mut limited = (&mut connection.stream).take(*left);
    while !line.ends_with(b"\n") {
        let waiting = limited.fill_buf()?;
        if waiting.is_empty() {
            break;
        }
        let end = waiting.iter().position(|it| *it == b'\n');
        let taken = end.map_or(waiting.len(), |at| at + 1);
        line.extend_from_slice(&waiting[..taken]);
        limited.consume(taken);
        deadline.check()?;
    }
    *left -= line.len() as u64;
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
        let deadline = Deadline::after(connection.patience);
        let size = line(connection, &mut left, deadline)?;
        let size = size.split(';').next().unwrap_or_default();
        let size = parse(size.trim_end(), 16)?;
        self.left = Left::Chunk(size);
        if size == 0 {
            while !line(connection, &mut left, deadline)?.is_empty() {}
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
