//! Servers that point elsewhere: who gets credentials, and who does not.

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use layout::blob::MAX_MANIFEST;
use layout::digest::sha256;
use registry::{Client, Error, Keychain, Options, Proxies};
use tests::http::{Answer, Head, Listener, Request};

use crate::kit::{chain, options, reference};

const MANIFEST: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":2,"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#;

/// `u:secret` in Base64.
const BASIC: &str = "dTpzZWNyZXQ=";

/// What a server was sent to show who asks.
type Log = Arc<Mutex<Vec<Option<String>>>>;

/// Starts a server that writes down who asks.
fn server(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Listener, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let listener = Listener::answering(move |request| {
        let header = request.head.header("authorization").map(str::to_owned);
        seen.lock().unwrap().push(header);
        answer(request)
    });
    (listener, log)
}

fn manifest() -> Answer {
    let kind = "application/vnd.oci.image.manifest.v1+json";
    Answer::of(200, MANIFEST).header("Content-Type", kind)
}

fn client(registry: &str) -> Client {
    let headers = format!(r#"{{"{registry}":"Basic {BASIC}"}}"#);
    Client::new(Options {
        keychain: Keychain::new(Some(&headers), None).unwrap(),
        ..options()
    })
}

/// Returns the digest of an image, or all that is said of the failure.
fn fetch(registry: &Listener) -> Result<String, String> {
    let name = reference(&format!("{}/some/app", registry.address()));
    let fetched = client(&registry.address()).fetch(&name);
    let said = |error: Error| format!("{} {error:?}", chain(&error));
    let fetched = fetched.map_err(said)?.ok_or("there is no image")?;
    Ok(fetched.descriptor.digest.to_string())
}

/// Returns all that is said of the failure, in which no secret is.
fn failure(registry: &Listener) -> String {
    let text = fetch(registry).unwrap_err();
    assert!(!text.contains(BASIC) && !text.contains("secret"), "{text}");
    text
}

/// Answers like a registry that wants a password: nothing to those without one.
fn with_password(request: &Request, answer: impl Fn() -> Answer) -> Answer {
    match request.head.header("authorization") {
        Some(_) => answer(),
        None => Answer::of(401, "").header("WWW-Authenticate", r#"Basic realm="x""#),
    }
}

#[test]
fn another_host_gets_no_password() {
    let (other, seen) = server(|_| manifest());
    let place = format!("http://{}/signed?signature=x", other.address());
    let (registry, _) = server(move |request| {
        with_password(request, || match request.head.target.as_str() {
            "/v2/" => Answer::of(200, "{}"),
            _ => Answer::of(307, "").header("Location", place.clone()),
        })
    });
    assert_eq!(
        fetch(&registry).unwrap(),
        sha256(MANIFEST.as_bytes()).to_string()
    );
    assert_eq!(*seen.lock().unwrap(), [None]);
}

#[test]
fn the_same_host_gets_it_again() {
    let (registry, seen) = server(move |request| {
        with_password(request, || match request.head.target.as_str() {
            "/v2/" => Answer::of(200, "{}"),
            "/elsewhere" => manifest(),
            _ => Answer::of(301, "").header("Location", "/elsewhere"),
        })
    });
    fetch(&registry).unwrap();
    let basic = Some(format!("Basic {BASIC}"));
    assert_eq!(*seen.lock().unwrap(), [None, basic.clone(), basic]);
}

#[test]
fn a_token_server_that_points_elsewhere_gets_no_password_there() {
    let (other, seen) = server(|_| Answer::of(200, r#"{"token":"stolen"}"#));
    let place = format!("http://{}/token?x=secret", other.address());
    let (tokens, _) = server(move |_| Answer::of(302, "").header("Location", place.clone()));
    let realm = format!(
        r#"Bearer realm="http://{}/token",service="s""#,
        tokens.address()
    );
    let (registry, _) =
        server(move |_| Answer::of(401, "").header("WWW-Authenticate", realm.clone()));
    let error = failure(&registry);
    let expected = format!(
        "the token server {} redirects to http://{}/token",
        tokens.address(),
        other.address()
    );
    assert!(
        error.contains(&expected) && error.contains("some/app"),
        "{error}"
    );
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn a_token_server_is_not_believed() {
    let cases = [
        (
            Answer::of(200, "rubbish secret"),
            "something that is no token",
        ),
        (
            Answer::of(200, r#"{"token":5}"#),
            "something that is no token",
        ),
        (
            Answer::of(200, r#"{"token":"a\nb: c"}"#),
            "something that is no token",
        ),
        (
            Answer::of(200, "x".repeat(1 << 20)),
            "something that is no token",
        ),
        (
            Answer::of(
                403,
                format!(r#"{{"errors":[{{"message":"not {BASIC} with secret"}}]}}"#),
            ),
            "answers 403: not [redacted] with [redacted]",
        ),
        (Answer::of(302, ""), "answers 302"),
        (
            Answer::of(500, "").header("Retry-After", "0"),
            "answers 500",
        ),
    ];
    for (answer, expected) in cases {
        let (tokens, _) = server(move |_| answer.clone());
        let realm = format!(r#"Bearer realm="http://{}/token""#, tokens.address());
        let (registry, _) =
            server(move |_| Answer::of(401, "").header("WWW-Authenticate", realm.clone()));
        let error = failure(&registry);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_registry_that_repeats_what_it_was_sent_does_not_make_us_say_it() {
    let (registry, _) = server(move |request| {
        with_password(request, || {
            let header = request.head.header("authorization").unwrap_or_default();
            let body = format!(r#"{{"errors":[{{"code":"DENIED","message":"{header}"}}]}}"#);
            match request.head.target.as_str() {
                "/v2/" => Answer::of(200, ""),
                _ => Answer::of(403, body),
            }
        })
    });
    let error = failure(&registry);
    assert!(error.contains("DENIED: Basic [redacted]"), "{error}");
}

#[test]
fn a_token_that_ended_early_is_fetched_anew_and_a_scope_that_is_asked_for_is_added() {
    let scopes = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&scopes);
    let (tokens, _) = server(move |request| {
        let mut asked = asked.lock().unwrap();
        asked.push(request.head.target.clone());
        Answer::of(
            200,
            format!(r#"{{"access_token":"t{}","expires_in":3600}}"#, asked.len()),
        )
    });
    let realm = format!(
        r#"Bearer realm="http://{}/token",service="s",scope="repository:some/app:pull,special""#,
        tokens.address()
    );
    let (registry, seen) = server(move |request| match request.head.header("authorization") {
        Some("Bearer t2") => manifest(),
        _ => Answer::of(401, "").header("WWW-Authenticate", realm.clone()),
    });
    fetch(&registry).unwrap();
    let bearer = |number| Some(format!("Bearer t{number}"));
    assert_eq!(*seen.lock().unwrap(), [None, bearer(1), bearer(2)]);
    let scopes = scopes.lock().unwrap();
    assert_eq!(
        scopes[0],
        "/token?service=s&scope=repository%3Asome%2Fapp%3Apull"
    );
    assert!(
        scopes[1].ends_with("&scope=repository%3Asome%2Fapp%3Apull%2Cspecial"),
        "{scopes:?}"
    );
}

#[test]
fn an_answer_that_never_ends_is_not_read() {
    let length = usize::try_from(MAX_MANIFEST).unwrap() + 1;
    let (registry, _) = server(move |request| match request.head.target.as_str() {
        "/v2/" => Answer::of(200, ""),
        _ => Answer::of(200, vec![b' '; length]),
    });
    let name = reference(&format!("{}/some/app", registry.address()));
    let error = Client::new(options()).fetch(&name).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_manifest_is_what_it_says_where_the_registry_says_nothing() {
    for kind in ["application/json", "text/plain; charset=utf-8", ""] {
        let (registry, _) = server(move |request| match request.head.target.as_str() {
            "/v2/" => Answer::of(200, ""),
            _ => Answer::of(200, MANIFEST).header("Content-Type", kind),
        });
        let name = reference(&format!("{}/some/app", registry.address()));
        let fetched = Client::new(options()).fetch(&name).unwrap().unwrap();
        assert_eq!(
            fetched.descriptor.media_type.to_string(),
            "application/vnd.oci.image.manifest.v1+json"
        );
    }
}

/// A host that only the proxy knows.
#[test]
fn a_proxy_stands_before_hosts_of_elsewhere() {
    let (registry, _) = server(|request| match request.head.target.as_str() {
        "/v2/" => Answer::of(200, ""),
        _ => manifest(),
    });
    let (address, asked) = (registry.address(), Arc::new(Mutex::new(Vec::new())));
    let seen = Arc::clone(&asked);
    let proxy = Listener::start(move |client| {
        let mut reader = BufReader::new(client.try_clone().unwrap());
        let head = Head::read(&mut reader).unwrap().unwrap();
        seen.lock()
            .unwrap()
            .push(format!("{} {}", head.method, head.target));
        let mut client = client;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let mut server = TcpStream::connect(&address).unwrap();
        let mut to_server = server.try_clone().unwrap();
        std::thread::spawn(move || std::io::copy(&mut reader, &mut to_server));
        std::io::copy(&mut server, &mut client).ok();
        client.shutdown(Shutdown::Both).ok();
    });
    let place = format!("http://{}", proxy.address());
    let client = Client::new(Options {
        insecure: vec!["registry.invalid:5000".to_owned()],
        proxies: Proxies::of(|name| name.ends_with("_PROXY").then(|| place.clone().into())),
        ..options()
    });
    let fetched = client.fetch(&reference("registry.invalid:5000/some/app"));
    assert_eq!(fetched.unwrap().unwrap().bytes, MANIFEST.as_bytes());
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0], "CONNECT registry.invalid:5000");
    let name = reference(&format!("{}/some/app", registry.address()));
    let before = asked.len();
    client.fetch(&name).unwrap();
    assert_eq!(asked.len(), before);
}
