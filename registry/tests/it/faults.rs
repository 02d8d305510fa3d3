//! What goes wrong on the way to a registry, and what comes of it: the table of `docs/reliability.md`.

use std::time::{Duration, Instant};

use layout::{Layout, Selector};
use registry::Client;
use tests::fault_proxy::{Fault, FaultProxy};
use tests::registry::Registry;

use crate::kit::{chain, client, layer, options, read_whole, reference, write};

/// What comes of a fault.
enum Outcome {
    /// All is well after so many requests of the kind that failed.
    Well(usize),
    /// An error with all of these texts in it.
    Fails(&'static [&'static str]),
}

use Outcome::{Fails, Well};

fn answer(status: u16) -> Fault {
    let body = r#"{"errors":[{"code":"OOPS","message":"no luck"}]}"#;
    Fault::Answer(status, Vec::new(), body.to_owned())
}

fn answer_with(status: u16, name: &str, value: &str) -> Fault {
    let headers = vec![(name.to_owned(), value.to_owned())];
    Fault::Answer(status, headers, String::new())
}

/// Bytes of the larger layer.
const LARGE: usize = 3 << 20;

type Case = (&'static str, &'static str, Fault, usize, Outcome);

/// Faults while a manifest is read, and while a layer is.
fn faults_in_reading(layer: &'static str) -> Vec<Case> {
    let manifest = |fault, times, outcome| ("GET", "/manifests/", fault, times, outcome);
    let layer = |fault, times, outcome| ("GET", layer, fault, times, outcome);
    let redirect = |place| answer_with(302, "location", place);
    let ourselves = "/v2/some/app/manifests/latest";
    let short = Fault::Answer(200, Vec::new(), "short".to_owned());
    let slow = Fault::Slow(256 << 10, Duration::from_millis(5));
    let refused = &["answers 401: OOPS", "docker login"];
    let damaged = &["is damaged: its digest is"];
    vec![
        ("GET", "/v2/", answer(503), 2, Well(0)),
        manifest(answer(500), 3, Well(4)),
        manifest(answer(500), 4, Fails(&["answers 500: OOPS: no luck"])),
        manifest(answer_with(429, "retry-after", "0"), 1, Well(2)),
        manifest(answer_with(429, "retry-after", "86400"), 1, Well(2)),
        manifest(answer(408), 1, Well(2)),
        manifest(answer(401), 1, Fails(refused)),
        manifest(answer(403), 1, Fails(&["answers 403: OOPS"])),
        manifest(answer(404), 1, Fails(&["there is no such image"])),
        manifest(Fault::ResetAnswer(0), 1, Well(2)),
        manifest(Fault::ResetAnswer(500), 1, Well(2)),
        manifest(Fault::CutAnswer(500), 1, Well(2)),
        manifest(Fault::Corrupt, 1, Fails(damaged)),
        manifest(redirect("http://127.0.0.1:1/x"), 1, Fails(&["127.0.0.1:1"])),
        manifest(redirect("gopher://x/"), 1, Fails(&["no place at all"])),
        manifest(redirect(ourselves), 20, Fails(&["more than 8 redirects"])),
        layer(answer(502), 2, Well(3)),
        layer(Fault::ResetAnswer(LARGE / 2), 2, Well(3)),
        layer(Fault::CutAnswer(LARGE / 2), 1, Well(2)),
        layer(Fault::ResetAnswer(1000), 9, Fails(&["no answer from"])),
        layer(slow, 1, Well(1)),
        layer(Fault::Late(Duration::from_millis(300)), 1, Well(1)),
        layer(Fault::Corrupt, 1, Fails(&["is damaged: "])),
        layer(short, 1, Fails(&["is damaged: it is shorter"])),
        (
            "GET",
            "/blobs/",
            answer(404),
            1,
            Fails(&["config sha256:", "is not in"]),
        ),
    ]
}

#[test]
fn reading_outlives_what_passes_and_says_what_does_not() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let name = registry.name("some/app");
    let layers = [layer(dir.path(), 1, LARGE)];
    let draft = client().push(&reference(&name)).into();
    let committed = write(draft, &layers, "latest").unwrap();
    let image = client().image(&reference(&name), &Selector::default());
    let digest = image.unwrap().unwrap().manifest().layers[0].digest.clone();
    let layer: &'static str = Box::leak(digest.to_string().into_boxed_str());

    for (method, part, fault, times, outcome) in faults_in_reading(layer) {
        let proxy = FaultProxy::before(&registry.address());
        let what = format!("{method} {part} {fault:?} {times}");
        proxy.fail(method, part, fault, times);
        let result = read_whole(&client(), &proxy.name("some/app"));
        match (result, outcome) {
            (Ok(image), Well(requests)) => {
                assert_eq!(image.digest(), &committed.digest, "{what}");
                let seen = proxy.seen(method, part);
                assert!(requests == 0 || seen.len() == requests, "{what}: {seen:?}");
            }
            (Err(error), Fails(texts)) => {
                let text = chain(&*error);
                let named = text.contains("some/app") || text.contains("no such image");
                let all = texts.iter().all(|part| text.contains(part));
                assert!(named && all, "{what}: {text}");
            }
            (Ok(_), Fails(_)) => panic!("{what}: all is well"),
            (Err(error), Well(_)) => panic!("{what}: {}", chain(&*error)),
        }
    }
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let layers = [layer(dir.path(), 1, LARGE)];
    let name = reference(&registry.name("some/app"));
    write(client().push(&name).into(), &layers, "latest").unwrap();
    let proxy = FaultProxy::before(&registry.address());
    proxy.fail("GET", "/blobs/", Fault::ResetAnswer(LARGE / 2), 2);
    read_whole(&client(), &proxy.name("some/app")).unwrap();
    let ranges: Vec<_> = proxy
        .seen("GET", "/blobs/")
        .into_iter()
        .filter_map(|it| it.range)
        .collect();
    assert_eq!(ranges.len(), 1, "{ranges:?}");
    let offset = ranges[0].strip_prefix("bytes=").unwrap();
    let offset: usize = offset.strip_suffix('-').unwrap().parse().unwrap();
    assert!((LARGE / 4..LARGE).contains(&offset), "{offset}");
}

/// Faults while an upload begins, goes on and ends, and while the manifest is written. The image has two layers and a config.
fn faults_in_writing() -> Vec<Case> {
    let uploads = "/blobs/uploads/";
    let patch = |fault, times, outcome| ("PATCH", uploads, fault, times, outcome);
    let put = |fault, times, outcome| ("PUT", uploads, fault, times, outcome);
    let manifest = |fault, times, outcome| ("PUT", "/manifests/", fault, times, outcome);
    let slow = Fault::Slow(10, Duration::from_millis(1));
    vec![
        ("POST", uploads, answer(500), 2, Well(5)),
        (
            "POST",
            uploads,
            answer(403),
            1,
            Fails(&["answers 403: OOPS"]),
        ),
        patch(Fault::ResetRequest(LARGE / 2), 1, Well(3)),
        patch(Fault::ResetRequest(0), 2, Well(4)),
        patch(
            Fault::ResetRequest(LARGE / 4),
            9,
            Fails(&["no answer from"]),
        ),
        patch(answer(503), 2, Well(4)),
        patch(answer(413), 1, Fails(&["answers 413: OOPS"])),
        patch(Fault::LoseAnswer, 1, Well(3)),
        patch(slow, 1, Well(2)),
        put(answer(502), 1, Well(4)),
        put(Fault::LoseAnswer, 1, Well(4)),
        put(answer(400), 1, Fails(&["answers 400: OOPS"])),
        manifest(answer(500), 2, Well(3)),
        manifest(Fault::LoseAnswer, 1, Well(2)),
        manifest(answer(413), 1, Fails(&["answers 413: OOPS"])),
        ("HEAD", "/blobs/", answer(500), 2, Well(0)),
    ]
}

#[test]
fn writing_outlives_what_passes_and_leaves_nothing_where_it_does_not() {
    if !Registry::is_possible() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let layers = [1, 2].map(|seed| layer(dir.path(), seed, LARGE));
    let layout = Layout::at(dir.path().join("layout"));
    let committed = write(layout.update().unwrap().into(), &layers, "x").unwrap();
    let image = layout.image(&Selector::default()).unwrap().unwrap();

    for (method, part, fault, times, outcome) in faults_in_writing() {
        // Written layer by layer, or copied from another store.
        for is_copy in [false, true] {
            let registry = Registry::start();
            let proxy = FaultProxy::before(&registry.address());
            let what = format!("{method} {part} {fault:?} {times} {is_copy}");
            proxy.fail(method, part, fault.clone(), times);
            let name = reference(&proxy.name("some/app"));
            let result = if is_copy {
                client().copy(&image, &name).map_err(Into::into)
            } else {
                write(client().push(&name).into(), &layers, "x").map(drop)
            };
            let direct = registry.name("some/app");
            match (result, &outcome) {
                (Ok(()), Well(requests)) => {
                    let found = read_whole(&client(), &direct).unwrap();
                    assert_eq!(found.digest(), &committed.digest, "{what}");
                    let seen = proxy.seen(method, part);
                    assert!(
                        *requests == 0 || seen.len() == *requests,
                        "{what}: {seen:?}"
                    );
                }
                (Err(error), Fails(texts)) => {
                    let text = chain(&*error);
                    for part in *texts {
                        assert!(text.contains(part), "{what}: {text}");
                    }
                    assert!(text.contains("some/app"), "{what}: {text}");
                    let there = client().fetch(&reference(&direct)).unwrap();
                    assert!(there.is_none(), "{what}: there is an image");
                    assert!(read_whole(&client(), &direct).is_err());
                    // The second try.
                    client().copy(&image, &reference(&direct)).unwrap();
                }
                (Ok(()), Fails(_)) => panic!("{what}: all is well"),
                (Err(error), Well(_)) => panic!("{what}: {}", chain(&*error)),
            }
        }
    }
}

/// What was sent before the registry went away is not sent again.
#[test]
fn a_second_try_sends_what_the_first_did_not() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, mut registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let layout = Layout::at(dir.path().join("layout"));
    let layers: Vec<_> = (0..3).map(|at| layer(dir.path(), at, 100_000)).collect();
    write(layout.update().unwrap().into(), &layers, "x").unwrap();
    let image = layout.image(&Selector::default()).unwrap().unwrap();
    let proxy = FaultProxy::before(&registry.address());
    let name = reference(&proxy.name("some/app"));
    proxy.fail("PUT", "/manifests/", answer(403), 1);
    client().copy(&image, &name).unwrap_err();
    registry.stop();
    let error = client().copy(&image, &reference(&registry.name("some/app")));
    let text = chain(&error.unwrap_err());
    assert!(text.contains("onnection refused"), "{text}");
    registry.restart();
    client().copy(&image, &name).unwrap();
    assert_eq!(proxy.seen("PATCH", "").len(), 3);
}

#[test]
fn pauses_are_as_long_as_asked_for_within_a_limit() {
    if !Registry::is_possible() {
        return;
    }
    let registry = Registry::start();
    let proxy = FaultProxy::before(&registry.address());
    proxy.fail(
        "GET",
        "/manifests/",
        answer_with(429, "retry-after", "3600"),
        2,
    );
    let mut options = options();
    options.retry.longest_pause = Duration::from_millis(300);
    let begin = Instant::now();
    let found = Client::new(options).fetch(&reference(&proxy.name("some/app")));
    assert!(found.unwrap().is_none());
    let elapsed = begin.elapsed();
    assert!(elapsed >= Duration::from_millis(600), "{elapsed:?}");
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
}

/// The registry lost what it had; a layer that is made while it is sent cannot be made again from its middle.
#[test]
fn an_upload_whose_beginning_is_lost_is_given_up() {
    if !Registry::is_possible() {
        return;
    }
    let (dir, registry) = (tempfile::tempdir().unwrap(), Registry::start());
    let large = layer(dir.path(), 1, 24 << 20);
    let proxy = FaultProxy::before(&registry.address());
    let lost = Fault::Answer(
        204,
        vec![("range".to_owned(), "0-9".to_owned())],
        String::new(),
    );
    proxy.fail("PATCH", "/uploads/", Fault::ResetRequest(20 << 20), 1);
    proxy.fail("GET", "/uploads/", lost, 1);
    let name = reference(&proxy.name("some/app"));
    let error = write(client().push(&name).into(), &[large], "x").unwrap_err();
    let text = chain(&*error);
    for part in ["some/app", "broke off", "it has 10 bytes", "try again"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(proxy.seen("DELETE", "/uploads/").len(), 1);
}
