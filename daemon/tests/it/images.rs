//! Images are made in a daemon, run by it, read back, and made again of what is there.

use std::io::Read as _;

use daemon::Engine;
use layout::digest::sha256;
use layout::draft::Draft as _;
use layout::editor::CommitOptions;
use layout::layer::WriteOptions;
use layout::{History, ImageEditor};
use tests::engine::{KINDS, Kind, Relay};

use crate::kit::{Desk, commit, image, reference, start};

#[test]
fn foreign_an_image_is_made_and_run() {
    for kind in KINDS {
        let Some((daemon, engine)) = start(kind) else {
            return;
        };
        let desk = Desk::new();
        desk.base(&engine);
        let mut editor = ImageEditor::from_base(&image(&engine, "base:1"));
        let config = editor.config_mut();
        config.set_env("GREETING", "hello <you>");
        config.config.entrypoint = ["/bin/busybox", "sh", "/app/run"]
            .map(String::from)
            .to_vec();
        config.config.user = "1000:1000".to_owned();
        config.config.working_dir = "/app".to_owned();
        config.config.exposed_ports.insert("8080/tcp".to_owned());
        let app = desk.layer(
            "/app/run",
            b"echo \"$GREETING\"; pwd; busybox id -u; busybox wc -c /etc/release\n",
        );
        let committed = commit(&engine, "team/app:v1", editor, &[app]);

        let printed = daemon.run(&["run", "--rm", "--network", "none", "team/app:v1"]);
        assert_eq!(
            printed, "hello <you>\n/app\n1000\n100000 /etc/release\n",
            "{kind:?}"
        );
        let id = daemon.run(&["inspect", "--format", "{{.Id}}", "team/app:v1"]);
        let hex = committed.config_digest.digest();
        assert!(id.trim().ends_with(hex), "{kind:?}: {id}");

        // What comes back is what was written, by name and by ID.
        for name in [
            "team/app:v1",
            "docker.io/team/app:v1",
            "index.docker.io/team/app:v1",
            hex,
        ] {
            let found = image(&engine, name);
            assert_eq!(found.digest(), &committed.config_digest, "{kind:?}: {name}");
            assert_eq!(found.label("of"), Some("<base>"));
            let config = found.config();
            assert_eq!(config.env("GREETING"), Some("hello <you>"));
            assert_eq!(config.config.user, "1000:1000");
            assert_eq!(config.config.working_dir, "/app");
            assert!(config.config.exposed_ports.contains("8080/tcp"));
            assert_eq!((found.diff_ids().len(), config.history.len()), (3, 3));
        }
    }
}

#[test]
fn foreign_what_the_daemon_has_is_not_sent_again() {
    for kind in KINDS {
        let Some((daemon, _)) = start(kind) else {
            return;
        };
        let relay = Relay::to(&daemon, u64::MAX);
        let engine = Engine::at(&relay.host()).unwrap();
        let desk = Desk::new();
        desk.base(&engine);
        assert!(relay.sent() > 1_000_000, "the base was sent");

        let editor = || ImageEditor::from_base(&image(&engine, "base:1"));
        let (one, two) = (
            desk.layer("/one", vec![1; 100_000]),
            desk.layer("/two", vec![2; 200_000]),
        );
        commit(&engine, "app", editor(), &[one.clone(), two.clone()]);
        let sent = relay.sent();
        assert!((300_000..350_000).contains(&sent), "{kind:?}: {sent}");

        // Both layers of the app are those of the image before.
        let previous = image(&engine, "app");
        let mut again = editor();
        again.config_mut().set_env("A", "1");
        for layer in &previous.diff_ids()[2..] {
            again.reuse(&previous, layer, History::default()).unwrap();
        }
        commit(&engine, "app", again, &[]);
        let sent = relay.sent();
        assert!(sent < 30_000, "{kind:?}: {sent}");

        // Below a layer that is reused, another one is new: Docker has no such chain, and podman needs none.
        let previous = image(&engine, "app");
        let mut draft = engine.draft(&reference("app")).unwrap();
        let other = desk.layer("/one", vec![3; 100_000]);
        let written = draft.write_layer(&other, &WriteOptions::default(), None);
        let mut changed = editor();
        changed.append(&written.unwrap(), History::default());
        let kept = &previous.diff_ids()[3];
        changed.reuse(&previous, kept, History::default()).unwrap();
        changed.commit(draft, &CommitOptions::default()).unwrap();
        let sent = relay.sent();
        let expected = match kind {
            Kind::Docker => 300_000..350_000,
            Kind::Podman => 100_000..150_000,
        };
        assert!(expected.contains(&sent), "{kind:?}: {sent}");
        let printed = daemon.run(&[
            "run",
            "--rm",
            "--network",
            "none",
            "app",
            "/bin/busybox",
            "wc",
            "-c",
            "/one",
            "/two",
        ]);
        assert!(
            printed.contains("100000 /one") && printed.contains("200000 /two"),
            "{printed}"
        );
    }
}

#[test]
fn foreign_layers_come_out_as_they_went_in() {
    for kind in KINDS {
        let Some((_daemon, engine)) = start(kind) else {
            return;
        };
        let desk = Desk::new();
        // The second layer twice: Docker saves the second as a link.
        let layer = desk.layer("/file", b"contents");
        let mut tar = Vec::new();
        layer.write_tar(&mut tar).unwrap();
        desk.base(&engine);
        let editor = ImageEditor::from_base(&image(&engine, "base:1"));
        commit(&engine, "app", editor, &[layer.clone(), layer]);
        let app = image(&engine, "app");
        assert_eq!(app.diff_ids()[2], app.diff_ids()[3]);
        for diff_id in app.diff_ids() {
            let mut reader = app.open_layer(diff_id).unwrap().unwrap();
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).unwrap();
            assert_eq!(&sha256(&bytes), &diff_id.0, "{kind:?}");
        }
        let mut bytes = Vec::new();
        let reader = app.open_layer(&app.diff_ids()[3]).unwrap();
        reader.unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, tar);
    }
}

#[test]
fn foreign_images_are_tagged_and_removed() {
    for kind in KINDS {
        let Some((daemon, engine)) = start(kind) else {
            return;
        };
        let base = Desk::new().base(&engine);
        for name in ["other", "docker.io/team/other:2", "localhost:5000/a/b:c"] {
            engine.tag(&base.config_digest, &reference(name)).unwrap();
            assert_eq!(image(&engine, name).digest(), &base.config_digest);
        }
        let printed = daemon.run(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        assert_eq!(printed.lines().count(), 4, "{printed}");
        assert!(engine.remove("other").unwrap());
        assert!(engine.image("other", None).unwrap().is_none(), "{kind:?}");
        assert!(!engine.remove("other").unwrap());
        assert!(engine.remove(base.config_digest.as_ref()).unwrap());
        assert!(engine.image("base:1", None).unwrap().is_none(), "{kind:?}");
    }
}
