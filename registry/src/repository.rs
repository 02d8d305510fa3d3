//! One repository of one registry: the requests of the distribution specification, one a function.

use std::sync::Arc;

use layout::blob::MAX_MANIFEST;
use layout::digest::{Digest, Hasher, Mismatch, sha256};
use layout::manifest::{Descriptor, MediaType, to_oci};
use serde::Deserialize;
use ureq::http::Method;

use crate::client::{Client, Fetched};
use crate::error::Error;
use crate::exchange::{Pace, Payload, Request, Response};
use crate::retry::Trouble;
use crate::session::Session;
use crate::url::Url;

/// Manifests and indexes of both families.
const DOCUMENTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// A repository; making one touches nothing.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) client: Client,
    pub(crate) registry: String,
    pub(crate) name: String,
}

/// What a token must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Pull,
    Push,
    Delete,
}

impl Repository {
    pub(crate) fn new(client: Client, registry: &str, name: &str) -> Self {
        Self {
            client,
            registry: registry.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Returns `<registry>/<repository>`.
    pub(crate) fn location(&self) -> String {
        format!("{}/{}", self.registry, self.name)
    }

    /// Returns the image's name, for messages.
    fn image(&self, identifier: &str) -> String {
        let separator = if identifier.contains(':') { '@' } else { ':' };
        format!("{}{separator}{identifier}", self.location())
    }

    pub(crate) fn session(&self, doing: &str) -> Result<Arc<Session>, Error> {
        self.client.session(&self.registry, &self.name, doing)
    }

    pub(crate) fn scopes(&self, access: Access) -> Vec<String> {
        let actions = match access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
            Access::Delete => "delete",
        };
        vec![format!("repository:{}:{actions}", self.name)]
    }

    pub(crate) fn url(&self, session: &Session, path: &str, doing: &str) -> Result<Url, Error> {
        let path = format!("/v2/{}/{path}", self.name);
        let malformed = |_| Error::protocol(doing, &self.registry, "a name that is no path");
        session.root.with(&path).map_err(malformed)
    }

    /// Gets a manifest or an index by tag or digest; `None` if it is absent.
    pub(crate) fn manifest(&self, identifier: &str) -> Result<Option<Fetched>, Error> {
        let doing = format!("read {}", self.image(identifier));
        let session = self.session(&doing)?;
        let url = self.url(&session, &format!("manifests/{identifier}"), &doing)?;
        let scopes = self.scopes(Access::Pull);
        let mut request =
            Request::new(Method::GET, url, scopes, &doing).header("accept", DOCUMENTS);
        let ask = || {
            let response = self.client.send_once(&session, &mut request)?;
            match response.status {
                200 => Document::read(response, &doing).map(Ok),
                _ => Ok(Err(response)),
            }
        };
        let trouble = |answer: &Result<_, _>| answer.as_ref().err().and_then(Trouble::of_answer);
        let document = match self.client.options().retry.insist(ask, trouble)? {
            Ok(document) => document,
            Err(response) if response.status == 404 => {
                response.discard();
                return Ok(None);
            }
            Err(response) => return Err(session.refusal(response, &doing)),
        };
        let Document {
            media_type,
            said,
            bytes,
        } = document;
        let asked_for: Option<Digest> = identifier.parse().ok();
        if let Some(digest) = &asked_for
            && Hasher::of(digest).is_none()
        {
            let problem = "a digest of an unknown kind, which cannot be checked";
            return Err(Error::protocol(&doing, &self.registry, problem));
        }
        for digest in asked_for.iter().chain(&said) {
            check(&bytes, digest, &doing)?;
        }
        let digest = asked_for.unwrap_or_else(|| sha256(&bytes));
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, digest);
        Ok(Some(Fetched { descriptor, bytes }))
    }

    /// Writes a manifest or an index.
    pub(crate) fn put_manifest(
        &self,
        identifier: &str,
        media_type: &MediaType,
        bytes: &[u8],
    ) -> Result<(), Error> {
        let doing = format!("write {}", self.image(identifier));
        let session = self.session(&doing)?;
        let url = self.url(&session, &format!("manifests/{identifier}"), &doing)?;
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::PUT, url, scopes, &doing)
            .header("content-type", media_type.to_string())
            .body(Payload::Bytes(bytes));
        request.pace = Pace::Thought;
        let response = self.client.send(&session, &mut request)?;
        match response.status {
            200..=202 => {
                response.discard();
                Ok(())
            }
            _ => Err(session.refusal(response, &doing)),
        }
    }

    /// Removes a manifest by its digest. False if there is none such.
    pub(crate) fn delete_manifest(&self, digest: &Digest) -> Result<bool, Error> {
        let doing = format!("delete {}", self.image(digest.as_ref()));
        let session = self.session(&doing)?;
        let url = self.url(&session, &format!("manifests/{digest}"), &doing)?;
        let scopes = self.scopes(Access::Delete);
        let mut request = Request::new(Method::DELETE, url, scopes, &doing);
        let response = self.client.send(&session, &mut request)?;
        match response.status {
            200..=202 | 404 => {
                let is_deleted = response.status != 404;
                response.discard();
                Ok(is_deleted)
            }
            _ => Err(session.refusal(response, &doing)),
        }
    }

    /// Returns whether a blob is here. Who is about to write asks with that access, so as to need one token alone.
    pub(crate) fn has_blob(
        &self,
        digest: &Digest,
        access: Access,
        doing: &str,
    ) -> Result<bool, Error> {
        let session = self.session(doing)?;
        let url = self.url(&session, &format!("blobs/{digest}"), doing)?;
        let mut request = Request::new(Method::HEAD, url, self.scopes(access), doing);
        let response = self.client.send(&session, &mut request)?;
        match response.status {
            200 => Ok(true),
            404 => Ok(false),
            _ => Err(session.refusal(response, doing)),
        }
    }

    pub(crate) fn check_read(&self, identifier: &str) -> Result<(), Error> {
        let doing = format!("read {}", self.image(identifier));
        let session = match self.session(&doing) {
            // Any answer but a refusal will do.
            Err(Error::Status { .. }) => return Ok(()),
            session => session?,
        };
        let url = self.url(&session, &format!("manifests/{identifier}"), &doing)?;
        let scopes = self.scopes(Access::Pull);
        let mut request =
            Request::new(Method::HEAD, url, scopes, &doing).header("accept", DOCUMENTS);
        let response = match self.client.send(&session, &mut request) {
            Err(Error::Status { .. }) => return Ok(()),
            response => response?,
        };
        match response.status {
            401 | 403 => Err(session.refusal(response, &doing)),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_write(&self) -> Result<(), Error> {
        let doing = format!("write to {}", self.location());
        let session = self.session(&doing)?;
        let upload = self.begin_upload(&session, &doing)?;
        self.give_up(&session, upload, &doing);
        Ok(())
    }

    /// Begins an upload; returns where it goes on.
    pub(crate) fn begin_upload(&self, session: &Session, doing: &str) -> Result<Url, Error> {
        let url = self.url(session, "blobs/uploads/", doing)?;
        let scopes = self.scopes(Access::Push);
        let response = self
            .client
            .send(session, &mut Request::new(Method::POST, url, scopes, doing))?;
        match response.status {
            201 | 202 => self.upload_location(response, doing),
            _ => Err(session.refusal(response, doing)),
        }
    }

    /// Makes a blob of another repository of this registry one of this, too. Returns false if it is not one, which is no
    /// failure: registries need not be able to, and may not allow it.
    pub(crate) fn mount(&self, digest: &Digest, from: &Self, doing: &str) -> Result<bool, Error> {
        let session = self.session(doing)?;
        let url = self.url(&session, "blobs/uploads/", doing)?;
        let url = url.and("mount", digest.as_ref()).and("from", &from.name);
        let mut scopes = self.scopes(Access::Push);
        scopes.extend(from.scopes(Access::Pull));
        let mut request = Request::new(Method::POST, url, scopes, doing);
        let response = match self.client.send(&session, &mut request) {
            // A token for both repositories may be refused where one for this alone is not.
            Err(Error::Denied { .. } | Error::Status { .. }) => return Ok(false),
            response => response?,
        };
        match response.status {
            201 => {
                response.discard();
                Ok(true)
            }
            202 => {
                // An upload that nobody asked for.
                if let Ok(upload) = self.upload_location(response, doing) {
                    self.give_up(&session, upload, doing);
                }
                Ok(false)
            }
            _ => {
                response.discard();
                Ok(false)
            }
        }
    }

    /// Returns where an upload goes on.
    pub(crate) fn upload_location(&self, response: Response, doing: &str) -> Result<Url, Error> {
        let url = response.url.clone();
        let Some(location) = response.header("location") else {
            let problem = "no place for the upload";
            return Err(Error::protocol(doing, &url.authority, problem));
        };
        let next = self.client.follow(&url, location, doing)?;
        response.discard();
        Ok(next)
    }

    /// Ends an upload that is of no use. Registries clear away what is left of one that they cannot end.
    pub(crate) fn give_up(&self, session: &Session, upload: Url, doing: &str) {
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::DELETE, upload, scopes, doing);
        match self.client.send_once(session, &mut request) {
            Ok(response) => response.discard(),
            Err(error) => tracing::debug!("An upload was not given up: {error}"),
        }
    }
}

/// A manifest or an index as it came.
struct Document {
    media_type: MediaType,
    /// What the registry says that its digest is.
    said: Option<Digest>,
    bytes: Vec<u8>,
}

impl Document {
    fn read(response: Response, doing: &str) -> Result<Self, Error> {
        let media_type = response.header("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let media_type = MediaType::from(media_type);
        let said = response.header("docker-content-digest");
        let said = said.and_then(|it| it.parse().ok());
        let host = response.url.authority.clone();
        let bytes = match response.read(MAX_MANIFEST) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return Err(Error::TooLarge {
                    doing: doing.to_owned(),
                    host,
                    limit: MAX_MANIFEST,
                });
            }
            Err(error) => return Err(Error::connection(doing, &host, error.into())),
        };
        Ok(Self {
            media_type: if is_document(&media_type) {
                media_type
            } else {
                own_media_type(&bytes)
            },
            said,
            bytes,
        })
    }
}

/// Returns whether this is a type of manifests or indexes, which are not among the blobs of a registry.
pub(crate) fn is_document(media_type: &MediaType) -> bool {
    matches!(
        to_oci(media_type),
        MediaType::ImageIndex | MediaType::ImageManifest
    )
}

/// Returns the media type that a document gives itself: some registries call everything JSON.
fn own_media_type(bytes: &[u8]) -> MediaType {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "mediaType", default)]
        media_type: String,
    }
    let typed = serde_json::from_slice(bytes).map(|it: Typed| it.media_type);
    MediaType::from(typed.unwrap_or_default().as_str())
}

/// Fails unless the bytes are those of the digest; one of an unknown kind is no reason not to believe it.
fn check(bytes: &[u8], digest: &Digest, doing: &str) -> Result<(), Error> {
    let Some(mut hasher) = Hasher::of(digest) else {
        return Ok(());
    };
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *digest {
        return Ok(());
    }
    Err(Error::Mismatch {
        doing: doing.to_owned(),
        source: Mismatch::Digest {
            what: "what the registry sent".to_owned(),
            expected: Box::new(digest.clone()),
            found: Box::new(found),
        },
    })
}
