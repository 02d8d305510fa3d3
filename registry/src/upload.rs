//! Uploads: a blob goes to a registry as it is made, or from another store (distribution specification, Pushing blobs).
//!
//! ```text
//! POST ─► 202, a place ─► PATCH, the bytes as they come ─► 202, a place ─► PUT with the digest ─► 201
//!                           ▲        │ the connection breaks
//!                           └─ GET ◄─┘ how many bytes are there
//! ```

mod source;

use layout::digest::Digest;
use ureq::http::Method;

pub(crate) use self::source::{Source, Stored, pipe};
use crate::error::Error;
use crate::exchange::{Payload, Request};
use crate::repository::{Access, Repository, upload_location};
use crate::retry::{Failures, Trouble};
use crate::session::Session;
use crate::url::Url;

impl Repository {
    /// Sends all of `source` to an upload; returns where the upload is to be ended.
    pub(crate) fn send_stream(
        &self,
        session: &Session,
        mut upload: Url,
        source: &mut dyn Source,
        doing: &str,
    ) -> Result<Url, Error> {
        let mut failures = Failures::default();
        loop {
            let left = source.left();
            let scopes = self.scopes(Access::Push);
            let mut body = &mut *source;
            let mut request = Request::new(Method::PATCH, upload.clone(), scopes, doing)
                .header("content-type", "application/octet-stream")
                .body(Payload::Stream(&mut body, left));
            request.patient = true;
            let outcome = self.client.send_once(session, &mut request);
            let is_sent = matches!(&outcome, Ok(it) if (200..300).contains(&it.status));
            // Read to its end, where the source checks itself.
            let surplus = is_sent && source.read(&mut [0]).is_ok_and(|it| it > 0);
            if let Some(error) = source.failure() {
                return Err(Error::Source {
                    doing: doing.to_owned(),
                    source: error,
                });
            }
            let (trouble, error) = match outcome {
                Ok(response) if is_sent && !surplus => {
                    return match response.header("location") {
                        Some(_) => upload_location(response, doing),
                        None => Ok(upload),
                    };
                }
                Ok(response) => {
                    let trouble = Trouble::of_answer(&response);
                    (trouble, session.refusal(response, doing))
                }
                Err(error) => (Trouble::of_error(&error), error),
            };
            let retry = &self.client.options().retry;
            if !trouble.is_some_and(|it| retry.pause_after(&mut failures, &it)) {
                self.give_up(session, upload, doing);
                return Err(error);
            }
            upload = self.resume(session, &upload, source, doing)?;
        }
    }

    /// Finds out what an upload has, and makes the source go on there. One that is gone begins anew, if the source can.
    fn resume(
        &self,
        session: &Session,
        upload: &Url,
        source: &mut dyn Source,
        doing: &str,
    ) -> Result<Url, Error> {
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::GET, upload.clone(), scopes, doing);
        let response = self.client.send(session, &mut request)?;
        let (upload, has) = match response.status {
            200..=299 => {
                let has = received(response.header("range").unwrap_or_default());
                let next = match response.header("location") {
                    Some(_) => upload_location(response, doing)?,
                    None => upload.clone(),
                };
                (next, has)
            }
            404 => {
                response.discard();
                (self.begin_upload(session, doing)?, 0)
            }
            _ => return Err(session.refusal(response, doing)),
        };
        match source.seek(has) {
            Ok(true) => Ok(upload),
            Ok(false) => {
                self.give_up(session, upload, doing);
                Err(Error::NotResumable {
                    doing: doing.to_owned(),
                    host: self.registry.clone(),
                    has,
                    window: source.oldest(),
                })
            }
            Err(error) => Err(Error::Source {
                doing: doing.to_owned(),
                source: error,
            }),
        }
    }

    /// Ends an upload: the registry has the blob from now on, if its digest is right.
    pub(crate) fn end_upload(
        &self,
        session: &Session,
        upload: Url,
        digest: &Digest,
        doing: &str,
    ) -> Result<(), Error> {
        let url = upload.and("digest", digest.as_ref());
        let scopes = self.scopes(Access::Push);
        let mut request = Request::new(Method::PUT, url, scopes, doing)
            .header("content-type", "application/octet-stream");
        request.patient = true;
        let response = self.client.send(session, &mut request)?;
        match response.status {
            200..=204 => {
                response.discard();
                Ok(())
            }
            // The answer to an earlier try was lost, and the upload is ended already.
            404 if self.has_blob(digest, Access::Push, doing)? => Ok(()),
            _ => Err(session.refusal(response, doing)),
        }
    }

    /// Writes a small blob in one request, unless it is there.
    pub(crate) fn put_small(
        &self,
        bytes: &[u8],
        digest: &Digest,
        doing: &str,
    ) -> Result<(), Error> {
        if self.has_blob(digest, Access::Push, doing)? {
            return Ok(());
        }
        let session = self.session(doing)?;
        let put = || {
            // Anew each time: what a broken try left in an upload would come first.
            let upload = self.begin_upload(&session, doing)?;
            let url = upload.and("digest", digest.as_ref());
            let mut request = Request::new(Method::PUT, url, self.scopes(Access::Push), doing)
                .header("content-type", "application/octet-stream")
                .body(Payload::Bytes(bytes));
            self.client.send_once(&session, &mut request)
        };
        let retry = &self.client.options().retry;
        let response = retry.insist(put, Trouble::of_answer)?;
        match response.status {
            200..=204 => {
                response.discard();
                Ok(())
            }
            _ => Err(session.refusal(response, doing)),
        }
    }
}

/// Returns how many bytes `Range: 0-<last>` means. `0-0` is what registries say that have nothing yet.
fn received(range: &str) -> u64 {
    let last = range.trim().strip_prefix("bytes=").unwrap_or(range.trim());
    let last = last.split_once('-').and_then(|(_, last)| last.parse().ok());
    match last.unwrap_or(0) {
        0 => 0,
        last => last + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_how_much_there_is() {
        for (range, bytes) in [
            ("0-99", 100),
            ("bytes=0-99", 100),
            ("0-0", 0),
            ("", 0),
            ("0--1", 0),
            ("x", 0),
        ] {
            assert_eq!(received(range), bytes, "{range}");
        }
    }
}
