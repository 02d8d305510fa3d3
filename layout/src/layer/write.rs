//! A layer's blob and diffID in one pass over its files.
//!
//! ```text
//! reader ─┬─► hasher (diffID)
//!         ├─► tee
//!         └─► compressors, any number ─► caller's thread, in order: sha256 (digest), blob
//! ```
//!
//! Every arrow is a channel of few places, so memory does not grow with the layer. Whoever fails
//! drops its end of a channel, which ends the others; the one error comes back.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::compress::{Compression, Compressor, MEMBER_LEN};
use super::tar::Tar;
use super::{Error, Layer, WriteOptions, Written};
use crate::digest::{DiffId, Digest, Hasher};
use crate::manifest::Descriptor;

/// Pieces of tar that may wait for the hasher or the tee.
const WAITING: usize = 4;

/// A piece of tar, shared by those who read it.
type Chunk = Arc<Vec<u8>>;
type Tee<'t> = Option<&'t mut (dyn Write + Send)>;

pub(super) fn write_blob(
    layer: &Layer,
    out: &mut dyn Write,
    options: &WriteOptions,
    tee: Tee<'_>,
) -> Result<Written, Error> {
    let compression = options.compression;
    Compressor::new(compression)?;
    let threads = options
        .threads
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let (job_sender, jobs) = sync_channel(threads);
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        for _ in 0..threads {
            start(scope, || compress_all(&jobs, compression))?;
        }
        let (order, members) = sync_channel(2 * threads);
        let (mut consumers, ends) = Ends::start(scope, tee)?;
        consumers.compressors = Some(Compressors {
            jobs: job_sender,
            order,
        });
        let reader = start(scope, move || read(Tar::new(&layer.entries), &consumers))?;
        let blob = collect(&members, out);
        drop(members);
        let diff_id = ends.join(reader)?;
        let (size, digest) = blob?;
        Ok(Written {
            diff_id,
            descriptor: Descriptor::new(compression.media_type(), size, digest),
        })
    })
}

pub(super) fn diff_id_with_tee(layer: &Layer, tee: Tee<'_>) -> Result<DiffId, Error> {
    thread::scope(|scope| {
        let (consumers, ends) = Ends::start(scope, tee)?;
        let reader = start(scope, move || read(Tar::new(&layer.entries), &consumers))?;
        ends.join(reader)
    })
}

/// Where the reader sends each piece of tar.
struct Consumers {
    hasher: SyncSender<Chunk>,
    tee: Option<SyncSender<Chunk>>,
    compressors: Option<Compressors>,
}

/// The way to the compressors, and the order in which their members are wanted.
struct Compressors {
    jobs: SyncSender<Job>,
    order: SyncSender<Receiver<Vec<u8>>>,
}

/// A piece to compress and where its member goes.
struct Job {
    chunk: Chunk,
    member: SyncSender<Vec<u8>>,
}

/// Why the reader stopped before the end.
enum Stop {
    /// A consumer is gone; the error is its own.
    Gone,
    Failed(Error),
}

fn read(mut tar: Tar<'_>, consumers: &Consumers) -> Result<(), Stop> {
    loop {
        let mut chunk = vec![0; MEMBER_LEN];
        let len = tar.fill(&mut chunk).map_err(Stop::Failed)?;
        chunk.truncate(len);
        if len > 0 {
            consumers.send(&Arc::new(chunk)).ok_or(Stop::Gone)?;
        }
        if len < MEMBER_LEN {
            return Ok(());
        }
    }
}

impl Consumers {
    fn send(&self, chunk: &Chunk) -> Option<()> {
        if let Some(Compressors { jobs, order }) = &self.compressors {
            let (member, receiver) = sync_channel(1);
            order.send(receiver).ok()?;
            let chunk = Arc::clone(chunk);
            jobs.send(Job { chunk, member }).ok()?;
        }
        if let Some(tee) = &self.tee {
            tee.send(Arc::clone(chunk)).ok()?;
        }
        self.hasher.send(Arc::clone(chunk)).ok()
    }
}

/// The threads at the ends of the tar: hasher and tee.
struct Ends<'scope> {
    hasher: ScopedJoinHandle<'scope, DiffId>,
    tee: Option<ScopedJoinHandle<'scope, Result<(), Error>>>,
}

impl<'scope> Ends<'scope> {
    fn start<'t: 'scope>(
        scope: &'scope Scope<'scope, '_>,
        tee: Tee<'t>,
    ) -> Result<(Consumers, Self), Error> {
        let (hasher, chunks) = sync_channel(WAITING);
        let hashing = start(scope, move || hash_all(&chunks))?;
        let mut consumers = Consumers {
            hasher,
            tee: None,
            compressors: None,
        };
        let mut teeing = None;
        if let Some(out) = tee {
            let (sender, chunks) = sync_channel(WAITING);
            consumers.tee = Some(sender);
            teeing = Some(start(scope, move || copy_all(&chunks, out))?);
        }
        let ends = Self {
            hasher: hashing,
            tee: teeing,
        };
        Ok((consumers, ends))
    }

    /// Waits for all, and returns the first cause if one failed.
    fn join(self, reader: ScopedJoinHandle<'scope, Result<(), Stop>>) -> Result<DiffId, Error> {
        let read = join(reader);
        let tee = self.tee.map_or(Ok(()), join);
        let diff_id = join(self.hasher);
        if let Err(Stop::Failed(error)) = read {
            return Err(error);
        }
        tee?;
        Ok(diff_id)
    }
}

fn hash_all(chunks: &Receiver<Chunk>) -> DiffId {
    let mut hasher = Hasher::sha256();
    for chunk in chunks {
        hasher.update(&chunk);
    }
    DiffId(hasher.finish())
}

fn copy_all(chunks: &Receiver<Chunk>, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    for chunk in chunks {
        out.write_all(&chunk).map_err(Error::Tee)?;
    }
    out.flush().map_err(Error::Tee)
}

fn compress_all(jobs: &Mutex<Receiver<Job>>, compression: Compression) {
    let mut compressor = Compressor::new(compression).expect("its level was looked at");
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { chunk, member }) = job else {
            return;
        };
        // Whoever waited for it may have failed; the reader will notice.
        drop(member.send(compressor.member(&chunk)));
    }
}

/// Writes members in the order of the tar; returns the blob's size and digest.
fn collect(
    members: &Receiver<Receiver<Vec<u8>>>,
    out: &mut dyn Write,
) -> Result<(u64, Digest), Error> {
    let mut hasher = Hasher::sha256();
    let mut size = 0;
    for member in members {
        // Gone without a member: the reader failed between the two channels and says why.
        let Ok(member) = member.recv() else { break };
        hasher.update(&member);
        size += member.len() as u64;
        out.write_all(&member)?;
    }
    out.flush()?;
    Ok((size, hasher.finish()))
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, Error> {
    Ok(thread::Builder::new().spawn_scoped(scope, work)?)
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
