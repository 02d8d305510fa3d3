//! A layout directory: images in it, and one change at a time (image-layout.md, LAY-020 to LAY-026).
//!
//! A change holds an advisory lock on the directory. It writes blobs first and replaces
//! `index.json` last, each by renaming a temporary file, so the images before stay whole whenever
//! it is killed. Neither the directory, which may be a mount point, nor a blob in it is ever
//! renamed away or written in place: blobs may share an inode with those of another layout.
//! No change removes a blob that was there before it (LAY-025); [`crate::gc`] does, when it is told to.

use std::fs::TryLockError;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fs_err as fs;
use tempfile::NamedTempFile;

use crate::blob::{self, Blobs, LayoutBlobs, TEMPORARY, persist, temporary_in};
use crate::digest::{DiffId, Digest, DigestAlgorithm, sha256};
use crate::draft::{Draft, NewImage, Origin, Wanted};
use crate::image::{self, Image};
use crate::index::{self, Entry, Selector};
use crate::json;
use crate::layer::{self, Layer, Tee, Written};
use crate::manifest::{Descriptor, Index, MediaType, REF_NAME};

/// LAY-022: to the byte.
const OCI_LAYOUT: &str = "{\n    \"imageLayoutVersion\": \"1.0.0\"\n}";

/// How long a change waits for another one to end.
const LOCK_PATIENCE: Duration = Duration::from_secs(300);

/// An OCI image layout in a directory, which need not exist yet.
#[derive(Clone, Debug)]
pub struct Layout {
    path: PathBuf,
}

impl Layout {
    /// Names a layout; touches nothing.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns its blobs.
    pub fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::new(LayoutBlobs::of(&self.path))
    }

    /// Returns its `index.json`; `None` if there is none (LAY-008: `oci-layout` is not looked at).
    pub fn index(&self) -> Result<Option<Index>, Error> {
        let path = self.path.join("index.json");
        let metadata = match fs::metadata(&path) {
            Err(error) if is_absence(&error) => return Ok(None),
            metadata => metadata?,
        };
        if !metadata.is_file() {
            return Err(blob::Error::NotAFile(path).into());
        }
        if metadata.len() > blob::MAX_DOCUMENT {
            return Err(Error::Blob(blob::Error::TooLarge {
                what: "index.json".to_owned(),
                location: self.path.display().to_string(),
                size: metadata.len(),
            }));
        }
        let bytes = fs::read(&path)?;
        match json::from_slice(&bytes) {
            Ok(index) => Ok(Some(index)),
            Err(source) => Err(Error::Index { path, source }),
        }
    }

    /// Returns all images that `index.json` lists, directly or through other indexes.
    pub fn images(&self) -> Result<Option<Vec<Entry>>, Error> {
        match self.index()? {
            Some(index) => Ok(Some(index::entries(&index, &*self.blobs())?)),
            None => Ok(None),
        }
    }

    /// Returns the image that `selector` picks; `None` if there is no `index.json`.
    pub fn image(&self, selector: &Selector) -> Result<Option<Image>, Error> {
        let Some(index) = self.index()? else {
            return Ok(None);
        };
        let blobs = self.blobs();
        let entry = index::select(&index, &*blobs, selector)?;
        Ok(Some(entry.open(blobs)?))
    }

    /// Begins a change: makes the folders, clears what a killed writer left. Dropping it undoes what it wrote.
    ///
    /// Waits while another change of the same layout is going on, one of this program included.
    pub fn update(&self) -> Result<Update, Error> {
        let mut made = Made::default();
        let lock = self.lock(&mut made)?;
        let blobs = LayoutBlobs::of(&self.path);
        made.directories(&blobs.folder("sha256"))?;
        sweep(&self.path)?;
        sweep(&blobs.folder("sha256"))?;
        Ok(Update {
            layout: self.clone(),
            blobs,
            made,
            _lock: lock,
        })
    }

    /// Copies an image with its blobs (linked where the kernel allows it) into this layout, as `ref_name`.
    ///
    /// The manifest keeps its bytes and digest if it is OCI's; Docker's is converted. Layers that
    /// are absent stay absent.
    pub fn copy_from(&self, image: &Image, ref_name: &str) -> Result<(), Error> {
        let mut update = self.update()?;
        update.adopt_layers(image)?;
        update.copy(image, ref_name, Others::Dropped)
    }

    /// Copies an image as [`Self::copy_from`] does, beside those that are here: it takes the place of the one with that ref name.
    pub fn add_from(&self, image: &Image, ref_name: &str) -> Result<(), Error> {
        let mut update = self.update()?;
        update.adopt_layers(image)?;
        update.copy(image, ref_name, Others::Kept)
    }

    /// Copies an image as [`Self::copy_from`] does, but for its layers: a sparse image.
    pub fn copy_without_layers_from(&self, image: &Image, ref_name: &str) -> Result<(), Error> {
        self.update()?.copy(image, ref_name, Others::Dropped)
    }

    /// Takes the lock of the directory, which is made if need be.
    pub(crate) fn lock(&self, made: &mut Made) -> Result<fs::File, Error> {
        let begin = Instant::now();
        loop {
            made.directories(&self.path)?;
            let directory = fs::File::open(&self.path)?;
            match directory.try_lock() {
                Err(TryLockError::WouldBlock) => {}
                // Not every file system can lock; a single writer needs no lock.
                Err(TryLockError::Error(error)) if is_unsupported(&error) => return Ok(directory),
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Ok(()) if is_still_at(&directory, &self.path) => return Ok(directory),
                Ok(()) => continue,
            }
            if begin.elapsed() > LOCK_PATIENCE {
                return Err(Error::Busy(self.path.clone()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What becomes of the images that a layout has when another one is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// The index lists the new one alone, as the phases leave it (LAY-023).
    Dropped,
    /// The new one takes the place of the one with its ref name.
    Kept,
}

/// Returns an index with one more image.
fn with(index: Option<Index>, manifest: Descriptor, ref_name: &str) -> Index {
    let mut index = index.unwrap_or_else(|| Index::new(Vec::new()));
    // What others wrote may leave it out.
    index.media_type = Some(MediaType::ImageIndex);
    index.manifests.retain(|it| match it.ref_name() {
        Some(found) => found != ref_name,
        None => it.digest != manifest.digest,
    });
    index.manifests.push(manifest);
    index
}

/// A change of a layout: blobs written so far, none of them named by `index.json` yet.
#[derive(Debug)]
pub struct Update {
    layout: Layout,
    blobs: LayoutBlobs,
    // Before the lock: what was made is removed while it is held.
    made: Made,
    _lock: fs::File,
}

impl Update {
    /// Returns the layout that is changed.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes a layer's blob in one pass: tar, sha256, compression, sha256. `tee` gets the uncompressed tar as well.
    pub fn write_layer(
        &mut self,
        layer: &Layer,
        options: &layer::WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error> {
        let mut file = temporary_in(&self.blobs.folder("sha256"), 0o666)?;
        let written = layer::write_blob(layer, &mut file, options, tee)?;
        self.keep(file, &written.descriptor.digest)?;
        Ok(written)
    }

    /// Writes a small blob: a config, a manifest.
    fn write_document(&mut self, media_type: MediaType, text: &str) -> Result<Descriptor, Error> {
        let mut file = temporary_in(&self.blobs.folder("sha256"), 0o666)?;
        file.write_all(text.as_bytes())?;
        let digest = sha256(text.as_bytes());
        self.keep(file, &digest)?;
        Ok(Descriptor::new(media_type, text.len() as u64, digest))
    }

    /// Links or copies a blob from elsewhere; false if it is absent there and here.
    ///
    /// A file of the right size is linked without being read; `verify` checks its content. A copy
    /// is checked while it is made.
    fn adopt_blob(&mut self, source: &dyn Blobs, blob: &Descriptor) -> Result<bool, Error> {
        let Descriptor { digest, size, .. } = blob;
        let target = self.blobs.file(digest);
        if self.has(blob)? {
            return Ok(true);
        }
        let existed = target.exists();
        if *digest.algorithm() != DigestAlgorithm::Sha256 {
            let folder = self.blobs.folder(digest.algorithm().as_ref());
            self.made.directories(&folder)?;
        }
        if !existed && link(source, digest, *size, &target) {
            self.made.files.push(target);
            return Ok(true);
        }
        let Some(mut reader) = source.open(blob)? else {
            return Ok(false);
        };
        let folder = target.parent().unwrap_or(self.layout.path());
        let mut file = temporary_in(folder, 0o666)?;
        let mut buffered = BufWriter::with_capacity(256 << 10, &mut file);
        io::copy(&mut reader, &mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        self.keep(file, digest)?;
        Ok(true)
    }

    /// True if the blob is here.
    fn has(&self, blob: &Descriptor) -> Result<bool, Error> {
        Ok(self.blobs.size(&blob.digest)? == Some(blob.size))
    }

    /// Links or copies the layers of an image that are there.
    fn adopt_layers(&mut self, image: &Image) -> Result<(), Error> {
        for (_, layer) in image.layers() {
            self.adopt_blob(&**image.blobs(), layer)?;
        }
        Ok(())
    }

    /// Copies manifest and config, and makes the image the one of the layout, or one of several.
    fn copy(mut self, image: &Image, ref_name: &str, others: Others) -> Result<(), Error> {
        let source = &**image.blobs();
        let manifest = image.manifest().clone().to_oci();
        let config = &manifest.config;
        let absent =
            |digest: &Digest| Error::MissingBlob(digest.to_string(), source.location().into());
        if !self.adopt_blob(source, config)? {
            return Err(absent(&config.digest));
        }
        let descriptor = if manifest == *image.manifest() {
            let (digest, size) = (image.digest().clone(), image.manifest_size());
            let descriptor = Descriptor::new(MediaType::ImageManifest, size, digest);
            if !self.adopt_blob(source, &descriptor)? {
                return Err(absent(&descriptor.digest));
            }
            descriptor
        } else {
            self.write_document(MediaType::ImageManifest, &json::to_string(&manifest)?)?
        };
        self.name(descriptor, ref_name, others)
    }

    /// Makes the image with this manifest the one of the layout (LAY-022, LAY-023), or one of several.
    fn name(
        mut self,
        mut manifest: Descriptor,
        ref_name: &str,
        others: Others,
    ) -> Result<(), Error> {
        if !ref_name.is_empty() {
            let annotations = &mut manifest.annotations;
            annotations.insert(REF_NAME.to_owned(), ref_name.to_owned());
        }
        let index = match others {
            Others::Dropped => Index::new(vec![manifest]),
            Others::Kept => with(self.layout.index()?, manifest, ref_name),
        };
        let index = json::to_string_indented(&index)?;
        self.replace("oci-layout", OCI_LAYOUT)?;
        self.replace("index.json", &index)?;
        self.made.keep();
        Ok(())
    }

    /// Gives a blob its name, in place of a damaged one that may have it.
    fn keep(&mut self, file: NamedTempFile, digest: &Digest) -> io::Result<()> {
        self.rename(file, self.blobs.file(digest))
    }

    fn rename(&mut self, file: NamedTempFile, path: PathBuf) -> io::Result<()> {
        let existed = path.exists();
        persist(file, &path)?;
        if !existed {
            self.made.files.push(path);
        }
        Ok(())
    }

    /// LAY-026: these two files are executable for whoever can read them.
    fn replace(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut file = temporary_in(&self.layout.path, 0o777)?;
        file.write_all(text.as_bytes())?;
        self.rename(file, self.layout.path.join(name))
    }
}

impl Draft for Update {
    fn location(&self) -> String {
        self.layout.path().display().to_string()
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn write_layer(
        &mut self,
        layer: &Layer,
        options: &layer::WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error> {
        Self::write_layer(self, layer, options, tee)
    }

    fn adopt(&mut self, layers: &[Wanted]) -> Result<Vec<DiffId>, Error> {
        // The cheap failure first: nothing is copied for an image that cannot be whole.
        for layer in layers {
            let blob = &layer.descriptor;
            let (absent, location) = match &layer.origin {
                Origin::Base(_) | Origin::Omitted => continue,
                Origin::Reused(blobs) => (!blobs.has(blob)?, blobs.location()),
                Origin::Written => (true, self.location()),
            };
            if absent && !self.has(blob)? {
                let diff_id = layer.diff_id.to_string();
                return Err(Error::MissingBlob(diff_id, PathBuf::from(location)));
            }
        }
        let mut missing = Vec::new();
        for layer in layers {
            if let Origin::Base(blobs) | Origin::Reused(blobs) = &layer.origin
                && !self.adopt_blob(&**blobs, &layer.descriptor)?
            {
                missing.push(layer.diff_id.clone());
            }
        }
        Ok(missing)
    }

    fn finish(mut self: Box<Self>, image: &NewImage, ref_name: &str) -> Result<(), Error> {
        self.write_document(MediaType::ImageConfig, &image.config)?;
        let manifest = self.write_document(MediaType::ImageManifest, &image.manifest_text)?;
        self.name(manifest, ref_name, Others::Dropped)
    }
}

impl From<Update> for Box<dyn Draft> {
    fn from(update: Update) -> Self {
        Box::new(update)
    }
}

/// Files and directories that a change made; removed when it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Made {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
}

impl Made {
    /// Everything stays.
    fn keep(&mut self) {
        self.files.clear();
        self.directories.clear();
    }

    /// Makes a directory and those above it, remembering which were not there.
    fn directories(&mut self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.directories(parent)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                self.directories.push(path.to_owned());
                Ok(())
            }
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for file in self.files.iter().rev() {
            // What cannot be removed is only a blob that nothing names.
            fs::remove_file(file).ok();
        }
        for directory in self.directories.iter().rev() {
            // Not empty if somebody else put something there meanwhile.
            fs::remove_dir(directory).ok();
        }
    }
}

/// Links a blob's file; false where that is not possible, for whatever reason: then it is copied.
///
/// Reasons: another file system or mount, `fs.protected_hardlinks` with a file of somebody else's,
/// too many links, a file system without links, a symbolic link in place of the blob, no file at all.
fn link(source: &dyn Blobs, digest: &Digest, size: u64, target: &Path) -> bool {
    let Some(path) = source.path(digest) else {
        return false;
    };
    let is_blob = fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && it.len() == size);
    is_blob && fs::hard_link(&path, target).is_ok()
}

/// Removes temporary files that a killed writer left.
fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY.as_bytes());
        if is_ours && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// False if the directory was removed or replaced between opening and locking it.
fn is_still_at(directory: &fs::File, path: &Path) -> bool {
    let of = |it: std::fs::Metadata| (it.dev(), it.ino());
    match (directory.metadata(), fs::metadata(path)) {
        (Ok(locked), Ok(there)) => of(locked) == of(there),
        _ => false,
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let codes = [
        Errno::NOLCK,
        Errno::NOSYS,
        Errno::OPNOTSUPP,
        Errno::BADF,
        Errno::INVAL,
    ];
    codes
        .iter()
        .any(|it| error.raw_os_error() == Some(it.raw_os_error()))
}

/// Why a layout could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A blob could not be read.
    #[error(transparent)]
    Blob(#[from] blob::Error),
    /// Another change does not end.
    #[error(
        "failed to lock {0}: another program is writing to it\nend that program, or use another directory"
    )]
    Busy(PathBuf),
    /// A registry or a daemon said no.
    #[error(transparent)]
    Elsewhere(Box<dyn std::error::Error + Send + Sync>),
    /// An image could not be read.
    #[error(transparent)]
    Image(#[from] Box<image::Error>),
    /// `index.json` is none.
    #[error("failed to read {path}: not an image index")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file system said no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A document could not be written.
    #[error("failed to write JSON")]
    Json(#[from] serde_json::Error),
    /// The blob of a layer that is reused is not in the previous image's layout.
    #[error(
        "layer {0} cannot be reused: its blob is not in {1}\nput the blob there (a sparse image lacks it), or build anew without a previous image"
    )]
    MissingBlob(String, PathBuf),
    /// The image that is rebased has no layer with the diffID of its base's last one.
    #[error("could not find base layer in image: none has the diffID {0}")]
    NoBaseLayer(DiffId),
    /// No image of the layout was meant.
    #[error(transparent)]
    Select(#[from] Box<index::Error>),
    /// An image has no layer with this diffID.
    #[error("image {1} in {2} has no layer {0}")]
    UnknownLayer(DiffId, Digest, String),
}

impl From<image::Error> for Error {
    fn from(error: image::Error) -> Self {
        Self::Image(Box::new(error))
    }
}

impl From<index::Error> for Error {
    fn from(error: index::Error) -> Self {
        Self::Select(Box::new(error))
    }
}
