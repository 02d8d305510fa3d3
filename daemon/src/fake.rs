//! A daemon for tests that answers as it is told, and remembers what it was asked.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use crate::engine::Engine;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Method and target.
    pub(crate) line: String,
    /// What came of the body.
    pub(crate) body: Vec<u8>,
    /// Whether the body came to its end.
    pub(crate) whole: bool,
}

/// What a daemon does with a request.
pub(crate) enum Reply {
    /// It answers, when the body has come, with these bytes.
    Say(String),
    /// The same before the body has come, and hangs up.
    Interrupt(String),
    /// It hangs up after so many bytes of the body.
    HangUp(usize),
}

/// A daemon on a socket of its own.
pub(crate) struct Fake {
    dir: TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Fake {
    /// Starts a daemon that replies to each line (method and target) as `reply` says.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::remembering(move |line, _| reply(line))
    }

    /// The same, for a reply that depends on what came before.
    fn remembering(reply: impl Fn(&str, &[Seen]) -> Reply + Send + Sync + 'static) -> Self {
        let dir = tempfile::tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(dir.path().join("socket")).unwrap();
        let fake = Self {
            dir,
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (Arc::clone(&fake.seen), Arc::clone(&fake.connections));
        let reply = Arc::new(reply);
        // It ends with the test program: nobody waits for a connection that may come.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, reply) = (Arc::clone(&seen), Arc::clone(&reply));
                std::thread::spawn(move || serve(&stream.unwrap(), &seen, &*reply));
            }
        });
        fake
    }

    /// Starts an engine: pings are answered, other targets come without their version.
    pub(crate) fn engine(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> (Self, Engine) {
        Self::engine_remembering(move |line, _| reply(line))
    }

    /// The same, for a reply that depends on what came before.
    pub(crate) fn engine_remembering(
        reply: impl Fn(&str, &[Seen]) -> Reply + Send + Sync + 'static,
    ) -> (Self, Engine) {
        let fake = Self::remembering(move |line, seen| {
            if line == "GET /_ping" {
                return Reply::Say(with_fields("Api-Version: 1.41\r\n", "OK"));
            }
            reply(&line.replacen("/v1.41", "", 1), seen)
        });
        let engine = Engine::at(&fake.host()).unwrap();
        (fake, engine)
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("socket").display())
    }

    /// Returns the requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Returns how many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An answer of success.
pub(crate) fn ok(body: &str) -> Reply {
    Reply::Say(with_fields("", body))
}

/// An answer of that status, with a message as a daemon has it.
pub(crate) fn refused(status: u16, message: &str) -> Reply {
    let body = format!("{{\"message\":\"{message}\"}}");
    let length = body.len();
    Reply::Say(format!(
        "HTTP/1.1 {status} Of Course\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

pub(crate) fn with_fields(fields: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
}

fn serve(stream: &UnixStream, seen: &Mutex<Vec<Seen>>, reply: &dyn Fn(&str, &[Seen]) -> Reply) {
    let mut reader = BufReader::new(stream);
    while let Ok((line, length)) = head(&mut reader) {
        let at = {
            let mut seen = seen.lock().unwrap();
            seen.push(Seen {
                line: line.clone(),
                ..Seen::default()
            });
            seen.len() - 1
        };
        let reply = reply(&line, &seen.lock().unwrap());
        let most = match &reply {
            Reply::Say(_) => usize::MAX,
            Reply::Interrupt(_) => 0,
            Reply::HangUp(most) => *most,
        };
        let (body, whole) = body(&mut reader, length, most);
        {
            let seen = &mut seen.lock().unwrap()[at];
            (seen.body, seen.whole) = (body, whole);
        }
        let (Reply::Say(answer) | Reply::Interrupt(answer)) = &reply else {
            break;
        };
        let sent = (&*stream).write_all(answer.as_bytes());
        let is_last = answer.contains("Connection: close") || !answer.contains("Length");
        if sent.is_err() || is_last || !matches!(reply, Reply::Say(_)) {
            break;
        }
    }
    // Some bytes may be unread: those that were sent arrive all the same.
    stream.shutdown(Shutdown::Both).ok();
}

/// Reads a head; the length of a body in chunks is none.
fn head(reader: &mut impl BufRead) -> io::Result<(String, Option<usize>)> {
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let line = first.strip_suffix(" HTTP/1.1\r\n");
    let line = line.ok_or(io::ErrorKind::InvalidData)?.to_owned();
    let mut length = Some(0);
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        match field.trim_end() {
            "" => return Ok((line, length)),
            "Transfer-Encoding: chunked" => length = None,
            _ => {}
        }
    }
}

/// Reads a body to its end or until it has more than `most` bytes.
fn body(reader: &mut impl BufRead, length: Option<usize>, most: usize) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    if length.is_some() {
        return (body, true);
    }
    while body.len() < most {
        let mut size = String::new();
        reader.read_line(&mut size).ok();
        let Some(size) = size.strip_suffix("\r\n") else {
            return (body, false);
        };
        let size = u64::from_str_radix(size, 16).unwrap();
        reader.by_ref().take(size).read_to_end(&mut body).ok();
        let mut end = [0; 2];
        if reader.read_exact(&mut end).is_err() || end != *b"\r\n" {
            return (body, false);
        }
        if size == 0 {
            return (body, true);
        }
    }
    (body, false)
}
