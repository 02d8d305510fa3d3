use std::io::{Read as _, Write as _};

use super::*;
use crate::fake::{Fake, Reply, ok, with_fields};

const GET: Request<'_> = Request {
    method: "GET",
    target: "/x",
    patience: Duration::from_secs(10),
};

fn client(fake: &Fake) -> Arc<Client> {
    Arc::new(Client::new(fake.host().parse().unwrap()))
}

/// A daemon that says the same to everything.
fn saying(text: &'static str) -> Fake {
    Fake::start(move |_| Reply::Say(text.to_owned()))
}

fn body(fake: &Fake) -> io::Result<String> {
    let answer = client(fake).send(GET).map_err(|failure| match failure {
        Failure::Connect(error) | Failure::Talk(error) => error,
    })?;
    let bytes = answer.into_bytes(100)?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn bodies_of_every_kind_come_whole() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (
            "HTTP/1.1 200 OK\r\n\r\nuntil it is closed",
            "until it is closed",
        ),
        ("HTTP/1.0 200 OK\n\nold", "old"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\na",
            "a",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nab\r\nB;x=y\r\ncdefghijklm\r\n0\r\nTrailer: x\r\n\r\n",
            "abcdefghijklm",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(body(&saying(text)).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_is_cut_off_is_never_taken_for_whole() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1",
        "",
    ];
    for text in cases {
        // The fake hangs up where it says nothing of a length, or of a connection that goes on.
        let text = text.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let fake = Fake::start(move |_| Reply::Say(text.clone()));
        let error = body(&fake).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
        assert!(error.to_string().starts_with("it closed the connection\n"));
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let cases = [
        ("SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        ("HTTP/2 200\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 OK\r\n\r\n", "no HTTP"),
        ("HTTP/1.1 +20 OK\r\n\r\n", "no HTTP"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\na",
            "field without a name",
        ),
        (
            "HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 1\r\n\r\na",
            "field without a name",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            "more than one content-length",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n",
            "more than one transfer-encoding",
        ),
        ("HTTP/1.1 200 OK\r\nnothing\r\n\r\n", "field without a name"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no number"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
            "no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "transfer coding",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            "no number",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
            "longer than it says",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
            "more bytes than it can have",
        ),
    ];
    for (text, expected) in cases {
        let text = format!("{text}{}", "x".repeat(101));
        let fake = Fake::start(move |_| Reply::Say(text.clone()));
        let error = body(&fake).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(11);
    let error = body(&Fake::start(move |_| Reply::Say(interim.clone()))).unwrap_err();
    assert!(error.to_string().contains("come to its point"), "{error}");
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000));
    let error = body(&Fake::start(move |_| Reply::Say(endless.clone()))).unwrap_err();
    assert!(error.to_string().contains("head without an end"), "{error}");
}

#[test]
fn connections_are_used_again() {
    let fake = Fake::start(|_| ok("abc"));
    let client = client(&fake);
    client.hold(2).unwrap();
    for _ in 0..5 {
        let answer = client.send(GET).unwrap();
        assert_eq!(answer.into_bytes(3).unwrap(), b"abc");
    }
    let mut upload = client.upload(GET, "text/plain").unwrap();
    let meanwhile = client.send(GET).unwrap();
    assert_eq!(meanwhile.into_bytes(3).unwrap(), b"abc");
    upload.write_all(b"x").unwrap();
    assert_eq!(upload.finish().unwrap().into_bytes(3).unwrap(), b"abc");
    assert_eq!(fake.connections(), 2);
}

#[test]
fn a_connection_that_the_daemon_closed_is_replaced() {
    let fake = Fake::start(|_| Reply::Say(with_fields("", "abc")));
    let client = client(&fake);
    for n in 1..4 {
        client.send(GET).unwrap().into_bytes(3).unwrap();
        assert_eq!(fake.connections(), n);
        for connection in &*client.idle() {
            rustix::net::shutdown(connection.stream.get_ref(), rustix::net::Shutdown::Both)
                .unwrap();
        }
    }
    // One that it means to close is not kept, nor one whose answer was not read.
    let fake = Fake::start(|_| Reply::Say(with_fields("Connection: close\r\n", "abc")));
    let client = self::client(&fake);
    client.send(GET).unwrap().into_bytes(3).unwrap();
    assert!(client.idle().is_empty());
    // Nor one that may have two bodies on it, by the one field or the other.
    for text in [
        "HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: y, Close\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 13\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    ] {
        let fake = saying(text);
        let client = self::client(&fake);
        let answer = client.send(GET).unwrap();
        assert_eq!(answer.into_bytes(3).unwrap(), b"abc");
        assert!(client.idle().is_empty(), "{text}");
    }
    let fake = Fake::start(|_| ok("abc"));
    let client = self::client(&fake);
    let mut answer = client.send(GET).unwrap();
    answer.body.read_exact(&mut [0; 2]).unwrap();
    drop(answer);
    assert!(client.idle().is_empty());
}

#[test]
fn a_body_arrives_whole_or_is_not_taken_for_whole() {
    for size in [0, 1, 262_143, 262_144, 262_145, 1_000_000] {
        let fake = Fake::start(|_| ok(""));
        let mut upload = client(&fake).upload(GET, "text/plain").unwrap();
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        upload.write_all(&bytes).unwrap();
        upload.finish().unwrap();
        let [seen] = &fake.seen()[..] else {
            panic!("one request was sent");
        };
        assert!(seen.whole && seen.body == bytes, "{size}");
    }
    let fake = Fake::start(|_| ok(""));
    let mut upload = client(&fake).upload(GET, "text/plain").unwrap();
    upload.write_all(&[1; 1000]).unwrap();
    upload.flush().unwrap();
    drop(upload);
    while fake.seen().first().is_none_or(|seen| seen.body.is_empty()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!fake.seen()[0].whole);
}

#[test]
fn a_daemon_that_says_nothing_is_not_waited_for_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _silent = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = Arc::new(Client::new(Host::Unix(path)));
    let patience = Duration::from_millis(50);
    let Err(Failure::Talk(error)) = client.send(Request { patience, ..GET }) else {
        panic!("nobody answered");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(
        error.to_string(),
        "it has not answered for a long time\nsee its log"
    );
}

/// A head that comes byte by byte is as good as none.
#[test]
fn a_daemon_that_says_a_little_now_and_then_is_not_waited_for_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let trickle = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let client = Arc::new(Client::new(Host::Unix(path)));
    let patience = Duration::from_millis(50);
    let Err(Failure::Talk(error)) = client.send(Request { patience, ..GET }) else {
        panic!("nobody answered");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    trickle.join().unwrap();
}

/// What was removed by a request whose answer was lost is absent at the next.
#[test]
fn an_answer_to_a_request_that_was_sent_twice_says_so() {
    let times = std::sync::atomic::AtomicUsize::new(0);
    let fake =
        Fake::start(
            move |_| match times.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                1 => Reply::HangUp(0),
                _ => ok("abc"),
            },
        );
    let client = client(&fake);
    let first = client.send(GET).unwrap();
    assert!(!first.is_repeated);
    first.into_bytes(3).unwrap();
    assert!(client.send(GET).unwrap().is_repeated);
}

#[test]
fn writing_on_after_a_failure_fails() {
    let fake = Fake::start(|_| Reply::HangUp(0));
    let mut upload = client(&fake).upload(GET, "text/plain").unwrap();
    let chunk = vec![1; 1 << 20];
    while upload.write_all(&chunk).is_ok() {}
    for _ in 0..3 {
        upload.write_all(&chunk).unwrap_err();
    }
}

#[test]
fn a_machine_is_reached_by_tcp() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
            .unwrap();
        let mut head = [0; 20];
        stream.read_exact(&mut head).unwrap();
        head
    });
    let host = format!("tcp://localhost:{port}").parse().unwrap();
    let answer = Arc::new(Client::new(host)).send(GET).unwrap();
    assert_eq!(answer.into_bytes(1).unwrap(), b"a");
    assert_eq!(&served.join().unwrap(), b"GET /x HTTP/1.1\r\nHos");
}
