//! What a daemon saves of an image: a tar with the tars of its layers, a config, and `manifest.json`, which says which is
//! which.
//!
//! It is kept as one file without a name, and read where things lie in it: nothing is unpacked, so no name in it ever
//! becomes a path here, and nothing is left if the program is killed. Docker has the tars in folders, of layers that
//! occur twice the second as a link; from 25 on they lie where a layout has its blobs, compressed where containerd keeps
//! images. podman has them side by side.

use std::collections::HashMap;
use std::io::{self, Read, Seek as _};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use layout::blob::Section;
use layout::image::{decompressed, is_compressed};
use layout::{DiffId, Digest, ImageConfig};
use serde::Deserialize;
use tar::EntryType;

use crate::error::Error;

/// Bytes that an image may have.
const MAX_IMAGE: u64 = 256 << 30;

/// Bytes that `manifest.json` and a config may have.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Bytes that a layer's tar may have, however few its blob has; and how many more than these each of them may stand for.
const MAX_PLAIN: (u64, u64) = (1 << 30, 200);

/// Files and links that an image may have, and bytes of all of their names.
const MAX_MEMBERS: (usize, usize) = (100_000, 16 << 20);

/// Links that may lead from one to the next.
const MAX_LINKS: usize = 8;

/// The layers of an image, in a file.
#[derive(Debug)]
pub(crate) struct Saved {
    image: Digest,
    file: Arc<fs::File>,
    contents: Contents,
    /// Layers that were compressed, by diffID, each in a file of its own.
    plain: Mutex<HashMap<String, LayerTar>>,
}

/// What is in the file.
#[derive(Debug)]
struct Contents {
    config: Vec<u8>,
    /// Offset and size by diffID.
    places: HashMap<String, Place>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    offset: u64,
    size: u64,
}

/// The tar of a layer, in a file.
#[derive(Clone, Debug)]
pub(crate) struct LayerTar {
    file: Arc<fs::File>,
    place: Place,
}

impl LayerTar {
    pub(crate) fn new(file: &Arc<fs::File>, offset: u64, size: u64) -> Self {
        Self {
            file: Arc::clone(file),
            place: Place { offset, size },
        }
    }

    /// Writes the tar that comes of a blob of so many bytes into a file without a name.
    pub(crate) fn spooled(tar: &mut dyn Read, blob_size: u64) -> io::Result<Self> {
        let (least, factor) = MAX_PLAIN;
        let most = blob_size.saturating_mul(factor).clamp(least, MAX_IMAGE);
        Self::spooled_within(tar, most)
    }

    fn spooled_within(tar: &mut dyn Read, most: u64) -> io::Result<Self> {
        let file = scratch()?;
        let size = io::copy(&mut tar.take(most.saturating_add(1)), &mut &file)?;
        if size > most {
            let problem = format!("a layer has more than {most} bytes when it is unpacked");
            return Err(damaged(&problem));
        }
        Ok(Self::new(&Arc::new(file), 0, size))
    }

    /// Returns the bytes of the tar.
    pub(crate) fn size(&self) -> u64 {
        self.place.size
    }

    /// Returns a reader of the tar, which does not check what it reads.
    pub(crate) fn reader(&self) -> Section {
        Section::new(&self.file, self.place.offset, self.place.size)
    }
}

impl Saved {
    /// Reads what the daemon saves to its end; `failed` says what an error of the connection means.
    pub(crate) fn read(
        body: impl Read,
        image: &Digest,
        failed: impl Fn(io::Error) -> Error,
    ) -> Result<Self, Error> {
        let here = |source| Error::Scratch {
            image: image.to_string(),
            source,
        };
        let file = scratch().map_err(here)?;
        copy(body.take(MAX_IMAGE + 1), &file, &failed, &here)?;
        if file.metadata().map_err(here)?.len() > MAX_IMAGE {
            return Err(here(damaged("it is larger than any image")));
        }
        let file = Arc::new(file);
        let contents = Contents::find(&file).map_err(|error| failed(invalid(error)))?;
        Ok(Self {
            image: image.clone(),
            file,
            contents,
            plain: Mutex::default(),
        })
    }

    /// Returns the bytes of the config.
    pub(crate) fn config(&self) -> &[u8] {
        &self.contents.config
    }

    /// Returns a layer's tar.
    pub(crate) fn layer(&self, diff_id: &DiffId) -> Result<LayerTar, Error> {
        let here = |source| Error::Scratch {
            image: self.image.to_string(),
            source,
        };
        let place = self.contents.places.get(diff_id.0.as_ref());
        let place = place.ok_or_else(|| here(damaged("the daemon left a layer out")))?;
        let tar = LayerTar::new(&self.file, place.offset, place.size);
        let mut magic = [0; 4];
        let read = tar.reader().read(&mut magic).map_err(here)?;
        if !is_compressed(&magic[..read]) {
            return Ok(tar);
        }
        let mut known = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plain) = known.get(diff_id.0.as_ref()) {
            return Ok(plain.clone());
        }
        let mut plain = decompressed(Box::new(tar.reader())).map_err(here)?;
        let plain = LayerTar::spooled(&mut plain, tar.size()).map_err(here)?;
        known.insert(diff_id.to_string(), plain.clone());
        Ok(plain)
    }
}

/// Copies what a daemon sends into a file, and tells whose fault it is if that fails.
fn copy(
    mut from: impl Read,
    mut to: &fs::File,
    failed: &impl Fn(io::Error) -> Error,
    here: &impl Fn(io::Error) -> Error,
) -> Result<(), Error> {
    use std::io::Write as _;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read]).map_err(here)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

impl Contents {
    fn find(file: &Arc<fs::File>) -> io::Result<Self> {
        let members = Members::find(file)?;
        let [entry] = &members.manifest(file)?[..] else {
            return Err(damaged("its manifest.json does not name one image"));
        };
        let config = members.document(file, &entry.config)?;
        let diff_ids = ImageConfig::from_slice(&config)?.diff_ids;
        if diff_ids.len() != entry.layers.len() {
            return Err(damaged(
                "its manifest.json has not as many layers as its config",
            ));
        }
        let mut places = HashMap::new();
        for (diff_id, name) in diff_ids.iter().zip(&entry.layers) {
            places.insert(diff_id.to_string(), members.place(name)?);
        }
        Ok(Self { config, places })
    }
}

/// The one image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    config: String,
    #[serde(default)]
    layers: Vec<String>,
}

/// What is in the tar, by name.
#[derive(Debug, Default)]
struct Members {
    files: HashMap<String, Place>,
    links: HashMap<String, String>,
}

impl Members {
    fn find(file: &fs::File) -> io::Result<Self> {
        let mut found = Self::default();
        let mut file = file;
        file.rewind()?;
        let mut archive = tar::Archive::new(file);
        let (mut members, mut names) = MAX_MEMBERS;
        let too_many = || damaged("it has more files than any image");
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            let name_len =
                entry.path_bytes().len() + entry.link_name_bytes().map_or(0, |it| it.len());
            members = members.checked_sub(1).ok_or_else(too_many)?;
            names = names.checked_sub(name_len).ok_or_else(too_many)?;
            let name = clean("", &String::from_utf8_lossy(&entry.path_bytes()));
            match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => {
                    let (offset, size) = (entry.raw_file_position(), entry.size());
                    found.files.insert(name, Place { offset, size });
                }
                kind @ (EntryType::Symlink | EntryType::Link) => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target);
                    // A symbolic link begins at its own folder, a hard link at the root.
                    let folder = match kind {
                        EntryType::Symlink => name.rsplit_once('/').map_or("", |(it, _)| it),
                        _ => "",
                    };
                    let target = clean(folder, &target);
                    found.links.insert(name, target);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    fn manifest(&self, file: &Arc<fs::File>) -> io::Result<Vec<ManifestEntry>> {
        let bytes = self.document(file, "manifest.json")?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    fn document(&self, file: &Arc<fs::File>, name: &str) -> io::Result<Vec<u8>> {
        let Place { offset, size } = self.place(name)?;
        if size > MAX_DOCUMENT {
            return Err(damaged("a document in it is too large"));
        }
        let mut bytes = Vec::new();
        Section::new(file, offset, size).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns where a file is, or the one that a link of this name leads to.
    fn place(&self, name: &str) -> io::Result<Place> {
        let mut name = clean("", name);
        for _ in 0..MAX_LINKS {
            if let Some(place) = self.files.get(&name) {
                return Ok(*place);
            }
            let Some(target) = self.links.get(&name) else {
                break;
            };
            name.clone_from(target);
        }
        Err(damaged(&format!("{name} is not in it")))
    }
}

/// Returns `folder/name` without `.`, `..` and empty parts; nothing leads above the root.
fn clean(folder: &str, name: &str) -> String {
    let mut parts = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Makes a file that goes with whoever has it open.
fn scratch() -> io::Result<fs::File> {
    let file = tempfile::tempfile()?;
    Ok(fs::File::from_parts(
        file,
        std::env::temp_dir().join("layers of an image"),
    ))
}

fn invalid(error: io::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
