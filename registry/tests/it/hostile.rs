//! Registries that hold us up, lead us astray or lie about an upload.

use std::io::{BufReader, Cursor, Read, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use layout::blob::{self, Blobs};
use layout::digest::sha256;
use layout::draft::{Origin, Wanted};
use layout::layer::WriteOptions;
use layout::manifest::{Descriptor, MediaType, Platform};
use layout::{DiffId, Digest, Draft, ImageEditor, Selector};
use registry::{Client, Error, Options, Patience, Proxies};
use tests::http::{Answer, Head, Listener, Request};

use crate::kit::{chain, client, layer, options, reference};

/// Waits a tenth of a second for everything.
fn impatient() -> Client {
    let short = Duration::from_millis(100);
    let mut options = options();
    options.retry.tries = 1;
    options.patience = Patience {
        answer: short,
        document: short,
        mebibyte: short,
        ..Patience::default()
    };
    Client::new(options)
}

/// What is asked of a registry, as `METHOD target`, without the first question to it.
type Log = Arc<Mutex<Vec<String>>>;

/// Starts a registry that welcomes everybody and writes down what it is asked.
fn registry(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Listener, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let listener = Listener::answering(move |request| {
        let Head { method, target, .. } = &request.head;
        if target == "/v2/" {
            return Answer::of(200, "");
        }
        seen.lock().unwrap().push(format!("{method} {target}"));
        answer(request)
    });
    (listener, log)
}

fn asked(log: &Log, method: &str) -> usize {
    let log = log.lock().unwrap();
    log.iter().filter(|it| it.starts_with(method)).count()
}

/// Sends one layer; returns what went wrong.
fn push_layer(client: &Client, registry: &Listener, size: usize) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let name = reference(&format!("{}/some/app", registry.address()));
    let mut draft: Box<dyn Draft> = client.push(&name).into();
    let written = draft.write_layer(&layer(dir.path(), 1, size), &WriteOptions::default(), None);
    written.map(drop).map_err(|error| chain(&error))
}

#[test]
fn an_answer_that_does_not_come_to_its_end_is_not_waited_for() {
    let trickles: [(&str, &str); 4] = [
        ("", "HTTP/1.1 103 Early Hints\r\n\r\n"),
        ("HTTP/1.1 404 X\r\nContent-Length: 5000\r\n\r\n", "x"),
        ("HTTP/1.1 200 X\r\nContent-Length: 5000\r\n\r\n", " "),
        (
            "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\n \r\n",
        ),
    ];
    for (head, again) in trickles {
        let registry = Listener::start(move |stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut stream = stream;
            while let Ok(Some(asked)) = Head::read(&mut reader) {
                if asked.target == "/v2/" {
                    let answer = "HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n";
                    stream.write_all(answer.as_bytes()).unwrap();
                    continue;
                }
                stream.write_all(head.as_bytes()).unwrap();
                while stream.write_all(again.as_bytes()).is_ok() {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        let begin = Instant::now();
        let name = reference(&format!("{}/some/app", registry.address()));
        // What is wrong with a 404 that does not end is nothing that matters.
        let fetched = impatient().fetch(&name);
        assert!(!matches!(fetched, Ok(Some(_))), "{head}{again}");
        assert!(begin.elapsed() < Duration::from_secs(3), "{head}{again}");
        drop(registry);
    }
}

#[test]
fn a_proxy_of_https_gets_no_password_unverified() {
    let hellos = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&hellos);
    let proxy = Listener::start(move |mut stream| {
        let mut begin = [0; 1];
        // A client that checks certificates says hello as well: nothing answers it here.
        if stream.read_exact(&mut begin).is_ok() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let place = format!("https://user:password@{}", proxy.address());
    let client = Client::new(Options {
        insecure: vec!["registry.invalid".to_owned()],
        proxies: Proxies::of(|name| name.ends_with("S_PROXY").then(|| place.clone().into())),
        ..options()
    });
    let error = client
        .fetch(&reference("registry.invalid/some/app"))
        .unwrap_err();
    assert!(
        matches!(error, Error::InsecureBehindProxy { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("NO_PROXY"), "{error}");
    assert_eq!(hellos.load(Ordering::SeqCst), 0);
}

#[test]
fn a_scope_that_was_asked_for_once_is_kept_and_can_be_asked_for_in_the_middle() {
    for asks_late in [false, true] {
        let (tokens, given) = registry(|request| {
            let special = request.head.target.contains("special");
            Answer::of(200, format!(r#"{{"token":"{special}"}}"#))
        });
        let realm = format!(
            r#"Bearer realm="http://{}/token",service="s",scope="special""#,
            tokens.address()
        );
        let (registry, log) = registry(move |request| {
            let is_good = request.head.header("authorization") == Some("Bearer true");
            match request.head.method.as_str() {
                "POST" if asks_late => Answer::of(202, "").header("Location", "/u/1"),
                _ if !is_good => Answer::of(401, "").header("WWW-Authenticate", realm.clone()),
                "POST" | "PATCH" => Answer::of(202, "").header("Location", "/u/1"),
                _ => Answer::of(201, ""),
            }
        });
        push_layer(&client(), &registry, 1000).unwrap();
        let tries = if asks_late { 2 } else { 1 };
        assert_eq!(asked(&log, "PATCH"), tries);
        assert!(asked(&given, "GET") <= 2, "{given:?}");
    }
}

/// A registry whose first `PATCH` fails, and that then says this of what it has.
fn broken_upload(range: Option<&'static str>) -> (Listener, Log) {
    let patches = AtomicUsize::new(0);
    registry(move |request| match request.head.method.as_str() {
        "POST" => Answer::of(202, "").header("Location", "/u/1"),
        "PATCH" if patches.fetch_add(1, Ordering::SeqCst) == 0 => Answer::of(503, ""),
        "PATCH" => Answer::of(202, "").header("Location", "/u/2"),
        "GET" => {
            let answer = Answer::of(204, "");
            range.map_or(answer.clone(), |it| answer.header("Range", it))
        }
        _ => Answer::of(201, ""),
    })
}

#[test]
fn an_upload_that_does_not_say_what_it_has_begins_anew() {
    for range in [None, Some("0-0"), Some("x"), Some("0-18446744073709551615")] {
        let (registry, log) = broken_upload(range);
        push_layer(&client(), &registry, 1000).unwrap();
        let counts = ["POST", "PATCH", "DELETE"].map(|method| asked(&log, method));
        assert_eq!(counts, [2, 2, 1], "{range:?} {log:?}");
    }
    let (registry, log) = broken_upload(Some("0-99"));
    push_layer(&client(), &registry, 1000).unwrap();
    let counts = ["POST", "PATCH", "DELETE"].map(|method| asked(&log, method));
    assert_eq!(counts, [1, 2, 0], "{log:?}");
}

#[test]
fn a_registry_that_hangs_up_at_the_same_place_may_have_a_limit() {
    let (registry, log) = {
        let log = Log::default();
        let seen = Arc::clone(&log);
        let listener = Listener::start(move |mut stream| {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let Ok(Some(head)) = Head::read(&mut reader) else {
                return;
            };
            seen.lock().unwrap().push(head.method.clone());
            let answer = match head.method.as_str() {
                "PATCH" => {
                    reader.read_exact(&mut [0; 1000]).unwrap();
                    return;
                }
                "POST" => "202 X\r\nLocation: /u/1",
                "GET" if head.target == "/u/1" => "204 X\r\nRange: 0-0",
                _ => "200 X",
            };
            let close = "Connection: close\r\nContent-Length: 0";
            write!(stream, "HTTP/1.1 {answer}\r\n{close}\r\n\r\n").unwrap();
        });
        (listener, log)
    };
    let mut many = options();
    many.retry.tries = 100;
    let error = push_layer(&Client::new(many), &registry, 4 << 20).unwrap_err();
    assert!(error.contains("may limit the size of uploads"), "{error}");
    assert_eq!(asked(&log, "PATCH"), 3);
    // Each upload that was begun is given up.
    assert_eq!(asked(&log, "DELETE"), asked(&log, "POST"));
}

/// What was tried often enough by one is not tried again by who asked for it.
#[test]
fn tries_do_not_multiply() {
    let tries = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&tries);
    let tokens = Listener::start(move |stream| {
        let mut reader = BufReader::new(stream);
        if let Ok(Some(_)) = Head::read(&mut reader) {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    let realm = format!(r#"Bearer realm="http://{}/token""#, tokens.address());
    let listener =
        Listener::answering(move |_| Answer::of(401, "").header("WWW-Authenticate", realm.clone()));
    let name = reference(&format!("{}/some/app", listener.address()));
    let draft: Box<dyn Draft> = client().push(&name).into();
    let image = ImageEditor::empty(&Platform::host())
        .commit(draft, &layout::editor::CommitOptions::default());
    image.unwrap_err();
    let allowed = usize::try_from(options().retry.tries).unwrap();
    assert_eq!(tries.load(Ordering::SeqCst), allowed);
}

/// A terminal code in what a registry says is not given on.
#[test]
fn what_a_registry_wrote_does_not_steer_the_terminal() {
    let (registry, _) = registry(|_| {
        let body = r#"{"mediaType":"\u001b]0;owned\u0007","layers":[]}"#;
        Answer::of(200, body).header("Content-Type", "application/json")
    });
    let name = reference(&format!("{}/some/app", registry.address()));
    let error = client().image(&name, &Selector::default()).unwrap_err();
    let text = chain(&error);
    assert!(!text.contains(char::is_control), "{text:?}");
}

/// The connection breaks in what was seen before, which a registry that begins at the beginning sends once more.
#[test]
fn a_break_in_what_was_seen_before_is_a_broken_connection() {
    let blob = vec![7; 1 << 20];
    let descriptor = Descriptor::new(MediaType::ImageLayer, 1 << 20, sha256(&blob));
    let times = AtomicUsize::new(0);
    let (registry, log) = registry(move |_| {
        let end = [700_000, 300_000, 1 << 20][times.fetch_add(1, Ordering::SeqCst)];
        Answer::of(200, &blob[..end]).header("Content-Length", (1 << 20).to_string())
    });
    let name = reference(&format!("{}/some/app", registry.address()));
    let blobs = client().blobs(&name);
    let mut reader = Blobs::open(&blobs, &descriptor).unwrap().unwrap();
    let read = std::io::copy(&mut reader, &mut std::io::sink());
    assert_eq!(read.unwrap(), 1 << 20);
    assert_eq!(asked(&log, "GET"), 3);
}

/// A store that has something else than its descriptors say, or nothing.
#[derive(Debug)]
struct Other(Option<Vec<u8>>);

impl Blobs for Other {
    fn open(&self, _: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let bytes = self.0.clone();
        Ok(bytes.map(|it| Box::new(Cursor::new(it)) as Box<dyn Read + Send>))
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }

    fn location(&self) -> String {
        "elsewhere".to_owned()
    }
}

/// Takes everything, and has nothing.
fn empty_registry() -> (Listener, Log) {
    registry(|request| match request.head.method.as_str() {
        "HEAD" => Answer::of(404, ""),
        "POST" | "PATCH" => Answer::of(202, "").header("Location", "/u/1"),
        _ => Answer::of(201, ""),
    })
}

/// Sends a layer of three bytes that these stores should have.
fn adopt(registry: &Listener, stores: &[Option<&[u8]>]) -> Result<(), String> {
    let digest = sha256(b"abc");
    let name = reference(&format!("{}/some/app", registry.address()));
    let wanted = stores.iter().map(|bytes| Wanted {
        diff_id: DiffId(digest.clone()),
        descriptor: Descriptor::new(MediaType::ImageLayer, 3, digest.clone()),
        origin: Origin::Base(Arc::new(Other(bytes.map(<[u8]>::to_vec)))),
    });
    let wanted: Vec<_> = wanted.collect();
    let adopted = client().push(&name).adopt(&wanted);
    adopted.map(drop).map_err(|error| chain(&error))
}

#[test]
fn a_layer_is_looked_for_in_all_places_that_should_have_it() {
    let (registry, log) = empty_registry();
    adopt(&registry, &[None, Some(b"abc")]).unwrap();
    assert_eq!(asked(&log, "PATCH"), 1);
    let error = adopt(&registry, &[None, None]).unwrap_err();
    assert!(error.contains("nor in elsewhere"), "{error}");
}

#[test]
fn a_blob_that_is_longer_than_it_should_be_is_the_store_s_fault() {
    let (registry, log) = empty_registry();
    let error = adopt(&registry, &[Some(b"abcd")]).unwrap_err();
    assert!(error.contains("longer than its descriptor"), "{error}");
    assert_eq!(asked(&log, "PUT"), 0);
    assert_eq!(asked(&log, "DELETE"), 1);
}

/// A near host may be spoken to by plain HTTP, but not because somebody stands before its TLS.
#[test]
fn what_speaks_tls_badly_gets_no_plain_text() {
    let plain = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&plain);
    let registry = Listener::start(move |mut stream| {
        let mut first = [0; 1];
        match stream.read_exact(&mut first) {
            // A hello; what comes back is `handshake failure`.
            Ok(()) if first == [0x16] => stream.write_all(&[0x15, 3, 3, 0, 2, 2, 40]).unwrap(),
            Ok(()) => drop(seen.fetch_add(1, Ordering::SeqCst)),
            Err(_) => return,
        }
        // Reset before it is read, the answer would be lost.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    });
    let name = reference(&format!("{}/some/app", registry.address()));
    let error = chain(&client().fetch(&name).unwrap_err());
    assert!(error.contains("HandshakeFailure"), "{error}");
    assert_eq!(plain.load(Ordering::SeqCst), 0);
}
