//! `--cache-image`: the build's cache as an image in a registry, in the form that lifecycles give it (COM-091).
//!
//! The phases work with a folder of the build's own (`cache` says what lies in it). It is filled from the image before they
//! start, and becomes the image once the app image is written; layers that did not change are not sent again.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use fs_err as fs;
use layout::blob::{Blobs, LayoutBlobs};
use layout::config::CREATED;
use layout::digest::{Hasher, sha256};
use layout::draft::{NewImage, Origin, Wanted};
use layout::manifest::{Manifest, MediaType, Platform};
use layout::{Descriptor, DiffId, History, Image, ImageEditor, Reference, Selector, json};
use registry::Client;

use super::elsewhere::write;
use super::leftovers;
use crate::images::stores::Stores;

/// The label, and the file in the folder, that say what is in the cache.
const METADATA: &str = "io.buildpacks.lifecycle.cache.metadata";

/// The folder in that of a cache which holds what counts.
const COMMITTED: &str = "committed";

/// A cache in a registry.
#[derive(Debug)]
pub(super) struct CacheImage {
    name: Reference,
    client: Client,
    before: Option<Image>,
}

impl CacheImage {
    /// Looks it up; it need not be there, but it must be possible to write it.
    pub(super) fn find(name: &str, stores: &Stores<'_>) -> anyhow::Result<Self> {
        let what = || format!("failed to read the cache image {name}");
        let reference = Reference::parse(name).with_context(what)?;
        let client = stores.registries().clone();
        client.can_read_and_write(&reference).with_context(what)?;
        let selector = Selector {
            // Caches are for no platform in particular.
            platform: None,
            ..Selector::default()
        };
        let before = client.image(&reference, &selector).with_context(what)?;
        // One that lacks layers is as good as none (COM-093).
        let before = match before {
            Some(image) if client.has_layers(&image).with_context(what)? => Some(image),
            _ => None,
        };
        Ok(Self {
            name: reference,
            client,
            before,
        })
    }

    /// Puts what it holds into the folder of a cache.
    pub(super) fn fill(&self, dir: &Path) -> anyhow::Result<()> {
        let Some(image) = &self.before else {
            return Ok(());
        };
        let what = || format!("failed to read the cache image {}", self.name);
        let committed = dir.join(COMMITTED);
        fs::create_dir_all(&committed)?;
        for diff_id in image.diff_ids() {
            let Some(mut tar) = image.open_layer(diff_id).with_context(what)? else {
                continue;
            };
            let mut file = fs::File::create(committed.join(format!("{diff_id}.tar")))?;
            io::copy(&mut tar, &mut file).with_context(what)?;
        }
        if let Some(label) = image.label(METADATA) {
            fs::write(committed.join(METADATA), label)?;
        }
        Ok(())
    }

    /// Makes what is in the folder of a cache the image; `scratch` is a folder for what is sent.
    pub(super) fn save(&self, dir: &Path, scratch: &Path) -> anyhow::Result<()> {
        let what = || format!("failed to write the cache image {}", self.name);
        // A build that ran in place could write there: only plain files count, and only what they hold.
        let plain = scratch.join(COMMITTED);
        leftovers::copy(dir, COMMITTED, &plain).with_context(what)?;
        if !plain.join(METADATA).is_file() {
            return Ok(());
        }
        let metadata = fs::read_to_string(plain.join(METADATA))?;
        let mut tars = BTreeMap::new();
        for entry in fs::read_dir(&plain)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|it| it.strip_suffix(".tar"));
            if let Some(Ok(id)) = id.map(str::parse::<DiffId>) {
                tars.insert(id.to_string(), id);
            }
        }
        let blobs: Arc<dyn Blobs> = Arc::new(LayoutBlobs::of(scratch));
        let mut layers = Vec::new();
        for (name, id) in tars {
            let known = self
                .before
                .as_ref()
                .and_then(|it| Some((it, it.layer(&id)?)));
            let (descriptor, origin) = if let Some((image, layer)) = known {
                (layer.clone(), Origin::Reused(Arc::clone(image.blobs())))
            } else {
                let tar = plain.join(format!("{name}.tar"));
                let blob = compress(&tar, &id, scratch).with_context(what)?;
                (blob, Origin::Base(Arc::clone(&blobs)))
            };
            layers.push(Wanted {
                diff_id: id,
                descriptor,
                origin,
            });
        }
        if layers.is_empty() {
            return Ok(());
        }
        let image = documents(&layers, metadata.trim_end())?;
        let is_same = |it: &Image| *it.digest() == image.descriptor.digest;
        if self.before.as_ref().is_some_and(is_same) {
            return Ok(());
        }
        write(self.client.push(&self.name).into(), &layers, &image).with_context(what)
    }
}

/// Makes a blob of a tar, which must be what its name says.
fn compress(tar: &Path, id: &DiffId, scratch: &Path) -> anyhow::Result<Descriptor> {
    let mut reader = BufReader::with_capacity(256 << 10, fs::File::open(tar)?);
    let mut hasher = Hasher::of(&id.0).with_context(|| format!("layer {id} cannot be checked"))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let folder = scratch.join("blobs/sha256");
    fs::create_dir_all(&folder)?;
    let mut file = tempfile::NamedTempFile::new_in(&folder)?;
    let mut digest = Hasher::sha256();
    let mut size = 0;
    let mut buffer = vec![0; 256 << 10];
    let mut out = |bytes: &mut Vec<u8>| -> io::Result<()> {
        digest.update(bytes);
        size += bytes.len() as u64;
        file.write_all(bytes)?;
        bytes.clear();
        Ok(())
    };
    loop {
        let read = io::Read::read(&mut reader, &mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        encoder.write_all(&buffer[..read])?;
        out(encoder.get_mut())?;
    }
    out(&mut encoder.finish()?)?;
    let found = hasher.finish();
    if found != id.0 {
        bail!("{} is damaged: its digest is {found}", tar.display());
    }
    let digest = digest.finish();
    file.persist(folder.join(digest.digest()))?;
    Ok(Descriptor::new(MediaType::ImageLayerGzip, size, digest))
}

fn documents(layers: &[Wanted], metadata: &str) -> anyhow::Result<NewImage> {
    let platform = Platform {
        os: "linux".to_owned(),
        ..Platform::default()
    };
    let mut config = ImageEditor::empty(&platform).config().clone();
    config.created = Some(CREATED.to_owned());
    let label = (METADATA.to_owned(), metadata.to_owned());
    config.config.labels.extend([label]);
    config.diff_ids = layers.iter().map(|it| it.diff_id.clone()).collect();
    config.history = vec![
        History {
            created: Some(CREATED.to_owned()),
            ..History::default()
        };
        layers.len()
    ];
    let text = config.to_json()?;
    let described = |media_type, text: &str| {
        Descriptor::new(media_type, text.len() as u64, sha256(text.as_bytes()))
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MediaType::ImageManifest),
        config: described(MediaType::ImageConfig, &text),
        layers: layers.iter().map(|it| it.descriptor.clone()).collect(),
        annotations: BTreeMap::new(),
    };
    let manifest_text = json::to_string(&manifest)?;
    Ok(NewImage {
        config: text,
        diff_ids: config.diff_ids,
        descriptor: described(MediaType::ImageManifest, &manifest_text),
        manifest,
        manifest_text,
    })
}
