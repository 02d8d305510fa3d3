//! Images on their way from a layout into a daemon, and from a daemon into a layout.

use layout::{ImageEditor, Layout, Selector};
use tests::engine::KINDS;
use tests::program::{requires, run};

use crate::kit::{Desk, commit, image, start};

#[test]
fn foreign_a_whole_image_goes_into_a_layout_and_back() {
    if !requires(&["skopeo"]) {
        return;
    }
    for kind in KINDS {
        let Some((daemon, engine)) = start(kind) else {
            return;
        };
        let desk = Desk::new();
        let made = desk.base(&engine);
        assert!(engine.whole_image("other").unwrap().is_none());
        let whole = engine.whole_image("base:1").unwrap().unwrap();
        assert_eq!(whole.manifest().config.digest, made.config_digest);

        let dir = tempfile::tempdir().unwrap();
        let place = Layout::at(dir.path().join("layout"));
        place.copy_from(&whole, "latest").unwrap();
        let found = place.image(&Selector::default()).unwrap().unwrap();
        assert_eq!(found.digest(), whole.digest());
        let report = layout::verify::verify(&place, layout::verify::Options::default());
        assert!(report.problems.is_empty(), "{report:?}");
        let text = format!("oci:{}:latest", place.path().display());
        let inspected = run("skopeo", &["inspect", "--config", &text]);
        assert!(
            inspected.contains("\"of\": \"<base>\"") || inspected.contains("u003cbase"),
            "{inspected}"
        );

        // The daemon forgets it, and gets it back from there, the layers compressed by somebody else.
        let zipped = format!("oci:{}:latest", dir.path().join("zipped").display());
        run(
            "skopeo",
            &[
                "copy",
                "-q",
                "--dest-compress-format",
                "gzip",
                &text,
                &zipped,
            ],
        );
        assert!(engine.remove("base:1").unwrap());
        let zipped = Layout::at(dir.path().join("zipped"));
        let base = zipped.image(&Selector::default()).unwrap().unwrap();
        let back = commit(&engine, "base:1", ImageEditor::from_base(&base), &[]);
        assert_eq!(image(&engine, "base:1").digest(), &back.config_digest);
        let printed = daemon.run(&[
            "run",
            "--rm",
            "--network",
            "none",
            "base:1",
            "busybox",
            "wc",
            "-c",
            "/etc/release",
        ]);
        assert!(
            printed.contains("100000 /etc/release"),
            "{kind:?}: {printed}"
        );
    }
}
