//! Images small enough to make in a moment: a static shell, and files.

use std::path::{Path, PathBuf};

use daemon::Engine;
use fs_err as fs;
use layout::draft::Draft as _;
use layout::editor::{CommitOptions, Committed};
use layout::layer::{Entry, EntryKind, Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, Image, ImageEditor, Reference};
use tempfile::TempDir;
use tests::engine::{Daemon, Kind};
use tests::program::requires;

/// Starts a daemon; none where something for it is missing.
pub(crate) fn start(kind: Kind) -> Option<(Daemon, Engine)> {
    if !requires(&["busybox"]) {
        return None;
    }
    let daemon = Daemon::start(kind)?;
    let engine = Engine::at(&daemon.host()).unwrap();
    Some((daemon, engine))
}

/// Files of layers, and what makes images of them.
pub(crate) struct Desk {
    dir: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Returns a layer of one file with these contents.
    pub(crate) fn layer(&self, name: &str, contents: impl AsRef<[u8]>) -> Layer {
        let source = self.dir.path().join(name.replace('/', "_"));
        fs::write(&source, contents).unwrap();
        of_file(name, source)
    }

    /// Makes the image `base:1` of two layers: one with a shell, one with a file.
    pub(crate) fn base(&self, engine: &Engine) -> Committed {
        let shell = of_file("/bin/busybox", busybox());
        let release = self.layer("/etc/release", vec![b'x'; 100_000]);
        let mut editor = ImageEditor::empty(&Platform::host());
        editor.config_mut().set_env("PATH", "/bin");
        let labels = &mut editor.config_mut().config.labels;
        labels.insert("of".to_owned(), "<base>".to_owned());
        commit(engine, "base:1", editor, &[shell, release])
    }
}

/// Makes an image of what an editor has and some layers.
pub(crate) fn commit(
    engine: &Engine,
    name: &str,
    mut editor: ImageEditor,
    layers: &[Layer],
) -> Committed {
    let mut draft = engine.draft(&reference(name)).unwrap();
    for layer in layers {
        let written = draft.write_layer(layer, &WriteOptions::default(), None);
        editor.append(&written.unwrap(), History::default());
    }
    editor.commit(draft, &CommitOptions::default()).unwrap()
}

pub(crate) fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

/// Returns an image that must be there.
pub(crate) fn image(engine: &Engine, name: &str) -> Image {
    engine.image(name, None).unwrap().expect(name)
}

fn of_file(name: &str, source: PathBuf) -> Layer {
    let size = fs::metadata(&source).unwrap().len();
    let entry = |name: &Path, kind| Entry {
        name: name.into(),
        mode: 0o755,
        uid: 0,
        gid: 0,
        kind,
    };
    let name = Path::new(name);
    let folder = name.parent().unwrap();
    Layer {
        entries: vec![
            entry(folder, EntryKind::Directory),
            entry(
                name,
                EntryKind::File {
                    source: source.into(),
                    size,
                },
            ),
        ],
    }
}

fn busybox() -> PathBuf {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    places.into_iter().find(|it| it.is_file()).expect("busybox")
}
