//! An image on its way into a daemon: one stream in the format of `docker load`.
//!
//! ```text
//! layer-0.tar ─ layer-1.tar ─ … ─ <config>.json ─ manifest.json ─► /images/load
//!  size known before a file is read        last: the daemon reads them when it has everything
//! ```
//!
//! Layers go to the daemon while they are made; nothing is compressed and nothing is put aside. A layer that the daemon
//! has is an empty file in the stream: Docker opens no layer whose chain of diffIDs it knows, podman none whose diffID.
//! One that does not take that gets everything in a second stream.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use layout::digest::{Verified, sha256};
use layout::draft::{Draft, NewImage, Origin, Wanted};
use layout::image::open_layer;
use layout::layer::{self, Compression, Layer, Tee, WriteOptions, Written};
use layout::{DiffId, blob, json, store};
use serde::Serialize;

use self::stream::{Exact, LayerUpload, begin_file, end_archive, end_file};
use crate::engine::Engine;
use crate::error::Error;
use crate::http::{Answer, Upload};
use crate::image::DaemonBlobs;
use crate::saved::LayerTar;

mod stream;

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
    /// The layers that were written, for a daemon that wants all of them.
    written: HashMap<DiffId, Layer>,
    /// All layers, if some were left out.
    left_out: Option<Vec<Wanted>>,
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
            written: HashMap::new(),
            left_out: None,
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
            (Err(error), true) => Err(self.here(error)),
            (Err(error), false) => Err(self.interrupted(upload, error)),
        }
    }

    /// Sends config and `manifest.json`, and waits until the daemon has made an image of all.
    fn end(&mut self, config: (&str, &str), diff_ids: &[DiffId]) -> Result<(), store::Error> {
        let names = diff_ids.iter();
        let manifest = json::to_string(&[ManifestEntry {
            config: config.0,
            repo_tags: [&self.name],
            layers: names.filter_map(|it| self.sent.get(it)).collect(),
        }])?;
        for (name, text) in [config, ("manifest.json", &manifest)] {
            self.send(name, text.len() as u64, &mut text.as_bytes())?;
        }
        let mut upload = self.take_load()?;
        let answer = match end_archive(&mut upload) {
            Ok(()) => upload.finish().map_err(|error| self.lost(error))?,
            Err(error) => return Err(self.interrupted(upload, error).into()),
        };
        Ok(self.engine.loaded(&self.doing(), answer)?)
    }

    /// Begins another stream, and leaves no layer out.
    fn send_all(&mut self, layers: &[Wanted]) -> Result<(), store::Error> {
        self.load = Load::NotBegun;
        self.sent.clear();
        for layer in layers {
            if self.sent.contains_key(&layer.diff_id) {
                continue;
            }
            match self.written.remove(&layer.diff_id) {
                Some(again) => {
                    let again = self.write_layer(&again, &WriteOptions::default(), None);
                    let again = again.map_err(|error| self.here(error))?;
                    if again.diff_id != layer.diff_id {
                        let error = self.here("a layer is not what it was when it was first sent");
                        return Err(error.into());
                    }
                }
                None => self.send_layer(layer)?,
            }
        }
        Ok(())
    }

    /// Sends a layer that exists already.
    fn send_layer(&mut self, layer: &Wanted) -> Result<(), store::Error> {
        let Some(tar) = self.tar_of(layer)? else {
            return Err(self.absent(layer));
        };
        let name = self.next_name();
        let (what, size) = (format!("layer {}", layer.diff_id), Some(tar.size()));
        let verified = Verified::new(tar.reader(), &layer.diff_id.0, size, what);
        let mut verified = verified.ok_or_else(|| {
            let problem = format!("{} is a digest of an unknown kind", layer.diff_id);
            self.here(problem)
        })?;
        self.send(&name, tar.size(), &mut verified)?;
        self.sent.insert(layer.diff_id.clone(), name);
        Ok(())
    }

    /// Says that it is something on this machine that failed.
    fn here(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Scratch {
            image: self.name.clone(),
            source: io::Error::other(source),
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
        let here = |error: blob::Error| self.here(error);
        // Of a compressed layer only its end tells how long it is.
        let tar = open_layer(&**blobs, &layer.descriptor, &layer.diff_id).map_err(here)?;
        let size = layer.descriptor.size;
        let spool = |mut tar| LayerTar::spooled(&mut tar, size).map_err(|error| here(error.into()));
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
        options: &WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error> {
        let foreign = |error: Error| layer::Error::Io(io::Error::other(error));
        let size = layer.tar_size()?;
        let name = self.next_name();
        let upload = self.take_load().map_err(foreign)?;
        let options = WriteOptions {
            compression: Compression::None,
            ..*options
        };
        let mut out = LayerUpload {
            upload,
            failed: None,
        };
        let written = out
            .send(|upload| begin_file(upload, &name, size))
            .map_err(layer::Error::Io)
            .and_then(|()| layer::write_blob(layer, &mut out, &options, tee))
            .and_then(|it| Ok(out.send(|upload| end_file(upload, size)).map(|()| it)?));
        let LayerUpload { upload, failed } = out;
        if let Some(error) = failed {
            return Err(foreign(self.interrupted(upload, error)));
        }
        let written = written?;
        self.load = Load::Open(upload);
        self.sent.insert(written.diff_id.clone(), name);
        self.written.insert(written.diff_id.clone(), layer.clone());
        Ok(written)
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
            self.send_layer(layer)?;
        }
        for layer in layers {
            if !self.sent.contains_key(&layer.diff_id) {
                self.left_out = Some(layers.to_vec());
                let name = self.next_name();
                self.send(&name, 0, &mut io::empty())?;
                self.sent.insert(layer.diff_id.clone(), name);
            }
        }
        Ok(Vec::new())
    }

    fn finish(mut self: Box<Self>, image: &NewImage, _: &str) -> Result<(), store::Error> {
        let id = sha256(image.config.as_bytes());
        let name = format!("{}.json", id.digest());
        let config = (&*name, &*image.config);
        let mut ended = self.end(config, &image.diff_ids);
        // EXP-088: not every daemon that has a layer may know it, and one that had it may have lost it meanwhile.
        if let Err(store::Error::Elsewhere(error)) = &ended
            && let Some(Error::Answer { .. }) = error.downcast_ref()
            && let Some(layers) = self.left_out.take()
        {
            self.send_all(&layers)?;
            ended = self.end(config, &image.diff_ids);
        }
        ended?;
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

#[cfg(test)]
mod tests;
