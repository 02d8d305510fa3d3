//! What comes of a daemon that dies, of a stream that breaks, and of sockets that belong to somebody else.

use std::error::Error as StdError;
use std::thread;

use daemon::Engine;
use layout::draft::Draft as _;
use layout::editor::CommitOptions;
use layout::layer::{self, Layer, WriteOptions, Written};
use layout::manifest::Platform;
use layout::{History, ImageEditor};
use rustix::process::Uid;
use tests::engine::{KINDS, Relay};

use crate::kit::{Desk, image, reference, start};

fn write(engine: &Engine, layer: &Layer) -> Result<Written, layer::Error> {
    let mut draft = engine.draft(&reference("app")).unwrap();
    draft.write_layer(layer, &WriteOptions::default(), None)
}

fn text(error: &dyn StdError) -> String {
    let source = error.source().map(|it| format!(": {}", text(it)));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn foreign_a_stream_that_breaks_leaves_nothing() {
    for kind in KINDS {
        let Some((daemon, engine)) = start(kind) else {
            return;
        };
        let desk = Desk::new();
        let big = desk.layer("/big", vec![7; 8_000_000]);
        let relay = Relay::to(&daemon, 3_000_000);
        let broken = Engine::at(&relay.host()).unwrap();
        let error = text(&write(&broken, &big).unwrap_err());
        let expected = format!(
            "failed to load image index.docker.io/library/app:latest in the daemon at {}: it closed the connection\nsee its log, and try again",
            relay.host()
        );
        assert_eq!(error, expected, "{kind:?}");
        // Given up without a word.
        write(&engine, &big).unwrap();
        assert!(engine.image("app", None).unwrap().is_none());
        // A second try is whole.
        let mut draft = engine.draft(&reference("app")).unwrap();
        let written = draft
            .write_layer(&big, &WriteOptions::default(), None)
            .unwrap();
        let mut editor = ImageEditor::empty(&Platform::host());
        editor.append(&written, History::default());
        editor.commit(draft, &CommitOptions::default()).unwrap();
        assert_eq!(image(&engine, "app").diff_ids(), [written.diff_id]);
    }
}

#[test]
fn foreign_a_daemon_that_dies_is_said_to_have_gone() {
    for kind in KINDS {
        let Some((mut daemon, engine)) = start(kind) else {
            return;
        };
        let desk = Desk::new();
        let mut draft = engine.draft(&reference("app")).unwrap();
        let written = draft.write_layer(
            &desk.layer("/one", vec![1; 1_000_000]),
            &WriteOptions::default(),
            None,
        );
        let mut editor = ImageEditor::empty(&Platform::host());
        editor.append(&written.unwrap(), History::default());
        daemon.kill();
        let error = editor.commit(draft, &CommitOptions::default()).unwrap_err();
        let error = text(&error);
        let host = daemon.host();
        let name = "index.docker.io/library/app:latest";
        let expected = format!(
            "failed to inspect image {name}: no connection to the daemon at {host}: connection refused\nstart the daemon, or say with DOCKER_HOST where it is"
        );
        assert_eq!(error, expected, "{kind:?}");
        let error = text(&engine.image("app", None).unwrap_err());
        let expected = format!(
            "failed to inspect image app: no connection to the daemon at {host}: connection refused\nstart the daemon, or say with DOCKER_HOST where it is"
        );
        assert_eq!(error, expected, "{kind:?}");
    }
}

#[test]
fn foreign_rights_to_the_socket_may_be_given_up() {
    // COM-045
    for kind in KINDS {
        let Some((daemon, engine)) = start(kind) else {
            return;
        };
        let desk = Desk::new();
        desk.base(&engine);
        let held = Engine::at(&daemon.host()).unwrap();
        held.hold().unwrap();
        let other = Engine::at(&daemon.host()).unwrap();
        let layer = desk.layer("/one", "1");
        let host = daemon.host();
        // Rights are those of a thread, to the kernel.
        let as_somebody = thread::spawn(move || {
            rustix::thread::set_thread_uid(Uid::from_raw(1234)).unwrap();
            let error = text(&other.image("base:1", None).unwrap_err());
            let expected = format!(
                "failed to ask for versions: no connection to the daemon at {host}: permission denied\nrun this as root or as a user of the socket's group, or give the socket to the user of the build"
            );
            assert_eq!(error, expected);
            let mut editor = ImageEditor::from_base(&image(&held, "base:1"));
            let mut draft = held.draft(&reference("app")).unwrap();
            let written = draft.write_layer(&layer, &WriteOptions::default(), None);
            editor.append(&written.unwrap(), History::default());
            let made = editor.commit(draft, &CommitOptions::default()).unwrap();
            held.tag(&made.config_digest, &reference("app:2")).unwrap();
            // Everything of a layer comes through as well.
            let app = image(&held, "app:2");
            let top = app.open_layer(app.top_layer().unwrap()).unwrap();
            std::io::copy(&mut top.unwrap(), &mut std::io::sink()).unwrap()
        });
        assert_eq!(as_somebody.join().unwrap(), 2560, "{kind:?}");
    }
}
