//! Images by the names that platforms use, from where the inputs say that images are (LAY-005 to LAY-013, COM-072).
//!
//! A layout directory today; registries and daemons are stores behind the same view once their crates are there.

use anyhow::{Context as _, bail};
use layout::{Image, Layout, Selector};

use crate::inputs::ImageSource;

/// An image that was looked for.
#[derive(Clone, Debug)]
pub struct NamedImage {
    /// Its name as log lines and files show it: its path, in a layout directory.
    pub name: String,
    /// The image, if there is one of that name.
    pub image: Option<Image>,
}

impl NamedImage {
    /// Opens the files of the image's layers, as [`Image::hold`] does.
    #[must_use]
    pub fn hold(self) -> Self {
        Self {
            image: self.image.map(Image::hold),
            ..self
        }
    }

    /// Returns `<name>@<digest>`, or an empty text where the image was not found.
    pub fn reference(&self) -> String {
        let reference = |image: &Image| format!("{}@{}", self.name, image.digest());
        self.image.as_ref().map(reference).unwrap_or_default()
    }
}

/// Looks an image up by name. One that is not there is no error.
pub fn find(source: &ImageSource, name: &str) -> anyhow::Result<NamedImage> {
    find_among(source, name, &Selector::default())
}

/// Looks an image up by name; where there are several, `selector` says which.
pub fn find_among(
    source: &ImageSource,
    name: &str,
    selector: &Selector,
) -> anyhow::Result<NamedImage> {
    let Some(dir) = &source.layout_dir else {
        bail!(
            "cannot look up {name}: images are read from OCI layouts only so far; use -layout with -layout-dir"
        );
    };
    let path = layout::name::layout_path_to_read(name, dir)?;
    let image = Layout::at(&path)
        .image(selector)
        .with_context(|| "failed to load image from index".to_owned())?;
    Ok(NamedImage {
        name: path.display().to_string(),
        image,
    })
}
