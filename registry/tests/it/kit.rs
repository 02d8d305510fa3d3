//! What the tests of the client share.

use std::path::Path;
use std::time::Duration;

use layout::editor::{CommitOptions, Committed};
use layout::layer::{Layer, WriteOptions};
use layout::manifest::Platform;
use layout::{Draft, History, Image, ImageEditor, Reference, Selector};
use registry::{Client, Options, Retry};

/// Returns options with short pauses.
pub(crate) fn options() -> Options {
    Options {
        retry: Retry {
            tries: 4,
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(200),
        },
        ..Options::default()
    }
}

/// Returns a client without credentials.
pub(crate) fn client() -> Client {
    Client::new(options())
}

/// Parses a name.
pub(crate) fn reference(name: &str) -> Reference {
    name.parse().unwrap()
}

/// Makes a layer of one file with so many bytes that do not compress, different for each seed.
pub(crate) fn layer(dir: &Path, seed: u64, size: usize) -> Layer {
    let folder = dir.join(format!("files-{seed}"));
    fs_err::create_dir_all(&folder).unwrap();
    let mut state = seed * 2 + 1;
    let bytes = (0..size).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    fs_err::write(folder.join("file"), bytes.collect::<Vec<u8>>()).unwrap();
    Layer::of_directory(&folder, None).unwrap()
}

/// Writes an image with these layers to a store.
pub(crate) fn write(
    mut draft: Box<dyn Draft>,
    layers: &[Layer],
    ref_name: &str,
) -> Result<Committed, Box<dyn std::error::Error>> {
    let mut editor = ImageEditor::empty(&Platform::host());
    for layer in layers {
        let written = draft.write_layer(layer, &WriteOptions::default(), None)?;
        editor.append(&written, History::default());
    }
    editor.config_mut().set_env("GREETING", "hello");
    let options = CommitOptions {
        ref_name: ref_name.to_owned(),
        ..CommitOptions::default()
    };
    Ok(editor.commit(draft, &options)?)
}

/// Reads an image with all of its layers.
pub(crate) fn read_whole(client: &Client, name: &str) -> Result<Image, Box<dyn std::error::Error>> {
    let image = client.image(&reference(name), &Selector::default())?;
    let image = image.ok_or("there is no such image")?;
    for diff_id in image.diff_ids() {
        let mut layer = image.open_layer(diff_id)?.ok_or("a layer is absent")?;
        std::io::copy(&mut layer, &mut std::io::sink())?;
    }
    Ok(image)
}

/// Returns an error with all of its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |it| it.source());
    let texts: Vec<_> = all.map(ToString::to_string).collect();
    texts.join(": ")
}
