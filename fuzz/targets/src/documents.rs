//! JSON documents of images, and their names.

use std::path::Path;

use layout::manifest::{Document, Index, MediaType};
use layout::{ImageConfig, Layout, Reference, Selector, json};

use crate::place::Place;

/// `index.json`, alone and as that of a layout whose images are then looked for.
pub(crate) fn index(bytes: &[u8]) {
    if let Ok(index) = json::from_slice::<Index>(bytes) {
        json::to_string(&index).unwrap();
    }
    let place = Place::new();
    fs_err::write(place.inside().join("index.json"), bytes).unwrap();
    let layout = Layout::at(place.inside());
    layout.images().ok();
    layout.image(&Selector::default()).ok();
    place.check();
}

pub(crate) fn manifest(bytes: &[u8]) {
    for declared in [MediaType::ImageManifest, MediaType::Other(String::new())] {
        if let Ok(Document::Manifest(manifest)) = Document::parse(bytes, &declared) {
            json::to_string(&manifest).unwrap();
        }
    }
}

/// What is read and written comes back as it was.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(config) = ImageConfig::from_slice(bytes) else {
        return;
    };
    let text = json::to_string(&config).unwrap();
    let again = ImageConfig::from_slice(text.as_bytes()).unwrap();
    assert_eq!(json::to_string(&again).unwrap(), text);
}

/// A name's path never leaves the directory of layouts, and a name that is found from it has the same path.
pub(crate) fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let dir = Path::new("/layouts");
    let Ok(reference) = Reference::parse(text) else {
        return;
    };
    let path = reference.layout_path(dir);
    assert!(path.starts_with(dir) && path != dir, "{}", path.display());
    let mut parts = path.components();
    assert!(parts.all(|part| !matches!(part, std::path::Component::ParentDir)));
    // A name with an empty part, as `a/`, shares its path with none that could be found from it.
    if let Some(found) = layout::name::name_of_layout_path(&path, dir) {
        assert_eq!(found.layout_path(dir), path);
    }
}
