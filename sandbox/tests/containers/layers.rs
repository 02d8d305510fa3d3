//! Layers of an image, unpacked by each way and seen by a container.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use layout::editor::CommitOptions;
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, Image, ImageEditor, Layout, Selector};
use sandbox::unpacked::Error;
use sandbox::{Container, Root, Unpacked};

use crate::kit::{Test, World};

pub(crate) static ALL: &[Test] = &[
    ("layers_are_seen_as_the_image_has_them", layers_are_seen),
    ("an_id_that_is_not_there_is_named", an_id_is_named),
    ("a_damaged_layer_is_none", a_damaged_layer),
];

fn entry(name: &str, owner: u32, mode: u32, kind: EntryKind) -> Entry {
    Entry {
        name: Path::new(name).into(),
        mode,
        uid: owner,
        gid: owner,
        kind,
    }
}

fn image(world: &World, layers: Vec<Vec<Entry>>) -> Image {
    let layout = Layout::at(world.dir.path().join("image"));
    let mut update = layout.update().unwrap();
    let mut editor = ImageEditor::empty(&Platform::host());
    for entries in layers {
        let layer = Layer { entries };
        let layer = update.write_layer(&layer, &WriteOptions::default(), None);
        editor.append(&layer.unwrap(), History::default());
    }
    editor.commit(update, &CommitOptions::default()).unwrap();
    layout.image(&Selector::default()).unwrap().unwrap()
}

fn busybox() -> Vec<Entry> {
    let program = EntryKind::File {
        source: Path::new("/bin/busybox").into(),
        size: fs_err::metadata("/bin/busybox").unwrap().len(),
    };
    let applet = |name: &str| {
        let target = "busybox".into();
        entry(
            &format!("/bin/{name}"),
            0,
            0o777,
            EntryKind::Symlink { target },
        )
    };
    let applets = ["sh", "cat", "ls", "stat"].map(applet);
    [entry("/bin/busybox", 0, 0o755, program)]
        .into_iter()
        .chain(applets)
        .collect()
}

fn file(world: &World, text: &str) -> EntryKind {
    let source = world.dir.path().join(format!("text-{text}"));
    fs_err::write(&source, text).unwrap();
    let size = text.len() as u64;
    EntryKind::File {
        source: source.into(),
        size,
    }
}

fn store(world: &World) -> Unpacked {
    Unpacked::at(world.dir.path().join("store"))
}

/// Removes all layers, which others' ids may own, and returns how many there were.
///
/// A process that another test of this program begins has our lock too, until it runs its own program.
fn clear(world: &World) -> usize {
    let begin = Instant::now();
    loop {
        match store(world).remove_unused(&HashSet::new(), &world.way) {
            Err(Error::InUse(_)) if begin.elapsed() < Duration::from_secs(10) => {
                std::thread::sleep(Duration::from_millis(20));
            }
            removed => return removed.unwrap().len(),
        }
    }
}

fn layers_are_seen(world: &mut World) {
    let empty = || file(world, "");
    let mut base = busybox();
    base.extend([
        entry("/dir", 0, 0o755, EntryKind::Directory),
        entry("/dir/gone", 0, 0o644, empty()),
        entry("/dir/kept", 0, 0o644, file(world, "kept")),
        entry("/opaque/old", 0, 0o644, empty()),
        entry("/own", 1000, 0o700, EntryKind::Directory),
        entry("/own/own", 1000, 0o600, file(world, "own")),
        entry("/su", 5, 0o4755, empty()),
        entry("/again/old", 0, 0o644, empty()),
    ]);
    let top = vec![
        entry("/dir/.wh.gone", 0, 0o644, empty()),
        entry("/opaque/.wh..wh..opq", 0, 0o644, empty()),
        entry("/opaque/new", 0, 0o644, empty()),
        entry("/.wh.again", 0, 0o644, empty()),
        entry("/again", 0, 0o755, EntryKind::Directory),
    ];
    let image = image(world, vec![base, top]);
    let store = store(world);
    let layers = store.layers(&image, &world.way, &mut |_| ()).unwrap();
    let script = "cat /dir/kept /own/own; echo; ls /dir /opaque /again; stat -c '%n %u %g %a' /dir/kept /own /own/own /su";
    let container = Container {
        root: Root::Layers(layers),
        ..world.container(script)
    };
    let seen = world.run(&container).ok();
    // With one id, all is the user's.
    let [root, five] = if world.way.name() == "one id" {
        [1000; 2]
    } else {
        [0, 5]
    };
    let expected = format!(
        "keptown\n/again:\n\n/dir:\nkept\n\n/opaque:\nnew\n\
         /dir/kept {root} {root} 644\n/own 1000 1000 700\n/own/own 1000 1000 600\n/su {five} {five} 4755\n"
    );
    assert_eq!(seen, expected);
    let busy = Unpacked::at(world.dir.path().join("store"));
    assert!(
        busy.remove_unused(&HashSet::new(), &world.way).is_err(),
        "they are used"
    );
    drop(store);
    assert_eq!(clear(world), 2);
    assert_eq!(in_store(world), [".in-use", "sha256"]);
}

/// Names in the folders of the store, its layers' folders excluded.
fn in_store(world: &World) -> Vec<String> {
    let mut names = Vec::new();
    for whose in crate::kit::left(&world.dir.path().join("store")) {
        let whose = world.dir.path().join("store").join(whose);
        names.extend(crate::kit::left(&whose));
        names.extend(crate::kit::left(&whose.join("sha256")));
    }
    names.sort();
    names
        .into_iter()
        .map(|it| it.into_string().unwrap())
        .collect()
}

fn an_id_is_named(world: &mut World) {
    let strange = entry("/dir/strange", 4_000_000, 0o644, file(world, ""));
    let image = image(world, vec![vec![strange]]);
    let store = store(world);
    let unpacked = store.layers(&image, &world.way, &mut |_| ());
    drop(store);
    if world.way.name() == "many ids" {
        let text = chain(&unpacked.unwrap_err());
        let layer = image.diff_ids()[0].to_string();
        for part in ["dir/strange", "4000000", &layer] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(in_store(world), [".in-use", "sha256"]);
    } else {
        unpacked.unwrap();
    }
    clear(world);
}

fn a_damaged_layer(world: &mut World) {
    let image = image(
        world,
        vec![vec![entry("/f", 0, 0o644, file(world, "text"))]],
    );
    let digest = &image.manifest().layers[0].digest;
    let blob = world
        .dir
        .path()
        .join("image/blobs/sha256")
        .join(digest.digest());
    damage(&blob);
    let text = chain(
        &store(world)
            .layers(&image, &world.way, &mut |_| ())
            .unwrap_err(),
    );
    assert!(
        text.contains(&image.diff_ids()[0].to_string()) || text.contains(digest.digest()),
        "{text}"
    );
    assert_eq!(in_store(world), [".in-use", "sha256"]);
}

fn damage(blob: &Path) {
    let mut bytes = fs_err::read(blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs_err::remove_file(blob).unwrap();
    fs_err::write(blob, bytes).unwrap();
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |it| it.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
