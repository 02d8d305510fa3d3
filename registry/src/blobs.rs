//! The blobs of a repository, behind the view of `layout`; read on where a connection broke.

use std::io::{self, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use layout::blob::{self, Blobs};
use layout::digest::{Digest, Mismatch, Verified};
use layout::manifest::Descriptor;
use ureq::http::Method;

use crate::client::Fetched;
use crate::error::{Error, is_broken_connection};
use crate::exchange::{Body, Pace, Request};
use crate::repository::{Access, Repository, is_document};
use crate::retry::{Failures, Trouble};
use crate::transfer::are_there;

/// After so many more bytes, connections that broke before do not count any more.
const PROGRESS: u64 = 1 << 20;

/// The blobs, manifests and indexes of a repository.
#[derive(Clone, Debug)]
pub struct RegistryBlobs {
    pub(crate) repository: Repository,
    /// A document that need not be fetched again.
    known: Option<Arc<Fetched>>,
}

impl RegistryBlobs {
    pub(crate) fn of(repository: Repository) -> Self {
        Self {
            repository,
            known: None,
        }
    }

    pub(crate) fn knowing(repository: Repository, document: Fetched) -> Self {
        Self {
            repository,
            known: Some(Arc::new(document)),
        }
    }

    fn read(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        if let Some(known) = &self.known
            && known.descriptor.digest == blob.digest
        {
            return Ok(Some(Box::new(Cursor::new(known.bytes.clone()))));
        }
        if is_document(&blob.media_type) {
            let fetched = self.repository.manifest(blob.digest.as_ref())?;
            return Ok(fetched.map(|it| Box::new(Cursor::new(it.bytes)) as Box<dyn Read + Send>));
        }
        self.open_from(blob, 0)
    }

    /// Opens a layer's blob from an offset on, for who has the bytes before it; `None` if it is absent.
    ///
    /// Whoever puts the parts together checks the whole.
    pub fn open_from(
        &self,
        blob: &Descriptor,
        offset: u64,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let reader = BlobReader {
            doing: format!("read blob {} of {}", blob.digest, self.location()),
            repository: self.repository.clone(),
            digest: blob.digest.clone(),
            size: blob.size,
            seen: offset.min(blob.size),
            body: None,
            failures: Failures::default(),
            failed_at: offset,
        };
        Ok(reader
            .open()?
            .map(|it| Box::new(it) as Box<dyn Read + Send>))
    }
}

impl Blobs for RegistryBlobs {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, blob::Error> {
        let Some(reader) = self.read(blob).map_err(elsewhere)? else {
            return Ok(None);
        };
        let what = format!("{} in {}", blob.digest, self.location());
        match Verified::new(reader, &blob.digest, Some(blob.size), what) {
            Some(reader) => Ok(Some(Box::new(reader))),
            None => Err(blob::Error::Algorithm(blob.digest.clone())),
        }
    }

    fn has(&self, blob: &Descriptor) -> Result<bool, blob::Error> {
        if is_document(&blob.media_type) {
            return Ok(self.open(blob)?.is_some());
        }
        let doing = format!("look for blob {} of {}", blob.digest, self.location());
        are_there(&self.repository, &[blob], &doing).map_err(elsewhere)
    }

    fn path(&self, _: &Digest) -> Option<PathBuf> {
        None
    }

    fn location(&self) -> String {
        self.repository.location()
    }
}

fn elsewhere(error: Error) -> blob::Error {
    blob::Error::Elsewhere(Box::new(error))
}

/// Reads a blob; asks for the rest where a connection breaks.
struct BlobReader {
    repository: Repository,
    digest: Digest,
    size: u64,
    seen: u64,
    /// What comes, and how many bytes of it were seen before: not every registry begins in the middle.
    body: Option<(Body, u64)>,
    failures: Failures,
    /// Bytes seen when a connection broke last.
    failed_at: u64,
    doing: String,
}

impl BlobReader {
    /// Asks for the blob; `None` if it is absent.
    fn open(mut self) -> Result<Option<Self>, Error> {
        self.body = self.ask()?;
        Ok(self.body.is_some().then_some(self))
    }

    /// Asks for what was not seen yet; `None` if the blob is absent.
    fn ask(&self) -> Result<Option<(Body, u64)>, Error> {
        let (repository, doing) = (&self.repository, self.doing.as_str());
        let session = repository.session(doing)?;
        let url = repository.url(&session, &format!("blobs/{}", self.digest), doing)?;
        let mut request = Request::new(Method::GET, url, repository.scopes(Access::Pull), doing);
        request.pace = Pace::Blob;
        if self.seen > 0 {
            request = request.header("range", format!("bytes={}-", self.seen));
        }
        let response = repository.client.send(&session, &mut request)?;
        let host = response.url.authority.clone();
        let skipped = match response.status {
            200 => self.seen,
            206 if self.seen > 0 => {
                let range = response.header("content-range").unwrap_or_default();
                if !range.starts_with(&format!("bytes {}-", self.seen)) {
                    let problem = "another part of the blob than was asked for";
                    return Err(Error::protocol(doing, &host, problem));
                }
                0
            }
            404 if self.seen == 0 => {
                response.discard();
                return Ok(None);
            }
            _ => return Err(session.refusal(response, doing)),
        };
        let length = response.header("content-length");
        let length: Option<u64> = length.and_then(|it| it.parse().ok());
        let expected = self.size - self.seen + skipped;
        if let Some(found) = length.filter(|it| *it != expected) {
            return Err(Error::Mismatch {
                doing: doing.to_owned(),
                source: Mismatch::Size {
                    what: format!("what {host} sends"),
                    expected,
                    found: if found > expected {
                        "longer"
                    } else {
                        "shorter"
                    },
                },
            });
        }
        Ok(Some((response.into_reader(), skipped)))
    }

    /// Pauses after a broken connection; fails if there were too many.
    fn pause(&mut self, error: io::Error) -> Result<(), Error> {
        if self.seen >= self.failed_at + PROGRESS {
            self.failures = Failures::default();
        }
        self.failed_at = self.seen;
        let retry = &self.repository.client.options().retry;
        let trouble = Trouble::new(format!("{} broke off: {error}", self.doing));
        if retry.pause_after(&mut self.failures, &trouble) {
            return Ok(());
        }
        let registry = &self.repository.registry;
        Err(Error::connection(&self.doing, registry, error.into()))
    }
}

/// Reads some of what was seen before; at most `left` bytes.
fn skip(body: &mut Body, left: u64) -> io::Result<usize> {
    let mut seen = [0; 16 << 10];
    let most = usize::try_from(left).map_or(seen.len(), |it| it.min(seen.len()));
    body.read(&mut seen[..most])
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let (body, skipped) = match &mut self.body {
                Some(body) => body,
                None => match self.ask().map_err(io::Error::other)? {
                    Some(body) => self.body.insert(body),
                    None => return Err(io::ErrorKind::NotFound.into()),
                },
            };
            let read = match *skipped {
                0 => body.read(buffer),
                left => skip(body, left),
            };
            let error = match read {
                Ok(0) if self.seen < self.size || *skipped > 0 => {
                    io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early")
                }
                Ok(count) if *skipped > 0 => {
                    *skipped -= count as u64;
                    continue;
                }
                Ok(count) => {
                    self.seen += count as u64;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if is_broken_connection(&error) => error,
                Err(error) => return Err(error),
            };
            self.body = None;
            self.pause(error).map_err(io::Error::other)?;
        }
    }
}
