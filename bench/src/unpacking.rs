//! Unpacking an image for the first time.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use layout::editor::CommitOptions;
use layout::layer::{Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{History, Image, ImageEditor, Layout, Selector};
use sandbox::{Unpacked, User, Way};
use tests::program::run;

use crate::stopwatch::{Table, median, time};

/// Layers, and files of each; a file has 12,000 bytes on average.
const LAYERS: usize = 4;
const FILES: usize = 1400;

pub(crate) fn first(rounds: usize, table: &mut Table<impl Write>) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let image = image(dir.path());
    let user = User {
        uid: 1000,
        gid: 1000,
    };
    let way = Way::find(user).map_err(io::Error::other)?;
    let place = dir.path().join("unpacked");
    let empty = || {
        run("rm", &["-rf", place.to_str().unwrap()]);
        fs_err::create_dir(&place).unwrap();
    };
    let ours = median(rounds, || {
        empty();
        time(|| {
            let unpacked = Unpacked::at(&place);
            unpacked.layers(&image, &way, &mut |_| {}).unwrap();
        })
    });
    let blobs: Vec<_> = image
        .manifest()
        .layers
        .iter()
        .map(|layer| image.blobs().path(&layer.digest).unwrap())
        .collect();
    let theirs = median(rounds, || {
        empty();
        time(|| {
            for (number, blob) in blobs.iter().enumerate() {
                let to = place.join(number.to_string());
                fs_err::create_dir(&to).unwrap();
                let to = to.to_str().unwrap();
                run("tar", &["-xzf", blob.to_str().unwrap(), "-C", to]);
            }
        })
    });
    let size: u64 = image.manifest().layers.iter().map(|it| it.size).sum();
    let what = format!("unpacking {} MB, {}", size / 1_000_000, way.name());
    table.line(&what, ours, "tar -xzf of the layers", theirs)
}

/// Makes an image whose files compress to about half.
fn image(dir: &Path) -> Image {
    let layout = Layout::at(dir.join("image"));
    let mut update = layout.update().unwrap();
    let mut editor = ImageEditor::empty(&Platform::host());
    let mut state = 1_u64;
    for number in 0..LAYERS {
        let files = dir.join(format!("layer-{number}/usr/lib"));
        for file in 0..FILES {
            let folder = files.join((file % 37).to_string());
            fs_err::create_dir_all(&folder).unwrap();
            let mut text = String::new();
            for _ in 0..(file % 1500) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                write!(text, "{state:016x}").unwrap();
            }
            fs_err::write(folder.join(file.to_string()), text).unwrap();
        }
        let layer = Layer::of_directory(&files, None).unwrap();
        let written = update.write_layer(&layer, &WriteOptions::default(), None);
        editor.append(&written.unwrap(), History::default());
    }
    editor.commit(update, &CommitOptions::default()).unwrap();
    layout.image(&Selector::default()).unwrap().unwrap()
}
