//! Images of registries become images in layouts here.
//!
//! ```text
//! manifest, config ◄── registry
//! layers: in the layout?  in another one of the layout repo?  else ◄── registry, several at once
//!            │                 │ link                               │ <layout repo>/.slipway/pulls/sha256-…, link
//!            └─────────────────┴────────────────────────────────────┴──► blobs, then index.json
//! ```
//!
//! What came of a layer stays where it is until the image is whole: another try goes on behind it. Every byte counts into
//! the digest, those of earlier tries too, and nothing is an image before all its layers are.

use std::collections::BTreeMap;
use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, anyhow, bail};
use fs_err as fs;
use layout::digest::{Hasher, sha256};
use layout::manifest::Platform;
use layout::{Descriptor, Digest, Image, Layout, Reference, Selector, json};
use registry::RegistryBlobs;

use super::stores::Stores;
use crate::containers::state_dir;
use crate::progress::{Transfer, Transfers};
use crate::sparse;

/// Layers that are fetched at the same time.
const AT_ONCE: usize = 4;

/// What was begun and left so long ago is not gone on with.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// An image in a registry: manifest and config are read.
#[derive(Debug)]
pub(crate) struct Remote {
    /// What it was asked for as.
    name: Reference,
    /// Its layers are read when somebody asks for them.
    pub(crate) image: Image,
    blobs: RegistryBlobs,
}

/// An image whose layers are on this machine.
#[derive(Debug)]
struct Pulled {
    image: Image,
    fetched: Vec<Fetched>,
}

/// A layer that was fetched, or is being fetched, by this process alone.
#[derive(Debug)]
struct Fetched {
    blob: Descriptor,
    path: PathBuf,
    file: fs::File,
}

impl Remote {
    /// Finds an image by its name; of several platforms that one, or this machine's. `None` if the registry has none.
    pub(crate) fn find(
        stores: &Stores<'_>,
        name: &Reference,
        platform: Option<&Platform>,
    ) -> anyhow::Result<Option<Self>> {
        let place = stores.mirrored(name);
        let selector = Selector {
            platform: platform.cloned(),
            ..Selector::default()
        };
        let image = stores.registries().image(&place, &selector)?;
        Ok(image.map(|image| Self {
            name: name.clone(),
            image,
            blobs: stores.registries().blobs(&place),
        }))
    }

    /// Makes it the image of its name in the layout repo, and returns that.
    pub(crate) fn into_repo(self, stores: &Stores<'_>) -> anyhow::Result<Image> {
        let dir = self.name.layout_path(&stores.config().layout_repo_dir());
        let layout = Layout::at(dir);
        // A layout that cannot be read is written anew.
        if let Ok(Some(here)) = layout.image(&self.in_layout()?)
            && is_whole(&here)
            && layout.images()?.is_some_and(|it| it.len() == 1)
        {
            return Ok(here);
        }
        let tag = self.name.identifier().to_owned();
        self.into_layout(stores, &layout, |layout, image| {
            layout.copy_from(image, &tag)
        })
    }

    /// Makes it an image of a layout, as `copy` does it, and returns that.
    pub(crate) fn into_layout(
        self,
        stores: &Stores<'_>,
        layout: &Layout,
        copy: impl FnOnce(&Layout, &Image) -> Result<(), layout::store::Error>,
    ) -> anyhow::Result<Image> {
        let selector = self.in_layout()?;
        let pulled = self.pull(stores, layout.path())?;
        copy(layout, &pulled.image)?;
        for fetched in &pulled.fetched {
            // It is a blob now, by another name.
            fs::remove_file(&fetched.path)?;
        }
        let image = layout.image(&selector)?;
        image.context("the image is not where it was written to")
    }

    fn in_layout(&self) -> anyhow::Result<Selector> {
        Ok(Selector {
            digest: Some(digest_in_layout(&self.image)?),
            ..Selector::default()
        })
    }

    /// Fetches the layers that are in no layout here.
    fn pull(self, stores: &Stores<'_>, layout: &Path) -> anyhow::Result<Pulled> {
        let pulls = state_dir(stores.config())?.join("pulls");
        sweep(&pulls);
        let repo = stores.config().layout_repo_dir();
        let mut layers: BTreeMap<&str, &Descriptor> = BTreeMap::new();
        for layer in &self.image.manifest().layers {
            layers.insert(layer.digest.as_ref(), layer);
        }
        let layers: Vec<_> = layers.into_values().cloned().collect();
        let transfers = Transfers::pull(stores.is_quiet(), &self.name.name());
        let mut files = here(&repo, layout, &layers);
        let mut fetched = Vec::new();
        // Always in this order: two that wait for each other's layers would wait for ever.
        for layer in lacking(&layers, &files) {
            fetched.push(Fetched::take(&pulls, layer, &transfers)?);
        }
        // Who held one of them may just have finished.
        files.extend(here(&repo, layout, &lacking(&layers, &files)));
        let is_here = |it: &Fetched| files.contains_key(it.blob.digest.as_ref());
        for found in fetched.extract_if(.., |it| is_here(it)) {
            fs::remove_file(&found.path)?;
        }
        fetch_all(&mut fetched, &self.blobs, &transfers)?;
        let come = fetched.iter();
        files.extend(come.map(|it| (it.blob.digest.to_string(), it.path.clone())));
        let image = sparse::with_files(&self.image, files)?;
        Ok(Pulled { image, fetched })
    }
}

/// Returns the files of the layers that are on this machine already.
fn here(repo: &Path, layout: &Path, layers: &[Descriptor]) -> sparse::Files {
    let mut files = sparse::find(layout, layers);
    files.extend(sparse::find(repo, &lacking(layers, &files)));
    files
}

fn lacking(layers: &[Descriptor], files: &sparse::Files) -> Vec<Descriptor> {
    let lacks = |it: &&Descriptor| !files.contains_key(it.digest.as_ref());
    layers.iter().filter(lacks).cloned().collect()
}

/// Returns the digest that the image has in a layout, where all is OCI's.
fn digest_in_layout(image: &Image) -> anyhow::Result<Digest> {
    let manifest = image.manifest().clone().to_oci();
    if manifest == *image.manifest() {
        return Ok(image.digest().clone());
    }
    Ok(sha256(json::to_string(&manifest)?.as_bytes()))
}

fn is_whole(image: &Image) -> bool {
    let blobs = image.blobs();
    let mut layers = image.layers();
    layers.all(|(_, layer)| {
        let file = blobs.path(&layer.digest);
        file.is_some_and(|it| fs::metadata(it).is_ok_and(|it| it.len() == layer.size))
    })
}

/// Fetches several at once, until one fails.
fn fetch_all(
    fetched: &mut [Fetched],
    blobs: &RegistryBlobs,
    transfers: &Transfers,
) -> anyhow::Result<()> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let of = fetched.len();
    let fetched = &*fetched;
    let run = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(one) = fetched.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let transfer = transfers.begin(one.blob.digest.as_ref(), one.blob.size, of);
            if let Err(error) = one.fetch(blobs, &transfer, &stop) {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE.min(of)).map(|_| scope.spawn(run)).collect();
        let results = threads.into_iter().map(|thread| {
            let result = thread.join();
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        // All are waited for, whatever comes of the first.
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

impl Fetched {
    /// Takes hold of the place of a layer, with what an earlier try has left there.
    fn take(pulls: &Path, blob: Descriptor, transfers: &Transfers) -> anyhow::Result<Self> {
        let path = pulls.join(blob.digest.as_ref().replace(':', "-"));
        loop {
            let mut options = fs::OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(&path)?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => {
                    transfers.say("Waiting for another pull of the same layers");
                    file.lock()?;
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Ok(()) => {}
            }
            if is_at(&file, &path) {
                return Ok(Self { blob, path, file });
            }
        }
    }

    /// Fetches what is missing of it.
    fn fetch(
        &self,
        blobs: &RegistryBlobs,
        transfer: &Transfer<'_>,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let begin = self.file.metadata()?.len();
        match self.go_on(blobs, transfer, stop) {
            // Perhaps what was here was wrong, and not what came.
            Err(error) if begin > 0 && error.is::<Damaged>() => self.go_on(blobs, transfer, stop),
            result => result,
        }
    }

    fn go_on(
        &self,
        blobs: &RegistryBlobs,
        transfer: &Transfer<'_>,
        stop: &AtomicBool,
    ) -> anyhow::Result<()> {
        let Descriptor { digest, size, .. } = &self.blob;
        let mut file = &self.file;
        let mut hasher = Hasher::of(digest).with_context(|| {
            format!("layer {digest} has a digest of a kind that cannot be checked")
        })?;
        if file.metadata()?.len() > *size {
            file.set_len(0)?;
        }
        file.seek(SeekFrom::Start(0))?;
        let mut buffer = vec![0; 256 << 10];
        let mut seen = 0;
        let mut add = |bytes: &[u8]| {
            hasher.update(bytes);
            transfer.add(bytes.len() as u64);
            bytes.len() as u64
        };
        loop {
            match file.read(&mut buffer)? {
                0 => break,
                read => seen += add(&buffer[..read]),
            }
        }
        if seen < *size {
            let reader = blobs.open_from(&self.blob, seen)?;
            let mut reader = reader.with_context(|| format!("there is no layer {digest}"))?;
            while !stop.load(Ordering::Relaxed) {
                let read = match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read?,
                };
                if seen + read as u64 > *size {
                    bail!("more comes of layer {digest} than it has: {size} bytes");
                }
                file.write_all(&buffer[..read])?;
                seen += add(&buffer[..read]);
            }
            if seen < *size {
                bail!("layer {digest} was not fetched to its end");
            }
        }
        let found = hasher.finish();
        if found != *digest {
            file.set_len(0)?;
            return Err(anyhow!(Damaged {
                expected: digest.clone(),
                found
            }));
        }
        Ok(())
    }
}

/// What came, and what was here before, is not the layer.
#[derive(Debug, thiserror::Error)]
#[error("layer {expected} is damaged: what comes of it has the digest {found}")]
struct Damaged {
    expected: Digest,
    found: Digest,
}

/// False if another process has finished with the file meanwhile.
fn is_at(file: &fs::File, path: &Path) -> bool {
    let of = |it: std::fs::Metadata| (it.dev(), it.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(held), Ok(there)) => of(held) == of(there),
        _ => false,
    }
}

/// Removes what nobody has gone on with for a long time; that it stays is no failure.
fn sweep(pulls: &Path) {
    let now = SystemTime::now();
    for entry in fs::read_dir(pulls).into_iter().flatten().flatten() {
        let written = entry.metadata().and_then(|it| it.modified());
        let age = written.map(|it| now.duration_since(it).unwrap_or_default());
        if age.is_ok_and(|it| it > KEPT)
            && let Ok(file) = fs::File::open(entry.path())
            && file.try_lock().is_ok()
        {
            fs::remove_file(entry.path()).ok();
        }
    }
}
