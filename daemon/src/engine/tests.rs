use std::io;

use layout::digest::sha256;

use super::*;
use crate::error::Unreachable;
use crate::fake::{Fake, Reply, ok, refused, with_fields};

fn text(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[test]
fn the_newest_version_that_both_know_is_spoken() {
    let cases = [
        ("Api-Version: 1.41\r\n", "GET /v1.41/images/app/json"),
        ("api-version: 1.44\r\n", "GET /v1.44/images/app/json"),
        ("Api-Version: 1.99\r\n", "GET /v1.51/images/app/json"),
        ("Api-Version: 2.0\r\n", "GET /v1.51/images/app/json"),
        ("", "GET /v1.24/images/app/json"),
    ];
    for (field, expected) in cases {
        let fake = Fake::start(move |line| match line {
            "GET /_ping" => Reply::Say(with_fields(field, "OK")),
            _ => refused(404, "no such image"),
        });
        let engine = Engine::at(&fake.host()).unwrap();
        for _ in 0..2 {
            assert!(engine.image("app", None).unwrap().is_none());
        }
        let lines: Vec<_> = fake.seen().into_iter().map(|it| it.line).collect();
        assert_eq!(lines, ["GET /_ping", expected, expected]);
    }
}

#[test]
fn a_daemon_of_too_old_a_version_is_refused() {
    for (version, found) in [("1.12", "1.12"), ("0.9", "0.9"), ("new", "new")] {
        let field = format!("Api-Version: {version}\r\n");
        let fake = Fake::start(move |_| Reply::Say(with_fields(&field, "OK")));
        let engine = Engine::at(&fake.host()).unwrap();
        let error = engine.image("app", None).unwrap_err().to_string();
        let expected = format!(
            "the daemon at {} offers version {found} of its API, which is older than 1.24\nupdate the daemon",
            fake.host()
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn what_a_daemon_wrote_neither_steers_nor_fills_the_terminal() {
    let (_fake, engine) =
        Fake::engine(|_| refused(500, &format!("\\u001b[2J{}", "x".repeat(100_000))));
    let error = engine.image("app", None).unwrap_err().to_string();
    assert!(
        error.contains(": [2Jxxx") && error.ends_with("xxx..."),
        "{error}"
    );
    assert!(error.len() < 2000);
}

/// The first request removed it, but the answer was lost.
#[test]
fn an_image_that_is_gone_at_the_second_try_is_removed() {
    let (_fake, engine) = Fake::engine_remembering(|line, seen| {
        let times = seen.iter().filter(|it| it.line.starts_with("DELETE"));
        match (line, times.count()) {
            ("DELETE /images/app?force=1", 1) => Reply::HangUp(0),
            _ => refused(404, "no such image"),
        }
    });
    assert!(engine.remove("app").unwrap());
    assert!(!engine.remove("app").unwrap());
}

#[test]
fn what_the_daemon_says_is_said_with_image_and_socket() {
    let cases = [
        (refused(500, "no space left"), "no space left"),
        (refused(400, "client version 1.41 is too old"), "client version 1.41 is too old"),
        (Reply::Say("HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops".to_owned()), "oops"),
        (Reply::Say("HTTP/1.1 503 Bad\r\nContent-Length: 0\r\n\r\n".to_owned()), "status 503"),
        (
            Reply::Say("HTTP/1.1 500 Bad\r\nContent-Length: 41\r\n\r\n{\"cause\":\"a\",\"message\":\"b\",\"response\":50}".to_owned()),
            "b",
        ),
    ];
    for (reply, expected) in cases {
        let (Reply::Say(answer) | Reply::Interrupt(answer)) = reply else {
            panic!("these are answers");
        };
        let (fake, engine) = Fake::engine(move |_| Reply::Say(answer.clone()));
        let error = engine.image("team/app:1", None).unwrap_err();
        let host = fake.host();
        let expected =
            format!("failed to inspect image team/app:1 in the daemon at {host}: {expected}");
        assert_eq!(text(&error), expected);
    }
}

#[test]
fn an_answer_that_is_none_is_damaged() {
    for body in [
        "",
        "[]",
        "OK",
        "{\"Id\":\"nothing\"}",
        "{\"Architecture\":\"amd64\"}",
    ] {
        let (fake, engine) = Fake::engine(move |_| ok(body));
        let error = text(&engine.image("app", None).unwrap_err());
        let host = fake.host();
        let expected =
            format!("failed to inspect image app in the daemon at {host}: its answer is damaged: ");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_daemon_that_goes_away_is_said_to_have_gone() {
    let (fake, engine) = Fake::engine(|_| Reply::HangUp(0));
    let error = text(&engine.image("app", None).unwrap_err());
    let host = fake.host();
    let expected = format!(
        "failed to inspect image app in the daemon at {host}: it closed the connection\nsee its log, and try again"
    );
    assert_eq!(error, expected);
}

#[test]
fn a_daemon_that_is_not_there_is_said_to_be_absent() {
    let dir = tempfile::tempdir().unwrap();
    let left = dir.path().join("left");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    let cases = [
        (
            dir.path().join("none"),
            "nothing is there\nstart the daemon, or say with DOCKER_HOST where it is",
        ),
        (
            left,
            "connection refused\nstart the daemon, or say with DOCKER_HOST where it is",
        ),
    ];
    for (path, expected) in cases {
        let host = format!("unix://{}", path.display());
        let engine = Engine::at(&host).unwrap();
        let expected = format!(
            "failed to ask for versions: no connection to the daemon at {host}: {expected}"
        );
        assert_eq!(text(&engine.hold().unwrap_err()), expected);
        assert_eq!(text(&engine.image("app", None).unwrap_err()), expected);
    }
    let denied = Unreachable::from(io::Error::from(io::ErrorKind::PermissionDenied));
    let expected = "permission denied\nrun this as root or as a user of the socket's group";
    assert!(denied.to_string().starts_with(expected), "{denied}");
}

#[test]
fn names_are_encoded() {
    let id = sha256(b"");
    let (fake, engine) = Fake::engine(|line| match line.split(' ').next() {
        Some("DELETE") => ok("[]"),
        _ => refused(404, "no such image"),
    });
    engine.image("h:5000/a/b@sha256:c", None).unwrap();
    engine.image("a b?x=%#é", None).unwrap();
    engine.remove("app").unwrap();
    let name: Reference = "h:5000/a/b:c".parse().unwrap();
    engine.tag(&id, &name).unwrap_err();
    let lines: Vec<_> = fake.seen().into_iter().skip(1).map(|it| it.line).collect();
    let expected = [
        "GET /v1.41/images/h:5000/a/b@sha256:c/json".to_owned(),
        "GET /v1.41/images/a%20b%3Fx%3D%25%23%C3%A9/json".to_owned(),
        "DELETE /v1.41/images/app?force=1".to_owned(),
        format!("POST /v1.41/images/{id}/tag?repo=h:5000/a/b&tag=c"),
    ];
    assert_eq!(lines, expected);
    let digest: Reference = format!("a/b@{id}").parse().unwrap();
    let error = engine.tag(&id, &digest).unwrap_err().to_string();
    assert!(
        error.starts_with("an image in a daemon has a tag, not a digest"),
        "{error}"
    );
    assert!(engine.draft(&digest).is_err());
}

#[test]
fn connections_are_made_before_rights_are_given_up() {
    // COM-045
    let (fake, engine) = Fake::engine(|_| refused(404, "no such image"));
    engine.hold().unwrap();
    assert_eq!(fake.connections(), 2);
    let Host::Unix(path) = engine.host() else {
        panic!("it is a socket");
    };
    fs_err::remove_file(path).unwrap();
    let upload = engine.load("load image app").unwrap();
    assert!(engine.image("app", None).unwrap().is_none());
    assert!(engine.clone().image("app", None).unwrap().is_none());
    drop(upload);
    assert_eq!(fake.connections(), 2);
}

#[test]
fn the_image_of_this_platform_is_taken_where_there_are_several() {
    let (id, other) = (sha256(b"all"), sha256(b"one"));
    for (has_platform, expected) in [(true, "of this platform"), (false, "of any")] {
        let (all, one) = (id.clone(), other.clone());
        let fake = Fake::start(move |line| {
            let is_asked =
                line.contains(r"?platform=%7B%22os%22:%22linux%22%2C%22architecture%22:%22");
            match line.split(['?', '/']).nth_back(usize::from(is_asked)) {
                Some("_ping") => Reply::Say(with_fields("Api-Version: 1.49\r\n", "OK")),
                _ if is_asked && !has_platform => refused(404, "not for that platform"),
                Some("json") if is_asked => {
                    ok(&format!(r#"{{"Id":"{one}","Author":"of this platform"}}"#))
                }
                Some("json") => ok(&format!(r#"{{"Id":"{all}","Author":"of any"}}"#)),
                Some("history") => ok("[]"),
                _ => refused(500, line),
            }
        });
        let engine = Engine::at(&fake.host()).unwrap();
        engine.hold().unwrap();
        let image = engine.image("app", None).unwrap().unwrap();
        assert_eq!(image.config().author, expected);
        assert_eq!(image.digest(), &id);
        assert_eq!(fake.connections(), 2);
    }
}
