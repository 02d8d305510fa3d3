//! A layer's blob and diffID in one pass over its files.
//!
//! ```text
//!          ┌─► workers, one a core ─┬─► parts of the tar, in order: sha256 (diffID), tee
//! planner ─┤   files ─► tar         └─► members, in order, by the caller's thread: sha256 (digest), blob
//!          └─► the order of both
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

use super::compress::{Compressor, MEMBER_LEN};
use super::tar::{Place, Places, Tar};
use super::{Entry, Error, Layer, WriteOptions, Written};
use crate::digest::{DiffId, Digest, Hasher};
use crate::manifest::Descriptor;

/// Parts of the tar that may wait for the tee.
const WAITING: usize = 4;

/// A part of the tar. When the last of those who share it has read it, its room is for the next one.
#[derive(Debug)]
struct Part {
    room: Vec<u8>,
    len: usize,
    rooms: Arc<Rooms>,
}

impl Part {
    fn bytes(&self) -> &[u8] {
        &self.room[..self.len]
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.rooms.put(std::mem::take(&mut self.room));
    }
}

/// Buffers of [`MEMBER_LEN`] that wait to be filled again: making one means to clear it.
#[derive(Debug, Default)]
struct Rooms(Mutex<Vec<Vec<u8>>>);

impl Rooms {
    fn take(&self) -> Vec<u8> {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.pop().unwrap_or_else(|| vec![0; MEMBER_LEN])
    }

    fn put(&self, room: Vec<u8>) {
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rooms.push(room);
    }
}

type Tee<'t> = Option<&'t mut (dyn Write + Send)>;

pub(super) fn write_blob(
    layer: &Layer,
    out: &mut dyn Write,
    options: &WriteOptions,
    tee: Tee<'_>,
) -> Result<Written, Error> {
    let compression = options.compression;
    let threads = options.threads.map_or_else(cores, NonZeroUsize::get);
    let compressors = (0..threads).map(|_| Compressor::new(compression));
    let compressors = compressors.collect::<Result<Vec<_>, _>>()?;
    let (jobs, waiting) = sync_channel(threads);
    let waiting = &Mutex::new(waiting);
    let rooms = &Arc::default();
    thread::scope(move |scope| {
        for compressor in compressors {
            start(scope, move || {
                work(&layer.entries, rooms, waiting, Some(compressor));
            })?;
        }
        let (order, members) = sync_channel(2 * threads);
        let ends = Ends::start(scope, layer, threads, (jobs, Some(order)), tee)?;
        let blob = collect(&members, out);
        drop(members);
        let diff_id = match (ends.join(), &blob) {
            (Err(Stop::Failed(error)), _) => return Err(error),
            (diff_id, _) => diff_id,
        };
        // Had writing the blob failed, that is why the others stopped.
        let (size, digest) = blob?;
        Ok(Written {
            diff_id: diff_id.map_err(Error::from)?,
            descriptor: Descriptor::new(compression.media_type(), size, digest),
        })
    })
}

pub(super) fn diff_id_with_tee(layer: &Layer, tee: Tee<'_>) -> Result<DiffId, Error> {
    let threads = cores();
    let (jobs, waiting) = sync_channel(threads);
    let waiting = &Mutex::new(waiting);
    let rooms = &Arc::default();
    thread::scope(move |scope| {
        for _ in 0..threads {
            start(scope, || work(&layer.entries, rooms, waiting, None))?;
        }
        let ends = Ends::start(scope, layer, threads, (jobs, None), tee)?;
        ends.join().map_err(Error::from)
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A part to make, and where it and its member go.
struct Job {
    place: Place,
    part: SyncSender<Result<Arc<Part>, Error>>,
    member: Option<SyncSender<Vec<u8>>>,
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
type Sinks = (SyncSender<Job>, Option<SyncSender<Receiver<Vec<u8>>>>);

fn plan(
    layer: &Layer,
    (jobs, order): &Sinks,
    parts: &SyncSender<Receiver<Result<Arc<Part>, Error>>>,
) -> Result<(), Stop> {
    for place in Places::new(&layer.entries, MEMBER_LEN as u64) {
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
            part,
            member,
        };
        jobs.send(job).map_err(|_| Stop::Gone)?;
    }
    Ok(())
}

/// Makes parts and, if somebody wants them, members.
fn work(
    entries: &[Entry],
    rooms: &Arc<Rooms>,
    jobs: &Mutex<Receiver<Job>>,
    mut compressor: Option<Compressor>,
) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else {
            return;
        };
        let part = make(entries, rooms, job.place).map(Arc::new);
        let made = part.as_ref().ok().cloned();
        // Whoever waited for it may have failed; the planner will notice.
        job.part.send(part).ok();
        if let (Some(compressor), Some(member), Some(part)) = (&mut compressor, job.member, made) {
            member.send(compressor.member(part.bytes())).ok();
        }
    }
}

fn make(entries: &[Entry], rooms: &Arc<Rooms>, place: Place) -> Result<Part, Error> {
    let mut part = Part {
        room: rooms.take(),
        len: 0,
        rooms: Arc::clone(rooms),
    };
    part.len = Tar::at(entries, place)?.fill(&mut part.room)?;
    Ok(part)
}

/// The threads between which the tar passes in its order.
struct Ends<'scope> {
    planner: ScopedJoinHandle<'scope, Result<(), Stop>>,
    hasher: ScopedJoinHandle<'scope, Result<DiffId, Stop>>,
    tee: Option<ScopedJoinHandle<'scope, Result<(), Error>>>,
}

impl<'scope> Ends<'scope> {
    fn start<'t: 'scope>(
        scope: &'scope Scope<'scope, '_>,
        layer: &'scope Layer,
        threads: usize,
        sinks: Sinks,
        tee: Tee<'t>,
    ) -> Result<Self, Error> {
        let mut copies = None;
        let mut teeing = None;
        if let Some(out) = tee {
            let (sender, parts) = sync_channel(WAITING);
            copies = Some(sender);
            teeing = Some(start(scope, move || copy_all(&parts, out))?);
        }
        let (sender, parts) = sync_channel(2 * threads);
        Ok(Self {
            hasher: start(scope, move || hash_all(&parts, copies.as_ref()))?,
            planner: start(scope, move || plan(layer, &sinks, &sender))?,
            tee: teeing,
        })
    }

    /// Waits for all, and returns the first cause if one failed.
    fn join(self) -> Result<DiffId, Stop> {
        let planned = join(self.planner);
        let hashed = join(self.hasher);
        let teed = self.tee.map_or(Ok(()), join);
        if let Err(Stop::Failed(error)) = planned {
            return Err(Stop::Failed(error));
        }
        if let Err(Stop::Failed(error)) = hashed {
            return Err(Stop::Failed(error));
        }
        teed.map_err(Stop::Failed)?;
        hashed
    }
}

fn hash_all(
    parts: &Receiver<Receiver<Result<Arc<Part>, Error>>>,
    tee: Option<&SyncSender<Arc<Part>>>,
) -> Result<DiffId, Stop> {
    let mut hasher = Hasher::sha256();
    for part in parts {
        let part = part.recv().map_err(|_| Stop::Gone)?.map_err(Stop::Failed)?;
        if let Some(tee) = tee {
            tee.send(Arc::clone(&part)).map_err(|_| Stop::Gone)?;
        }
        hasher.update(part.bytes());
    }
    Ok(DiffId(hasher.finish()))
}

fn copy_all(parts: &Receiver<Arc<Part>>, out: &mut (dyn Write + Send)) -> Result<(), Error> {
    for part in parts {
        out.write_all(part.bytes()).map_err(Error::Tee)?;
    }
    out.flush().map_err(Error::Tee)
}

/// Writes members in the order of the tar; returns the blob's size and digest.
fn collect(
    members: &Receiver<Receiver<Vec<u8>>>,
    out: &mut dyn Write,
) -> Result<(u64, Digest), Error> {
    let mut hasher = Hasher::sha256();
    let mut size = 0;
    for member in members {
        // Gone without a member: its part could not be made, and whoever waited for that says why.
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
