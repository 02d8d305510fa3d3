//! An image on its way into a registry, behind the editor of `layout`.
//!
//! A layer is sent while it is made, with no file in between. Nobody sees any of it before the manifest, which comes last.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use layout::blob::Blobs;
use layout::draft::{Draft, NewImage, Origin, Wanted};
use layout::layer::{self, Layer, Tee, WriteOptions, Written};
use layout::manifest::Descriptor;
use layout::{DiffId, Digest, Reference, store};

use crate::error::Error;
use crate::repository::Repository;
use crate::transfer::{Job, take_over, transfer};
use crate::upload::pipe;

/// An image that is being written to a registry.
#[derive(Debug)]
pub struct Push {
    repository: Repository,
    name: Reference,
    /// Blobs of layers that need not be looked for any more.
    there: HashSet<Digest>,
    doing: String,
}

impl Push {
    pub(crate) fn new(repository: Repository, name: Reference) -> Self {
        let doing = format!("write {name}");
        Self {
            repository,
            name,
            there: HashSet::new(),
            doing,
        }
    }

    /// Has the repository have a layer's blob that its registry has already, without sending it; false where that cannot
    /// be, as of a blob that is elsewhere.
    pub fn take_over(&mut self, blob: &Descriptor, from: &Arc<dyn Blobs>) -> Result<bool, Error> {
        let is_there = take_over(&self.repository, &Job { blob, from }, &self.doing)?;
        if is_there {
            self.there.insert(blob.digest.clone());
        }
        Ok(is_there)
    }

    /// Sends the layer's blob as it comes out of the writer.
    fn send_layer(
        &self,
        layer: &Layer,
        options: &WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error> {
        let (repository, doing) = (&self.repository, self.doing.as_str());
        let session = repository.session(doing).map_err(in_layer)?;
        let upload = repository.begin_upload(&session, doing);
        let upload = upload.map_err(in_layer)?;
        let (mut pipe, mut feed) = pipe();
        let (written, sent) = std::thread::scope(|scope| {
            let session = &session;
            let sending =
                scope.spawn(move || repository.send_stream(session, upload, &mut feed, doing));
            let written = layer::write_blob(layer, &mut pipe, options, tee);
            match written {
                Ok(_) => pipe.end(),
                Err(_) => drop(pipe),
            }
            let sent = sending.join();
            let sent = sent.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (written, sent)
        });
        let upload = match (sent, written) {
            (Ok(upload), Ok(written)) => {
                let digest = &written.descriptor.digest;
                let ended = repository.end_upload(&session, upload, digest, doing);
                return ended.map(|()| written).map_err(in_layer);
            }
            // Where the layer failed, the upload failed of it.
            (Err(Error::Source { .. }), Err(error)) => return Err(error),
            (Ok(upload), Err(error)) => {
                repository.give_up(&session, upload, doing);
                return Err(error);
            }
            (Err(error), _) => error,
        };
        Err(in_layer(upload))
    }
}

fn in_layer(error: Error) -> layer::Error {
    layer::Error::Io(io::Error::other(error))
}

fn in_store(error: Error) -> store::Error {
    store::Error::Elsewhere(Box::new(error))
}

impl Draft for Push {
    fn location(&self) -> String {
        self.name.name()
    }

    fn keeps_types(&self) -> bool {
        true
    }

    fn write_layer(
        &mut self,
        layer: &Layer,
        options: &WriteOptions,
        tee: Option<&mut dyn Tee>,
    ) -> Result<Written, layer::Error> {
        let written = self.send_layer(layer, options, tee)?;
        self.there.insert(written.descriptor.digest.clone());
        Ok(written)
    }

    /// A registry takes no image of which a layer is absent, so none of the base may be.
    fn adopt(&mut self, layers: &[Wanted]) -> Result<Vec<DiffId>, store::Error> {
        let jobs = layers.iter().filter_map(|layer| match &layer.origin {
            Origin::Base(from) | Origin::Reused(from) => Some(Job {
                blob: &layer.descriptor,
                from,
            }),
            Origin::Omitted | Origin::Written => None,
        });
        let jobs: Vec<_> = jobs
            .filter(|job| !self.there.contains(&job.blob.digest))
            .collect();
        transfer(&self.repository, &jobs, &self.doing).map_err(in_store)?;
        Ok(Vec::new())
    }

    fn finish(self: Box<Self>, image: &NewImage, _: &str) -> Result<(), store::Error> {
        let config = image.config.as_bytes();
        let digest = &image.manifest.config.digest;
        self.repository
            .put_small(config, digest, &self.doing)
            .map_err(in_store)?;
        let media_type = &image.descriptor.media_type;
        let manifest = image.manifest_text.as_bytes();
        self.repository
            .put_manifest(self.name.identifier(), media_type, manifest)
            .map_err(in_store)
    }
}

impl From<Push> for Box<dyn Draft> {
    fn from(push: Push) -> Self {
        Box::new(push)
    }
}
