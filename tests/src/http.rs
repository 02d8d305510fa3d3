//! HTTP by hand, for servers that do what no real one would: one request a connection, answered by a function.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// The first lines of a request.
#[derive(Clone, Debug)]
pub struct Head {
    /// `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Reads them; `None` if the connection ends before.
    pub fn read(stream: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut headers = Vec::new();
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
        Ok(Some(Self {
            method,
            target,
            headers,
        }))
    }

    /// Returns the value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A request with its body.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked.
    pub head: Head,
    /// As long as `Content-Length` says, or all chunks.
    pub body: Vec<u8>,
}

/// What is answered: status, headers and body. `Content-Length` is added unless it is given.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// `200`.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// May be shorter or longer than the length that is given.
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns an answer without headers.
    pub fn of(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut headers = self.headers.clone();
        headers.push(("Connection", "close".to_owned()));
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        {
            headers.push(("Content-Length", self.body.len().to_string()));
        }
        let text = head_text(&format!("HTTP/1.1 {} X", self.status), &headers);
        stream.write_all(text.as_bytes())?;
        stream.write_all(&self.body)
    }
}

/// Returns the lines before a body.
pub(crate) fn head_text(first: &str, headers: &[(impl AsRef<str>, String)]) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{}: {value}", name.as_ref()));
    let mut all = vec![first.to_owned()];
    all.extend(lines);
    all.join("\r\n") + "\r\n\r\n"
}

/// A listener on a free port of this machine, with a thread a connection; gone when it is dropped.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Calls `serve` with each connection.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let serve = Arc::new(serve);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let serve = Arc::clone(&serve);
                    std::thread::spawn(move || serve(stream));
                }
            }
        });
        Self {
            address,
            ended,
            thread: Some(thread),
        }
    }

    /// Answers each request by a function.
    pub fn answering(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(move |stream| {
            // A client that goes away early is its test's affair.
            serve(stream, &answer).ok();
        })
    }

    /// Returns `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread up.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn chunks(reader: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
        let begin = body.len();
        body.resize(begin + size, 0);
        reader.read_exact(&mut body[begin..])?;
        reader.read_exact(&mut [0; 2])?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn serve(stream: TcpStream, answer: &dyn Fn(&Request) -> Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let Some(head) = Head::read(&mut reader)? else {
        return Ok(());
    };
    let length = head.header("content-length").unwrap_or("0");
    let length: usize = length.parse().unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    if head.header("transfer-encoding") == Some("chunked") {
        body = chunks(&mut reader)?;
    }
    let answer = answer(&Request { head, body });
    answer.send(reader.get_mut())
}
