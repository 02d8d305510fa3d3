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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use layout::digest::sha256;

    use super::*;

    /// Writes a blob, and returns its descriptor but for the braces.
    fn blob(dir: &Path, text: &str) -> String {
        let digest = sha256(text.as_bytes()).to_string();
        let path = dir.join("blobs").join(digest.replace(':', "/"));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
        format!(r#""size":{},"digest":"{digest}""#, text.len())
    }

    /// COM-072, in a layout: path and digest of the manifest. What is not there has no reference.
    #[test]
    fn a_reference_is_path_and_digest() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("index.docker.io/library/app/latest");
        let config = blob(
            &dir,
            r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#,
        );
        let types = "application/vnd.oci.image";
        let manifest = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{types}.config.v1+json",{config}}},"layers":[]}}"#
        );
        let manifest_blob = blob(&dir, &manifest);
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{types}.manifest.v1+json",{manifest_blob}}}]}}"#
        );
        fs_err::write(dir.join("index.json"), index).unwrap();
        fs_err::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();

        let source = ImageSource {
            layout_dir: Some(root.path().to_owned()),
            ..ImageSource::default()
        };
        let expected = format!("{}@{}", dir.display(), sha256(manifest.as_bytes()));
        for name in ["app", "docker.io/library/app:latest", dir.to_str().unwrap()] {
            assert_eq!(find(&source, name).unwrap().reference(), expected, "{name}");
        }
        let absent = find(&source, "app:2").unwrap();
        assert_eq!(
            (absent.reference().as_str(), absent.image.is_none()),
            ("", true)
        );
        let error = find(&ImageSource::default(), "app").unwrap_err();
        assert!(
            error.to_string().starts_with("cannot look up app: "),
            "{error}"
        );
    }
}
