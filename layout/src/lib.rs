//! OCI image layouts on disk: read, edit, write, verify.
//!
//! A layout is a directory with `oci-layout`, `index.json` and `blobs/<algorithm>/<hex>`
//! (OCI image specification, image-layout.md). This crate reads what the field writes, Docker
//! manifest lists and Docker media types included, and writes OCI throughout.
//!
//! ```text
//!  Layout (directory) ──image(Selector)──► Image (immutable view: manifest, config, layers)
//!      ▲                                     │
//!      │ commit: blobs, then index.json      ▼
//!  Draft, here Update (swept on drop) ◄────── ImageEditor (base, append, reuse, rebase, config)
//!                 ▲
//!                 └─ layer::Layer (entries) ── tar ─ sha256 ─ gzip ─ sha256 ─► blob
//! ```
//!
//! Nothing read from a layout is believed: digests and sizes are checked while reading. Nothing
//! here knows what a buildpack is, reads a variable, or writes to a terminal.
//!
//! A folder becomes an image, and another program would find it there:
//!
//! ```
//! use layout::editor::CommitOptions;
//! use layout::layer::{Layer, WriteOptions};
//! use layout::manifest::Platform;
//! use layout::{History, ImageEditor, Layout, Selector};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let (files, place) = (dir.path().join("files"), dir.path().join("image"));
//! # fs_err::create_dir(&files)?;
//! # fs_err::write(files.join("greeting"), "hello")?;
//! let image = Layout::at(&place);
//! let mut update = image.update()?;
//! let layer = update.write_layer(&Layer::of_directory(&files, None)?, &WriteOptions::default(), None)?;
//!
//! let mut editor = ImageEditor::empty(&Platform::host());
//! editor.append(&layer, History::default());
//! editor.config_mut().set_env("GREETING", "hello");
//! let options = CommitOptions { ref_name: "latest".to_owned(), ..CommitOptions::default() };
//! let committed = editor.commit(update, &options)?;
//!
//! let found = image.image(&Selector::default())?.expect("it was just written");
//! assert_eq!(found.digest(), &committed.digest);
//! assert_eq!(found.diff_ids(), [layer.diff_id]);
//! # Ok(())
//! # }
//! ```

pub mod archive;
pub mod blob;
pub mod config;
pub mod digest;
pub mod draft;
pub mod editor;
pub mod gc;
mod held;
pub mod image;
pub mod index;
pub mod json;
pub mod layer;
pub mod manifest;
pub mod name;
pub mod store;
pub mod text;
pub mod verify;

pub use archive::Archive;
pub use config::{History, ImageConfig};
pub use digest::{DiffId, Digest};
pub use draft::Draft;
pub use editor::ImageEditor;
pub use image::Image;
pub use index::Selector;
pub use manifest::{Descriptor, Manifest};
pub use name::Reference;
pub use store::{Layout, Update};
