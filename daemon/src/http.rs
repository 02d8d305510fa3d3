//! HTTP/1.1 (RFC 9112) as far as the Engine API needs it: one request after the other on a connection, bodies of a known
//! length or in chunks.
//!
//! Connections are kept and used again, because a phase may lose the right to make new ones: the socket is root's, and the
//! phase goes on as the user of the build (COM-045).

use std::io::{self, BufReader, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::net::RecvFlags;

mod answer;
mod upload;

pub(crate) use answer::Answer;
pub(crate) use upload::Upload;

use crate::host::Host;

/// How long a daemon may take to begin an answer to something small.
pub(crate) const SHORT: Duration = Duration::from_secs(120);

/// How long a daemon may be silent while it takes an image in or gathers one.
pub(crate) const LONG: Duration = Duration::from_secs(30 * 60);

/// How long it may take to reach a machine.
const CONNECT: Duration = Duration::from_secs(10);

/// A daemon's address, and connections to it that nobody uses at the moment.
#[derive(Debug)]
pub(crate) struct Client {
    host: Host,
    idle: Mutex<Vec<Connection>>,
}

/// A request without a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    /// `GET`, `POST`, `DELETE`.
    pub(crate) method: &'static str,
    /// Path and query, encoded.
    pub(crate) target: &'a str,
    /// How long the daemon may be silent.
    pub(crate) patience: Duration,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody could be reached.
    Connect(io::Error),
    /// It ended in the middle.
    Talk(io::Error),
}

impl Client {
    pub(crate) fn new(host: Host) -> Self {
        Self {
            host,
            idle: Mutex::default(),
        }
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// Makes connections ahead, up to `count` idle ones.
    pub(crate) fn hold(&self, count: usize) -> io::Result<()> {
        while self.idle().len() < count {
            let connection = Connection::open(&self.host)?;
            self.idle().push(connection);
        }
        Ok(())
    }

    /// Sends a request that may be sent twice, and reads the head of the answer.
    pub(crate) fn send(self: &Arc<Self>, request: Request<'_>) -> Result<Answer, Failure> {
        let mut is_repeated = false;
        if let Some(connection) = self.take_idle() {
            match self.send_on(connection, request) {
                // The daemon hung up between two requests, which it may.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => is_repeated = true,
                answer => return answer.map_err(Failure::Talk),
            }
        }
        let connection = Connection::open(&self.host).map_err(Failure::Connect)?;
        let mut answer = self.send_on(connection, request).map_err(Failure::Talk)?;
        answer.is_repeated = is_repeated;
        Ok(answer)
    }

    fn send_on(
        self: &Arc<Self>,
        mut connection: Connection,
        request: Request<'_>,
    ) -> io::Result<Answer> {
        connection.be_patient(request.patience)?;
        let length = if request.method == "POST" {
            "Content-Length: 0\r\n"
        } else {
            ""
        };
        connection.write_all(&head(request, length))?;
        Answer::read(connection, self)
    }

    /// Begins a request whose body is written piece by piece.
    pub(crate) fn upload(
        self: &Arc<Self>,
        request: Request<'_>,
        content_type: &str,
    ) -> Result<Upload, Failure> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => Connection::open(&self.host).map_err(Failure::Connect)?,
        };
        let fields = format!("Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n");
        connection
            .be_patient(request.patience)
            .and_then(|()| connection.write_all(&head(request, &fields)))
            .map_err(Failure::Talk)?;
        Ok(Upload::new(connection, self))
    }

    /// Returns a connection that was used before and is still open.
    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find(Connection::is_open)
    }

    fn give_back(&self, connection: Connection) {
        self.idle().push(connection);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn head(request: Request<'_>, fields: &str) -> Vec<u8> {
    // The socket has no name; Go's servers want something valid, whatever it is.
    let Request { method, target, .. } = request;
    let version = env!("CARGO_PKG_VERSION");
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: slipway/{version}\r\n{fields}\r\n")
        .into_bytes()
}

/// A stream in both directions.
#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection between two requests, or in one.
#[derive(Debug)]
struct Connection {
    stream: BufReader<Stream>,
    /// How long the other side may be silent, and take for a head.
    patience: Duration,
}

impl Connection {
    fn open(host: &Host) -> io::Result<Self> {
        let stream = match host {
            Host::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Host::Tcp { name, port } => Stream::Tcp(connect(name, *port)?),
        };
        Ok(Self {
            stream: BufReader::with_capacity(64 << 10, stream),
            patience: SHORT,
        })
    }

    /// True if the other side neither closed the connection nor said something that nobody asked for.
    fn is_open(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = rustix::net::recv(self.stream.get_ref(), &mut [0; 1], flags);
        self.stream.buffer().is_empty() && peeked == Err(rustix::io::Errno::AGAIN)
    }

    fn be_patient(&mut self, patience: Duration) -> io::Result<()> {
        self.patience = patience;
        let patience = Some(patience);
        match self.stream.get_ref() {
            Stream::Unix(stream) => stream
                .set_read_timeout(patience)
                .and_then(|()| stream.set_write_timeout(patience)),
            Stream::Tcp(stream) => stream
                .set_read_timeout(patience)
                .and_then(|()| stream.set_write_timeout(patience)),
        }
    }
}

/// Tries each address of a machine.
fn connect(name: &str, port: u16) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (name, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

impl io::Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        };
        read.map_err(explained)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self.stream.get_mut() {
            Stream::Unix(stream) => stream.write(bytes),
            Stream::Tcp(stream) => stream.write(bytes),
        };
        written.map_err(explained)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(stream) => stream.as_fd(),
            Self::Tcp(stream) => stream.as_fd(),
        }
    }
}

/// Says what the kernel calls `Resource temporarily unavailable` and `Broken pipe`.
fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => silent(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => hung_up(),
        _ => error,
    }
}

fn silent() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "it has not answered for a long time\nsee its log",
    )
}

fn hung_up() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "it closed the connection\nsee its log, and try again",
    )
}

#[cfg(test)]
mod tests;
