//! An image on its way into a daemon: one stream in the format of `docker load`.
//!
//! ```text
//! layer-0.tar ─ layer-1.tar ─ … ─ <config>.json ─ manifest.json ─► /images/load
//!  size known before a file is read        last: the daemon reads them when it has everything
//! ```
//!
//! Layers go to the daemon while they are made; nothing is compressed and nothing is put aside. A layer that the daemon
//! has is an empty file in the stream: Docker opens no layer whose chain of diffIDs it knows, podman none whose diffID.
//! Its image has to be there, though, so those that lead to such a layer are asked for once more at the end.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};

use layout::digest::sha256;
use layout::draft::{Draft, NewImage, Origin, Wanted};
use layout::image::open_layer;
use layout::layer::{self, Layer, WriteOptions, Written, diff_id_with_tee};
use layout::manifest::MediaType;
use layout::{Descriptor, DiffId, blob, json, store};
use serde::Serialize;

use crate::engine::Engine;
use crate::error::Error;
use crate::http::{Answer, Upload};
use crate::image::DaemonBlobs;
use crate::saved::LayerTar;

/// A block of a tar, empty.
const BLOCK: [u8; 512] = [0; 512];

/// An image that is being loaded. Dropped, it ends the stream before its end, and the daemon keeps nothing of it.
#[derive(Debug)]
pub struct DaemonDraft {
    engine: Engine,
    /// With a tag.
    name: String,
    load: Load,
    /// Names in the stream, by diffID.
    sent: HashMap<DiffId, String>,
    /// Layers of the stream, those that were sent twice included.
    files: usize,
}

/// How far the stream is.
#[derive(Debug)]
enum Load {
    /// Nothing was sent.
    NotBegun,
    /// Whole files were sent.
    Open(Upload),
    /// It broke, and there is no other.
    Broken,
}

impl DaemonDraft {
    pub(crate) fn new(engine: &Engine, name: String) -> Self {
        Self {
            engine: engine.clone(),
            name,
            load: Load::NotBegun,
            sent: HashMap::new(),
            files: 0,
        }
    }

    fn doing(&self) -> String {
        format!("load image {}", self.name)
    }

    /// Returns the stream, which is whole when it is given back.
    fn take_load(&mut self) -> Result<Upload, Error> {
        match std::mem::replace(&mut self.load, Load::Broken) {
            Load::NotBegun => self.engine.load(&self.doing()),
            Load::Open(upload) => Ok(upload),
            Load::Broken => Err(self.lost(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn lost(&self, error: io::Error) -> Error {
        self.engine.lost_or_damaged(&self.doing(), error)
    }

    /// Returns why nothing more could be sent: what the daemon says, if it says something.
    fn interrupted(&self, upload: Upload, error: io::Error) -> Error {
        match upload.interrupted() {
            Some(answer) => self.refused(answer, error),
            None => self.lost(error),
        }
    }

    fn refused(&self, answer: Answer, error: io::Error) -> Error {
        match self.engine.loaded(&self.doing(), answer) {
            Err(Error::Lost { .. }) | Ok(()) => self.lost(error),
            Err(refused) => refused,
        }
    }

    /// Sends a file.
    fn send(&mut self, name: &str, size: u64, contents: &mut dyn Read) -> Result<(), Error> {
        let mut upload = self.take_load()?;
        let mut from = Exact::new(contents, size);
        let sent = begin_file(&mut upload, name, size)
            .and_then(|()| io::copy(&mut from, &mut upload))
            .and_then(|_| end_file(&mut upload, size));
        // What cannot be read here is not the daemon's fault.
        match (sent, from.failed) {
            (Ok(()), _) => {
                self.load = Load::Open(upload);
                Ok(())
            }
            (Err(source), true) => Err(Error::Scratch {
                image: self.name.clone(),
                source,
            }),
            (Err(error), false) => Err(self.interrupted(upload, error)),
        }
    }

    fn next_name(&mut self) -> String {
        self.files += 1;
        format!("layer-{}.tar", self.files)
    }

    /// Returns which layers the daemon has.
    fn known(&self, layers: &[Wanted]) -> Result<Known, Error> {
        let mut images = Vec::new();
        let mut add = |name: &str| -> Result<(), Error> {
            if let Some(found) = self.engine.inspect(name)? {
                images.push(found.diff_ids().to_owned());
            }
            Ok(())
        };
        let mut seen = HashSet::new();
        for layer in layers {
            if let Some(blobs) = daemon_blobs(layer, &self.engine)
                && seen.insert(blobs.id().to_string())
            {
                add(blobs.id().as_ref())?;
            }
        }
        add(&self.name)?;
        if images.is_empty() || !self.engine.shares_layers()? {
            return Ok(Known::default());
        }
        if self.engine.offer()?.is_podman {
            let any = images.into_iter().flatten().collect();
            return Ok(Known { any, leading: 0 });
        }
        let wanted = || layers.iter().map(|it| &it.diff_id);
        let shared = |image: &Vec<DiffId>| wanted().zip(image).take_while(|(a, b)| a == b).count();
        Ok(Known {
            leading: images.iter().map(shared).max().unwrap_or_default(),
            any: HashSet::new(),
        })
    }

    /// Returns the tar of a layer that exists already; `None` if it is absent.
    fn tar_of(&self, layer: &Wanted) -> Result<Option<LayerTar>, Error> {
        let blobs = match &layer.origin {
            Origin::Base(blobs) | Origin::Reused(blobs) => blobs,
            Origin::Omitted | Origin::Written => return Ok(None),
        };
        if let Some(daemon) = (&**blobs as &dyn Any).downcast_ref::<DaemonBlobs>() {
            return daemon.layer(&layer.diff_id);
        }
        let here = |error: blob::Error| Error::Scratch {
            image: self.name.clone(),
            source: io::Error::other(error),
        };
        // Of a compressed layer only its end tells how long it is.
        let tar = open_layer(&**blobs, &layer.descriptor, &layer.diff_id).map_err(here)?;
        let spool = |mut tar| LayerTar::spooled(&mut tar).map_err(|error| here(error.into()));
        tar.map(spool).transpose()
    }

    fn absent(&self, layer: &Wanted) -> store::Error {
        let location = match &layer.origin {
            Origin::Base(blobs) | Origin::Reused(blobs) => blobs.location(),
            Origin::Omitted | Origin::Written => self.location(),
        };
        if let Origin::Reused(_) | Origin::Written = layer.origin {
            return store::Error::MissingBlob(layer.diff_id.to_string(), location.into());
        }
        let error = Error::MissingLayer {
            name: self.name.clone(),
            host: self.engine.host().clone(),
            diff_id: Box::new(layer.diff_id.clone()),
            location,
        };
        error.into()
    }
}

impl Draft for DaemonDraft {
    fn location(&self) -> String {
        format!(
            "image {} of the daemon at {}",
            self.name,
            self.engine.host()
        )
    }

    fn keeps_types(&self) -> bool {
        false
    }

    fn write_layer(
        &mut self,
        layer: &Layer,
        _: &WriteOptions,
        tee: Option<&mut (dyn Write + Send)>,
    ) -> Result<Written, layer::Error> {
        let foreign = |error: Error| layer::Error::Io(io::Error::other(error));
        let size = layer.tar_size()?;
        let name = self.next_name();
        let upload = self.take_load().map_err(foreign)?;
        let mut both = Both {
            upload,
            tee,
            failed: None,
        };
        let hashed = both
            .send(|upload| begin_file(upload, &name, size))
            .map_err(layer::Error::Io)
            .and_then(|()| diff_id_with_tee(layer, Some(&mut both)))
            .and_then(|id| Ok(both.send(|upload| end_file(upload, size)).map(|()| id)?));
        let Both { upload, failed, .. } = both;
        if let Some(error) = failed {
            return Err(foreign(self.interrupted(upload, error)));
        }
        let diff_id = hashed?;
        self.load = Load::Open(upload);
        self.sent.insert(diff_id.clone(), name);
        let descriptor = Descriptor::new(MediaType::ImageLayer, size, diff_id.0.clone());
        Ok(Written {
            diff_id,
            descriptor,
        })
    }

    fn adopt(&mut self, layers: &[Wanted]) -> Result<Vec<DiffId>, store::Error> {
        let known = self.known(layers)?;
        let mut needed = Vec::new();
        for (at, layer) in layers.iter().enumerate() {
            let id = &layer.diff_id;
            let is_first = !needed.iter().any(|it: &&Wanted| it.diff_id == *id);
            if is_first && !known.has(at, id) && !self.sent.contains_key(id) {
                needed.push(layer);
            }
        }
        // The cheap failure first: nothing is sent for an image that cannot be whole.
        let is_absent = |it: &&&Wanted| matches!(it.origin, Origin::Omitted | Origin::Written);
        if let Some(layer) = needed.iter().find(is_absent) {
            return Err(self.absent(layer));
        }
        for layer in needed {
            let Some(tar) = self.tar_of(layer)? else {
                return Err(self.absent(layer));
            };
            let name = self.next_name();
            self.send(&name, tar.size(), &mut tar.reader())?;
            self.sent.insert(layer.diff_id.clone(), name);
        }
        for layer in layers {
            if !self.sent.contains_key(&layer.diff_id) {
                let name = self.next_name();
                self.send(&name, 0, &mut io::empty())?;
                self.sent.insert(layer.diff_id.clone(), name);
            }
        }
        Ok(Vec::new())
    }

    fn finish(mut self: Box<Self>, image: &NewImage, _: &str) -> Result<(), store::Error> {
        let id = sha256(image.config.as_bytes());
        let config = format!("{}.json", id.digest());
        let names = image.diff_ids.iter();
        let manifest = json::to_string(&[ManifestEntry {
            config: &config,
            repo_tags: [&self.name],
            layers: names.filter_map(|it| self.sent.get(it)).collect(),
        }])?;
        for (name, text) in [(&*config, &image.config), ("manifest.json", &manifest)] {
            self.send(name, text.len() as u64, &mut text.as_bytes())?;
        }
        let mut upload = self.take_load()?;
        let doing = self.doing();
        let ended = upload.write_all(&[BLOCK; 2].concat());
        let answer = match ended {
            Ok(()) => upload.finish().map_err(|error| self.lost(error))?,
            Err(error) => return Err(self.interrupted(upload, error).into()),
        };
        self.engine.loaded(&doing, answer)?;
        let found = self.engine.inspect(&self.name)?;
        let found =
            found.ok_or_else(|| self.lost(io::Error::other("it has no such image after it")))?;
        if found.id == id || (!self.engine.shares_layers()? && found.diff_ids() == image.diff_ids) {
            return Ok(());
        }
        let error = Error::OtherImage {
            name: self.name.clone(),
            host: self.engine.host().clone(),
            expected: Box::new(id),
            found: Box::new(found.id),
        };
        Err(error.into())
    }
}

impl From<DaemonDraft> for Box<dyn Draft> {
    fn from(draft: DaemonDraft) -> Self {
        Box::new(draft)
    }
}

/// Returns the layers' place if it is in this daemon.
fn daemon_blobs<'a>(layer: &'a Wanted, engine: &Engine) -> Option<&'a DaemonBlobs> {
    let (Origin::Base(blobs) | Origin::Reused(blobs)) = &layer.origin else {
        return None;
    };
    let blobs = (&**blobs as &dyn Any).downcast_ref::<DaemonBlobs>()?;
    blobs.engine().is(engine).then_some(blobs)
}

/// Layers that need not be sent.
#[derive(Debug, Default)]
struct Known {
    /// So many from the base on.
    leading: usize,
    /// Wherever they are.
    any: HashSet<DiffId>,
}

impl Known {
    fn has(&self, at: usize, diff_id: &DiffId) -> bool {
        at < self.leading || self.any.contains(diff_id)
    }
}

/// The image of `manifest.json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry<'a> {
    config: &'a str,
    repo_tags: [&'a str; 1],
    layers: Vec<&'a String>,
}

/// A layer's tar on its way to the daemon and to whoever else wants it.
struct Both<'t> {
    upload: Upload,
    tee: Option<&'t mut (dyn Write + Send)>,
    failed: Option<io::Error>,
}

impl Both<'_> {
    /// Sends something, and remembers if it was the daemon that failed.
    fn send(&mut self, send: impl FnOnce(&mut Upload) -> io::Result<()>) -> io::Result<()> {
        if self.failed.is_none()
            && let Err(error) = send(&mut self.upload)
        {
            self.failed = Some(error);
        }
        match self.failed {
            None => Ok(()),
            Some(_) => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Write for Both<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(|upload| upload.write_all(bytes))?;
        if let Some(tee) = &mut self.tee {
            tee.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tee.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// A reader of so many bytes, no fewer and no more, that remembers if it was the one that failed.
struct Exact<'r> {
    inner: io::Take<&'r mut dyn Read>,
    failed: bool,
}

impl<'r> Exact<'r> {
    fn new(inner: &'r mut dyn Read, size: u64) -> Self {
        Self {
            inner: inner.take(size),
            failed: false,
        }
    }
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.inner.read(buffer) {
            Ok(0) if self.inner.limit() > 0 && !buffer.is_empty() => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file became shorter while it was read",
            )),
            read => read,
        };
        self.failed |= read.is_err();
        read
    }
}

/// Sends a file's header.
fn begin_file(out: &mut Upload, name: &str, size: u64) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    out.write_all(header.as_bytes())
}

/// Fills a file's last block up.
fn end_file(out: &mut Upload, size: u64) -> io::Result<()> {
    let last = size % BLOCK.len() as u64;
    match usize::try_from(last) {
        Ok(last) if last > 0 => out.write_all(&BLOCK[last..]),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
