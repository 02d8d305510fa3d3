//! A layer's blob and diffID in one pass over its files.
//!
//! ```text
//!          ┌─► workers, one a core ─┬─► parts of the tar, as they are made: tee
//! planner ─┤   files ─► tar         ├─► parts of the tar, in order: sha256 (diffID)
//!          └─► the order of both    └─► members, in order, by the caller's thread: sha256 (digest), blob
//! ```
//!
//! Where each part of a tar begins is known before a file is read ([`Places`]), so any worker can make any of them.
//! Every arrow is a channel of few places, so memory does not grow with the layer. Whoever fails
//! drops its end of a channel, which ends the others; the one error comes back.

use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Scope, ScopedJoinHandle};

use super::compress::{Compression, Compressor, MEMBER_LEN};
use super::tar::{Place, Places, Tar};
use super::{Entry, Error, Layer, Tee, WriteOptions, Written, tee};
use crate::digest::{DiffId, Digest, Hasher};
use crate::manifest::Descriptor;

/// A part of the tar, or of the blob. When the last of those who share it has read it, its room is for the next one.
#[derive(Debug)]
struct Part {
    room: Vec<u8>,
    len: usize,
    rooms: Arc<Rooms>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.rooms.put(std::mem::take(&mut self.room));
    }
}

/// Buffers that wait to be filled again: making one means to clear it.
#[derive(Debug, Default)]
struct Rooms(Mutex<Vec<Vec<u8>>>);

impl Rooms {
    /// Returns a part without bytes, for whoever makes them; its room is as long as one before left it, or empty.
    fn part(self: &Arc<Self>) -> Part {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Part {
            room: rooms.pop().unwrap_or_default(),
            len: 0,
            rooms: Arc::clone(self),
        }
    }

    fn put(&self, room: Vec<u8>) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.push(room);
    }
}

pub(super) fn write_blob(
    layer: &Layer,
    out: &mut dyn Write,
    options: &WriteOptions,
    tee: Option<&mut dyn Tee>,
) -> Result<Written, Error> {
    let compression = options.compression;
    let threads = options.threads.map_or_else(cores, NonZeroUsize::get);
    let compressors = (0..threads).map(|_| Compressor::new(compression));
    let compressors = compressors.collect::<Result<Vec<_>, _>>()?;
    let (jobs, waiting) = sync_channel(threads);
    let waiting = &Mutex::new(waiting);
    let maker = &Maker::new(layer, tee, threads);
    thread::scope(move |scope| {
        for compressor in compressors {
            start(scope, move || work(maker, waiting, compressor))?;
        }
        let (order, members) = sync_channel(2 * threads);
        let ends = Ends::start(scope, layer, threads, (jobs, Some(order)))?;
        let is_tar = compression == Compression::None;
        let blob = collect(&members, out, (!is_tar).then(Hasher::sha256));
        drop(members);
        let diff_id = match (ends.join(), &blob) {
            (Err(Stop::Failed(error)), _) => return Err(error),
            (diff_id, _) => diff_id,
        };
        // Had writing the blob failed, that is why the others stopped.
        let (size, digest) = blob?;
        let diff_id = diff_id.map_err(Error::from)?;
        let digest = digest.unwrap_or_else(|| diff_id.0.clone());
        Ok(Written {
            diff_id,
            descriptor: Descriptor::new(compression.media_type(), size, digest),
        })
    })
}

pub(super) fn diff_id_with_tee(layer: &Layer, tee: Option<&mut dyn Tee>) -> Result<DiffId, Error> {
    let threads = cores();
    let (jobs, waiting) = sync_channel(threads);
    let waiting = &Mutex::new(waiting);
    let maker = &Maker::new(layer, tee, threads);
    thread::scope(move |scope| {
        for _ in 0..threads {
            start(scope, || work(maker, waiting, None))?;
        }
        let ends = Ends::start(scope, layer, threads, (jobs, None))?;
        ends.join().map_err(Error::from)
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A part to make, and where it and its member go.
struct Job {
    place: Place,
    /// The place again, as bytes from the beginning of the tar.
    offset: u64,
    part: SyncSender<Result<Arc<Part>, Error>>,
    member: Option<SyncSender<Arc<Part>>>,
}

/// Why somebody stopped before the end.
enum Stop {
    /// Somebody else is gone; the error is theirs.
    Gone,
    Failed(Error),
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Failed(error) => error,
            Stop::Gone => Self::Io(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Where the planner sends jobs, and the order in which members are wanted.
type Sinks = (SyncSender<Job>, Option<SyncSender<Receiver<Arc<Part>>>>);

fn plan(
    layer: &Layer,
    (jobs, order): &Sinks,
    parts: &SyncSender<Receiver<Result<Arc<Part>, Error>>>,
) -> Result<(), Stop> {
    let places = Places::new(&layer.entries, MEMBER_LEN as u64);
    for (offset, place) in (0..).step_by(MEMBER_LEN).zip(places) {
        let place = place.map_err(Stop::Failed)?;
        let (part, receiver) = sync_channel(1);
        parts.send(receiver).map_err(|_| Stop::Gone)?;
        let mut member = None;
        if let Some(order) = order {
            let (sender, receiver) = sync_channel(1);
            order.send(receiver).map_err(|_| Stop::Gone)?;
            member = Some(sender);
        }
        let job = Job {
            place,
            offset,
            part,
            member,
        };
        jobs.send(job).map_err(|_| Stop::Gone)?;
    }
    Ok(())
}

/// Makes parts and, if somebody wants them, members; without a compressor, a part is its own member.
fn work(maker: &Maker<'_, '_>, jobs: &Mutex<Receiver<Job>>, mut compressor: Option<Compressor>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        let part = maker.make(job.place, job.offset);
        let made = part.as_ref().ok().cloned();
        // Whoever waited for it may have failed; the planner will notice.
        job.part.send(part).ok();
        let (Some(sender), Some(mut member)) = (job.member, made) else {
            continue;
        };
        if let Some(compressor) = &mut compressor {
            member = maker.member(compressor, &member);
        }
        sender.send(member).ok();
    }
}

/// What all workers need to make a part.
struct Maker<'a, 't> {
    entries: &'a [Entry],
    tee: Option<tee::Shared<'t, Part>>,
    tar_rooms: Arc<Rooms>,
    /// Longer ones: a member is longer than its part if that does not compress.
    member_rooms: Arc<Rooms>,
}

impl<'a, 't> Maker<'a, 't> {
    fn new(layer: &'a Layer, tee: Option<&'t mut dyn Tee>, threads: usize) -> Self {
        Self {
            entries: &layer.entries,
            tee: tee.map(|tee| tee::Shared::new(tee, threads)),
            tar_rooms: Arc::default(),
            member_rooms: Arc::default(),
        }
    }

    /// Makes a part; the tee gets it while it is still in this core's cache.
    fn make(&self, place: Place, offset: u64) -> Result<Arc<Part>, Error> {
        let mut part = self.tar_rooms.part();
        if part.room.is_empty() {
            part.room = vec![0; MEMBER_LEN];
        }
        part.len = Tar::at(self.entries, place)?.fill(&mut part.room)?;
        let part = Arc::new(part);
        if let Some(tee) = &self.tee {
            tee.give(offset, Arc::clone(&part))?;
        }
        Ok(part)
    }

    fn member(&self, compressor: &mut Compressor, part: &Part) -> Arc<Part> {
        let mut member = self.member_rooms.part();
        member.len = compressor.member(part.as_ref(), &mut member.room);
        Arc::new(member)
    }
}

/// The threads between which the tar passes in its order.
struct Ends<'scope> {
    planner: ScopedJoinHandle<'scope, Result<(), Stop>>,
    hasher: ScopedJoinHandle<'scope, Result<DiffId, Stop>>,
}

impl<'scope> Ends<'scope> {
    fn start(
        scope: &'scope Scope<'scope, '_>,
        layer: &'scope Layer,
        threads: usize,
        sinks: Sinks,
    ) -> Result<Self, Error> {
        let (sender, parts) = sync_channel(2 * threads);
        Ok(Self {
            hasher: start(scope, move || hash_all(&parts))?,
            planner: start(scope, move || plan(layer, &sinks, &sender))?,
        })
    }

    /// Waits for all, and returns the first cause if one failed.
    fn join(self) -> Result<DiffId, Stop> {
        let planned = join(self.planner);
        let hashed = join(self.hasher);
        if let Err(Stop::Failed(error)) = planned {
            return Err(Stop::Failed(error));
        }
        hashed
    }
}

fn hash_all(parts: &Receiver<Receiver<Result<Arc<Part>, Error>>>) -> Result<DiffId, Stop> {
    let mut hasher = Hasher::sha256();
    for part in parts {
        let part = part.recv().map_err(|_| Stop::Gone)?.map_err(Stop::Failed)?;
        hasher.update((*part).as_ref());
    }
    Ok(DiffId(hasher.finish()))
}

/// Writes members in the order of the tar; returns the blob's size, and its digest if there is a hasher for it.
fn collect(
    members: &Receiver<Receiver<Arc<Part>>>,
    out: &mut dyn Write,
    mut hasher: Option<Hasher>,
) -> Result<(u64, Option<Digest>), Error> {
    let mut size = 0;
    for member in members {
        // Gone without a member: its part could not be made, and whoever waited for that says why.
        let Ok(member) = member.recv() else { break };
        let member = (*member).as_ref();
        if let Some(hasher) = &mut hasher {
            hasher.update(member);
        }
        size += member.len() as u64;
        out.write_all(member)?;
    }
    out.flush()?;
    Ok((size, hasher.map(Hasher::finish)))
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
