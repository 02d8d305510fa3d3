//! Who we are: passwords, tokens, certificates.

use std::ffi::OsString;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use registry::{Client, Error, Keychain, Options, Trust};
use tests::registry::{IDENTITY_TOKEN, PASSWORD, Registry, USER, basic_header};

use crate::kit::{chain, layer, options, read_whole, reference, write};

/// Returns a client that knows this header for a registry, as `CNB_REGISTRY_AUTH` has it.
fn with_header(registry: &str, header: &str) -> Client {
    let headers = format!(r#"{{"{registry}":"{header}"}}"#);
    Client::new(Options {
        keychain: Keychain::new(Some(&headers), None).unwrap(),
        ..options()
    })
}

/// Returns a client that knows this entry of Docker's configuration.
fn with_entry(dir: &Path, registry: &str, entry: &str) -> Client {
    let path = dir.join("config.json");
    fs_err::write(&path, format!(r#"{{"auths":{{"{registry}":{entry}}}}}"#)).unwrap();
    Client::new(Options {
        keychain: Keychain::new(None, Some(path)).unwrap(),
        ..options()
    })
}

fn round_trip(client: &Client, registry: &Registry, dir: &Path) {
    let name = registry.name("some/app");
    client.can_read_and_write(&reference(&name)).unwrap();
    let draft = client.push(&reference(&name)).into();
    let committed = write(draft, &[layer(dir, 1, 1000)], "latest").unwrap();
    let image = read_whole(client, &name).unwrap();
    assert_eq!(image.digest(), &committed.digest);
}

fn denied(client: &Client, name: &str, status: u16, hint: &str) {
    let error = client.can_read_and_write(&reference(name)).unwrap_err();
    assert_eq!(error.status(), Some(status), "{error}");
    assert!(matches!(error, Error::Denied { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(hint), "{text}");
}

#[test]
fn a_password_comes_from_the_variable_or_from_dockers_configuration() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::with_password());
    let address = registry.address();
    round_trip(
        &with_header(&address, &basic_header()),
        &registry,
        dir.path(),
    );
    let entry = format!(r#"{{"username":"{USER}","password":"{PASSWORD}"}}"#);
    round_trip(
        &with_entry(dir.path(), &address, &entry),
        &registry,
        dir.path(),
    );

    let name = registry.name("some/app");
    let wrong = BASE64_STANDARD.encode("someone:else");
    let client = with_header(&address, &format!("Basic {wrong}"));
    denied(&client, &name, 401, "are refused");
    denied(&Client::new(options()), &name, 401, "docker login");
    let shown = format!("{client:?} {:?}", client.can_read(&reference(&name)));
    assert!(
        !shown.contains(&wrong) && !shown.contains("else"),
        "{shown}"
    );
}

#[test]
fn tokens_are_fetched_once_per_scope() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::with_tokens());
    let address = registry.address();
    round_trip(
        &with_header(&address, &basic_header()),
        &registry,
        dir.path(),
    );
    assert_eq!(
        registry.tokens_given(),
        3,
        "to read, to write, and to give an upload up"
    );

    let identity = format!(r#"{{"auth":"dTo=","identitytoken":"{IDENTITY_TOKEN}"}}"#);
    round_trip(
        &with_entry(dir.path(), &address, &identity),
        &registry,
        dir.path(),
    );

    // A mount needs a token for two repositories.
    let client = with_header(&address, &basic_header());
    let image = read_whole(&client, &registry.name("some/app")).unwrap();
    let other = registry.name("some/other");
    client.copy(&image, &reference(&other)).unwrap();
    assert_eq!(
        read_whole(&client, &other).unwrap().digest(),
        image.digest()
    );

    // Everybody may read.
    let name = registry.name("some/app");
    read_whole(&Client::new(options()), &name).unwrap();
    denied(&Client::new(options()), &name, 401, "docker login");
    let wrong = BASE64_STANDARD.encode("someone:else");
    let client = with_header(&address, &format!("Basic {wrong}"));
    denied(&client, &name, 401, "are refused");
}

#[test]
fn a_certificate_is_good_by_a_ca_that_is_trusted_or_where_it_does_not_matter() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::with_tls());
    let ca: OsString = registry.ca().into();
    let trusting = Client::new(Options {
        trust: Trust::of(|name| (name == "SSL_CERT_FILE").then(|| ca.clone())),
        ..options()
    });
    round_trip(&trusting, &registry, dir.path());
    let careless = Client::new(Options {
        insecure: vec![registry.address()],
        ..options()
    });
    round_trip(&careless, &registry, dir.path());

    // Where it does matter nothing goes over plain text instead, although this host is near.
    let name = registry.name("some/app");
    let other = Client::new(Options {
        insecure: vec![format!("{}0", registry.address()), "127.0.0.1".to_owned()],
        ..options()
    });
    for client in [Client::new(options()), other] {
        let error = client.can_read(&reference(&name)).unwrap_err();
        let text = chain(&error);
        assert!(
            text.contains(&name) && text.contains("SSL_CERT_FILE"),
            "{text}"
        );
        assert!(
            text.contains("invalid peer certificate: UnknownIssuer"),
            "{text}"
        );
    }
}

/// To read all certificates of a machine takes longer than to ask a registry of its own.
#[test]
fn certificates_are_read_where_tls_is_spoken_and_nowhere_else() {
    if !Registry::is_possible() {
        return;
    }
    let lost = || Trust::of(|name| (name == "SSL_CERT_FILE").then(|| "/no/such/file".into()));
    let can_read = |registry: &Registry| {
        let client = Client::new(Options {
            trust: lost(),
            ..options()
        });
        client.can_read(&reference(&registry.name("some/app")))
    };
    can_read(&Registry::start()).unwrap();
    let text = chain(&can_read(&Registry::with_tls()).unwrap_err());
    assert!(text.contains("/no/such/file"), "{text}");
}
