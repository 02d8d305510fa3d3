//! A proxy in front of a registry that fails on purpose, and remembers what was asked of it.
//!
//! One request a connection: what comes from the client goes to the registry as it is, and so does what comes back, until
//! a fault that was ordered fits the request.

use std::io::{self, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::http::{Head, Listener, head_text};

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer of the proxy's own, and the registry hears nothing: status, headers and body.
    Answer(u16, Vec<(String, String)>, String),
    /// The connection is reset when so many bytes of the answer, its headers included, have passed.
    ResetAnswer(usize),
    /// The connection ends there as if it were all.
    CutAnswer(usize),
    /// The connection is reset when so many bytes of the request's body have passed.
    ResetRequest(usize),
    /// The registry hears and does everything, and its answer is lost.
    LoseAnswer,
    /// The last byte of the answer is another one.
    Corrupt,
    /// So many bytes at a time, with a pause after each.
    Slow(usize, Duration),
    /// Nothing for so long, and then everything.
    Late(Duration),
}

/// What was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Whether somebody said who he is.
    pub authorization: Option<String>,
    /// What part was asked for.
    pub range: Option<String>,
}

#[derive(Debug)]
struct Order {
    method: &'static str,
    part: &'static str,
    fault: Fault,
    left: usize,
}

#[derive(Debug, Default)]
struct State {
    orders: Vec<Order>,
    seen: Vec<Seen>,
}

/// The proxy; gone when it is dropped.
#[derive(Debug)]
pub struct FaultProxy {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

impl FaultProxy {
    /// Starts one in front of `host:port`.
    pub fn before(upstream: &str) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (upstream, own) = (upstream.to_owned(), Arc::clone(&state));
        let listener = Listener::start(move |client| {
            // Broken connections are what this is for.
            serve(client, &upstream, &own).ok();
        });
        Self { listener, state }
    }

    /// Orders a fault for the next `times` requests with this method whose target has `part` in it.
    pub fn fail(&self, method: &'static str, part: &'static str, fault: Fault, times: usize) {
        self.state.lock().unwrap().orders.push(Order {
            method,
            part,
            fault,
            left: times,
        });
    }

    /// Forgets what was ordered and has not happened.
    pub fn forget(&self) {
        self.state.lock().unwrap().orders.clear();
    }

    /// Returns `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.listener.address()
    }

    /// Returns the name of an image of the registry behind.
    pub fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.address())
    }

    /// Returns what was asked with this method for targets with `part` in them.
    pub fn seen(&self, method: &str, part: &str) -> Vec<Seen> {
        let state = self.state.lock().unwrap();
        let fit = state
            .seen
            .iter()
            .filter(|it| it.method == method && it.target.contains(part));
        fit.cloned().collect()
    }
}

fn serve(client: TcpStream, upstream: &str, state: &Mutex<State>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut reader = BufReader::new(client.try_clone()?);
    let Some(head) = Head::read(&mut reader)? else {
        return Ok(());
    };
    let fault = order(state, &head);
    match &fault {
        Some(Fault::Answer(status, headers, body)) => {
            return answer(client, *status, headers, body);
        }
        Some(Fault::Late(pause)) => std::thread::sleep(*pause),
        _ => {}
    }
    let mut server = TcpStream::connect(upstream)?;
    server.set_nodelay(true)?;
    server.write_all(raw(&head).as_bytes())?;
    let body_limit = match &fault {
        Some(Fault::ResetRequest(limit)) => Some(*limit),
        _ => None,
    };
    let mut to_server = server.try_clone()?;
    let reset_client = client.try_clone()?;
    // Not waited for: it ends with the connections.
    std::thread::spawn(move || {
        if let Some(limit) = body_limit {
            copy(&mut reader.take(limit as u64), &mut to_server, None).ok();
            reset(&reset_client);
            reset(&to_server);
        } else {
            copy(&mut reader, &mut to_server, None).ok();
        }
    });
    let result = pass_back(&mut server, client, fault.as_ref());
    server.shutdown(Shutdown::Both).ok();
    result
}

/// Passes the answer on, or what the fault leaves of it.
fn pass_back(
    server: &mut TcpStream,
    mut client: TcpStream,
    fault: Option<&Fault>,
) -> io::Result<()> {
    match fault {
        Some(Fault::ResetAnswer(limit)) => {
            copy(&mut server.take(*limit as u64), &mut client, None)?;
            // What is on its way arrives first.
            std::thread::sleep(Duration::from_millis(50));
            reset(&client);
        }
        Some(Fault::CutAnswer(limit)) => {
            copy(&mut server.take(*limit as u64), &mut client, None)?;
        }
        Some(Fault::LoseAnswer) => {
            io::copy(server, &mut io::sink())?;
            reset(&client);
        }
        Some(Fault::Corrupt) => {
            let mut all = Vec::new();
            server.read_to_end(&mut all)?;
            if let Some(last) = all.last_mut() {
                *last ^= 1;
            }
            client.write_all(&all)?;
        }
        Some(Fault::Slow(size, pause)) => {
            copy(server, &mut client, Some((*size, *pause)))?;
        }
        _ => {
            copy(server, &mut client, None)?;
        }
    }
    client.shutdown(Shutdown::Both)
}

fn order(state: &Mutex<State>, head: &Head) -> Option<Fault> {
    let mut state = state.lock().unwrap();
    state.seen.push(Seen {
        method: head.method.clone(),
        target: head.target.clone(),
        authorization: head.header("authorization").map(str::to_owned),
        range: head.header("range").map(str::to_owned),
    });
    let order = state
        .orders
        .iter_mut()
        .find(|it| it.left > 0 && it.method == head.method && head.target.contains(it.part))?;
    order.left -= 1;
    Some(order.fault.clone())
}

/// The first lines again; the registry is to end the connection after its answer.
fn raw(head: &Head) -> String {
    let mut headers = head.headers.clone();
    headers.retain(|(name, _)| name != "connection");
    headers.push(("connection".to_owned(), "close".to_owned()));
    head_text(
        &format!("{} {} HTTP/1.1", head.method, head.target),
        &headers,
    )
}

fn answer(
    mut client: TcpStream,
    status: u16,
    headers: &[(String, String)],
    body: &str,
) -> io::Result<()> {
    let mut headers = headers.to_vec();
    headers.push(("connection".to_owned(), "close".to_owned()));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    let text = head_text(&format!("HTTP/1.1 {status} X"), &headers) + body;
    client.write_all(text.as_bytes())?;
    client.shutdown(Shutdown::Write)?;
    // What the client still sends is read, or it would see a reset instead of the answer.
    io::copy(&mut client, &mut io::sink())?;
    Ok(())
}

/// Copies as it comes, at most so fast.
fn copy(
    from: &mut impl Read,
    to: &mut TcpStream,
    slow: Option<(usize, Duration)>,
) -> io::Result<()> {
    let mut buffer = vec![0; slow.map_or(64 << 10, |(size, _)| size)];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..count])?;
        if let Some((_, pause)) = slow {
            std::thread::sleep(pause);
        }
    }
}

/// Ends the connection with a reset, whoever else holds it.
fn reset(stream: &TcpStream) {
    // One that is broken already needs none.
    rustix::net::connect_unspec(stream).ok();
}
