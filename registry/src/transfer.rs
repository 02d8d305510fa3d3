//! Blobs of other images become blobs of a repository: those that it lacks, several at once.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use layout::Digest;
use layout::blob::Blobs;
use layout::manifest::{Descriptor, MediaType, to_oci};

use crate::blobs::RegistryBlobs;
use crate::error::Error;
use crate::repository::{Access, Repository};
use crate::upload::Stored;
use crate::watch::Sending;

/// Blobs that are looked for or sent at the same time.
const AT_ONCE: usize = 4;

/// A blob, and where it is now.
#[derive(Clone, Debug)]
pub(crate) struct Job<'a> {
    pub(crate) blob: &'a Descriptor,
    pub(crate) from: &'a Arc<dyn Blobs>,
}

/// Makes all these blobs blobs of the repository. Nothing is sent if one of them is nowhere.
pub(crate) fn transfer(to: &Repository, jobs: &[Job<'_>], doing: &str) -> Result<(), Error> {
    // Images that share a blob may each have it in another place, or not at all.
    let mut places: HashMap<&Digest, Vec<&Job<'_>>> = HashMap::new();
    let mut digests = Vec::new();
    for job in jobs.iter().filter(|it| !stays_where_it_is(it.blob)) {
        let places = places.entry(&job.blob.digest).or_insert_with(|| {
            digests.push(&job.blob.digest);
            Vec::new()
        });
        places.push(job);
    }
    let lacking = Mutex::new(Vec::new());
    each(&digests, |digest| {
        if let Some(job) = lacks(to, digest, &places[digest], doing)? {
            let mut lacking = lacking.lock().unwrap_or_else(PoisonError::into_inner);
            lacking.push(job.clone());
        }
        Ok(())
    })?;
    let lacking = lacking.into_inner().unwrap_or_else(PoisonError::into_inner);
    if lacking.is_empty() {
        return Ok(());
    }
    let watch = &to.client.options().watch;
    let sending = watch.begin(&to.location(), lacking.len());
    each(&lacking, |job| send(to, job, &*sending, doing))
}

/// Has the repository have a blob that its registry has already, without sending it; false where that cannot be.
pub(crate) fn take_over(to: &Repository, job: &Job<'_>, doing: &str) -> Result<bool, Error> {
    let digest = &job.blob.digest;
    match repository_of(job.from).filter(|from| from.registry == to.registry) {
        Some(from) => {
            Ok(to.has_blob(digest, Access::Push, doing)? || mount(to, digest, from, doing)?)
        }
        None => Ok(false),
    }
}

/// Returns whether all these blobs are in the repository, without reading any.
pub(crate) fn are_there(
    repository: &Repository,
    blobs: &[&Descriptor],
    doing: &str,
) -> Result<bool, Error> {
    let lacks = AtomicBool::new(false);
    each(blobs, |blob| {
        let is_there = stays_where_it_is(blob)
            || lacks.load(Ordering::Relaxed)
            || repository.has_blob(&blob.digest, Access::Pull, doing)?;
        lacks.fetch_or(!is_there, Ordering::Relaxed);
        Ok(())
    })?;
    Ok(!lacks.into_inner())
}

/// Returns from where the repository has to be sent a blob; `None` if it has it, or does since it was mounted. Fails if the
/// blob is in none of these places.
fn lacks<'a, 'b>(
    to: &Repository,
    digest: &Digest,
    places: &[&'a Job<'b>],
    doing: &str,
) -> Result<Option<&'a Job<'b>>, Error> {
    if to.has_blob(digest, Access::Push, doing)? {
        return Ok(None);
    }
    let mut failed = None;
    for job in places {
        match find(to, job, doing) {
            Ok(Found::Mounted) => return Ok(None),
            Ok(Found::There) => return Ok(Some(job)),
            // What the first place said counts.
            Err(error) => failed.get_or_insert(error),
        };
    }
    failed.map_or(Ok(None), Err)
}

/// What became of a blob that is somewhere else.
enum Found {
    Mounted,
    There,
}

/// Looks for a blob where it should be, and mounts it if it can be; fails if it is not there.
fn find(to: &Repository, job: &Job<'_>, doing: &str) -> Result<Found, Error> {
    let Some(repository) = repository_of(job.from) else {
        return open(to, job, doing).map(|_| Found::There);
    };
    let digest = &job.blob.digest;
    if mount(to, digest, repository, doing)? {
        return Ok(Found::Mounted);
    }
    if repository.has_blob(digest, Access::Pull, doing)? {
        return Ok(Found::There);
    }
    Err(missing(to, job, doing))
}

fn repository_of(blobs: &Arc<dyn Blobs>) -> Option<&Repository> {
    let blobs: &dyn Any = &**blobs;
    let blobs: Option<&RegistryBlobs> = blobs.downcast_ref();
    blobs.map(|it| &it.repository)
}

/// Mounts a blob of another repository of the same registry; false if it is none, or cannot be.
fn mount(to: &Repository, digest: &Digest, from: &Repository, doing: &str) -> Result<bool, Error> {
    let is_neighbour = from.registry == to.registry && from.name != to.name;
    Ok(is_neighbour && to.mount(digest, from, doing)?)
}

fn open<'a>(to: &Repository, job: &Job<'a>, doing: &str) -> Result<Stored<'a>, Error> {
    let opened = Stored::open(job.from, job.blob).map_err(|error| Error::Source {
        doing: doing.to_owned(),
        source: std::io::Error::other(error),
    })?;
    opened.ok_or_else(|| missing(to, job, doing))
}

fn missing(to: &Repository, job: &Job<'_>, doing: &str) -> Error {
    Error::MissingBlob {
        doing: doing.to_owned(),
        host: to.registry.clone(),
        digest: job.blob.digest.to_string(),
        location: job.from.location(),
    }
}

fn send(to: &Repository, job: &Job<'_>, sending: &dyn Sending, doing: &str) -> Result<(), Error> {
    let mut source = open(to, job, doing)?.watched_by(sending.blob(job.blob));
    let session = to.session(doing)?;
    let upload = to.begin_upload(&session, doing)?;
    let upload = to.send_stream(&session, upload, &mut source, doing)?;
    to.end_upload(&session, upload, &job.blob.digest, doing)
}

/// Layers that may not be given on stay where their descriptor says that they are.
fn stays_where_it_is(blob: &Descriptor) -> bool {
    let is_foreign = matches!(
        to_oci(&blob.media_type),
        MediaType::ImageLayerNonDistributable
            | MediaType::ImageLayerNonDistributableGzip
            | MediaType::ImageLayerNonDistributableZstd
    );
    is_foreign && !blob.urls.is_empty()
}

/// Works on all items, several at once, until one fails.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> Result<(), Error> + Sync) -> Result<(), Error> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let run = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
        {
            if let Err(error) = work(item) {
                stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    let threads = AT_ONCE.min(items.len());
    if threads <= 1 {
        return run();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        let results = threads.into_iter().map(|thread| {
            let result = thread.join();
            result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        // All are waited for, whatever comes of the first.
        results.collect::<Vec<_>>().into_iter().collect()
    })
}
